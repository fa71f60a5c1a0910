/**
 * A model fuzz: several people change one group at random, at the same moments, under one seed. A plain
 * model says who is in; after every step the log, the keys and the thieves' tries must agree with it.
 */
import { expect, test } from 'vitest';
import { decodeGroupEntry, encodeGroupCore, encodeGroupEntry, groupSignedBytes, groupSignPurpose } from '#lib/chains/group-entry.ts';
import { addDevice, revokeDevice, rotateUek, seededRandom } from '#lib/chains/fixtures/people.ts';
import { sha256, sign, type KeyPair } from '#lib/crypto/primitives.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import { makeGroup, openClient, type Client, type World } from './fixtures/world.ts';
import { openLink } from './keys.ts';
import { openWrap } from './wraps.ts';

const seeds = 12;
/** At least this many steps, and on until enough of them changed something. */
const stepsMin = 60;
const stepsMax = 240;
const changesMin = 25;
const peopleCount = 6;

/** Keys somebody holds who should read nothing from an epoch on. */
interface Thief {
  readonly account: AccountId;
  readonly fromEpoch: number;
  readonly ueks: readonly KeyPair[];
  readonly secrets: readonly Bytes[];
}

interface Run {
  readonly world: World;
  /** Apart from the world's: how a race ends may differ, what is tried next does not. */
  readonly random: World['random'];
  readonly clients: Map<AccountId, Client>;
  readonly conversation: ConversationId;
  readonly thieves: Thief[];
  readonly did: Map<string, number>;
  /** Tries made already: what did not open once does not later. */
  readonly tried: Set<string>;
}

test.each(Array.from({ length: seeds }, (_, i) => i + 1))('[GR15] members agree, thieves read nothing, strangers are refused, one winner per race: seed %i', async (seed) => {
  const { world, clients, conversation } = await makeGroup(1_000 + seed, 3);
  const run: Run = { world, random: seededRandom(seed), conversation, clients: new Map(clients.map((client) => [client.person.account, client])), thieves: [], did: new Map(), tried: new Set() };
  while (run.clients.size < peopleCount) {
    const client = await openClient(world, await world.addPerson());
    run.clients.set(client.person.account, client);
  }
  for (let step = 0; step < stepsMin || (step < stepsMax && (run.did.get('changed') ?? 0) < changesMin); step++) {
    await randomStep(run);
    if (step % 5 === 4) await checkAll(run);
  }
  await checkAll(run);
  expect(run.did.get('changed') ?? 0, 'the run did something').toBeGreaterThanOrEqual(changesMin);
  expect(run.thieves.length, 'somebody lost their keys').toBeGreaterThan(0);
  expect(run.did.get('thief opened') ?? 0).toBe(0);
  expect(run.did.get('thief tried') ?? 0).toBeGreaterThan(0);
  expect(run.did.get('member opened') ?? 0, 'the same calls open for members').toBeGreaterThan(0);
});

