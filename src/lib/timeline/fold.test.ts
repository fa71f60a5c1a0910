import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aheadMsMax, lateAfterMs } from '#lib/conversation/clock.ts';
import type { Event } from '#lib/conversation/event.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { chatter, delivery, heightMax, people, type Chatter } from './fixtures/chatter.ts';
import { createFold } from './fold-core.ts';
import { createTimeline } from './fold.ts';
import { entryText, parseEntryText, type FoldEntry, type Timeline, type TimelineEntry, type WaitingEntry } from './item.ts';
import type { PlantedFaults } from './registers.ts';

const [alice, bob, carol] = people as [AccountId, AccountId, AccountId];

/** The table of documents.md §7, said once more and as plainly as possible: everything at once, no registers. */
function expected({ entries, isAdminAt }: Chatter, kind: 'direct' | 'group'): unknown[] {
  const placed = entries.map((entry) => ({ ...entry, eff: Math.max(Math.min(entry.event.t, entry.rt + aheadMsMax), entry.joinRt) }));
  const key = (e: (typeof placed)[number]) => [e.eff, e.event.l, e.slot, e.ctr];
  const byKey = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]!).find((difference) => difference !== 0) ?? 0;
  const inOrder = [...placed].sort((a, b) => byKey(key(a), key(b)));
  const items = placed.filter(({ event }) => event.kind === 'message' || event.kind === 'poll').map((item) => {
    const about = inOrder.filter(({ event }) => 'target' in event && event.target.slot === item.slot && event.target.ctr === item.ctr);
    const deleted = about.some(({ event, account, logHeight }) => event.kind === 'delete' && (account === item.account || isAdminAt(account, logHeight)));
    const at = deleted ? [item.rt, 0, item.slot, item.ctr] : key(item);
    if (deleted) return { at, id: `${item.slot}.${item.ctr}`, author: item.account, deleted };
    const edit = item.event.kind === 'message' ? about.filter(({ event, account }) => event.kind === 'edit' && account === item.account).at(-1) : undefined;
    const pin = about.filter(({ event, account, logHeight }) => (event.kind === 'pin' || event.kind === 'unpin') && (kind === 'direct' || isAdminAt(account, logHeight))).at(-1);
    const held = new Map<string, (typeof about)[number]>();
    for (const one of about) {
      const { event } = one;
      if (event.kind === 'react') held.set(`${event.emoji} ${one.account}`, one);
      if (event.kind === 'unreact') held.delete(`${event.emoji} ${one.account}`);
    }
    const reactions = new Map<string, AccountId[]>();
    for (const one of [...held.values()].sort((a, b) => byKey(key(a), key(b)))) if ('emoji' in one.event) reactions.set(one.event.emoji, [...reactions.get(one.event.emoji) ?? [], one.account]);
    const close = about.find(({ event, account }) => event.kind === 'close-poll' && account === item.account);
    const votes = new Map<AccountId, (typeof about)[number]>();
    for (const one of about) if (one.event.kind === 'vote' && (!close || byKey(key(one), key(close)) < 0)) votes.set(one.account, one);
    const counted = [...votes.values()].sort((a, b) => byKey(key(a), key(b)));
    return {
      at, id: `${item.slot}.${item.ctr}`, author: item.account, deleted,
      text: edit?.event.kind === 'edit' ? edit.event.text : item.event.kind === 'poll' ? item.event.question : item.event.kind === 'message' ? item.event.text : '',
      edited: edit !== undefined, pinned: pin?.event.kind === 'pin', late: item.rt - item.event.t > lateAfterMs,
      reactions: [...reactions].map(([emoji, accounts]) => ({ emoji, accounts })),
      poll: item.event.kind === 'poll' ? { votes: [0, 1, 2].map((choice) => counted.filter(({ event }) => event.kind === 'vote' && event.choices.includes(choice)).map(({ account }) => account)), closed: close !== undefined } : undefined,
    };
  });
  return items.sort((a, b) => byKey(a.at, b.at)).map(({ at, ...item }) => ({ ...item, at: at[0] }));
}

function told(entry: TimelineEntry): unknown {
  const { id, author, deleted, at, text, edited, pinned, late, reactions, poll } = entry;
  return deleted ? { id, author, deleted, at } : { id, author, deleted, at, text, edited, pinned, late, reactions, poll: poll && { votes: poll.votes, closed: poll.closed } };
}

