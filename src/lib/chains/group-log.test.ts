import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256, sign } from '#lib/crypto/primitives.ts';
import { bytesToId, type AccountId, type ConversationId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap, type Result } from '#lib/std/result.ts';
import { newestUek, type AccountState } from './account-state.ts';
import { directConversationId, groupConversationId, isDerivedId, selfConversationId } from './conversation-id.ts';
import { isCut } from './cuts.ts';
import { epochAfter } from './epoch-rule.ts';
import { addDevice, makePerson, revokeDevice, rotateUek, seededRandom, type Person, type TestDevice } from './fixtures/people.ts';
import { decodeGroupEntry, encodeGroupCore, encodeGroupEntry, groupSignedBytes, groupSignPurpose, linkSizeBytes, rosterHash, type GroupCore } from './group-entry.ts';
import { accountsOf, buildGroupEntry, verifyGroupEntries, verifyGroupEntry, wrapsMatch, wrapSizeBytes, type VerifiedEntry } from './group-log.ts';
import { decodeOps, encodeOps, sealedMetaSizeBytesMax } from './group-ops.ts';
import { roleAt, type GroupLogFault, type GroupOp, type GroupState, type Role } from './group-state.ts';

/** One log and the people in it; the tests of `groups` check tags, here any 32 bytes stand for one. */
interface Scene {
  readonly conversation: ConversationId;
  readonly people: Map<AccountId, Person>;
  readonly rows: { entry: Bytes; rt: number }[];
  state: GroupState | undefined;
}

function lookup(scene: Scene) {
  return (account: AccountId): AccountState | undefined => scene.people.get(account)?.state;
}

async function attempt(scene: Scene, by: Person, ops: readonly GroupOp[], device: TestDevice = by.devices[0]!, authorHeight = by.state.height): Promise<Result<VerifiedEntry, GroupLogFault>> {
  const next = epochAfter(scene.state, ops);
  const built = await buildGroupEntry(scene.state, {
    conversation: scene.conversation, actor: by.account, device: device.id, signKey: device.signKey, authorHeight, ops,
    link: new Uint8Array(next.links ? linkSizeBytes : 0), confirm: (commitment) => sha256(commitment), accountState: lookup(scene),
  });
  if (!built.ok) return built;
  scene.rows.push({ entry: built.value.bytes, rt: 1_000 * (scene.rows.length + 1) });
  return verifyGroupEntry(scene.state, built.value.bytes, { rt: 1_000 * scene.rows.length, conversation: scene.conversation, accountState: lookup(scene) });
}

async function act(scene: Scene, by: Person, ...ops: readonly GroupOp[]): Promise<VerifiedEntry> {
  const verified = unwrap(await attempt(scene, by, ops), 'allowed');
  scene.state = verified.state;
  return verified;
}

async function fault(scene: Scene, by: Person, ...ops: readonly GroupOp[]): Promise<GroupLogFault | undefined> {
  const before = scene.rows.length;
  const result = await attempt(scene, by, ops);
  scene.rows.length = before;
  return result.ok ? undefined : result.error;
}

/** The same entry with parts replaced, signed again by the same device: what a careful forger makes. */
async function forge(scene: Scene, entry: Uint8Array, change: Partial<GroupCore>, device: TestDevice): Promise<GroupLogFault | undefined> {
  const core = { ...unwrap(decodeGroupEntry(entry), 'decodes'), ...change };
  const bytes = encodeGroupCore(core);
  const tag = sha256(bytes);
  const forged = encodeGroupEntry(bytes, tag, await sign(device.signKey, groupSignPurpose, groupSignedBytes(sha256(bytes), tag)));
  const result = await verifyGroupEntry(scene.state, forged, { rt: 1, conversation: scene.conversation, accountState: lookup(scene) });
  return result.ok ? undefined : result.error;
}

/** An entry built for the present state and not taken in. */
async function draft(scene: Scene, by: Person, ...ops: readonly GroupOp[]): Promise<Bytes> {
  unwrap(await attempt(scene, by, ops), 'allowed');
  return scene.rows.pop()!.entry;
}

