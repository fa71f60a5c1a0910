/**
 * The server's half of accounts: it keeps logs, vaults and sealed profiles, checks that every log
 * entry follows the rules of `chains`, and can read none of what is sealed.
 */
import { decodeAccountEntry, extendAccountLog, replayAccountLog } from '#lib/chains/account-log.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import { meetsNeed, type AccountLookup } from '#lib/chains/lookup.ts';
import { parseHandle, type AccountId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import { ok, unwrap, type Result } from '#lib/std/result.ts';
import type { Bus, BusChannel } from './bus/port.ts';
import { createCache } from './cache.ts';
import { fault, type ApiFault } from './fault.ts';
import type { SignedIn } from './identity/sessions.ts';
import type { ServerLimits } from './limits.ts';
import type { DirectoryStore, UekWrapRow } from './store/port.ts';

export interface RegisterInput {
  readonly handle: string;
  readonly registrationRecord: string;
  readonly genesis: Bytes;
  readonly recoveryProofHash: Bytes;
  readonly vault: Bytes;
  readonly uekWraps: readonly UekWrapRow[];
}

export interface Accounts {
  /** The vault's version is 1 then. */
  readonly register: (input: RegisterInput, address: string) => Promise<Result<{ readonly account: AccountId; readonly device: DeviceId }, ApiFault>>;
  readonly logByHandle: (by: SignedIn, handle: string, address: string) => Promise<Result<AccountLogAnswer, ApiFault>>;
  readonly logById: (by: SignedIn, account: AccountId, from: number, address: string) => Promise<Result<AccountLogAnswer, ApiFault>>;
  /** `addedDevice` is the newest device the entries added, for the caller's session. */
  readonly appendLog: (by: SignedIn, height: number, entries: readonly Bytes[], uekWraps: readonly UekWrapRow[]) =>
    Promise<Result<{ readonly height: number; readonly addedDevice: DeviceId | undefined }, ApiFault>>;
  readonly uekWraps: (by: SignedIn) => Promise<Result<readonly UekWrapRow[], ApiFault>>;
  readonly vault: (by: SignedIn) => Promise<Result<{ readonly version: number; readonly vault: Bytes }, ApiFault>>;
  readonly putVault: (by: SignedIn, version: number, vault: Bytes) => Promise<Result<void, ApiFault>>;
  readonly changePassword: (by: SignedIn, record: string, version: number, vault: Bytes) => Promise<Result<void, ApiFault>>;
  readonly profile: (by: SignedIn, account: AccountId, address: string) => Promise<Result<{ readonly version: number; readonly sealed: Bytes }, ApiFault>>;
  readonly putProfile: (by: SignedIn, version: number, sealed: Bytes) => Promise<Result<void, ApiFault>>;
  /** The replayed log as it is now; undefined when there is no such account. */
  readonly state: (account: AccountId) => Promise<AccountState | undefined>;
  /** For judging a group entry: what was replayed before is enough when it covers the need. */
  readonly lookup: AccountLookup;
}

export interface AccountLogAnswer {
  readonly account: AccountId;
  readonly handle: Handle;
  readonly from: number;
  readonly entries: readonly Bytes[];
}

export interface AccountsDeps {
  readonly store: DirectoryStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly limits: ServerLimits;
  readonly isRecord: (registrationRecord: string) => boolean;
  /** Ends the sessions and sockets of a device that was revoked. */
  readonly endDevice: (account: AccountId, device: DeviceId) => Promise<void>;
}

/** Log entries over all replayed accounts kept in memory; an entry's state is some 500 bytes. */
const entriesKeptMax = 100_000;
/** Whom a moved log or profile is told to; the others see it when they next look. */
const companionsToldMax = 5_000;

export function createAccounts({ store, bus, clock, limits, isRecord, endDevice }: AccountsDeps): Accounts {
  const replayed = createCache<AccountId, AccountState>({ weightMax: entriesKeptMax, weigh: (state) => state.heads.length });

  async function state(account: AccountId): Promise<AccountState | undefined> {
    const row = await store.accountById(account);
    if (!row) return undefined;
    const known = replayed.get(account);
    if (known?.height === row.logHeight) return known;
    const entries = await store.accountLog(account, known ? known.height + 1 : 0);
    const now = unwrap(known ? await extendAccountLog(known, entries) : await replayAccountLog(account, entries), 'broken promise: a stored account log replays');
    replayed.set(account, now);
    return now;
  }

  async function companions(account: AccountId): Promise<readonly BusChannel[]> {
    return [account, ...(await store.companions(account, companionsToldMax))].map((other): BusChannel => `u:${other}`);
  }

  async function mayWrite(by: SignedIn): Promise<Result<void, ApiFault>> {
    const allowed = await limits.take('accountWrite', by.account);
    return allowed.ok ? ok(undefined) : fault('too-many', '', allowed.error.seconds);
  }

  async function mayLookUp(by: SignedIn, address: string): Promise<Result<void, ApiFault>> {
    const byAccount = await limits.take('lookupAccount', by.account);
    const byAddress = await limits.take('lookupAddress', address);
    const refused = !byAccount.ok ? byAccount : !byAddress.ok ? byAddress : undefined;
    return refused ? fault('too-many', '', refused.error.seconds) : ok(undefined);
  }

  return {
    async register({ handle: text, registrationRecord, genesis, recoveryProofHash, vault, uekWraps }, address) {
      const handle = parseHandle(text);
      if (!handle) return fault('malformed', 'handle');
      if (!isRecord(registrationRecord)) return fault('malformed', 'registration-record');
      const allowed = await limits.take('registerAddress', address);
      if (!allowed.ok) return fault('too-many', '', allowed.error.seconds);
      const decoded = decodeAccountEntry(genesis);
      if (!decoded.ok) return fault('refused', decoded.error);
      const { account, body } = decoded.value;
      const replay = await replayAccountLog(account, [genesis]);
      if (!replay.ok || body.kind !== 'genesis') return fault('refused', replay.ok ? 'not-genesis' : replay.error.fault);
      if (!wrapsFit(replay.value, uekWraps)) return fault('refused', 'wrong-wrap');

      const created = await store.createAccount({ account, handle, registrationRecord, recoveryProofHash, genesis, vault, uekWraps, now: clock.now() });
      if (created.ok) return ok({ account, device: body.device.id });
      return created.error === 'handle-taken' ? fault('handle-taken') : fault('refused', 'account-exists');
    },

    async logByHandle(by, text, address) {
      const allowed = await mayLookUp(by, address);
      if (!allowed.ok) return allowed;
      const handle = parseHandle(text);
      const row = handle && (await store.accountByHandle(handle));
      if (!row) return fault('not-found');
      return ok({ account: row.account, handle: row.handle, from: 0, entries: await store.accountLog(row.account, 0) });
    },

    async logById(by, account, from, address) {
      const allowed = await mayLookUp(by, address);
      if (!allowed.ok) return allowed;
      const row = await store.accountById(account);
      if (!row) return fault('not-found');
      return ok({ account: row.account, handle: row.handle, from, entries: await store.accountLog(account, from) });
    },

    async appendLog(by, height, entries, uekWraps) {
      const allowed = await mayWrite(by);
      if (!allowed.ok) return allowed;
      const before = await state(by.account);
      if (!before) return fault('not-found');
      if (height !== before.height + 1) {
        const stored = height <= before.height ? (await store.accountLog(by.account, height)).slice(0, entries.length) : [];
        const isRetry = stored.length === entries.length && entries.every((entry, i) => equalBytes(entry, stored[i]!));
        // Logs are public: bytes that are there already prove nothing about who sends them again, and bind no device.
        return isRetry ? ok({ height: height + entries.length - 1, addedDevice: undefined }) : fault('conflict', '', before.height);
      }
      const extended = await extendAccountLog(before, entries);
      if (!extended.ok) return fault('refused', extended.error.fault);
      const now = extended.value;
      if (!wrapsFit(now, uekWraps)) return fault('refused', 'wrong-wrap');
      const appended = await store.appendAccountEntries(by.account, height, entries, uekWraps, clock.now());
      if (!appended.ok) return fault('conflict', '', appended.error.height);
      replayed.set(by.account, now);

      for (const device of now.devices.values()) if (device.revokedAt !== undefined && device.revokedAt >= height) await endDevice(by.account, device.id);
      bus.publish(await companions(by.account), { type: 'account', account: by.account, height: now.height });
      return ok({ height: now.height, addedDevice: newestAdded(entries) });
    },

    async uekWraps(by) {
      return by.device ? ok(await store.uekWraps(by.account, by.device)) : fault('no-device');
    },

    async vault(by) {
      const found = await store.vault(by.account);
      return found ? ok(found) : fault('not-found');
    },
    async putVault(by, version, vault) {
      const allowed = await mayWrite(by);
      if (!allowed.ok) return allowed;
      const put = await store.putVault(by.account, version, vault);
      return put.ok ? put : fault('conflict', '', put.error.version);
    },
    async changePassword(by, record, version, vault) {
      if (!isRecord(record)) return fault('malformed', 'registration-record');
      const allowed = await mayWrite(by);
      if (!allowed.ok) return allowed;
      const put = await store.changePassword(by.account, record, version, vault);
      return put.ok ? put : fault('conflict', '', put.error.version);
    },

    async profile(by, account, address) {
      const allowed = await mayLookUp(by, address);
      if (!allowed.ok) return allowed;
      const found = await store.profile(account);
      return found ? ok(found) : fault('not-found');
    },
    async putProfile(by, version, sealed) {
      const allowed = await mayWrite(by);
      if (!allowed.ok) return allowed;
      if (!(await store.putProfile(by.account, version, sealed))) return fault('conflict', '', (await store.profile(by.account))?.version ?? 0);
      bus.publish(await companions(by.account), { type: 'profile', account: by.account });
      return ok(undefined);
    },

    state,
    lookup(account, need) {
      const known = replayed.get(account);
      return meetsNeed(known, need) ? known : state(account);
    },
  };
}

/** Every wrap is of a generation the log names, for a device in use. */
function wrapsFit(state: AccountState, wraps: readonly UekWrapRow[]): boolean {
  const generations = new Set(state.ueks.map((uek) => uek.gen));
  return wraps.every(({ device, gen }) => {
    const record = state.devices.get(device);
    return generations.has(gen) && record !== undefined && record.revokedAt === undefined;
  });
}

function newestAdded(entries: readonly Bytes[]): DeviceId | undefined {
  return entries.map((entry) => decodeAccountEntry(entry)).flatMap((entry) => (entry.ok && entry.value.body.kind === 'add_device' ? [entry.value.body.device.id] : [])).at(-1);
}
