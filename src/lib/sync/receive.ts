/**
 * From the server to the database: rows in order, marks, purges.
 *
 * A row is taken only at cursor + 1; what is known is skipped, a hole is asked for again [SC10]. Rows,
 * the cursor, what the app derived from them and the outbox entries they settle are one transaction.
 */
import type { DownFrameOf } from '#lib/protocol/frame.ts';
import type { Row } from '#lib/protocol/row.ts';
import { limits } from '#lib/protocol/limits.ts';
import { assert } from '#lib/std/assert.ts';
import { purgeRows, putRows, rowStores } from '#lib/storage/rows.ts';
import type { StoreName } from '#lib/storage/schema.ts';
import type { Comparer } from './compare.ts';
import type { Context } from './context.ts';
import type { Live } from './live.ts';
import { matchOwnRows, ownRowStores } from './outbox.ts';
import type { Sender } from './send.ts';
import type { AlsoWrite, Mark, PurgedEntry } from './types.ts';

export interface Receiver {
  /** Everything that waits in `live.pending`. */
  readonly onRows: (live: Live) => Promise<void>;
  readonly onMarks: (live: Live, marks: readonly Mark[]) => Promise<void>;
  readonly onPurge: (live: Live, frame: DownFrameOf<'purge'>) => Promise<void>;
  readonly purge: (live: Live, entries: readonly PurgedEntry[], requestSeq: number) => Promise<void>;
  /** Sends our newest mark, if there is one the server may not have. */
  readonly pumpMark: (live: Live) => Promise<void>;
}

/** What `ingest` may write to when it names no stores. */
const ingestStores: readonly StoreName[] = ['chains', 'summaries', 'kv'];

export interface ReceiverDeps {
  readonly sender: Sender;
  readonly comparer: Comparer;
  /** Answers to a FETCH that compares a whole segment. */
  readonly onCheckRows: (live: Live, batch: readonly Row[]) => Promise<void>;
  /** Rows of another segment began. */
  readonly segmentEnded: (live: Live) => void;
}

