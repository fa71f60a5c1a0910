/**
 * Which account is signed in in this browser: a tiny database of its own, because the account's
 * database can only be opened by whoever knows the account.
 *
 * Signing out deletes the account's whole database, keys and all, and forgets the name last: stopped
 * half way, the next start sees a signed-in account without data and finishes the job.
 */
import { deleteDB, openDB, type IDBPDatabase } from 'idb';
import type { AccountId } from '#lib/protocol/ids.ts';
import { StorageError } from './database.ts';
import { toStorageError } from './faults.ts';
import { accountDatabaseName } from './open.ts';

export interface Registry {
  /** The account signed in in this browser. */
  readonly current: () => Promise<AccountId | undefined>;
  readonly setCurrent: (account: AccountId) => Promise<void>;
  /** Forgets the account and deletes its whole database, keys and all. Close it first. */
  readonly wipe: (account: AccountId) => Promise<void>;
  readonly close: () => void;
}

const name = 'godwit';
const version = 1;

/** Throws StorageError. */
export async function openRegistry(): Promise<Registry> {
  if (typeof indexedDB === 'undefined') throw new StorageError('blocked');
  let db: IDBPDatabase;
  try {
    db = await openDB(name, version, {
      upgrade: (target) => void target.createObjectStore('kv'),
      blocking: (_current, _next, event) => (event.target as IDBDatabase).close(),
    });
  } catch (error) {
    throw toStorageError(error, 'open');
  }
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw toStorageError(error, 'use');
    }
  };
  const write = (change: (store: { put: (value: unknown, key: string) => Promise<unknown>; delete: (key: string) => Promise<void> }) => Promise<unknown>) =>
    guard(async () => {
      const tx = db.transaction('kv', 'readwrite', { durability: 'strict' });
      await change(tx.objectStore('kv'));
      await tx.done;
    });
  return {
    current: () => guard(async () => (await db.get('kv', 'account')) as AccountId | undefined),
    setCurrent: (account) => write((store) => store.put(account, 'account')),
    async wipe(account) {
      await guard(() => deleteDB(accountDatabaseName(account)));
      if ((await guard(() => db.get('kv', 'account'))) === account) await write((store) => store.delete('account'));
    },
    close: () => db.close(),
  };
}