function holds(faults: PlantedFaults): fc.IPropertyWithHooks<[Chatter, <T>(items: readonly T[]) => readonly (readonly T[])[], boolean, number]> {
  return fc.property(chatter, delivery, fc.boolean(), fc.nat(80), (talk, deliver, direct, many) => {
    const kind = direct ? 'direct' : 'group';
    const timeline = createFold({ me: alice, kind, isAdminAt: talk.isAdminAt }, faults);
    for (const batch of deliver(talk.entries)) timeline.apply(batch);
    expect(timeline.items().map(told)).toEqual(expected(talk, kind));
    // A long batch takes the way that sorts; it ends at the same.
    const bulk = createFold({ me: alice, kind, isAdminAt: talk.isAdminAt }, faults);
    bulk.apply(Array.from({ length: many }, () => talk.entries).flat());
    for (const batch of deliver(talk.entries)) bulk.apply(batch);
    expect(bulk.items()).toEqual(timeline.items());
  });
}

test('[TL1] any order, any duplication, step by step or at once: one timeline, and it is the right one', () => {
  fc.assert(holds({}), { numRuns: 5_000 });
});

test.each<[keyof PlantedFaults]>([['lastAppliedEdit'], ['dropOrphans'], ['lastVoteOnly'], ['arrivalOrder'], ['tiesByArrival'], ['deleteJudgedByNow']])(
  '[TL2] the property finds the planted fault %s', (fault) => {
    const result = fc.check(holds({ [fault]: true }), { numRuns: 20_000, endOnFailure: true });
    expect(result.failed).toBe(true);
  });

test('[TL3] a device that never saw a deleted message shows what all others show', () => {
  let compared = 0;
  fc.assert(fc.property(chatter, delivery, delivery, (talk, deliverA, deliverB) => {
    const options = { me: alice, kind: 'group' as const, isAdminAt: talk.isAdminAt };
    const saw = createTimeline(options);
    for (const batch of deliverA(talk.entries)) saw.apply(batch);
    const gone = new Set(saw.items().filter(({ deleted }) => deleted).map(({ id }) => id));
    compared += gone.size;
    const rows = talk.entries.filter((entry) => gone.has(entryText(entry))).map(({ slot, ctr, seq, rt, account }) => ({ slot, ctr, seq, rt, account }));
    const late = createTimeline(options);
    for (const batch of deliverB(talk.entries.filter((entry) => !gone.has(entryText(entry))))) late.apply(batch);
    late.applyPurged(rows);
    expect(late.items()).toEqual(saw.items());
    saw.applyPurged(rows);
    expect(late.items()).toEqual(saw.items());
  }), { numRuns: 2_000 });
  expect(compared).toBeGreaterThan(100);
});

test('[TL4] changes name exactly what looks different, so a patched copy equals the view', () => {
  fc.assert(fc.property(chatter, delivery, fc.array(fc.record({ index: fc.nat(30), floor: fc.option(fc.integer({ min: 999_990, max: 1_000_010 }), { nil: undefined }) }), { maxLength: 4 }), (talk, deliver, floors) => {
    const timeline = createTimeline({ me: alice, kind: 'group', isAdminAt: talk.isAdminAt });
    const copy = new Map<string, TimelineEntry>();
    const patch = ({ changed, removed }: ReturnType<Timeline['apply']>) => {
      for (const id of removed) expect(copy.delete(entryText(id))).toBe(true);
      for (const id of changed) copy.set(entryText(id), timeline.item(id)!);
    };
    deliver(talk.entries).forEach((batch, i) => {
      patch(timeline.apply(batch));
      for (const { index, floor } of floors) if (index === i) patch(timeline.setFloor(floor));
      expect([...copy.values()].sort((a, b) => (a.order < b.order ? -1 : 1))).toEqual(timeline.items());
      expect(timeline.size()).toBe(copy.size);
    });
  }), { numRuns: 3_000 });
});

const base = { account: alice, logHeight: 1, joinRt: 0 };
const isAdminAt = (account: AccountId, height: number) => account === alice || (account === bob && height < 3);
function said(slot: number, ctr: number, event: Event, more: Partial<FoldEntry> = {}): FoldEntry {
  return { ...base, slot, ctr, seq: slot * 100 + ctr, rt: event.t, event, ...more };
}
const message = (t: number, text: string, replyTo?: { slot: number; ctr: number }): Event => ({ kind: 'message', t, l: 0, text, replyTo });

