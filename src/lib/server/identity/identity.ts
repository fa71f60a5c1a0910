/**
 * The server's half of identity: sign-in by password (OPAQUE) or recovery words, sessions, and the
 * tokens that admit a sync socket.
 */
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { ApiFault } from '../fault.ts';
import type { SignedIn } from './sessions.ts';
import type { SyncTokenClaims } from './sync-token.ts';

/** A `Set-Cookie` header for the answer. */
export type CookieHeader = string;

export interface Identity {
  readonly registerStart: (handle: string, registrationRequest: string) => Promise<Result<{ readonly registrationResponse: string; readonly serverPublicKey: string }, ApiFault>>;
  readonly loginStart: (handle: string, loginRequest: string) => Promise<Result<{ readonly loginId: Bytes; readonly loginResponse: string }, ApiFault>>;
  readonly loginFinish: (loginId: Bytes, loginFinish: string) => Promise<Result<{ readonly account: AccountId }, ApiFault>>;
  readonly loginRecovery: (handle: string, recoveryProof: Bytes) => Promise<Result<{ readonly account: AccountId }, ApiFault>>;

  /** A new session; one the browser had before ends. */
  readonly signIn: (account: AccountId, device: DeviceId | undefined, before: SignedIn | undefined) => Promise<CookieHeader>;
  /** Who the request's cookie names, and a cookie to set when it was extended. */
  readonly whoIs: (cookieHeader: string | null) => Promise<{ readonly by: SignedIn | undefined; readonly cookie: CookieHeader | undefined }>;
  readonly bindDevice: (by: SignedIn, device: DeviceId) => Promise<void>;
  readonly signOut: (by: SignedIn) => Promise<CookieHeader>;
  readonly signOutEverywhere: (account: AccountId) => Promise<CookieHeader>;
  readonly endDevice: (account: AccountId, device: DeviceId) => Promise<void>;

  readonly syncToken: (by: SignedIn) => Promise<Result<{ readonly token: string; readonly expiresAt: number }, ApiFault>>;
  /** Signature, times and audience, and that the session still lives with that device. */
  readonly verifySyncToken: (token: string) => Promise<Result<SyncTokenClaims, 'bad-token'>>;
}