export function createReceiver(context: Context, { sender, comparer, onCheckRows, segmentEnded }: ReceiverDeps): Receiver {
  const { deps, send, isCurrent, expect, subscribe } = context;
  const { database, events, ingest } = deps;

  async function onRows(live: Live): Promise<void> {
    while (live.pending.length > 0 && isCurrent(live)) {
      if (live.phase === 'comparing') {
        const batch = take(live);
        await comparer.onRows(live, batch);
      } else if (isFetched(live, live.pending[0]!)) {
        const batch = take(live);
        if (live.fetch!.kind === 'check') await onCheckRows(live, batch);
        else await saveOlder(live, batch);
      } else await saveLive(live);
    }
  }

  function take(live: Live): readonly Row[] {
    const batch = live.pending.shift()!;
    live.pendingCount -= batch.length;
    return batch;
  }

  function isFetched(live: Live, batch: readonly Row[]): boolean {
    const { fetch } = live;
    if (!fetch || fetch.from === undefined) return false;
    if (batch.length === 0) return true;
    return fetch.kind === 'check' ? batch[0]!.seq === fetch.from : batch.at(-1)!.seq === fetch.from;
  }

  /** Joins what lies in wait into one piece of work, so a long absence is verified in bulk. */
  async function saveLive(live: Live): Promise<void> {
    const rows: Row[] = [];
    let isHole = false;
    const start = live.cursor + 1;
    while (live.pending.length > 0 && !isFetched(live, live.pending[0]!) && rows.length < limits.fetchRowsMax) {
      for (const row of take(live)) {
        const next = start + rows.length;
        if (row.seq === next) rows.push(row);
        else if (row.seq > next) isHole = true;
      }
    }
    const last = rows.at(-1);
    if (last) {
      const isSaved = await save(live, rows);
      if (!isCurrent(live)) return;
      if (!isSaved) isHole = true;
    }
    // Rows that come while we ask are past the hole too; one question is enough.
    if (isHole && !live.isAsking) subscribe(live);
    else if (live.cursor < live.head) expect(live);
    context.changed(live);
    await sender.changeSlot(live);
    await sender.pump(live);
  }

  async function save(live: Live, rows: readonly Row[]): Promise<boolean> {
    const { conversation } = live;
    const { stored, said, write, after, stores } = await ingest(conversation, rows, 'live');
    assert(stored.length === rows.length && stored.every((row, i) => row.seq === rows[i]!.seq), 'ingest answers one row per row');
    const names = new Set<StoreName>(['conversations', 'lost', ...rowStores, ...ownRowStores, ...(write ? (stores ?? ingestStores) : [])]);
    const saved = await database.write([...names], async (tx) => {
      const before = await tx.get('conversations', conversation);
      // Whoever moved the cursor meanwhile (a cut) has the last word.
      if (!before || before.cursor + 1 !== rows[0]!.seq || before.lineage !== context.lineage()) return undefined;
      await putRows(tx, conversation, stored);
      const outcome = await matchOwnRows(tx, before, stored, said);
      if (before.hasLost) for (const { slot, ctr } of stored) await tx.delete('lost', [conversation, slot, ctr]);
      await tx.put('conversations', conversation, { ...outcome.stored, cursor: rows.at(-1)!.seq });
      await write?.(tx);
      return outcome;
    });
    if (!saved) return false;
    after?.();
    if (isCurrent(live)) {
      live.cursor = Math.max(live.cursor, rows.at(-1)!.seq);
      live.head = Math.max(live.head, live.cursor);
    }
    if (saved.delivered.length > 0) events.delivered(conversation, saved.delivered);
    events.moved(conversation, rows.at(-1)!.seq);
    if (isCurrent(live) && saved.forked) {
      events.forked(conversation, saved.forked);
      if (!live.isSlotRequested) sender.requestSlot(live, saved.stored.slot);
    }
    if (rows.at(-1)!.seg > live.compactFrom) segmentEnded(live);
    return true;
  }

  async function saveOlder(live: Live, batch: readonly Row[]): Promise<void> {
    const { conversation } = live;
    const fetch = live.fetch!;
    const finish = (loaded: number, low: number) => {
      live.fetch = undefined;
      fetch.done({ ok: true, value: { loaded, low } });
    };
    // An honest server has every row below one it gave us; an empty answer is not a reason to wait for ever.
    if (batch.length === 0) return finish(0, fetch.from! + 1);
    const { stored, write, after, stores } = await ingest(conversation, batch, 'older');
    assert(stored.length === batch.length && stored.every((row, i) => row.seq === batch[i]!.seq), 'ingest answers one row per row');
    const names = new Set<StoreName>(['conversations', 'lost', ...rowStores, ...(write ? (stores ?? ingestStores) : [])]);
    const isSaved = await database.write([...names], async (tx) => {
      const before = await tx.get('conversations', conversation);
      if (!before || before.low !== batch.at(-1)!.seq + 1 || before.lineage !== context.lineage()) return false;
      await putRows(tx, conversation, stored);
      if (before.hasLost) for (const { slot, ctr } of stored) await tx.delete('lost', [conversation, slot, ctr]);
      await tx.put('conversations', conversation, { ...before, low: batch[0]!.seq });
      await write?.(tx);
      return true;
    });
    if (isSaved) after?.();
    if (live.fetch !== fetch) return; // the connection ended meanwhile, and the caller knows
    if (isSaved) finish(batch.length, batch[0]!.seq);
    else finish(0, fetch.from! + 1);
    segmentEnded(live);
  }

  async function onMarks(live: Live, marks: readonly Mark[]): Promise<void> {
    const { conversation } = live;
    const outcome = await database.write(['conversations', 'marks'], async (tx) => {
      const stored = await tx.get('conversations', conversation);
      if (!stored) return undefined;
      const newer: Mark[] = [];
      for (const mark of marks) {
        const known = await tx.get('marks', [conversation, mark.slot]);
        if (known && known.markCtr >= mark.markCtr) continue;
        await tx.put('marks', [conversation, mark.slot], mark);
        newer.push(mark);
      }
      const own = marks.filter((mark) => mark.slot === stored.slot).reduce((most, mark) => Math.max(most, mark.markCtr), -1);
      // Our own mark comes back: the server has it. A greater one is ours from before we lost what we knew.
      const { markUnsent, ...rest } = stored;
      const isHeard = markUnsent === true && own === stored.markCtr;
      await tx.put('conversations', conversation, {
        ...rest, ...(markUnsent && !isHeard && { markUnsent }), markCtr: Math.max(stored.markCtr, own), marksSince: marks.reduce((most, mark) => Math.max(most, mark.rt), stored.marksSince),
      });
      return { newer, isBehind: own > stored.markCtr && markUnsent === true };
    });
    if (outcome && outcome.newer.length > 0) events.marks(conversation, outcome.newer);
    if (outcome?.isBehind && isCurrent(live)) await pumpMark(live);
  }

  async function pumpMark(live: Live): Promise<void> {
    const { conversation } = live;
    if (live.phase !== 'live' || live.h === undefined) return;
    const stored = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
    if (!isCurrent(live) || !stored || stored.slot === 0) return;
    const make = live.makeMark;
    if (make) {
      live.makeMark = undefined; // a newer one that comes meanwhile takes its own turn
      // The counter is durable before anything is sealed for it: two marks never share one.
      const markCtr = stored.markCtr + 1;
      await database.write(['conversations'], async (tx) => {
        const now = await tx.get('conversations', conversation);
        if (now) await tx.put('conversations', conversation, { ...now, markCtr: Math.max(now.markCtr, markCtr), markUnsent: true });
      });
      const sealed = await make(markCtr, stored.slot);
      if (sealed) {
        await database.write(['marks'], async (tx) => {
          const known = await tx.get('marks', [conversation, stored.slot]);
          if (!known || known.markCtr < markCtr) await tx.put('marks', [conversation, stored.slot], { slot: stored.slot, markCtr, rt: 0, sealed });
        });
        if (isCurrent(live) && live.h !== undefined) send({ type: 'mark', h: live.h, markCtr, sealed });
      }
      return;
    }
    if (!stored.markUnsent) return;
    const own = await database.read(['marks'], (tx) => tx.get('marks', [conversation, stored.slot]));
    if (own && isCurrent(live) && live.h !== undefined) send({ type: 'mark', h: live.h, markCtr: own.markCtr, sealed: own.sealed });
  }

  /** A purge whose request we do not have yet comes again with that row: the app takes it from there. */
  async function onPurge(live: Live, { entries, requestSeq }: DownFrameOf<'purge'>): Promise<void> {
    if (requestSeq > live.cursor) return;
    await purge(live, entries, requestSeq);
  }

  async function purge(live: Live, entries: readonly PurgedEntry[], requestSeq: number): Promise<void> {
    const { conversation } = live;
    if (!deps.allowPurge) return;
    const { allowed, write, after, stores }: { allowed: readonly { slot: number; ctr: number }[] } & AlsoWrite = await deps.allowPurge(conversation, entries, requestSeq);
    if (allowed.length === 0) return;
    const names = new Set<StoreName>([...rowStores, ...(write ? (stores ?? ingestStores) : [])]);
    const purged = await database.write([...names], async (tx) => {
      const done = await purgeRows(tx, conversation, allowed);
      await write?.(tx);
      return done;
    });
    after?.();
    if (purged.length > 0) events.purged(conversation, purged);
  }

  return { onRows, onMarks, onPurge, purge, pumpMark };
}
