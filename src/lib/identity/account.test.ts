import { expect, test } from 'vitest';
import { buildGenesis, buildSetRecovery } from '#lib/chains/account-build.ts';
import { replayAccountLog } from '#lib/chains/account-log.ts';
import { activeDevices, newestUek } from '#lib/chains/account-state.ts';
import { exportPrivateKey, generateKemPair, generateSigningPair, sign, verify } from '#lib/crypto/primitives.ts';
import { bytesToId, type DeviceId } from '#lib/protocol/ids.ts';
import { openMemoryDatabase, type MemoryDatabase } from '#lib/storage/memory.ts';
import { bytesToBase64url, bytesToHex, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import { systemRandom } from '#lib/std/system.ts';
import { deriveRecovery, parseRecoveryWords } from '#lib/vault/recovery.ts';
import { decodeVaultFile } from '#lib/vault/vault-file.ts';
import { openVaultWithWords, renewVault, vaultHash } from '#lib/vault/vault.ts';
import { openAccount, type Account } from './account.ts';
import { openAccounts, type Accounts } from './accounts.ts';
import { conflictsMax, signIn, signInWithWords, signUp, type EnterDeps } from './enter.ts';
import { createFakeServer, type FakeBrowser, type FakeServer } from './fixtures/fake-server.ts';
import { judgeVault, unwrapUek, wrapUek } from './own-log.ts';
import { createOpaqueService } from './opaque-service.ts';
import { forgetWords, loadIdentity, readWords, saveIdentity, type NewIdentity } from './records.ts';

const random = systemRandom;
const clock = { now: () => 1_700_000_000_000 };
const opaque = createOpaqueService();
const password = 'correct horse 7';

function must<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const depsOf = (browser: FakeBrowser): EnterDeps => ({ api: browser.api, opaque, random, clock });

interface Phone {
  readonly browser: FakeBrowser;
  readonly database: MemoryDatabase;
  readonly made: NewIdentity;
  readonly account: Account;
  readonly accounts: Accounts;
}

async function settleIn(browser: FakeBrowser, made: NewIdentity): Promise<Phone> {
  const database = openMemoryDatabase();
  await saveIdentity(database, made, random, clock.now());
  return open(browser, made, database);
}

async function open(browser: FakeBrowser, made: NewIdentity, database: MemoryDatabase): Promise<Phone> {
  const loaded = (await loadIdentity(database, random))!;
  const accounts = await openAccounts({ database, api: browser.api, clock });
  return { browser, database, made, accounts, account: openAccount({ api: browser.api, opaque, random, database, loaded, accounts }) };
}

interface World { readonly server: FakeServer; readonly phone: Phone; readonly words: string }

async function newWorld(): Promise<World> {
  const server = await createFakeServer();
  const browser = server.browser();
  const made = must(await signUp(depsOf(browser), { handle: 'Ada', password }));
  return { server, words: made.words!.join(' '), phone: await settleIn(browser, made) };
}

async function secondDevice(server: FakeServer, secret: string = password): Promise<Phone> {
  const browser = server.browser();
  return settleIn(browser, must(await signIn(depsOf(browser), { handle: 'ada', password: secret })));
}

const enter = (server: FakeServer, secret: string = password) => signIn(depsOf(server.browser()), { handle: 'ada', password: secret });
const enterByWords = (server: FakeServer, words: string) => signInWithWords(depsOf(server.browser()), { handle: 'ada', words });
const stateAt = async (server: FakeServer) => must(await replayAccountLog(server.byHandle('ada').account, server.byHandle('ada').entries));
const tamper = (detail: string) => ({ ok: false, error: { type: 'server-tampered', detail } });

test('[ID2] signing up makes one account whose log, vault and keys agree', async () => {
  const { server, phone, words } = await newWorld();
  const stored = server.byHandle('ada');
  const state = await stateAt(server);
  expect(words.split(' ')).toHaveLength(24);
  expect(activeDevices(state).map(({ id }) => id)).toEqual([phone.made.identity.device]);
  expect(judgeVault(state, stored.vaultVersion, vaultHash(stored.vault))).toBe('pinned');
  expect(await phone.account.state()).toEqual(state);
  expect(phone.browser.session).toMatchObject({ account: stored.account, device: phone.made.identity.device });
  expect((await phone.account.uekPrivate(1))!.publicKey).toEqual(newestUek(state).publicKey);
  expect(await phone.account.checkVault()).toEqual({ ok: true, value: undefined });
});

test('[ID2] a taken handle, a bad handle and a bad password are refused by name', async () => {
  const server = await createFakeServer();
  const attempt = (handle: string, secret: string) => signUp(depsOf(server.browser()), { handle, password: secret });
  must(await attempt('ada', password));
  expect(await attempt('@ADA ', password)).toEqual({ ok: false, error: { type: 'handle-taken' } });
  expect(await attempt('a', password)).toEqual({ ok: false, error: { type: 'handle-invalid' } });
  expect(await attempt('bob', '1234567')).toEqual({ ok: false, error: { type: 'password-short' } });
  expect(await attempt('bob', 'x'.repeat(1025))).toEqual({ ok: false, error: { type: 'password-long' } });
  const away = server.browser();
  away.offline = true;
  expect(await signUp(depsOf(away), { handle: 'bob', password })).toEqual({ ok: false, error: { type: 'offline' } });
  expect(server.accounts.size).toBe(1);
});

test('[ID3] a second device enters with the password and holds the same keys, by another device key', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  expect(laptop.made.identity.device).not.toBe(phone.made.identity.device);
  expect(laptop.account.profileKey).toEqual(phone.account.profileKey);
  expect(laptop.made.ueks).toEqual(phone.made.ueks);
  expect(activeDevices(await stateAt(server))).toHaveLength(2);
  expect(laptop.browser.session?.device).toBe(laptop.made.identity.device);
  const report = must(await phone.account.sync());
  expect(report).toMatchObject({ revoked: false, newDevices: [laptop.made.identity.device] });
  expect(must(await phone.account.sync()).newDevices).toEqual([]);
});

