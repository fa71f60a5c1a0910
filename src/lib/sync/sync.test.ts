import { expect, test } from 'vitest';
import { err, ok } from '#lib/std/result.ts';
import { bytesToText, textToBytes } from '#lib/std/bytes.ts';
import { StorageError } from '#lib/storage/database.ts';
import { openMemoryDatabase } from '#lib/storage/memory.ts';
import { answerTimeoutMs } from './sync.ts';
import { pingIntervalMs, pongTimeoutMs, welcomeTimeoutMs } from './connection.ts';
import { chatA, chatB, createServer, createTime, createWorld, lineage2, offline, openEnvelope, restart, serverTexts } from './fixtures/fake-server.ts';

test('[SC4] one SUB speaks for all chats, and a quiet one costs no further frame', async () => {
  const { server, device, time } = await createWorld({ chats: [chatA, chatB] });
  server.post(chatA, 'one', 'two');
  await device.settle();
  server.received.length = 0;
  const again = await restart(device, { server, time, chats: [chatA, chatB] });
  expect(server.received.map((frame) => frame.type)).toEqual(['hello', 'sub', 'ping']);
  expect(server.received.find((frame) => frame.type === 'sub')!.items.map((item) => item.cursor)).toEqual([2, 0]);
  expect(again.sync.connection().state).toBe('online');
  server.post(chatB, 'hello');
  await again.settle();
  expect(await again.texts(chatB)).toEqual(['hello']);
});

test('[SC4] a device new in a chat begins at its head and reads older rows when asked', async () => {
  const server = createServer();
  server.post(chatA, ...Array.from({ length: 100 }, (_, i) => `m${i}`));
  const { device } = await createWorld({ server });
  expect(await device.stored(chatA)).toMatchObject({ cursor: 100, low: 101 });
  const asked = device.sync.fetchOlder(chatA, 30);
  await device.settle();
  expect(await asked).toEqual(ok({ loaded: 30, low: 71 }));
  server.post(chatA, 'live');
  const more = device.sync.fetchOlder(chatA, 500);
  await device.settle();
  expect(await more).toEqual(ok({ loaded: 70, low: 1 }));
  expect(await device.texts(chatA)).toEqual([...Array.from({ length: 100 }, (_, i) => `m${i}`), 'live']);
  const none = device.sync.fetchOlder(chatA, 5);
  await device.settle();
  expect(await none).toEqual(ok({ loaded: 0, low: 1 }));
});

test('[SC5] older rows are answered offline at once, also when the link breaks while waiting', async () => {
  const server = createServer();
  server.post(chatA, 'a', 'b');
  const { device } = await createWorld({ server });
  const asked = device.sync.fetchOlder(chatA, 1);
  server.cut();
  expect(await asked).toEqual(err('offline'));
  expect(await device.sync.fetchOlder(chatA, 1)).toEqual(err('offline'));
});

test('[SC10] a row is taken only at cursor + 1: duplicates are skipped, a hole is asked for', async () => {
  const { server, device } = await createWorld();
  server.post(chatA, 'one');
  await device.settle();
  let dropped = 0;
  server.tamper((frame) => {
    if (frame.type !== 'rows') return frame;
    if (dropped === 0 && frame.rows[0]!.seq === 2) { dropped += 1; return undefined; }
    return [frame, frame];
  });
  server.post(chatA, 'two');
  server.post(chatA, 'three');
  await device.settle();
  expect(dropped).toBe(1);
  expect(await device.texts(chatA)).toEqual(['one', 'two', 'three']);
  expect(device.ingested.map((row) => row.seq)).toEqual([1, 2, 3]);
  expect(await device.stored(chatA)).toMatchObject({ cursor: 3 });
});

test('[SC10] a lost last row is asked for when the server falls silent about it', async () => {
  const { server, device } = await createWorld();
  server.tamper((frame) => (frame.type === 'rows' ? undefined : frame));
  await device.write(chatA, 'mine');
  await device.settle();
  expect((await device.stored(chatA)).cursor).toBe(0);
  server.tamper(undefined);
  await device.advance(answerTimeoutMs + 1);
  expect(await device.texts(chatA)).toEqual(['mine']);
  expect(await device.outbox(chatA)).toEqual([]);
});

