/**
 * One database per account: what every room stores, behind one small interface with two adapters,
 * IndexedDB (through `idb`) and memory (tests, simulation).
 *
 * A transaction is atomic and, once its promise resolves, durable. Inside one, await only its own
 * calls: IndexedDB ends a transaction that waits for anything else.
 */
import type { StoreName, StoreKey, StoreValue } from './schema.ts';

export interface KeyRange<K> {
  readonly from?: K;
  readonly to?: K;
  readonly fromOpen?: boolean;
  readonly toOpen?: boolean;
}

export interface ReadTx {
  readonly get: <S extends StoreName>(store: S, key: StoreKey<S>) => Promise<StoreValue<S> | undefined>;
  /** Values in key order, or in reverse. */
  readonly getAll: <S extends StoreName>(store: S, options?: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean }) => Promise<StoreValue<S>[]>;
  readonly getAllKeys: <S extends StoreName>(store: S, options?: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean }) => Promise<StoreKey<S>[]>;
  readonly count: <S extends StoreName>(store: S, range?: KeyRange<StoreKey<S>>) => Promise<number>;
}

export interface WriteTx extends ReadTx {
  readonly put: <S extends StoreName>(store: S, key: StoreKey<S>, value: StoreValue<S>) => Promise<void>;
  readonly delete: <S extends StoreName>(store: S, keyOrRange: StoreKey<S> | { readonly range: KeyRange<StoreKey<S>> }) => Promise<void>;
}

export interface Database {
  readonly read: <T>(stores: readonly StoreName[], work: (tx: ReadTx) => Promise<T>) => Promise<T>;
  readonly write: <T>(stores: readonly StoreName[], work: (tx: WriteTx) => Promise<T>) => Promise<T>;
  readonly close: () => void;
}

/** Thrown by any call; `app` turns it into words for the person. */
export class StorageError extends Error {
  readonly reason: StorageFault;
  constructor(reason: StorageFault, options?: ErrorOptions) {
    super(`storage: ${reason}`, options);
    this.reason = reason;
  }
}

export type StorageFault = 'blocked' | 'full' | 'evicted' | 'newer-version' | 'closed' | 'corrupt' | 'failed';
