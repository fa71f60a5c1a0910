import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chatter, heightMax, people } from './fixtures/chatter.ts';
import { createTimeline } from './fold.ts';
import { entryText, type FoldEntry } from './item.ts';
import { createSummary } from './summary.ts';

const me = people[0]!;

test('[TL11] the line of the chat list is the newest item of the timeline, across a restart', () => {
  fc.assert(fc.property(chatter, fc.nat(16), (talk, cut) => {
    const { isAdminAt } = talk;
    // As a server numbers them: what is edited or deleted was there before, and few messages are about.
    const seen = new Set<string>();
    const entries = talk.entries.filter(({ event, slot, ctr }) => {
      if ('target' in event && !seen.has(entryText(event.target))) return false;
      seen.add(entryText({ slot, ctr }));
      return true;
    });
    fc.pre(entries.filter(({ event }) => event.kind === 'message' || event.kind === 'poll').length <= 8);
    const timeline = createTimeline({ me, kind: 'group', isAdminAt });
    timeline.apply(entries);
    const first = createSummary({ me, isAdminAt });
    first.apply(entries.slice(0, cut));
    const summary = createSummary({ me, isAdminAt, state: JSON.parse(JSON.stringify(first.state())) as ReturnType<typeof first.state> });
    summary.apply(entries.slice(cut));
    const newest = timeline.items().at(-1);
    const last = summary.last();
    expect(last && [entryText(last), last.text, last.deleted, last.order, last.seq]).toEqual(newest && [newest.id, newest.text, newest.deleted, newest.order, newest.seq]);
  }), { numRuns: 2_000 });
});

test('[TL12] unread counts messages of others above what was read, less those deleted; late ones count as new', () => {
  fc.assert(fc.property(chatter, fc.array(fc.nat(18), { maxLength: 3 }), ({ entries, isAdminAt }, reads) => {
    const summary = createSummary({ me, isAdminAt });
    let read = 0;
    const applied: FoldEntry[] = [];
    entries.forEach((entry, i) => {
      summary.apply([entry]);
      applied.push(entry);
      if (reads[i] !== undefined) {
        summary.setReadSeq(reads[i]);
        read = Math.max(read, reads[i]);
      }
      const deleted = (item: FoldEntry) => applied.some(({ event, account, logHeight, seq }) => seq > item.seq && event.kind === 'delete' && entryText(event.target) === entryText(item)
        && (account === item.account || isAdminAt(account, logHeight)));
      const unread = applied.filter((item) => (item.event.kind === 'message' || item.event.kind === 'poll') && item.account !== me && item.seq > read && !deleted(item));
      expect(summary.unread()).toBe(unread.length);
    });
  }), { numRuns: 2_000 });
});

test('[TL12] a very long unread run is counted on, and read down to nothing', () => {
  const summary = createSummary({ me, isAdminAt: () => false });
  const entries = Array.from({ length: 1_500 }, (_, i): FoldEntry => ({
    slot: 3, ctr: i, account: people[1]!, seq: i + 1, rt: i + 1, logHeight: heightMax, joinRt: 0, event: { kind: 'message', t: i + 1, l: 0, text: `${i}`, replyTo: undefined },
  }));
  summary.apply(entries);
  expect(summary.unread()).toBe(1_500);
  summary.setReadSeq(1_400);
  expect(summary.unread()).toBe(100);
  expect(summary.setReadSeq(1_500)).toBe(true);
  expect(summary.unread()).toBe(0);
  expect(summary.setReadSeq(1_500)).toBe(false);
});

test('[TL11] an own message that waits is the line of the list until its row takes its place', () => {
  const summary = createSummary({ me, isAdminAt: () => false });
  const event = { kind: 'message' as const, t: 50, l: 0, text: 'on its way', replyTo: undefined };
  expect(summary.setWaiting([{ slot: 1, ctr: 0, event, logHeight: 1, refused: 'RATE' }])).toBe(true);
  expect(summary.last()).toMatchObject({ text: 'on its way', mine: true, seq: undefined, refused: 'RATE' });
  summary.apply([{ slot: 1, ctr: 0, account: me, seq: 1, rt: 60, logHeight: 1, joinRt: 0, event }]);
  expect(summary.last()).toMatchObject({ text: 'on its way', seq: 1, refused: undefined });
  expect(summary.setWaiting([])).toBe(false);
});
