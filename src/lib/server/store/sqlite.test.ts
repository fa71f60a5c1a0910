import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { Role } from '#lib/chains/group-state.ts';
import { textToBytes } from '#lib/std/bytes.ts';
import type { StoreFault } from './fault.ts';
import { createMemoryStore } from './memory.ts';
import { openSqliteCore } from './sqlite-core.ts';
import { openSqliteStore } from './sqlite.ts';
import { accountOf, conversationOf, deviceOf, envelopeOf, inputOf, makeChat, storeContract } from './store.contract.ts';
import { storeReads, type StoreCall } from './sync-port.ts';

const folder = mkdtempSync(join(tmpdir(), 'godwit-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const freshPath = () => join(folder, `${files++}`, 'godwit.db');
const random = { bytes: (size: number) => crypto.getRandomValues(new Uint8Array(size)) };

storeContract('sqlite', { open: () => openSqliteStore({ path: freshPath() }) });

test('[SO20] what was acknowledged before a close is there after opening again', async () => {
  const path = freshPath();
  const store = await openSqliteStore({ path });
  const lineage = await store.lineage();
  await makeChat(store, { [accountOf(1)]: 'owner' });
  const { slot } = (await store.slotOf(conversationOf(1), accountOf(1), deviceOf(1)))!;
  const sent = store.append(inputOf({ slot, ctr0: 0, envelopes: [envelopeOf(0)] }));
  await store.close(); // what was asked for before the close is still done
  expect(await sent).toMatchObject({ ok: true });
  await expect(store.lineage()).rejects.toMatchObject({ reason: 'closed' });
  const again = await openSqliteStore({ path });
  expect(await again.lineage()).toBe(lineage);
  expect((await again.rowsAfter(conversationOf(1), 0, 10, Infinity)).map((row) => row.ctr)).toEqual([0]);
  await again.close();
});

test('[SO20] kill -9 of the writer, five times: every acknowledged entry is there once, and the numbers are dense', async () => {
  const path = freshPath();
  const writer = fileURLToPath(new URL('./fixtures/writer.ts', import.meta.url));
  let acknowledged = 0;
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, [writer, path, String(acknowledged)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const enough = 150 + round * 67;
    let acksHere = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const nextCtr = Number(line);
      expect(nextCtr).toBeGreaterThanOrEqual(acknowledged);
      acknowledged = Math.max(acknowledged, nextCtr);
      if (++acksHere === enough) child.kill('SIGKILL');
    }
    expect(acksHere).toBeGreaterThanOrEqual(enough);

    const store = await openSqliteStore({ path });
    const rows = await store.rowsAfter(conversationOf(1), 0, 1e6, Infinity);
    await store.close();
    expect(rows.length).toBeGreaterThanOrEqual(acknowledged);
    expect(rows.map((row) => [row.seq, row.ctr])).toEqual(rows.map((_, i) => [i + 1, i]));
    expect(rows.every((row) => new DataView(row.envelope!.buffer).getUint32(0) === row.ctr)).toBe(true);
    acknowledged = rows.length;
  }
  const db = new DatabaseSync(path);
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  db.close();
}, 120_000);

test('[SO21] when the disk is full a write is rejected as full, is not there, and reads go on', async () => {
  const store = await openSqliteStore({ path: freshPath(), pagesMax: 150 });
  await makeChat(store, { [accountOf(1)]: 'owner' });
  const { slot } = (await store.slotOf(conversationOf(1), accountOf(1), deviceOf(1)))!;
  let taken = 0;
  let fault: StoreFault | undefined;
  while (!fault && taken < 1_000) {
    const sent = store.append(inputOf({ slot, ctr0: taken, envelopes: [envelopeOf(taken, 16_000)] }));
    await sent.then(() => taken++, (error: StoreFault) => (fault = error));
  }
  expect(taken).toBeGreaterThan(5);
  expect(fault).toMatchObject({ reason: 'full' });
  expect((await store.rowsAfter(conversationOf(1), 0, 1_000, Infinity)).length).toBe(taken);
  expect(await store.slotOf(conversationOf(1), accountOf(1), deviceOf(1))).toEqual({ slot, nextCtr: taken });
  await store.close();
});

test('[SO22] a newer schema, a file that is no database and a folder that cannot be are refused in one line', async () => {
  const path = freshPath();
  await (await openSqliteStore({ path })).close();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  await expect(openSqliteStore({ path })).rejects.toMatchObject({ reason: 'newer-schema', message: expect.stringMatching(/newer Godwit \(schema 99/) });

  const plain = join(folder, 'plain.db');
  writeFileSync(plain, 'this is a letter and no database, '.repeat(200));
  await expect(openSqliteStore({ path: plain })).rejects.toMatchObject({ reason: 'damaged' });
  await expect(openSqliteStore({ path: join(plain, 'below', 'godwit.db') })).rejects.toMatchObject({ reason: 'not-writable' });
});

test('[SO23] a broken write fails alone; those of the same commit are done', () => {
  const core = openSqliteCore({ path: ':memory:' }, random);
  const session = (idHash: string) => ({ call: 'putSession' as const, args: [{ idHash, account: accountOf(1), device: undefined, expiresAt: 1, createdAt: 1 }] });
  const answers = core.commit([session('a'), session('a'), session('b')]);
  expect(answers.map((answer) => answer.ok)).toEqual([true, false, true]);
  expect(answers[1]).toMatchObject({ error: { reason: 'broken' } });
  expect(core.read('sessionsOf', [accountOf(1)])).toMatchObject({ value: [{ idHash: 'a' }, { idHash: 'b' }] });
  core.close();
  expect(core.read('lineage', [])).toMatchObject({ ok: false, error: { reason: 'closed' } });
});

// ---- All adapters answer alike -----------------------------------------------------------------

interface Step {
  readonly call: StoreCall;
  readonly args: readonly unknown[];
}

const small = (max: number) => fc.integer({ min: 0, max });
const account = small(3).map(accountOf);
const device = small(2).map(deviceOf);
const conversation = small(1).map(conversationOf);
const role = fc.constantFrom<Role>('owner', 'admin', 'member');
const now = fc.integer({ min: 0, max: 60_000 });

const often = <T>(usual: T, seldom: T) => fc.constantFrom(...Array.from({ length: 12 }, () => usual), seldom);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({
    who: small(2), isStranger: often(false, true), conversation: often(conversationOf(0), conversationOf(1)), ctr0: fc.nat({ max: 5 }), now,
    envelopes: fc.array(fc.record({
      bytes: fc.tuple(often(0, 1), often(64, 16_000)).map(([number, size]) => envelopeOf(number, size)), epoch: often(1, 2),
      purge: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.record({ slot: fc.integer({ min: 1, max: 3 }), ctr: small(2) }) }),
    }), { minLength: 1, maxLength: 4 }),
  }).map(({ who, isStranger, ...input }) => ({ call: 'append' as const, args: [{ ...input, account: accountOf(who), device: deviceOf(isStranger ? 1 : 0), slot: who + 1 }] })) },
  { weight: 3, arbitrary: fc.record({
    conversation, height: fc.integer({ min: 1, max: 5 }), entry: fc.constant(textToBytes('entry')), epoch: often(1, 2), rotationDue: often(false, true),
    removes: fc.boolean(), now, members: fc.uniqueArray(fc.record({ account, role }), { selector: (member) => member.account, maxLength: 4 }),
    wraps: fc.uniqueArray(fc.record({ account, uekGen: small(3), wrap: fc.constant(textToBytes('wrap')) }), { selector: (wrap) => wrap.account }),
  }).map((input) => ({ call: 'appendGroupEntry' as const, args: [input] })) },
  { weight: 4, arbitrary: fc.tuple(conversation, account, device).map((args) => ({ call: 'slotOf' as const, args })) },
  fc.tuple(conversation, account, device, fc.integer({ min: 1, max: 6 })).map((args) => ({ call: 'replaceSlot' as const, args })),
  fc.tuple(conversation, fc.record({ slot: small(3), markCtr: small(4), rt: small(5), sealed: fc.constant(textToBytes('mark')) })).map((args) => ({ call: 'putMark' as const, args })),
  fc.constant({ call: 'renewLineage' as const, args: [] }),
  fc.tuple(account, fc.constantFrom('ada', 'bob'), device).map(([account, handle, device]) => ({ call: 'createAccount' as const, args: [{
    account, handle, registrationRecord: 'r', recoveryProofHash: envelopeOf(1, 32), genesis: textToBytes('g'), vault: textToBytes('v'), uekWraps: [{ device, gen: 1, wrap: textToBytes('w') }], now: 1 }] })),
  fc.tuple(account, small(3), fc.array(fc.constant(textToBytes('e')), { minLength: 1, maxLength: 3 }), fc.constant([]), now).map((args) => ({ call: 'appendAccountEntries' as const, args })),
  fc.tuple(account, small(4), fc.constant(textToBytes('v'))).map((args) => ({ call: 'putVault' as const, args })),
  fc.tuple(account, fc.constant('record'), small(4), fc.constant(textToBytes('v'))).map((args) => ({ call: 'changePassword' as const, args })),
  fc.tuple(account, small(4), fc.constant(textToBytes('p'))).map((args) => ({ call: 'putProfile' as const, args })),
  fc.tuple(conversation, small(12), small(12), fc.constantFrom(1, 20_000, Infinity)).map((args) => ({ call: 'rowsAfter' as const, args })),
  fc.tuple(conversation, small(12), small(12), fc.constantFrom(1, 20_000, Infinity)).map((args) => ({ call: 'rowsBefore' as const, args })),
  fc.tuple(conversation, small(2)).map((args) => ({ call: 'segment' as const, args })),
  fc.tuple(conversation, small(6), small(12)).map((args) => ({ call: 'purgedIn' as const, args })),
);

