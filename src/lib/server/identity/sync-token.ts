/**
 * Sync tokens admit a socket: ES256 JWTs of five minutes, audience `sync`, for one account, device
 * and session. Any node that holds the key checks them; whether the session still lives is asked of
 * the store besides.
 */
import { exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT, type JWK, type JWTPayload } from 'jose';
import { parseId, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Clock } from '#lib/std/clock.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export interface SyncTokenClaims {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly sessionHash: string;
}

export interface SyncTokens {
  readonly issue: (claims: SyncTokenClaims) => Promise<{ readonly token: string; readonly expiresAt: number }>;
  readonly verify: (token: string) => Promise<Result<SyncTokenClaims, 'bad-token'>>;
}

const algorithm = 'ES256';
const issuer = 'godwit';
const audience = 'sync';
/** Nodes' clocks may differ by this much. */
const clockToleranceSeconds = 10;

/** A new private key as JWK text, for secrets.ts. */
export async function makeSyncTokenKey(): Promise<string> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return JSON.stringify(await exportJWK(privateKey));
}

/** Throws when `key` is no ES256 private key. */
export async function openSyncTokens(key: string, clock: Clock): Promise<SyncTokens> {
  const jwk = JSON.parse(key) as JWK;
  const privateKey = await importJWK(jwk, algorithm);
  const { d: _private, ...publicJwk } = jwk;
  const publicKey = await importJWK(publicJwk, algorithm);

  return {
    async issue({ account, device, sessionHash }) {
      const issuedAt = Math.floor(clock.now() / 1_000);
      const expiresAt = issuedAt + limits.syncTokenLifeMs / 1_000;
      const token = await new SignJWT({ did: device, sid: sessionHash })
        .setProtectedHeader({ alg: algorithm }).setIssuer(issuer).setAudience(audience).setSubject(account).setIssuedAt(issuedAt).setExpirationTime(expiresAt)
        .sign(privateKey);
      return { token, expiresAt: expiresAt * 1_000 };
    },

    async verify(token) {
      let payload: JWTPayload;
      try {
        ({ payload } = await jwtVerify(token, publicKey, {
          algorithms: [algorithm], issuer, audience, clockTolerance: clockToleranceSeconds, currentDate: new Date(clock.now()),
          maxTokenAge: limits.syncTokenLifeMs / 1_000, requiredClaims: ['sub', 'did', 'sid', 'exp', 'iat'],
        }));
      } catch {
        return err('bad-token'); // jose names many reasons; a client does the same after each
      }
      const account = typeof payload.sub === 'string' ? parseId<AccountId>(payload.sub) : undefined;
      const device = typeof payload['did'] === 'string' ? parseId<DeviceId>(payload['did']) : undefined;
      const sessionHash = payload['sid'];
      return account && device && typeof sessionHash === 'string' ? ok({ account, device, sessionHash }) : err('bad-token');
    },
  };
}
