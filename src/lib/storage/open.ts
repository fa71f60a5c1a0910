/**
 * An account's IndexedDB database behind the `Database` interface.
 *
 * Writes are `durability: 'strict'`: a resolved write survives the machine losing power. A connection
 * that stands in the way of a newer version in another tab gives way at once, and says so.
 */
import { openDB, type IDBPDatabase, type IDBPTransaction } from 'idb';
import type { AccountId } from '#lib/protocol/ids.ts';
import { StorageError, type Database, type KeyRange, type StorageFault, type WriteTx } from './database.ts';
import { toStorageError } from './faults.ts';
import { databaseVersion, migrate } from './migrations.ts';
import type { StoreKey, StoreName, StoreValue } from './schema.ts';

export interface OpenOptions {
  /** `existing` answers StorageError 'evicted' when the browser has thrown the data away. */
  readonly expect?: 'existing' | 'any';
  /** Another tab holds an older version open; opening goes on when it closes. */
  readonly onBlocked?: () => void;
  /** The connection ended by itself: another tab upgrades, or the browser took the data away. */
  readonly onClosed?: (reason: 'newer-version' | 'evicted') => void;
}

export function accountDatabaseName(account: AccountId): string {
  return `godwit-${account}`;
}

/** Throws StorageError. */
export async function openAccountDatabase(account: AccountId, options: OpenOptions = {}): Promise<Database> {
  return openNamedDatabase(accountDatabaseName(account), options);
}