test('[ID3] a password is the same whichever way its letters were composed', async () => {
  const server = await createFakeServer();
  must(await signUp(depsOf(server.browser()), { handle: 'ada', password: 'pässwörd1' }));
  expect((await enter(server, 'pässwörd1'.normalize('NFD'))).ok).toBe(true);
});

test('[ID5] the 24 words alone open the account, and wrong ones are refused', async () => {
  const { server, phone, words } = await newWorld();
  const made = must(await enterByWords(server, words.toUpperCase().replaceAll(' ', ',\n')));
  expect(made.profileKey).toEqual(phone.account.profileKey);
  expect(activeDevices(await stateAt(server))).toHaveLength(2);
  const others = [...Array<string>(23).fill('zoo'), 'vote'].join(' ');
  expect(await enterByWords(server, others)).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect(await enterByWords(server, 'zoo')).toEqual({ ok: false, error: { type: 'words-invalid', reason: { type: 'word-count', count: 1 } } });
  expect(await signInWithWords(depsOf(server.browser()), { handle: 'nobody', words })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
});

test('[ID6] a wrong password and an unknown handle are answered alike, and leave no session', async () => {
  const { server } = await newWorld();
  const browser = server.browser();
  const wrong = await signIn(depsOf(browser), { handle: 'ada', password: 'correct horse 8' });
  expect(wrong).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect(await signIn(depsOf(browser), { handle: 'nobody', password })).toEqual(wrong);
  expect(await signIn(depsOf(browser), { handle: 'ada', password: 'short' })).toEqual(wrong);
  expect(browser.session).toBeUndefined();
});

test('[ID4] a vault rolled back behind its pin is refused, by password and by words', async () => {
  const { server, phone, words } = await newWorld();
  const stored = server.byHandle('ada');
  const [vault, vaultVersion] = [stored.vault, stored.vaultVersion];
  const laptop = await secondDevice(server);
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  Object.assign(stored, { vault, vaultVersion });
  expect(await enter(server)).toEqual(tamper('vault-rolled-back'));
  expect(await enterByWords(server, words)).toEqual(tamper('vault-rolled-back'));
  expect(await phone.account.checkVault()).toEqual(tamper('vault-rolled-back'));
  Object.assign(stored, { vaultVersion: 2 });
  expect(await enter(server)).toEqual(tamper('vault-swapped')); // the older one under the newer one's number
});

test('[ID4] a vault with a bit changed is refused, wherever it lies, and the session is ended', async () => {
  const { server, phone } = await newWorld();
  const stored = server.byHandle('ada');
  const whole = stored.vault;
  for (let i = 0; i < 20; i++) {
    stored.vault = whole.slice();
    stored.vault[Math.floor((i * (whole.length - 1)) / 19)]! ^= 1;
    const browser = server.browser();
    const entered = await signIn(depsOf(browser), { handle: 'ada', password });
    expect(entered, `part ${i}`).toMatchObject({ ok: false, error: { type: 'server-tampered' } });
    expect(browser.session).toBeUndefined();
    expect(await phone.account.checkVault()).toMatchObject({ ok: false, error: { type: 'server-tampered' } });
  }
  stored.vault = whole;
  expect((await enter(server)).ok).toBe(true);
});

test('[ID4] another account log under the same handle is refused, though it verifies by itself', async () => {
  const { server } = await newWorld();
  const mallory = await createFakeServer();
  must(await signUp(depsOf(mallory.browser()), { handle: 'ada', password }));
  const stored = server.byHandle('ada');
  const other = mallory.byHandle('ada');
  stored.entries = other.entries;
  expect(await enter(server)).toEqual(tamper('account-log'));
});

test('[ID4] a forged log of the same account id is refused: the vault knows the genesis', async () => {
  const { server, phone } = await newWorld();
  const stored = server.byHandle('ada');
  const [deviceKey, recovery, kem, uek] = [await generateSigningPair(), await generateSigningPair(), await generateKemPair(), await generateKemPair()];
  stored.entries = [await buildGenesis({
    account: stored.account, recovery, deviceKey: deviceKey.privateKey, uekPublicKey: uek.publicKey,
    device: { id: phone.made.identity.device, signPublicKey: deviceKey.publicKey, kemPublicKey: kem.publicKey, deviceClass: 1, sealedName: new Uint8Array() },
  })];
  expect(await enter(server)).toEqual(tamper('account-swapped'));
  expect(await phone.account.sync()).toEqual(tamper('account-rolled-back'));
});

test('[ID4] a log that begins otherwise is refused even when the true recovery key signed it', async () => {
  const { server, words } = await newWorld();
  const stored = server.byHandle('ada');
  const parsed = must(parseRecoveryWords(words));
  const { recovery } = must(await openVaultWithWords(stored.vault, stored.account, deriveRecovery(parsed).slotSecret, random));
  const [deviceKey, kem, uek] = [await generateSigningPair(), await generateKemPair(), await generateKemPair()];
  const device = { id: bytesToId<DeviceId>(random.bytes(16)), signPublicKey: deviceKey.publicKey, kemPublicKey: kem.publicKey, deviceClass: 1, sealedName: new Uint8Array() };
  stored.entries = [await buildGenesis({ account: stored.account, recovery, deviceKey: deviceKey.privateKey, uekPublicKey: uek.publicKey, device })];
  expect(await enter(server)).toEqual(tamper('account-swapped'));
});

test('[ID4] a log whose recovery key is not the one in the vault is refused', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  const stored = server.byHandle('ada');
  const signers = [phone, laptop].map(({ made }) => ({ type: 'device' as const, id: made.identity.device, key: made.device.sign.privateKey }));
  stored.entries.push(await buildSetRecovery(await stateAt(server), { recoveryPublicKey: (await generateSigningPair()).publicKey, signers }));
  expect(await enter(server)).toEqual(tamper('account-swapped'));
});

