import { expect, test } from 'vitest';
import { nackCodes } from '#lib/protocol/codes.ts';
import { encodeDownFrame, encodeUpFrame, protocolVersion } from '#lib/protocol/frame.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { encodeSegment } from '#lib/protocol/segment.ts';
import { sha256 } from '#lib/crypto/primitives.ts';
import { createWorld, envelope, hello, item, newId, type TestClient, type World } from './fixtures/world.ts';
import { encode } from '#lib/protocol/codec.ts';
import { rowsCodec } from '#lib/protocol/frame.ts';
import { rowsFrame } from './delivery.ts';
import type { Store } from '#lib/server/store/port.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';

const put = (h: number, ctr0: number, count = 1, over: Parameters<typeof envelope>[1] = {}) =>
  ({ type: 'put', h, ctr0, envelopes: Array.from({ length: count }, (_, i) => envelope(1_000 * h + ctr0 + i, over)) }) as const;

async function pair(world: World): Promise<{ readonly conversation: ConversationId; readonly ann: TestClient; readonly bob: TestClient }> {
  const [annAccount, bobAccount] = [await world.newAccount(), await world.newAccount()];
  const conversation = await world.newConversation([annAccount, bobAccount]);
  const [ann, bob] = [await world.client(annAccount), await world.client(bobAccount)];
  await ann.say({ type: 'sub', items: [item(0, conversation)] });
  await bob.say({ type: 'sub', items: [item(7, conversation)] });
  ann.forget();
  bob.forget();
  return { conversation, ann, bob };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// ---- Admission --------------------------------------------------------------------------------

test('[SY1] a good HELLO is welcomed', async () => {
  const world = createWorld();
  const client = await world.client(await world.newAccount());
  expect(client.of('welcome')).toEqual([{ type: 'welcome', lineage: await world.store.lineage(), serverTime: world.now, membershipVersion: 0, accountHeight: 1 }]
    .map((frame) => expect.objectContaining({ lineage: frame.lineage, serverTime: frame.serverTime })));
  expect(client.connection.isOpen()).toBe(true);
});

test('[SY1] a bad token, an unknown account, an ended session and another version are refused by name', async () => {
  const world = createWorld();
  const account = await world.newAccount();
  const refused = async (frame: Parameters<TestClient['say']>[0], who = account) => {
    const client = world.node().connect(who);
    world.revokedSessions.clear();
    world.revokedSessions.add(newId());
    await client.say(frame);
    return client.closedAs;
  };
  expect(await refused({ type: 'hello', proto: protocolVersion, token: Uint8Array.of(1, 2, 3), flags: 0 })).toBe('badToken');
  expect(await refused({ type: 'hello', proto: protocolVersion, token: Uint8Array.of(0xff), flags: 0 })).toBe('badToken');
  expect(await refused({ type: 'hello', proto: protocolVersion, token: new Uint8Array(0), flags: 0 })).toBe('badToken');
  expect(await refused(hello({ account: newId(), device: newId() }))).toBe('badToken');
  expect(await refused({ type: 'hello', proto: protocolVersion + 1, token: new Uint8Array(0), flags: 0 })).toBe('tooOld');
  const ended = world.node().connect(account);
  world.revokedSessions.add(ended.device);
  await ended.say(hello(ended));
  expect(ended.closedAs).toBe('badToken');
});

test('[SY1] frames behind HELLO wait for its answer and are then served in order', async () => {
  const world = createWorld();
  const account = await world.newAccount();
  const conversation = await world.newConversation([account]);
  const client = world.node().connect(account);
  await client.say(hello(client), { type: 'sub', items: [item(0, conversation)] }, put(0, 0), { type: 'ping', nonce: 5 });
  expect(client.frames.map((frame) => frame.type)).toEqual(['welcome', 'state', 'pong', 'ack', 'rows']);
});

// ---- Following --------------------------------------------------------------------------------

test('[SY4] a conversation the account is not in is answered with notMember and nothing else', async () => {
  const world = createWorld();
  const [ann, bob] = [await world.newAccount(), await world.newAccount()];
  const conversation = await world.newConversation([bob]);
  const client = await world.client(ann);
  client.forget();
  await client.say(
    { type: 'sub', items: [item(3, conversation, { cursor: 0 })] }, { type: 'fetch', h: 3, fromSeq: 1, count: 10, direction: 'forward' },
    { type: 'seg', h: 3, seg: 0, want: 'blob' }, put(3, 0), { type: 'mark', h: 3, markCtr: 1, sealed: Uint8Array.of(1) }, { type: 'eph', h: 3, sealed: Uint8Array.of(1) },
    { type: 'newSlot', h: 3, from: 1 },
  );
  expect(client.frames).toEqual(Array.from({ length: 7 }, () => ({ type: 'notMember', h: 3 })));
  expect((await world.store.heads([conversation]))[0]!.head).toBe(0);
});

test('[SY4] a stranger who knows the head, the height and a slot learns and changes no more', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  await ann.say(put(0, 0));
  const client = await world.client(await world.newAccount());
  client.forget();
  // Nothing differs from what the server has, so nothing but membership could refuse it.
  await client.say({ type: 'sub', items: [item(3, conversation, { cursor: 1, slot: 1, nextCtr: 1, logHeight: 1 })] },
    { type: 'fetch', h: 3, fromSeq: 1, count: 10, direction: 'forward' }, { type: 'seg', h: 3, seg: 0, want: 'blob' }, put(3, 1), { type: 'mark', h: 3, markCtr: 1, sealed: Uint8Array.of(1) });
  expect(client.frames).toEqual(Array.from({ length: 5 }, () => ({ type: 'notMember', h: 3 })));
  await ann.say(put(0, 1));
  expect(client.frames).toHaveLength(5);
  expect(await world.store.marksSince(conversation, 0)).toEqual([]);
});

