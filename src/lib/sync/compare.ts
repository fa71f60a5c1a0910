/**
 * When the server has lost something: it was restored from a backup, or says less than it said before
 * (infra.md §3.4). We look for the newest row both sides hold, keep what lies above it in `lost`, where
 * it stays shown, send our own entries again byte for byte where the slot's counters allow, and go on
 * from the row in common. Nobody is wedged and nothing a person saw disappears [SC26].
 */
import type { EntryId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { limits } from '#lib/protocol/limits.ts';
import { equalBytes } from '#lib/std/bytes.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import { cutRows, readRows, rowStores } from '#lib/storage/rows.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import type { Context } from './context.ts';
import type { Compare, Live } from './live.ts';
import { readConversation } from './outbox.ts';

/** `isSure`: the server refused an entry for it, so it is no older answer that came late. */
export type StartCompare = (live: Live, said: Pick<Compare, 'head' | 'slot' | 'nextCtr'>, isSure: boolean) => Promise<void>;

export interface Comparer {
  readonly start: StartCompare;
  /** One answer to our FETCH; other rows that come meanwhile are left for later. */
  readonly onRows: (live: Live, batch: readonly Row[]) => Promise<void>;
}

/** Most losses are of the last seconds; a long one is read in full frames. */
const firstLook = 32;

export function createComparer(context: Context): Comparer {
  const { deps, send, isCurrent, expect, subscribe } = context;
  const { database, events } = deps;

  async function start(live: Live, { head, slot, nextCtr }: Pick<Compare, 'head' | 'slot' | 'nextCtr'>, isSure: boolean): Promise<void> {
    const stored = await readConversation(database, live.conversation);
    if (!isCurrent(live) || !stored) return;
    live.phase = 'comparing';
    live.hasCompared = true;
    // From our own cursor, not from the head we were told: that may be an older answer.
    live.compare = { head, slot, nextCtr, isSure, top: stored.cursor, count: firstLook };
    context.changed(live);
    await look(live, stored.low);
  }

  async function look(live: Live, low: number): Promise<void> {
    const compare = live.compare!;
    if (compare.top === 0 || compare.top < low) return cut(live, compare.top === 0 ? 0 : undefined);
    if (live.h !== undefined) send({ type: 'fetch', h: live.h, fromSeq: compare.top, count: compare.count, direction: 'backward' });
    expect(live);
  }

  async function onRows(live: Live, batch: readonly Row[]): Promise<void> {
    const { compare, conversation } = live;
    if (!compare || (batch.length > 0 && batch.at(-1)!.seq > compare.top)) return;
    const { stored, ours } = await database.read(['conversations', ...rowStores], async (tx) => ({
      stored: await tx.get('conversations', conversation),
      ours: await readRows(tx, conversation, batch[0]?.seq ?? 1, compare.top),
    }));
    if (!isCurrent(live) || !stored) return;
    compare.head = Math.max(compare.head, batch.at(-1)?.seq ?? 0);
    const bySeq = new Map(ours.map((row) => [row.seq, row]));
    // An entry sent again may stand at its old place above others that changed theirs: its time tells, and the first that differs.
    const other = batch.findIndex((row) => !isSameRow(row, bySeq.get(row.seq)) || row.rt !== bySeq.get(row.seq)!.rt);
    const common = other < 0 ? batch.at(-1) : batch[other - 1];
    if (common) return cut(live, common.seq);
    if (batch.length === 0) return cut(live, 0);
    compare.top = batch[0]!.seq - 1;
    compare.count = limits.fetchRowsMax;
    await look(live, stored.low);
  }

  /** `common` undefined: nothing we hold is there, so we begin at the head like a new device. */
  async function cut(live: Live, common: number | undefined): Promise<void> {
    const { conversation } = live;
    const compare = live.compare!;
    const outcome = await database.write(['conversations', 'outbox', 'lost', ...rowStores], async (tx) => {
      const stored = await tx.get('conversations', conversation);
      if (!stored) return undefined;
      const lost = await cutRows(tx, conversation, common ?? 0);
      for (const row of lost) await tx.put('lost', [conversation, row.slot, row.ctr], row);
      const waiting = await tx.getAll('outbox', { range: ofConversation(conversation) });
      const again = new Map<number, StoredRow | undefined>(waiting.map((entry) => [entry.ctr, undefined]));
      for (const row of lost) if (row.slot === stored.slot && row.ctr >= compare.nextCtr && row.envelope && !again.has(row.ctr)) again.set(row.ctr, row);
      const isOurs = compare.slot === stored.slot;
      let isWhole = isOurs;
      for (let ctr = compare.nextCtr; isWhole && ctr < stored.nextCtr; ctr++) isWhole = again.has(ctr);
      const resent: EntryId[] = [];
      if (isWhole && lost.length > 0) {
        for (const [ctr, row] of again) {
          if (!row) continue;
          await tx.put('outbox', [conversation, ctr], {
            conversation, ctr, sealedEvent: new Uint8Array(0), envelope: row.envelope, chain: undefined, createdAt: row.rt, acknowledgedSeq: undefined, refused: undefined, resend: true,
          });
          resent.push({ slot: row.slot, ctr });
        }
        for (const entry of waiting) {
          if (entry.acknowledgedSeq !== undefined && entry.ctr >= compare.nextCtr) await tx.put('outbox', [conversation, entry.ctr], { ...entry, acknowledgedSeq: undefined });
        }
      }
      await tx.put('conversations', conversation, {
        ...stored, lineage: context.lineage(),
        cursor: common ?? compare.head, low: common === undefined ? compare.head + 1 : Math.min(stored.low, common + 1),
        ...((stored.hasLost || lost.length > 0) && { hasLost: true }),
      });
      const sent = new Set(resent.map(({ ctr }) => ctr));
      return {
        lost: lost.filter((row) => !(row.slot === stored.slot && sent.has(row.ctr))), resent, isOurs, cursor: common ?? compare.head,
        // Where nothing is missing, a low counter was an old answer, unless an entry was refused for it.
        isBroken: isOurs && !isWhole && (lost.length > 0 || compare.isSure),
      };
    });
    if (!outcome) return;
    if (outcome.lost.length > 0 || outcome.resent.length > 0) events.lost(conversation, { resent: outcome.resent, rows: outcome.lost });
    if (!isCurrent(live)) return;
    live.compare = undefined;
    live.cursor = outcome.cursor;
    live.head = compare.head;
    live.serverNext = undefined;
    live.needsNewSlot = outcome.isBroken;
    if (!outcome.isOurs && compare.slot !== 0) live.slotChange = { slot: compare.slot, nextCtr: compare.nextCtr, head: compare.head };
    subscribe(live);
  }

  return { start, onRows };
}

/** A purge takes the bytes away and leaves the place and the entry. */
export function isSameRow(theirs: Row, ours: Row | undefined): boolean {
  if (!ours || ours.slot !== theirs.slot || ours.ctr !== theirs.ctr) return false;
  return ours.envelope === undefined || theirs.envelope === undefined || equalBytes(ours.envelope, theirs.envelope);
}