const create = (person: Person, kind: 'self' | 'direct' | 'group' = 'group', sharesHistory = true): GroupOp => ({ type: 'create', kind, sharesHistory, uekGen: newestUek(person.state).gen });
const add = (person: Person, role: Role = 'member'): GroupOp => ({
  type: 'add', account: person.account, role, uekGen: newestUek(person.state).gen, accountHeight: person.state.height, accountHead: person.state.head,
});
const remove = (person: Person, cuts: (GroupOp & { type: 'remove' })['cuts'] = []): GroupOp => ({ type: 'remove', account: person.account, cuts });
const role = (person: Person, to: Role): GroupOp => ({ type: 'role', account: person.account, role: to });
const pin = (person: Person, cuts: (GroupOp & { type: 'pin' })['cuts'] = []): GroupOp => ({
  type: 'pin', account: person.account, accountHeight: person.state.height, accountHead: person.state.head, cuts,
});
const rotate: GroupOp = { type: 'rotate', gens: [] };
const leave: GroupOp = { type: 'leave' };
const meta: GroupOp = { type: 'meta', sealed: new Uint8Array(40) };

/** An owner, an admin, two members, and one who is not in. */
async function makeScene(seed: number, sharesHistory = true) {
  const random = seededRandom(seed);
  const [owner, admin, member, other, stranger] = [await makePerson(random), await makePerson(random), await makePerson(random), await makePerson(random), await makePerson(random)];
  const scene: Scene = {
    conversation: groupConversationId(random), rows: [], state: undefined,
    people: new Map([owner, admin, member, other, stranger].map((person) => [person.account, person])),
  };
  await act(scene, owner, create(owner, 'group', sharesHistory), add(admin, 'admin'), add(member), add(other));
  return { random, scene, owner, admin, member, other, stranger };
}

const ids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => bytesToId<AccountId>(bytes));
const u32s = fc.nat({ max: 2 ** 32 - 2 });
const heads = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Uint8Array.from(bytes));
const roles = fc.constantFrom<Role>('owner', 'admin', 'member');
const cuts = fc.array(fc.record({ device: ids as unknown as fc.Arbitrary<DeviceId>, slot: u32s, lastCtr: u32s.map((n) => n - 1) }), { maxLength: 4 });
const anyOp: fc.Arbitrary<GroupOp> = fc.oneof(
  fc.record({ type: fc.constant('create' as const), kind: fc.constantFrom('self' as const, 'direct' as const, 'group' as const), sharesHistory: fc.boolean(), uekGen: u32s }),
  fc.record({ type: fc.constant('add' as const), account: ids, role: roles, uekGen: u32s, accountHeight: u32s, accountHead: heads }),
  fc.record({ type: fc.constant('remove' as const), account: ids, cuts }),
  fc.constant({ type: 'leave' as const }),
  fc.record({ type: fc.constant('role' as const), account: ids, role: roles }),
  fc.record({ type: fc.constant('policy' as const), sharesHistory: fc.boolean() }),
  fc.record({ type: fc.constant('rotate' as const), gens: fc.array(fc.record({ account: ids, uekGen: u32s }), { maxLength: 4 }) }),
  fc.record({ type: fc.constant('pin' as const), account: ids, accountHeight: u32s, accountHead: heads, cuts }),
  fc.record({ type: fc.constant('cut' as const), cuts }),
  fc.record({ type: fc.constant('meta' as const), sealed: fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)) }),
);

test('[CH9] operations and entries have one byte form, strictly read', () => {
  fc.assert(fc.property(fc.array(anyOp, { maxLength: 6 }), (ops) => {
    const bytes = encodeOps(ops);
    expect(decodeOps(bytes)).toEqual(ops);
    for (let size = 0; size < bytes.length; size++) expect(decodeOps(bytes.slice(0, size))).toBeUndefined();
    expect(decodeOps(concatBytes(bytes, new Uint8Array(1)))).toBeUndefined();
  }), { numRuns: 300 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    expect(decodeGroupEntry(bytes).ok).toBe(false);
    const ops = decodeOps(bytes);
    if (ops) expect(encodeOps(ops)).toEqual(Uint8Array.from(bytes));
  }), { numRuns: 3_000 });
});