test('[ID2] a server that names one key and registers under another makes no account', async () => {
  const server = await createFakeServer();
  const deps = depsOf(server.browser());
  const api = { ...deps.api, registerStart: async (input: Parameters<typeof deps.api.registerStart>[0]) => {
    const started = await deps.api.registerStart(input);
    return started.ok ? { ...started, value: { ...started.value, serverPublicKey: 'another' } } : started;
  } };
  expect(await signUp({ ...deps, api }, { handle: 'ada', password })).toEqual(tamper('server-key'));
  expect(server.accounts.size).toBe(0);
});

test('[VA17] a wrap that holds another private key than the log names gives none', async () => {
  const { server, phone } = await newWorld();
  const state = await stateAt(server);
  const { made } = phone;
  const { device } = made.identity;
  const wrapped = async (pkcs8: Bytes) => (await wrapUek(state, 1, pkcs8, [device]))[0]!.wrap;
  const right = made.ueks[0]!.key.pkcs8;
  const other = await exportPrivateKey((await generateKemPair(true)).privateKey);
  expect(await unwrapUek(state, 1, device, made.device.kem, await wrapped(right))).toEqual(right);
  expect(await unwrapUek(state, 1, device, made.device.kem, await wrapped(other))).toBeUndefined();
  expect(await unwrapUek(state, 2, device, made.device.kem, await wrapped(right))).toBeUndefined();
});

