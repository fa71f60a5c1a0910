/**
 * What an entry says once opened (documents.md §3, §7): one event, stamped with the author's hybrid
 * logical clock. `t` is physical milliseconds, `l` the logical part.
 */
import type { EntryId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';

interface Stamp {
  readonly t: number;
  readonly l: number;
}

/**
 * A target names an entry. Slot 0 stands for "this device's own slot, not known yet": it occurs in
 * the outbox only and is resolved when the entry is sealed.
 */
export type Event = Stamp & (
  | { readonly kind: 'message'; readonly text: string; readonly replyTo: EntryId | undefined }
  | { readonly kind: 'edit'; readonly target: EntryId; readonly text: string }
  /** Carries the chain hash of the entry it removes, so its author's chain verifies without it. */
  | { readonly kind: 'delete'; readonly target: EntryId; readonly targetChain: Bytes }
  | { readonly kind: 'react' | 'unreact'; readonly target: EntryId; readonly emoji: string }
  | { readonly kind: 'pin' | 'unpin'; readonly target: EntryId }
  | { readonly kind: 'poll'; readonly question: string; readonly options: readonly string[] }
  | { readonly kind: 'vote'; readonly target: EntryId; readonly choices: readonly number[] }
  | { readonly kind: 'close-poll'; readonly target: EntryId }
  /** A withdrawn outbox entry keeps its ctr and says nothing. */
  | { readonly kind: 'empty' }
  /** A change of the account's private state, in its self conversation only (documents.md §11). */
  | { readonly kind: 'vault-change'; readonly change: Bytes; readonly heads: Bytes }
);

export type EventKind = Event['kind'];