test('[CH9] a byte changed anywhere in an entry is refused, and so is a part of it or more than it', async () => {
  const { scene, owner } = await makeScene(20);
  const entry = await draft(scene, owner, rotate, meta);
  const judge = (bytes: Bytes) => verifyGroupEntry(scene.state, bytes, { rt: 1, conversation: scene.conversation, accountState: lookup(scene) });
  for (let at = 0; at < entry.length; at++) {
    const changed = entry.slice();
    changed[at] = changed[at]! ^ 0x41;
    expect((await judge(changed)).ok, `byte ${at}`).toBe(false);
    expect((await judge(entry.slice(0, at))).ok).toBe(false);
  }
  expect((await judge(concatBytes(entry, new Uint8Array(1)))).ok).toBe(false);
  expect(await judge(new Uint8Array(limits.groupEntrySizeBytesMax + 1))).toEqual({ ok: false, error: 'too-big' });
  expect((await judge(entry)).ok).toBe(true);
});

test('[CH10] an entry stands at one height after one head of one conversation', async () => {
  const { scene, owner, member, random } = await makeScene(21);
  const entry = await draft(scene, owner, rotate);
  expect(await forge(scene, entry, { height: scene.state!.height + 2 }, owner.devices[0]!)).toBe('wrong-height');
  expect(await forge(scene, entry, { prev: random.bytes(32) }, owner.devices[0]!)).toBe('wrong-prev');
  expect(await forge(scene, entry, { conversation: groupConversationId(random) }, owner.devices[0]!)).toBe('wrong-conversation');
  await act(scene, member, rotate);
  const late = await verifyGroupEntry(scene.state, entry, { rt: 1, conversation: scene.conversation, accountState: lookup(scene) });
  expect(late).toEqual({ ok: false, error: 'wrong-height' });
  expect(await forge(scene, entry, { height: scene.state!.height + 1 }, owner.devices[0]!)).toBe('wrong-prev');
});

test('[CH10] replayed at once, step by step, by anybody, a log gives one state; receipt times come from its rows', async () => {
  const { scene, owner, admin, member, other, stranger } = await makeScene(22);
  await act(scene, admin, add(stranger));
  await act(scene, owner, remove(other));
  await act(scene, member, leave);
  await act(scene, admin, rotate);
  await act(scene, owner, meta, role(stranger, 'admin'));
  const replayed = unwrap(await verifyGroupEntries(undefined, scene.rows, { conversation: scene.conversation, accountState: lookup(scene) }), 'replays');
  expect(replayed.state).toEqual(scene.state);
  expect(scene.state!.members.get(stranger.account)).toMatchObject({ joinedHeight: 2, joinedRt: 2_000, role: 'admin' });
  expect(scene.state!.epochs).toEqual([{ epoch: 1, height: 1 }, { epoch: 2, height: 3 }, { epoch: 3, height: 5 }]);
  expect([1, 2, 3, 4, 6].map((height) => roleAt(scene.state!, other.account, height))).toEqual(['member', 'member', undefined, undefined, undefined]);
  expect([1, 2, 5, 6].map((height) => roleAt(scene.state!, stranger.account, height))).toEqual([undefined, 'member', 'member', 'admin']);
  expect(scene.state!.creator).toBe(owner.account);
});

test('[CH11] nobody speaks for another: strangers, other devices, other keys and forged authors are refused', async () => {
  const { scene, owner, member, stranger, random } = await makeScene(23);
  expect(await fault(scene, stranger, rotate)).toBe('not-member');
  const entry = await draft(scene, owner, rotate);
  expect(await forge(scene, entry, {}, member.devices[0]!)).toBe('wrong-signature');
  expect(await forge(scene, entry, { actor: member.account }, member.devices[0]!)).toBe('author-invalid');
  expect(await forge(scene, entry, { device: member.devices[0]!.id }, member.devices[0]!)).toBe('author-invalid');
  expect(await forge(scene, entry, { actor: bytesToId(random.bytes(16)) }, member.devices[0]!)).toBe('unknown-author');
  expect(await forge(scene, entry, { authorHeight: owner.state.height + 1 }, owner.devices[0]!)).toBe('author-invalid');
  expect(await forge(scene, entry, {}, owner.devices[0]!)).toBeUndefined();
});

