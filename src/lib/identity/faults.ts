/**
 * Why entering or changing an account did not work, in the app's words. The shapes are those of
 * `EntryError` in app/engine-api.ts, so the engine hands them on as they are.
 */
import type { WordsFault } from '#lib/vault/recovery.ts';
import type { ApiFailure } from './api-client.ts';

export type EntryFault =
  | { readonly type: 'handle-invalid' | 'handle-taken' | 'password-short' | 'password-long' | 'wrong-credentials' | 'offline' | 'too-many-devices' }
  /** This device was shut out: its own signed account log says so. */
  | { readonly type: 'device-revoked' }
  | { readonly type: 'words-invalid'; readonly reason: WordsFault }
  | { readonly type: 'too-many'; readonly retryInSeconds: number }
  /** What the server handed out contradicts what was signed or sealed; `detail` is one of TamperSign. */
  | { readonly type: 'server-tampered'; readonly detail: TamperSign }
  | { readonly type: 'failed'; readonly detail: string };

export type TamperSign =
  /** An older vault than the account log pins, or another one under the same version. */
  | 'vault-rolled-back' | 'vault-swapped'
  /** The vault does not open, or was written by no device of the account. */
  | 'vault-damaged' | 'vault-forged'
  /** The vault lacks a key the account log names, or holds another one in its place. */
  | 'vault-keys'
  /** The account log does not verify, is another account's, or goes back behind what was known. */
  | 'account-log' | 'account-swapped' | 'account-rolled-back'
  /** OPAQUE finished with another server key than the one known. */
  | 'server-key';

export function tampered(detail: TamperSign): { readonly type: 'server-tampered'; readonly detail: TamperSign } {
  return { type: 'server-tampered', detail };
}

export function apiToEntryFault(failure: ApiFailure): EntryFault {
  if (failure.type === 'offline') return { type: 'offline' };
  if (failure.type === 'bad-answer') return { type: 'failed', detail: `bad-answer ${failure.fault}` };
  switch (failure.name) {
    case 'wrong-credentials':
    case 'handle-taken':
      return { type: failure.name };
    case 'too-many':
      return { type: 'too-many', retryInSeconds: failure.number };
    case 'refused':
      if (failure.detail === 'too-many-devices') return { type: 'too-many-devices' };
      return { type: 'failed', detail: `refused ${failure.detail}` };
    default:
      return { type: 'failed', detail: failure.name };
  }
}