test('[TL5] only the author edits, only the author or an admin of that height deletes, admins pin, in a direct chat both', () => {
  const group = createTimeline({ me: alice, kind: 'group', isAdminAt });
  const target = { slot: 3, ctr: 0 };
  group.apply([said(3, 0, message(10, 'carol'), { account: carol })]);
  group.apply([said(2, 0, { kind: 'edit', t: 11, l: 0, target, text: 'not yours' }, { account: bob })]);
  expect(group.items()).toMatchObject([{ text: 'carol', edited: false }]);
  group.apply([said(3, 1, { kind: 'edit', t: 12, l: 0, target, text: 'mine' }, { account: carol }), said(3, 2, { kind: 'pin', t: 12, l: 0, target }, { account: carol })]);
  expect(group.items()).toMatchObject([{ text: 'mine', edited: true, pinned: false }]);
  group.apply([said(2, 1, { kind: 'delete', t: 13, l: 0, target, targetChain: new Uint8Array(32) }, { account: bob, logHeight: heightMax })]);
  expect(group.items()).toMatchObject([{ deleted: false }]);
  group.apply([said(2, 2, { kind: 'delete', t: 14, l: 0, target, targetChain: new Uint8Array(32) }, { account: bob, logHeight: 2 })]);
  expect(group.items()).toMatchObject([{ deleted: true, text: '', reactions: [], author: carol }]);

  const direct = createTimeline({ me: alice, kind: 'direct', isAdminAt: () => false });
  direct.apply([said(1, 0, message(10, 'hi')), said(2, 0, { kind: 'pin', t: 11, l: 0, target: { slot: 1, ctr: 0 } }, { account: bob })]);
  expect(direct.items()).toMatchObject([{ pinned: true }]);
});

test('[TL6] what was written long before it arrived takes its place, flagged; nobody writes into the future or before they joined', () => {
  const timeline = createTimeline({ me: alice, kind: 'group', isAdminAt });
  timeline.apply([
    said(1, 0, message(1_000_000, 'first')), said(1, 1, message(2_000_000, 'second')),
    said(2, 0, message(1_500_000, 'from the tunnel'), { account: bob, rt: 3_000_000 }),
    said(2, 1, message(9_999_999_999_999, 'from the future'), { account: bob, rt: 3_000_001 }),
    said(3, 0, message(5, 'before my time'), { account: carol, rt: 3_000_002, joinRt: 1_800_000 }),
    said(1, 2, message(3_060_002, 'after'), { rt: 3_070_000 }),
  ]);
  expect(timeline.items().map(({ text, late, at }) => [text, late, at])).toEqual([
    ['first', false, 1_000_000], ['from the tunnel', true, 1_500_000], ['before my time', true, 1_800_000], ['second', false, 2_000_000],
    ['from the future', false, 3_060_001], ['after', false, 3_060_002],
  ]);
});

test('[TL7] waiting entries lie over the timeline, can be replaced and taken back, and leave no trace', () => {
  fc.assert(fc.property(chatter, delivery, fc.array(fc.nat(15), { minLength: 1, maxLength: 5 }), (talk, deliver, picks) => {
    const options = { me: people[0]!, kind: 'group' as const, isAdminAt: talk.isAdminAt };
    const plain = createTimeline(options);
    const laid = createTimeline(options);
    const waiting: WaitingEntry[] = picks.map((pick, i) => ({ slot: 1, ctr: 100 + i, event: talk.entries[pick % talk.entries.length]!.event, logHeight: heightMax }));
    deliver(talk.entries).forEach((batch, i) => {
      plain.apply(batch);
      if (waiting[i]) laid.putWaiting(waiting[i]);
      laid.apply(batch);
      if (waiting[i] && i % 2 === 0) laid.putWaiting({ ...waiting[i], event: { kind: 'empty', t: 1, l: 0 } });
    });
    for (const entry of waiting) laid.removeWaiting(entry);
    expect(laid.items()).toEqual(plain.items());
  }), { numRuns: 2_000 });

  const timeline = createTimeline({ me: alice, kind: 'group', isAdminAt });
  const target = { slot: 1, ctr: 0 };
  expect(timeline.putWaiting({ slot: 1, ctr: 0, event: message(10, 'draft'), logHeight: 1 })).toEqual({ changed: [target], removed: [] });
  timeline.putWaiting({ slot: 1, ctr: 0, event: message(10, 'better'), logHeight: 1, acknowledgedSeq: 7 });
  timeline.putWaiting({ slot: 1, ctr: 1, event: { kind: 'react', t: 11, l: 0, target, emoji: '👍' }, logHeight: 1 });
  expect(timeline.items()).toMatchObject([{ text: 'better', mine: true, rt: undefined, seq: 7, late: false, waiting: { acknowledgedSeq: 7 }, reactions: [{ emoji: '👍', accounts: [alice] }] }]);
  const orderWaiting = timeline.items()[0]!.order;
  timeline.apply([said(1, 0, message(10, 'better'), { seq: 7 })]);
  expect(timeline.items()).toMatchObject([{ text: 'better', seq: 7, waiting: undefined, order: orderWaiting, reactions: [{ emoji: '👍' }] }]);
  expect(timeline.removeWaiting({ slot: 1, ctr: 1 })).toEqual({ changed: [target], removed: [] });
  expect(timeline.items()).toMatchObject([{ reactions: [] }]);
  timeline.putWaiting({ slot: 1, ctr: 2, event: message(12, 'withdrawn'), logHeight: 1 });
  expect(timeline.putWaiting({ slot: 1, ctr: 2, event: { kind: 'empty', t: 12, l: 0 }, logHeight: 1 })).toEqual({ changed: [], removed: [{ slot: 1, ctr: 2 }] });
});