test('[SY5] a new device gets a slot and starts at the head; one with a cursor gets what it lacks', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say(put(0, 0, 3));
  const late = await world.client(bob.account);
  await late.say({ type: 'sub', items: [item(1, conversation)] });
  expect(late.of('state')).toEqual([{ type: 'state', h: 1, head: 3, slot: 3, nextCtr: 0, openSeg: 0, logHeight: 1, serverTime: world.now }]);
  expect(late.seqs(1)).toEqual([]);
  await ann.say(put(0, 3));
  expect(late.seqs(1)).toEqual([4]);

  const back = await world.client(bob.account);
  await back.say({ type: 'sub', items: [item(2, conversation, { cursor: 1, slot: 2, logHeight: 1 })] });
  expect(back.frames.map((frame) => frame.type)).toEqual(['welcome', 'state', 'rows']); // STATE first
  expect(back.seqs(2)).toEqual([2, 3, 4]);
});

test('[SY6] a chat in which nothing moved costs no frame, and is live all the same', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say(put(0, 0, 2));
  const back = await world.client(ann.account);
  back.forget();
  await back.say({ type: 'sub', items: [item(0, conversation, { cursor: 2, slot: 1, nextCtr: 2, logHeight: 1 })] });
  expect(back.frames).toEqual([]);
  await bob.say(put(7, 0));
  expect(back.seqs(0)).toEqual([3]);
});

test('[SY6] each thing that differs is answered with STATE', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  await ann.say(put(0, 0, 2));
  for (const over of [{ cursor: 1 }, { cursor: undefined }, { cursor: 9 }, { logHeight: 0 }, { slot: 0 }]) {
    const back = await world.client(ann.account);
    await back.say({ type: 'sub', items: [item(0, conversation, { cursor: 2, slot: 1, nextCtr: 2, logHeight: 1, ...over })] });
    expect(back.of('state').length, JSON.stringify(over)).toBe(1);
  }
});

test('[SY2] two handles for one conversation or two conversations under one handle close as malformed', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  const other = await world.newConversation([ann.account, bob.account]);
  await ann.say({ type: 'sub', items: [item(1, conversation)] });
  expect(ann.closedAs).toBe('malformed');
  await bob.say({ type: 'sub', items: [item(7, other)] });
  expect(bob.closedAs).toBe('malformed');
});

test('[SY8] after UNSUB nothing more comes, and the handle is free', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await bob.say({ type: 'unsub', h: 7 });
  await ann.say(put(0, 0));
  expect(bob.frames).toEqual([]);
  await bob.say({ type: 'sub', items: [item(7, conversation, { cursor: 0, slot: 2, logHeight: 1 })] });
  expect(bob.seqs(7)).toEqual([1]);
});

// ---- Writing ----------------------------------------------------------------------------------

test('[SY7] ACK says what the store has, the sender gets its own rows, and a resend is stored once', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say(put(0, 0, 3));
  expect(ann.frames.map((frame) => frame.type)).toEqual(['ack', 'rows']);
  expect(ann.of('ack')).toEqual([{ type: 'ack', h: 0, nextCtr: 3, firstSeq: 1, count: 3, rt: world.now }]);
  expect([ann.seqs(0), bob.seqs(7)]).toEqual([[1, 2, 3], [1, 2, 3]]);
  await ann.say(put(0, 1, 3)); // two known, one new
  expect(ann.of('ack').at(-1)).toEqual({ type: 'ack', h: 0, nextCtr: 4, firstSeq: 2, count: 3, rt: world.now });
  expect([ann.seqs(0), bob.seqs(7)]).toEqual([[1, 2, 3, 4], [1, 2, 3, 4]]);
  expect((await world.store.rowsAfter(conversation, 0, 100, 1e6)).map((row) => row.ctr)).toEqual([0, 1, 2, 3]);
});

test('[SY7] nothing is acknowledged or shown before the store has committed', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  let commit = () => {};
  const { append } = world.store;
  Object.assign(world.store, { append: async (input: Parameters<typeof append>[0]) => (await new Promise<void>((resolve) => (commit = resolve)), append(input)) });
  const saying = ann.say(put(0, 0));
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  expect([ann.frames, bob.frames]).toEqual([[], []]);
  commit();
  await saying;
  expect(ann.of('ack').length).toBe(1);
  expect(bob.seqs(7)).toEqual([1]);
});

test('[SY9] PUTs of one conversation run one after another in order; beyond the bound they are refused', async () => {
  const world = createWorld();
  const { ann } = await pair(world);
  const running: number[] = [];
  const finish: (() => void)[] = [];
  const { append } = world.store;
  Object.assign(world.store, { append: async (input: Parameters<typeof append>[0]) => {
    running.push(input.ctr0);
    await new Promise<void>((resolve) => finish.push(resolve));
    return append(input);
  } });
  const all = range(0, 5).map((ctr) => ann.raw(encodeUpFrame(put(0, ctr))));
  await Promise.all(all.slice(4));
  expect(ann.of('nack')).toEqual([4, 5].map(() => ({ type: 'nack', h: 0, code: nackCodes.RATE.code, nextCtr: 0 })));
  for (const ctr of range(0, 3)) {
    expect(running).toEqual(range(0, ctr));
    finish[ctr]!();
    await all[ctr];
  }
  expect(ann.of('ack').map((frame) => frame.nextCtr)).toEqual([1, 2, 3, 4]);
});