test('[ID4] a vault the server wrote itself to the public key is refused', async () => {
  const { server, phone } = await newWorld();
  const stored = server.byHandle('ada');
  const file = must(decodeVaultFile(stored.vault));
  const uek = await generateKemPair(true);
  const sealed = await renewVault({
    before: file, vaultPublicKey: phone.made.identity.vaultPublicKey,
    contents: { ueks: [{ gen: 1, key: { pkcs8: await exportPrivateKey(uek.privateKey), publicKey: uek.publicKey } }], profileKey: new Uint8Array(32), createdAt: 0 },
    writer: { device: phone.made.identity.device, signingKey: (await generateSigningPair()).privateKey },
  });
  Object.assign(stored, { vault: sealed.bytes, vaultVersion: sealed.version });
  expect(await enter(server)).toEqual(tamper('vault-forged'));
});

test('[ID4] a vault that lacks a key the log names is refused', async () => {
  const { server, phone } = await newWorld();
  const stored = server.byHandle('ada');
  const other = await generateKemPair(true);
  const sealed = await renewVault({
    before: must(decodeVaultFile(stored.vault)), vaultPublicKey: phone.made.identity.vaultPublicKey,
    contents: { ueks: [{ gen: 1, key: { pkcs8: await exportPrivateKey(other.privateKey), publicKey: phone.made.ueks[0]!.key.publicKey } }], profileKey: new Uint8Array(32), createdAt: 0 },
    writer: { device: phone.made.identity.device, signingKey: phone.made.device.sign.privateKey },
  });
  Object.assign(stored, { vault: sealed.bytes, vaultVersion: sealed.version });
  expect(await enter(server)).toEqual(tamper('vault-keys'));
});

test('[ID4] a log that lost its end is refused by a device that saw it', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  must(await phone.account.sync());
  server.byHandle('ada').entries.pop();
  expect(await phone.account.sync()).toEqual(tamper('account-rolled-back'));
  expect(await laptop.account.sync()).toEqual(tamper('account-rolled-back'));
});

test('[ID7] devices that enter and are shut out at the same moment all get through, one after the other', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  let tablet: Phone | undefined;
  server.before('POST', 'account/log', async () => { tablet = await secondDevice(server); });
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  const state = await stateAt(server);
  expect(activeDevices(state).map(({ id }) => id)).toEqual([phone.made.identity.device, tablet!.made.identity.device]);
  expect(newestUek(state).gen).toBe(2);
  expect(judgeVault(state, server.byHandle('ada').vaultVersion, vaultHash(server.byHandle('ada').vault))).toBe('pinned');
  must(await tablet!.account.sync());
  expect((await tablet!.account.uekPrivate(2))!.publicKey).toEqual(newestUek(state).publicKey);
});