test('[CH11] a revoked device writes nothing more once that is pinned, and a newcomer still replays what it wrote before', async () => {
  const { random, scene, owner, member, stranger } = await makeScene(24);
  const lost = await addDevice(member, random);
  scene.state = unwrap(await attempt(scene, member, [rotate], lost), 'the device is valid').state;
  await revokeDevice(member, lost);
  const atNow = await attempt(scene, member, [rotate], lost);
  expect(atNow).toEqual({ ok: false, error: 'author-invalid' });
  const before = member.state.devices.get(lost.id)!.revokedAt! - 1;
  const backdated = await attempt(scene, member, [rotate], lost, before);
  expect(backdated.ok).toBe(true); // the server's own clock of authority: until somebody pins, the past is open
  scene.rows.pop();
  await act(scene, owner, { type: 'rotate', gens: [{ account: member.account, uekGen: 2 }] }, pin(member));
  expect(await attempt(scene, member, [rotate], lost, before)).toEqual({ ok: false, error: 'author-below-pin' });
  await act(scene, owner, add(stranger));
  const newcomer = await verifyGroupEntries(undefined, scene.rows, { conversation: scene.conversation, accountState: lookup(scene) });
  expect(newcomer.ok && newcomer.value.state).toEqual(scene.state);
});

test('[CH11] an add pins the account as the adder saw it: a device revoked before never acts here', async () => {
  const { random, scene, admin, stranger } = await makeScene(25);
  const lost = await addDevice(stranger, random);
  const before = stranger.state.height;
  await revokeDevice(stranger, lost);
  await act(scene, admin, add(stranger));
  expect(await attempt(scene, stranger, [rotate], lost, before)).toEqual({ ok: false, error: 'author-below-pin' });
  expect(await fault(scene, stranger, rotate)).toBeUndefined();
});

test('[CH12] operations are for those whose role allows them, judged by the roster before the entry', async () => {
  const { scene, owner, admin, member, other, stranger } = await makeScene(26);
  const denied: readonly (readonly [Person, GroupOp])[] = [
    [member, add(stranger)], [member, remove(other)], [member, role(other, 'admin')], [member, role(member, 'admin')], [member, meta],
    [member, { type: 'policy', sharesHistory: false }], [member, { type: 'cut', cuts: [] }],
    [admin, add(stranger, 'admin')], [admin, add(stranger, 'owner')], [admin, remove(owner)], [admin, remove(admin)], [admin, role(member, 'admin')],
    [owner, remove(owner)], [owner, create(owner)],
  ];
  for (const [by, op] of denied) expect(await fault(scene, by, op), op.type).toBe('not-allowed');
  for (const [by, op] of [[admin, add(stranger)], [admin, remove(member)], [admin, meta], [owner, add(stranger, 'owner')], [owner, role(member, 'owner')], [member, rotate]] as const) {
    expect(await fault(scene, by, op), op.type).toBeUndefined();
  }
  expect(await fault(scene, admin, add(member))).toBe('member-exists');
  expect(await fault(scene, admin, remove(stranger))).toBe('member-unknown');
  expect(await fault(scene, owner, role(stranger, 'admin'))).toBe('member-unknown');
  expect(await fault(scene, owner)).toBe('no-ops');
  // A forged admin operation: a member signs for itself what only an admin may do.
  const entry = await draft(scene, admin, remove(other));
  expect(await forge(scene, entry, { actor: member.account, device: member.devices[0]!.id, authorHeight: member.state.height }, member.devices[0]!)).toBe('not-allowed');
  // The role before the entry counts: who gives it up still finishes the entry, and who makes an owner in the same entry does not act as one.
  expect(await fault(scene, owner, role(owner, 'member'), meta)).toBeUndefined();
  await act(scene, owner, role(admin, 'owner'));
  expect(await fault(scene, owner, remove(admin))).toBe('not-allowed');
  expect(await fault(scene, owner, role(admin, 'member'))).toBe('not-allowed');
});