test('[SY12] each refusal of the store is a NACK with the next counter, and the connection goes on', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  await ann.say(put(0, 0, 2));
  ann.forget();
  await ann.say(put(0, 5));
  await ann.say({ ...put(0, 0), envelopes: [envelope(99)] });
  await ann.say(put(0, 2, 1, { epoch: 9 }));
  await ann.say({ ...put(0, 2), envelopes: [new Uint8Array(300)] });
  await ann.say(put(0, 2, 1, { purge: { slot: 77, ctr: 0 } }));
  expect(ann.of('nack').map(({ code, nextCtr }) => [code, nextCtr])).toEqual(
    [nackCodes.GAP, nackCodes.FORK, nackCodes.EPOCH_STALE, nackCodes.SHAPE, nackCodes.SHAPE].map(({ code }) => [code, 2]));
  await ann.say(put(0, 2));
  expect(ann.of('ack').length).toBe(1);
  expect((await world.store.heads([conversation]))[0]!.head).toBe(3);
});

test('[SY22] a new slot is given on request, once per slot given up', async () => {
  const world = createWorld();
  const { ann } = await pair(world);
  await ann.say(put(0, 0, 2), { type: 'newSlot', h: 0, from: 1 });
  await ann.say({ type: 'newSlot', h: 0, from: 1 });
  expect(ann.of('state').map(({ slot, nextCtr }) => [slot, nextCtr])).toEqual([[3, 0], [3, 0]]);
  await ann.say(put(0, 0));
  expect(ann.of('ack').at(-1)).toMatchObject({ nextCtr: 1, firstSeq: 3 });
});

test('[SY28] an entry counts only for the slot the client says it seals for', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  const stale = await world.client(ann.account);
  // The slot is another device's; the client sends along what it sealed for it.
  await stale.say({ type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 1, logHeight: 1 })] }, put(0, 0));
  expect(stale.frames.slice(1).map((frame) => frame.type)).toEqual(['state', 'nack']);
  expect(stale.of('nack')[0]!.code).toBe(nackCodes.NO_SLOT.code);
  expect((await world.store.heads([conversation]))[0]!.head).toBe(0);
  await stale.say({ type: 'newSlot', h: 0, from: 1 });
  const { slot } = stale.of('state').at(-1)!;
  await stale.say(put(0, 0));
  expect((await world.store.rowsAfter(conversation, 0, 10, 1e6)).map((row) => row.slot)).toEqual([slot]);
});

test('[SY28] a slot given up on another connection of the device is refused here', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  const twin = world.node().connect(ann.account, ann.device);
  await twin.say(hello(twin), { type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 1, logHeight: 1 })] }, { type: 'newSlot', h: 0, from: 1 });
  await ann.say(put(0, 0));
  expect(ann.frames.map((frame) => frame.type)).toEqual(['nack', 'state']);
  expect(ann.of('state')[0]!.slot).toBe(twin.of('state').at(-1)!.slot);
  await ann.say(put(0, 0)); // still sealed for the old one
  expect(ann.of('nack').map((frame) => frame.code)).toEqual([nackCodes.NO_SLOT.code, nackCodes.NO_SLOT.code]);
});

test('[SY28] a mark or a typing signal under a slot that is not the device\'s reaches nobody', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  const stale = await world.client(ann.account);
  // The slot is bob's; the seals are for it, so whoever got them could not open them.
  await stale.say({ type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 2, logHeight: 1 })] });
  stale.forget();
  await stale.say({ type: 'mark', h: 0, markCtr: 9, sealed: Uint8Array.of(1) }, { type: 'eph', h: 0, sealed: Uint8Array.of(1) });
  expect(stale.frames.map((frame) => frame.type)).toEqual(['state', 'state']);
  expect(stale.of('state')[0]!.slot).toBe(3);
  expect(await world.store.marksSince(conversation, 0)).toEqual([]);
  expect(bob.frames).toEqual([]);
});

// ---- Order ------------------------------------------------------------------------------------

test('[SY10] what many write in one turn leaves as one ROWS frame per receiver, made once', async () => {
  const world = createWorld();
  const accounts = await Promise.all(range(1, 5).map(() => world.newAccount()));
  const conversation = await world.newConversation(accounts);
  const node = world.node();
  const clients = accounts.map((account) => node.connect(account));
  await Promise.all(clients.map((client) => client.say(hello(client), { type: 'sub', items: [item(0, conversation)] })));
  clients.forEach((client) => client.forget());
  await Promise.all(clients.map((client) => client.raw(encodeUpFrame(put(0, 0)))));
  await world.settle();
  for (const client of clients) {
    expect(client.frames.map((frame) => frame.type)).toEqual(['ack', 'rows']);
    expect(client.seqs(0)).toEqual([1, 2, 3, 4, 5]);
  }
});

test('[SY8] rows come in order, none missing, none twice, whatever the bus does to its messages', async () => {
  for (const seed of range(1, 20)) {
    const world = createWorld();
    let random = seed;
    const dice = () => (random = (random * 16_807) % 2_147_483_647) / 2_147_483_647;
    const { conversation, ann, bob } = await pair(world);
    const held: (() => void)[] = [];
    const { publish } = world.bus;
    Object.assign(world.bus, { publish: (...args: Parameters<typeof publish>) => {
      const roll = dice();
      if (roll < 0.3) return; // lost
      if (roll < 0.5) held.push(() => publish(...args)); // late
      else publish(...args);
      if (roll > 0.9) publish(...args); // twice
    } });
    for (let ctr = 0; ctr < 40; ) {
      const count = 1 + Math.floor(dice() * 3);
      const client = dice() < 0.5 ? ann : bob;
      const h = client === ann ? 0 : 7;
      const next = client.of('ack').at(-1)?.nextCtr ?? 0;
      await client.say(put(h, next, count));
      ctr += count;
      if (dice() < 0.3) held.splice(0).reverse().forEach((go) => go());
    }
    held.splice(0).forEach((go) => go());
    world.now += 31_000;
    await Promise.all([ann.say({ type: 'ping', nonce: 1 }), bob.say({ type: 'ping', nonce: 1 })]);
    const { head } = (await world.store.heads([conversation]))[0]!;
    expect(head).toBeGreaterThanOrEqual(40);
    expect(ann.seqs(0), `seed ${seed}`).toEqual(range(1, head));
    expect(bob.seqs(7), `seed ${seed}`).toEqual(range(1, head));
  }
});

