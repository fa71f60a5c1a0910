/**
 * Every version of an account's database, as the steps that lead to it. A browser that was closed for
 * a year opens version 1 and walks all of them; each step is tested from every version before it.
 *
 * A step is never edited once released: what comes next is a new step at the end.
 */
import type { StoreName } from './schema.ts';

/** The part of an IndexedDB upgrade a step may use. */
export interface UpgradeTarget {
  readonly createStore: (name: string) => void;
  readonly deleteStore: (name: string) => void;
}

export interface Migration {
  readonly version: number;
  readonly says: string;
  readonly run: (target: UpgradeTarget) => void;
}

/** Keys stand beside values (no key path), so a value never repeats its key. */
const first: readonly StoreName[] = ['kv', 'conversations', 'rows', 'entrySeq', 'segments', 'chains', 'outbox', 'marks', 'groupLog',
  'epochs', 'accounts', 'profiles', 'summaries', 'drafts'];

export const migrations: readonly Migration[] = [
  { version: 1, says: 'The stores of a conversation, its keys and the outbox.', run: (target) => first.forEach(target.createStore) },
  {
    version: 2,
    says: 'Replayed group states; what was refused, what the server lost, and the names entries had before.',
    run: (target) => ['groupStates', 'refused', 'lost', 'aliases'].forEach(target.createStore),
  },
];

export const databaseVersion = migrations.length;

/** Runs what a database of `oldVersion` (0 when new) is missing. */
export function migrate(target: UpgradeTarget, oldVersion: number, newVersion: number = databaseVersion): void {
  for (const migration of migrations) if (migration.version > oldVersion && migration.version <= newVersion) migration.run(target);
}
