/**
 * Everything at once under one seed: frames lost, doubled and late, links cut, commits slow, crashes in
 * their middle, refusals, a wiped memory of the last minutes. The promises of the outbox hold throughout.
 */
import { expect, test } from 'vitest';
import type { NackName } from '#lib/protocol/codes.ts';
import { openMemoryDatabase, type MemorySnapshot } from '#lib/storage/memory.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { bytesToText } from '#lib/std/bytes.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import { chatA, chatB, createDevice, createSeal, createServer, createTime, openEnvelope, otherSlot, serverTexts, type Device } from './fixtures/fake-server.ts';

const seedCount = Number(process.env['SYNC_CHAOS_SEEDS'] ?? 40);
const firstSeed = Number(process.env['SYNC_CHAOS_FROM'] ?? 1);

function createPrng(seed: number) {
  let state = seed * 2_654_435_761 + 1;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, chance: (p: number) => next() < p, below: (n: number) => Math.floor(next() * n) };
}

async function runSeed(seed: number): Promise<{ crashes: number; sent: number; renumbered: number; nacks: number }> {
  const prng = createPrng(seed);
  const server = createServer();
  const time = createTime();
  const chats = [chatA, chatB];
  for (const chat of chats) server.of(chat).perSegment = 7;
  const counts = { crashes: 0, sent: 0, renumbered: 0, nacks: 0 };
  let isCalm = false;
  let epoch = 0;
  const faults = { drop: prng.next() * 0.08, twice: prng.next() * 0.1, cut: prng.next() * 0.05, crash: prng.next() * 0.04, refuse: prng.next() * 0.2, wipe: prng.chance(0.3) ? 0.02 : 0 };
  server.tamper((frame) => {
    if (isCalm || frame.type === 'welcome') return frame;
    if (prng.chance(faults.drop)) return undefined;
    // Answers to a PUT come once: they name none, and no real link doubles them.
    return frame.type !== 'ack' && frame.type !== 'nack' && prng.chance(faults.twice) ? [frame, frame] : frame;
  });
  server.refuse(() => {
    if (isCalm || !prng.chance(faults.refuse)) return undefined;
    counts.nacks += 1;
    return (['RATE', 'EPOCH_STALE', 'ROTATION_DUE', 'silence'] as (NackName | 'silence')[])[prng.below(4)];
  });

  let device: Device;
  /** The disk of the present life; that of an earlier one never commits again. */
  let life = { frozen: false };
  const waiting: (() => void)[] = [];
  async function boot(from?: MemorySnapshot): Promise<void> {
    const mine = (life = { frozen: false });
    waiting.length = 0;
    const database = openMemoryDatabase({
      ...(from && { from }),
      commit: () => (mine.frozen ? new Promise<void>(() => {}) : !isCalm && prng.chance(0.2) ? new Promise<void>((resolve) => { waiting.push(resolve); }) : Promise.resolve()),
    });
    device = await createDevice({
      server, time, database,
      deps: {
        seal: createSeal(() => epoch),
        async ingest(conversation, rows) {
          const waiting = await database.read(['outbox'], (tx) => tx.getAll('outbox', { range: ofConversation(conversation) }));
          const said = rows.filter((row) => row.slot < otherSlot && row.envelope).flatMap(({ seq, envelope }) =>
            waiting.filter((entry) => bytesToText(entry.sealedEvent) === openEnvelope(envelope!).text).map(({ ctr, sealedEvent }) => ({ seq, ctr, sealedEvent })));
          return { stored: rows.map((row) => ({ ...row, check: 'ok' as const })), said };
        },
      },
      events: {
        groupStale: (conversation) => { epoch += 1; device.sync.groupRefreshed(conversation); },
        renumbered: () => { counts.renumbered += 1; },
        failed: (error) => { throw error; },
      },
    });
    const added = device.sync.addConversations(chats);
    await turn(20);
    for (const go of waiting.splice(0)) go();
    await added;
    device.sync.start();
  }
  async function turn(n: number): Promise<void> {
    for (let i = 0; i < n; i++) {
      await new Promise(setImmediate);
      server.step();
      if (!life.frozen && waiting.length > 0 && prng.chance(0.4)) waiting.shift()!();
    }
  }

  await boot();
  const durable = new Map(chats.map((chat) => [chat, [] as string[]]));
  let backup: MemorySnapshot | undefined;
  let wiped = 0;
  let n = 0;
  for (let step = 0; step < 120; step++) {
    const chat = chats[prng.below(2)]!;
    if (prng.chance(0.4)) {
      const text = `s${n++}`;
      void device!.write(chat, text).then(() => { durable.get(chat)!.push(text); counts.sent += 1; }, () => {});
    }
    if (prng.chance(0.2)) server.post(chat, `o${n++}`);
    if (prng.chance(faults.cut)) server.cut();
    if (prng.chance(0.1)) device!.sync.poke();
    await turn(prng.below(12));
    if (prng.chance(0.1)) await time.advance(prng.below(8_000), () => turn(3));
    if (prng.chance(faults.crash)) {
      counts.crashes += 1;
      life.frozen = true;
      await turn(2);
      const snapshot = device!.database.snapshot();
      void device!.sync.stop();
      server.cut();
      if (backup && prng.chance(faults.wipe * 20)) {
        // The profile as it was: what was written since is lost with it, and only that.
        wiped += 1;
        for (const each of chats) durable.get(each)!.length = 0;
        await boot(backup);
      } else await boot(snapshot);
    }
    // A profile from before a chat began here would know nothing of what it said there.
    if (faults.wipe > 0 && prng.chance(0.05) && (await hasBegun(device!, chats))) backup = device!.database.snapshot();
  }
  isCalm = true;
  for (const go of waiting.splice(0)) go();
  // A last row that was lost shows with the next one; a real link loses nothing in its middle.
  for (const chat of chats) server.post(chat, `o${n++}`);
  for (let i = 0; i < 8; i++) {
    await time.advance(40_000, async () => { await turn(30); });
    await device!.settle();
  }
  for (const chat of chats) {
    const texts = serverTexts(server, chat);
    const written = texts.filter((text) => text !== '(empty)');
    expect(new Set(written).size, 'each entry is stored once').toBe(written.length);
    const own = written.filter((text) => text.startsWith('s')).map((text) => Number(text.slice(1)));
    if (wiped === 0) expect(own, 'in the order they were written').toEqual([...own].sort((a, b) => a - b));
    for (const text of durable.get(chat)!) expect(written, 'what was durable arrives').toContain(text);
    expect(await device!.outbox(chat), 'the outbox empties').toEqual([]);
    expect(await device!.texts(chat), 'the device holds what the server holds').toEqual(texts.slice((await device!.stored(chat)).low - 1));
    expect((await device!.stored(chat)).cursor).toBe(texts.length);
    if (wiped === 0) expect((await device!.stored(chat)).slot, 'no slot is given up without cause').toBe(1);
  }
  expect(device!.sync.connection().state).toBe('online');
  await device!.sync.stop();

  return counts;
}

async function hasBegun(device: Device, chats: readonly ConversationId[]): Promise<boolean> {
  const snapshot = openMemoryDatabase({ from: device.database.snapshot() });
  const stored = await snapshot.read(['conversations'], (tx) => tx.getAll('conversations'));
  return stored.length === chats.length && stored.every((place) => place.slot !== 0);
}

test(`[SC21] ${seedCount} seeds of everything going wrong at once: nothing lost, nothing twice, in order`, async () => {
  const all = { crashes: 0, sent: 0, renumbered: 0, nacks: 0 };
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
    try {
      const counts = await runSeed(seed);
      for (const key of Object.keys(all) as (keyof typeof all)[]) all[key] += counts[key];
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  // It did something.
  expect(all.sent).toBeGreaterThan(seedCount * 20);
  expect(all.crashes).toBeGreaterThan(seedCount);
  expect(all.nacks).toBeGreaterThan(seedCount);
  expect(all.renumbered).toBeGreaterThan(0);
});