test('[SC11] rows, cursor and what the app adds are one transaction; what follows it runs after', async () => {
  const server = createServer();
  const order: string[] = [];
  const { device } = await createWorld({
    server,
    deps: {
      async ingest(_conversation, rows) {
        return {
          stored: rows.map((row) => ({ ...row, check: 'ok' as const })), stores: ['kv'],
          async write(tx) { await tx.put('kv', 'seen', rows.at(-1)!.seq); order.push('write'); if (rows.some((row) => openEnvelope(row.envelope!).text === 'poison')) throw new Error('bug'); },
          after() { order.push('after'); },
        };
      },
    },
  });
  server.post(chatA, 'fine');
  await device.settle();
  expect(order).toEqual(['write', 'after']);
  server.post(chatA, 'poison');
  await device.settle();
  expect(await device.stored(chatA)).toMatchObject({ cursor: 1 });
  expect(await device.texts(chatA)).toEqual(['fine']);
  expect(await device.database.read(['kv'], (tx) => tx.get('kv', 'seen'))).toBe(1);
  expect(device.named('failed')).toHaveLength(1);
});

test('[SC12] a chat that is busy verifying holds up no other', async () => {
  const server = createServer();
  let release: () => void = () => {};
  const { device } = await createWorld({
    server, chats: [chatA, chatB],
    deps: {
      async ingest(conversation, rows) {
        if (conversation === chatA) await new Promise<void>((resolve) => { release = resolve; });
        return { stored: rows.map((row) => ({ ...row, check: 'ok' as const })) };
      },
    },
  });
  server.post(chatA, 'slow');
  server.post(chatB, 'quick');
  for (let i = 0; i < 10; i++) {
    await new Promise(setImmediate);
    server.step();
  }
  expect(await device.texts(chatB)).toEqual(['quick']);
  expect(await device.texts(chatA)).toEqual([]);
  release();
  await device.settle();
  expect(await device.texts(chatA)).toEqual(['slow']);
});

test('[SC30] a link that answers no ping is dropped within 35 s and dialled anew', async () => {
  const { server, device } = await createWorld();
  server.setDead(true);
  await device.advance(pingIntervalMs + pongTimeoutMs + 1);
  expect(device.sync.connection().state).not.toBe('online');
  server.setDead(false);
  await device.advance(60_000);
  expect(device.sync.connection().state).toBe('online');
  server.post(chatA, 'back');
  await device.settle();
  expect(await device.texts(chatA)).toEqual(['back']);
});

test('[SC30] a poke finds a dead link in 10 s', async () => {
  const { server, device } = await createWorld();
  server.setDead(true);
  device.sync.poke();
  await device.advance(pongTimeoutMs + 1);
  expect(device.sync.connection().state).not.toBe('online');
});

test('[SC30] a server that never welcomes is given up', async () => {
  const server = createServer();
  server.tamper((frame) => (frame.type === 'welcome' ? undefined : frame));
  const { device } = await createWorld({ server });
  await device.advance(welcomeTimeoutMs + 1);
  expect(device.sync.connection().state).toBe('offline');
  server.tamper(undefined);
  await device.advance(30_000);
  expect(device.sync.connection().state).toBe('online');
});

test('[SC31] attempts back off up to 30 s, say when the next is due, and a poke tries at once', async () => {
  const server = createServer();
  const time = createTime();
  let online = false;
  const tries: number[] = [];
  const { device } = await createWorld({ server, time, token: async () => { tries.push(time.clock.now()); return online ? ok('t') : err('offline'); } });
  await device.advance(300_000);
  const gaps = tries.slice(1).map((at, i) => at - tries[i]!);
  expect(gaps.slice(0, 5)).toEqual([750, 1_250, 2_250, 4_250, 8_250]);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
  expect(device.sync.connection()).toMatchObject({ state: 'offline', retryAt: expect.any(Number) });
  online = true;
  device.sync.poke();
  await device.settle();
  expect(device.sync.connection()).toEqual({ state: 'online', retryAt: undefined });
});

test('[SC32] each close code has its one next step', async () => {
  const { server, device } = await createWorld();
  server.cut(1012);
  await device.advance(1_000);
  expect(device.sync.connection().state).toBe('online');
  server.cut(4401);
  await device.advance(1_000);
  expect(device.sync.connection().state).toBe('online'); // a token may have expired on its way
  server.cut(4002);
  await device.advance(1_000);
  expect(device.sync.connection().state).toBe('offline');
  await device.advance(20_000);
  expect(device.sync.connection().state).toBe('online');
  server.cut(4426);
  await device.advance(120_000);
  expect(device.sync.connection()).toEqual({ state: 'update-needed', retryAt: undefined });
});