test('[ID7] whoever loses every race gives up after a bounded number of attempts and says so', async () => {
  const { server } = await newWorld();
  const stored = server.byHandle('ada');
  const whole = [...stored.entries];
  let races = 0;
  const race = (): void => {
    races++;
    stored.entries = [...whole, new Uint8Array()]; // somebody else's entry was quicker
    server.before('GET', `accounts/${stored.account}/log`, () => { stored.entries = [...whole]; });
    server.before('POST', 'account/log', race);
  };
  server.before('POST', 'account/log', race);
  const browser = server.browser();
  expect(await signIn(depsOf(browser), { handle: 'ada', password })).toEqual({ ok: false, error: { type: 'failed', detail: 'conflict' } });
  expect(races).toBe(conflictsMax);
  expect(browser.session).toBeUndefined();
});

test('[ID8] a sign-up cut off before its pin leaves an account that works, and the pin is paid', async () => {
  const server = await createFakeServer();
  const browser = server.browser();
  server.before('POST', 'account/log', () => { throw new TypeError('cut'); });
  const made = must(await signUp(depsOf(browser), { handle: 'ada', password }));
  expect(made.pinOwed?.version).toBe(1);
  expect((await stateAt(server)).vaultPin).toBeUndefined();
  const phone = await settleIn(browser, made);
  must(await phone.account.sync());
  expect((await stateAt(server)).vaultPin).toEqual(made.pinOwed);
  must(await phone.account.sync());
  expect(server.byHandle('ada').entries).toHaveLength(2); // paid once
});

test('[ID8] when the device that owes a pin never comes back, the next one to enter pays it', async () => {
  const server = await createFakeServer();
  server.before('POST', 'account/log', () => { throw new TypeError('cut'); });
  must(await signUp(depsOf(server.browser()), { handle: 'ada', password }));
  const laptop = await secondDevice(server);
  const state = await stateAt(server);
  expect(state.vaultPin?.version).toBe(1);
  expect(state).toEqual(await laptop.account.state());
});

test('[ID8] a revocation cut off between vault and log is finished by trying again', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  server.before('POST', 'account/log', () => { throw new TypeError('cut'); });
  expect(await phone.account.revokeDevice(laptop.made.identity.device)).toEqual({ ok: false, error: { type: 'offline' } });
  expect((await enter(server)).ok).toBe(true); // the vault with a key too many is believed for its writer
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  const state = await stateAt(server);
  expect(activeDevices(state)).toHaveLength(2);
  expect(judgeVault(state, server.byHandle('ada').vaultVersion, vaultHash(server.byHandle('ada').vault))).toBe('pinned');
  expect((await enter(server)).ok).toBe(true);
});

test('[ID8] a revocation whose answer was lost holds, with its keys', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  server.after('POST', 'account/log', () => { throw new TypeError('cut'); });
  expect(await phone.account.revokeDevice(laptop.made.identity.device)).toEqual({ ok: false, error: { type: 'offline' } });
  const again = await open(phone.browser, phone.made, phone.database);
  must(await again.account.sync());
  expect((await again.account.uekPrivate(2))!.publicKey).toEqual(newestUek(await stateAt(server)).publicKey);
  must(await again.account.revokeDevice(laptop.made.identity.device)); // done already: nothing more happens
  expect(newestUek(await stateAt(server)).gen).toBe(2);
});

test('[ID9] a revoked device learns it, gets no new key, and the others get theirs', async () => {
  const { server, phone } = await newWorld();
  const [laptop, tablet] = [await secondDevice(server), await secondDevice(server)];
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  expect(must(await laptop.account.sync()).revoked).toBe(true);
  expect(await laptop.account.uekPrivate(2)).toBeUndefined();
  must(await tablet.account.sync());
  expect((await tablet.account.uekPrivate(2))!.publicKey).toEqual(newestUek(await stateAt(server)).publicKey);
  expect(await tablet.account.uekPrivate(3)).toBeUndefined();
  const fresh = await secondDevice(server);
  expect(fresh.made.ueks.map(({ gen }) => gen)).toEqual([1, 2]);
  // What it signs to append is refused by the log, and what it writes as a vault by whoever opens it.
  expect(await laptop.account.revokeDevice(phone.made.identity.device)).toMatchObject({ ok: false });
  expect(activeDevices(await stateAt(server)).map(({ id }) => id)).toContain(phone.made.identity.device);
});

