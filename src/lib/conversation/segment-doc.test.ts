import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { encodeSegment, type SegmentEntry } from '#lib/protocol/segment.ts';
import { addRows, docToEntries, docToUpdate, envelopeIn, rowsToDoc, updateToDoc } from './segment-doc.ts';

/** Rows as a server places them: a few devices take turns, each from some ctr on; some rows are purged. */
const segment: fc.Arbitrary<SegmentEntry[]> = fc.record({
  turns: fc.array(fc.record({ who: fc.nat(4), size: fc.integer({ min: 64, max: 90 }), purged: fc.boolean() }), { minLength: 1, maxLength: 60 }),
  slots: fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 21 - 1 }), { minLength: 5, maxLength: 5 }),
  first: fc.array(fc.nat(2 ** 31), { minLength: 5, maxLength: 5 }),
}).map(({ turns, slots, first }) => {
  const clocks = new Map<number, number>();
  return turns.map(({ who, size, purged }, i) => {
    const clock = clocks.get(who) ?? 0;
    clocks.set(who, clock + 1);
    return { slot: slots[who]!, clock, ctr: first[who]! + clock, envelope: purged ? undefined : new Uint8Array(size).fill(i) };
  });
});

test('[CV23] the document of a segment writes the very bytes our encoder writes, whatever came first', () => {
  fc.assert(fc.property(segment, fc.nat(60), (rows, cut) => {
    const update = encodeSegment(rows);
    expect(docToUpdate(rowsToDoc(rows))).toEqual(update);
    const live = rows.map((row) => ({ ...row, envelope: row.envelope ?? new Uint8Array(64) }));
    const grown = rowsToDoc(live.slice(0, cut));
    addRows(grown, live.slice(cut));
    expect(docToUpdate(grown)).toEqual(encodeSegment(live));
    // A replica that held the purged entries takes the purge and ends at the same bytes.
    Y.applyUpdate(grown, update);
    expect(docToUpdate(grown)).toEqual(update);
  }), { numRuns: 500 });
});

test('[CV23] rows come back out of a document as they went in', () => {
  fc.assert(fc.property(segment, (rows) => {
    const doc = rowsToDoc(rows);
    const entries = docToEntries(doc);
    const inOrder = [...rows].sort((a, b) => b.slot - a.slot || a.clock - b.clock);
    expect(entries).toEqual({ ok: true, value: inOrder });
    for (const row of rows) expect(envelopeIn(doc, row) ?? undefined).toEqual(row.envelope);
  }), { numRuns: 300 });
});

test('[CV24] nothing reaches Yjs that the strict parser does not admit', () => {
  const hostile = new Y.Doc();
  hostile.clientID = 7; // a slot; a stock client's random id is out of range
  hostile.getArray('e').push([1]);
  expect(updateToDoc(Y.encodeStateAsUpdate(hostile))).toEqual({ ok: false, error: 'SHAPE' });
  const otherRoot = new Y.Doc();
  otherRoot.getMap('x').set('1.0', new Uint8Array(64));
  expect(updateToDoc(Y.encodeStateAsUpdate(otherRoot)).ok).toBe(false);
  const rows = [{ slot: 1, clock: 0, ctr: 0, envelope: new Uint8Array(64) }];
  expect(updateToDoc(encodeSegment(rows).slice(0, -1)).ok).toBe(false);
  expect(updateToDoc(Uint8Array.of(...encodeSegment(rows), 0)).ok).toBe(false);
  expect(updateToDoc(encodeSegment(rows)).ok).toBe(true);
});