test('[CH12] the first entry creates, once, with nothing beside adds and metadata', async () => {
  const { scene, owner, member, stranger, random } = await makeScene(27);
  const fresh = (): Scene => ({ conversation: groupConversationId(random), people: scene.people, rows: [], state: undefined });
  expect(await fault(fresh(), owner, add(member))).toBe('not-allowed');
  expect(await fault(fresh(), owner, create(owner), rotate)).toBe('not-allowed');
  expect(await fault(fresh(), owner, create(owner), create(owner))).toBe('not-allowed');
  expect(await fault(fresh(), owner, create(owner), add(owner))).toBe('member-exists');
  expect(await fault(fresh(), owner, { ...(create(owner) as GroupOp & { type: 'create' }), uekGen: 2 })).toBe('wrong-generation');
  expect(await fault(fresh(), owner, create(owner), { ...(add(stranger) as GroupOp & { type: 'add' }), uekGen: 2 })).toBe('wrong-generation');
  expect(await fault(fresh(), owner, create(owner), add(stranger), meta)).toBeUndefined();
  expect(await fault(fresh(), owner, create(owner), { type: 'meta', sealed: new Uint8Array(sealedMetaSizeBytesMax) })).toBeUndefined();
  const big = encodeOps([{ type: 'meta', sealed: new Uint8Array(sealedMetaSizeBytesMax + 1) }]);
  expect(decodeOps(big)).toBeUndefined();
});

test('[CH13] a remove, a rotate and an add under closed history make a new epoch; nothing else does, and none is skipped', async () => {
  const open = await makeScene(28);
  const epochOf = async (scene: Scene, by: Person, ...ops: readonly GroupOp[]) => {
    const result = unwrap(await attempt(scene, by, ops), 'allowed');
    scene.rows.pop();
    return result.state.epoch;
  };
  expect(await epochOf(open.scene, open.admin, add(open.stranger))).toBe(1);
  expect(await epochOf(open.scene, open.owner, remove(open.member))).toBe(2);
  expect(await epochOf(open.scene, open.member, rotate)).toBe(2);
  expect(await epochOf(open.scene, open.member, leave)).toBe(1);
  expect(await epochOf(open.scene, open.owner, role(open.member, 'admin'), meta)).toBe(1);
  expect(await epochOf(open.scene, open.owner, { type: 'policy', sharesHistory: false }, add(open.stranger))).toBe(2);
  const entry = await draft(open.scene, open.member, rotate);
  for (const epoch of [0, 1, 3]) expect(await forge(open.scene, entry, { epoch }, open.member.devices[0]!)).toBe('wrong-epoch');
  const quiet = await draft(open.scene, open.owner, meta);
  expect(await forge(open.scene, quiet, { epoch: 2 }, open.owner.devices[0]!)).toBe('wrong-epoch');
  const closed = await makeScene(29, false);
  expect(await epochOf(closed.scene, closed.admin, add(closed.stranger))).toBe(2);
});

test('[CH13] a new epoch carries a link exactly where history is shared', async () => {
  const open = await makeScene(30);
  const entry = await draft(open.scene, open.member, rotate);
  expect(await forge(open.scene, entry, { link: new Uint8Array(0) }, open.member.devices[0]!)).toBe('wrong-link');
  expect(await forge(open.scene, entry, { link: new Uint8Array(linkSizeBytes - 1) }, open.member.devices[0]!)).toBe('wrong-link');
  const quiet = await draft(open.scene, open.owner, meta);
  expect(await forge(open.scene, quiet, { link: new Uint8Array(linkSizeBytes) }, open.owner.devices[0]!)).toBe('wrong-link');
  const closed = await makeScene(31, false);
  const unlinked = await draft(closed.scene, closed.member, rotate);
  expect(await forge(closed.scene, unlinked, { link: new Uint8Array(linkSizeBytes) }, closed.member.devices[0]!)).toBe('wrong-link');
});

