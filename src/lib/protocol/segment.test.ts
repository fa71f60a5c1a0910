import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { bytesToHex, concatBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { sha256 } from '#lib/crypto/primitives.ts';
import { numberBytes, paddedNumberBytes } from '../../../tests/support/shape.ts';
import { limits } from './limits.ts';
import { encodeSegment, entryName, parseSegment, segmentDigest, type SegmentEntry, type SegmentFault } from './segment.ts';

function envelopeOf(size: number, fill: number): Bytes {
  return Uint8Array.from({ length: size }, (_, i) => (fill + i * 7) & 255);
}

/** A whole segment: each slot from clock 0, its counters from anywhere, some entries purged. */
const segment: fc.Arbitrary<readonly SegmentEntry[]> = fc
  .uniqueArray(fc.tuple(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 21 - 1 })), fc.oneof(fc.nat(40), fc.nat(2 ** 32 - 40)),
    fc.array(fc.record({ size: fc.integer({ min: 64, max: 200 }), fill: fc.nat(255), purged: fc.integer({ min: 0, max: 3 }) }), { minLength: 1, maxLength: 20 })),
  { selector: ([slot]) => slot, maxLength: 10 })
  .map((slots) => slots.flatMap(([slot, ctr0, entries]) =>
    entries.map(({ size, fill, purged }, clock): SegmentEntry => ({ slot, clock, ctr: ctr0 + clock, envelope: purged === 0 ? undefined : envelopeOf(size, fill) }))));

/** One struct as a stock client writes it into its own document. */
function stockUpdate(slot: number, entries: readonly { readonly clock: number; readonly ctr: number; readonly envelope: Bytes }[]): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = slot;
  const first = entries[0]!.clock;
  if (first > 0) throw new Error('a stock client starts at clock 0');
  doc.transact(() => {
    for (const { ctr, envelope } of entries) doc.getMap('e').set(entryName({ slot, ctr }), envelope);
  });
  return Y.encodeStateAsUpdate(doc);
}

/** What Yjs says of these rows when they arrive one by one in this order, purges included. */
function yjsBytes(rows: readonly SegmentEntry[], order: readonly number[]): Uint8Array {
  const doc = new Y.Doc();
  for (const at of order) {
    const { slot, clock, ctr, envelope } = rows[at]!;
    const struct = [0x23, 1, 1, 0x65, entryName({ slot, ctr }).length, ...Buffer.from(entryName({ slot, ctr }))];
    const content = envelope ?? envelopeOf(64, 1); // a replica that held what was purged later
    Y.applyUpdate(doc, Uint8Array.from([1, 1, ...numberBytes(slot), ...numberBytes(clock), ...struct, ...numberBytes(content.length), ...content, 0]));
  }
  for (const at of order) {
    const { slot, clock, envelope } = rows[at]!;
    if (!envelope) Y.applyUpdate(doc, Uint8Array.from([0, 1, ...numberBytes(slot), 1, ...numberBytes(clock), 1]));
  }
  expect(doc.store.pendingStructs).toBeNull();
  return Y.encodeStateAsUpdate(doc);
}

const shuffledSegment = segment.chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows.map((_, i) => i), { minLength: rows.length, maxLength: rows.length })));

test('[PR18] a segment is byte for byte what Yjs makes of the same rows, purged ones included, in any order of arrival', () => {
  let purged = 0;
  fc.assert(fc.property(shuffledSegment, ([rows, order]) => {
    const encoded = encodeSegment(order.map((at) => rows[at]!));
    expect(equalBytes(encoded, yjsBytes(rows, order))).toBe(true);
    purged += rows.filter(({ envelope }) => !envelope).length;
  }), { numRuns: 400 });
  expect(purged).toBeGreaterThan(1_000);
});

test('[PR18] a replica that never saw a purged entry ends byte-equal to one that held it', () => {
  fc.assert(fc.property(segment, (rows) => {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, encodeSegment(rows));
    expect(Y.encodeStateAsUpdate(doc)).toEqual(Uint8Array.from(encodeSegment(rows)));
    const live = rows.filter(({ envelope }) => envelope);
    expect(doc.getMap('e').size).toBe(live.length);
    for (const entry of live) expect(doc.getMap('e').get(entryName(entry))).toEqual(entry.envelope);
  }), { numRuns: 200 });
});

test('[PR18] rows merged by Yjs and rows encoded at once are the same bytes', () => {
  fc.assert(fc.property(segment, (rows) => {
    fc.pre(rows.length > 0);
    expect(Y.mergeUpdates(rows.map((row) => encodeSegment([row])))).toEqual(Uint8Array.from(encodeSegment(rows)));
  }), { numRuns: 100 });
});

