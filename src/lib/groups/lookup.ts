/**
 * Account logs for judging group entries: what is known here first, the server when that falls short.
 */
import { accountsOf } from '#lib/chains/group-log.ts';
import type { GroupEntry } from '#lib/chains/group-entry.ts';
import type { GroupLogFault } from '#lib/chains/group-state.ts';
import { meetsNeed, type AccountLookup } from '#lib/chains/lookup.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { AccountDirectory } from './ports.ts';

/** Account logs asked for at once: a large create names thousands. */
const fetchesAtOnceMax = 16;

export function createLookup(accounts: AccountDirectory): AccountLookup {
  return async (account, need) => {
    const known = await accounts.get(account);
    if (meetsNeed(known, need)) return known;
    const newer = await accounts.refresh(account, need.height);
    if (meetsNeed(newer, need)) return newer;
    return accounts.refresh(account);
  };
}

/** Faults that an account log known only in part can cause; they are judged once more with all of it. */
const maybeStale: ReadonlySet<GroupLogFault> = new Set(['cut-not-allowed', 'wrong-generation', 'pin-beyond-log', 'unknown-author', 'author-invalid']);

export function mayBeStale(fault: GroupLogFault): boolean {
  return maybeStale.has(fault);
}

/** Brings the account logs these entries need, several at a time. */
export async function fetchAccounts(accounts: AccountDirectory, entries: readonly Pick<GroupEntry, 'actor' | 'ops'>[], how: 'get' | 'refresh'): Promise<void> {
  const wanted = [...new Set(entries.flatMap(accountsOf))];
  await inBatches(wanted, fetchesAtOnceMax, (account: AccountId) => accounts[how](account));
}

/** Works through items, at most `atOnce` at a time, and keeps their order. */
export async function inBatches<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (let i = 0; i < items.length; i += atOnce) out.push(...(await Promise.all(items.slice(i, i + atOnce).map(work))));
  return out;
}
