/**
 * The attack table of documents.md §8: every hostile update a stock Yjs replica swallows, and the typed
 * reason it is refused by here. Where Yjs can be shown to fall for it, the test shows that too, so none
 * of these bytes is harmless by accident.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { numberBytes, paddedNumberBytes } from '../../../tests/support/shape.ts';
import { limits } from './limits.ts';
import { encodeSegment, entryName, parseUpdate, type UpdateContext, type UpdateFault } from './segment.ts';

const victim = 5;
const attacker = 9;
const context: UpdateContext = { slot: attacker, nextClock: 2 };

function envelopeOf(fill: number, size = 64): Bytes {
  return new Uint8Array(size).fill(fill);
}

function raw(...bytes: readonly (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(bytes.flatMap((part) => (typeof part === 'number' ? [part] : [...part])));
}

/** An entry as it should be: info, root, key, content. */
function struct(slot: number, clock: number, content: readonly number[] | Uint8Array = raw(64, envelopeOf(slot))): number[] {
  const key = entryName({ slot, ctr: clock });
  return [0x23, 1, 1, 0x65, key.length, ...Buffer.from(key), ...content];
}

function update(slot: number, clock0: number, ...structs: readonly (readonly number[])[]): Uint8Array {
  return raw(1, structs.length, numberBytes(slot), numberBytes(clock0), ...structs, 0);
}

function fault(bytes: Uint8Array, of: UpdateContext = context): UpdateFault | 'accepted' {
  const parsed = parseUpdate(bytes, of);
  return parsed.ok ? 'accepted' : parsed.error;
}

/** A replica that holds three entries of the victim and two of the attacker. */
function replica(): Y.Doc {
  const doc = new Y.Doc();
  const entry = (slot: number, clock: number) => ({ slot, clock, ctr: clock, envelope: envelopeOf(slot) });
  Y.applyUpdate(doc, encodeSegment([entry(victim, 0), entry(victim, 1), entry(victim, 2), entry(attacker, 0), entry(attacker, 1)]));
  return doc;
}

function after(...updates: readonly Uint8Array[]): Y.Doc {
  const doc = replica();
  for (const one of updates) Y.applyUpdate(doc, one);
  return doc;
}

function entriesOf(doc: Y.Doc, slot: number): number {
  return [...doc.getMap('e').keys()].filter((key) => key.startsWith(`${slot.toString(36)}.`)).length;
}

test('[PR23] an honest update of a stock client is accepted: new entries, known ones first, or nothing', () => {
  const doc = replica();
  doc.clientID = attacker;
  doc.getMap('e').set(entryName({ slot: attacker, ctr: 2 }), envelopeOf(1));
  const before = Y.encodeStateVector(replica());
  expect(parseUpdate(Y.encodeStateAsUpdate(doc, before), context)).toEqual({ ok: true, value: { clock0: 2, envelopes: [envelopeOf(1)] } });
  expect(parseUpdate(update(attacker, 1, struct(attacker, 1), struct(attacker, 2)), context)).toEqual({ ok: true, value: { clock0: 1, envelopes: [envelopeOf(attacker), envelopeOf(attacker)] } });
  expect(parseUpdate(Y.encodeStateAsUpdate(new Y.Doc()), context)).toEqual({ ok: true, value: { clock0: 2, envelopes: [] } });
});

test('[PR24] nobody deletes by an update, neither known nor future entries', () => {
  const knownOnes = raw(0, 1, victim, 1, 0, 3);
  expect(knownOnes.length).toBe(6);
  expect(entriesOf(after(knownOnes), victim)).toBe(0);
  expect(fault(knownOnes)).toBe('SECTIONS');
  const future = raw(0, 1, victim, 1, 50, 3);
  expect(after(future).store.pendingDs).not.toBeNull();
  expect(fault(future)).toBe('SECTIONS');
  const besideAnEntry = raw(update(attacker, 2, struct(attacker, 2)).subarray(0, -1), 1, victim, 1, 0, 3);
  expect(entriesOf(after(besideAnEntry), victim)).toBe(0);
  expect(fault(besideAnEntry)).toBe('DELETE_SET');
  expect(fault(raw(update(attacker, 2, struct(attacker, 2)).subarray(0, -1), 1, attacker, 1, 0, 1))).toBe('DELETE_SET'); // not even one's own
});

