/**
 * Rows, whichever form they are kept in: one by one while their segment is open, as the segment's
 * canonical Yjs update once it is whole. Everybody reads and changes rows through here, so nobody else
 * knows which.
 */
import { encodeSegment, parseSegment } from '#lib/protocol/segment.ts';
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { StorageError, type ReadTx, type WriteTx } from './database.ts';
import { ofConversation } from './keys.ts';
import type { StoredRow, StoredSegment } from './schema.ts';

/** Stores a transaction must name to use these. */
export const rowStores = ['rows', 'segments', 'entrySeq'] as const;

/** Rows fromSeq..toSeq that are held, in seq order; at most `limit`, from the end when `reverse` (still in seq order). */
export async function readRows(tx: ReadTx, conversation: ConversationId, fromSeq: number, toSeq: number, { limit, reverse = false }: { limit?: number; reverse?: boolean } = {}): Promise<StoredRow[]> {
  if (fromSeq > toSeq || limit === 0) return [];
  const single = await tx.getAll('rows', { range: ofConversation(conversation, fromSeq, toSeq), ...(limit !== undefined && { limit }), reverse });
  const isFull = limit !== undefined && single.length === limit;
  // When single rows alone fill the answer, a segment matters only where it lies between them.
  const from = isFull && reverse ? single.at(-1)!.seq : fromSeq;
  const to = isFull && !reverse ? single.at(-1)!.seq : toSeq;
  const fromSegments = await rowsOfSegments(tx, conversation, from, to, limit ?? Infinity, reverse);
  if (reverse) single.reverse();
  if (fromSegments.length === 0) return single;
  const all = [...single, ...fromSegments].sort((a, b) => a.seq - b.seq);
  if (limit === undefined || all.length <= limit) return all;
  return reverse ? all.slice(-limit) : all.slice(0, limit);
}

async function rowsOfSegments(tx: ReadTx, conversation: ConversationId, fromSeq: number, toSeq: number, limit: number, reverse: boolean): Promise<StoredRow[]> {
  const out: StoredRow[] = [];
  const take = (segment: StoredSegment) => {
    for (const row of segmentToRows(segment)) if (row.seq >= fromSeq && row.seq <= toSeq) out.push(row);
  };
  if (!reverse) {
    for (let next = fromSeq; out.length < limit; ) {
      const segment = await segmentAtOrAfter(tx, conversation, next);
      if (!segment || segment.firstSeq > toSeq) break;
      take(segment);
      next = segment.lastSeq + 1;
    }
    return out;
  }
  const top = await segmentAtOrAfter(tx, conversation, toSeq);
  if (top && top.firstSeq <= toSeq) take(top);
  for (let below = top ? Math.min(top.firstSeq - 1, toSeq) : toSeq; out.length < limit; ) {
    const [segment] = await tx.getAll('segments', { range: ofConversation(conversation, 0, below), limit: 1, reverse: true });
    if (!segment || segment.lastSeq < fromSeq) break;
    take(segment);
    below = segment.firstSeq - 1;
  }
  return out;
}

async function segmentAtOrAfter(tx: ReadTx, conversation: ConversationId, seq: number): Promise<StoredSegment | undefined> {
  return (await tx.getAll('segments', { range: ofConversation(conversation, seq), limit: 1 }))[0];
}

/** One row by its place. */
export async function readRow(tx: ReadTx, conversation: ConversationId, seq: number): Promise<StoredRow | undefined> {
  return (await tx.get('rows', [conversation, seq])) ?? (await rowsOfSegments(tx, conversation, seq, seq, 1, false))[0];
}

/** Replaces what is known of a row that is held, in whichever form. False when it is not held. */
export async function patchRow(tx: WriteTx, conversation: ConversationId, row: StoredRow): Promise<boolean> {
  if ((await tx.count('rows', ofConversation(conversation, row.seq, row.seq))) > 0) {
    await tx.put('rows', [conversation, row.seq], row);
    return true;
  }
  const segment = await segmentAtOrAfter(tx, conversation, row.seq);
  if (!segment || segment.firstSeq > row.seq) return false;
  const rows = segmentToRows(segment).map((other) => (other.seq === row.seq ? row : other));
  await tx.put('segments', [conversation, segment.lastSeq], rowsToSegment(rows));
  return true;
}