test('[SY15] a lost message heals at the next one, and at a ping once 30 s have passed', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  world.bus.times = (_, channel) => (channel === `u:${bob.account}` ? 0 : 1);
  await ann.say(put(0, 0, 3));
  expect(bob.seqs(7)).toEqual([]);
  await bob.say({ type: 'ping', nonce: 1 });
  expect(bob.seqs(7)).toEqual([]);
  world.now += 30_000;
  await bob.say({ type: 'ping', nonce: 2 });
  expect(bob.seqs(7)).toEqual([1, 2, 3]);
  await ann.say(put(0, 3));
  world.bus.times = () => 1;
  await ann.say(put(0, 4));
  expect(bob.seqs(7)).toEqual([1, 2, 3, 4, 5]);
});

test('[SY15] a gap of the bus is followed by a look at the store, for rows, marks, groups and sessions', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  world.bus.times = () => 0;
  await ann.say(put(0, 0, 2), { type: 'mark', h: 0, markCtr: 4, sealed: Uint8Array.of(9) });
  const logHeight = await world.setMembers(conversation, [ann.account, bob.account]);
  await world.newConversation([bob.account]);
  world.bus.gap();
  await world.settle();
  expect(bob.seqs(7)).toEqual([1, 2]);
  expect(bob.of('marks').flatMap((frame) => frame.marks.map((mark) => [mark.slot, mark.markCtr]))).toEqual([[1, 4]]);
  expect(bob.of('groupMoved')).toEqual([{ type: 'groupMoved', h: 7, logHeight }]);
  expect(bob.of('membershipMoved').length).toBe(1);
  world.revokedSessions.add(bob.device);
  world.bus.gap();
  await world.settle();
  expect(bob.closedAs).toBe('revoked');
});

test('[SY11] a client that does not read is not read for; it goes on where it stopped', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  bob.buffered = 2 * 1024 * 1024;
  let reads = 0;
  const { rowsAfter } = world.store;
  Object.assign(world.store, { rowsAfter: (...args: Parameters<typeof rowsAfter>) => (reads++, rowsAfter(...args)) });
  for (const i of range(0, 9)) await ann.say(put(0, i * 64, 64));
  await bob.raw(encodeUpFrame({ type: 'ping', nonce: 1 }));
  const fetching = bob.raw(encodeUpFrame({ type: 'fetch', h: 7, fromSeq: 1, count: 5, direction: 'forward' }));
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(bob.frames.map((frame) => frame.type)).toEqual(['pong']);
  expect(reads).toBe(0);
  bob.buffered = 0;
  bob.connection.bufferDrained();
  await fetching;
  await world.settle();
  const history = bob.of('rows').find((frame) => frame.rows.length === 5)!;
  expect(history.rows.map((row) => row.seq)).toEqual(range(1, 5));
  expect(bob.of('rows').filter((frame) => frame !== history).flatMap((frame) => frame.rows.map((row) => row.seq))).toEqual(range(1, 640));
  expect((await world.store.heads([conversation]))[0]!.head).toBe(640);
});

test('[SY11] catching up stops at each page when the socket is full', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  for (const i of range(0, 9)) await ann.say(put(0, i * 64, 64));
  const back = await world.client(ann.account);
  back.buffered = 0;
  const { frames } = back;
  const push = frames.push.bind(frames);
  frames.push = (...more) => ((back.buffered = 2 * 1024 * 1024), push(...more));
  await back.say({ type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 1, logHeight: 1 })] });
  expect(back.seqs(0)).toEqual([]);
  for (let page = 1; back.seqs(0).length < 640; page++) {
    const before = back.seqs(0).length;
    back.buffered = 0;
    back.connection.bufferDrained();
    await world.settle();
    expect(back.seqs(0).length - before).toBeLessThanOrEqual(128);
    expect(back.seqs(0).length).toBeGreaterThan(before);
  }
  expect(back.seqs(0)).toEqual(range(1, 640));
});

// ---- Marks, typing, purges ----------------------------------------------------------------------

test('[SY13] a mark reaches everybody, its sender too; the newest counts; a return brings what is newer', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say({ type: 'mark', h: 0, markCtr: 5, sealed: Uint8Array.of(5) });
  for (const [client, h] of [[ann, 0], [bob, 7]] as const) {
    expect(client.of('marks')).toEqual([{ type: 'marks', h, marks: [{ slot: 1, markCtr: 5, rt: world.now, sealed: Uint8Array.of(5) }] }]);
  }
  ann.forget();
  bob.forget();
  await ann.say({ type: 'mark', h: 0, markCtr: 4, sealed: Uint8Array.of(4) });
  expect(bob.frames).toEqual([]);
  expect(ann.of('marks').map((frame) => frame.marks[0]!.markCtr)).toEqual([5]); // the server has a newer one
  const back = await world.client(bob.account);
  await back.say({ type: 'sub', items: [item(0, conversation, { marksSince: world.now - 1 })] });
  expect(back.of('marks').length).toBe(1);
  const known = await world.client(bob.account);
  await known.say({ type: 'sub', items: [item(0, conversation, { marksSince: world.now })] });
  expect(known.of('marks')).toEqual([]);
});