test('[CH14] after somebody left only leaves or a new epoch may follow, and a leaver makes none', async () => {
  const { scene, owner, admin, member, other, stranger } = await makeScene(32);
  expect(await fault(scene, member, leave, rotate)).toBe('leaver-makes-epoch');
  expect(await fault(scene, admin, remove(member), leave)).toBe('leaver-makes-epoch');
  expect(await fault(scene, admin, leave, add(stranger))).toBe('not-allowed');
  await act(scene, member, leave);
  expect(scene.state).toMatchObject({ rotationDue: true, epoch: 1 });
  expect(await fault(scene, member, rotate)).toBe('not-member');
  expect(await fault(scene, owner, meta)).toBe('rotation-due');
  expect(await fault(scene, owner, add(stranger))).toBe('rotation-due');
  expect(await fault(scene, owner, role(other, 'owner'), leave)).toBe('rotation-due');
  await act(scene, other, leave);
  await act(scene, owner, add(stranger), rotate);
  expect(scene.state).toMatchObject({ rotationDue: false, epoch: 2 });
  expect([...scene.state!.members.keys()].sort()).toEqual([owner, admin, stranger].map(({ account }) => account).sort());
});

test('[CH14] the last one out leaves no rotation behind', async () => {
  const random = seededRandom(33);
  const owner = await makePerson(random);
  const scene: Scene = { conversation: groupConversationId(random), people: new Map([[owner.account, owner]]), rows: [], state: undefined };
  await act(scene, owner, create(owner));
  await act(scene, owner, leave);
  expect(scene.state).toMatchObject({ rotationDue: false });
  expect(scene.state!.members.size).toBe(0);
});

test('[CH15] cuts silence only whom they may: in a remove its own devices, in a pin revoked ones, bare ones only raise', async () => {
  const { random, scene, owner, admin, member, other } = await makeScene(34);
  const healthy = member.devices[0]!.id;
  const lost = await addDevice(member, random);
  const cut = (device: DeviceId, slot: number, lastCtr: number) => ({ device, slot, lastCtr });
  expect(await fault(scene, admin, remove(other, [cut(healthy, 1, 5)]))).toBe('cut-not-allowed');
  expect(await fault(scene, owner, pin(member, [cut(healthy, 1, 5)]))).toBe('cut-not-allowed'); // silencing a healthy device
  expect(await fault(scene, owner, pin(member, [cut(lost.id, 1, 5)]))).toBe('cut-not-allowed'); // not revoked yet
  const revokedBelow = member.state.height;
  await revokeDevice(member, lost);
  const below = { ...(pin(member, [cut(lost.id, 1, 5)]) as GroupOp & { type: 'pin' }), accountHeight: revokedBelow, accountHead: member.state.heads[revokedBelow]! };
  expect(await fault(scene, owner, below)).toBe('cut-not-allowed'); // revoked, but above the pinned height
  expect(await fault(scene, owner, pin(other, [cut(lost.id, 1, 5)]))).toBe('cut-not-allowed');
  expect(await fault(scene, owner, pin(member, [cut(lost.id, 1, 5), cut(lost.id, 1, 6)]))).toBe('cut-not-allowed');
  await act(scene, other, pin(member, [cut(lost.id, 1, 5), cut(lost.id, 0, -1)]));
  expect(await fault(scene, other, pin(member, [cut(lost.id, 1, 9)]))).toBe('cut-not-allowed');
  expect(await fault(scene, other, pin(member, [cut(lost.id, 1, 2)]))).toBe('cut-not-allowed');
  expect(await fault(scene, admin, { type: 'cut', cuts: [cut(lost.id, 1, 5)] })).toBe('cut-not-allowed');
  expect(await fault(scene, admin, { type: 'cut', cuts: [cut(lost.id, 7, 9)] })).toBe('cut-not-allowed');
  expect(await fault(scene, admin, remove(member, [cut(lost.id, 1, 4)]))).toBe('cut-not-allowed');
  await act(scene, admin, { type: 'cut', cuts: [cut(lost.id, 1, 8)] });
  const entry = (slot: number, ctr: number, device = lost.id) => ({ device, slot, ctr, logHeight: 1 });
  expect([entry(1, 8), entry(1, 9), entry(2, 0), entry(2, 0, healthy)].map((at) => isCut(scene.state!, at))).toEqual([false, true, true, false]);
});