test('[SC32] a session that is over asks for signing in, and goes on by itself afterwards', async () => {
  const server = createServer();
  let signedIn = false;
  const { device } = await createWorld({ server, token: async () => (signedIn ? ok('t') : err('signed-out')) });
  const entry = await device.write(chatA, 'meanwhile');
  await device.advance(120_000);
  expect(device.sync.connection()).toEqual({ state: 'sign-in-needed', retryAt: undefined });
  expect((await device.outbox(chatA)).map(({ ctr }) => ctr)).toEqual([entry.ctr]);
  signedIn = true;
  device.sync.poke();
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['meanwhile']);
});

test('[SC32] a token refused twice in a row is a session that is over', async () => {
  const server = createServer();
  server.tamper((frame) => { if (frame.type === 'welcome') server.cut(4401); return frame.type === 'welcome' ? undefined : frame; });
  const { device } = await createWorld({ server });
  await device.advance(10_000);
  expect(device.sync.connection().state).toBe('sign-in-needed');
  expect(server.connects()).toBe(2);
});

test('[SC33] a storage fault is told, costs no stored row, and is tried again until it is over', async () => {
  let full = false;
  const database = openMemoryDatabase({ commit: async () => { if (full) throw new StorageError('full'); } });
  const { server, device } = await createWorld({ database });
  full = true;
  server.post(chatA, 'no room');
  await device.settle();
  expect(device.named('storageFault')[0]).toEqual([expect.objectContaining({ reason: 'full' })]);
  await expect(device.write(chatA, 'neither')).rejects.toMatchObject({ reason: 'full' });
  await device.advance(60_000);
  expect(server.connects()).toBeLessThan(12);
  full = false;
  await device.advance(60_000);
  expect(await device.texts(chatA)).toEqual(['no room']);
});

test('[SC34] notices of the server reach the app, with the offset of its clock', async () => {
  const { server, device, time } = await createWorld();
  const h = server.handleOf(chatA)!;
  server.say({ type: 'membershipMoved', membershipVersion: 7 });
  server.say({ type: 'groupMoved', h, logHeight: 3 });
  server.say({ type: 'eph', h, slot: 9, sealed: textToBytes('typing') });
  await device.settle();
  expect(device.named('membershipMoved')).toEqual([[7]]);
  expect(device.named('groupMoved')).toEqual([[chatA, 3]]);
  expect(device.named('ephemeral').map(([, slot]) => slot)).toEqual([9]);
  expect(device.named('welcome')).toHaveLength(1);
  expect(device.named('clockOffset').length).toBeGreaterThan(0);
  expect(Math.abs(device.named('clockOffset').at(-1)![0] as number)).toBeLessThan(1_000);
  void time;
});

test('[SC42] a group log that was followed to its height is not told again; one that moved, or came from another history, is', async () => {
  const { server, device } = await createWorld({ chats: [chatA, chatB] });
  const reconnect = async () => {
    server.cut(1012);
    await device.advance(40_000);
  };
  const moved = () => device.named('groupMoved');
  server.of(chatA).logHeight = 3;
  server.of(chatB).logHeight = 1;
  await reconnect();
  expect(moved()).toEqual([[chatA, 3], [chatB, 1]]);
  await device.sync.groupFollowed(new Map([[chatA, 3], [chatB, 1]]));
  await reconnect();
  expect(moved()).toHaveLength(2);
  expect(server.received.filter((frame) => frame.type === 'sub').at(-1)?.items.map(({ logHeight }) => logHeight)).toEqual([3, 1]);
  server.of(chatA).logHeight = 4;
  await reconnect();
  expect(moved().slice(2)).toEqual([[chatA, 4]]);
  await device.sync.groupFollowed(new Map([[chatA, 4]]));
  server.setLineage(lineage2);
  await reconnect();
  expect(moved().slice(3)).toEqual([[chatA, undefined], [chatB, undefined]]);
});

