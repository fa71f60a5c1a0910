/** The signature first. */
import type { Database } from './database.ts';

/** A committed state, opaque; cheap to take. */
export interface MemorySnapshot {
  readonly stores: ReadonlyMap<string, readonly (readonly [key: unknown, value: unknown])[]>;
}

export interface MemoryDatabaseOptions {
  readonly from?: MemorySnapshot;
  /** Awaited before a write becomes durable and visible; throwing makes the write fail with nothing done. */
  readonly commit?: () => Promise<void>;
  /** Told after each commit; the number counts from 1. */
  readonly onCommitted?: (count: number) => void;
}

export interface MemoryDatabase extends Database {
  /** What a crash now would leave: committed transactions only. */
  readonly snapshot: () => MemorySnapshot;
  /** Puts a snapshot in place of everything; only while no transaction runs. */
  readonly restore: (snapshot: MemorySnapshot) => void;
}

export function openMemoryDatabase(options: MemoryDatabaseOptions = {}): MemoryDatabase {
  throw new Error(`broken promise: memory is built before it is opened (${Object.keys(options).length})`);
}