test('[PR19] a segment parses to its rows, slots descending and clocks ascending, also a part of one', () => {
  fc.assert(fc.property(segment, fc.nat(), fc.nat(), (rows, from, size) => {
    const bySlot = Map.groupBy(rows, ({ slot }) => slot);
    const part = [...bySlot.values()].flatMap((all) => all.slice(from % all.length, (from % all.length) + 1 + (size % all.length)));
    for (const some of [rows, part]) {
      const sorted = [...some].sort((a, b) => b.slot - a.slot || a.clock - b.clock);
      expect(parseSegment(encodeSegment(some))).toEqual({ ok: true, value: sorted });
    }
  }), { numRuns: 200 });
});

test('[PR19] rows that are no part of a segment are a broken promise', () => {
  const one: SegmentEntry = { slot: 1, clock: 0, ctr: 0, envelope: envelopeOf(64, 1) };
  expect(() => encodeSegment([one, { ...one, clock: 2, ctr: 2 }])).toThrow('contiguous');
  expect(() => encodeSegment([one, one])).toThrow('contiguous');
  expect(() => encodeSegment([one, { ...one, clock: 1, ctr: 5 }])).toThrow('counters');
  expect(() => encodeSegment([{ ...one, slot: 0 }])).toThrow('slot');
  expect(() => encodeSegment([{ ...one, envelope: envelopeOf(63, 1) }])).toThrow('envelope');
  expect(() => encodeSegment(Array.from({ length: 257 }, (_, i) => ({ ...one, clock: i, ctr: i })))).toThrow('256');
});

function fault(bytes: Uint8Array): SegmentFault | 'accepted' {
  const parsed = parseSegment(bytes);
  return parsed.ok ? 'accepted' : parsed.error;
}

const live = (slot: number, clock: number): SegmentEntry => ({ slot, clock, ctr: clock + 5, envelope: envelopeOf(64, slot) });

test('[PR20] a segment in any form but its one is refused by its typed reason', () => {
  const body = envelopeOf(64, 1);
  const key = [3, ...Buffer.from('1.0')];
  const struct = [0x23, 1, 1, 0x65, ...key, 64, ...body];
  const purgedStruct = [0x21, 1, 1, 0x65, ...key, 1];
  const of = (...bytes: readonly number[]): SegmentFault | 'accepted' => fault(Uint8Array.from(bytes));
  expect(of(1, 1, 1, 0, ...struct, 0)).toBe('accepted');
  expect(of(1, 1, 1, 0, ...purgedStruct, 1, 1, 1, 0, 1)).toBe('accepted');
  expect(of()).toBe('EOF');
  expect(of(1, 0, 1, 0, 0)).toBe('RANGE'); // a section without structs
  expect(of(1, 1, 0, 0, ...struct, 0)).toBe('RANGE'); // slot 0
  expect(of(1, 1, ...numberBytes(2 ** 21), 0, ...struct, 0)).toBe('RANGE');
  expect(of(1, 1, 1, ...numberBytes(2 ** 31), ...struct, 0)).toBe('RANGE');
  expect(of(1, 2, 1, ...numberBytes(2 ** 31 - 1), ...struct, ...struct, 0)).toBe('RANGE');
  expect(of(1, ...numberBytes(257), 1, 0)).toBe('RANGE');
  expect(of(...paddedNumberBytes(1), 1, 1, 0, ...struct, 0)).toBe('VARINT_PADDED');
  expect(of(1, ...paddedNumberBytes(1), 1, 0, ...struct, 0)).toBe('VARINT_PADDED');
  expect(of(1, 1, 1, 0, 0x23, 1, 1, 0x65, ...key, ...paddedNumberBytes(64), ...body, 0)).toBe('VARINT_PADDED');
  expect(of(1, 1, 1, 0, ...struct, 0, 0)).toBe('TRAILING');
  expect(of(1, 1, 1, 0, ...struct)).toBe('EOF');
  expect(of(1, 1, 1, 0, ...struct, 1, 1, 1, 0, 1)).toBe('DELETE_SET'); // a live entry in the delete set
  expect(of(1, 1, 1, 0, ...purgedStruct, 0)).toBe('DELETE_SET'); // a purged one missing from it
  expect(of(1, 1, 1, 0, ...purgedStruct, 1, 1, 1, 0, 2)).toBe('DELETE_SET');
  expect(of(1, 1, 1, 0, ...purgedStruct, 1, 2, 1, 0, 1)).toBe('DELETE_SET');
  expect(of(0, 1, 1, 1, 0, 1)).toBe('DELETE_SET');
  expect(of(1, 1, 1, 0, 0x21, 1, 1, 0x65, ...key, 2, 0)).toBe('SHAPE');
  expect(of(1, 1, 1, 0, 0x03, 1, 1, 0x65, 64, ...body, 0)).toBe('SHAPE');
  expect(of(1, 1, 1, 0, 0x23, 1, 1, 0x66, ...key, 64, ...body, 0)).toBe('ROOT');
  expect(of(1, 1, 1, 0, 0x23, 1, 2, 0x65, 0x65, ...key, 64, ...body, 0)).toBe('ROOT');
  for (const wrong of ['2.0', '1.', '1', '.0', '01.0', '1.00', '1.0.0', '1.A', '1.-0', '1.1z141z4', '1. 0', '']) {
    expect([wrong, of(1, 1, 1, 0, 0x23, 1, 1, 0x65, wrong.length, ...Buffer.from(wrong), 64, ...body, 0)]).toEqual([wrong, 'KEY']);
  }
  expect(of(1, 2, 1, 0, ...struct, ...struct, 0)).toBe('KEY'); // the same counter twice
  expect(of(1, 1, 1, 0, 0x23, 1, 1, 0x65, ...key, 63, ...body.subarray(1), 0)).toBe('SMALL');
  expect(of(1, 1, 1, 0, 0x23, 1, 1, 0x65, ...key, ...numberBytes(limits.envelopeSizeBytesMax + 1))).toBe('TOO_BIG');
  expect(fault(new Uint8Array(limits.frameSizeBytesMax))).toBe('TOO_BIG');
  // Sections ascending, or one slot in two sections.
  const [high, low] = [encodeSegment([live(9, 0)]), encodeSegment([live(3, 0)])].map((one) => one.subarray(1, -1));
  expect(fault(concatBytes(Uint8Array.of(2), high!, low!, Uint8Array.of(0)))).toBe('accepted');
  expect(fault(concatBytes(Uint8Array.of(2), low!, high!, Uint8Array.of(0)))).toBe('SECTIONS');
  expect(fault(concatBytes(Uint8Array.of(2), high!, high!, Uint8Array.of(0)))).toBe('SECTIONS');
});

