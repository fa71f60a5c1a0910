import { expect, test } from 'vitest';
import { decodeGroupEntry, encodeGroupCore, encodeGroupEntry, groupSignedBytes, groupSignPurpose } from '#lib/chains/group-entry.ts';
import { directConversationId } from '#lib/chains/conversation-id.ts';
import { isCut } from '#lib/chains/cuts.ts';
import { addDevice, revokeDevice, rotateUek } from '#lib/chains/fixtures/people.ts';
import { sha256, sign } from '#lib/crypto/primitives.ts';
import { bytesToId, idToBytes, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import { makeGroup, makeWorld, openClient, plainMeta, type Client } from './fixtures/world.ts';
import { confirmationTag, openLink } from './keys.ts';
import { openWrap, sealWrap } from './wraps.ts';

/** What two devices that share an epoch can do: one seals, the other opens. */
async function shareEpoch(a: Client, b: Client, conversation: ConversationId, epoch: number): Promise<boolean> {
  const [left, right] = [await a.groups.epochKeys(conversation, epoch), await b.groups.epochKeys(conversation, epoch)];
  if (!left || !right) return false;
  const iv = new Uint8Array(12);
  const additionalData = idToBytes(conversation);
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, left.content, textToBytes('hello'));
  return crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, right.content, sealed).then(() => true, () => false);
}

/** The raw secret of an epoch as this device holds it. */
async function secretOf(client: Client, conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
  const stored = await client.database.read(['epochs'], (tx) => tx.get('epochs', [conversation, epoch]));
  return stored && unwrap(await client.sealer.unseal('epochs', [conversation, epoch], stored.sealedSecret), 'ours');
}

async function heightOf(client: Client, conversation: ConversationId): Promise<number> {
  return (await client.groups.state(conversation))?.height ?? 0;
}

test('[GR1] a group made by one is the same for all: state, keys and name', async () => {
  const { clients, conversation } = await makeGroup(1, 4);
  const [alice] = clients;
  const state = await alice.groups.state(conversation);
  for (const client of clients) {
    expect(await client.groups.state(conversation)).toEqual(state);
    expect(await shareEpoch(alice, client, conversation, 1)).toBe(true);
    expect(await client.groups.meta(conversation)).toEqual(plainMeta('a group'));
    expect(client.changes.at(-1)).toEqual(state);
  }
});

test('[GR1] a log forked by the server is refused with an alarm, and nothing of it is kept', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(2, 2);
  const log = world.logs.get(conversation)!;
  const fork = { state: log.state, rows: [...log.rows], wraps: new Map(log.wraps) };
  unwrap(await alice.groups.rotate(conversation), 'alice rotates'); // the half the server shows to alice
  unwrap(await alice.groups.rotate(conversation), 'alice rotates');
  const shown = world.logs.get(conversation)!;
  world.logs.set(conversation, fork); // the half it shows to bob
  unwrap(await bob.groups.rotate(conversation), 'bob rotates');
  world.logs.set(conversation, shown); // and now they meet
  const before = await bob.groups.state(conversation);
  expect(await bob.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-prev', height: 3 } });
  expect(bob.alarms).toEqual([{ fault: 'wrong-prev', height: 3 }]);
  expect(await bob.groups.state(conversation)).toEqual(before);
  expect(await bob.groups.log(conversation)).toHaveLength(2);
});

test('[GR1] a log shorter than it was, entries left out, swapped or made up: each is an alarm', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(3, 2);
  for (let i = 0; i < 3; i++) unwrap(await alice.groups.rotate(conversation), 'rotates');
  const attack = async (change: Client['network']['fetch']) => {
    bob.network.fetch = change;
    const result = await bob.groups.sync(conversation);
    bob.network.fetch = (answer) => answer;
    return result.ok ? undefined : result.error;
  };
  const first = (answer: { entries: readonly { entry: Bytes; rt: number }[] }) => answer.entries[0]!;
  expect(await attack((answer) => ({ ...answer, logHeight: 0, entries: [] }))).toEqual({ type: 'alarm', fault: 'log-shorter', height: 0 });
  expect(await attack((answer) => ({ ...answer, entries: answer.entries.slice(1), logHeight: 3 }))).toMatchObject({ type: 'alarm', fault: 'wrong-height' });
  expect(await attack((answer) => ({ ...answer, entries: [answer.entries[1]!, first(answer), answer.entries[2]!] }))).toMatchObject({ type: 'alarm', fault: 'wrong-height' });
  expect(await attack((answer) => ({ ...answer, entries: [first(answer), first(answer), ...answer.entries.slice(2)] }))).toMatchObject({ type: 'alarm', fault: 'wrong-height', height: 3 });
  expect(await attack((answer) => ({ ...answer, entries: [{ entry: world.random.bytes(400), rt: 1 }, ...answer.entries.slice(1)] }))).toMatchObject({ type: 'alarm', fault: 'malformed', height: 2 });
  expect(await heightOf(bob, conversation)).toBe(1);
  unwrap(await bob.groups.sync(conversation), 'an honest answer is taken');
  expect(await heightOf(bob, conversation)).toBe(4);
});

