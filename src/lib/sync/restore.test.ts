import { expect, test } from 'vitest';
import { limits } from '#lib/protocol/limits.ts';
import { rowStores, purgeRows } from '#lib/storage/rows.ts';
import { chatA, chatB, createDevice, createServer, createWorld, lineage1, lineage2, openEnvelope, otherSlot, restart, sealText, serverTexts, type Device, type FakeServer } from './fixtures/fake-server.ts';
import { quietMs } from './segments.ts';

const lostTexts = async (device: Device) => (await device.database.read(['lost'], (tx) => tx.getAll('lost'))).map((row) => openEnvelope(row.envelope!).text).sort();

/** The server as it was after `keep` rows; its slot as it was then. */
function restoreServer(server: FakeServer, keep: number, { nextCtr, slot }: { nextCtr?: number; slot?: number } = {}): void {
  const chat = server.of(chatA);
  chat.rows = chat.rows.slice(0, keep);
  chat.nextCtr = nextCtr ?? chat.rows.filter((row) => row.slot === chat.slot).length;
  if (slot !== undefined) {
    chat.slot = slot;
    chat.nextCtr = 0;
  }
}

async function lived() {
  const world = await createWorld();
  const { server, device } = world;
  for (const [who, text] of [['me', 'm0'], ['you', 'y0'], ['me', 'm1'], ['you', 'y1'], ['me', 'm2'], ['you', 'y2']] as const) {
    if (who === 'me') await device.write(chatA, text);
    else server.post(chatA, text);
    await device.settle();
  }
  return world;
}

test('[SC26] a server restored from a backup gets our entries again byte for byte, and others\' stay in sight', async () => {
  const { server, device, time } = await lived();
  const before = (await device.rows(chatA)).map((row) => row.envelope);
  restoreServer(server, 2);
  server.setLineage(lineage2);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'm2']);
  expect(server.of(chatA).rows.slice(2).map((row) => row.envelope)).toEqual([before[2], before[4]]);
  expect(await again.texts(chatA)).toEqual(['m0', 'y0', 'm1', 'm2']);
  expect(await lostTexts(again)).toEqual(['y1', 'y2']);
  expect(await again.stored(chatA)).toMatchObject({ lineage: lineage2, cursor: 4, slot: 1, nextCtr: 3 });
  expect(again.named('lineageChanged')).toEqual([[lineage1, lineage2]]);
  expect(again.named('lost')).toEqual([[chatA, { resent: [{ slot: 1, ctr: 1 }, { slot: 1, ctr: 2 }], rows: [expect.objectContaining({ seq: 4 }), expect.objectContaining({ seq: 6 })] }]]);
  // The others send theirs again too; then nothing is lost any more.
  const theirs = (await again.database.read(['lost'], (tx) => tx.getAll('lost'))).sort((a, b) => a.ctr - b.ctr);
  for (const row of theirs) server.forge(chatA, otherSlot, row.ctr, row.envelope!);
  await again.settle();
  expect(await lostTexts(again)).toEqual([]);
  await again.write(chatA, 'm3');
  await again.settle();
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'm2', 'y1', 'y2', 'm3']);
  expect((await again.outbox(chatA))).toEqual([]);
});

test('[SC26] numbers given out anew after a restore hold other entries, and are told apart', async () => {
  const { server, device, time } = await lived();
  restoreServer(server, 3);
  server.setLineage(lineage2);
  server.forge(chatA, otherSlot, 1, sealText('rewritten', otherSlot, 1, new Uint8Array(32)).envelope);
  server.post(chatA, 'new 5', 'new 6', 'new 7');
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'rewritten', 'new 5', 'new 6', 'new 7', 'm2']);
  expect(await again.texts(chatA)).toEqual(serverTexts(server, chatA));
  expect((await again.rows(chatA)).map((row) => row.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('[SC26] an entry sent again that stands at its old place hides nothing that changed below it', async () => {
  const { server, device, time } = await lived();
  const [, , , y1, , y2] = await device.rows(chatA);
  restoreServer(server, 2);
  server.setLineage(lineage2);
  server.forge(chatA, otherSlot, y1!.ctr, y1!.envelope!);
  server.forge(chatA, otherSlot + 1, 0, sealText('new 4', otherSlot + 1, 0, new Uint8Array(32)).envelope);
  server.forge(chatA, otherSlot + 1, 1, sealText('new 5', otherSlot + 1, 1, new Uint8Array(32)).envelope);
  server.forge(chatA, otherSlot, y2!.ctr, y2!.envelope!);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'y1', 'new 4', 'new 5', 'y2', 'm1', 'm2']);
  expect(await again.texts(chatA)).toEqual(serverTexts(server, chatA));
});

test('[SC26] a server that lost rows and says nothing is met the same way', async () => {
  const { server, device, time } = await lived();
  restoreServer(server, 4);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'y1', 'm2']);
  expect(await lostTexts(again)).toEqual(['y2']);
  expect(again.named('lineageChanged')).toEqual([]);
});