test('[PR20] a segment cut short anywhere is refused', () => {
  const whole = encodeSegment([live(9, 0), live(9, 1), { ...live(3, 0), envelope: undefined }, { ...live(3, 1), envelope: undefined }, live(3, 2)]);
  for (let size = 0; size < whole.length; size++) expect([size, fault(whole.subarray(0, size))]).toEqual([size, 'EOF']);
});

test('[PR21] whatever segment is accepted encodes to the same bytes again', () => {
  const start = [live(9, 0), live(9, 1), { ...live(3, 0), envelope: undefined }, { ...live(3, 1), envelope: undefined }, live(3, 2), live(1, 7)];
  const bytes = encodeSegment(start);
  const seen = new Map<string, number>();
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(bytes.length), fc.nat(255), fc.constantFrom('set', 'insert', 'remove')), { minLength: 1, maxLength: 3 }), (changes) => {
    const mutated = [...bytes];
    for (const [at, byte, how] of changes) mutated.splice(at, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
    const parsed = parseSegment(Uint8Array.from(mutated));
    const outcome = parsed.ok ? 'accepted' : parsed.error;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (parsed.ok) expect(encodeSegment(parsed.value)).toEqual(Uint8Array.from(mutated));
  }), { numRuns: 20_000 });
  expect(seen.get('accepted')).toBeGreaterThan(500);
  expect(seen.size).toBeGreaterThan(6);
});

test('[PR22] two replicas compare a segment by one hash, whatever order their rows came in', () => {
  const rows = [live(9, 0), live(3, 0), live(9, 1)];
  const digest = segmentDigest(rows, sha256);
  expect(bytesToHex(digest)).toBe(bytesToHex(sha256(encodeSegment(rows))));
  expect(segmentDigest(rows.toReversed(), sha256)).toEqual(digest);
  expect(segmentDigest([rows[0]!, rows[1]!, { ...rows[2]!, envelope: undefined }], sha256)).not.toEqual(digest);
});

test('[PR18] a stock client writing its own entries makes exactly our bytes', () => {
  const entries = [0, 1, 2].map((clock) => ({ clock, ctr: clock, envelope: envelopeOf(70 + clock, clock) }));
  expect(stockUpdate(12, entries)).toEqual(Uint8Array.from(encodeSegment(entries.map((one) => ({ ...one, slot: 12 })))));
});