test('[GR2] a wrap that is not for this member, or was changed, is an alarm', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(4, 3);
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  const honest = world.logs.get(conversation)!.wraps;
  const others = honest.get(carol.person.account)!;
  const flipped = honest.get(bob.person.account)!.wrap.slice();
  flipped[100] = flipped[100]! ^ 1;
  for (const wrap of [others.wrap, flipped, world.random.bytes(113)]) {
    bob.network.fetch = (answer) => ({ ...answer, wrap: { ...answer.wrap!, wrap } });
    expect(await bob.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-wrap', height: 2 } });
  }
  bob.network.fetch = (answer) => ({ ...answer, wrap: { ...answer.wrap!, height: 1 } }); // bound to another entry
  expect(await bob.groups.sync(conversation)).toMatchObject({ error: { fault: 'wrong-wrap' } });
  bob.network.fetch = (answer) => answer;
  unwrap(await bob.groups.sync(conversation), 'an honest wrap opens');
  expect(await shareEpoch(alice, bob, conversation, 2)).toBe(true);
});

test('[GR2] a rotator who gives one member another key is found out by the tag', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(5, 3);
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  const log = world.logs.get(conversation)!;
  const { commitment } = unwrap(decodeGroupEntry(log.rows[1]!.entry), 'decodes');
  const place = { conversation, epoch: 2, commitment, account: bob.person.account, uekGen: 1 };
  const wrap = (await sealWrap(world.random.bytes(32), bob.person.ueks.get(1)!.publicKey, place))!;
  log.wraps.set(bob.person.account, { ...log.wraps.get(bob.person.account)!, wrap });
  const fault = await bob.groups.sync(conversation);
  expect(['wrong-link', 'wrong-tag']).toContain(fault.ok ? undefined : fault.error.type === 'alarm' ? fault.error.fault : undefined);
  unwrap(await carol.groups.sync(conversation), 'the others are well');
  expect(await heightOf(bob, conversation)).toBe(1);
});

test('[GR2] where no link could tell, the tag alone finds another key out', async () => {
  const world = makeWorld(6);
  const [alice, bob] = [await openClient(world, await world.addPerson()), await openClient(world, await world.addPerson())];
  const conversation = unwrap(await alice.groups.createGroup({ meta: plainMeta('closed'), members: [bob.person.account], sharesHistory: false }), 'made');
  unwrap(await bob.groups.sync(conversation), 'joined');
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  const log = world.logs.get(conversation)!;
  const { commitment } = unwrap(decodeGroupEntry(log.rows[1]!.entry), 'decodes');
  const wrap = (await sealWrap(world.random.bytes(32), bob.person.ueks.get(1)!.publicKey, { conversation, epoch: 2, commitment, account: bob.person.account, uekGen: 1 }))!;
  log.wraps.set(bob.person.account, { ...log.wraps.get(bob.person.account)!, wrap });
  expect(await bob.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-tag', height: 2 } });
});

test('[GR2] an entry by somebody without the epoch\'s key passes the server and no member', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(7, 2);
  const thief = await addDevice(bob.person, world.random); // a device's key alone, say, and never the epoch's
  const state = (await alice.groups.state(conversation))!;
  const { epoch, rosterHash } = unwrap(decodeGroupEntry(world.logs.get(conversation)!.rows[0]!.entry), 'decodes');
  const core = encodeGroupCore({
    conversation, height: 2, prev: state.head, actor: bob.person.account, device: thief.id, authorHeight: bob.person.state.height,
    epoch, rosterHash, link: new Uint8Array(0), ops: [{ type: 'pin', account: bob.person.account, accountHeight: bob.person.state.height, accountHead: bob.person.state.head, cuts: [] }],
  });
  const tag = confirmationTag(world.random.bytes(32), sha256(core));
  const entry = encodeGroupEntry(core, tag, await sign(thief.signKey, groupSignPurpose, groupSignedBytes(sha256(core), tag)));
  expect((await world.append(conversation, entry, [])).ok).toBe(true);
  expect(await alice.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-tag', height: 2 } });
});

test('[GR2] a link to a key that was never the one before is an alarm', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(8, 2);
  await bob.database.write(['epochs'], async (tx) => { // bob remembers another key for epoch 1, as if alice had lied about it
    await tx.put('epochs', [conversation, 1], { sealedSecret: await bob.sealer.seal('epochs', [conversation, 1], world.random.bytes(32)) });
  });
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  expect(await bob.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-link', height: 2 } });
});

test('[GR3] a newcomer reads what was written before them where history is shared', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(9, 2);
  for (let i = 0; i < 3; i++) unwrap(await bob.groups.rotate(conversation), 'rotates');
  unwrap(await alice.groups.sync(conversation), 'syncs');
  const carol = await openClient(world, await world.addPerson());
  unwrap(await alice.groups.addMembers(conversation, [carol.person.account]), 'added');
  unwrap(await carol.groups.sync(conversation), 'joined');
  expect((await carol.groups.state(conversation))!.epoch).toBe(4);
  for (const epoch of [1, 2, 3, 4]) expect(await shareEpoch(alice, carol, conversation, epoch)).toBe(true);
  expect(await carol.groups.meta(conversation)).toEqual(plainMeta('a group'));
});

