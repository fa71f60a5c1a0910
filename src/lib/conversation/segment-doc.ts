/**
 * A segment as a Yjs document: what every standard Yjs tool reads and merges (documents.md §3, §4).
 *
 * Bytes reach Yjs only after the strict parser has admitted them, so nothing a server sends can do more
 * than set entries of this one map. Yjs is large and most of the app never needs it: import this module
 * dynamically, and from nowhere else.
 */
import * as Y from 'yjs';
import { encodeSegment, entryName, parseSegment, type SegmentEntry, type SegmentFault } from '#lib/protocol/segment.ts';
import { assert } from '#lib/std/assert.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

/** `rows` of one segment, contiguous per slot. */
export function rowsToDoc(rows: readonly SegmentEntry[]): Y.Doc {
  return unwrapDoc(updateToDoc(encodeSegment(rows)));
}

/** From bytes of the network or the disk. */
export function updateToDoc(update: Uint8Array): Result<Y.Doc, SegmentFault> {
  const parsed = parseSegment(update);
  if (!parsed.ok) return err(parsed.error);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return ok(doc);
}

/** Adds rows to a document of their segment. */
export function addRows(doc: Y.Doc, rows: readonly SegmentEntry[]): void {
  Y.applyUpdate(doc, encodeSegment(rows));
}

/** The canonical update, the same bytes `encodeSegment` writes. */
export function docToUpdate(doc: Y.Doc): Bytes {
  return Y.encodeStateAsUpdate(doc) as Bytes;
}

/** The rows' entries again, slots descending. */
export function docToEntries(doc: Y.Doc): Result<readonly SegmentEntry[], SegmentFault> {
  return parseSegment(docToUpdate(doc));
}

/** One entry's envelope; undefined when it is purged or not here. */
export function envelopeIn(doc: Y.Doc, entry: { readonly slot: number; readonly ctr: number }): Uint8Array | undefined {
  const value = doc.getMap<unknown>('e').get(entryName(entry));
  return value instanceof Uint8Array ? value : undefined;
}

function unwrapDoc(doc: Result<Y.Doc, SegmentFault>): Y.Doc {
  assert(doc.ok, 'what encodeSegment writes, parseSegment admits');
  return doc.value;
}
