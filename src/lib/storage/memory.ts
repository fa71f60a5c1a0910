/**
 * The same database in memory, for tests and the simulation: atomic transactions one writer at a time,
 * values structured-cloned in and out, keys in IndexedDB's order.
 *
 * What a crash leaves is what was committed: `snapshot` never shows a transaction in flight, and
 * `commit` lets a harness delay a commit or make it fail.
 */
import { assert } from '#lib/std/assert.ts';
import { StorageError, type Database, type KeyRange, type WriteTx } from './database.ts';
import { compareKeys, type Key } from './keys.ts';
import { storeNames, type StoreKey, type StoreName, type StoreValue } from './schema.ts';

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

type Entry = readonly [key: Key, value: unknown];
type Overlay = Map<string, { readonly key: Key; readonly value: unknown; readonly deleted: boolean }>;

export function openMemoryDatabase({ from, commit, onCommitted }: MemoryDatabaseOptions = {}): MemoryDatabase {
  // Entries are never changed in place, so a snapshot shares the arrays and a commit replaces them.
  let stores = new Map<string, Entry[]>(storeNames.map((name) => [name, []]));
  let closed = false;
  let committed = 0;
  let running = 0;
  let lastWriter: Promise<unknown> = Promise.resolve();
  let readers: Promise<unknown> = Promise.resolve();
  if (from) restore(from);

  function restore(snapshot: MemorySnapshot): void {
    assert(running === 0, 'a snapshot is restored while no transaction runs');
    stores = new Map(storeNames.map((name) => [name, [...((snapshot.stores.get(name) ?? []) as Entry[])]]));
  }

  async function runRead<T>(names: readonly StoreName[], work: (tx: WriteTx) => Promise<T>): Promise<T> {
    if (closed) throw new StorageError('closed');
    const turn = lastWriter;
    const done = (async () => {
      await turn;
      if (closed) throw new StorageError('closed');
      running += 1;
      try {
        return await work(transaction(stores, names, undefined));
      } finally {
        running -= 1;
      }
    })();
    readers = Promise.all([readers, done.then(nothing, nothing)]);
    return done;
  }

  async function runWrite<T>(names: readonly StoreName[], work: (tx: WriteTx) => Promise<T>): Promise<T> {
    if (closed) throw new StorageError('closed');
    const turn = Promise.all([lastWriter, readers]);
    const done = (async () => {
      await turn;
      if (closed) throw new StorageError('closed');
      running += 1;
      try {
        const overlays = new Map<string, Overlay>();
        const value = await work(transaction(stores, names, overlays));
        if (commit) await commit();
        if (closed) throw new StorageError('closed');
        apply(overlays);
        committed += 1;
        onCommitted?.(committed);
        return value;
      } finally {
        running -= 1;
      }
    })();
    lastWriter = done.then(nothing, nothing);
    readers = lastWriter;
    return done;
  }

  function apply(overlays: ReadonlyMap<string, Overlay>): void {
    for (const [name, overlay] of overlays) {
      const entries = [...stores.get(name)!];
      for (const { key, value, deleted } of overlay.values()) {
        const at = lowerBound(entries, key);
        const isThere = at < entries.length && compareKeys(entries[at]![0], key) === 0;
        if (deleted) {
          if (isThere) entries.splice(at, 1);
        } else entries.splice(at, isThere ? 1 : 0, [key, value]);
      }
      stores.set(name, entries);
    }
  }

  return {
    read: runRead,
    write: runWrite,
    close() {
      closed = true;
    },
    snapshot: () => ({ stores: new Map(stores) }),
    restore,
  };
}

