/**
 * The SQLite store without its thread: many writes, one transaction, one fsync (infra.md §2).
 *
 * `commit` runs every write of a batch between BEGIN and COMMIT and answers only after COMMIT returned,
 * so an answered write is on disk. When the disk refuses, the whole batch is rolled back and every
 * write of it is answered with the fault: none is acknowledged falsely.
 */
import { DatabaseSync } from 'node:sqlite';
import { assert } from '#lib/std/assert.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { StoreFault, type StoreFaultReason } from './fault.ts';
import { sqliteDirectory } from './sqlite-directory.ts';
import { sqliteLog } from './sqlite-log.ts';
import { migrate } from './sqlite-schema.ts';
import type { StoreCall, SyncStore } from './sync-port.ts';

export interface SqliteOptions {
  readonly path: string;
  /** A bound on the file, in pages of 4 KiB; SQLite's own when absent. */
  readonly pagesMax?: number;
}

export interface Write {
  readonly call: StoreCall;
  readonly args: readonly unknown[];
}

export interface SqliteCore {
  readonly read: (call: StoreCall, args: readonly unknown[]) => Result<unknown, StoreFault>;
  /** One answer per write, in order. */
  readonly commit: (writes: readonly Write[]) => readonly Result<unknown, StoreFault>[];
  readonly close: () => void;
}

/** Throws StoreFault. */
export function openSqliteCore({ path, pagesMax }: SqliteOptions, random: Pick<Random, 'bytes'>): SqliteCore {
  let { db, calls } = open();

  function open(): { db: DatabaseSync; calls: SyncStore } {
    let opened: DatabaseSync | undefined;
    try {
      opened = new DatabaseSync(path, { enableForeignKeyConstraints: false });
      opened.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -65536');
      migrate(opened, random);
      if (pagesMax !== undefined) opened.exec(`PRAGMA max_page_count = ${pagesMax}`);
      return { db: opened, calls: { ...sqliteLog(opened, random), ...sqliteDirectory(opened) } };
    } catch (error) {
      opened?.close();
      throw toFault(error);
    }
  }

  function invoke({ call, args }: Write): unknown {
    return (calls[call] as (...args: readonly unknown[]) => unknown).apply(calls, [...args]);
  }

  function inTransaction(writes: readonly Write[]): Result<readonly unknown[], StoreFault> {
    try {
      db.exec('BEGIN IMMEDIATE');
      const answers = writes.map(invoke);
      db.exec('COMMIT');
      return ok(answers);
    } catch (error) {
      const fault = toFault(error);
      try {
        if (db.isTransaction) db.exec('ROLLBACK');
      } catch (rollbackError) {
        return err(reopened(toFault(rollbackError)));
      }
      return err(fault.reason === 'io' || fault.reason === 'damaged' ? reopened(fault) : fault);
    }
  }

  /** After a failed write below us nothing this connection remembers is trusted. */
  function reopened(fault: StoreFault): StoreFault {
    try {
      db.close();
      ({ db, calls } = open());
    } catch (error) {
      return toFault(error); // stays closed: every later call answers a fault
    }
    return fault;
  }

  return {
    read(call, args) {
      try {
        return ok(invoke({ call, args }));
      } catch (error) {
        return err(toFault(error));
      }
    },

    commit(writes) {
      assert(writes.length > 0, 'a commit has something to write');
      const together = inTransaction(writes);
      if (together.ok) return together.value.map((value) => ok(value));
      // A broken promise in one write must not spoil its neighbours: each gets its own transaction.
      if (together.error.reason !== 'broken' || writes.length === 1) return writes.map(() => together);
      return writes.map((write) => {
        const alone = inTransaction([write]);
        return alone.ok ? ok(alone.value[0]) : alone;
      });
    },

    close() {
      if (db.isOpen) db.close();
    },
  };
}

interface SqliteError {
  readonly code: string;
  readonly errcode?: number;
}

/** SQLite's primary result codes (sqlite.org/rescode.html) in our words. */
const reasons: Readonly<Record<number, StoreFaultReason>> = { 7: 'io', 8: 'not-writable', 10: 'io', 11: 'damaged', 13: 'full', 14: 'not-writable', 26: 'damaged', 5: 'io', 6: 'io' };

function toFault(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const { code, errcode } = error as SqliteError;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ERR_INVALID_STATE') return new StoreFault('closed', 'the store is closed');
  if (code === 'ERR_SQLITE_ERROR' && errcode !== undefined) return new StoreFault(reasons[errcode & 255] ?? 'broken', `sqlite: ${message}`);
  return new StoreFault('broken', message);
}
