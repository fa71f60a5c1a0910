import { expect, test } from 'vitest';
import { buildGenesis, buildPinVault } from '#lib/chains/account-build.ts';
import { replayAccountLog } from '#lib/chains/account-log.ts';
import { generateKemPair, generateSigningPair, type KeyPair } from '#lib/crypto/primitives.ts';
import { bytesToId, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { openMemoryDatabase, type MemoryDatabase } from '#lib/storage/memory.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import { systemRandom } from '#lib/std/system.ts';
import { openAccounts } from './accounts.ts';
import { createFakeServer, type FakeBrowser, type FakeServer } from './fixtures/fake-server.ts';
import { encodeInvite, parseInvite } from './invite.ts';

const random = systemRandom;
const clock = { now: () => 5 };

function must<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

interface Person { readonly account: AccountId; readonly device: DeviceId; readonly sign: KeyPair; entries: Bytes[] }

async function newPerson(account = bytesToId<AccountId>(random.bytes(16))): Promise<Person> {
  const [sign, kem, uek, recovery] = [await generateSigningPair(), await generateKemPair(), await generateKemPair(), await generateSigningPair()];
  const device = bytesToId<DeviceId>(random.bytes(16));
  const genesis = await buildGenesis({
    account, recovery, deviceKey: sign.privateKey, uekPublicKey: uek.publicKey,
    device: { id: device, signPublicKey: sign.publicKey, kemPublicKey: kem.publicKey, deviceClass: 1, sealedName: new Uint8Array() },
  });
  return { account, device, sign, entries: [genesis] };
}

/** One more entry of this person's log. */
async function advance(person: Person): Promise<void> {
  const state = must(await replayAccountLog(person.account, person.entries));
  const entry = await buildPinVault(state, { version: state.height + 1, hash: random.bytes(32), signer: { type: 'device', id: person.device, key: person.sign.privateKey } });
  person.entries = [...person.entries, entry];
}

function publish(server: FakeServer, handle: string, { account, entries }: Person): void {
  server.accounts.set(account, {
    account, handle, entries: [...entries], record: '', proofHash: new Uint8Array(), vault: new Uint8Array(), vaultVersion: 1, wraps: [], profile: undefined,
  });
}

async function world() {
  const server = await createFakeServer();
  const bob = await newPerson();
  publish(server, 'bob', bob);
  const browser = server.browser();
  const database = openMemoryDatabase();
  return { server, bob, browser, database, accounts: await openAccounts({ database, api: browser.api, clock }) };
}

const reopen = (database: MemoryDatabase, { api }: FakeBrowser) => openAccounts({ database, api, clock });
const changed = (account: AccountId, change: string) => ({ ok: false, error: { type: 'identity-changed', account, change } });

test('[ID10] an account once seen is known offline and after a restart, and grows as its log does', async () => {
  const { server, bob, browser, database, accounts } = await world();
  const found = must(await accounts.findByHandle(' @Bob'));
  expect(found).toMatchObject({ account: bob.account, handle: 'bob' });
  expect(found.state.height).toBe(0);
  await advance(bob);
  await advance(bob);
  publish(server, 'bob', bob);
  expect((await accounts.get(bob.account))!.height).toBe(0);
  expect((await accounts.refresh(bob.account, 0))!.height).toBe(0); // known to be high enough: nobody is asked
  expect((await accounts.refresh(bob.account, 1))!.height).toBe(2);
  browser.offline = true;
  const again = await reopen(database, browser);
  expect((await again.get(bob.account))!.height).toBe(2);
  expect((await again.refresh(bob.account))!.height).toBe(2);
  expect(await again.check(bob.account)).toEqual({ ok: false, error: { type: 'offline' } });
});

test('[ID10] an unknown account is fetched by id, and what is not there is said to be so', async () => {
  const { bob, accounts } = await world();
  expect((await accounts.get(bob.account))!.account).toBe(bob.account);
  expect(await accounts.get(bytesToId(random.bytes(16)))).toBeUndefined();
  expect(await accounts.findByHandle('nobody')).toEqual({ ok: false, error: { type: 'not-found' } });
  expect(await accounts.findByHandle('!')).toEqual({ ok: false, error: { type: 'handle-invalid' } });
});

test('[ID10] another genesis, a fork and a rollback of a known log are refused, and the known one stays', async () => {
  for (const change of ['genesis', 'fork', 'rollback'] as const) {
    const { server, bob, browser, database, accounts } = await world();
    const old = [...bob.entries];
    const twin = { ...bob };
    if (change !== 'genesis') {
      await advance(bob);
      publish(server, 'bob', bob);
    }
    const known = must(await accounts.findByHandle('bob')).state;
    if (change === 'genesis') publish(server, 'bob', await newPerson(bob.account));
    if (change === 'rollback') publish(server, 'bob', { ...bob, entries: old });
    if (change === 'fork') {
      await advance(twin);
      await advance(twin);
      publish(server, 'bob', twin);
    }
    expect(await accounts.check(bob.account)).toEqual(changed(bob.account, change));
    expect(await accounts.findByHandle('bob')).toEqual(changed(bob.account, change));
    expect(await accounts.refresh(bob.account)).toEqual(known);
    const again = await reopen(database, browser);
    expect(again.changed()).toEqual(new Map([[bob.account, change]]));
    expect(await again.get(bob.account)).toEqual(known);
  }
});

test('[ID10] a server that forgot a known account, or answers with another one\'s name, is not believed', async () => {
  const { server, bob, accounts } = await world();
  const known = must(await accounts.findByHandle('bob')).state;
  const stored = server.accounts.get(bob.account)!;
  server.accounts.set(bob.account, { ...stored, account: bytesToId(random.bytes(16)) });
  expect(await accounts.check(bob.account)).toEqual({ ok: false, error: { type: 'log-refused', fault: 'wrong-account' } });
  expect(accounts.changed().size).toBe(0);
  server.accounts.delete(bob.account);
  expect(await accounts.check(bob.account)).toEqual(changed(bob.account, 'rollback'));
  expect(await accounts.get(bob.account)).toEqual(known);
});

test('[ID10] another account under a known handle is told, and counts only once accepted', async () => {
  const { server, bob, browser, database, accounts } = await world();
  must(await accounts.findByHandle('bob'));
  const other = await newPerson();
  server.accounts.delete(bob.account);
  publish(server, 'bob', other);
  expect(await accounts.findByHandle('bob')).toEqual(changed(bob.account, 'handle'));
  expect(await accounts.check(other.account)).toEqual(changed(bob.account, 'handle'));
  expect(must(await accounts.acceptIdentity(bob.account)).account).toBe(other.account);
  expect(accounts.changed().size).toBe(0);
  const again = await reopen(database, browser);
  expect(must(await again.findByHandle('bob')).account).toBe(other.account);
});

test('[ID10] a new identity of an account takes the place of the old one once accepted', async () => {
  const { server, bob, accounts } = await world();
  const before = must(await accounts.findByHandle('bob')).state.genesisHash;
  publish(server, 'bob', await newPerson(bob.account));
  expect(await accounts.check(bob.account)).toEqual(changed(bob.account, 'genesis'));
  const after = must(await accounts.acceptIdentity(bob.account)).state.genesisHash;
  expect(after).not.toEqual(before);
  expect(must(await accounts.check(bob.account)).state.genesisHash).toEqual(after);
  expect(accounts.changed().size).toBe(0);
});

test('[ID10] a log that breaks its own rules is refused and nothing of it is kept', async () => {
  const { server, bob, accounts } = await world();
  must(await accounts.findByHandle('bob'));
  await advance(bob);
  const bent = bob.entries[1]!.slice();
  bent[bent.length - 1]! ^= 1;
  publish(server, 'bob', { ...bob, entries: [bob.entries[0]!, bent] });
  expect(await accounts.check(bob.account)).toEqual({ ok: false, error: { type: 'log-refused', fault: 'wrong-signature' } });
  expect((await accounts.get(bob.account))!.height).toBe(0);
  const carol = await newPerson();
  publish(server, 'carol', { ...carol, entries: bob.entries });
  expect(await accounts.findByHandle('carol')).toEqual({ ok: false, error: { type: 'log-refused', fault: 'wrong-account' } });
});

test('[ID11] an invitation finds its maker, and a server that hands out another account is found out before anything is kept', async () => {
  const { server, bob, accounts } = await world();
  const { genesisHash } = must(await replayAccountLog(bob.account, bob.entries));
  const invite = encodeInvite('bob', genesisHash);
  const stranger = await newPerson();
  server.accounts.delete(bob.account);
  publish(server, 'bob', stranger);
  expect(await accounts.acceptInvite(invite)).toEqual({ ok: false, error: { type: 'invite-mismatch' } });
  expect(await accounts.known(stranger.account)).toBeUndefined();
  server.accounts.delete(stranger.account);
  publish(server, 'bob', bob);
  for (const text of [invite, `#${invite}`, ` https://chat.test/invite#${invite} `]) expect(must(await accounts.acceptInvite(text)).account).toBe(bob.account);
});

test('[ID11] an invitation by another identity than the one known is refused, also when the answer begins as it says', async () => {
  const { server, bob, accounts } = await world();
  await advance(bob);
  publish(server, 'bob', bob);
  must(await accounts.findByHandle('bob'));
  const other = await newPerson(bob.account);
  const { genesisHash } = must(await replayAccountLog(other.account, other.entries));
  publish(server, 'bob', { ...bob, entries: [other.entries[0]!, bob.entries[1]!] });
  expect(await accounts.acceptInvite(encodeInvite('bob', genesisHash))).toEqual({ ok: false, error: { type: 'invite-mismatch' } });
});

test('[ID11] what is no invitation is refused as such', async () => {
  const { accounts } = await world();
  for (const text of ['', '#', 'bob', 'bob.', 'bob.AAAA', `b.${'A'.repeat(22)}`, `bob.${'A'.repeat(21)}!`, `bob.${'A'.repeat(43)}`]) {
    expect(await accounts.acceptInvite(text), text).toEqual({ ok: false, error: { type: 'invite-invalid' } });
  }
  expect(parseInvite(`bob.${'A'.repeat(22)}`)).toEqual({ handle: 'bob', genesisPrefix: new Uint8Array(16) });
});

test('[ID10] asking twice at once asks the server once', async () => {
  const { server, bob, accounts } = await world();
  let asked = 0;
  for (let i = 0; i < 2; i++) server.before('GET', `accounts/${bob.account}/log`, () => { asked++; });
  await Promise.all([accounts.check(bob.account), accounts.check(bob.account)]);
  expect(asked).toBe(1);
});