test('[SO25] any sequence of calls gets the same answers from memory and from SQLite, and leaves the same rows', () => {
  let taken = 0;
  let purged = 0;
  fc.assert(fc.property(fc.array(steps, { minLength: 20, maxLength: 60 }), fc.infiniteStream(small(255)), (sequence, stream) => {
    const numbers = [...stream.take(4_096)];
    const seeded = () => {
      let at = 0;
      return { bytes: (size: number) => Uint8Array.from({ length: size }, () => numbers[at++ % numbers.length]!) };
    };
    const core = openSqliteCore({ path: ':memory:' }, seeded());
    const memory = createMemoryStore(seeded());
    const ask = (step: Step) => {
      const fromSqlite = storeReads.has(step.call) ? core.read(step.call, step.args) : core.commit([step])[0]!;
      expect(fromSqlite.ok).toBe(true);
      return [fromSqlite.ok && fromSqlite.value, (memory.sync[step.call] as (...args: readonly unknown[]) => unknown)(...step.args)] as const;
    };
    const people = Object.fromEntries([0, 1, 2].map((number) => [accountOf(number), number === 0 ? 'owner' : 'member'])) as Record<AccountId, Role>;
    const create: Step = { call: 'appendGroupEntry', args: [{ conversation: conversationOf(0), height: 1, entry: textToBytes('c'), epoch: 1, rotationDue: false, removes: false, now: 0, wraps: [],
      members: Object.entries(people).map(([account, role]) => ({ account, role })) }] };
    const slots: Step[] = [0, 1, 2].map((number) => ({ call: 'slotOf', args: [conversationOf(0), accountOf(number), deviceOf(0)] }));
    for (const step of [create, ...slots, ...sequence]) {
      const [sqlite, plain] = ask(step);
      expect(withoutOrder(sqlite)).toEqual(withoutOrder(plain));
      if (step.call === 'append' && (sqlite as { ok: boolean }).ok) {
        taken++;
        purged += (sqlite as { value: { purged: unknown[] } }).value.purged.length;
      }
    }
    for (const id of [conversationOf(0), conversationOf(1)]) {
      for (const step of [{ call: 'rowsAfter', args: [id, 0, 1e6, Infinity] }, { call: 'marksSince', args: [id, 0] }, { call: 'members', args: [id] }, { call: 'heads', args: [[id]] }] as Step[]) {
        const [sqlite, plain] = ask(step);
        expect(sqlite).toEqual(plain);
      }
    }
    core.close();
  }), { numRuns: 150 });
  expect(taken).toBeGreaterThan(100); // the sequences did something
  expect(purged).toBeGreaterThan(3);
});

function withoutOrder(answer: unknown): unknown {
  const change = (answer as { value?: { joined?: unknown[]; left?: unknown[] } } | undefined)?.value;
  return change?.joined ? { ...change, joined: [...change.joined].sort(), left: [...change.left!].sort() } : answer;
}
