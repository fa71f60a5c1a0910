/** The store's promises without the waiting: what an adapter does inside one transaction. */
import type { Store } from './port.ts';

export type SyncStore = {
  readonly [K in Exclude<keyof Store, 'close'>]: (...args: Parameters<Store[K]>) => Awaited<ReturnType<Store[K]>>;
};

export type StoreCall = keyof SyncStore;

/** Calls that change nothing; they wait for no commit. */
export const storeReads: ReadonlySet<StoreCall> = new Set<StoreCall>([
  'lineage', 'rowsAfter', 'rowsBefore', 'segment', 'purgedIn', 'heads', 'marksSince', 'groupLog', 'newestWrap', 'members', 'roleOf', 'membershipVersions', 'crowded', 'conversationsOf',
  'accountByHandle', 'accountById', 'accountLog', 'uekWraps', 'vault', 'profile', 'companions', 'session', 'sessionsOf',
]);

export const storeCalls: readonly StoreCall[] = [
  ...storeReads,
  'renewLineage', 'append', 'slotOf', 'replaceSlot', 'putMark', 'appendGroupEntry',
  'createAccount', 'changePassword', 'appendAccountEntries', 'putVault', 'putProfile',
  'putSession', 'bindSession', 'extendSession', 'deleteSession', 'deleteSessionsOf', 'deleteExpiredSessions',
] as StoreCall[];
