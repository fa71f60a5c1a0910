/**
 * The server's half of accounts: it keeps logs, vaults and sealed profiles, checks that every log
 * entry follows the rules of `chains`, and can read none of what is sealed.
 */
import type { AccountId, DeviceId, Handle } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import type { ApiFault } from './fault.ts';
import type { SignedIn } from './identity/sessions.ts';
import type { UekWrapRow } from './store/port.ts';

export interface Accounts {
  readonly register: (input: {
    readonly handle: string; readonly registrationRecord: string; readonly genesis: Bytes;
    readonly recoveryProofHash: Bytes; readonly vault: Bytes; readonly uekWraps: readonly UekWrapRow[];
  }) => Promise<Result<{ readonly account: AccountId; readonly device: DeviceId }, ApiFault>>;
  readonly logByHandle: (handle: string) => Promise<Result<AccountLogAnswer, ApiFault>>;
  readonly logById: (account: AccountId, from: number) => Promise<Result<AccountLogAnswer, ApiFault>>;
  /** `addedDevice` is the newest device the entries added, for the caller's session. */
  readonly appendLog: (by: SignedIn, height: number, entries: readonly Bytes[], uekWraps: readonly UekWrapRow[]) =>
    Promise<Result<{ readonly height: number; readonly addedDevice: DeviceId | undefined }, ApiFault>>;
  readonly uekWraps: (by: SignedIn) => Promise<Result<readonly UekWrapRow[], ApiFault>>;
  readonly vault: (by: SignedIn) => Promise<Result<{ readonly version: number; readonly vault: Bytes }, ApiFault>>;
  readonly putVault: (by: SignedIn, version: number, vault: Bytes) => Promise<Result<void, ApiFault>>;
  readonly changePassword: (by: SignedIn, record: string, version: number, vault: Bytes) => Promise<Result<void, ApiFault>>;
  readonly profile: (account: AccountId) => Promise<Result<{ readonly version: number; readonly sealed: Bytes }, ApiFault>>;
  readonly putProfile: (by: SignedIn, version: number, sealed: Bytes) => Promise<Result<void, ApiFault>>;
  /** The replayed log, for whoever checks a signature; undefined when there is no such account. */
  readonly state: (account: AccountId) => Promise<AccountState | undefined>;
}

export interface AccountLogAnswer {
  readonly account: AccountId;
  readonly handle: Handle;
  readonly from: number;
  readonly entries: readonly Bytes[];
}