test('[CH15] who is added again starts clean, and what was cut before stays cut', async () => {
  const { scene, admin, member } = await makeScene(35);
  const device = member.devices[0]!.id;
  await act(scene, admin, remove(member, [{ device, slot: 4, lastCtr: 10 }]));
  expect(isCut(scene.state!, { device, slot: 4, ctr: 11, logHeight: 2 })).toBe(true);
  await act(scene, admin, add(member));
  const { height } = scene.state!;
  expect(isCut(scene.state!, { device, slot: 4, ctr: 11, logHeight: height })).toBe(false);
  expect(isCut(scene.state!, { device, slot: 4, ctr: 11, logHeight: height - 1 })).toBe(true);
  expect(isCut(scene.state!, { device, slot: 4, ctr: 10, logHeight: height - 1 })).toBe(false);
  await act(scene, admin, remove(member, [{ device, slot: 4, lastCtr: 20 }]));
  expect(isCut(scene.state!, { device, slot: 4, ctr: 21, logHeight: height })).toBe(true);
  expect(isCut(scene.state!, { device, slot: 4, ctr: 15, logHeight: height - 1 })).toBe(true);
});

test('[CH16] a pin names a height that exists, with its head, never below the one before', async () => {
  const { random, scene, owner, member, stranger } = await makeScene(36);
  const at = (change: object) => ({ ...(pin(member) as GroupOp & { type: 'pin' }), ...change });
  expect(await fault(scene, owner, at({ accountHeight: member.state.height + 1 }))).toBe('pin-beyond-log');
  expect(await fault(scene, owner, at({ accountHead: random.bytes(32) }))).toBe('wrong-account-head');
  expect(await fault(scene, owner, pin(stranger))).toBe('member-unknown');
  await addDevice(member, random);
  await act(scene, owner, pin(member));
  expect(await fault(scene, owner, at({ accountHeight: 0, accountHead: member.state.heads[0] }))).toBe('pin-not-allowed');
  expect(await fault(scene, owner, { ...(add(stranger) as GroupOp & { type: 'add' }), accountHead: random.bytes(32) })).toBe('wrong-account-head');
  expect(await fault(scene, owner, { ...(add(stranger) as GroupOp & { type: 'add' }), accountHeight: 9 })).toBe('pin-beyond-log');
});

test('[CH16] a rotation names generations that exist and are newer', async () => {
  const { scene, owner, member, stranger } = await makeScene(37);
  const to = (person: Person, uekGen: number): GroupOp => ({ type: 'rotate', gens: [{ account: person.account, uekGen }] });
  expect(await fault(scene, owner, to(member, 1))).toBe('wrong-generation');
  expect(await fault(scene, owner, to(member, 2))).toBe('wrong-generation');
  expect(await fault(scene, owner, to(stranger, 1))).toBe('member-unknown');
  await rotateUek(member);
  await act(scene, owner, to(member, 2));
  expect(scene.state!.members.get(member.account)!.uekGen).toBe(2);
});

test('[CH17] the roster an entry signs is the one everybody computes', async () => {
  const { scene, owner, random } = await makeScene(38);
  const entry = await draft(scene, owner, rotate);
  expect(await forge(scene, entry, { rosterHash: random.bytes(32) }, owner.devices[0]!)).toBe('wrong-roster-hash');
  const members = [...scene.state!.members.values()];
  expect(rosterHash(members)).toEqual(rosterHash([...members].reverse()));
  expect(rosterHash(members)).not.toEqual(rosterHash(members.slice(1)));
  expect(rosterHash(members)).not.toEqual(rosterHash(members.map((member) => ({ ...member, uekGen: 9 }))));
});

