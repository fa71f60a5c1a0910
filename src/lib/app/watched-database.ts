/**
 * The account's database as the desk uses it: what a write or a read meets is heard, wherever it was made.
 *
 * Full is over with the first write that goes through; that the data is gone is for good.
 */
import { StorageError, type Database } from '#lib/storage/database.ts';

export interface DatabaseWatch {
  /** Told when it changes: writes fail for want of room, or no longer do. */
  readonly full: (isFull: boolean) => void;
  /** The browser threw the data away under the open connection. */
  readonly evicted: () => void;
}

export function watchDatabase(inner: Database, watch: DatabaseWatch): Database {
  let isFull = false;

  function setFull(next: boolean): void {
    if (next === isFull) return;
    isFull = next;
    watch.full(isFull);
  }

  function hear(error: unknown): never {
    if (error instanceof StorageError && error.reason === 'full') setFull(true);
    if (error instanceof StorageError && error.reason === 'evicted') watch.evicted();
    throw error;
  }

  return {
    read: (stores, work) => inner.read(stores, work).catch(hear),
    async write(stores, work) {
      const value = await inner.write(stores, work).catch(hear);
      setFull(false);
      return value;
    },
    close: inner.close,
  };
}
