import { expect, test } from 'vitest';
import type { TimelineItem } from '#lib/app/engine-api.ts';
import { buildRows, prependedCount, seenUpTo } from './rows.ts';

const place = { timeZone: 'UTC' };
const start = Date.parse('2026-11-24T10:00:00Z');
const minute = 60_000;

function message(n: number, at: number, author: string, more: Partial<Extract<TimelineItem, { type: 'message' }>> = {}): TimelineItem {
  return { id: `1.${n}`, order: String(n).padStart(6, '0'), at, type: 'message', author: author as never, mine: author === 'me', text: 'x', deleted: false, edited: false, replyTo: undefined, reactions: [], tick: undefined, late: false, receivedAt: undefined, seq: n, failure: undefined, ...more };
}

test('[UI20] messages of one author within five minutes are one run; a day or the unread line begins another', () => {
  const items = [message(1, start, 'a'), message(2, start + minute, 'a'), message(3, start + 7 * minute, 'a'), message(4, start + 8 * minute, 'b'), message(5, start + 24 * 60 * minute, 'b')];
  const rows = buildRows(items, items[1]!.order, place);
  expect(rows.map((row) => [row.first, row.last])).toEqual([[true, true], [true, true], [true, true], [true, true], [true, true]]);
  expect(buildRows(items, undefined, place).map((row) => [row.first, row.last])).toEqual([[true, false], [false, true], [true, true], [true, true], [true, true]]);
  expect(rows.map((row) => row.unread)).toEqual([false, true, false, false, false]);
  expect(rows.map((row) => row.day !== undefined)).toEqual([true, false, false, false, true]);
});

test('[UI20] one item is one row, so older history adds as many rows as items and nothing moves', () => {
  const newer = [message(5, start, 'a'), message(6, start + minute, 'b')];
  const all = [message(3, start - 2 * minute, 'a'), message(4, start - minute, 'a'), ...newer];
  expect(buildRows(all, undefined, place)).toHaveLength(all.length);
  expect(prependedCount(buildRows(newer, undefined, place), buildRows(all, undefined, place))).toBe(2);
  expect(prependedCount(buildRows(all, undefined, place), buildRows(newer, undefined, place))).toBe(0);
  expect(prependedCount([], buildRows(all, undefined, place))).toBe(0);
});

test('[UI21] what counts as read is the highest number among the rows that were shown', () => {
  const items = [message(1, start, 'a', { seq: 9 }), message(2, start, 'a', { seq: 4 }), message(3, start, 'me', { seq: undefined }), message(4, start, 'a', { seq: 12 })];
  const rows = buildRows(items, undefined, place);
  expect([seenUpTo(rows, 0), seenUpTo(rows, 2), seenUpTo(rows, 3), seenUpTo(rows, 99)]).toEqual([undefined, 9, 9, 12]);
});
