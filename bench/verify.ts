/**
 * `bench:verify`: 10,000 entries of 19 devices opened one by one and in bulk, in the same run.
 *
 * CPU time of the process, WebCrypto's threads included; the median of `runs`. The last line is JSON;
 * `ratio` is how many times cheaper opening in bulk is, decryption included. Every entry has its own
 * AES-GCM call either way, so the same rows are also only decrypted, one by one and side by side:
 * `verifyRatio` compares what is left, the verification, which is what bulk saves.
 */
import { randomInt } from 'node:crypto';
import { advanceChain, openEntry, parseRow, unsealBytes } from '../src/lib/conversation/open.ts';
import { openMany } from '../src/lib/conversation/open-many.ts';
import type { SlotChain } from '../src/lib/conversation/entry.ts';
import { createWorld, message } from '../src/lib/conversation/fixtures/world.ts';
import type { Row } from '../src/lib/protocol/row.ts';

const entries = Number(process.argv[2] ?? 10_000);
const runs = Number(process.argv[3] ?? 5);
const devicesOf = [4, 4, 3, 3, 3, 2];

const world = await createWorld(devicesOf);
const rows: Row[] = [];
for (let i = 0; i < entries; i++) {
  const device = world.devices[Math.min(randomInt(19), randomInt(19))]!; // some write more than others
  const text = `${i} ${'a plain sentence of a chat, '.repeat(1 + randomInt(6))}`;
  rows.push(world.place(await world.seal(device, message(text, 1_700_000_000_000 + i))));
}

async function oneByOne(): Promise<number> {
  const chains = new Map<number, SlotChain>();
  const context = world.context({ chain: (slot) => chains.get(slot) });
  let opened = 0;
  for (const row of rows) {
    const entry = await openEntry(row, context);
    if (!entry.ok) throw new Error(JSON.stringify(entry.error));
    chains.set(row.slot, advanceChain(chains.get(row.slot), entry.value));
    opened += 1;
  }
  return opened;
}

async function inBulk(): Promise<number> {
  const { entries: opened, alarms } = await openMany(rows, world.many({ fromStart: true }));
  if (alarms.length > 0) throw new Error(JSON.stringify(alarms));
  return opened.length;
}

function decrypt(row: Row): Promise<unknown> {
  const parsed = parseRow(row);
  if (!parsed.ok) throw new Error(parsed.error);
  return unsealBytes(parsed.value, row, world.conversation, world.keys.get(parsed.value.epoch)!);
}

async function decryptOneByOne(): Promise<number> {
  let opened = 0;
  for (const row of rows) if (await decrypt(row)) opened += 1;
  return opened;
}

async function decryptInBulk(): Promise<number> {
  let opened = 0;
  for (let from = 0; from < rows.length; from += 256) opened += (await Promise.all(rows.slice(from, from + 256).map(decrypt))).filter(Boolean).length;
  return opened;
}

async function cpuMs(work: () => Promise<number>): Promise<number> {
  const before = process.cpuUsage();
  if (await work() !== entries) throw new Error('not all entries opened');
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const work = { single: oneByOne, bulk: inBulk, decryptSingle: decryptOneByOne, decryptBulk: decryptInBulk };
const taken = { single: [] as number[], bulk: [] as number[], decryptSingle: [] as number[], decryptBulk: [] as number[] };
for (let run = -1; run < runs; run++) {
  for (const name of ['single', 'bulk', 'decryptSingle', 'decryptBulk'] as const) {
    const ms = await cpuMs(work[name]);
    if (run >= 0) taken[name].push(ms); // the first round warms up
  }
}
const single = median(taken.single);
const bulk = median(taken.bulk);
const decryptSingle = median(taken.decryptSingle);
const decryptBulk = median(taken.decryptBulk);
console.log(JSON.stringify({
  bench: 'verify', entries, devices: 19, runs,
  oneByOneCpuMs: Math.round(single), bulkCpuMs: Math.round(bulk), decryptOneByOneCpuMs: Math.round(decryptSingle), decryptBulkCpuMs: Math.round(decryptBulk),
  bulkCpuUsPerEntry: Math.round(bulk * 1_000 / entries),
  verifyRatio: Number(((single - decryptSingle) / Math.max(1, bulk - decryptBulk)).toFixed(2)),
  ratio: Number((single / bulk).toFixed(2)),
}));
