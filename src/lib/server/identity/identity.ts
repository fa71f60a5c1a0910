/**
 * The server's half of identity: sign-in by password (OPAQUE) or recovery words, sessions, and the
 * tokens that admit a sync socket.
 *
 * An unknown account and a wrong secret are answered alike, in words, length and cost. Guesses are
 * counted by the name guessed at and by where they come from.
 */
import { equalSecrets, sha256, verify } from '#lib/crypto/primitives.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import { idToBytes, parseHandle, type AccountId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Bus } from '../bus/port.ts';
import { fault, type ApiFault } from '../fault.ts';
import type { ServerLimits } from '../limits.ts';
import type { DirectoryStore } from '../store/port.ts';
import type { Passwords } from './passwords.ts';
import type { CookieHeader, Sessions, SignedIn } from './sessions.ts';
import type { SyncTokenClaims, SyncTokens } from './sync-token.ts';

export type { CookieHeader, SignedIn } from './sessions.ts';

/** `address` is where the request came from, as limits count it. */
export interface Identity {
  readonly registerStart: (input: { readonly handle: string; readonly registrationRequest: string; readonly address: string }) =>
    Promise<Result<{ readonly registrationResponse: string; readonly serverPublicKey: string }, ApiFault>>;
  readonly isRecord: (registrationRecord: string) => boolean;
  readonly loginStart: (input: { readonly handle: string; readonly loginRequest: string; readonly address: string }) =>
    Promise<Result<{ readonly loginId: Bytes; readonly loginResponse: string }, ApiFault>>;
  readonly loginFinish: (input: { readonly loginId: Bytes; readonly loginFinish: string }) => Promise<Result<{ readonly account: AccountId }, ApiFault>>;
  readonly loginRecovery: (input: { readonly handle: string; readonly recoveryProof: Bytes; readonly address: string }) => Promise<Result<{ readonly account: AccountId }, ApiFault>>;

  /** A new session; one the browser had before ends. */
  readonly signIn: (account: AccountId, device: DeviceId | undefined, before: SignedIn | undefined) => Promise<CookieHeader>;
  /** The same sign-in under a new id, after what it rests on has changed. */
  readonly renew: (by: SignedIn) => Promise<CookieHeader>;
  /** Who the request's cookie names, and a cookie to set when the session was extended or is no more. */
  readonly whoIs: (cookieHeader: string | null) => Promise<{ readonly by: SignedIn | undefined; readonly cookie: CookieHeader | undefined }>;
  /** For an entry of the account log that added the caller's device. */
  readonly bindDevice: (by: SignedIn, device: DeviceId) => Promise<void>;
  /** What a device signs to take over a session that has none. */
  readonly bindChallenge: (by: SignedIn) => Bytes;
  readonly takeOver: (by: SignedIn, device: DeviceId, signature: Bytes) => Promise<Result<void, ApiFault>>;
  readonly signOut: (by: SignedIn) => Promise<CookieHeader>;
  readonly signOutEverywhere: (by: SignedIn) => Promise<CookieHeader>;
  /** Ends every session of the account but the asking one, and their sockets. */
  readonly endOthers: (by: SignedIn) => Promise<void>;
  /** Ends the sessions of a device that was revoked, and its sockets. */
  readonly endDevice: (account: AccountId, device: DeviceId) => Promise<void>;

  readonly syncToken: (by: SignedIn) => Promise<Result<{ readonly token: string; readonly expiresAt: number }, ApiFault>>;
  /** Signature, times and audience, and that the session still lives with that device. */
  readonly verifySyncToken: (token: string) => Promise<Result<SyncTokenClaims, 'bad-token'>>;
}

export interface IdentityDeps {
  readonly store: DirectoryStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly limits: ServerLimits;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly tokens: SyncTokens;
  readonly accountState: (account: AccountId) => Promise<AccountState | undefined>;
}

/** Compared with when there is no such account: nobody knows what hashes to zeros. */
const nobodysHash: Bytes = new Uint8Array(32);
const challengeLabel = 'app/session-challenge/v1';
const bindPurpose = 'app/session-device/v1';

