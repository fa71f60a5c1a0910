/**
 * What the chat list needs of a conversation, kept up row by row so that no history is loaded for it.
 *
 * Entries come in the order of the log. The newest few messages are kept, because an edit or a delete
 * changes what the list shows; an older one changes nothing there. State is plain and small: it is
 * kept, sealed, with the cursor.
 */
import { compareOrder, effectiveTime, orderText, type OrderKey } from '#lib/conversation/clock.ts';
import type { AccountId, EntryId } from '#lib/protocol/ids.ts';
import type { FoldEntry, TimelineOptions, WaitingEntry } from './item.ts';

/** Enough that withdrawing or editing the newest few still shows the right one. */
const newestMax = 8;
/** The list shows one line. */
const textLengthMax = 200;
/** Unread messages known one by one; those before are only counted. */
const unreadMax = 1_000;

interface SummaryItem extends OrderKey {
  readonly account: AccountId;
  readonly kind: 'message' | 'poll';
  readonly text: string;
  readonly seq: number;
  readonly rt: number;
  readonly edit: OrderKey | undefined;
  readonly deleted: boolean;
}

interface UnreadEntry extends EntryId {
  readonly seq: number;
  readonly account: AccountId;
}

/** Plain data: it survives JSON. */
export interface SummaryState {
  readonly newest: readonly SummaryItem[];
  readonly readSeq: number;
  readonly unread: readonly UnreadEntry[];
  readonly unreadBefore: number;
}

export const emptySummary: SummaryState = { newest: [], readSeq: 0, unread: [], unreadBefore: 0 };

export interface SummaryLast extends EntryId {
  readonly account: AccountId;
  readonly kind: 'message' | 'poll';
  readonly mine: boolean;
  readonly text: string;
  readonly deleted: boolean;
  readonly order: string;
  readonly at: number;
  /** Undefined while it waits. */
  readonly seq: number | undefined;
  readonly refused: string | undefined;
}

export interface Summary {
  /** Entries above all applied before, in the order of the log. True when the list shows something else now. */
  readonly apply: (entries: readonly FoldEntry[]) => boolean;
  readonly setReadSeq: (seq: number) => boolean;
  /** All own messages that wait here. */
  readonly setWaiting: (entries: readonly WaitingEntry[]) => boolean;
  readonly last: () => SummaryLast | undefined;
  readonly unread: () => number;
  readonly state: () => SummaryState;
}

export function createSummary({ me, isAdminAt, state = emptySummary }: Pick<TimelineOptions, 'me' | 'isAdminAt'> & { readonly state?: SummaryState }): Summary {
  let { newest, readSeq, unreadBefore } = state;
  let unread = [...state.unread];
  let waiting: readonly WaitingEntry[] = [];

  function take(entry: FoldEntry): void {
    const { event, account, seq, rt, slot, ctr } = entry;
    const order: OrderKey = { eff: effectiveTime({ t: event.t, rt, joinRt: entry.joinRt }), l: event.l, slot, ctr };
    if (event.kind === 'message' || event.kind === 'poll') {
      const text = (event.kind === 'poll' ? event.question : event.text).slice(0, textLengthMax);
      place({ ...order, account, kind: event.kind, text, seq, rt, edit: undefined, deleted: false });
      if (account !== me && seq > readSeq) count({ slot, ctr, seq, account });
    } else if (event.kind === 'edit') {
      change(event.target, (item) => (item.account === account && item.kind === 'message' && !item.deleted && (!item.edit || compareOrder(order, item.edit) > 0)
        ? { ...item, text: event.text.slice(0, textLengthMax), edit: order } : item));
    } else if (event.kind === 'delete') {
      const isAdmin = isAdminAt(account, entry.logHeight);
      change(event.target, (item) => (isAdmin || item.account === account ? { ...item, text: '', deleted: true, eff: item.rt, l: 0 } : item));
      unread = unread.filter((one) => !isSame(one, event.target) || !(isAdmin || one.account === account));
    }
  }

  function place(item: SummaryItem): void {
    if (newest.length === newestMax && compareOrder(item, newest[0]!) < 0) return;
    if (newest.some((other) => isSame(other, item))) return;
    newest = [...newest, item].sort(compareOrder).slice(-newestMax);
  }

  function change(id: EntryId, to: (item: SummaryItem) => SummaryItem): void {
    newest = newest.map((item) => (isSame(item, id) ? to(item) : item)).sort(compareOrder);
  }

  function count(one: UnreadEntry): void {
    if (one.seq <= (unread[unread.length - 1]?.seq ?? 0)) return;
    unread.push(one);
    if (unread.length <= unreadMax) return;
    unread.shift();
    unreadBefore += 1;
  }

  function last(): SummaryLast | undefined {
    const top = newest[newest.length - 1];
    let best: SummaryLast | undefined = top && {
      slot: top.slot, ctr: top.ctr, account: top.account, kind: top.kind, mine: top.account === me, text: top.text, deleted: top.deleted,
      order: orderText(top), at: top.eff, seq: top.seq, refused: undefined,
    };
    for (const { event, slot, ctr, acknowledgedSeq, refused } of waiting) {
      if ((event.kind !== 'message' && event.kind !== 'poll') || newest.some((item) => isSame(item, { slot, ctr }))) continue;
      const order = orderText({ eff: event.t, l: event.l, slot, ctr });
      if (best && order < best.order) continue;
      const text = (event.kind === 'poll' ? event.question : event.text).slice(0, textLengthMax);
      best = { slot, ctr, account: me, kind: event.kind, mine: true, text, deleted: false, order, at: event.t, seq: acknowledgedSeq, refused };
    }
    return best;
  }

  const unreadCount = () => unreadBefore + unread.length;
  const differs = (work: () => void): boolean => {
    const before = JSON.stringify([last(), unreadCount()]);
    work();
    return JSON.stringify([last(), unreadCount()]) !== before;
  };

  return {
    apply: (entries) => differs(() => entries.forEach(take)),
    setReadSeq: (seq) => differs(() => {
      if (seq <= readSeq) return;
      readSeq = seq;
      const left = unread.filter((one) => one.seq > seq);
      if (left.length < unread.length) unreadBefore = 0;
      unread = left;
    }),
    setWaiting: (entries) => differs(() => {
      waiting = entries;
    }),
    last,
    unread: unreadCount,
    state: () => ({ newest, readSeq, unread: [...unread], unreadBefore }),
  };
}

function isSame(a: EntryId, b: EntryId): boolean {
  return a.slot === b.slot && a.ctr === b.ctr;
}