async function crowd(world: World, size: number): Promise<{ readonly conversation: ConversationId; readonly accounts: readonly AccountId[] }> {
  const accounts = await Promise.all(range(1, size).map(() => world.newAccount()));
  return { accounts, conversation: await world.newConversation(accounts) };
}

test('[SY13] above 32 members marks reach the sender\'s own devices only, and others by asking again', async () => {
  const world = createWorld();
  const { conversation, accounts } = await crowd(world, 33);
  const clients = await Promise.all([accounts[0]!, accounts[0]!, accounts[1]!].map((account) => world.client(account)));
  for (const client of clients) await client.say({ type: 'sub', items: [item(0, conversation)] });
  const [ann, annToo, bob] = clients as [TestClient, TestClient, TestClient];
  await ann.say({ type: 'mark', h: 0, markCtr: 5, sealed: Uint8Array.of(5) });
  expect([ann, annToo, bob].map((client) => client.of('marks').length)).toEqual([1, 1, 0]);
  await bob.say({ type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 3, logHeight: 1 })] });
  expect(bob.of('marks').length).toBe(1);
});

test('[SY16] typing reaches the others of a small conversation, is stored nowhere, and is not sent in a large one', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  await ann.say({ type: 'eph', h: 0, sealed: Uint8Array.of(1, 2) });
  expect(bob.frames).toEqual([{ type: 'eph', h: 7, slot: 1, sealed: Uint8Array.of(1, 2) }]);
  expect(ann.frames).toEqual([]);
  const { conversation, accounts } = await crowd(world, 33);
  const clients = await Promise.all([accounts[0]!, accounts[1]!].map((account) => world.client(account)));
  for (const client of clients) await client.say({ type: 'sub', items: [item(0, conversation)] });
  await clients[0]!.say({ type: 'eph', h: 0, sealed: Uint8Array.of(1) });
  expect(clients[1]!.of('eph')).toEqual([]);
});

test('[SY14] a purge is told live, and a returning client learns it from the row that asked for it', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say(put(0, 0, 2));
  await ann.say(put(0, 2, 1, { purge: { slot: 1, ctr: 0 } }));
  expect(bob.of('purge')).toEqual([{ type: 'purge', h: 7, entries: [{ seq: 1, slot: 1, ctr: 0 }], requestSeq: 3 }]);
  const kinds = bob.frames.map((frame) => frame.type);
  expect(kinds.indexOf('purge')).toBeGreaterThan(kinds.lastIndexOf('rows'));

  const back = await world.client(bob.account);
  await back.say({ type: 'sub', items: [item(0, conversation, { cursor: 2, slot: 2, logHeight: 1 })] });
  expect(back.seqs(0)).toEqual([3]);
  expect(back.of('purge')).toEqual([]);
  await back.say({ type: 'fetch', h: 0, fromSeq: 1, count: 1, direction: 'forward' });
  expect(back.of('rows').at(-1)!.rows[0]!.envelope).toBeUndefined();
});

// ---- Membership and sessions --------------------------------------------------------------------

test('[SY17] somebody removed is told so at once and sees nothing that came after', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await ann.say(put(0, 0));
  const logHeight = await world.setMembers(conversation, [ann.account], 2);
  // The roster's news and an entry right behind it, still on the old channels.
  world.bus.publish([`u:${ann.account}`, `u:${bob.account}`], { type: 'group', conversation, logHeight });
  await ann.raw(encodeUpFrame(put(0, 1, 1, { epoch: 2 })));
  const [, row] = await world.store.rowsAfter(conversation, 0, 9, 1e6);
  world.bus.publish([`u:${bob.account}`], { type: 'rows', conversation, head: 2, rows: [row!] });
  await world.settle();
  expect(bob.seqs(7)).toEqual([1]);
  expect(bob.of('notMember')).toEqual([{ type: 'notMember', h: 7 }]);
  expect(ann.of('groupMoved')).toEqual([{ type: 'groupMoved', h: 0, logHeight }]);
  expect(ann.seqs(0)).toEqual([1, 2]);
  bob.forget();
  await bob.say({ type: 'fetch', h: 7, fromSeq: 1, count: 9, direction: 'forward' });
  expect(bob.frames).toEqual([{ type: 'notMember', h: 7 }]);
});

test('[SY17] a removal whose messages were all lost is found at the next ping', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await world.setMembers(conversation, [ann.account], 2);
  world.now += 30_000;
  await bob.say({ type: 'ping', nonce: 1 });
  expect(bob.of('notMember')).toEqual([{ type: 'notMember', h: 7 }]);
  expect(bob.of('membershipMoved').length).toBe(1);
});

test('[SY17] a removal whose messages were all lost is found at the next frame of any kind when no ping comes', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await world.setMembers(conversation, [ann.account], 2);
  await ann.say(put(0, 0, 1, { epoch: 2 }));
  world.now += 90_000;
  await bob.say({ type: 'unsub', h: 99 });
  expect(bob.of('notMember')).toEqual([{ type: 'notMember', h: 7 }]);
  bob.forget();
  await bob.say({ type: 'fetch', h: 7, fromSeq: 1, count: 9, direction: 'forward' });
  expect(bob.frames).toEqual([{ type: 'notMember', h: 7 }]);
  world.revokedSessions.add(ann.device);
  world.now += 90_000;
  await ann.say(put(0, 1, 1, { epoch: 2 }));
  expect(ann.closedAs).toBe('revoked');
});

