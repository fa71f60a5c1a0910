/** The signature first. */
import type { AccountId } from '#lib/protocol/ids.ts';
import type { Database } from './database.ts';

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
  throw new Error(`broken promise: storage is built before it is opened (${account} ${Object.keys(options).length})`);
}
