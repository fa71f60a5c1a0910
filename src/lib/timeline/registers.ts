/**
 * What is known about one entry, as registers that only grow (documents.md §7).
 *
 * Every field is a max-register by order key, an up-only flag, a min-register or a grow-only set, so
 * events may come in any order and any number of times. Whether an author may do what they did is
 * judged when the item is shown where it depends on the target's author (edit, delete, close), and
 * by the height the entry names where it depends on a role; never by "now".
 */
import { compareOrder, type OrderKey } from '#lib/conversation/clock.ts';
import type { Event } from '#lib/conversation/event.ts';
import type { AccountId, EntryId } from '#lib/protocol/ids.ts';
import type { PurgedEntry, TimelineEntry, WaitingEntry } from './item.ts';

export interface Stamped<V> {
  readonly order: OrderKey;
  readonly value: V;
}

export interface Vote {
  readonly order: OrderKey;
  readonly choices: readonly number[];
}

export interface Registers {
  /** Newest text per editor; only the author's counts. */
  edits: Map<AccountId, Stamped<string>>;
  deletedBy: Set<AccountId>;
  deletedByAdmin: boolean;
  /** Per emoji and account: on or off. */
  reactions: Map<string, Map<AccountId, Stamped<boolean>>>;
  pin: Stamped<boolean> | undefined;
  /** All votes of an account: which counts depends on when the poll closed. */
  votes: Map<AccountId, readonly Vote[]>;
  /** Earliest close per account; only the author's counts. */
  closes: Map<AccountId, OrderKey>;
}

/** What a message or poll said, with where it stands. */
export interface Said {
  readonly account: AccountId;
  readonly event: Extract<Event, { kind: 'message' | 'poll' }>;
  readonly order: OrderKey;
  readonly seq: number | undefined;
  readonly rt: number | undefined;
  readonly waiting: WaitingEntry | undefined;
}

export interface Item extends EntryId {
  said: Said | undefined;
  waitingSaid: Said | undefined;
  purged: PurgedEntry | undefined;
  registers: Registers | undefined;
  /** Own waiting events about this item, by their own key. */
  waiting: Map<number, Deed> | undefined;
  /** Keys of items that reply to this one. */
  repliers: Set<number> | undefined;
  /** Where it stands in the array; undefined while it is not shown there. */
  place: OrderKey | undefined;
  shown: TimelineEntry | undefined;
  arrival: number;
}

export function emptyRegisters(): Registers {
  return { edits: new Map(), deletedBy: new Set(), deletedByAdmin: false, reactions: new Map(), pin: undefined, votes: new Map(), closes: new Map() };
}

export function copyRegisters(from: Registers): Registers {
  return {
    ...from,
    edits: new Map(from.edits), deletedBy: new Set(from.deletedBy), votes: new Map(from.votes), closes: new Map(from.closes),
    reactions: new Map([...from.reactions].map(([emoji, by]) => [emoji, new Map(by)])),
  };
}

/** Faults the tests plant to see that they are found. Nothing else hands them in. */
export interface PlantedFaults {
  readonly lastAppliedEdit?: boolean;
  readonly dropOrphans?: boolean;
  readonly lastVoteOnly?: boolean;
  readonly arrivalOrder?: boolean;
  readonly tiesByArrival?: boolean;
  readonly deleteJudgedByNow?: boolean;
}

export interface Deed {
  readonly account: AccountId;
  readonly order: OrderKey;
  readonly event: Event;
  /** By the height the entry names. */
  readonly isAdmin: boolean;
  readonly mayPin: boolean;
}

/** Events without a target do nothing here. */
export function note(registers: Registers, { account, order, event, isAdmin, mayPin }: Deed, faults: PlantedFaults = {}): void {
  switch (event.kind) {
    case 'edit':
      if (faults.lastAppliedEdit || isNewer(order, registers.edits.get(account)?.order)) registers.edits.set(account, { order, value: event.text });
      return;
    case 'delete':
      registers.deletedBy.add(account);
      registers.deletedByAdmin ||= isAdmin;
      return;
    case 'react':
    case 'unreact': {
      let by = registers.reactions.get(event.emoji);
      if (!by) registers.reactions.set(event.emoji, by = new Map());
      if (isNewer(order, by.get(account)?.order)) by.set(account, { order, value: event.kind === 'react' });
      return;
    }
    case 'pin':
    case 'unpin':
      if (mayPin && isNewer(order, registers.pin?.order)) registers.pin = { order, value: event.kind === 'pin' };
      return;
    case 'vote': {
      const votes = registers.votes.get(account) ?? [];
      const kept = faults.lastVoteOnly ? votes.filter((vote) => !isNewer(order, vote.order)) : votes;
      if (faults.lastVoteOnly && kept.length > 0) return;
      if (!kept.some((vote) => compareOrder(vote.order, order) === 0)) registers.votes.set(account, [...kept, { order, choices: event.choices }]);
      return;
    }
    case 'close-poll': {
      const before = registers.closes.get(account);
      if (!before || compareOrder(order, before) < 0) registers.closes.set(account, order);
      return;
    }
    case 'message': case 'poll': case 'empty': case 'vault-change':
      return;
  }
}

export function isNewer(order: OrderKey, than: OrderKey | undefined): boolean {
  return !than || compareOrder(order, than) > 0;
}

export function isDeleted(registers: Registers, author: AccountId | undefined): boolean {
  return registers.deletedByAdmin || (author !== undefined && registers.deletedBy.has(author));
}