test('[CH18] a chat of two and the saved messages of one have ids that follow from who is in them, and stay as they are', async () => {
  const { scene, owner, member, other, random } = await makeScene(39);
  const fresh = (conversation: ConversationId): Scene => ({ conversation, people: scene.people, rows: [], state: undefined });
  const two = directConversationId(owner.account, member.account);
  expect(directConversationId(member.account, owner.account)).toBe(two);
  expect(await fault(fresh(groupConversationId(random)), owner, create(owner, 'direct'), add(member, 'owner'))).toBe('wrong-conversation');
  expect(await fault(fresh(two), owner, create(owner, 'direct'), add(other, 'owner'))).toBe('wrong-conversation');
  expect(await fault(fresh(two), owner, create(owner, 'direct'))).toBe('direct-is-two');
  expect(await fault(fresh(two), owner, create(owner, 'direct'), add(member))).toBe('direct-is-two');
  expect(await fault(fresh(two), owner, create(owner, 'direct'), add(member, 'owner'), add(other, 'owner'))).toBe('direct-is-two');
  expect(await fault(fresh(two), owner, create(owner, 'group'), add(member))).toBe('wrong-conversation'); // nobody sits on the id
  const alone = selfConversationId(owner.account);
  expect(await fault(fresh(alone), owner, create(owner, 'self'), add(member))).toBe('direct-is-two');
  expect(await fault(fresh(alone), member, create(member, 'self'))).toBe('wrong-conversation');
  expect(isDerivedId(two) && isDerivedId(alone) && !isDerivedId(groupConversationId(random))).toBe(true);
  const direct = fresh(two);
  await act(direct, owner, create(owner, 'direct'), add(member, 'owner'));
  for (const op of [add(other), remove(member), leave, role(member, 'member')]) expect(await fault(direct, owner, op), op.type).toBe('direct-is-two');
  await act(direct, member, meta);
  await act(direct, member, rotate);
  const self = fresh(alone);
  await act(self, owner, create(owner, 'self'));
  expect(await fault(self, owner, add(other))).toBe('direct-is-two');
  expect(await fault(self, owner, leave)).toBe('direct-is-two');
});

test('[CH19] an entry travels with exactly the wraps it needs', async () => {
  const { scene, owner, admin, stranger } = await makeScene(40);
  const wrapsOf = async (by: Person, ...ops: readonly GroupOp[]) => {
    const result = unwrap(await attempt(scene, by, ops), 'allowed');
    scene.rows.pop();
    return result.wraps;
  };
  expect(await wrapsOf(owner, meta)).toEqual([]);
  expect(await wrapsOf(admin, add(stranger))).toEqual([{ account: stranger.account, uekGen: 1 }]);
  const needs = await wrapsOf(owner, rotate);
  expect(needs.map(({ account }) => account).sort()).toEqual([...scene.state!.members.keys()].sort());
  const wraps = needs.map((need) => ({ ...need, wrap: new Uint8Array(wrapSizeBytes) }));
  expect(wrapsMatch(needs, wraps)).toBe(true);
  expect(wrapsMatch(needs, wraps.slice(1))).toBe(false);
  expect(wrapsMatch(needs, [...wraps.slice(1), wraps[1]!])).toBe(false);
  expect(wrapsMatch(needs, [{ ...wraps[0]!, uekGen: 2 }, ...wraps.slice(1)])).toBe(false);
  expect(wrapsMatch(needs, [{ ...wraps[0]!, wrap: new Uint8Array(wrapSizeBytes - 1) }, ...wraps.slice(1)])).toBe(false);
});

test('[CH19] whose logs are needed to judge an entry is said before judging it', async () => {
  const { scene, owner, admin, member, stranger } = await makeScene(41);
  const entry = unwrap(decodeGroupEntry(scene.rows[0]!.entry), 'decodes');
  expect([...accountsOf(entry)].sort()).toEqual([...scene.state!.members.keys()].sort());
  await rotateUek(member);
  const ops: readonly GroupOp[] = [add(stranger), remove(admin), { type: 'rotate', gens: [{ account: member.account, uekGen: 2 }] }, pin(member)];
  expect([...accountsOf({ actor: owner.account, ops })].sort()).toEqual([owner, admin, member, stranger].map(({ account }) => account).sort());
});

test('[CH12] a group has room for its bound of members and no more', async () => {
  const { scene, owner, stranger } = await makeScene(42);
  const members = new Map(scene.state!.members);
  for (let i = 0; members.size < limits.membersMax; i++) {
    const account = bytesToId<AccountId>(sha256(Uint8Array.of(i & 255, i >> 8)).slice(0, 16));
    members.set(account, { account, role: 'member', uekGen: 1, joinedHeight: 1, joinedRt: 1 });
  }
  const full: Scene = { ...scene, rows: [...scene.rows], state: { ...scene.state!, members } };
  expect(await fault(full, owner, add(stranger))).toBe('too-many-members');
  members.delete([...members.keys()].at(-1)!);
  expect(await fault(full, owner, add(stranger))).toBeUndefined();
});