export function createIdentity({ store, bus, clock, limits, passwords, sessions, tokens, accountState }: IdentityDeps): Identity {
  async function mayGuess(handle: Handle, address: string): Promise<Result<void, ApiFault>> {
    const byAddress = await limits.take('signInAddress', address);
    const byHandle = await limits.take('signInHandle', handle);
    const refused = !byAddress.ok ? byAddress : !byHandle.ok ? byHandle : undefined;
    return refused ? fault('too-many', '', refused.error.seconds) : ok(undefined);
  }

  function bindChallenge(by: SignedIn): Bytes {
    return sha256(textToBytes(challengeLabel), textToBytes(by.sessionHash));
  }

  async function signIn(account: AccountId, device: DeviceId | undefined, before: SignedIn | undefined): Promise<CookieHeader> {
    const cookie = await sessions.create(account, device);
    if (before) await sessions.end(before.sessionHash);
    return cookie;
  }

  return {
    async registerStart({ handle: text, registrationRequest, address }) {
      const handle = parseHandle(text);
      if (!handle) return fault('malformed', 'handle');
      const allowed = await limits.take('registerAddress', address);
      if (!allowed.ok) return fault('too-many', '', allowed.error.seconds);
      const started = passwords.registerStart(handle, registrationRequest);
      return started.ok ? ok({ registrationResponse: started.value, serverPublicKey: passwords.serverPublicKey }) : fault('malformed', 'registration-request');
    },

    isRecord: passwords.isRecord,

    async loginStart({ handle: text, loginRequest, address }) {
      const handle = parseHandle(text);
      if (!handle) return fault('malformed', 'handle');
      const allowed = await mayGuess(handle, address);
      if (!allowed.ok) return allowed;
      const row = await store.accountByHandle(handle);
      const started = passwords.loginStart(handle, row && { account: row.account, record: row.registrationRecord }, loginRequest);
      return started.ok ? started : fault('malformed', 'login-request');
    },

    async loginFinish({ loginId, loginFinish }) {
      const finished = passwords.loginFinish(loginId, loginFinish);
      return finished.ok ? ok({ account: finished.value }) : fault('wrong-credentials');
    },

    async loginRecovery({ handle: text, recoveryProof, address }) {
      const handle = parseHandle(text);
      if (!handle) return fault('malformed', 'handle');
      const allowed = await mayGuess(handle, address);
      if (!allowed.ok) return allowed;
      const row = await store.accountByHandle(handle);
      const isRight = equalSecrets(sha256(recoveryProof), row?.recoveryProofHash ?? nobodysHash);
      return isRight && row ? ok({ account: row.account }) : fault('wrong-credentials');
    },

    signIn,
    renew: (by) => signIn(by.account, by.device, by),
    whoIs: sessions.find,
    bindDevice: (by, device) => sessions.bind(by.sessionHash, device),
    bindChallenge,

    async takeOver(by, device, signature) {
      if (by.device !== undefined && by.device !== device) return fault('refused', 'has-device');
      const record = (await accountState(by.account))?.devices.get(device);
      if (!record || record.revokedAt !== undefined) return fault('refused', 'device-unknown');
      const message = concatBytes(idToBytes(by.account), idToBytes(device), bindChallenge(by));
      if (!(await verify(record.signPublicKey, bindPurpose, message, signature))) return fault('refused', 'wrong-signature');
      await sessions.bind(by.sessionHash, device);
      return ok(undefined);
    },

    async signOut(by) {
      await sessions.end(by.sessionHash);
      if (by.device) bus.publish([`u:${by.account}`], { type: 'revoked', account: by.account, device: by.device });
      return sessions.blankCookie();
    },
    async signOutEverywhere(by) {
      await sessions.endAll(by.account);
      bus.publish([`u:${by.account}`], { type: 'revoked', account: by.account, device: undefined });
      return sessions.blankCookie();
    },
    async endOthers(by) {
      const others = (await store.sessionsOf(by.account)).filter(({ idHash }) => idHash !== by.sessionHash);
      for (const { idHash } of others) await store.deleteSession(idHash);
      for (const device of new Set(others.flatMap((other) => other.device ?? []))) {
        if (device !== by.device) bus.publish([`u:${by.account}`], { type: 'revoked', account: by.account, device });
      }
    },
    async endDevice(account, device) {
      await sessions.endDevice(account, device);
      bus.publish([`u:${account}`], { type: 'revoked', account, device });
    },

    async syncToken(by) {
      if (!by.device) return fault('no-device');
      return ok(await tokens.issue({ account: by.account, device: by.device, sessionHash: by.sessionHash }));
    },

    async verifySyncToken(token) {
      const claims = await tokens.verify(token);
      if (!claims.ok) return claims;
      const session = await store.session(claims.value.sessionHash);
      const isLive = session !== undefined && session.account === claims.value.account && session.device === claims.value.device && session.expiresAt > clock.now();
      return isLive ? claims : err('bad-token');
    },
  };
}