test('[SY17] a mark and a typing signal of somebody removed reach nobody, also before they were told', async () => {
  for (const frame of [{ type: 'mark', h: 0, markCtr: 5, sealed: Uint8Array.of(5) }, { type: 'eph', h: 0, sealed: Uint8Array.of(5) }] as const) {
    const world = createWorld();
    const [annAccount, bobAccount] = [await world.newAccount(), await world.newAccount()];
    const conversation = await world.newConversation([annAccount, bobAccount]);
    const node = world.node();
    const [ann, bob] = [node.connect(annAccount), node.connect(bobAccount)];
    for (const client of [ann, bob]) await client.say(hello(client), { type: 'sub', items: [item(0, conversation)] });
    const logHeight = await world.setMembers(conversation, [annAccount], 2);
    // The message for bob was lost; this node has read the new members already.
    world.bus.publish([`u:${annAccount}`], { type: 'group', conversation, logHeight });
    await world.settle();
    ann.forget();
    bob.forget();
    await bob.say(frame);
    expect([frame.type, bob.frames]).toEqual([frame.type, [{ type: 'notMember', h: 0 }]]);
    expect(ann.frames).toEqual([]);
    expect(await world.store.marksSince(conversation, 0)).toEqual([]);
  }
});

test('[SY17] leaving by a membership message alone is enough', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  await world.setMembers(conversation, [ann.account], 2);
  const { membershipVersion } = await world.store.conversationsOf(bob.account);
  world.bus.publish([`u:${bob.account}`], { type: 'membership', account: bob.account, membershipVersion });
  await world.settle();
  expect(bob.frames).toEqual([{ type: 'membershipMoved', membershipVersion }, { type: 'notMember', h: 7 }]);
});

test('[SY17] an ended session closes its sockets, of one device or of all, and no others', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  const [first, second] = [await world.client(ann.account), await world.client(ann.account)];
  world.bus.publish([`u:${ann.account}`], { type: 'revoked', account: ann.account, device: first.device });
  expect([ann.closedAs, first.closedAs, second.closedAs]).toEqual([undefined, 'revoked', undefined]);
  world.bus.publish([`u:${ann.account}`], { type: 'revoked', account: ann.account, device: undefined });
  expect([ann.closedAs, second.closedAs, bob.closedAs]).toEqual(['revoked', 'revoked', undefined]);
});

test('[SY3] news beside the logs is passed on: own and other accounts, profiles, memberships', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  const publish = (message: Parameters<typeof world.bus.publish>[1]) => world.bus.publish([`u:${ann.account}`], message);
  publish({ type: 'account', account: bob.account, height: 4 });
  publish({ type: 'account', account: ann.account, height: 9 });
  publish({ type: 'account', account: ann.account, height: 9 }); // known
  publish({ type: 'profile', account: bob.account });
  publish({ type: 'membership', account: ann.account, membershipVersion: 50 });
  await world.settle();
  expect(ann.frames).toEqual([
    { type: 'accountMoved', account: bob.account, height: 4 }, { type: 'accountMoved', account: ann.account, height: 9 },
    { type: 'profileMoved', account: bob.account }, { type: 'membershipMoved', membershipVersion: 50 },
  ]);
});

test('[SY18] a large conversation has its own channel, also when it grows large while it is followed', async () => {
  const world = createWorld();
  const accounts = await Promise.all(range(1, 65).map(() => world.newAccount()));
  const conversation = await world.newConversation(accounts.slice(0, 64));
  const [ann, bob] = [await world.client(accounts[0]!), await world.client(accounts[1]!)];
  for (const client of [ann, bob]) await client.say({ type: 'sub', items: [item(0, conversation)] });
  await ann.say(put(0, 0));
  const logHeight = await world.setMembers(conversation, accounts);
  world.bus.publish([`u:${accounts[0]!}`, `u:${accounts[1]!}`], { type: 'group', conversation, logHeight });
  await world.settle();
  await ann.say(put(0, 1));
  expect(world.bus.published.at(-1)!.channels).toEqual([`c:${conversation}`]);
  const late = await world.client(accounts[64]!);
  await late.say({ type: 'sub', items: [item(0, conversation)] });
  await ann.say(put(0, 2));
  expect(bob.seqs(0)).toEqual([1, 2, 3]);
  expect(late.seqs(0)).toEqual([3]);
});

test('[SY18] a member list is read once per node and height of the group log', async () => {
  const world = createWorld();
  const accounts = await Promise.all(range(1, 20).map(() => world.newAccount()));
  const conversation = await world.newConversation(accounts);
  let reads = 0;
  const { members } = world.store;
  const counting: Store = { ...world.store, members: (...args) => (reads++, members(...args)) };
  const node = world.node({}, counting);
  const clients = accounts.map((account) => node.connect(account));
  for (const client of clients) await client.say(hello(client), { type: 'sub', items: [item(0, conversation)] });
  expect(reads).toBe(1);
  const logHeight = await world.setMembers(conversation, accounts);
  world.bus.publish(accounts.map((account) => `u:${account}` as const), { type: 'group', conversation, logHeight });
  await world.settle();
  expect(reads).toBe(2);
});

// ---- Reading ----------------------------------------------------------------------------------