test('[SC26] when our slot is gone too, the app says its entries again under the new one', async () => {
  const { server, device, time } = await lived();
  restoreServer(server, 2, { slot: 50 });
  server.setLineage(lineage2);
  const again = await restart(device, { server, time });
  await again.advance(30_000);
  const [[, lost]] = again.named('lost') as unknown as [[unknown, { resent: unknown[]; rows: { slot: number; ctr: number; envelope: Uint8Array }[] }]];
  expect(lost.resent).toEqual([]);
  for (const row of lost.rows.filter((each) => each.slot === 1)) {
    await again.write(chatA, openEnvelope(row.envelope).text, { slot: row.slot, ctr: row.ctr });
  }
  await again.settle();
  await again.advance(30_000);
  expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'm2']);
  expect(server.of(chatA).rows.slice(2).map((row) => [row.slot, row.ctr])).toEqual([[50, 0], [50, 1]]);
  expect(await lostTexts(again)).toEqual(['y1', 'y2']);
  expect(await again.stored(chatA)).toMatchObject({ slot: 50, nextCtr: 2 });
});

test('[SC26] what waited in the outbox goes out after a restore, behind what is sent again', async () => {
  const { server, device, time } = await lived();
  server.cut();
  await device.write(chatA, 'm3');
  restoreServer(server, 1);
  server.setLineage(lineage2);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'm1', 'm2', 'm3']);
  expect(await again.outbox(chatA)).toEqual([]);
});

test('[SC26] an own entry that cannot be sent again as it was (purged, or its epoch over) ends the slot, not the chat', async () => {
  for (const why of ['purged', 'epoch'] as const) {
    const { server, device, time } = await lived();
    if (why === 'purged') await device.database.write([...rowStores], (tx) => purgeRows(tx, chatA, [{ slot: 1, ctr: 1 }]));
    restoreServer(server, 2);
    server.setLineage(lineage2);
    const old = new Set([1, 2]);
    if (why === 'epoch') server.refuse((frame) => (frame.envelopes.some((envelope) => { const { slot, ctr } = openEnvelope(envelope); return slot === 1 && old.has(ctr); }) ? 'EPOCH_STALE' : undefined));
    const again = await restart(device, { server, time });
    await again.write(chatA, 'm3');
    await again.settle();
    await again.advance(60_000);
    expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm3']);
    expect((await again.stored(chatA)).slot).toBe(2);
    expect(await again.outbox(chatA)).toEqual([]);
    const rows = again.named('lost').flatMap(([, lost]) => (lost as { rows: { slot: number; ctr: number }[] }).rows).filter((row) => row.slot === 1);
    expect(rows.map((row) => row.ctr)).toEqual([1, 2]);
  }
});

test('[SC26] a server with nothing left gets everything of ours, and the rest stays in sight', async () => {
  const { server, device, time } = await lived();
  restoreServer(server, 0);
  server.setLineage(lineage2);
  const again = await restart(device, { server, time });
  expect(serverTexts(server, chatA)).toEqual(['m0', 'm1', 'm2']);
  expect(await lostTexts(again)).toEqual(['y0', 'y1', 'y2']);
});

test('[SC26] a history that has nothing in common with ours begins at its head', async () => {
  const server = createServer();
  server.post(chatA, ...Array.from({ length: 600 }, (_, i) => `old ${i}`));
  const { device, time } = await createWorld({ server });
  const asked = device.sync.fetchOlder(chatA, 20);
  await device.settle();
  await asked;
  server.of(chatA).rows = [];
  server.setLineage(lineage2);
  server.post(chatA, ...Array.from({ length: 590 }, (_, i) => `other ${i}`));
  const again = await restart(device, { server, time });
  expect(await again.stored(chatA)).toMatchObject({ cursor: 590, low: 591, lineage: lineage2 });
  expect((await lostTexts(again)).length).toBe(20);
  server.post(chatA, 'goes on');
  await again.settle();
  expect(await again.texts(chatA)).toEqual(['goes on']);
});

test('[SC26] a crash at any moment of a restore ends in the same place', async () => {
  const { server, device, time } = await lived();
  restoreServer(server, 2);
  server.setLineage(lineage2);
  const atRestore = device.database.snapshot();
  void device.sync.stop();
  const rowsThen = [...server.of(chatA).rows];
  for (let stopAt = 1; stopAt <= 8; stopAt++) {
    const chat = server.of(chatA);
    chat.rows = [...rowsThen];
    chat.nextCtr = 1;
    const { openMemoryDatabase } = await import('#lib/storage/memory.ts');
    let committed = 0;
    const database = openMemoryDatabase({ from: atRestore, commit: () => (committed < stopAt ? Promise.resolve() : new Promise<void>(() => {})), onCommitted: (n) => { committed = n; } });
    const half = await createDevice({ server, time, database });
    void half.sync.addConversations([chatA]).then(() => half.sync.start());
    for (let quiet = 0; quiet < 12; quiet++) {
      await new Promise(setImmediate);
      if (server.hasWork()) quiet = 0;
      server.step();
    }
    const again = await restart(half, { server, time });
    await again.advance(30_000);
    expect(serverTexts(server, chatA)).toEqual(['m0', 'y0', 'm1', 'm2']);
    expect(await again.texts(chatA)).toEqual(['m0', 'y0', 'm1', 'm2']);
    expect(await lostTexts(again)).toEqual(['y1', 'y2']);
    expect(await again.outbox(chatA)).toEqual([]);
    void again.sync.stop();
    server.cut();
  }
});

