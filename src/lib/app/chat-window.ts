/**
 * One open chat in the engine: a loaded stretch of its timeline that ends at the newest row, folded,
 * with what still waits laid over it, and the patches that keep every tab's copy equal.
 */
import { orderText } from '#lib/conversation/clock.ts';
import type { OpenedEntry } from '#lib/conversation/entry.ts';
import type { Event } from '#lib/conversation/event.ts';
import { isAdmin, roleAt, type GroupState } from '#lib/chains/group-state.ts';
import { entryKey, type AccountId, type ConversationId, type EntryId } from '#lib/protocol/ids.ts';
import type { Database } from '#lib/storage/database.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import { createTimeline } from '#lib/timeline/fold.ts';
import { entryText, parseEntryText, type Timeline, type TimelineChanges, type TimelineEntry } from '#lib/timeline/item.ts';
import type { ChatPatch, TimelineItem, Tick } from './engine-api.ts';

export interface WaitingRecord extends EntryId {
  readonly event: Event;
  readonly acknowledgedSeq: number | undefined;
  readonly refused: string | undefined;
}

export interface WindowDeps {
  readonly database: Database;
  readonly conversation: ConversationId;
  readonly me: AccountId;
  readonly group: () => GroupState;
  /** `damaged`: rows this device no longer holds as they were; shown as what failed its check. */
  readonly open: (rows: readonly StoredRow[]) => Promise<{ readonly entries: readonly OpenedEntry[]; readonly damaged: readonly StoredRow[] }>;
  readonly slotOwner: (slot: number) => Promise<AccountId | undefined>;
  readonly nameOf: (account: AccountId) => string;
  readonly tickOf: (seq: number) => Tick;
  /** The system lines of the group log, newest last. */
  readonly systemItems: () => readonly TimelineItem[];
}

export interface ChatWindow {
  readonly items: () => readonly TimelineItem[];
  readonly hasOlderHere: () => boolean;
  readonly loadedFrom: () => number;
  /** Loads rows already on this device; answers how many items that made. */
  readonly loadOlder: (count: number, low: number) => Promise<{ readonly patch: Changes; readonly rows: number }>;
  readonly take: (rows: readonly StoredRow[], entries: readonly OpenedEntry[]) => Promise<Changes>;
  readonly putWaiting: (record: WaitingRecord) => Changes;
  readonly removeWaiting: (id: EntryId) => Changes;
  /** Ticks, names or system lines may have changed: everything that now looks different. */
  readonly refresh: () => Changes;
  readonly entry: (id: string) => TimelineEntry | undefined;
  readonly timeline: Timeline;
}

export type Changes = Pick<ChatPatch, 'upsert' | 'remove'>;

/** Rows loaded when a chat is opened: several screens, and cheap whatever the history behind them. */
export const firstRows = 128;

