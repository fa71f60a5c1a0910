/**
 * What the timeline takes in and what it shows. All plain data.
 */
import type { AccountId, EntryId } from '#lib/protocol/ids.ts';
import type { Event } from '#lib/conversation/event.ts';

/** An opened entry, as much of it as the fold needs: `OpenedEntry` of conversation is one. */
export interface FoldEntry extends EntryId {
  readonly account: AccountId;
  readonly event: Event;
  readonly seq: number;
  readonly rt: number;
  readonly logHeight: number;
  readonly joinRt: number;
}

/** A row whose content is gone. `account` is the slot's owner where known (from its chain). */
export interface PurgedEntry extends EntryId {
  readonly seq: number;
  readonly rt: number;
  readonly account: AccountId | undefined;
}

/** An own entry that still waits in the outbox. `slot` 0 while this device has none here. */
export interface WaitingEntry extends EntryId {
  readonly event: Event;
  /** The group-log height it would be sealed at now. */
  readonly logHeight: number;
  /** The server has it; its row is still on the way. */
  readonly acknowledgedSeq?: number | undefined;
  readonly refused?: string | undefined;
}

export interface ReactionView {
  readonly emoji: string;
  /** In the order they reacted. */
  readonly accounts: readonly AccountId[];
}

export interface PollView {
  readonly question: string;
  readonly options: readonly string[];
  /** Per option, who chose it. */
  readonly votes: readonly (readonly AccountId[])[];
  readonly closed: boolean;
}

export interface TimelineEntry extends EntryId {
  /** `slot.ctr`. */
  readonly id: string;
  readonly kind: 'message' | 'poll';
  readonly author: AccountId;
  readonly mine: boolean;
  /** A poll's question; nothing once deleted. */
  readonly text: string;
  readonly edited: boolean;
  readonly deleted: boolean;
  readonly pinned: boolean;
  readonly replyTo: EntryId | undefined;
  readonly reactions: readonly ReactionView[];
  readonly poll: PollView | undefined;
  /** Sorts with `<`. */
  readonly order: string;
  /** Effective time: its place. A deleted one stands where it arrived. */
  readonly at: number;
  /** The server's receipt time; undefined while it waits. */
  readonly rt: number | undefined;
  readonly late: boolean;
  readonly seq: number | undefined;
  readonly waiting: { readonly acknowledgedSeq: number | undefined; readonly refused: string | undefined } | undefined;
}

export interface TimelineChanges {
  /** Items shown now that are new or look different, replies to a changed item among them. */
  readonly changed: readonly EntryId[];
  /** Items no longer shown. */
  readonly removed: readonly EntryId[];
}

export interface TimelineOptions {
  readonly me: AccountId;
  readonly kind: 'self' | 'direct' | 'group';
  /** Owner or admin at that height of the group log. */
  readonly isAdminAt: (account: AccountId, logHeight: number) => boolean;
}

export interface Timeline {
  /** In any order, with any duplication, one by one or all at once: the outcome is the same. */
  readonly apply: (entries: readonly FoldEntry[]) => TimelineChanges;
  readonly applyPurged: (rows: readonly PurgedEntry[]) => TimelineChanges;
  /** Shows or replaces an own waiting entry; `apply` of the same id takes its place. */
  readonly putWaiting: (entry: WaitingEntry) => TimelineChanges;
  readonly removeWaiting: (id: EntryId) => TimelineChanges;
  /** Hides items before this time, where unloaded history may lie between; undefined shows all. */
  readonly setFloor: (ms: number | undefined) => TimelineChanges;
  /** Shown items in order; `before` and `after` are exclusive order texts, `last` takes the newest of them. */
  readonly items: (range?: { readonly after?: string; readonly before?: string; readonly last?: number }) => readonly TimelineEntry[];
  /** A shown or hidden item; undefined when it is not loaded. */
  readonly item: (id: EntryId) => TimelineEntry | undefined;
  readonly size: () => number;
}

export function entryText({ slot, ctr }: EntryId): string {
  return `${slot}.${ctr}`;
}

export function parseEntryText(text: string): EntryId | undefined {
  const match = /^(0|[1-9]\d{0,6})\.(0|[1-9]\d{0,9})$/.exec(text);
  if (!match) return undefined;
  const id = { slot: Number(match[1]), ctr: Number(match[2]) };
  return id.slot < 2 ** 21 && id.ctr < 2 ** 32 ? id : undefined;
}
