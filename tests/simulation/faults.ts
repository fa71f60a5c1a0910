/**
 * Faults planted through the harness's own ports and wrappers, never in the product: each is a mistake
 * somebody could make, and the run must notice it. They tell whether the invariants see anything.
 */
import type { Database, ReadTx, WriteTx } from '#lib/storage/database.ts';
import type { AppendInput } from '#lib/server/store/port.ts';
import type { SyncStore } from '#lib/server/store/sync-port.ts';
import { err } from '#lib/std/result.ts';

export type PlantedFault =
  /** The device's disk says "written" before it is. */
  | 'send-before-persist'
  /** The cursor is written in a transaction of its own, ahead of the rows. */
  | 'cursor-before-rows'
  /** What got no answer before the line broke is said again as a new entry. */
  | 'retry-under-a-new-id'
  /** The store says "stored" before it is. */
  | 'ack-before-commit'
  /** The store gives an entry it knows a new place. */
  | 'no-deduplication'
  /** Nobody compares with the store: what the bus loses stays lost. */
  | 'bus-only'
  /** The store says now and then that a slot is not the device's. */
  | 'forgetful-slots'
  /** Somebody who was removed gets the keys of a later epoch. */
  | 'keys-for-the-removed';

/** Splits what saves rows in two: everything else first, then the rows. */
export function cursorBeforeRows(database: Database): Database {
  return {
    ...database,
    async write<T>(names: Parameters<Database['write']>[0], work: (tx: WriteTx) => Promise<T>): Promise<T> {
      const held: { store: 'rows' | 'entrySeq'; key: never; value: never }[] = [];
      const value = await database.write(names, (tx) => work({
        ...tx,
        async put(store, key, stored) {
          if (store === 'rows' || store === 'entrySeq') held.push({ store, key: key as never, value: stored as never });
          else await tx.put(store, key, stored);
        },
      } satisfies WriteTx & ReadTx));
      if (held.length > 0) await database.write(['rows', 'entrySeq'], async (tx) => { for (const { store, key, value: row } of held) await tx.put(store, key, row); });
      return value;
    },
  };
}

export function noDeduplication(sync: SyncStore): SyncStore {
  return {
    ...sync,
    append(input: AppendInput) {
      const slot = sync.slotOf(input.conversation, input.account, input.device);
      return sync.append(slot && slot.slot === input.slot && input.ctr0 < slot.nextCtr ? { ...input, ctr0: slot.nextCtr } : input);
    },
  };
}

export function forgetfulSlots(sync: SyncStore, isForgotten: () => boolean): SyncStore {
  return {
    ...sync,
    append(input: AppendInput) {
      if (!isForgotten()) return sync.append(input);
      sync.replaceSlot(input.conversation, input.account, input.device, input.slot);
      return err({ nack: 'NO_SLOT', nextCtr: 0 });
    },
  };
}
