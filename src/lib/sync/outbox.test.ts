import { expect, test } from 'vitest';
import { err, ok } from '#lib/std/result.ts';
import { textToBytes } from '#lib/std/bytes.ts';
import type { NackName } from '#lib/protocol/codes.ts';
import { retryDelayMsMax } from '#lib/std/backoff.ts';
import { openMemoryDatabase } from '#lib/storage/memory.ts';
import { resolveEntry } from './outbox.ts';
import { answerTimeoutMs } from './sync.ts';
import { chatA, chatB, createDevice, createSeal, createServer, createTime, createWorld, offline, openEnvelope, restart, serverTexts, type Device } from './fixtures/fake-server.ts';

const own = (device: Device, texts: readonly string[]) => Promise.all([]).then(async () => { for (const text of texts) await device.write(chatA, text); });
const alias = (device: Device, slot: number, ctr: number) => device.database.read(['conversations', 'aliases'], (tx) => resolveEntry(tx, chatA, { slot, ctr }));

test('[SC20] an entry stays until its own row is here, across a restart', async () => {
  const { server, device, time } = await createWorld();
  server.tamper((frame) => (frame.type === 'rows' ? undefined : frame));
  await device.write(chatA, 'hello');
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['hello']);
  expect((await device.outbox(chatA)).map((entry) => entry.acknowledgedSeq)).toEqual([1]);
  expect(device.named('acked')).toEqual([[chatA, 0, 0, expect.any(Number)]]);
  server.tamper(undefined);
  const again = await restart(device, { server, time });
  expect(await again.outbox(chatA)).toEqual([]);
  expect(again.named('delivered')).toEqual([[chatA, [0]]]);
  expect(serverTexts(server, chatA)).toEqual(['hello']);
});

test('[SC20] a lost ACK sends nothing twice', async () => {
  const { server, device, time } = await createWorld();
  server.tamper((frame) => (frame.type === 'ack' || frame.type === 'rows' ? undefined : frame));
  await own(device, ['a', 'b', 'c']);
  await device.settle();
  server.tamper(undefined);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['a', 'b', 'c']);
  expect(await again.outbox(chatA)).toEqual([]);
  expect(again.named('forked')).toEqual([]);
});

test('[SC21] entry, counter and sealed bytes are durable before a frame leaves, whatever is slow', async () => {
  const server = createServer();
  const time = createTime();
  let hold = false;
  const waiting: (() => void)[] = [];
  const database = openMemoryDatabase({ commit: () => (hold ? new Promise<void>((resolve) => waiting.push(resolve)) : Promise.resolve()) });
  const { device } = await createWorld({ server, time, database });
  hold = true;
  let isWritten = false;
  void device.write(chatA, 'first').then(() => { isWritten = true; });
  for (let commits = 0; commits < 40; commits++) {
    for (let i = 0; i < 6; i++) await new Promise(setImmediate);
    while (server.hasWork()) server.step();
    const puts = server.received.filter((frame) => frame.type === 'put');
    // What the server has been given, a crash at this moment would still know.
    const durable = openMemoryDatabase({ from: database.snapshot() });
    const entries = await durable.read(['outbox'], (tx) => tx.getAll('outbox'));
    const rows = await durable.read(['rows'], (tx) => tx.getAll('rows'));
    for (const put of puts) expect([...entries.map((entry) => entry.envelope), ...rows.map((row) => row.envelope)]).toContainEqual(put.envelopes[0]);
    if (!isWritten) expect(puts).toEqual([]);
    waiting.shift()?.();
  }
  expect(isWritten).toBe(true);
  expect(serverTexts(server, chatA)).toEqual(['first']);
});