/** Takes the envelopes out of these entries, where held. Answers those that had one. */
export async function purgeRows(tx: WriteTx, conversation: ConversationId, entries: readonly EntryId[]): Promise<EntryId[]> {
  const purged: EntryId[] = [];
  for (const { slot, ctr } of entries) {
    const seq = await tx.get('entrySeq', [conversation, slot, ctr]);
    const row = seq === undefined ? undefined : await readRow(tx, conversation, seq);
    if (!row?.envelope || row.slot !== slot || row.ctr !== ctr) continue;
    await patchRow(tx, conversation, { ...row, envelope: undefined });
    purged.push({ slot, ctr });
  }
  return purged;
}

/** Saves rows one by one, with the way back from their entry. */
export async function putRows(tx: WriteTx, conversation: ConversationId, rows: readonly StoredRow[]): Promise<void> {
  for (const row of rows) {
    await tx.put('rows', [conversation, row.seq], row);
    await tx.put('entrySeq', [conversation, row.slot, row.ctr], row.seq);
  }
}

/** Removes the rows above a seq and answers them; a segment that straddles it becomes single rows again. */
export async function cutRows(tx: WriteTx, conversation: ConversationId, above: number): Promise<StoredRow[]> {
  const cut = await readRows(tx, conversation, above + 1, Infinity);
  const straddling = await segmentAtOrAfter(tx, conversation, above + 1);
  if (straddling && straddling.firstSeq <= above) {
    for (const row of segmentToRows(straddling)) if (row.seq <= above) await tx.put('rows', [conversation, row.seq], row);
  }
  await tx.delete('segments', { range: ofConversation(conversation, above + 1) });
  await tx.delete('rows', { range: ofConversation(conversation, above + 1) });
  for (const row of cut) {
    if ((await tx.get('entrySeq', [conversation, row.slot, row.ctr])) === row.seq) await tx.delete('entrySeq', [conversation, row.slot, row.ctr]);
  }
  return cut;
}

/** Moves the rows of one whole segment, all held singly, into its canonical form. */
export async function compactRows(tx: WriteTx, conversation: ConversationId, rows: readonly StoredRow[]): Promise<StoredSegment> {
  const segment = rowsToSegment(rows);
  await tx.put('segments', [conversation, segment.lastSeq], segment);
  await tx.delete('rows', { range: ofConversation(conversation, segment.firstSeq, segment.lastSeq) });
  return segment;
}

function rowsToSegment(rows: readonly StoredRow[]): StoredSegment {
  const [first] = rows;
  assert(first && rows.every((row, i) => row.seg === first.seg && row.seq === first.seq + i), 'a segment is a contiguous run of rows of one seg');
  return {
    seg: first.seg,
    firstSeq: first.seq,
    lastSeq: first.seq + rows.length - 1,
    update: encodeSegment(rows),
    rows: rows.map(({ envelope: _envelope, seg: _seg, seq: _seq, ...rest }) => rest),
  };
}

export function segmentToRows({ seg, firstSeq, update, rows }: StoredSegment): StoredRow[] {
  const parsed = parseSegment(update);
  if (!parsed.ok) throw new StorageError('corrupt', { cause: new Error(`segment ${seg}: ${parsed.error}`) });
  const entries = new Map(parsed.value.map((entry) => [entry.slot * 2 ** 32 + entry.ctr, entry.envelope]));
  return rows.map((row, i) => {
    const key = row.slot * 2 ** 32 + row.ctr;
    if (!entries.has(key)) throw new StorageError('corrupt', { cause: new Error(`segment ${seg}: no entry for row ${firstSeq + i}`) });
    return { ...row, seq: firstSeq + i, seg, envelope: entries.get(key) };
  });
}