/** The same for any name; tests open old versions of their own with it. */
export async function openNamedDatabase(name: string, { expect = 'any', onBlocked, onClosed }: OpenOptions, version: number = databaseVersion): Promise<Database> {
  if (typeof indexedDB === 'undefined') throw new StorageError('blocked');
  let ended: StorageFault | undefined;
  let isNew = false;
  let db: IDBPDatabase;
  try {
    db = await openDB(name, version, {
      upgrade(target, oldVersion) {
        isNew = oldVersion === 0;
        migrate({ createStore: (store) => void target.createObjectStore(store), deleteStore: (store) => target.deleteObjectStore(store) }, oldVersion, version);
      },
      blocked: () => onBlocked?.(),
      blocking(_current, _next, event) {
        ended = 'newer-version';
        (event.target as IDBDatabase).close();
        onClosed?.('newer-version');
      },
      terminated() {
        ended = 'evicted';
        onClosed?.('evicted');
      },
    });
  } catch (error) {
    throw toStorageError(error, 'open');
  }
  if (isNew && expect === 'existing') {
    db.close();
    throw new StorageError('evicted');
  }

  async function run<T>(stores: readonly StoreName[], mode: 'readonly' | 'readwrite', work: (tx: WriteTx) => Promise<T>): Promise<T> {
    if (ended) throw new StorageError(ended);
    let tx: IDBPTransaction<unknown, string[], 'readonly' | 'readwrite'>;
    try {
      tx = db.transaction([...stores], mode, mode === 'readwrite' ? { durability: 'strict' } : undefined);
    } catch (error) {
      throw toStorageError(error, 'use', ended);
    }
    // Handled here and now: when `work` fails first, nobody else would look at it.
    const done = tx.done.then(() => undefined, (error: unknown) => ({ error }));
    let value: T;
    try {
      value = await work(wrap(tx));
    } catch (error) {
      try {
        tx.abort();
      } catch (abortError) {
        // It has ended by itself already, which is why `work` failed.
        if (!(abortError instanceof DOMException && abortError.name === 'InvalidStateError')) throw abortError;
      }
      const outcome = await done;
      // A request that fails for want of room says AbortError; the transaction knows the reason.
      const inner = isAbort(error) && outcome && !isAbort(outcome.error) ? outcome.error : error;
      throw toStorageError(inner, 'use', ended);
    }
    const outcome = await done;
    if (outcome) throw toStorageError(outcome.error, 'use', ended);
    return value;
  }

  return {
    read: (stores, work) => run(stores, 'readonly', work),
    write: (stores, work) => run(stores, 'readwrite', work),
    close() {
      ended ??= 'closed';
      db.close();
    },
  };
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

type AnyStore = {
  readonly get: (key: IDBValidKey) => Promise<unknown>;
  readonly getAll: (range: IDBKeyRange | null, limit?: number) => Promise<unknown[]>;
  readonly getAllKeys: (range: IDBKeyRange | null, limit?: number) => Promise<IDBValidKey[]>;
  readonly count: (range?: IDBKeyRange | null) => Promise<number>;
  readonly put: (value: unknown, key: IDBValidKey) => Promise<unknown>;
  readonly delete: (key: IDBValidKey | IDBKeyRange) => Promise<void>;
  readonly openCursor: (range: IDBKeyRange | null, direction: IDBCursorDirection) => Promise<AnyCursor | null>;
  readonly openKeyCursor: (range: IDBKeyRange | null, direction: IDBCursorDirection) => Promise<AnyCursor | null>;
};
interface AnyCursor {
  readonly primaryKey: IDBValidKey;
  readonly value?: unknown;
  readonly continue: () => Promise<AnyCursor | null>;
}

function wrap(tx: IDBPTransaction<unknown, string[], 'readonly' | 'readwrite'>): WriteTx {
  const storeOf = (name: StoreName) => tx.objectStore(name) as unknown as AnyStore;
  return {
    get: <S extends StoreName>(store: S, key: StoreKey<S>) => storeOf(store).get(key) as Promise<StoreValue<S> | undefined>,
    async getAll<S extends StoreName>(store: S, { range, limit, reverse }: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean } = {}) {
      if (limit === 0) return [];
      if (!reverse) return (await storeOf(store).getAll(toIdbRange(range), limit)) as StoreValue<S>[];
      if (limit === undefined) return ((await storeOf(store).getAll(toIdbRange(range))) as StoreValue<S>[]).reverse();
      return (await walkBack(storeOf(store).openCursor(toIdbRange(range), 'prev'), limit, (cursor) => cursor.value)) as StoreValue<S>[];
    },
    async getAllKeys<S extends StoreName>(store: S, { range, limit, reverse }: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean } = {}) {
      if (limit === 0) return [];
      if (!reverse) return (await storeOf(store).getAllKeys(toIdbRange(range), limit)) as StoreKey<S>[];
      if (limit === undefined) return ((await storeOf(store).getAllKeys(toIdbRange(range))) as StoreKey<S>[]).reverse();
      return (await walkBack(storeOf(store).openKeyCursor(toIdbRange(range), 'prev'), limit, (cursor) => cursor.primaryKey)) as StoreKey<S>[];
    },
    count: <S extends StoreName>(store: S, range?: KeyRange<StoreKey<S>>) => storeOf(store).count(toIdbRange(range)),
    async put<S extends StoreName>(store: S, key: StoreKey<S>, value: StoreValue<S>) {
      await storeOf(store).put(value, key as IDBValidKey);
    },
    async delete<S extends StoreName>(store: S, keyOrRange: StoreKey<S> | { readonly range: KeyRange<StoreKey<S>> }) {
      if (typeof keyOrRange === 'object' && 'range' in keyOrRange) {
        const range = toIdbRange(keyOrRange.range);
        if (!range) throw new Error('broken promise: a deleted range has an end');
        await storeOf(store).delete(range);
      } else {
        await storeOf(store).delete(keyOrRange as IDBValidKey);
      }
    },
  };
}

async function walkBack(opened: Promise<AnyCursor | null>, limit: number, take: (cursor: AnyCursor) => unknown): Promise<unknown[]> {
  const out: unknown[] = [];
  let cursor = await opened;
  while (cursor && out.length < limit) {
    out.push(take(cursor));
    if (out.length === limit) break;
    cursor = await cursor.continue();
  }
  return out;
}

function toIdbRange(range: KeyRange<unknown> | undefined): IDBKeyRange | null {
  if (!range) return null;
  const { from, to, fromOpen = false, toOpen = false } = range;
  if (from !== undefined && to !== undefined) return IDBKeyRange.bound(from, to, fromOpen, toOpen);
  if (from !== undefined) return IDBKeyRange.lowerBound(from, fromOpen);
  if (to !== undefined) return IDBKeyRange.upperBound(to, toOpen);
  return null;
}
