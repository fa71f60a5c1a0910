/**
 * The directory: everybody's account log as verified on this device, one's own among them.
 *
 * The first log seen of an account is taken on trust and pinned by its genesis; from then on only what
 * extends it counts [ID10]. A server that hands out another genesis, a fork or a shorter log, or another account
 * under a known handle, is answered `identity-changed`: what was known stays in force until the person
 * accepts the new identity. `get` and `refresh` are the port `groups` asks through.
 */
import { accountChainHash, decodeAccountEntry, extendAccountLog, replayAccountLog } from '#lib/chains/account-log.ts';
import type { AccountLogFault, AccountState } from '#lib/chains/account-state.ts';
import type { AccountId, Handle } from '#lib/protocol/ids.ts';
import { parseHandle } from '#lib/protocol/ids.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { assert } from '#lib/std/assert.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { ApiClient, ApiFailure } from './api-client.ts';
import { inviteMatches, parseInvite, type Invitation } from './invite.ts';

export interface KnownAccount {
  readonly account: AccountId;
  readonly handle: string;
  readonly state: AccountState;
}

/** `handle`: another account answers to a known handle. The others: another log under a known account. */
export type IdentityChange = 'handle' | 'genesis' | 'fork' | 'rollback';

export type AccountsFault =
  | { readonly type: 'offline' | 'not-found' | 'handle-invalid' }
  | { readonly type: 'too-many'; readonly retryInSeconds: number }
  /** `account` is the one that was known. */
  | { readonly type: 'identity-changed'; readonly account: AccountId; readonly change: IdentityChange }
  /** The log itself breaks a rule of `chains`, or the answer is another account's. */
  | { readonly type: 'log-refused'; readonly fault: AccountLogFault }
  | { readonly type: 'failed'; readonly detail: string };

export type InviteFault = AccountsFault
  | { readonly type: 'invite-invalid' }
  /** The handle's account is not the one the invitation was made by. */
  | { readonly type: 'invite-mismatch' };

export interface Accounts {
  /** From memory, from disk, or fetched when unknown; undefined when it is not to be had. */
  readonly get: (account: AccountId) => Promise<AccountState | undefined>;
  /** As new as the server has it, or as known when the server cannot be believed or reached. */
  readonly refresh: (account: AccountId, atLeastHeight?: number) => Promise<AccountState | undefined>;
  /** Asks the server and says what came of it. */
  readonly check: (account: AccountId) => Promise<Result<KnownAccount, AccountsFault>>;
  readonly findByHandle: (handle: string) => Promise<Result<KnownAccount, AccountsFault>>;
  readonly acceptInvite: (text: string) => Promise<Result<KnownAccount, InviteFault>>;
  /** Without asking anybody. */
  readonly known: (account: AccountId) => Promise<KnownAccount | undefined>;
  /** Identities that changed and were not accepted yet. */
  readonly changed: () => ReadonlyMap<AccountId, IdentityChange>;
  /**
   * Takes what the server hands out now as this person from here on. After a `handle` change that is
   * another account: the answer says which.
   */
  readonly acceptIdentity: (account: AccountId) => Promise<Result<KnownAccount, AccountsFault>>;
  /** What this device itself appended to its own log. */
  readonly addOwn: (account: AccountId, entries: readonly Bytes[]) => Promise<void>;
  readonly subscribe: (listener: (account: AccountId) => void) => () => void;
}

export interface AccountsDeps {
  readonly database: Database;
  readonly api: ApiClient;
  readonly clock: Clock;
}

interface Kept extends KnownAccount {
  readonly entries: readonly Bytes[];
}

interface ChangesRecord {
  readonly changed: readonly (readonly [AccountId, IdentityChange])[];
  readonly owners: readonly (readonly [handle: string, AccountId])[];
}

const changesKey = 'identity/accounts';
/** A state is some kilobytes; the largest group's members fit. */
const inMemoryMax = 8_192;