test('[PR24] nobody replaces an entry of another', () => {
  const key = entryName({ slot: victim, ctr: 1 });
  const anothersKey = raw(1, 1, attacker, 2, 0x23, 1, 1, 0x65, key.length, Buffer.from(key), 64, envelopeOf(0xee), 0);
  expect(after(anothersKey).getMap('e').get(key)).toEqual(new Uint8Array(envelopeOf(0xee)));
  expect(fault(anothersKey)).toBe('KEY');
  // With an origin at the victim's entry and so without a parent of its own.
  const byOrigin = raw(1, 1, attacker, 2, 0xa3, victim, 1, 64, envelopeOf(0xee), 0);
  expect(after(byOrigin).getMap('e').get(key)).toEqual(new Uint8Array(envelopeOf(0xee)));
  expect(fault(byOrigin)).toBe('SHAPE');
});

test('[PR24] nobody speaks as another or mutes them', () => {
  const nextOfVictim = update(victim, 3, struct(victim, 3));
  const muted = after(nextOfVictim);
  Y.applyUpdate(muted, update(victim, 3, struct(victim, 3, raw(64, envelopeOf(0x77)))));
  expect(muted.getMap('e').get(entryName({ slot: victim, ctr: 3 }))).not.toEqual(envelopeOf(0x77));
  expect(fault(nextOfVictim)).toBe('NOT_OWN_CLIENT');
  const gcStruct = raw(1, 1, victim, 3, 0, numberBytes(2 ** 40), 0);
  expect(gcStruct.length).toBe(12);
  const gone = after(gcStruct);
  Y.applyUpdate(gone, nextOfVictim);
  expect(entriesOf(gone, victim)).toBe(3);
  expect(fault(gcStruct)).toBe('NOT_OWN_CLIENT');
  expect(fault(update(2 ** 32 - 1, 0, struct(1, 0)))).toBe('NOT_OWN_CLIENT'); // the library's own random ids
  expect(fault(raw(1, 1, attacker, 2, 0, numberBytes(2 ** 40), 0))).toBe('SHAPE'); // one's own GC
});

test('[PR25] no update names an origin, in the past, the future or nowhere', () => {
  const ownFuture = raw(1, 1, attacker, 2, 0xa3, attacker, 2, 64, envelopeOf(1), 0);
  expect(() => after(ownFuture)).toThrow(TypeError);
  expect(fault(ownFuture)).toBe('SHAPE');
  expect(fault(raw(1, 1, attacker, 2, 0xa3, attacker, 1, 64, envelopeOf(1), 0))).toBe('SHAPE');
  const nowhere = raw(1, 1, attacker, 2, 0xa3, 77, 5, 64, envelopeOf(1), 0);
  expect(after(nowhere).store.pendingStructs).not.toBeNull();
  expect(fault(nowhere)).toBe('SHAPE');
  expect(fault(raw(1, 1, attacker, 2, 0x63, attacker, 1, 64, envelopeOf(1), 0))).toBe('SHAPE'); // a right origin
  expect(fault(raw(1, 1, attacker, 2, 0x0a, numberBytes(5), 0))).toBe('SHAPE'); // Skip
});

