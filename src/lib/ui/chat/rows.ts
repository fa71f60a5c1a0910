/**
 * From items to rows: where a day begins, where the unread divider stands, and which messages stand
 * together as one run of bubbles.
 *
 * One item is one row, and day and divider are part of the row they stand above. So loading older
 * history adds exactly as many rows as items, and nothing on the screen moves.
 */
import type { TimelineItem } from '#lib/app/engine-api.ts';
import { dayKey, type Place } from '../kit/times.ts';

export type MessageItem = Extract<TimelineItem, { type: 'message' }>;

export interface Row {
  readonly key: string;
  readonly item: TimelineItem;
  /** A moment of the day this row begins; undefined within a day. */
  readonly day: number | undefined;
  readonly unread: boolean;
  /** First and last of a run: the first carries the name, the last the tail and the picture. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Messages of one author further apart than this are separate runs. */
const runGapMsMax = 5 * 60_000;

export function buildRows(items: readonly TimelineItem[], unreadFrom: string | undefined, place: Place = {}): readonly Row[] {
  const days = items.map((item) => dayKey(item.at, place));
  let divided = unreadFrom === undefined;
  const starts = items.map((item, i) => {
    const before = items[i - 1];
    const day = before === undefined || days[i] !== days[i - 1];
    const unread = !divided && item.order >= unreadFrom!;
    if (unread) divided = true;
    return { day, unread, run: day || unread || !before || !inOneRun(before, item) };
  });
  return items.map((item, i) => ({
    key: item.id,
    item,
    day: starts[i]!.day ? item.at : undefined,
    unread: starts[i]!.unread,
    first: starts[i]!.run,
    last: starts[i + 1]?.run ?? true,
  }));
}

function inOneRun(a: TimelineItem, b: TimelineItem): boolean {
  return a.type === 'message' && b.type === 'message' && a.author === b.author && a.mine === b.mine && b.at - a.at <= runGapMsMax;
}

/** How many of `rows` were put before what `old` began with; 0 when the beginning is no longer there. */
export function prependedCount(old: readonly Row[], rows: readonly Row[]): number {
  const head = old[0];
  if (!head || rows.length <= old.length) return 0;
  const at = rows.findIndex((row) => row.key === head.key);
  return at > 0 ? at : 0;
}

/** The highest sequence number among the first `end` rows: what has been seen when they were shown. */
export function seenUpTo(rows: readonly Row[], end: number): number | undefined {
  let seen: number | undefined;
  // Places and numbers nearly agree, so the newest few tell; late ones sit further up.
  for (let i = Math.min(end, rows.length) - 1; i >= 0 && i >= end - 200; i--) {
    const item = rows[i]!.item;
    if (item.type === 'message' && item.seq !== undefined && (seen === undefined || item.seq > seen)) seen = item.seq;
  }
  return seen;
}