test('[GR3] a newcomer reads nothing from before where it is not, and still knows the name', async () => {
  const world = makeWorld(10);
  const [alice, bob, carol] = [await openClient(world, await world.addPerson()), await openClient(world, await world.addPerson()), await openClient(world, await world.addPerson())];
  const conversation = unwrap(await alice.groups.createGroup({ meta: plainMeta('closed'), members: [bob.person.account], sharesHistory: false }), 'made');
  unwrap(await bob.groups.sync(conversation), 'was there from the start');
  unwrap(await alice.groups.addMembers(conversation, [carol.person.account]), 'added');
  unwrap(await carol.groups.sync(conversation), 'joined');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await carol.groups.epochKeys(conversation, 1)).toBeUndefined();
  expect(await shareEpoch(alice, carol, conversation, 2)).toBe(true);
  expect(await shareEpoch(alice, bob, conversation, 1)).toBe(true);
  expect(await carol.groups.meta(conversation)).toEqual(plainMeta('closed'));
});

test('[GR4] who was removed opens nothing written after, with any key they hold and the exact associated data', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(11, 3);
  unwrap(await alice.groups.removeMember(conversation, carol.person.account), 'removed');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await carol.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'not-member' } });
  expect(await carol.groups.epochKeys(conversation, 2)).toBeUndefined();

  const log = world.logs.get(conversation)!;
  const { commitment, link } = unwrap(decodeGroupEntry(log.rows[1]!.entry), 'decodes');
  expect(log.wraps.get(carol.person.account)!.epoch).toBe(1); // none was made for her
  const uek = carol.person.ueks.get(1)!;
  const her = { key: uek.privateKey, publicKey: uek.publicKey };
  for (const { account, uekGen, wrap } of [...log.wraps.values()].filter(({ epoch }) => epoch === 2)) {
    expect(await openWrap(wrap, her, { conversation, epoch: 2, commitment, account, uekGen })).toBeUndefined();
    expect(await openWrap(wrap, her, { conversation, epoch: 2, commitment, account: carol.person.account, uekGen })).toBeUndefined();
  }
  const old = (await secretOf(carol, conversation, 1))!;
  expect(await openLink(old, link, conversation, 2)).toBeUndefined();
  // The very same calls open for those who may.
  const bobs = log.wraps.get(bob.person.account)!;
  const bobKey = { key: bob.person.ueks.get(1)!.privateKey, publicKey: bob.person.ueks.get(1)!.publicKey };
  const secret = await openWrap(bobs.wrap, bobKey, { conversation, epoch: 2, commitment, account: bob.person.account, uekGen: 1 });
  expect(secret).toEqual(await secretOf(alice, conversation, 2));
  expect(await openLink(secret!, link, conversation, 2)).toEqual(old);
});

test('[GR4] who was removed changes nothing any more and is told so', async () => {
  const { clients: [alice, , carol], conversation } = await makeGroup(12, 3);
  unwrap(await alice.groups.removeMember(conversation, carol.person.account), 'removed');
  expect(await carol.groups.rotate(conversation)).toMatchObject({ ok: false, error: { type: 'unknown-chat' } });
  expect(await heightOf(alice, conversation)).toBe(2);
  unwrap(await alice.groups.addMembers(conversation, [carol.person.account]), 'added again');
  unwrap(await carol.groups.rotate(conversation), 'back in, without being asked to sync first');
});

test('[GR5] two admins remove each other\'s target at once: one wins, the other finds it done', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(13, 3);
  unwrap(await alice.groups.setRole(conversation, bob.person.account, 'admin'), 'role');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  const results = await Promise.all([alice, bob].map((client) => client.groups.removeMember(conversation, carol.person.account)));
  expect(results).toEqual([{ ok: true, value: undefined }, { ok: true, value: undefined }]);
  expect(world.logs.get(conversation)!.rows).toHaveLength(3); // exactly one remove
  expect(await alice.groups.state(conversation)).toEqual(await bob.groups.state(conversation));
});

test('[GR5] two different changes at once both happen, one after the other, under one key', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(14, 3);
  unwrap(await alice.groups.setRole(conversation, bob.person.account, 'admin'), 'role');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  const dave = await openClient(world, await world.addPerson());
  const results = await Promise.all([
    alice.groups.removeMember(conversation, carol.person.account),
    bob.groups.addMembers(conversation, [dave.person.account]),
  ]);
  expect(results.every(({ ok }) => ok)).toBe(true);
  for (const client of [alice, bob, dave]) unwrap(await client.groups.sync(conversation), 'syncs');
  const state = (await dave.groups.state(conversation))!;
  expect([...state.members.keys()].sort()).toEqual([alice, bob, dave].map(({ person }) => person.account).sort());
  expect(await alice.groups.state(conversation)).toEqual(state);
  expect(await shareEpoch(alice, dave, conversation, state.epoch)).toBe(true);
  expect(await shareEpoch(bob, dave, conversation, state.epoch)).toBe(true);
});