test('[PR25] no update leaves a gap, claims what it does not hold, or costs what it claims', () => {
  const gap = update(attacker, 1_000_000, struct(attacker, 1_000_000));
  expect(after(gap).store.pendingStructs).not.toBeNull();
  expect(fault(gap)).toBe('RANGE');
  expect(fault(update(attacker, 3, struct(attacker, 3)))).toBe('RANGE');
  const count = raw(1, numberBytes(2 ** 25), attacker, 2);
  expect(count.length).toBe(7);
  expect(fault(count)).toBe('RANGE');
  expect(fault(raw(1, 0, attacker, 2, 0))).toBe('RANGE');
  expect(fault(raw(1, numberBytes(65), attacker, 2, struct(attacker, 2)))).toBe('RANGE');
  expect(fault(raw(2, 1, attacker, 2, struct(attacker, 2), 1, victim, 3, struct(victim, 3), 0))).toBe('SECTIONS');
  expect(fault(raw(numberBytes(2 ** 31), 0))).toBe('RANGE');
  expect(fault(new Uint8Array(limits.frameSizeBytesMax + 1))).toBe('TOO_BIG');
  // Never-resolving updates, one after another: each is refused before it is kept.
  for (let i = 0; i < 2_000; i++) expect(fault(raw(1, 1, attacker, 2, 0xa3, 100 + (i % 100), 5, 64, envelopeOf(1), 0))).toBe('SHAPE');
});

