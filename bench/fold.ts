/**
 * `bench:fold`: CPU time of the fold over a long chat, in order, shuffled, and one entry at a time.
 *
 * 10,000 messages with 5 % edits, 20 % reactions and 5 % deletes unless told otherwise. The last line
 * is JSON.
 */
import { randomInt } from 'node:crypto';
import type { Event } from '../src/lib/conversation/event.ts';
import { bytesToId, type AccountId } from '../src/lib/protocol/ids.ts';
import { createTimeline } from '../src/lib/timeline/fold.ts';
import type { FoldEntry } from '../src/lib/timeline/item.ts';

const messages = Number(process.argv[2] ?? 10_000);
const people = Array.from({ length: 50 }, (_, i) => bytesToId<AccountId>(new Uint8Array(16).fill(i)));
const options = { me: people[0]!, kind: 'group' as const, isAdminAt: (account: AccountId) => account === people[1] };

const counters = people.map(() => 0);
const entries: FoldEntry[] = [];
const said: FoldEntry[] = [];
let now = 1_700_000_000_000;

function add(who: number, event: Event): FoldEntry {
  const entry: FoldEntry = { slot: who + 1, ctr: counters[who]!++, account: people[who]!, event, seq: entries.length + 1, rt: now, logHeight: 1, joinRt: 0 };
  entries.push(entry);
  return entry;
}

for (let i = 0; i < messages; i++) {
  now += 1_000;
  said.push(add(randomInt(50), { kind: 'message', t: now - 50, l: 0, text: `message ${i}`, replyTo: undefined }));
  const target = said[randomInt(said.length)]!;
  const dice = randomInt(100);
  const stamp = { t: now - 40, l: 1, target };
  if (dice < 5) add(target.slot - 1, { kind: 'edit', ...stamp, text: 'edited' });
  else if (dice < 25) add(randomInt(50), { kind: 'react', ...stamp, emoji: '👍' });
  else if (dice < 30) add(target.slot - 1, { kind: 'delete', ...stamp, targetChain: new Uint8Array(32) });
}

function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function median(run: () => number, runs = 5): number {
  return Array.from({ length: runs }, run).sort((a, b) => a - b)[Math.floor(runs / 2)]!;
}

const shuffled = entries.map((entry) => ({ entry, key: randomInt(2 ** 40) })).sort((a, b) => a.key - b.key).map(({ entry }) => entry);
const inOrderUs = median(() => cpuUs(() => createTimeline(options).apply(entries)));
const shuffledUs = median(() => cpuUs(() => createTimeline(options).apply(shuffled)));
const viewUs = median(() => {
  const timeline = createTimeline(options);
  timeline.apply(entries);
  return cpuUs(() => timeline.items());
});

const historyEntries = entries.length;
const live = createTimeline(options);
live.apply(entries);
const rounds = 2_000;
const before = live.size();
const appendUs = cpuUs(() => {
  for (let i = 0; i < rounds; i++) {
    now += 1_000;
    live.apply([add(1, { kind: 'message', t: now, l: 0, text: 'live', replyTo: undefined })]);
  }
}) / rounds;
const middleUs = cpuUs(() => {
  for (let i = 0; i < rounds; i++) live.apply([add(2, { kind: 'message', t: 1_700_000_000_000 + randomInt(messages * 1_000), l: 0, text: 'late', replyTo: undefined })]);
}) / rounds;
const reactUs = cpuUs(() => {
  for (let i = 0; i < rounds; i++) live.apply([add(3, { kind: 'react', t: now, l: i, target: said[randomInt(said.length)]!, emoji: '🐦' })]);
}) / rounds;
if (live.size() !== before + 2 * rounds) throw new Error('an entry was lost');

const ms = (us: number) => Number((us / 1_000).toFixed(1));
console.log(JSON.stringify({
  bench: 'fold', messages, entries: historyEntries,
  inOrderCpuMs: ms(inOrderUs), shuffledCpuMs: ms(shuffledUs), viewAllCpuMs: ms(viewUs),
  appendCpuUs: Number(appendUs.toFixed(1)), middleCpuUs: Number(middleUs.toFixed(1)), reactCpuUs: Number(reactUs.toFixed(1)),
}));