test('[ID9] a vault written by a revoked device is refused', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  const stored = server.byHandle('ada');
  const sealed = await renewVault({
    before: must(decodeVaultFile(stored.vault)), vaultPublicKey: laptop.made.identity.vaultPublicKey,
    contents: { ueks: laptop.made.ueks, profileKey: laptop.made.profileKey, createdAt: 0 },
    writer: { device: laptop.made.identity.device, signingKey: laptop.made.device.sign.privateKey },
  });
  Object.assign(stored, { vault: sealed.bytes, vaultVersion: sealed.version });
  expect(await enter(server)).toEqual(tamper('vault-forged'));
});

test('[ID9] a device does not shut itself out, nor one that is not there', async () => {
  const { phone } = await newWorld();
  expect(await phone.account.revokeDevice(phone.made.identity.device)).toEqual({ ok: false, error: { type: 'failed', detail: 'this-device' } });
  expect(await phone.account.revokeDevice('AAAAAAAAAAAAAAAAAAAAAA' as never)).toEqual({ ok: false, error: { type: 'failed', detail: 'device-unknown' } });
});

test('[ID20] a device that leaves is out of the log, and what it made is the new key of the others and of the vault', async () => {
  const { server, phone, words } = await newWorld();
  const laptop = await secondDevice(server);
  must(await laptop.account.leave());
  const state = await stateAt(server);
  expect(activeDevices(state).map(({ id }) => id)).toEqual([phone.made.identity.device]);
  expect(judgeVault(state, server.byHandle('ada').vaultVersion, vaultHash(server.byHandle('ada').vault))).toBe('pinned');
  must(await phone.account.sync());
  expect((await phone.account.uekPrivate(2))!.publicKey).toEqual(newestUek(state).publicKey);
  // The last one may go too: password and words open what is left.
  must(await phone.account.leave());
  expect(activeDevices(await stateAt(server))).toEqual([]);
  expect(must(await enter(server)).ueks.map(({ gen }) => gen)).toEqual([1, 2, 3]);
  expect((await enterByWords(server, words)).ok).toBe(true);
});

test('[ID20] a device cut off while it leaves has left or has not, and the account opens either way', async () => {
  for (const [when, method, path, gone] of [['before', 'PUT', 'vault', false], ['before', 'POST', 'account/log', false], ['after', 'POST', 'account/log', true]] as const) {
    const { server, phone } = await newWorld();
    const laptop = await secondDevice(server);
    server[when](method, path, () => { throw new Error('cut'); });
    expect(await laptop.account.leave(), `${when} ${path}`).toEqual({ ok: false, error: { type: 'offline' } });
    expect(activeDevices(await stateAt(server)).length, `${when} ${path}`).toBe(gone ? 1 : 2);
    must(await phone.account.sync());
    expect((await enter(server)).ok).toBe(true);
  }
});