async function randomStep(run: Run): Promise<void> {
  const { world, conversation } = run;
  const log = world.logs.get(conversation)!;
  const before = log.rows.length;
  const members = [...log.state!.members.values()];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(run.random.fraction() * list.length)]!;
  const admins = members.filter(({ role }) => role !== 'member');
  const outsiders = [...run.clients.keys()].filter((account) => !log.state!.members.has(account));
  const by = (account: AccountId) => run.clients.get(account)!.groups;
  const anybody = pick(members).account;
  const admin = admins.length > 0 ? pick(admins).account : anybody;
  const kind = pick(['add', 'add', 'remove', 'leave', 'rotate', 'role', 'meta', 'revoke', 'generation', 'race', 'race', 'outsider', 'sync']);
  switch (kind) {
    case 'add':
      if (outsiders.length > 0) await by(admin).addMembers(conversation, [pick(outsiders)]);
      break;
    case 'remove': {
      const target = pick(members).account;
      const thief = await stealFrom(run, target);
      const epoch = log.state!.epoch;
      if (members.length < 3 || !(await by(admin).removeMember(conversation, target)).ok) break;
      expect(log.state!.epoch, 'a remove is a new key at once').toBeGreaterThan(epoch);
      run.thieves.push({ ...thief, fromEpoch: epoch + 1 });
      break;
    }
    case 'leave': {
      if (members.length < 3) break;
      const successor = members.find(({ account }) => account !== anybody)!.account;
      const thief = await stealFrom(run, anybody);
      if ((await by(anybody).leave(conversation, { successor })).ok) run.thieves.push({ ...thief, fromEpoch: log.state!.epoch + 1 });
      break;
    }
    case 'rotate':
      if ((await by(anybody).rotate(conversation)).ok) expect(log.state!.rotationDue).toBe(false);
      break;
    case 'role':
      await by(admin).setRole(conversation, pick(members).account, pick(['owner', 'admin', 'member'] as const));
      break;
    case 'meta':
      await by(admin).setMeta(conversation, { name: `name ${before}` });
      break;
    case 'revoke': { // a device is stolen with all it holds; the account revokes it, and somebody rotates
      const person = run.clients.get(anybody)!.person;
      if (person.devices.length > 4) break;
      const lost = await addDevice(person, world.random);
      const thief = await stealFrom(run, anybody);
      await revokeDevice(person, lost);
      if (!(await by(anybody).rotate(conversation)).ok) break;
      run.thieves.push({ ...thief, fromEpoch: log.state!.epoch });
      break;
    }
    case 'generation':
      await rotateUek(run.clients.get(anybody)!.person);
      break;
    case 'race': {
      const racers = [anybody, admin, pick(members).account];
      const results = await Promise.all(racers.map((account, i) => (i === 0 ? by(account).rotate(conversation) : by(account).setMeta(conversation, { description: `${before} ${i}` }))));
      if (results.some(({ ok }) => ok)) count(run, 'raced');
      break;
    }
    case 'outsider': {
      if (outsiders.length === 0) break;
      const client = run.clients.get(pick(outsiders))!;
      const forged = await forgeAsOutsider(run, client);
      expect(forged).toBe('refused');
      expect((await client.groups.setMeta(conversation, { name: 'mine' })).ok).toBe(false);
      break;
    }
    case 'sync':
      await by(anybody).sync(conversation);
      break;
  }
  if (log.rows.length > before) count(run, 'changed');
}

/** All members agree on head, epoch and key; no two entries share a height; no thief opens anything. */
async function checkAll(run: Run): Promise<void> {
  const { world, conversation } = run;
  const log = world.logs.get(conversation)!;
  const heights = log.rows.map(({ entry }) => unwrap(decodeGroupEntry(entry), 'decodes').height);
  expect(heights).toEqual(heights.map((_, i) => i + 1));
  const seen = new Set<string>();
  for (const account of log.state!.members.keys()) {
    const client = run.clients.get(account)!;
    const state = unwrap(await client.groups.sync(conversation), 'a member syncs');
    const secret = await secretOf(client, conversation, state.epoch);
    seen.add([bytesToHex(state.head), state.epoch, secret && bytesToHex(secret)].join());
    expect(client.alarms).toEqual([]);
    expect(state.members).toEqual(log.state!.members);
  }
  expect(seen.size, 'one head, epoch and key').toBe(Math.min(1, log.state!.members.size));
  for (const thief of run.thieves) await tryThief(run, thief);
}