test('[SY19] FETCH is answered by one frame, either way, within its bounds', async () => {
  const world = createWorld();
  const { ann } = await pair(world);
  for (const i of range(0, 3)) await ann.say(put(0, i * 8, 8, { bodySize: 6 * 2048 }));
  ann.forget();
  const fetch = async (fromSeq: number, count: number, direction: 'forward' | 'backward') => {
    await ann.say({ type: 'fetch', h: 0, fromSeq, count, direction });
    const rows = ann.of('rows').map((frame) => frame.rows.map((row) => row.seq));
    ann.forget();
    expect(rows.length).toBe(1);
    return rows[0]!;
  };
  expect(await fetch(3, 4, 'forward')).toEqual([3, 4, 5, 6]);
  expect(await fetch(6, 4, 'backward')).toEqual([3, 4, 5, 6]);
  expect(await fetch(2, 9, 'backward')).toEqual([1, 2]);
  expect(await fetch(31, 9, 'forward')).toEqual([31, 32]);
  expect(await fetch(33, 9, 'forward')).toEqual([]);
  expect(await fetch(0, 9, 'backward')).toEqual([]);
  expect(await fetch(1, 0, 'forward')).toEqual([]);
  const full = await fetch(32, 512, 'backward');
  expect(full.at(-1)).toBe(32);
  expect(full.length).toBeGreaterThan(10);
  expect(full.length).toBeLessThan(32);
});

test('[SY20] SEG answers the canonical bytes of a segment and their digest', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  for (const i of range(0, 4)) await ann.say(put(0, i * 64, 64));
  ann.forget();
  await ann.say({ type: 'seg', h: 0, seg: 0, want: 'digest' }, { type: 'seg', h: 0, seg: 0, want: 'blob' }, { type: 'seg', h: 0, seg: 50, want: 'digest' });
  const { rows } = (await world.store.segment(conversation, 0))!;
  const blob = encodeSegment(rows);
  const [digest, whole, none] = ann.of('seg');
  expect(digest).toEqual({ type: 'seg', h: 0, seg: 0, generation: 0, firstSeq: 1, lastSeq: rows.length, digest: sha256(blob), blob: undefined });
  expect(whole!.blob).toEqual(blob);
  expect(none).toMatchObject({ seg: 50, firstSeq: 0, lastSeq: 0 });
});

test('[SY10] rows made once and put behind each receiver\'s handle are the frame the protocol writes', async () => {
  const world = createWorld();
  const { conversation, ann } = await pair(world);
  await ann.say(put(0, 0, 9));
  const rows = await world.store.rowsAfter(conversation, 0, 9, 1e6);
  for (const h of [0, 1, 127, 128, 9_999]) {
    expect(rowsFrame(h, encode(rowsCodec, rows))).toEqual(new Uint8Array(encodeDownFrame({ type: 'rows', h, rows })));
  }
});

// ---- Faults -----------------------------------------------------------------------------------

test('[SY2] every frame that is not one closes its connection with a listed code, and nobody else notices', async () => {
  const good = encodeUpFrame({ type: 'ping', nonce: 1 });
  const bad: [string, Uint8Array, string][] = [
    ['empty', new Uint8Array(0), 'malformed'],
    ['unknown type', Uint8Array.of(0x33, 1), 'malformed'],
    ['a frame of ours', encodeDownFrame({ type: 'pong', nonce: 1, serverTime: 1 }), 'malformed'],
    ['truncated', encodeUpFrame(put(0, 0)).subarray(0, 50), 'malformed'],
    ['padded varint', Uint8Array.of(0x09, 0x81, 0x00), 'malformed'],
    ['trailing byte', Uint8Array.from([...good, 0]), 'malformed'],
    ['number out of range', Uint8Array.of(0x07, 0xff, 0xff, 0x7f, 0, 0), 'malformed'],
    ['oversized', new Uint8Array(wireLimits.frameSizeBytesMax + 1).fill(1), 'tooBig'],
    ['an envelope too small', Uint8Array.of(0x05, 0, 0, 1, 3, 1, 2, 3), 'malformed'],
    ['no envelopes', Uint8Array.of(0x05, 0, 0, 0), 'malformed'],
    ['65 envelopes', Uint8Array.from([0x05, 0, 0, 65, ...Array.from({ length: 65 }, () => [64, ...new Uint8Array(64)]).flat()]), 'malformed'],
    ['a claimed count of 2^28', Uint8Array.of(0x02, 0x80, 0x80, 0x80, 0x80, 0x01), 'malformed'],
    ['a second HELLO', encodeUpFrame(hello({ account: newId(), device: newId() })), 'malformed'],
  ];
  for (const [name, data, closedAs] of bad) {
    const world = createWorld();
    const { ann, bob } = await pair(world);
    await ann.raw(data);
    await world.settle();
    expect([name, ann.closedAs]).toEqual([name, closedAs]);
    expect(ann.frames).toEqual([]);
    await bob.say(put(7, 0), { type: 'ping', nonce: 2 });
    expect(bob.frames.map((frame) => frame.type).sort(), name).toEqual(['ack', 'pong', 'rows']);
    expect(world.faults).toEqual([]);
  }
});

test('[SY2] any frame before HELLO closes as malformed', async () => {
  const world = createWorld();
  const account = await world.newAccount();
  for (const frame of [
    { type: 'sub', items: [item(0, newId())] }, put(0, 0), { type: 'fetch', h: 0, fromSeq: 1, count: 1, direction: 'forward' }, { type: 'seg', h: 0, seg: 0, want: 'blob' },
    { type: 'mark', h: 0, markCtr: 1, sealed: Uint8Array.of(1) }, { type: 'eph', h: 0, sealed: Uint8Array.of(1) }, { type: 'ping', nonce: 1 },
    { type: 'newSlot', h: 0, from: 1 }, { type: 'unsub', h: 0 },
  ] as const) {
    const client = world.node().connect(account);
    await client.say(frame);
    expect([frame.type, client.closedAs]).toEqual([frame.type, 'malformed']);
  }
});

