/** The signature first. */
import type { AccountId } from '#lib/protocol/ids.ts';

export interface Registry {
  /** The account signed in in this browser. */
  readonly current: () => Promise<AccountId | undefined>;
  readonly setCurrent: (account: AccountId) => Promise<void>;
  /** Forgets the account and deletes its whole database, keys and all. */
  readonly wipe: (account: AccountId) => Promise<void>;
  readonly close: () => void;
}

/** Throws StorageError. */
export async function openRegistry(): Promise<Registry> {
  throw new Error('broken promise: the registry is built before it is opened');
}