test('[GR5] a change that the winner made void is refused to the loser', async () => {
  const { clients: [alice, bob, carol], conversation } = await makeGroup(15, 3);
  unwrap(await alice.groups.setRole(conversation, bob.person.account, 'admin'), 'role');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  let raced = false;
  bob.network.beforeAppend = async () => {
    if (raced) return;
    raced = true;
    unwrap(await alice.groups.setRole(conversation, bob.person.account, 'member'), 'demoted meanwhile');
  };
  expect(await bob.groups.removeMember(conversation, carol.person.account)).toEqual({ ok: false, error: { type: 'not-allowed' } });
  expect((await alice.groups.state(conversation))!.members.has(carol.person.account)).toBe(true);
});

test('[GR5] nothing is called done, or refused, on the word of a roster that has moved on', async () => {
  const { clients: [alice, bob, carol], conversation } = await makeGroup(37, 3);
  unwrap(await alice.groups.setRole(conversation, bob.person.account, 'admin'), 'role');
  unwrap(await bob.groups.removeMember(conversation, carol.person.account), 'bob did not know of his role yet');
  unwrap(await alice.groups.sync(conversation), 'alice knows carol is out');
  unwrap(await bob.groups.addMembers(conversation, [carol.person.account]), 'and not that she is back');
  unwrap(await alice.groups.removeMember(conversation, carol.person.account), 'removed');
  expect((await alice.groups.state(conversation))!.members.has(carol.person.account)).toBe(false);
  unwrap(await bob.groups.addMembers(conversation, [carol.person.account]), 'bob believes she is in');
  expect((await bob.groups.state(conversation))!.members.has(carol.person.account)).toBe(true);
  alice.network.online = false;
  expect(await alice.groups.addMembers(conversation, [bob.person.account])).toEqual({ ok: false, error: { type: 'offline' } });
  expect(await alice.groups.setMeta(conversation, { name: '' })).toEqual({ ok: false, error: { type: 'name-invalid' } });
});

test('[GR5] whoever loses every time gives up with words, not for ever', async () => {
  const { clients: [alice, bob], conversation } = await makeGroup(16, 2);
  bob.network.beforeAppend = async () => {
    unwrap(await alice.groups.setMeta(conversation, { description: `${await heightOf(alice, conversation)}` }), 'faster');
  };
  let offered = 0;
  const { wraps } = bob.network;
  bob.network.wraps = (given) => {
    offered += 1;
    return wraps(given);
  };
  expect(await bob.groups.rotate(conversation)).toEqual({ ok: false, error: { type: 'failed', detail: 'others were faster each time' } });
  expect(offered).toBe(8);
});

test('[GR5] both start a chat with each other at once, and it is one chat', async () => {
  const world = makeWorld(17);
  const [alice, bob] = [await openClient(world, await world.addPerson()), await openClient(world, await world.addPerson())];
  const [left, right] = await Promise.all([alice.groups.createDirect(bob.person.account), bob.groups.createDirect(alice.person.account)]);
  const conversation = directConversationId(alice.person.account, bob.person.account);
  expect([left, right]).toEqual([{ ok: true, value: conversation }, { ok: true, value: conversation }]);
  expect(world.logs.get(conversation)!.rows).toHaveLength(1);
  expect(await alice.groups.state(conversation)).toEqual(await bob.groups.state(conversation));
  expect(await shareEpoch(alice, bob, conversation, 1)).toBe(true);
  expect(await alice.groups.createDirect(bob.person.account)).toEqual({ ok: true, value: conversation });
  for (const result of [await bob.groups.leave(conversation), await bob.groups.removeMember(conversation, alice.person.account), await bob.groups.addMembers(conversation, [(await world.addPerson()).account])]) {
    expect(result).toEqual({ ok: false, error: { type: 'not-allowed' } });
  }
});

test('[GR6] a new device of a member reads everything from nothing, and the group does not notice', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(18, 2);
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  const height = world.logs.get(conversation)!.rows.length;
  const phone = await openClient(world, bob.person, await addDevice(bob.person, world.random));
  unwrap(await phone.groups.sync(conversation), 'syncs');
  for (const epoch of [1, 2]) expect(await shareEpoch(alice, phone, conversation, epoch)).toBe(true);
  expect(world.logs.get(conversation)!.rows).toHaveLength(height);
  unwrap(await phone.groups.rotate(conversation), 'it acts as any other');
  unwrap(await alice.groups.sync(conversation), 'and is believed');
  const saved = unwrap(await bob.groups.createSelf(), 'saved messages');
  unwrap(await phone.groups.sync(saved), 'syncs');
  expect(await shareEpoch(bob, phone, saved, 1)).toBe(true);
});

