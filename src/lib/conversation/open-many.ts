/** Stub. */
import type { AccountId, EntryId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { EntryFault, Need, OpenContext, OpenedEntry, SlotChain } from './entry.ts';
import type { EventKind } from './event.ts';

/** A row with what opening it gave: the fields of `StoredRow`. */
export interface CheckedRow extends Row {
  readonly check: 'ok' | 'pending' | 'bad';
  readonly fault?: EntryFault;
  /** `purged` where the content is gone. */
  readonly kind?: EventKind | 'purged';
  /** A message somebody else wrote: unread until read. */
  readonly counts?: boolean;
}

export interface OpenManyContext extends OpenContext {
  readonly me: AccountId;
  /**
   * `newer`: the rows follow all rows held. `older`: they end right below them. `again`: rows held
   * already, pending ones with whatever neighbours the caller has, opened once more.
   */
  readonly mode: 'newer' | 'older' | 'again';
  /** With `newer`: every row from seq 1 is held or given here, so a device's first entry has ctr 0. */
  readonly fromStart?: boolean;
}

export interface OpenedMany {
  /** As given, in the order given. */
  readonly rows: readonly CheckedRow[];
  /** Those that are `ok`, in the order of their rows. */
  readonly entries: readonly OpenedEntry[];
  /** The chains that moved: keep them in the same transaction as the rows. */
  readonly chains: readonly SlotChain[];
  /** What pending rows wait for, each thing once. */
  readonly needs: readonly Need[];
  /** What a person should be told: bad rows, and gaps or wrong deletes around rows that are fine. */
  readonly alarms: readonly (EntryId & { readonly fault: EntryFault })[];
}

export declare function openMany(rows: readonly Row[], context: OpenManyContext): Promise<OpenedMany>;
