/**
 * When a segment is whole on this device its rows move into its canonical form, and its digest is
 * compared with the server's: a server that gave us something else than it holds is noticed [SC28].
 * Both happen when things are quiet, one segment at a time.
 */
import type { DownFrameOf } from '#lib/protocol/frame.ts';
import type { Row } from '#lib/protocol/row.ts';
import { limits } from '#lib/protocol/limits.ts';
import { equalBytes } from '#lib/std/bytes.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import { compactRows, readRow, readRows, rowStores } from '#lib/storage/rows.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import { isSameRow } from './compare.ts';
import type { Context } from './context.ts';
import { newFetch, type Live } from './live.ts';
import type { PurgedEntry } from './types.ts';

/** Long enough that a burst of rows is over. */
export const quietMs = 3_000;

export interface Segments {
  readonly ended: (live: Live) => void;
  /** Moves every whole segment; answers how many. */
  readonly compact: (live: Live) => Promise<number>;
  readonly onSeg: (live: Live, frame: DownFrameOf<'seg'>) => Promise<void>;
  readonly onCheckRows: (live: Live, batch: readonly Row[]) => Promise<void>;
  readonly stop: () => void;
}

export function createSegments(context: Context, purge: (live: Live, entries: readonly PurgedEntry[], requestSeq: number) => Promise<void>): Segments {
  const { deps, send, isCurrent } = context;
  const { database, timers, digest, events } = deps;
  const due = new Set<Live>();
  let cancel: (() => void) | undefined;

  function ended(live: Live): void {
    due.add(live);
    cancel ??= timers.after(quietMs, () => {
      cancel = undefined;
      for (const each of due) context.task(each, async () => void (await compact(each)));
      due.clear();
    });
  }

  async function compact(live: Live): Promise<number> {
    const { conversation } = live;
    for (let count = 0, from = 0; ; ) {
      const whole = await database.read([...rowStores], async (tx) => {
        for (;;) {
          const found = await nextSegment(tx, live, from);
          if (!found) return undefined;
          from = found.rows.at(-1)!.seq + 1;
          if (found.isWhole) return found.rows;
        }
      });
      if (!whole) return count;
      // Rows that are still being worked on change their form less often when they stay single.
      if (whole.some((row) => row.check === 'pending') || !isCanonical(whole)) continue;
      const segment = await database.write([...rowStores], async (tx) => {
        const rows = await tx.getAll('rows', { range: ofConversation(conversation, whole[0]!.seq, whole.at(-1)!.seq) });
        return rows.length === whole.length && isCanonical(rows) ? compactRows(tx, conversation, rows) : undefined;
      });
      if (!segment) continue;
      count += 1;
      live.compactFrom = Math.max(live.compactFrom, segment.seg + 1);
      if (live.phase === 'live' && live.h !== undefined && !live.check) {
        live.check = { seg: segment.seg, firstSeq: segment.firstSeq, lastSeq: segment.lastSeq, digest: await digest(segment.update) };
        if (isCurrent(live)) send({ type: 'seg', h: live.h, seg: segment.seg, want: 'digest' });
      }
    }
  }

  /** Single rows of the first seg found from a seq on, and whether that is all of them. */
  async function nextSegment(tx: Parameters<typeof readRows>[0], live: Live, from: number): Promise<{ rows: StoredRow[]; isWhole: boolean } | undefined> {
    const { conversation } = live;
    const page = await tx.getAll('rows', { range: ofConversation(conversation, from), limit: limits.segmentEntriesMax + 1 });
    const first = page[0];
    if (!first) return undefined;
    const end = page.findIndex((row, i) => row.seg !== first.seg || row.seq !== first.seq + i);
    const rows = end < 0 ? page : page.slice(0, end);
    const before = first.seq === 1 ? undefined : await readRow(tx, conversation, first.seq - 1);
    const after = page[rows.length];
    const isStart = first.seq === 1 || (before !== undefined && before.seg < first.seg);
    const isEnd = after ? after.seq === rows.at(-1)!.seq + 1 : first.seg < live.openSeg || (await isFollowed(tx, live, rows.at(-1)!));
    return { rows, isWhole: isStart && isEnd };
  }

  async function isFollowed(tx: Parameters<typeof readRows>[0], live: Live, last: StoredRow): Promise<boolean> {
    const next = await readRow(tx, live.conversation, last.seq + 1);
    return next !== undefined && next.seg > last.seg;
  }

  async function onSeg(live: Live, frame: DownFrameOf<'seg'>): Promise<void> {
    const { check } = live;
    if (!check || check.seg !== frame.seg) return;
    if (frame.firstSeq === check.firstSeq && frame.lastSeq === check.lastSeq && equalBytes(frame.digest, check.digest)) {
      live.check = undefined;
      return;
    }
    if (frame.firstSeq !== check.firstSeq || frame.lastSeq !== check.lastSeq) {
      live.check = undefined;
      return events.segmentDiffers(live.conversation, frame.seg, [check.firstSeq, check.lastSeq]);
    }
    // One FETCH at a time: what a person waits for goes first, and the next whole segment asks again.
    if (live.fetch || live.h === undefined) {
      live.check = undefined;
      return;
    }
    live.fetch = newFetch('check', check.lastSeq - check.firstSeq + 1);
    live.fetch.from = check.firstSeq;
    send({ type: 'fetch', h: live.h, fromSeq: check.firstSeq, count: live.fetch.count, direction: 'forward' });
    context.expect(live);
  }

  async function onCheckRows(live: Live, batch: readonly Row[]): Promise<void> {
    const { check, fetch } = live;
    live.fetch = undefined;
    live.check = undefined;
    fetch?.done({ ok: true, value: { loaded: 0, low: 0 } });
    if (!check || batch.length === 0) return;
    const last = Math.min(batch.at(-1)!.seq, check.lastSeq);
    const ours = new Map((await database.read([...rowStores], (tx) => readRows(tx, live.conversation, batch[0]!.seq, last))).map((row) => [row.seq, row]));
    const differing = batch.filter((row) => row.seq <= last && !isSameRow(row, ours.get(row.seq)));
    const purged = batch.filter((row) => row.seq <= last && row.envelope === undefined && ours.get(row.seq)?.envelope !== undefined && isSameRow(row, ours.get(row.seq)));
    if (purged.length > 0) await purge(live, purged.map(({ seq, slot, ctr }) => ({ seq, slot, ctr })), 0);
    if (differing.length > 0) events.segmentDiffers(live.conversation, check.seg, differing.map((row) => row.seq));
  }

  return {
    ended, compact, onSeg, onCheckRows,
    stop() {
      cancel?.();
      cancel = undefined;
      due.clear();
    },
  };
}

/** Whether rows have a canonical form at all; a server that numbers clocks wrongly keeps us to single rows. */
function isCanonical(rows: readonly StoredRow[]): boolean {
  if (rows.length === 0 || rows.length > limits.segmentEntriesMax) return false;
  const last = new Map<number, StoredRow>();
  for (const row of [...rows].sort((a, b) => a.clock - b.clock)) {
    const before = last.get(row.slot);
    if (row.seg !== rows[0]!.seg || (before ? row.clock !== before.clock + 1 || row.ctr !== before.ctr + 1 : row.clock !== 0)) return false;
    last.set(row.slot, row);
  }
  return true;
}