test('[GR7] a revocation seen by another member: pin, cut of the revoked device only, new generation, old keys useless', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(20, 2);
  const lost = await addDevice(bob.person, world.random);
  await revokeDevice(bob.person, lost);
  const fresh = await openClient(world, alice.person, alice.device, alice); // a start later, with bob's newest log
  const need = await fresh.groups.rotationNeeded(conversation);
  expect(need).toMatchObject({ reasons: ['revoked', 'generation'], blocking: true, by: 'next-sender', delayMs: 0 });
  fresh.seen.set(bob.person.account, [{ device: lost.id, slot: 3, lastCtr: 4 }, { device: bob.device.id, slot: 2, lastCtr: 9 }]);
  unwrap(await fresh.groups.rotate(conversation), 'rotates');
  const state = (await fresh.groups.state(conversation))!;
  expect(await fresh.groups.rotationNeeded(conversation)).toBeUndefined();
  expect(state.members.get(bob.person.account)!.uekGen).toBe(2);
  expect(isCut(state, { device: lost.id, slot: 3, ctr: 5, logHeight: 1 })).toBe(true);
  expect(isCut(state, { device: bob.device.id, slot: 2, ctr: 10, logHeight: 1 })).toBe(false);
  const { wrap } = world.logs.get(conversation)!.wraps.get(bob.person.account)!;
  const { commitment } = unwrap(decodeGroupEntry(world.logs.get(conversation)!.rows[1]!.entry), 'decodes');
  const place = { conversation, epoch: 2, commitment, account: bob.person.account };
  const [old, now] = [bob.person.ueks.get(1)!, bob.person.ueks.get(2)!];
  for (const uekGen of [1, 2]) expect(await openWrap(wrap, { key: old.privateKey, publicKey: old.publicKey }, { ...place, uekGen })).toBeUndefined();
  expect(await openWrap(wrap, { key: now.privateKey, publicKey: now.publicKey }, { ...place, uekGen: 2 })).toEqual(await secretOf(fresh, conversation, 2));
  unwrap(await bob.groups.sync(conversation), 'bob goes on with his new generation');
  expect(await shareEpoch(fresh, bob, conversation, 2)).toBe(true);
});

test('[GR7] a member whose key moved without a loss is wrapped to the newest one at the next rotation', async () => {
  const { clients: [alice, bob], world, conversation } = await makeGroup(21, 2);
  await rotateUek(bob.person);
  const fresh = await openClient(world, alice.person, alice.device, alice);
  expect(await fresh.groups.rotationNeeded(conversation)).toMatchObject({ reasons: ['generation'], blocking: false });
  const carol = await world.addPerson();
  unwrap(await fresh.groups.addMembers(conversation, [carol.account]), 'an add makes no epoch here');
  expect((await fresh.groups.state(conversation))!.members.get(bob.person.account)!.uekGen).toBe(1);
  unwrap(await fresh.groups.removeMember(conversation, carol.account), 'a remove does, and takes the generation along');
  expect((await fresh.groups.state(conversation))!.members.get(bob.person.account)!.uekGen).toBe(2);
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await shareEpoch(fresh, bob, conversation, 2)).toBe(true);
});

test('[GR8] who leaves makes a new key due; the next change brings it, and the leaver cannot open it', async () => {
  const { world, clients: [alice, bob, carol], conversation } = await makeGroup(22, 3);
  unwrap(await carol.groups.leave(conversation), 'left');
  expect(await carol.groups.rotationNeeded(conversation)).toBeUndefined();
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await bob.groups.rotationNeeded(conversation)).toMatchObject({ reasons: ['left'], blocking: true });
  unwrap(await alice.groups.setMeta(conversation, { name: 'without her' }), 'rotates by itself');
  const state = (await alice.groups.state(conversation))!;
  expect(state).toMatchObject({ epoch: 2, rotationDue: false, meta: { epoch: 2 } });
  const old = (await secretOf(carol, conversation, 1))!;
  const entry = unwrap(decodeGroupEntry(world.logs.get(conversation)!.rows.at(-1)!.entry), 'decodes');
  expect(await openLink(old, entry.link, conversation, 2)).toBeUndefined();
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await bob.groups.meta(conversation)).toEqual(plainMeta('without her'));
  expect(await bob.groups.rotationNeeded(conversation)).toBeUndefined();
});

test('[GR8] the last owner names who follows, also while a key is due', async () => {
  const { clients: [alice, bob, carol], conversation } = await makeGroup(23, 3);
  expect(await alice.groups.leave(conversation)).toEqual({ ok: false, error: { type: 'last-owner' } });
  expect(await alice.groups.setRole(conversation, alice.person.account, 'member')).toEqual({ ok: false, error: { type: 'last-owner' } });
  unwrap(await carol.groups.leave(conversation), 'left');
  unwrap(await alice.groups.leave(conversation, { successor: bob.person.account }), 'left');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  const state = (await bob.groups.state(conversation))!;
  expect([...state.members.values()].map(({ account, role }) => [account, role])).toEqual([[bob.person.account, 'owner']]);
  unwrap(await bob.groups.rotate(conversation), 'goes on alone');
  unwrap(await bob.groups.leave(conversation), 'and out');
});