export async function openWindow(deps: WindowDeps, bounds: { readonly low: number; readonly cursor: number; readonly from?: number }): Promise<ChatWindow> {
  const { database, conversation, me } = deps;
  const timeline = createTimeline({
    me,
    kind: deps.group().kind,
    isAdminAt: (account, height) => isAdmin(roleAt(deps.group(), account, height)),
  });
  const quarantined = new Map<number, TimelineItem>();
  /** What tabs were last told of each item. */
  let shown = new Map<string, TimelineItem>();
  let low = bounds.low;
  let loadedFrom = bounds.cursor + 1;
  let floorRt: number | undefined;

  await load(bounds.from ?? Math.max(bounds.low, bounds.cursor - firstRows + 1), bounds.cursor);
  shown = new Map(render().map((item) => [item.id, item]));

  async function load(from: number, to: number): Promise<number> {
    const rows = from > to ? [] : await database.read(rowStores, (tx) => readRows(tx, conversation, from, to));
    loadedFrom = Math.min(loadedFrom, from);
    if (rows[0]) floorRt = rows[0].seq === 1 ? undefined : rows[0].rt;
    const { entries, damaged } = await deps.open(rows);
    const now = new Map(damaged.map((row) => [row.seq, row]));
    await fold(rows.map((row) => now.get(row.seq) ?? row), entries);
    timeline.setFloor(floorRt);
    return rows.length;
  }

  async function fold(rows: readonly StoredRow[], entries: readonly OpenedEntry[]): Promise<void> {
    timeline.apply(entries);
    const purged = rows.filter((row) => row.envelope === undefined && row.check !== 'bad');
    if (purged.length > 0) {
      timeline.applyPurged(await Promise.all(purged.map(async (row) =>
        ({ slot: row.slot, ctr: row.ctr, seq: row.seq, rt: row.rt, account: await deps.slotOwner(row.slot) }))));
    }
    for (const row of rows) {
      if (row.check === 'bad') quarantined.set(entryKey(row), quarantine(row));
      else quarantined.delete(entryKey(row));
    }
  }

  function quarantine(row: StoredRow): TimelineItem {
    return {
      type: 'quarantined', id: entryText(row), at: row.rt, fault: row.fault ?? 'unknown',
      order: orderText({ eff: row.rt, l: 0, slot: row.slot, ctr: row.ctr }),
    };
  }

  function render(): TimelineItem[] {
    const items: TimelineItem[] = timeline.items().filter((entry) => !quarantined.has(entryKey(entry))).map(toItem);
    for (const item of quarantined.values()) items.push(item);
    for (const item of deps.systemItems()) if (floorRt === undefined || item.at >= floorRt) items.push(item);
    return items.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0));
  }

  function toItem(entry: TimelineEntry): TimelineItem {
    const target = entry.replyTo && timeline.item(entry.replyTo);
    return {
      type: 'message',
      id: entry.id,
      order: entry.order,
      at: entry.at,
      author: entry.author,
      mine: entry.mine,
      text: entry.text,
      deleted: entry.deleted,
      edited: entry.edited,
      replyTo: entry.replyTo && {
        id: entryText(entry.replyTo),
        author: target?.author,
        preview: target ? preview(target.text) : '',
        missing: !target || target.deleted,
      },
      reactions: entry.reactions.map((reaction) => ({
        emoji: reaction.emoji,
        count: reaction.accounts.length,
        mine: reaction.accounts.includes(me),
        names: reaction.accounts.slice(0, 12).map(deps.nameOf),
      })),
      tick: entry.mine ? tick(entry) : undefined,
      late: entry.late,
      receivedAt: entry.rt,
      seq: entry.seq,
      failure: entry.waiting?.refused,
    };
  }

  function tick(entry: TimelineEntry): Tick {
    if (entry.waiting?.refused !== undefined) return 'failed';
    const seq = entry.seq ?? entry.waiting?.acknowledgedSeq;
    return seq === undefined ? 'waiting' : deps.tickOf(seq);
  }

  /** Renders and compares; cheap for a window of some hundred items and never wrong. */
  function changes(): Changes {
    const next = new Map(render().map((item) => [item.id, item]));
    const upsert: TimelineItem[] = [];
    for (const [id, item] of next) if (!equalItems(shown.get(id), item)) upsert.push(item);
    const remove = [...shown.keys()].filter((id) => !next.has(id));
    shown = next;
    return { upsert, remove };
  }

  /** The items a change of the fold touched, without looking at the rest. */
  function touched(change: TimelineChanges): Changes {
    const upsert: TimelineItem[] = [];
    for (const id of change.changed) {
      const entry = timeline.item(id);
      if (!entry) continue;
      const item = toItem(entry);
      shown.set(item.id, item);
      upsert.push(item);
    }
    const remove = change.removed.map(entryText).filter((id) => shown.delete(id));
    return { upsert, remove };
  }

  return {
    items: () => [...shown.values()].sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)),
    hasOlderHere: () => loadedFrom > low,
    loadedFrom: () => loadedFrom,
    async loadOlder(count, lowNow) {
      low = lowNow;
      const to = loadedFrom - 1;
      const rows = await load(Math.max(low, loadedFrom - count), to);
      return { patch: changes(), rows };
    },
    async take(rows, entries) {
      const mine = rows.filter((row) => row.seq >= loadedFrom);
      const names = new Set(mine.map(entryKey));
      await fold(mine, entries.filter((entry) => names.has(entryKey(entry))));
      return changes();
    },
    putWaiting: (record) => touched(timeline.putWaiting({ ...record, logHeight: deps.group().height })),
    removeWaiting: (id) => touched(timeline.removeWaiting(id)),
    refresh: changes,
    entry(id) {
      const parsed = parseEntryText(id);
      return parsed && timeline.item(parsed);
    },
    timeline,
  };
}

/** One line of at most 120 letters. */
export function preview(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= 120 ? line : `${[...line].slice(0, 119).join('')}…`;
}

function equalItems(a: TimelineItem | undefined, b: TimelineItem): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