test('[SC21] a crash after any commit loses nothing, doubles nothing and keeps the order', async () => {
  const texts = ['one', 'two', 'three', 'four'];
  /** Runs until the disk freezes after so many commits, then starts again from what it holds. */
  async function crashAfter(commits: number): Promise<{ committed: number; written: number }> {
    const server = createServer();
    const time = createTime();
    let committed = 0;
    let written = 0;
    let isDone = false;
    const database = openMemoryDatabase({ commit: () => (committed < commits ? Promise.resolve() : new Promise<void>(() => {})), onCommitted: (n) => { committed = n; } });
    const device = await createDevice({ server, time, database });
    void (async () => {
      await device.sync.addConversations([chatA]);
      device.sync.start();
      for (const text of texts) {
        await device.write(chatA, text);
        written += 1;
        for (let i = 0; i < 4; i++) await new Promise(setImmediate);
      }
      isDone = true;
    })();
    for (let quiet = 0; quiet < 12; quiet++) {
      await new Promise(setImmediate);
      if (server.hasWork() || (committed < commits && !isDone)) quiet = 0;
      server.step();
    }
    const snapshot = database.snapshot();
    void device.sync.stop();
    server.cut();
    const again = await createDevice({ server, time, database: openMemoryDatabase({ from: snapshot }) });
    await again.sync.addConversations([chatA]);
    again.sync.start();
    await again.settle();
    await again.advance(60_000);
    const arrived = serverTexts(server, chatA);
    // What the person was told is durable has arrived, once and in order; one more may have been written just then.
    expect(texts.slice(0, arrived.length)).toEqual(arrived);
    expect(arrived.length).toBeGreaterThanOrEqual(written);
    expect(arrived.length).toBeLessThanOrEqual(written + 1);
    expect(await again.texts(chatA)).toEqual(arrived);
    expect(await again.outbox(chatA)).toEqual([]);
    expect(again.named('forked')).toEqual([]);
    expect((await again.stored(chatA)).slot).toBe(1);
    return { committed, written };
  }
  const whole = await crashAfter(Infinity);
  expect(whole.written).toBe(texts.length);
  expect(whole.committed).toBeGreaterThan(12);
  for (let commits = 1; commits < whole.committed; commits++) await crashAfter(commits);
});

test('[SC22] one PUT at a time in a chat, at most 64 entries, and chats do not wait for each other', async () => {
  const { server, device } = await createWorld({ chats: [chatA, chatB] });
  server.refuse((_frame, conversation) => (conversation === chatA ? 'silence' : undefined));
  for (let i = 0; i < 150; i++) await device.write(chatA, `a${i}`);
  await device.write(chatB, 'b');
  await device.settle();
  const puts = server.received.filter((frame) => frame.type === 'put' && frame.h === server.handleOf(chatA));
  expect(puts).toHaveLength(1);
  expect(serverTexts(server, chatB)).toEqual(['b']);
  server.refuse(undefined);
  await device.advance(answerTimeoutMs + 2_000);
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 150 }, (_, i) => `a${i}`));
  for (const frame of server.received) if (frame.type === 'put') expect(frame.envelopes.length).toBeLessThanOrEqual(64);
});

test('[SC22] a PUT of large entries stays inside a frame', async () => {
  const big = 'x'.repeat(12_000);
  const { server, device } = await createWorld({ token: offline });
  for (let i = 0; i < 40; i++) await device.write(chatA, `${i} ${big}`);
  const online = await restart(device, { server, time: createTime() });
  expect(serverTexts(server, chatA)).toHaveLength(40);
  expect(await online.outbox(chatA)).toEqual([]);
  expect(server.received.filter((frame) => frame.type === 'put').length).toBeGreaterThan(1);
});

test('[SC23] an entry that waits can be changed or withdrawn; one that was sealed can not', async () => {
  const { server, device, time } = await createWorld({ token: offline });
  await own(device, ['first', 'second', 'third']);
  expect(await device.sync.replaceWaiting(chatA, 1, textToBytes('second, edited'))).toEqual(ok(undefined));
  expect(await device.sync.withdraw(chatA, 2, textToBytes('(empty)'))).toEqual(ok(undefined));
  expect(await device.sync.replaceWaiting(chatA, 9, textToBytes('none'))).toEqual(err('gone'));
  server.refuse(() => 'silence');
  const online = await restart(device, { server, time });
  expect(await online.sync.replaceWaiting(chatA, 0, textToBytes('too late'))).toEqual(err('already-sealed'));
  server.refuse(undefined);
  await online.advance(answerTimeoutMs + 2_000);
  expect(serverTexts(server, chatA)).toEqual(['first', 'second, edited', '(empty)']);
});

test('[SC23] an edit that comes while its entry is being sealed wins', async () => {
  const server = createServer();
  const seal = createSeal();
  let edit: (() => Promise<unknown>) | undefined;
  const { device } = await createWorld({
    server,
    deps: { async seal(...args) { const now = edit; edit = undefined; await now?.(); return seal(...args); } },
  });
  edit = () => device.sync.replaceWaiting(chatA, 0, textToBytes('new'));
  await device.write(chatA, 'old');
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['new']);
});