test('[SY2] random bytes and damaged frames end in a listed close or an answer, never in a fault of ours', async () => {
  const world = createWorld();
  const { ann: friend, conversation } = await pair(world);
  let random = 42;
  const dice = (below: number) => (random = (random * 16_807) % 2_147_483_647) % below;
  const templates = [
    { type: 'sub', items: [item(1, conversation)] }, put(0, 0, 2), { type: 'fetch', h: 0, fromSeq: 1, count: 4, direction: 'forward' }, { type: 'seg', h: 0, seg: 0, want: 'blob' },
    { type: 'mark', h: 0, markCtr: 1, sealed: Uint8Array.of(1) }, { type: 'eph', h: 0, sealed: Uint8Array.of(1) }, { type: 'ping', nonce: 1 },
    { type: 'newSlot', h: 0, from: 1 }, { type: 'unsub', h: 0 },
  ] as const;
  const closes = new Map<string, number>();
  let answered = 0;
  for (let i = 0; i < 3_000; i++) {
    const client = world.node().connect(friend.account);
    if (dice(10) > 0) await client.raw(encodeUpFrame(hello(client)));
    if (dice(4) > 0 && client.connection.isOpen()) await client.raw(encodeUpFrame({ type: 'sub', items: [item(0, conversation)] }));
    let data = encodeUpFrame(templates[dice(templates.length)]!) as Uint8Array;
    switch (dice(5)) {
      case 0: data = Uint8Array.from({ length: dice(40) }, () => dice(256)); break;
      case 1: data = data.slice(0, dice(data.length)); break;
      case 2: data = Uint8Array.from([...data, ...Array.from({ length: 1 + dice(4) }, () => dice(256))]); break;
      case 3: for (let n = 1 + dice(3); n > 0; n--) data[dice(data.length)] = dice(256); break;
    }
    const before = client.frames.length;
    await client.raw(data);
    await client.connection.idle();
    if (client.closedAs) closes.set(client.closedAs, (closes.get(client.closedAs) ?? 0) + 1);
    else if (client.frames.length > before) answered++;
    client.connection.closed();
  }
  expect(world.faults).toEqual([]);
  expect([...closes.keys()].sort()).toEqual(['malformed']);
  expect(closes.get('malformed')).toBeGreaterThan(500);
  expect(answered).toBeGreaterThan(200);
  expect(friend.closedAs).toBeUndefined();
}, 120_000);

test('[SY27] a fault of ours ends one connection as internal, is reported, and nobody else notices', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  const broken: Store = { ...world.store, rowsBefore: () => Promise.reject(new Error('the disk is gone')) };
  const client = world.node({}, broken).connect(ann.account);
  await client.say(hello(client), { type: 'sub', items: [item(0, conversation)] }, { type: 'fetch', h: 0, fromSeq: 9, count: 9, direction: 'backward' });
  expect(client.closedAs).toBe('internal');
  expect(world.faults).toEqual([{ doing: 'answering a frame', error: new Error('the disk is gone') }]);
  await bob.say(put(7, 0));
  expect(ann.seqs(0)).toEqual([1]);
});

test('[SY27] entries the store could not keep are not acknowledged, and can be sent again', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  const { append } = world.store;
  Object.assign(world.store, { append: () => Promise.reject(new Error('the disk is full')) });
  await ann.say(put(0, 0));
  expect([ann.closedAs, ann.frames, bob.frames]).toEqual(['internal', [], []]);
  Object.assign(world.store, { append });
  const back = world.node().connect(ann.account, ann.device);
  await back.say(hello(back), { type: 'sub', items: [item(0, conversation, { cursor: 0, slot: 1, logHeight: 1 })] }, put(0, 0));
  expect(back.of('ack')).toMatchObject([{ nextCtr: 1, firstSeq: 1 }]);
  expect(bob.seqs(7)).toEqual([1]);
});

test('[SY21] a flood of frames closes, a flood of entries is refused, a flood of typing is dropped', async () => {
  const world = createWorld();
  const { conversation, ann, bob } = await pair(world);
  const strict = await world.client(ann.account, { frames: { burst: 30, perSecond: 1 }, entries: { burst: 3, perSecond: 1 }, ephemerals: { burst: 2, perSecond: 1 } });
  await strict.say({ type: 'sub', items: [item(0, conversation)] });
  await strict.say(put(0, 0, 3));
  await strict.say(put(0, 3));
  expect(strict.of('nack')).toEqual([{ type: 'nack', h: 0, code: nackCodes.RATE.code, nextCtr: 3 }]);
  world.now += 1_000;
  await strict.say(put(0, 3));
  expect(strict.of('ack').length).toBe(2);
  bob.forget();
  for (let i = 0; i < 5; i++) await strict.say({ type: 'eph', h: 0, sealed: Uint8Array.of(i) });
  expect(bob.of('eph').length).toBe(2);
  for (let nonce = 0; nonce < 30 && !strict.closedAs; nonce++) await strict.say({ type: 'ping', nonce });
  expect(strict.closedAs).toBe('tooMany');
  expect(bob.closedAs).toBeUndefined();
});

test('[SY2] after the socket is gone nothing is sent and nothing is listened to', async () => {
  const world = createWorld();
  const { ann, bob } = await pair(world);
  bob.connection.closed();
  await ann.say(put(0, 0));
  await bob.raw(encodeUpFrame({ type: 'ping', nonce: 1 }));
  expect(bob.frames).toEqual([]);
  expect(ann.seqs(0)).toEqual([1]);
});