test('[TL8] an event before its target waits for it; a reply looks again when what it answers changes', () => {
  const timeline = createTimeline({ me: alice, kind: 'group', isAdminAt });
  const target = { slot: 2, ctr: 0 };
  expect(timeline.apply([said(1, 0, { kind: 'react', t: 20, l: 0, target, emoji: '🐦' })])).toEqual({ changed: [], removed: [] });
  timeline.apply([said(1, 1, message(21, 'to that', target))]);
  const arrived = timeline.apply([said(2, 0, message(10, 'late root'), { account: bob })]);
  expect(arrived.changed).toEqual(expect.arrayContaining([target, { slot: 1, ctr: 1 }]));
  expect(timeline.items()).toMatchObject([{ text: 'late root', reactions: [{ emoji: '🐦', accounts: [alice] }] }, { text: 'to that', replyTo: target }]);
  const edited = timeline.apply([said(2, 1, { kind: 'edit', t: 30, l: 0, target, text: 'root' }, { account: bob })]);
  expect(edited.changed).toEqual([target, { slot: 1, ctr: 1 }]);
});

test('[TL9] ranges of the view are cut by order, and items below the floor are hidden until it sinks', () => {
  const timeline = createTimeline({ me: alice, kind: 'group', isAdminAt });
  timeline.apply(Array.from({ length: 10 }, (_, i) => said(1, i, message(100 + i, `${i}`))));
  const all = timeline.items();
  const texts = (range: Parameters<Timeline['items']>[0]) => timeline.items(range).map(({ text }) => text);
  expect(texts({ last: 3 })).toEqual(['7', '8', '9']);
  expect(texts({ before: all[4]!.order, last: 2 })).toEqual(['2', '3']);
  expect(texts({ after: all[6]!.order })).toEqual(['7', '8', '9']);
  expect(texts({ after: all[2]!.order, before: all[5]!.order })).toEqual(['3', '4']);
  expect(timeline.setFloor(107).removed).toHaveLength(7);
  expect(texts(undefined)).toEqual(['7', '8', '9']);
  expect(timeline.apply([said(2, 0, message(50, 'late'), { rt: 900_000 })]).changed).toEqual([]);
  expect(timeline.setFloor(104).changed).toEqual([4, 5, 6].map((ctr) => ({ slot: 1, ctr })));
  expect(timeline.setFloor(undefined).changed).toHaveLength(5);
  expect(timeline.items().map(({ order }) => order)).toEqual(timeline.items().map(({ order }) => order).sort());
});

test('[TL9] the id of an item is its slot and ctr in text, and only that text', () => {
  expect(entryText({ slot: 3, ctr: 70 })).toBe('3.70');
  expect(parseEntryText('3.70')).toEqual({ slot: 3, ctr: 70 });
  for (const text of ['', '3', '03.70', '3.070', '-1.2', '2097152.0', '1.4294967296', 's3.1', '1.2.3']) expect(parseEntryText(text)).toBeUndefined();
});
