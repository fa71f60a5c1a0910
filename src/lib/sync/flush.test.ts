import { expect, test } from 'vitest';
import { nackCodes } from '#lib/protocol/codes.ts';
import { err, ok } from '#lib/std/result.ts';
import { flushOutboxByHttp, type FlushDeps } from './flush.ts';
import { chatA, chatB, createSeal, createWorld, offline, openEnvelope, restart, serverTexts, type FakeServer } from './fixtures/fake-server.ts';

/** The HTTP end of the same server. */
function httpPut(server: FakeServer): FlushDeps['put'] {
  return async (conversation, { slot, ctr0, envelopes }) => {
    const chat = server.of(conversation);
    if (chat.slot !== slot) return ok({ nack: nackCodes.NO_SLOT.code, nextCtr: chat.nextCtr, firstSeq: 0, rt: 0 });
    const first = chat.rows.length + 1;
    envelopes.forEach((envelope, i) => { if (ctr0 + i >= chat.nextCtr) server.forge(conversation, slot, ctr0 + i, envelope); });
    chat.nextCtr = ctr0 + envelopes.length;
    return ok({ nack: 0, nextCtr: chat.nextCtr, firstSeq: first, rt: 0 });
  };
}

async function offlineWorld() {
  const online = await createWorld({ chats: [chatA, chatB] });
  const device = await restart(online.device, { server: online.server, time: online.time, token: offline, chats: [chatA, chatB] });
  return { server: online.server, time: online.time, device };
}

test('[SC39] what waits goes out with no page open, and the engine later sends nothing twice', async () => {
  const { server, time, device } = await offlineWorld();
  for (let i = 0; i < 100; i++) await device.write(chatA, `a${i}`);
  await device.write(chatB, 'b');
  const done = await flushOutboxByHttp({ database: device.database, seal: createSeal(), put: httpPut(server) });
  expect(done).toEqual({ sent: 101, left: 0, retry: false });
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 100 }, (_, i) => `a${i}`));
  server.received.length = 0;
  const engine = await restart(device, { server, time, chats: [chatA, chatB] });
  expect(server.received.filter((frame) => frame.type === 'put')).toEqual([]);
  expect(await engine.outbox(chatA)).toEqual([]);
  expect((await engine.texts(chatA)).length).toBe(100);
  expect(engine.named('forked')).toEqual([]);
});

test('[SC39] two sealers at once: only bytes that are durable leave, whoever made them', async () => {
  const { server, device } = await offlineWorld();
  for (let i = 0; i < 10; i++) await device.write(chatA, `a${i}`);
  const put = httpPut(server);
  const sent = new Map<number, string>();
  const watching: FlushDeps['put'] = (conversation, request) => {
    request.envelopes.forEach((envelope, i) => {
      const key = JSON.stringify(openEnvelope(envelope));
      expect(sent.get(request.ctr0 + i) ?? key).toBe(key);
      sent.set(request.ctr0 + i, key);
    });
    return put(conversation, request);
  };
  await Promise.all([1, 2, 3].map(() => flushOutboxByHttp({ database: device.database, seal: createSeal(), put: watching })));
  expect(serverTexts(server, chatA)).toEqual(Array.from({ length: 10 }, (_, i) => `a${i}`));
});

test('[SC39] what needs a decision is left for the engine; being offline is worth another try', async () => {
  const { server, device } = await offlineWorld();
  await device.write(chatA, 'a');
  const flush = (put: FlushDeps['put'], seal = createSeal()) => flushOutboxByHttp({ database: device.database, seal, put });
  expect(await flush(async () => err('offline'))).toEqual({ sent: 0, left: 1, retry: true });
  expect(await flush(async () => err('signed-out'))).toEqual({ sent: 0, left: 1, retry: false });
  expect(await flush(async () => err('refused'))).toEqual({ sent: 0, left: 1, retry: false });
  const nack = (name: keyof typeof nackCodes): FlushDeps['put'] => async () => ok({ nack: nackCodes[name].code, nextCtr: 0, firstSeq: 0, rt: 0 });
  expect(await flush(nack('RATE'))).toEqual({ sent: 0, left: 1, retry: true });
  for (const name of ['FORK', 'NO_SLOT', 'EPOCH_STALE', 'NOT_MEMBER', 'SHAPE'] as const) expect(await flush(nack(name))).toEqual({ sent: 0, left: 1, retry: false });
  expect((await device.outbox(chatA))[0]!.envelope).toBeDefined();
  await device.write(chatB, 'b');
  expect(await flush(httpPut(server), async () => err({ type: 'not-now', why: 'no keys' }))).toEqual({ sent: 1, left: 1, retry: false });
});