function transaction(stores: ReadonlyMap<string, readonly Entry[]>, names: readonly StoreName[], overlays: Map<string, Overlay> | undefined): WriteTx {
  const entriesOf = (name: StoreName) => {
    if (!names.includes(name)) throw new Error(`broken promise: the transaction names the store ${name}`);
    return stores.get(name)!;
  };
  const overlayOf = (name: StoreName): Overlay => {
    entriesOf(name);
    assert(overlays, 'only a write transaction writes');
    let overlay = overlays.get(name);
    if (!overlay) overlays.set(name, (overlay = new Map()));
    return overlay;
  };

  function select(name: StoreName, range: KeyRange<unknown> | undefined, limit: number | undefined, reverse: boolean | undefined): Entry[] {
    const entries = entriesOf(name);
    const start = range?.from === undefined ? 0 : bound(entries, range.from as Key, range.fromOpen ?? false);
    const end = range?.to === undefined ? entries.length : bound(entries, range.to as Key, !(range.toOpen ?? false));
    const overlay = overlays?.get(name);
    let found: Entry[];
    if (!overlay || overlay.size === 0) {
      const wanted = limit === undefined ? end - start : Math.min(limit, end - start);
      if (wanted <= 0) return [];
      found = reverse ? entries.slice(end - wanted, end) : entries.slice(start, start + wanted);
    } else {
      found = entries.slice(start, Math.max(start, end)).filter(([key]) => !overlay.has(JSON.stringify(key)));
      for (const { key, value, deleted } of overlay.values()) if (!deleted && isWithin(key, range)) found.push([key, value]);
      found.sort((a, b) => compareKeys(a[0], b[0]));
      if (limit !== undefined) found = reverse ? found.slice(Math.max(0, found.length - limit)) : found.slice(0, limit);
    }
    return reverse ? found.reverse() : found;
  }

  return {
    async get<S extends StoreName>(store: S, key: StoreKey<S>) {
      const entries = entriesOf(store);
      const written = overlays?.get(store)?.get(JSON.stringify(key));
      if (written) return written.deleted ? undefined : (structuredClone(written.value) as StoreValue<S>);
      const at = lowerBound(entries, key as Key);
      const entry = entries[at];
      return entry && compareKeys(entry[0], key as Key) === 0 ? (structuredClone(entry[1]) as StoreValue<S>) : undefined;
    },
    getAll: async <S extends StoreName>(store: S, { range, limit, reverse }: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean } = {}) =>
      select(store, range, limit, reverse).map(([, value]) => structuredClone(value)) as StoreValue<S>[],
    getAllKeys: async <S extends StoreName>(store: S, { range, limit, reverse }: { range?: KeyRange<StoreKey<S>>; limit?: number; reverse?: boolean } = {}) =>
      select(store, range, limit, reverse).map(([key]) => structuredClone(key)) as StoreKey<S>[],
    count: async <S extends StoreName>(store: S, range?: KeyRange<StoreKey<S>>) => select(store, range, undefined, false).length,
    async put<S extends StoreName>(store: S, key: StoreKey<S>, value: StoreValue<S>) {
      overlayOf(store).set(JSON.stringify(key), { key: structuredClone(key) as Key, value: structuredClone(value), deleted: false });
    },
    async delete<S extends StoreName>(store: S, keyOrRange: StoreKey<S> | { readonly range: KeyRange<StoreKey<S>> }) {
      const overlay = overlayOf(store);
      const keys = typeof keyOrRange === 'object' && 'range' in keyOrRange ? select(store, keyOrRange.range, undefined, false).map(([key]) => key) : [keyOrRange as Key];
      for (const key of keys) overlay.set(JSON.stringify(key), { key, value: undefined, deleted: true });
    },
  };
}

/** The first place whose key is not below. */
function lowerBound(entries: readonly Entry[], key: Key): number {
  return bound(entries, key, false);
}

function bound(entries: readonly Entry[], key: Key, after: boolean): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareKeys(entries[middle]![0], key);
    if (order < 0 || (after && order === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isWithin(key: Key, range: KeyRange<unknown> | undefined): boolean {
  if (range?.from !== undefined) {
    const order = compareKeys(key, range.from as Key);
    if (order < 0 || (order === 0 && range.fromOpen)) return false;
  }
  if (range?.to !== undefined) {
    const order = compareKeys(key, range.to as Key);
    if (order > 0 || (order === 0 && range.toOpen)) return false;
  }
  return true;
}

function nothing(): void {}
