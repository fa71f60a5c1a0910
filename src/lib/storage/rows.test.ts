import { expect, test } from 'vitest';
import fc from 'fast-check';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { openMemoryDatabase } from './memory.ts';
import { compactRows, cutRows, patchRow, purgeRows, putRows, readRow, readRows, rowStores } from './rows.ts';
import type { StoredRow } from './schema.ts';

const c = 'AAAAAAAAAAAAAAAAAAAAAA' as ConversationId;

/** Rows 1..count in segments of `per`, two authors in turn. */
function makeRows(count: number, per: number): StoredRow[] {
  const clocks = new Map<string, number>();
  const ctrs = new Map<number, number>();
  return Array.from({ length: count }, (_, i) => {
    const seg = Math.floor(i / per);
    const slot = 1 + (i % 2);
    const clock = clocks.get(`${seg}.${slot}`) ?? 0;
    const ctr = ctrs.get(slot) ?? 0;
    clocks.set(`${seg}.${slot}`, clock + 1);
    ctrs.set(slot, ctr + 1);
    return { seq: i + 1, seg, slot, clock, ctr, rt: 1_000 + i, envelope: new Uint8Array(64).fill(i), check: 'ok', kind: 'message' };
  });
}

async function withRows(count: number, per: number, compacted: readonly number[]) {
  const database = openMemoryDatabase();
  const rows = makeRows(count, per);
  await database.write([...rowStores], async (tx) => {
    await putRows(tx, c, rows);
    for (const seg of compacted) await compactRows(tx, c, rows.filter((row) => row.seg === seg));
  });
  return { database, rows };
}

test('[ST13] rows read the same whether single or in a segment, from either end, with any limit', async () => {
  await fc.assert(fc.asyncProperty(
    fc.subarray([0, 1, 2, 3, 4]), fc.integer({ min: 0, max: 28 }), fc.integer({ min: 0, max: 28 }), fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }), fc.boolean(),
    async (compacted, from, to, limit, reverse) => {
      const { database, rows } = await withRows(25, 5, compacted);
      const got = await database.read([...rowStores], (tx) => readRows(tx, c, from, to, { ...(limit !== undefined && { limit }), reverse }));
      const wanted = rows.filter((row) => row.seq >= from && row.seq <= to);
      expect(got).toEqual(limit === undefined ? wanted : reverse ? wanted.slice(Math.max(0, wanted.length - limit)) : wanted.slice(0, limit));
      const one = await database.read([...rowStores], (tx) => readRow(tx, c, from));
      expect(one).toEqual(rows[from - 1]);
    }), { numRuns: 150 });
});

test('[ST13] purging and patching reach a row in either form', async () => {
  for (const compacted of [[], [0, 1, 2]]) {
    const { database, rows } = await withRows(15, 5, compacted);
    const purged = await database.write([...rowStores], (tx) => purgeRows(tx, c, [rows[6]!, { slot: 9, ctr: 0 }, rows[0]!]));
    expect(purged).toEqual([{ slot: rows[6]!.slot, ctr: rows[6]!.ctr }, { slot: 1, ctr: 0 }]);
    expect(await database.write([...rowStores], (tx) => purgeRows(tx, c, [rows[6]!]))).toEqual([]);
    expect(await database.write([...rowStores], (tx) => patchRow(tx, c, { ...rows[2]!, check: 'bad', fault: 'forged' }))).toBe(true);
    expect(await database.write([...rowStores], (tx) => patchRow(tx, c, { ...rows[2]!, seq: 99 }))).toBe(false);
    const all = await database.read([...rowStores], (tx) => readRows(tx, c, 1, 99));
    expect(all).toEqual(rows.map((row, i) => (i === 6 || i === 0 ? { ...row, envelope: undefined } : i === 2 ? { ...row, check: 'bad', fault: 'forged' } : row)));
  }
});

test('[ST13] cutting takes the rows above, in whichever form, and keeps those below', async () => {
  await fc.assert(fc.asyncProperty(fc.subarray([0, 1, 2]), fc.integer({ min: 0, max: 15 }), async (compacted, above) => {
    const { database, rows } = await withRows(15, 5, compacted);
    const cut = await database.write([...rowStores], (tx) => cutRows(tx, c, above));
    expect(cut).toEqual(rows.slice(above));
    expect(await database.read([...rowStores], (tx) => readRows(tx, c, 1, 99))).toEqual(rows.slice(0, above));
    expect(await database.read(['entrySeq'], (tx) => tx.count('entrySeq'))).toBe(above);
  }), { numRuns: 60 });
});

test('[ST13] a segment that does not parse is a corrupt row, said so', async () => {
  const { database } = await withRows(5, 5, [0]);
  await database.write(['segments'], async (tx) => {
    const segment = (await tx.get('segments', [c, 5]))!;
    await tx.put('segments', [c, 5], { ...segment, update: segment.update.slice(1) });
  });
  await expect(database.read([...rowStores], (tx) => readRows(tx, c, 1, 5))).rejects.toMatchObject({ reason: 'corrupt' });
});