test('[SC24] every refusal has its step, loses nothing, and later entries go on', async () => {
  const steps: [NackName, (texts: string[]) => void][] = [
    ['RATE', (texts) => expect(texts).toEqual(['a', 'bad', 'c'])],
    ['EPOCH_STALE', (texts) => expect(texts).toEqual(['a', 'bad', 'c'])],
    ['ROTATION_DUE', (texts) => expect(texts).toEqual(['a', 'bad', 'c'])],
    ['SIZE', (texts) => expect(texts).toEqual(['a', '(empty)', 'c'])],
    ['SHAPE', (texts) => expect(texts).toEqual(['a', '(empty)', 'c'])],
    ['READ_ONLY', (texts) => expect(texts).toEqual(['a', '(empty)', 'c'])],
  ];
  for (const [name, check] of steps) {
    const { server, device } = await createWorld();
    let isFixed = false;
    server.refuse((frame) => (!isFixed && frame.envelopes.some((envelope) => openEnvelope(envelope).text === 'bad') ? name : undefined));
    await own(device, ['a', 'bad', 'c']);
    await device.settle();
    isFixed = true;
    if (name === 'EPOCH_STALE' || name === 'ROTATION_DUE') {
      expect(device.named('groupStale')[0]).toEqual([chatA, name]);
      device.sync.groupRefreshed(chatA);
      await device.settle();
    } else if (name === 'RATE') await device.advance(retryDelayMsMax);
    check(serverTexts(server, chatA));
    expect(await device.outbox(chatA)).toEqual([]);
    const refused = await device.database.read(['refused'], (tx) => tx.getAll('refused'));
    if (['SIZE', 'SHAPE', 'READ_ONLY'].includes(name)) {
      expect(device.named('refused')).toEqual([[chatA, 1, name]]);
      expect(refused).toMatchObject([{ slot: 1, ctr: 1, why: name, sealedEvent: textToBytes('bad') }]);
      // Trying again is a new entry; the old name leads to it.
      expect(await device.sync.retry(chatA, { slot: 1, ctr: 1 })).toEqual(ok({ slot: 1, ctr: 3 }));
      await device.settle();
      expect(serverTexts(server, chatA)).toEqual(['a', '(empty)', 'c', 'bad']);
      expect(await alias(device, 1, 1)).toEqual({ slot: 1, ctr: 3 });
      expect(await device.sync.retry(chatA, { slot: 1, ctr: 1 })).toEqual(err('gone'));
    } else expect(refused).toEqual([]);
  }
});

test('[SC24] in a batch only the entry that is meant is refused', async () => {
  const { server, device, time } = await createWorld({ token: offline });
  await own(device, Array.from({ length: 20 }, (_, i) => `m${i}`));
  server.refuse((frame) => (frame.envelopes.some((envelope) => ['m3', 'm11'].includes(openEnvelope(envelope).text)) ? 'SHAPE' : undefined));
  const online = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 20 }, (_, i) => (i === 3 || i === 11 ? '(empty)' : `m${i}`)));
  expect(online.named('refused').map(([, ctr]) => ctr)).toEqual([3, 11]);
});

test('[SC24] a refusal of everything keeps the words and does not spin', async () => {
  const { server, device } = await createWorld();
  server.refuse(() => 'SHAPE');
  await device.write(chatA, 'cursed');
  await device.settle();
  await device.advance(5_000);
  expect((await device.database.read(['refused'], (tx) => tx.getAll('refused'))).map((record) => record.sealedEvent)).toEqual([textToBytes('cursed')]);
  expect(server.received.filter((frame) => frame.type === 'put').length).toBeLessThan(20);
});

test('[SC24] not a member: what waits is refused and kept, and sent only when the person asks', async () => {
  const { server, device } = await createWorld();
  server.refuse(() => 'NOT_MEMBER');
  await own(device, ['a', 'b']);
  await device.settle();
  expect(device.named('notMember')).toEqual([[chatA]]);
  expect((await device.database.read(['refused'], (tx) => tx.getAll('refused'))).map((record) => record.ctr)).toEqual([0, 1]);
  server.refuse(undefined);
  await device.sync.addConversations([chatA]);
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['(empty)', '(empty)']);
  await device.sync.retry(chatA, { slot: 1, ctr: 0 });
  await device.sync.dropRefused(chatA, { slot: 1, ctr: 1 });
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['(empty)', '(empty)', 'a']);
  expect(await device.database.read(['refused'], (tx) => tx.count('refused'))).toBe(0);
});

