/**
 * OPAQUE's server half: the server checks a password it never sees (RFC 9807).
 *
 * Somebody who asks for an account that is not there gets a made-up answer of the same length for the
 * same work, in both steps. Between the two steps an attempt waits here, for a short time, once.
 */
import { ready, server } from '@serenity-kit/opaque';
import type { AccountId, Handle } from '#lib/protocol/ids.ts';
import { base64urlToBytes, bytesToBase64url, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export interface Passwords {
  readonly serverPublicKey: string;
  readonly registerStart: (handle: Handle, registrationRequest: string) => Result<string, 'malformed'>;
  /** Whether this can be a registration record. */
  readonly isRecord: (record: string) => boolean;
  /** `known` is undefined for an account that is not there. */
  readonly loginStart: (handle: Handle, known: { readonly account: AccountId; readonly record: string } | undefined, loginRequest: string) =>
    Result<{ readonly loginId: Bytes; readonly loginResponse: string }, 'malformed'>;
  readonly loginFinish: (loginId: Bytes, loginFinish: string) => Result<AccountId, 'wrong-credentials'>;
}

/** Both sides name the server so; the client's name is its handle. */
export const opaqueServerName = 'godwit';
const recordSizeBytes = 192;
/** A slow phone stretches a password for some seconds. */
const attemptLifeMs = 120_000;
/** Waiting attempts, about 1 KB each; the oldest goes first. */
const attemptsMax = 10_000;

export async function makeOpaqueServerSetup(): Promise<string> {
  await ready;
  return server.createSetup();
}

export interface PasswordsDeps {
  readonly serverSetup: string;
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  /** The library, so that a test can count what it is asked. */
  readonly opaque?: OpaqueServer;
}

export type OpaqueServer = Pick<typeof server, 'createRegistrationResponse' | 'startLogin' | 'finishLogin' | 'getPublicKey'>;

/** Throws when `serverSetup` is none. */
export async function openPasswords({ serverSetup, clock, random, opaque = server }: PasswordsDeps): Promise<Passwords> {
  await ready;
  const attempts = new Map<string, { readonly state: string; readonly handle: Handle; readonly account: AccountId | undefined; readonly until: number }>();

  function forgetOld(): void {
    const now = clock.now();
    for (const [id, { until }] of attempts) {
      if (until > now && attempts.size < attemptsMax) break;
      attempts.delete(id);
    }
  }

  return {
    serverPublicKey: opaque.getPublicKey(serverSetup),

    registerStart(handle, registrationRequest) {
      try {
        return ok(opaque.createRegistrationResponse({ serverSetup, userIdentifier: handle, registrationRequest }).registrationResponse);
      } catch {
        return err('malformed'); // the library throws prose for bytes outside the protocol
      }
    },

    isRecord: (record) => base64urlToBytes(record)?.length === recordSizeBytes,

    loginStart(handle, known, startLoginRequest) {
      try {
        const { serverLoginState, loginResponse } = opaque.startLogin({
          serverSetup, userIdentifier: handle, registrationRecord: known?.record, startLoginRequest, identifiers: identifiersOf(handle),
        });
        forgetOld();
        const loginId = random.bytes(16);
        attempts.set(bytesToBase64url(loginId), { state: serverLoginState, handle, account: known?.account, until: clock.now() + attemptLifeMs });
        return ok({ loginId, loginResponse });
      } catch {
        return err('malformed'); // as above; an unknown account takes the same path
      }
    },

    loginFinish(loginId, finishLoginRequest) {
      const id = bytesToBase64url(loginId);
      const attempt = attempts.get(id);
      attempts.delete(id);
      if (!attempt || attempt.until <= clock.now()) return err('wrong-credentials');
      try {
        opaque.finishLogin({ serverLoginState: attempt.state, finishLoginRequest, identifiers: identifiersOf(attempt.handle) });
      } catch {
        return err('wrong-credentials'); // a wrong password and a made-up account fail here alike
      }
      return attempt.account ? ok(attempt.account) : err('wrong-credentials');
    },
  };
}

function identifiersOf(handle: Handle) {
  return { client: handle, server: opaqueServerName };
}