test('[SC28] whole segments move into their canonical form when things are quiet, and read the same', async () => {
  const server = createServer();
  server.of(chatA).perSegment = 10;
  const { device } = await createWorld({ server });
  for (let i = 0; i < 12; i++) await device.write(chatA, `m${i}`);
  server.post(chatA, ...Array.from({ length: 13 }, (_, i) => `y${i}`));
  await device.settle();
  const before = await device.rows(chatA);
  await device.advance(quietMs + 1);
  expect(await device.rows(chatA)).toEqual(before);
  expect(await device.database.read(['segments', 'rows'], async (tx) => [await tx.count('segments'), await tx.count('rows')])).toEqual([2, 5]);
  expect(server.received.filter((frame) => frame.type === 'seg')).toHaveLength(1);
  expect(device.named('segmentDiffers')).toEqual([]);
  await device.sync.compact(chatA);
  expect(await device.database.read(['segments'], (tx) => tx.count('segments'))).toBe(2);
});

test('[SC28] a row that still waits for its key keeps its segment open', async () => {
  const server = createServer();
  server.of(chatA).perSegment = 3;
  const { device } = await createWorld({
    server, deps: { ingest: async (_conversation, rows) => ({ stored: rows.map((row) => ({ ...row, check: row.seq === 2 ? ('pending' as const) : ('ok' as const) })) }) },
  });
  server.post(chatA, 'a', 'b', 'c', 'd', 'e', 'f', 'g');
  await device.settle();
  await device.advance(quietMs + 1);
  expect((await device.database.read(['segments'], (tx) => tx.getAll('segments'))).map((segment) => segment.seg)).toEqual([1]);
  expect(await device.texts(chatA)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
});

test('[SC28] a server that gave us another row than it holds is noticed', async () => {
  const server = createServer();
  server.of(chatA).perSegment = 4;
  const { device } = await createWorld({ server });
  server.post(chatA, 'a', 'b', 'c', 'd', 'e');
  await device.settle();
  const chat = server.of(chatA);
  chat.rows[2] = { ...chat.rows[2]!, envelope: sealText('swapped', otherSlot, 2, new Uint8Array(32)).envelope };
  await device.advance(quietMs + 1);
  expect(device.named('segmentDiffers')).toEqual([[chatA, 0, [3]]]);
  expect(await device.texts(chatA)).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('[SC29] content goes only where the app holds a verified delete for it', async () => {
  const server = createServer();
  server.of(chatA).perSegment = 4;
  const asked: unknown[] = [];
  const { device } = await createWorld({
    server,
    deps: { allowPurge: async (_conversation, entries, requestSeq) => { asked.push(requestSeq); return { allowed: requestSeq === 3 ? entries : [] }; } },
  });
  server.post(chatA, 'a', 'b', 'delete b');
  await device.settle();
  const h = server.handleOf(chatA)!;
  server.say({ type: 'purge', h, entries: [{ seq: 2, slot: otherSlot, ctr: 1 }], requestSeq: 2 });
  await device.settle();
  expect(await device.texts(chatA)).toEqual(['a', 'b', 'delete b']);
  server.say({ type: 'purge', h, entries: [{ seq: 2, slot: otherSlot, ctr: 1 }], requestSeq: 3 });
  server.say({ type: 'purge', h, entries: [{ seq: 1, slot: otherSlot, ctr: 0 }], requestSeq: 9 });
  await device.settle();
  expect(await device.texts(chatA)).toEqual(['a', '(purged)', 'delete b']);
  expect(asked).toEqual([2, 3]);
  expect(device.named('purged')).toEqual([[chatA, [{ slot: otherSlot, ctr: 1 }]]]);
});

test('[SC11] rows come back from a long absence in bulk, at most one frame\'s worth at a time', async () => {
  const { server, device, time } = await createWorld({ chats: [chatA, chatB] });
  const batches: number[] = [];
  server.cut();
  server.post(chatA, ...Array.from({ length: 1_500 }, (_, i) => `m${i}`));
  const again = await restart(device, {
    server, time, chats: [chatA, chatB],
    deps: { ingest: async (_conversation, rows) => { batches.push(rows.length); return { stored: rows.map((row) => ({ ...row, check: 'ok' as const })) }; } },
  });
  expect((await again.rows(chatA)).length).toBe(1_500);
  expect(Math.max(...batches)).toBeLessThanOrEqual(limits.fetchRowsMax);
});