test('[GR9] a start reads states without replaying, offline, and a rotted one is rebuilt from the log', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(24, 2);
  for (let i = 0; i < 3; i++) unwrap(await bob.groups.rotate(conversation), 'rotates');
  unwrap(await alice.groups.sync(conversation), 'syncs');
  const state = (await alice.groups.state(conversation))!;
  const later = await openClient(world, alice.person, alice.device, alice);
  later.network.online = false;
  expect(await later.groups.state(conversation)).toEqual(state);
  expect([...(await later.groups.load()).values()]).toEqual([state]);
  expect(await shareEpoch(later, bob, conversation, 3)).toBe(true);
  expect(later.fetches.count).toBe(0);

  const rotted = await openClient(world, alice.person, alice.device, alice);
  await rotted.database.write(['groupStates'], (tx) => tx.put('groupStates', conversation, { snapshot: new Uint8Array([1, 2, 3]) }));
  expect(await rotted.groups.state(conversation)).toEqual(state);
  expect(rotted.fetches.count).toBe(0);
  expect((await rotted.groups.load()).get(conversation)).toEqual(state);
});

test('[GR9] an epoch\'s key that rotted on disk is found again through the history links', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(25, 2);
  for (let i = 0; i < 3; i++) unwrap(await bob.groups.rotate(conversation), 'rotates');
  unwrap(await alice.groups.sync(conversation), 'syncs');
  const later = await openClient(world, alice.person, alice.device, alice);
  later.network.online = false;
  await later.database.write(['epochs'], async (tx) => {
    await tx.put('epochs', [conversation, 1], { sealedSecret: new Uint8Array(60) });
    await tx.delete('epochs', [conversation, 2]);
  });
  expect(await shareEpoch(later, bob, conversation, 1)).toBe(true);
  expect(await secretOf(later, conversation, 2)).toEqual(await secretOf(bob, conversation, 2));
});

test('[GR9] keys that were not to be had come with the next sync, and older tags are checked then', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(26, 2);
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  bob.network.fetch = (answer) => ({ ...answer, wrap: undefined });
  unwrap(await bob.groups.sync(conversation), 'the log is there');
  expect(await heightOf(bob, conversation)).toBe(2);
  expect(await bob.groups.epochKeys(conversation, 2)).toBeUndefined();
  expect(await bob.groups.rotate(conversation)).toEqual({ ok: false, error: { type: 'failed', detail: 'keys-missing' } });
  const { commitment } = unwrap(decodeGroupEntry(world.logs.get(conversation)!.rows[1]!.entry), 'decodes');
  const lie = (await sealWrap(world.random.bytes(32), bob.person.ueks.get(1)!.publicKey, { conversation, epoch: 2, commitment, account: bob.person.account, uekGen: 1 }))!;
  bob.network.fetch = (answer) => ({ ...answer, wrap: { ...answer.wrap!, wrap: lie } });
  expect((await bob.groups.sync(conversation)).ok).toBe(false);
  bob.network.fetch = (answer) => answer;
  unwrap(await bob.groups.sync(conversation), 'and now the keys');
  expect(await shareEpoch(alice, bob, conversation, 2)).toBe(true);
});

test('[GR9] an entry taken in without its key is judged by its tag once the key is here', async () => {
  const { world, clients: [alice, bob] } = await makeGroup(36, 2);
  const conversation = unwrap(await alice.groups.createGroup({ meta: plainMeta('closed'), members: [bob.person.account], sharesHistory: false }), 'made');
  unwrap(await bob.groups.sync(conversation), 'joined');
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  bob.network.fetch = (answer) => ({ ...answer, wrap: undefined });
  unwrap(await bob.groups.sync(conversation), 'the log is there');
  const { commitment } = unwrap(decodeGroupEntry(world.logs.get(conversation)!.rows[1]!.entry), 'decodes');
  const lie = (await sealWrap(world.random.bytes(32), bob.person.ueks.get(1)!.publicKey, { conversation, epoch: 2, commitment, account: bob.person.account, uekGen: 1 }))!;
  bob.network.fetch = (answer) => ({ ...answer, wrap: { ...answer.wrap!, wrap: lie } });
  expect(await bob.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'alarm', fault: 'wrong-tag', height: 2 } });
  expect(await bob.groups.epochKeys(conversation, 2)).toBeUndefined();
});

