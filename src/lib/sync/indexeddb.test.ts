/** The same code over IndexedDB, whose transactions end by themselves when they wait for anything else. */
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import type { AccountId } from '#lib/protocol/ids.ts';
import { openAccountDatabase } from '#lib/storage/open.ts';
import type { MemoryDatabase } from '#lib/storage/memory.ts';
import { chatA, chatB, createDevice, createServer, createTime, lineage2, openEnvelope, serverTexts } from './fixtures/fake-server.ts';
import { quietMs } from './segments.ts';

test('[SC11] over IndexedDB: write offline, close, open, send, receive, compact, meet a restored server', async () => {
  const account = 'an-account' as AccountId;
  const server = createServer();
  const time = createTime();
  for (const chat of [chatA, chatB]) server.of(chat).perSegment = 10;
  server.post(chatB, ...Array.from({ length: 25 }, (_, i) => `old ${i}`));

  async function open() {
    const database = await openAccountDatabase(account);
    const device = await createDevice({ server, time, database: database as MemoryDatabase });
    await device.sync.addConversations([chatA, chatB]);
    return device;
  }
  const first = await open();
  for (let i = 0; i < 30; i++) await first.write(chatA, `m${i}`);
  await first.sync.stop();
  first.database.close();

  const second = await open();
  second.sync.start();
  await second.settle();
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 30 }, (_, i) => `m${i}`));
  expect(await second.outbox(chatA)).toEqual([]);
  const older = second.sync.fetchOlder(chatB, 20);
  await second.settle();
  expect(await older).toEqual({ ok: true, value: { loaded: 20, low: 6 } });
  server.post(chatA, 'theirs');
  await second.settle();
  const before = await second.rows(chatA);
  await second.advance(quietMs + 1);
  expect(await second.database.read(['segments'], (tx) => tx.count('segments'))).toBeGreaterThanOrEqual(3);
  expect(await second.rows(chatA)).toEqual(before);

  server.cut();
  server.setLineage(lineage2);
  const chat = server.of(chatA);
  chat.rows = chat.rows.slice(0, 15);
  chat.nextCtr = 15;
  await second.advance(60_000);
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 30 }, (_, i) => `m${i}`));
  expect((await second.rows(chatA)).map((row) => openEnvelope(row.envelope!).text)).toEqual(serverTexts(server, chatA));
  expect((await second.database.read(['lost'], (tx) => tx.getAll('lost'))).map((row) => openEnvelope(row.envelope!).text)).toEqual(['theirs']);
  expect(second.named('failed')).toEqual([]);
  expect(second.named('storageFault')).toEqual([]);
  await second.sync.stop();
  second.database.close();
});