test('[ID14] a new session is bound to the same device, and a wrong password changes nothing', async () => {
  const { server, phone } = await newWorld();
  phone.browser.session = undefined;
  expect(await phone.account.renewSession({ password: 'correct horse 8' })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect(phone.browser.session).toBeUndefined();
  must(await phone.account.renewSession({ password }));
  expect(phone.browser.session).toMatchObject({ device: phone.made.identity.device });
  expect(activeDevices(await stateAt(server))).toHaveLength(1);
});

test('[ID14] a session is not bound to a revoked device, and another server key is found out', async () => {
  const { server, phone } = await newWorld();
  const laptop = await secondDevice(server);
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  expect(await laptop.account.renewSession({ password })).toEqual({ ok: false, error: { type: 'device-revoked' } });
  expect(laptop.browser.session).toBeUndefined();
  const loaded = (await loadIdentity(phone.database, random))!;
  const other = openAccount({
    api: phone.browser.api, opaque, random, database: phone.database, accounts: phone.accounts,
    loaded: { ...loaded, identity: { ...loaded.identity, serverPublicKey: 'another' } },
  });
  expect(await other.renewSession({ password })).toEqual(tamper('server-key'));
});

test('[ID15] after a change the new password enters, the old one does not, and the words still do', async () => {
  const { server, phone, words } = await newWorld();
  expect(await phone.account.changePassword({ oldPassword: 'correct horse 8', newPassword: 'another one' })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect(await phone.account.changePassword({ oldPassword: password, newPassword: 'short' })).toEqual({ ok: false, error: { type: 'password-short' } });
  must(await phone.account.changePassword({ oldPassword: password, newPassword: 'another one' }));
  expect((await stateAt(server)).vaultPin?.version).toBe(2);
  expect(phone.browser.session?.device).toBe(phone.made.identity.device);
  expect(await enter(server)).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect((await enter(server, 'another one')).ok).toBe(true);
  expect((await enterByWords(server, words)).ok).toBe(true);
});

test('[ID13] no secret is in any byte the server was sent or the disk holds', async () => {
  const { server, phone, words } = await newWorld();
  const laptop = await secondDevice(server);
  must(await phone.account.revokeDevice(laptop.made.identity.device));
  must(await phone.account.changePassword({ oldPassword: password, newPassword: 'another one' }));
  must(await enterByWords(server, words));
  const scalar = (pkcs8: Bytes) => pkcs8.slice(36, 68);
  const { slotSecret, proof } = deriveRecovery(words.split(' '));
  const secrets: Record<string, Bytes> = {
    password: textToBytes(password), newPassword: textToBytes('another one'), words: textToBytes(words.slice(0, 20)), slotSecret,
    uek: scalar(phone.made.ueks[0]!.key.pkcs8), profileKey: phone.made.profileKey,
  };
  const sent = server.bodies.map(bytesToHex).join('|');
  for (const [name, secret] of Object.entries(secrets)) {
    expect(sent.includes(bytesToHex(secret)), name).toBe(false);
    expect(sent.includes(bytesToHex(textToBytes(bytesToBase64url(secret)))), name).toBe(false);
  }
  expect(sent).toContain(bytesToHex(phone.account.signPublicKey)); // the search finds what is there
  expect(sent.split(bytesToHex(proof))).toHaveLength(2); // the proof goes once, to sign in; at sign-up only its hash

  const values = await phone.database.read(['kv', 'accounts'], async (tx) => [...await tx.getAll('kv'), ...await tx.getAll('accounts')]);
  const seen = (value: unknown): string => value instanceof Uint8Array ? bytesToHex(value)
    : typeof value === 'string' ? bytesToHex(textToBytes(value))
      : value !== null && typeof value === 'object' && !(value instanceof CryptoKey) ? Object.values(value).map(seen).join('|') : '';
  const disk = values.map(seen).join('|');
  for (const [name, secret] of Object.entries(secrets)) expect(disk.includes(bytesToHex(secret)), name).toBe(false);
  expect(disk).toContain(bytesToHex(phone.account.signPublicKey));
});

test('[ID17] the keys of a device cannot be exported, and work after a restart', async () => {
  const { phone } = await newWorld();
  const again = await open(phone.browser, phone.made, phone.database);
  const { device } = (await loadIdentity(phone.database, random))!;
  for (const key of [device.sign.privateKey, device.kem.privateKey, device.storageKey, (await again.account.uekPrivate(1))!.key]) {
    expect(key.extractable).toBe(false);
  }
  const message = textToBytes('still me');
  expect(await verify(again.account.signPublicKey, 'test', message, await sign(again.account.signKey, 'test', message))).toBe(true);
  expect(again.account.profileKey).toEqual(phone.account.profileKey);
});

test('[ID17] unconfirmed words can be shown again after a restart, and are gone once confirmed', async () => {
  const { phone, words } = await newWorld();
  const { sealer } = (await loadIdentity(phone.database, random))!;
  expect(await readWords(phone.database, sealer)).toEqual(words.split(' '));
  await forgetWords(phone.database);
  expect(await readWords(phone.database, sealer)).toBeUndefined();
  expect(await loadIdentity(openMemoryDatabase(), random)).toBeUndefined();
});