/** Every wrap there is and every link above, with the exact place each was made for. */
async function tryThief(run: Run, thief: Thief): Promise<void> {
  const { world, conversation } = run;
  const log = world.logs.get(conversation)!;
  const entries = log.rows.map(({ entry }) => unwrap(decodeGroupEntry(entry), 'decodes'));
  for (const wrap of log.wraps.values()) {
    // Whoever was added again may read again: their own wraps from then on are theirs.
    if (wrap.epoch < thief.fromEpoch || (wrap.account === thief.account && !isLocked(run, thief))) continue;
    const place = { conversation, epoch: wrap.epoch, commitment: entries[wrap.height - 1]!.commitment, account: wrap.account, uekGen: wrap.uekGen };
    for (const uek of thief.ueks) {
      if (!isNew(run, uek.publicKey, wrap.wrap)) continue;
      count(run, 'thief tried');
      if (await openWrap(wrap.wrap, { key: uek.privateKey, publicKey: uek.publicKey }, place)) count(run, 'thief opened');
    }
    const owner = run.clients.get(wrap.account)?.person.ueks.get(wrap.uekGen);
    if (owner && isNew(run, ownerMark, wrap.wrap) && (await openWrap(wrap.wrap, { key: owner.privateKey, publicKey: owner.publicKey }, place))) count(run, 'member opened');
  }
  for (const { link, epoch } of entries) {
    if (link.length === 0 || epoch < thief.fromEpoch) continue;
    for (const secret of thief.secrets) {
      if (!isNew(run, secret, link)) continue;
      count(run, 'thief tried');
      if (await openLink(secret, link, conversation, epoch)) count(run, 'thief opened');
    }
  }
}

/** A thief of a generation that is over is locked out even of wraps for that very account. */
function isLocked(run: Run, thief: Thief): boolean {
  const wrap = run.world.logs.get(run.conversation)!.wraps.get(thief.account);
  const held = new Set(thief.ueks.map(({ publicKey }) => bytesToHex(publicKey)));
  const now = wrap && run.clients.get(thief.account)?.person.ueks.get(wrap.uekGen);
  return now !== undefined && !held.has(bytesToHex(now.publicKey));
}

/** Everything an account holds now: its key generations and every epoch secret. */
async function stealFrom(run: Run, account: AccountId): Promise<Thief> {
  const client = run.clients.get(account)!;
  await client.groups.sync(run.conversation);
  const state = await client.groups.state(run.conversation);
  const secrets: Bytes[] = [];
  for (const { epoch } of state?.epochs ?? []) {
    const secret = await secretOf(client, run.conversation, epoch);
    if (secret) secrets.push(secret);
  }
  return { account, fromEpoch: Infinity, ueks: [...client.person.ueks.values()], secrets };
}

/** An entry by somebody who is not in, over the true head, as well made as they can make it. */
async function forgeAsOutsider({ world, conversation }: Run, client: Client): Promise<string> {
  const log = world.logs.get(conversation)!;
  const last = log.rows.at(-1)!.entry;
  const before = unwrap(decodeGroupEntry(last), 'decodes');
  const core = encodeGroupCore({
    ...before, height: log.state!.height + 1, prev: log.state!.head, actor: client.person.account, device: client.device.id,
    authorHeight: client.person.state.height, link: new Uint8Array(0), ops: [{ type: 'pin', account: client.person.account, accountHeight: 0, accountHead: client.person.state.heads[0]!, cuts: [] }],
  });
  const tag = world.random.bytes(32);
  const entry = encodeGroupEntry(core, tag, await sign(client.device.signKey, groupSignPurpose, groupSignedBytes(sha256(core), tag)));
  const result = await world.append(conversation, entry, []);
  return result.ok ? 'taken' : result.error.type;
}

async function secretOf(client: Client, conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
  const stored = await client.database.read(['epochs'], (tx) => tx.get('epochs', [conversation, epoch]));
  return stored && unwrap(await client.sealer.unseal('epochs', [conversation, epoch], stored.sealedSecret), 'ours');
}

const ownerMark = Uint8Array.of(1);

function isNew({ tried }: Run, key: Bytes, sealed: Bytes): boolean {
  const name = `${bytesToHex(key)} ${bytesToHex(sealed)}`;
  if (tried.has(name)) return false;
  tried.add(name);
  return true;
}

function count(run: Run, what: string): void {
  run.did.set(what, (run.did.get(what) ?? 0) + 1);
}