test('[SC24] what cannot be sealed is refused; what cannot be sealed yet waits for keys', async () => {
  const server = createServer();
  const seal = createSeal();
  let hasKeys = false;
  const { device } = await createWorld({
    server,
    deps: {
      async seal(conversation, records, at) {
        if (!hasKeys) return err({ type: 'not-now', why: 'no epoch' });
        const bad = records.find((record) => record.sealedEvent.length === 3);
        return bad ? err({ type: 'refused', ctr: bad.ctr, why: 'corrupt' }) : seal(conversation, records, at);
      },
    },
  });
  await own(device, ['good', 'bad', 'also good']);
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual([]);
  hasKeys = true;
  device.sync.groupRefreshed(chatA);
  await device.settle();
  expect(serverTexts(server, chatA)).toEqual(['good', '(empty)', 'also good']);
  expect(device.named('refused')).toEqual([[chatA, 1, 'corrupt']]);
});

test('[SC24] the app can refuse what waits when the signed log says we are out', async () => {
  const { device } = await createWorld({ token: offline });
  await own(device, ['a', 'b']);
  await device.sync.refuseWaiting(chatA, 'removed');
  expect(device.named('refused')).toEqual([[chatA, 0, 'removed'], [chatA, 1, 'removed']]);
  expect((await device.outbox(chatA)).map((entry) => [entry.refused, entry.sealedEvent.length])).toEqual([['removed', 0], ['removed', 0]]);
});

test('[SC25] bytes that may be stored are never replaced unnoticed: an older form that was stored after all counts', async () => {
  const server = createServer();
  let epoch = 1;
  const { device } = await createWorld({ server, deps: { seal: createSeal(() => epoch) } });
  // The first PUT is refused for its epoch, and yet another node stores it later.
  let first: Uint8Array<ArrayBuffer>[] = [];
  server.refuse((frame) => {
    if (frame.envelopes.every((envelope) => openEnvelope(envelope).epoch === 2)) return undefined;
    first = [...frame.envelopes];
    return 'EPOCH_STALE';
  });
  await own(device, ['mine', 'next']);
  await device.settle();
  server.of(chatA).nextCtr = 1;
  server.forge(chatA, 1, 0, first[0]!);
  epoch = 2;
  device.sync.groupRefreshed(chatA);
  await device.settle();
  await device.advance(60_000);
  expect(serverTexts(server, chatA)).toEqual(['mine', 'next']);
  expect(openEnvelope(server.of(chatA).rows[0]!.envelope!).epoch).toBe(1);
  expect(device.named('forked')).toEqual([]);
  expect((await device.stored(chatA)).slot).toBe(1);
  // The one behind is sealed on top of the form that counts.
  const [a, b] = server.of(chatA).rows.map((row) => row.envelope!);
  expect(openEnvelope(b!).prev).toBe((await chainOf(a!)));
});

async function chainOf(envelope: Uint8Array): Promise<string> {
  const { sha256 } = await import('./fixtures/fake-server.ts');
  const { bytesToHex, bytesToText } = await import('#lib/std/bytes.ts');
  return bytesToHex(sha256(textToBytes(bytesToText(envelope)!.trimEnd()))).slice(0, 8);
}

