/**
 * The fold from entries to a timeline.
 *
 * Each entry has an item: what it said once it is here, and registers with what others said of it.
 * An event whose target is not loaded lands in a shell and shows when the target arrives. Own entries
 * that still wait lie over the registers and can be replaced or taken away; nothing of them stays.
 *
 * Items stand in an array by order key. A deleted item stands where its row arrived, because that is
 * all a replica knows that never saw it; so every replica shows the same.
 *
 * `fold.ts` is the entrance; the planted faults are for its tests.
 */
import { compareOrder, effectiveTime, orderText, type OrderKey } from '#lib/conversation/clock.ts';
import type { Event } from '#lib/conversation/event.ts';
import { entryKey, type AccountId, type EntryId } from '#lib/protocol/ids.ts';
import type { FoldEntry, Timeline, TimelineChanges, TimelineEntry, TimelineOptions, WaitingEntry } from './item.ts';
import { emptyRegisters, isDeleted, note, type Deed, type Item, type PlantedFaults, type Said } from './registers.ts';
import { showItem } from './show.ts';

/** From this many new items on, sorting once is cheaper than inserting each. */
const sortFrom = 64;

export function createFold({ me, kind, isAdminAt }: TimelineOptions, faults: PlantedFaults = {}): Timeline {
  const items = new Map<number, Item>();
  let ordered: Item[] = [];
  let floor: number | undefined;
  let arrivals = 0;
  let heightSeen = 0;
  const waitingById = new Map<number, WaitingEntry>();

  const compare = (a: Item, b: Item): number => {
    if (faults.arrivalOrder) return a.arrival - b.arrival;
    if (faults.tiesByArrival) return a.place!.eff - b.place!.eff || a.place!.l - b.place!.l || a.arrival - b.arrival;
    return compareOrder(a.place!, b.place!);
  };
  const itemOf = (id: EntryId): Item => {
    const key = entryKey(id);
    let item = items.get(key);
    if (!item) {
      item = {
        slot: id.slot, ctr: id.ctr, said: undefined, waitingSaid: undefined, purged: undefined, registers: undefined,
        waiting: undefined, repliers: undefined, place: undefined, shown: undefined, arrival: 0,
      };
      items.set(key, item);
    }
    return item;
  };
  const deedOf = (entry: EntryId & { readonly account: AccountId; readonly event: Event; readonly logHeight: number }, order: OrderKey): Deed => {
    const isAdmin = isAdminAt(entry.account, faults.deleteJudgedByNow ? heightSeen : entry.logHeight);
    return { account: entry.account, order, event: entry.event, isAdmin, mayPin: kind !== 'group' || isAdmin };
  };

  function take(entry: FoldEntry, touched: Set<Item>): void {
    const { event } = entry;
    const order: OrderKey = { eff: effectiveTime({ t: event.t, rt: entry.rt, joinRt: entry.joinRt }), l: event.l, slot: entry.slot, ctr: entry.ctr };
    heightSeen = Math.max(heightSeen, entry.logHeight);
    if (event.kind === 'message' || event.kind === 'poll') {
      const item = itemOf(entry);
      if (item.said) return;
      item.said = { account: entry.account, event, order, seq: entry.seq, rt: entry.rt, waiting: undefined };
      item.arrival = arrivals++;
      link(event, entry, touched);
      touched.add(item);
    } else if ('target' in event) {
      if (faults.dropOrphans && !items.get(entryKey(event.target))?.said) return;
      const item = itemOf(event.target);
      note(item.registers ??= emptyRegisters(), deedOf(entry, order), faults);
      touched.add(item);
    }
  }

  /** A reply looks different when what it answers does. */
  function link(event: Said['event'], id: EntryId, touched: Set<Item>): void {
    if (event.kind !== 'message' || !event.replyTo) return;
    const target = itemOf(event.replyTo);
    (target.repliers ??= new Set()).add(entryKey(id));
    touched.add(itemOf(id));
  }

  function layWaiting(entry: WaitingEntry, touched: Set<Item>): void {
    const { event } = entry;
    const key = entryKey(entry);
    const order: OrderKey = { eff: event.t, l: event.l, slot: entry.slot, ctr: entry.ctr };
    if (event.kind === 'message' || event.kind === 'poll') {
      const item = itemOf(entry);
      item.waitingSaid = { account: me, event, order, seq: entry.acknowledgedSeq, rt: undefined, waiting: entry };
      link(event, entry, touched);
      touched.add(item);
    } else if ('target' in event) {
      const item = itemOf(event.target);
      (item.waiting ??= new Map()).set(key, deedOf({ ...entry, account: me }, order));
      touched.add(item);
    } else return;
    waitingById.set(key, entry);
  }

  function liftWaiting(id: EntryId, touched: Set<Item>): void {
    const key = entryKey(id);
    const entry = waitingById.get(key);
    if (!entry) return;
    waitingById.delete(key);
    const item = itemOf('target' in entry.event ? entry.event.target : entry);
    item.waiting?.delete(key);
    if (!('target' in entry.event)) item.waitingSaid = undefined;
    touched.add(item);
  }

  /** Where an item stands, or undefined while there is nothing to show. */
  function placeOf(item: Item): OrderKey | undefined {
    const said = item.said ?? item.waitingSaid;
    const row = item.said ?? item.purged;
    const deleted = isDeleted(item.registers ?? none, said?.account ?? item.purged?.account) || waitingDelete(item);
    if (deleted && row?.rt !== undefined) return (said ?? item.purged)?.account === undefined ? undefined : { eff: row.rt, l: 0, slot: item.slot, ctr: item.ctr };
    return said?.order;
  }

  function waitingDelete(item: Item): boolean {
    const author = item.said?.account ?? item.waitingSaid?.account;
    for (const deed of item.waiting?.values() ?? []) if (deed.event.kind === 'delete' && (deed.isAdmin || deed.account === author)) return true;
    return false;
  }

  function settle(touched: Set<Item>): TimelineChanges {
    const changed = new Set<Item>();
    const removed: EntryId[] = [];
    const added: Item[] = [];
    let cleared = false;
    for (const item of touched) {
      item.shown = undefined;
      const place = placeOf(item);
      const before = item.place;
      if (!before && !place) continue;
      if (before && place && compareOrder(before, place) === 0) {
        changed.add(item);
        continue;
      }
      const wasShown = before !== undefined && isAboveFloor(before);
      if (before) {
        if (touched.size > sortFrom) cleared = true;
        else ordered.splice(indexOf(item), 1);
      }
      item.place = place;
      if (place) {
        added.push(item);
        changed.add(item);
      }
      if (wasShown && !(place && isAboveFloor(place))) removed.push({ slot: item.slot, ctr: item.ctr });
    }
    if (cleared || added.length > sortFrom) {
      const moved = new Set(added);
      ordered = ordered.filter((item) => item.place && !moved.has(item));
      ordered = merge(ordered, added.sort(compare), compare);
    } else for (const item of added) ordered.splice(indexOf(item), 0, item);
    for (const item of touched) {
      for (const key of item.repliers ?? []) {
        const replier = items.get(key);
        if (!replier?.place) continue;
        replier.shown = undefined;
        changed.add(replier);
      }
    }
    return { changed: [...changed].filter((item) => isAboveFloor(item.place!)).map(({ slot, ctr }) => ({ slot, ctr })), removed };
  }

  function isAboveFloor(place: OrderKey): boolean {
    return floor === undefined || place.eff >= floor;
  }

  /** The first index whose item does not come before this one. */
  function indexOf(item: Item): number {
    let low = 0;
    let high = ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(ordered[middle]!, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function firstFrom(isBefore: (item: Item) => boolean): number {
    let low = 0;
    let high = ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(ordered[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const textOf = (item: Item) => orderText(item.place!);
  const show = (item: Item): TimelineEntry => item.shown ??= showItem(item, me);
  const change = (work: (touched: Set<Item>) => void): TimelineChanges => {
    const touched = new Set<Item>();
    work(touched);
    return settle(touched);
  };

  return {
    apply: (entries) => change((touched) => {
      for (const entry of entries) {
        if (waitingById.size > 0) liftWaiting(entry, touched);
        take(entry, touched);
      }
    }),
    applyPurged: (rows) => change((touched) => {
      for (const row of rows) {
        const item = itemOf(row);
        if (item.purged && item.purged.account !== undefined) continue;
        item.purged = row;
        touched.add(item);
      }
    }),
    putWaiting: (entry) => change((touched) => {
      liftWaiting(entry, touched);
      if (!items.get(entryKey(entry))?.said) layWaiting(entry, touched);
    }),
    removeWaiting: (id) => change((touched) => liftWaiting(id, touched)),
    setFloor(ms) {
      const from = Math.min(floor ?? -Infinity, ms ?? -Infinity);
      const to = Math.max(floor ?? -Infinity, ms ?? -Infinity);
      const between = ordered.slice(firstFrom((item) => item.place!.eff < from), firstFrom((item) => item.place!.eff < to)).map(({ slot, ctr }) => ({ slot, ctr }));
      const rises = (ms ?? -Infinity) > (floor ?? -Infinity);
      floor = ms;
      return rises ? { changed: [], removed: between } : { changed: between, removed: [] };
    },
    items({ after, before, last } = {}) {
      let from = floor === undefined ? 0 : firstFrom((item) => item.place!.eff < floor!);
      let to = ordered.length;
      if (after !== undefined) from = Math.max(from, firstFrom((item) => textOf(item) <= after));
      if (before !== undefined) to = firstFrom((item) => textOf(item) < before);
      if (last !== undefined) from = Math.max(from, to - last);
      return ordered.slice(from, to).map(show);
    },
    item(id) {
      const item = items.get(entryKey(id));
      return item?.place && show(item);
    },
    size: () => ordered.length - (floor === undefined ? 0 : firstFrom((item) => item.place!.eff < floor!)),
  };
}

const none = emptyRegisters();

function merge(a: readonly Item[], b: readonly Item[], compare: (a: Item, b: Item) => number): Item[] {
  const out: Item[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) out.push(compare(a[i]!, b[j]!) <= 0 ? a[i++]! : b[j++]!);
  while (i < a.length) out.push(a[i++]!);
  while (j < b.length) out.push(b[j++]!);
  return out;
}