test('[PR25] a V2 update is refused', () => {
  const doc = replica();
  doc.clientID = attacker;
  doc.getMap('e').set(entryName({ slot: attacker, ctr: 2 }), envelopeOf(1));
  expect(fault(Y.encodeStateAsUpdateV2(doc))).toBe('TRAILING'); // to V1 it says nothing, at length
  expect(fault(raw(0, 0, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toBe('TRAILING');
});

test('[PR26] nothing but bytes at their key in the one root is admitted', () => {
  /** What a stock client sends when it does `change` as its very first act. */
  function sent(change: (doc: Y.Doc) => void): UpdateFault | 'accepted' {
    const doc = new Y.Doc();
    doc.clientID = attacker;
    change(doc);
    return fault(Y.encodeStateAsUpdate(doc), { slot: attacker, nextClock: 0 });
  }
  const key = entryName({ slot: attacker, ctr: 0 });
  expect(sent((doc) => doc.getMap('e').set(key, envelopeOf(1)))).toBe('accepted');
  expect(sent((doc) => doc.getMap('f').set(key, envelopeOf(1)))).toBe('ROOT');
  expect(sent((doc) => doc.getMap('ee').set(key, envelopeOf(1)))).toBe('ROOT');
  expect(sent((doc) => doc.getMap('e').set('9.1', envelopeOf(1)))).toBe('KEY');
  expect(sent((doc) => doc.getMap('e').set('x'.repeat(5_000), envelopeOf(1)))).toBe('KEY');
  expect(sent((doc) => doc.getMap('e').set(key, 'text'))).toBe('SHAPE'); // ContentAny
  expect(sent((doc) => doc.getMap('e').set(key, null))).toBe('SHAPE');
  expect(sent((doc) => doc.getMap('e').set(key, new Y.Map()))).toBe('SHAPE');
  expect(sent((doc) => doc.getMap('e').set(key, new Y.Text('a')))).toBe('SHAPE');
  expect(sent((doc) => doc.getMap('e').set(key, new Y.Doc()))).toBe('SHAPE'); // a sub-document
  expect(sent((doc) => doc.getArray('e').push([envelopeOf(1)]))).toBe('SHAPE');
  expect(sent((doc) => doc.getText('e').insert(0, 'a'))).toBe('SHAPE');
  expect(sent((doc) => doc.getText('e').format(0, 0, {}))).toBe('accepted'); // says nothing at all
  expect(sent((doc) => {
    doc.getMap('e').set(key, envelopeOf(1));
    doc.getMap('e').set(key, envelopeOf(2)); // overwrites its own entry: an origin and a deletion
  })).toBe('SHAPE');
  const nested = raw(1, 1, attacker, 2, 0x28, 1, 1, 0x65, 3, Buffer.from('9.2'), 1, new Array<number>(100_000).fill(0x75), 0);
  expect(fault(nested)).toBe('SHAPE'); // an array in an array, a hundred thousand deep
  expect(fault(raw(1, 1, attacker, 2, 0x21, 1, 1, 0x65, 3, Buffer.from('9.2'), numberBytes(2 ** 50), 0))).toBe('SHAPE'); // ContentDeleted of 2^50
  expect(fault(raw(1, 1, attacker, 2, 0x23, 0, attacker, 0, 3, Buffer.from('9.2'), 64, envelopeOf(1), 0))).toBe('SHAPE'); // a parent that is an item
});

test('[PR26] trailing bytes, padded numbers, empty and huge envelopes, and half an update are refused', () => {
  const honest = update(attacker, 2, struct(attacker, 2));
  expect(fault(honest)).toBe('accepted');
  expect(fault(concatBytes(honest, Uint8Array.of(0)))).toBe('TRAILING');
  expect(() => after(concatBytes(honest, Uint8Array.of(0)))).not.toThrow();
  expect(fault(raw(paddedNumberBytes(1), honest.subarray(1)))).toBe('VARINT_PADDED');
  expect(fault(raw(1, paddedNumberBytes(1), honest.subarray(2)))).toBe('VARINT_PADDED');
  expect(fault(raw(1, 1, paddedNumberBytes(attacker), honest.subarray(3)))).toBe('VARINT_PADDED');
  expect(fault(raw(1, 1, attacker, paddedNumberBytes(2), honest.subarray(4)))).toBe('VARINT_PADDED');
  expect(fault(update(attacker, 2, struct(attacker, 2, raw(paddedNumberBytes(64), envelopeOf(1)))))).toBe('VARINT_PADDED');
  expect(fault(update(attacker, 2, struct(attacker, 2, raw(0))))).toBe('SMALL');
  expect(fault(update(attacker, 2, struct(attacker, 2, raw(63, envelopeOf(1, 63)))))).toBe('SMALL');
  expect(fault(update(attacker, 2, struct(attacker, 2, raw(numberBytes(limits.envelopeSizeBytesMax + 1), envelopeOf(1, limits.envelopeSizeBytesMax + 1)))))).toBe('TOO_BIG');
  expect(fault(update(attacker, 2, struct(attacker, 2, raw(numberBytes(2 ** 20), envelopeOf(1, 2 ** 20)))))).toBe('TOO_BIG');
  for (let size = 0; size < honest.length; size++) expect([size, fault(honest.subarray(0, size))]).toEqual([size, 'EOF']);
});

test('[PR27] an update that says something else at a known clock is a fork', () => {
  const known = (clock: number): Bytes | undefined => (clock === 0 ? undefined : envelopeOf(attacker)); // clock 0 is purged
  const again = update(attacker, 0, struct(attacker, 0, raw(64, envelopeOf(0x77))), struct(attacker, 1), struct(attacker, 2));
  expect(parseUpdate(again, { ...context, known })).toMatchObject({ ok: true, value: { clock0: 0 } });
  const fork = update(attacker, 1, struct(attacker, 1, raw(64, envelopeOf(0x77))), struct(attacker, 2));
  expect(fault(fork, { ...context, known })).toBe('FORK');
  expect(fault(fork)).toBe('accepted'); // the store compares where the caller does not
});

test('[PR28] whatever update is accepted encodes to the same bytes again, under twenty thousand mutations', () => {
  const starts = [update(attacker, 2, struct(attacker, 2)), update(attacker, 1, struct(attacker, 1), struct(attacker, 2), struct(attacker, 3))];
  const seen = new Map<string, number>();
  fc.assert(fc.property(fc.constantFrom(...starts), fc.array(fc.tuple(fc.nat(230), fc.nat(255), fc.constantFrom('set', 'insert', 'remove')), { minLength: 1, maxLength: 3 }), (start, changes) => {
    const mutated = [...start];
    for (const [at, byte, how] of changes) mutated.splice(at, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
    const parsed = parseUpdate(Uint8Array.from(mutated), context);
    const outcome = parsed.ok ? 'accepted' : parsed.error;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (!parsed.ok) return;
    const { clock0, envelopes } = parsed.value;
    expect(encodeSegment(envelopes.map((envelope, i) => ({ slot: attacker, clock: clock0 + i, ctr: clock0 + i, envelope })))).toEqual(Uint8Array.from(mutated));
  }), { numRuns: 20_000 });
  expect(seen.get('accepted')).toBeGreaterThan(500);
  expect(seen.size).toBeGreaterThan(6);
});