test('[SC27] a device that lost its state takes a new slot, sends what waits once, and knows the new names', async () => {
  const { server, device, time } = await createWorld();
  await own(device, ['old 0', 'old 1']);
  await device.settle();
  const backup = device.database.snapshot();
  await own(device, ['lost 2', 'lost 3']);
  await device.settle();
  void device.sync.stop();
  server.cut();
  // The profile comes back as it was, and the person goes on writing before any connection.
  const restored = await createDevice({ server, time, database: openMemoryDatabase({ from: backup }) });
  await restored.sync.addConversations([chatA]);
  expect(await restored.write(chatA, 'new')).toEqual({ slot: 1, ctr: 2 });
  restored.sync.start();
  await restored.settle();
  await restored.advance(60_000);
  expect(serverTexts(server, chatA)).toEqual(['old 0', 'old 1', 'lost 2', 'lost 3', 'new']);
  expect(await restored.texts(chatA)).toEqual(serverTexts(server, chatA));
  expect(await restored.stored(chatA)).toMatchObject({ slot: 2, nextCtr: 1, firstSlot: 1 });
  expect(restored.named('forked').length).toBeGreaterThan(0);
  expect(restored.named('renumbered')).toEqual([[chatA, { fromSlot: 1, toSlot: 2, ctrs: new Map([[2, 0]]) }]]);
  expect(await alias(restored, 1, 2)).toEqual({ slot: 2, ctr: 0 });
  expect(await restored.outbox(chatA)).toEqual([]);
});

test('[SC27] the app changes its own records in the transaction that renumbers', async () => {
  const server = createServer();
  server.of(chatA).nextSlot = 5;
  const { device, time } = await createWorld({ server });
  await own(device, ['a']);
  await device.settle();
  server.of(chatA).slot = 9; // the slot was given up behind our back
  server.of(chatA).nextCtr = 0;
  const again = await restart(device, {
    server, time, deps: { renumbered: (_conversation, change) => ({ write: async (tx) => tx.put('kv', 'map', [...change.ctrs]) }) },
  });
  await again.write(chatA, 'b');
  await again.settle();
  await again.advance(60_000);
  expect(serverTexts(server, chatA)).toEqual(['a', 'b']);
  expect(server.of(chatA).rows.map((row) => [row.slot, row.ctr])).toEqual([[5, 0], [9, 0]]);
  expect(await again.database.read(['kv'], (tx) => tx.get('kv', 'map'))).toEqual([[1, 0]]);
  expect(again.named('forked')).toEqual([]);
});

test('[SC27] entries written before any slot was known keep their names', async () => {
  const { server, device, time } = await createWorld({ token: offline });
  expect(await device.write(chatA, 'a')).toEqual({ slot: 0, ctr: 0 });
  const online = await restart(device, { server, time });
  expect(await alias(online, 0, 0)).toEqual({ slot: 1, ctr: 0 });
  expect(serverTexts(server, chatA)).toEqual(['a']);
});

test('[SC27] a row in our name that we did not write is an alarm, and our own entry still arrives', async () => {
  const { server, device, time } = await createWorld({ token: offline });
  await own(device, ['true words']);
  const snapshotDevice = await restart(device, { server, time, token: offline });
  const { sealText } = await import('./fixtures/fake-server.ts');
  server.of(chatA).slot = 1;
  server.of(chatA).nextSlot = 2;
  const online = await restart(snapshotDevice, { server, time });
  await online.settle();
  expect(serverTexts(server, chatA)).toEqual(['true words']);
  server.forge(chatA, 1, 1, sealText('forged', 1, 1, new Uint8Array(32)).envelope);
  await online.settle();
  expect(online.named('forked')).toEqual([[chatA, { slot: 1, ctr: 1 }]]);
  await online.write(chatA, 'still here');
  await online.settle();
  expect(serverTexts(server, chatA)).toEqual(['true words', 'forged', 'still here']);
  expect(server.of(chatA).rows.at(-1)).toMatchObject({ slot: 2, ctr: 0 });
});

test('[SC27] a stale STATE is not taken for lost state: no slot is given up without cause', async () => {
  const { server, device } = await createWorld();
  await own(device, ['a', 'b']);
  await device.settle();
  const h = server.handleOf(chatA)!;
  for (const [head, nextCtr] of [[0, 0], [1, 1], [2, 1], [2, 0]] as const) {
    server.say({ type: 'state', h, head, slot: 1, nextCtr, openSeg: 0, logHeight: 0, serverTime: 0 });
    await device.settle();
  }
  await own(device, ['c']);
  await device.settle();
  await device.advance(60_000);
  expect((await device.stored(chatA)).slot).toBe(1);
  expect(server.received.filter((frame) => frame.type === 'newSlot')).toEqual([]);
  expect(serverTexts(server, chatA)).toEqual(['a', 'b', 'c']);
  expect(await device.texts(chatA)).toEqual(['a', 'b', 'c']);
  expect(device.named('lost')).toEqual([]);
});