export async function openAccounts({ database, api, clock }: AccountsDeps): Promise<Accounts> {
  const memory = new Map<AccountId, Kept>();
  const listeners = new Set<(account: AccountId) => void>();
  const underWay = new Map<AccountId, Promise<Result<KnownAccount, AccountsFault>>>();
  const record = (await database.read(['kv'], (tx) => tx.get('kv', changesKey))) as ChangesRecord | undefined;
  const changed = new Map(record?.changed);
  /** Who a handle was first, and who was accepted for it since. */
  const owners = new Map(record?.owners);

  async function kept(account: AccountId): Promise<Kept | undefined> {
    const held = memory.get(account);
    if (held) return held;
    const stored = await database.read(['accounts'], (tx) => tx.get('accounts', account));
    if (!stored) return undefined;
    const state = await replayAccountLog(account, stored.entries);
    if (!state.ok) throw new StorageError('corrupt'); // it was verified before it was written
    const read: Kept = { account, handle: stored.handle, entries: stored.entries, state: state.value };
    return remember(memory.get(account) ?? read); // somebody may have stored a newer one meanwhile
  }

  function remember(known: Kept): Kept {
    if (memory.size >= inMemoryMax) memory.delete(memory.keys().next().value!);
    memory.set(known.account, known);
    return known;
  }

  async function keep(known: Kept): Promise<KnownAccount> {
    const before = memory.get(known.account);
    // Two answers may arrive in either order; the longer of two that agree stays.
    if (before && before.state.height > known.state.height && equalBytes(before.state.heads[known.state.height]!, known.state.head)) return before;
    const { account, handle, entries } = known;
    await database.write(['accounts'], (tx) => tx.put('accounts', account, { account, handle, entries, checkedAt: clock.now() }));
    remember(known);
    for (const listener of listeners) listener(account);
    return known;
  }

  async function keepChanges(): Promise<void> {
    const value: ChangesRecord = { changed: [...changed], owners: [...owners] };
    await database.write(['kv'], (tx) => tx.put('kv', changesKey, value));
  }

  async function markChanged(account: AccountId, change: IdentityChange): Promise<Result<never, AccountsFault>> {
    if (changed.get(account) !== change) {
      changed.set(account, change);
      await keepChanges();
      for (const listener of listeners) listener(account);
    }
    return err({ type: 'identity-changed', account, change });
  }

  /** A whole log, seen for the first time or accepted in place of another. */
  async function take(account: AccountId, handle: string, entries: readonly Bytes[]): Promise<Result<KnownAccount, AccountsFault>> {
    const state = await replayAccountLog(account, entries);
    if (!state.ok) return err({ type: 'log-refused', fault: state.error.fault });
    return ok(await keep({ account, handle, entries, state: state.value }));
  }

  /** What the server says follows the known log; the newest known entry comes along and must be the same. */
  async function extend(known: Kept, answer: { readonly from: number; readonly entries: readonly Bytes[] }): Promise<Result<KnownAccount, AccountsFault>> {
    const { account, state } = known;
    const from = known.state.height;
    if (answer.from !== from) return err({ type: 'failed', detail: 'other-heights' });
    const [same, ...more] = answer.entries;
    if (!same) return markChanged(account, 'rollback');
    const decoded = decodeAccountEntry(same);
    if (!decoded.ok) return err({ type: 'log-refused', fault: decoded.error });
    if (!equalBytes(accountChainHash(decoded.value.core), state.head)) return markChanged(account, from === 0 ? 'genesis' : 'fork');
    if (more.length === 0) return ok(known);
    const extended = await extendAccountLog(state, more);
    if (!extended.ok) return err({ type: 'log-refused', fault: extended.error.fault });
    return ok(await keep({ ...known, entries: [...known.entries, ...more], state: extended.value }));
  }

  async function ask(account: AccountId): Promise<Result<KnownAccount, AccountsFault>> {
    const known = await kept(account);
    const answer = await api.accountLog(account, known ? known.state.height : 0);
    if (!answer.ok) {
      // A server that forgot an account it showed us has gone back behind what it said.
      if (known && answer.error.type === 'api' && answer.error.name === 'not-found') return markChanged(account, 'rollback');
      return err(apiToAccountsFault(answer.error));
    }
    if (answer.value.account !== account) return err({ type: 'log-refused', fault: 'wrong-account' });
    if (known) return extend(known, answer.value);
    const handle = parseHandle(answer.value.handle);
    if (!handle || answer.value.from !== 0) return err({ type: 'failed', detail: 'other-handle' });
    return claimed(handle, account) ?? takeFirst(account, handle, answer.value.entries);
  }

  async function takeFirst(account: AccountId, handle: Handle, entries: readonly Bytes[]): Promise<Result<KnownAccount, AccountsFault>> {
    const taken = await take(account, handle, entries);
    if (taken.ok && owners.get(handle) !== account) {
      owners.set(handle, account);
      await keepChanges();
    }
    return taken;
  }

  /** A handle that was somebody else's is an identity that changed. */
  function claimed(handle: string, account: AccountId): Promise<Result<never, AccountsFault>> | undefined {
    const owner = owners.get(handle);
    return owner !== undefined && owner !== account ? markChanged(owner, 'handle') : undefined;
  }

  function check(account: AccountId): Promise<Result<KnownAccount, AccountsFault>> {
    let asked = underWay.get(account);
    if (!asked) {
      asked = ask(account).finally(() => underWay.delete(account));
      underWay.set(account, asked);
    }
    return asked;
  }

  async function findByHandle(text: string): Promise<Result<KnownAccount, AccountsFault>> {
    const found = await lookUp(text, undefined);
    assert(found !== 'invite-mismatch', 'only an invitation can mismatch');
    return found;
  }

  /** With an invitation, another account is refused before anything of it is kept. */
  async function lookUp(text: string, invitation: Invitation | undefined): Promise<Result<KnownAccount, AccountsFault> | 'invite-mismatch'> {
    const handle = parseHandle(text);
    if (!handle) return err({ type: 'handle-invalid' });
    const answer = await api.accountLogByHandle(handle);
    if (!answer.ok) return err(apiToAccountsFault(answer.error));
    const { account, entries } = answer.value;
    if (answer.value.handle !== handle || answer.value.from !== 0) return err({ type: 'failed', detail: 'other-handle' });
    if (invitation) {
      const genesis = entries[0] && decodeAccountEntry(entries[0]);
      if (!genesis?.ok || !inviteMatches(invitation, accountChainHash(genesis.value.core))) return 'invite-mismatch';
    }
    const other = claimed(handle, account);
    if (other) return other;
    const known = await kept(account);
    if (!known) return takeFirst(account, handle, entries);
    // The same bytes as by id: from the newest known entry on.
    return extend(known, { from: known.state.height, entries: entries.slice(known.state.height) });
  }

  return {
    findByHandle,
    check,
    async get(account) {
      const known = await kept(account);
      if (known) return known.state;
      const fetched = await check(account);
      return fetched.ok ? fetched.value.state : undefined;
    },
    async refresh(account, atLeastHeight) {
      const known = await kept(account);
      if (known && atLeastHeight !== undefined && known.state.height >= atLeastHeight) return known.state;
      const fetched = await check(account);
      return fetched.ok ? fetched.value.state : known?.state;
    },
    async acceptInvite(text) {
      const invitation = parseInvite(text);
      if (!invitation) return err({ type: 'invite-invalid' });
      const found = await lookUp(invitation.handle, invitation);
      if (found === 'invite-mismatch') return err({ type: found });
      if (!found.ok) return found;
      // The answer's first entry matched; for an account known before, what is known must match too.
      return inviteMatches(invitation, found.value.state.genesisHash) ? found : err({ type: 'invite-mismatch' });
    },
    known: kept,
    changed: () => changed,
    async acceptIdentity(account) {
      const known = await kept(account);
      const change = changed.get(account);
      const answer = change === 'handle' && known ? await api.accountLogByHandle(known.handle) : await api.accountLog(account, 0);
      if (!answer.ok) return err(apiToAccountsFault(answer.error));
      const handle = known?.handle ?? answer.value.handle;
      if (change !== 'handle' && answer.value.account !== account) return err({ type: 'log-refused', fault: 'wrong-account' });
      memory.delete(account);
      const taken = await take(answer.value.account, handle, answer.value.entries);
      if (!taken.ok) return taken;
      changed.delete(account);
      owners.set(handle, answer.value.account);
      await keepChanges();
      return taken;
    },
    async addOwn(account, entries) {
      const known = await kept(account);
      if (!known) return;
      const extended = await extendAccountLog(known.state, entries);
      if (extended.ok) await keep({ ...known, entries: [...known.entries, ...entries], state: extended.value });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function apiToAccountsFault(failure: ApiFailure): AccountsFault {
  if (failure.type === 'offline') return { type: 'offline' };
  if (failure.type === 'bad-answer') return { type: 'failed', detail: `bad-answer ${failure.fault}` };
  if (failure.name === 'not-found') return { type: 'not-found' };
  if (failure.name === 'too-many') return { type: 'too-many', retryInSeconds: failure.number };
  return { type: 'failed', detail: failure.name };
}