test('[GR10] names and pictures are sealed for this chat and epoch, padded, within bounds, and changed by admins', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(27, 2);
  const picture = world.random.bytes(limits.pictureSizeBytesMax);
  unwrap(await alice.groups.setMeta(conversation, { name: '  Plans  ', description: 'd'.repeat(1_000), picture }), 'set');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await bob.groups.meta(conversation)).toEqual({ name: 'Plans', description: 'd'.repeat(1_000), picture });
  unwrap(await alice.groups.setMeta(conversation, { picture: null }), 'taken away');
  expect(await alice.groups.meta(conversation)).toEqual({ name: 'Plans', description: 'd'.repeat(1_000), picture: undefined });
  expect(await bob.groups.setMeta(conversation, { name: 'mine' })).toEqual({ ok: false, error: { type: 'not-allowed' } });
  expect(await alice.groups.setMeta(conversation, { name: ' ' })).toEqual({ ok: false, error: { type: 'name-invalid' } });
  expect(await alice.groups.setMeta(conversation, { name: 'n'.repeat(limits.groupNameLengthMax + 1) })).toEqual({ ok: false, error: { type: 'name-invalid' } });
  expect(await alice.groups.setMeta(conversation, { picture: new Uint8Array(limits.pictureSizeBytesMax + 1) })).toEqual({ ok: false, error: { type: 'picture-too-big' } });
  const [first] = await alice.groups.log(conversation);
  const sealed = first!.entry.ops.find((op) => op.type === 'meta')!.sealed;
  expect(await alice.groups.unsealMeta(conversation, 1, sealed)).toEqual(plainMeta('a group'));
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  expect(await alice.groups.unsealMeta(conversation, 2, sealed)).toBeUndefined();
  const other = unwrap(await alice.groups.createGroup({ meta: plainMeta('a much, much longer name than that'), members: [] }), 'made');
  const [elsewhere] = await alice.groups.log(other);
  expect(elsewhere!.entry.ops.find((op) => op.type === 'meta')!.sealed.length).toBe(sealed.length);
  expect(await alice.groups.unsealMeta(other, 1, sealed)).toBeUndefined();
  const wire = world.logs.get(conversation)!.rows.map(({ entry }) => Buffer.from(entry).toString('latin1')).join();
  expect(wire).not.toContain('Plans');
});

test('[GR11] marks and signals open for members at their place and nowhere else', async () => {
  const { clients: [alice, bob], conversation } = await makeGroup(28, 2);
  const mark = (await alice.groups.sealMark(conversation, 3, 7, textToBytes('read 41')))!;
  expect(mark.length).toBeLessThan(limits.markSizeBytesMax);
  expect(await bob.groups.unsealMark(conversation, 3, 7, mark)).toEqual(textToBytes('read 41'));
  for (const [slot, markCtr] of [[3, 8], [4, 7]] as const) expect(await bob.groups.unsealMark(conversation, slot, markCtr, mark)).toBeUndefined();
  const signal = (await alice.groups.sealEphemeral(conversation, 3, textToBytes('typing')))!;
  expect(await bob.groups.unsealEphemeral(conversation, 3, signal)).toEqual(textToBytes('typing'));
  expect(await bob.groups.unsealEphemeral(conversation, 4, signal)).toBeUndefined();
  expect(await bob.groups.unsealMark(conversation, 3, 7, signal)).toBeUndefined();
  expect(await bob.groups.unsealMark(conversation, 3, 7, mark.slice(0, 3))).toBeUndefined();
  const moved = mark.slice();
  moved[3] = 9;
  expect(await bob.groups.unsealMark(conversation, 3, 7, moved)).toBeUndefined();
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  expect(await alice.groups.unsealMark(conversation, 3, 7, mark)).toEqual(textToBytes('read 41')); // the epoch travels with it
  expect(await bob.groups.sealMark(directConversationId(alice.person.account, bob.person.account), 1, 1, textToBytes('x'))).toBeUndefined();
});

test('[GR12] what cannot be done is said with its reason', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(29, 2);
  const nobody = bytesToId<AccountId>(world.random.bytes(16));
  const elsewhere = bytesToId<ConversationId>(world.random.bytes(16));
  expect(await alice.groups.addMembers(conversation, [nobody])).toEqual({ ok: false, error: { type: 'failed', detail: 'unknown account' } });
  expect(await alice.groups.rotate(elsewhere)).toEqual({ ok: false, error: { type: 'unknown-chat' } });
  expect(await bob.groups.addMembers(conversation, [(await world.addPerson()).account])).toEqual({ ok: false, error: { type: 'not-allowed' } });
  expect(await bob.groups.setRole(conversation, bob.person.account, 'admin')).toEqual({ ok: false, error: { type: 'not-allowed' } });
  expect(await alice.groups.removeMember(conversation, alice.person.account)).toEqual({ ok: false, error: { type: 'not-allowed' } });
  const crowd = Array.from({ length: limits.membersMax }, (_, i) => `${i}` as AccountId);
  expect(await alice.groups.addMembers(conversation, crowd)).toEqual({ ok: false, error: { type: 'full' } });
  expect(await alice.groups.createGroup({ meta: plainMeta('x'), members: crowd })).toEqual({ ok: false, error: { type: 'full' } });
  expect(await alice.groups.createGroup({ meta: plainMeta(''), members: [] })).toEqual({ ok: false, error: { type: 'name-invalid' } });
  alice.network.online = false;
  expect(await alice.groups.rotate(conversation)).toEqual({ ok: false, error: { type: 'offline' } });
  expect(await alice.groups.sync(conversation)).toEqual({ ok: false, error: { type: 'offline' } });
  expect(await alice.groups.createSelf()).toEqual({ ok: false, error: { type: 'offline' } });
  expect(await heightOf(alice, conversation)).toBe(1);
  alice.network.online = true;
  unwrap(await alice.groups.addMembers(conversation, [bob.person.account]), 'who is in already is no error');
  bob.network.wraps = (wraps) => wraps.slice(1);
  expect(await bob.groups.rotate(conversation)).toEqual({ ok: false, error: { type: 'failed', detail: 'wrong-wrap' } });
});

