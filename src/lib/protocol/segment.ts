/**
 * A segment is a run of a conversation's rows as a Yjs document, in exactly one byte form (documents.md §4).
 *
 * One root `e` maps each entry's key to its envelope; nothing else may exist. A row and its Yjs struct are a
 * bijection, so both sides write the Yjs V1 update of any rows in O(n), and neither ever runs the Yjs
 * decoder on bytes from outside: the strict parsers here admit the one shape and name what is wrong with
 * anything else. What they accept encodes to the same bytes again.
 *
 *     V sections { V n, V slot, V clock0, n x struct } deleteSet       slots descending, clocks ascending
 *     struct     23 01 | 01 65 | V key size, key | V size, envelope    a live entry
 *                21 01 | 01 65 | V key size, key | 01                  a purged one, also in the delete set
 */
import { assert } from '#lib/std/assert.ts';
import { copyBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { EntryId } from './ids.ts';
import { limits } from './limits.ts';
import { readVarUint, varUintSize, writeVarUint, type VarUintFault } from './varuint.ts';

/** What a row says inside its segment; every `Row` is one. */
export interface SegmentEntry extends EntryId {
  readonly clock: number;
  /** Undefined once purged. */
  readonly envelope: Bytes | undefined;
}

export type SegmentFault = VarUintFault | 'TRAILING' | 'SECTIONS' | 'SHAPE' | 'ROOT' | 'KEY' | 'SMALL' | 'TOO_BIG' | 'DELETE_SET';
/** Refusals of one update of a stock Yjs client. */
export type UpdateFault = SegmentFault | 'NOT_OWN_CLIENT' | 'FORK';

/** Rows of a full segment beside the 40 bytes or so each costs; also what one frame carries. */
export const segmentBlobSizeBytesMax = limits.frameSizeBytesMax - 1_024;

const binaryStruct = 0x23; // ContentBinary, with a key, without origins
const deletedStruct = 0x21; // ContentDeleted, with a key, without origins
const parentIsRoot = 1;
const rootName = 0x65; // "e"
/** info, parent kind, root name with its length, length of the key. */
const structHeadSizeBytes = 5;
const slotMax = 2 ** 21 - 1;
const ctrMax = 2 ** 32 - 1;
const clockMax = 2 ** 31 - 1;
const noDeletions = Uint8Array.of(0);

/** The key of an entry in its document; also its name in logs and tests. */
export function entryName({ slot, ctr }: EntryId): string {
  return `${slot.toString(36)}.${ctr.toString(36)}`;
}

interface Section {
  readonly slot: number;
  /** Ascending and contiguous in clock and in ctr. */
  readonly entries: readonly SegmentEntry[];
}

/** The Yjs V1 update of these rows, which may be any subset of one segment that is contiguous per slot. */
export function encodeSegment(rows: readonly SegmentEntry[]): Bytes {
  const sections = toSections(rows);
  const deletions = deleteSet(sections);
  let size = varUintSize(sections.length) + deletions.length;
  for (const { slot, entries } of sections) {
    size += varUintSize(entries.length) + varUintSize(slot) + varUintSize(entries[0]!.clock);
    for (const entry of entries) size += structSize(entry);
  }
  const out = new Uint8Array(size);
  let at = writeVarUint(out, 0, sections.length);
  for (const { slot, entries } of sections) {
    at = writeVarUint(out, writeVarUint(out, writeVarUint(out, at, entries.length), slot), entries[0]!.clock);
    for (const entry of entries) at = writeStruct(out, at, entry);
  }
  out.set(deletions, at);
  assert(at + deletions.length === size, 'a segment is as long as was counted');
  return out;
}

/** What two replicas compare instead of their rows. The hash is SHA-256, handed in by the caller. */
export function segmentDigest(rows: readonly SegmentEntry[], sha256: (bytes: Uint8Array) => Bytes): Bytes {
  return sha256(encodeSegment(rows));
}

/** All entries of a segment or a part of one, slots descending, clocks ascending. */
export function parseSegment(bytes: Uint8Array): Result<readonly SegmentEntry[], SegmentFault> {
  if (bytes.length > segmentBlobSizeBytesMax) return err('TOO_BIG');
  const count = readVarUint(bytes, 0, limits.segmentEntriesMax);
  if (!count.ok) return count;
  let at = count.value.next;
  const all: SegmentEntry[] = [];
  const sections: Section[] = [];
  for (let i = 0; i < count.value.number; i++) {
    const head = readSectionHead(bytes, at, limits.segmentEntriesMax - all.length);
    if (!head.ok) return head;
    const { slot, clock0, count: entryCount } = head.value;
    if (slot < 1 || slot > slotMax || clock0 + entryCount - 1 > clockMax) return err('RANGE');
    const above = sections[i - 1];
    if (above && above.slot <= slot) return err('SECTIONS');
    const section = readStructs(bytes, head.value, { mayBePurged: true });
    if (!section.ok) return section;
    sections.push(section.value);
    for (const entry of section.value.entries) all.push(entry);
    at = section.value.next;
  }
  const fault = checkEnd(bytes.subarray(at), deleteSet(sections));
  return fault ? err(fault) : ok(all);
}

export interface UpdateContext {
  /** The connection's own slot: the only client id its update may name. */
  readonly slot: number;
  /** The clock after the newest entry known of that slot in this segment. */
  readonly nextClock: number;
  /** The envelope known at a clock, undefined when purged. Given, an entry that differs from it is a FORK. */
  readonly known?: (clock: number) => Uint8Array | undefined;
  /** 64 unless told: a client back from offline sends all it has in one update. */
  readonly entriesMax?: number;
}

export interface ParsedUpdate {
  /** The clock, and in a document served to stock clients also the ctr, of the first envelope. */
  readonly clock0: number;
  /** May begin with entries already known; empty for an update that says nothing. */
  readonly envelopes: readonly Bytes[];
}

/** One update of a stock Yjs client: only its own new entries, and no deletion (documents.md §5). */
export function parseUpdate(bytes: Uint8Array, { slot, nextClock, known, entriesMax = limits.entriesPerPutMax }: UpdateContext): Result<ParsedUpdate, UpdateFault> {
  if (bytes.length > limits.frameSizeBytesMax) return err('TOO_BIG');
  const count = readVarUint(bytes, 0, clockMax);
  if (!count.ok) return count;
  if (count.value.number === 0) {
    // A stock client with nothing to say sends this much; anything behind it would be a deletion.
    const fault = checkEnd(bytes.subarray(1), noDeletions);
    return fault ? err(fault === 'DELETE_SET' ? 'SECTIONS' : fault) : ok({ clock0: nextClock, envelopes: [] });
  }
  if (count.value.number !== 1) return err('SECTIONS');
  const head = readSectionHead(bytes, count.value.next, entriesMax);
  if (!head.ok) return head;
  const { clock0 } = head.value;
  if (head.value.slot !== slot) return err('NOT_OWN_CLIENT');
  if (clock0 > nextClock || clock0 + head.value.count - 1 > clockMax) return err('RANGE');
  const section = readStructs(bytes, head.value, { mayBePurged: false, ctr0: clock0 });
  if (!section.ok) return section;
  const fault = checkEnd(bytes.subarray(section.value.next), noDeletions);
  if (fault) return err(fault);
  const envelopes: Bytes[] = [];
  for (const { clock, envelope } of section.value.entries) {
    const before = clock < nextClock ? known?.(clock) : undefined;
    if (before && !equalBytes(before, envelope!)) return err('FORK');
    envelopes.push(envelope!);
  }
  return ok({ clock0, envelopes });
}

// From here on: the sections.

/** Groups rows by slot and puts each where its clock says, without sorting rows. */
function toSections(rows: readonly SegmentEntry[]): readonly Section[] {
  assert(rows.length <= limits.segmentEntriesMax, 'a segment holds at most 256 entries');
  const bySlot = new Map<number, SegmentEntry[]>();
  for (const row of rows) {
    const same = bySlot.get(row.slot);
    if (same) same.push(row);
    else bySlot.set(row.slot, [row]);
  }
  const slots = [...bySlot.keys()].sort((a, b) => b - a);
  return slots.map((slot) => {
    const given = bySlot.get(slot)!;
    let first = given[0]!;
    for (const row of given) if (row.clock < first.clock) first = row;
    assert(slot >= 1 && slot <= slotMax && first.clock >= 0 && first.clock + given.length - 1 <= clockMax, 'slot and clock are within their bounds');
    assert(first.ctr >= 0 && first.ctr + given.length - 1 <= ctrMax, 'ctr is within its bounds');
    const entries = new Array<SegmentEntry | undefined>(given.length).fill(undefined);
    for (const row of given) {
      const place = row.clock - first.clock;
      assert(place < given.length && entries[place] === undefined, 'the clocks of a slot are contiguous and each is given once');
      assert(row.ctr === first.ctr + place, 'the counters of a slot follow its clocks');
      assert(row.envelope === undefined || (row.envelope.length >= limits.envelopeSizeBytesMin && row.envelope.length <= limits.envelopeSizeBytesMax), 'an envelope is within its bounds');
      entries[place] = row;
    }
    return { slot, entries: entries as SegmentEntry[] };
  });
}

interface SectionHead {
  readonly count: number;
  readonly slot: number;
  readonly clock0: number;
  readonly next: number;
}

function readSectionHead(bytes: Uint8Array, from: number, entriesMax: number): Result<SectionHead, SegmentFault> {
  const count = readVarUint(bytes, from, entriesMax);
  if (!count.ok) return count;
  if (count.value.number === 0) return err('RANGE');
  const slot = readVarUint(bytes, count.value.next, Number.MAX_SAFE_INTEGER);
  if (!slot.ok) return slot;
  const clock0 = readVarUint(bytes, slot.value.next, clockMax);
  if (!clock0.ok) return clock0;
  return ok({ count: count.value.number, slot: slot.value.number, clock0: clock0.value.number, next: clock0.value.next });
}

/** `ctr0` is the first counter where the reader knows it; else the first key says it, and the rest follow. */
function readStructs(bytes: Uint8Array, { count, slot, clock0, next }: SectionHead, { mayBePurged, ctr0 }: { readonly mayBePurged: boolean; readonly ctr0?: number }): Result<Section & { readonly next: number }, SegmentFault> {
  const entries: SegmentEntry[] = [];
  let at = next;
  let first = ctr0;
  for (let i = 0; i < count; i++) {
    const struct = readStruct(bytes, at, { slot, clock: clock0 + i }, first === undefined ? undefined : first + i, mayBePurged);
    if (!struct.ok) return struct;
    first ??= struct.value.entry.ctr;
    entries.push(struct.value.entry);
    at = struct.value.next;
  }
  return ok({ slot, entries, next: at });
}

function readStruct(
  bytes: Uint8Array, from: number, { slot, clock }: { readonly slot: number; readonly clock: number }, expectedCtr: number | undefined, mayBePurged: boolean,
): Result<{ readonly entry: SegmentEntry; readonly next: number }, SegmentFault> {
  const info = bytes[from];
  if (info === undefined) return err('EOF');
  if (info !== binaryStruct && !(mayBePurged && info === deletedStruct)) return err('SHAPE');
  const parent = bytes[from + 1];
  if (parent === undefined) return err('EOF');
  if (parent !== parentIsRoot) return err('SHAPE');
  const nameSize = bytes[from + 2];
  const name = bytes[from + 3];
  if (nameSize === undefined) return err('EOF');
  if (nameSize !== 1) return err('ROOT');
  if (name === undefined) return err('EOF');
  if (name !== rootName) return err('ROOT');
  const key = readKey(bytes, from + 4, slot, expectedCtr);
  if (!key.ok) return key;
  const { ctr, next } = key.value;
  const size = readVarUint(bytes, next, clockMax);
  if (!size.ok) return size;
  if (info === deletedStruct) return size.value.number === 1 ? ok({ entry: { slot, clock, ctr, envelope: undefined }, next: size.value.next }) : err('SHAPE');
  if (size.value.number < limits.envelopeSizeBytesMin) return err('SMALL');
  if (size.value.number > limits.envelopeSizeBytesMax) return err('TOO_BIG');
  const end = size.value.next + size.value.number;
  if (end > bytes.length) return err('EOF');
  return ok({ entry: { slot, clock, ctr, envelope: copyBytes(bytes.subarray(size.value.next, end)) }, next: end });
}

/** The longest key: a 21-bit slot and a 32-bit counter in base 36 with a dot between. */
const keySizeBytesMax = 5 + 1 + 7;

function readKey(bytes: Uint8Array, from: number, slot: number, expectedCtr: number | undefined): Result<{ readonly ctr: number; readonly next: number }, SegmentFault> {
  const size = readVarUint(bytes, from, clockMax);
  if (!size.ok) return size;
  if (size.value.number > keySizeBytesMax) return err('KEY');
  const next = size.value.next + size.value.number;
  if (next > bytes.length) return err('EOF');
  let key = '';
  for (let i = size.value.next; i < next; i++) key += String.fromCharCode(bytes[i]!);
  const ctr = expectedCtr ?? Number.parseInt(key.slice(key.indexOf('.') + 1), 36);
  if (!(ctr <= ctrMax) || key !== entryName({ slot, ctr })) return err('KEY');
  return ok({ ctr, next });
}

function structSize(entry: SegmentEntry): number {
  const head = structHeadSizeBytes + entryName(entry).length;
  return entry.envelope ? head + varUintSize(entry.envelope.length) + entry.envelope.length : head + 1;
}

function writeStruct(out: Uint8Array, from: number, entry: SegmentEntry): number {
  const key = entryName(entry);
  out[from] = entry.envelope ? binaryStruct : deletedStruct;
  out[from + 1] = parentIsRoot;
  out[from + 2] = 1;
  out[from + 3] = rootName;
  out[from + 4] = key.length;
  let at = from + structHeadSizeBytes;
  for (let i = 0; i < key.length; i++) out[at++] = key.charCodeAt(i);
  if (!entry.envelope) return writeVarUint(out, at, 1);
  at = writeVarUint(out, at, entry.envelope.length);
  out.set(entry.envelope, at);
  return at + entry.envelope.length;
}

/** The purged entries as Yjs lists deletions: slots descending, runs of clocks ascending. */
function deleteSet(sections: readonly Section[]): Bytes {
  const numbers: number[] = [0];
  for (const { slot, entries } of sections) {
    const runs: number[] = [];
    entries.forEach(({ clock, envelope }, i) => {
      if (envelope) return;
      if (i > 0 && !entries[i - 1]!.envelope) runs[runs.length - 1]! += 1;
      else runs.push(clock, 1);
    });
    if (runs.length === 0) continue;
    numbers[0]! += 1;
    numbers.push(slot, runs.length / 2, ...runs);
  }
  const out = new Uint8Array(numbers.reduce((size, number) => size + varUintSize(number), 0));
  numbers.reduce((at, number) => writeVarUint(out, at, number), 0);
  return out;
}

/** There is one right end; says what is wrong with any other. */
function checkEnd(rest: Uint8Array, expected: Uint8Array): 'EOF' | 'TRAILING' | 'DELETE_SET' | undefined {
  if (equalBytes(rest, expected)) return undefined;
  if (rest.length < expected.length && equalBytes(rest, expected.subarray(0, rest.length))) return 'EOF';
  return equalBytes(rest.subarray(0, expected.length), expected) ? 'TRAILING' : 'DELETE_SET';
}