test('[SC35] a chat we are not in is left alone, told, and taken up again when added', async () => {
  const server = createServer();
  server.of(chatA).isMember = false;
  const { device } = await createWorld({ server, chats: [chatA, chatB] });
  expect(device.named('notMember')).toEqual([[chatA]]);
  expect(device.sync.connection().state).toBe('online');
  expect(await device.sync.fetchOlder(chatA, 5)).toEqual(err('not-member'));
  await device.write(chatA, 'kept');
  await device.settle();
  expect(await device.outbox(chatA)).toHaveLength(1);
  server.of(chatA).isMember = true;
  await device.sync.addConversations([chatA]);
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['kept']);
});

test('[SC35] a removed chat is neither synced nor sent', async () => {
  const { server, device } = await createWorld({ chats: [chatA, chatB] });
  await device.sync.removeConversation(chatA);
  await device.settle();
  expect(server.received.at(-1)!.type).toBe('unsub');
  server.post(chatA, 'unheard');
  await device.settle();
  expect(await device.texts(chatA)).toEqual([]);
});

test('[SC36] a mark is sent with a counter that only grows, again until the server has it', async () => {
  const { server, device, time } = await createWorld();
  const asked: number[] = [];
  const make = (text: string) => async (markCtr: number) => { asked.push(markCtr); return textToBytes(`${text} ${markCtr}`); };
  device.sync.mark(chatA, make('read'));
  await device.settle();
  expect(server.marks.map((mark) => bytesToText(mark.sealed))).toEqual(['read 1']);
  expect((await device.stored(chatA)).markUnsent).toBeUndefined();
  server.tamper((frame) => (frame.type === 'marks' ? undefined : frame));
  device.sync.mark(chatA, make('more'));
  await device.settle();
  server.marks.pop(); // lost on the way
  server.tamper(undefined);
  const again = await restart(device, { server, time });
  expect(server.marks.map((mark) => bytesToText(mark.sealed))).toEqual(['read 1', 'more 2']);
  expect((await again.stored(chatA)).markUnsent).toBeUndefined();
  expect(asked).toEqual([1, 2]);
});

test('[SC36] marks of others are kept, the greatest per slot, and told once', async () => {
  const { server, device } = await createWorld();
  const h = server.handleOf(chatA)!;
  const mark = (markCtr: number, rt: number) => ({ slot: 5, markCtr, rt, sealed: textToBytes(`m${markCtr}`) });
  server.say({ type: 'marks', h, marks: [mark(2, 10)] });
  server.say({ type: 'marks', h, marks: [mark(1, 11), mark(2, 10)] });
  await device.settle();
  expect(device.named('marks')).toHaveLength(1);
  expect(await device.database.read(['marks'], (tx) => tx.get('marks', [chatA, 5]))).toMatchObject({ markCtr: 2 });
  expect((await device.stored(chatA)).marksSince).toBe(11);
});

test('[SC37] offline everything is written down and counted, and nothing throws', async () => {
  const { device } = await createWorld({ token: offline, chats: [chatA, chatB] });
  await device.write(chatA, 'one');
  await device.write(chatA, 'two');
  await device.write(chatB, 'three');
  device.sync.sendEphemeral(chatA, textToBytes('typing'));
  device.sync.mark(chatA, async () => textToBytes('mark'));
  await device.settle();
  expect(await device.sync.waiting()).toEqual({ total: 3, byConversation: new Map([[chatA, 2], [chatB, 1]]) });
});

test('[SC37] stopped means silent: no timer, no frame', async () => {
  const { server, device, time } = await createWorld();
  await device.sync.stop();
  const before = server.received.length;
  await time.advance(120_000, async () => {});
  expect(server.received.length).toBe(before);
  expect(time.pending()).toBe(0);
});

test('[SC38] a frame that does not decode ends the link, not the app', async () => {
  const { server, device } = await createWorld();
  for (const bytes of [Uint8Array.of(0xff), Uint8Array.of(0x83), new Uint8Array(300_000).fill(0x83)]) {
    const connects = server.connects();
    server.sayBytes(bytes);
    await device.settle();
    expect(device.sync.connection().state).toBe('offline');
    await device.advance(30_000);
    expect(device.sync.connection().state).toBe('online');
    expect(server.connects()).toBe(connects + 1);
  }
  expect(device.named('failed')).toHaveLength(3);
  server.post(chatA, 'after');
  await device.settle();
  expect(await device.texts(chatA)).toEqual(['after']);
});