test('[GR12] an answer that was lost after the server took the entry is found again', async () => {
  const { world, clients: [alice, bob], conversation } = await makeGroup(30, 2);
  const append = world.append;
  (world as { append: typeof append }).append = async (...input) => {
    await append(...input);
    return { ok: false, error: { type: 'offline' } };
  };
  expect(await alice.groups.rotate(conversation)).toEqual({ ok: false, error: { type: 'offline' } });
  (world as { append: typeof append }).append = append;
  unwrap(await alice.groups.sync(conversation), 'her own entry comes back, and her own wrap opens');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await shareEpoch(alice, bob, conversation, 2)).toBe(true);
});

test('[GR13] epoch secrets rest sealed, and no key can be exported', async () => {
  const { clients: [alice], conversation } = await makeGroup(31, 2);
  const keys = (await alice.groups.epochKeys(conversation, 1))!;
  for (const key of Object.values(keys) as CryptoKey[]) {
    expect(key.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow();
  }
  expect(await alice.groups.epochKeys(conversation, 1)).toBe(keys); // imported once
  const secret = bytesToHex((await secretOf(alice, conversation, 1))!);
  const disk = JSON.stringify([...alice.database.snapshot().stores].map(([name, rows]) => [name, rows.map(([, value]) => Object.values(value as object).map((part) => (part instanceof Uint8Array ? bytesToHex(part) : part)))]));
  expect(disk).toContain(bytesToHex((await alice.groups.state(conversation))!.head));
  expect(disk).not.toContain(secret);
});

test('[GR14] a new epoch is due weekly where people write, and near the bound of entries', async () => {
  const { world, clients: [alice], conversation } = await makeGroup(32, 2);
  expect(await alice.groups.rotationNeeded(conversation, 10)).toBeUndefined();
  expect(await alice.groups.rotationNeeded(conversation, limits.entriesPerEpochRotateAt)).toMatchObject({ reasons: ['count'], blocking: false });
  world.now += 8 * 24 * 60 * 60_000;
  expect(await alice.groups.rotationNeeded(conversation, 10)).toMatchObject({ reasons: ['age'], blocking: false });
  expect(await alice.groups.rotationNeeded(conversation, 0)).toBeUndefined();
  unwrap(await alice.groups.rotate(conversation), 'rotates');
  expect(await alice.groups.rotationNeeded(conversation, 10)).toBeUndefined();
});

test('[GR14] above 256 members one is elected and the others wait their turn', async () => {
  const world = makeWorld(33);
  const me = await world.addPerson();
  const people = [];
  for (let i = 0; i < 257; i++) people.push(await world.addPerson());
  const alice = await openClient(world, me);
  const conversation = unwrap(await alice.groups.createGroup({ meta: plainMeta('many'), members: people.map(({ account }) => account) }), 'made');
  const clients = [alice];
  for (const person of people.slice(0, 3)) clients.push(await openClient(world, person));
  const leaver = await openClient(world, people[5]!);
  for (const client of [...clients.slice(1), leaver]) unwrap(await client.groups.sync(conversation), 'syncs');
  unwrap(await leaver.groups.leave(conversation), 'left');
  const delays = [];
  for (const client of clients) {
    unwrap(await client.groups.sync(conversation), 'syncs');
    const need = (await client.groups.rotationNeeded(conversation))!;
    expect(need).toMatchObject({ by: 'elected', blocking: true });
    delays.push(need.delayMs);
  }
  expect(new Set(delays).size).toBe(clients.length);
  expect(delays.every((delay) => delay % 2_000 === 0 && delay >= 0 && delay < 257 * 2_000)).toBe(true);
  unwrap(await clients[1]!.groups.rotate(conversation), 'rotates');
  unwrap(await alice.groups.sync(conversation), 'syncs');
  expect(await shareEpoch(alice, clients[1]!, conversation, 2)).toBe(true);
});

test('[GR9] when the disk refuses, the change fails, the state stays, and the next sync brings it again', async () => {
  const { clients: [alice, bob], conversation } = await makeGroup(34, 2);
  alice.disk.full = true;
  await expect(alice.groups.rotate(conversation)).rejects.toThrow('full');
  expect(await heightOf(alice, conversation)).toBe(1);
  alice.disk.full = false;
  unwrap(await alice.groups.sync(conversation), 'the server has it');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  expect(await alice.groups.state(conversation)).toEqual(await bob.groups.state(conversation));
  expect(await shareEpoch(alice, bob, conversation, 2)).toBe(true);
});

test('[GR9] closing waits for what runs and lets nothing new start', async () => {
  const { clients: [alice], conversation } = await makeGroup(35, 2);
  const running = alice.groups.rotate(conversation);
  await alice.groups.close();
  unwrap(await running, 'what ran has ended well');
  await expect(alice.groups.rotate(conversation)).rejects.toThrow('nothing changes after groups closed');
});
