/**
 * Signed-in browsers, by Lucia. The id of a session is only in its cookie; the store keeps its
 * SHA-256, so a copy of the database opens no session.
 *
 * A sign-in always makes a new session and ends the one the browser had. A session used in the second
 * half of its life is extended, and its cookie with it. Lucia reads the machine's own clock.
 */
import { Lucia, TimeSpan, type Adapter, type DatabaseSession } from 'lucia';
import { sha256 } from '#lib/crypto/primitives.ts';
import type { AccountId, DeviceId, Handle } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { bytesToHex, textToBytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { DirectoryStore } from '../store/port.ts';

/** Who is asking, as the session cookie proves. */
export interface SignedIn {
  readonly account: AccountId;
  readonly handle: Handle;
  /** Undefined until the browser's device stands in the account log. */
  readonly device: DeviceId | undefined;
  /** Hex of the SHA-256 of the session id. */
  readonly sessionHash: string;
}

/** A `Set-Cookie` header for the answer. */
export type CookieHeader = string;

export interface Sessions {
  readonly create: (account: AccountId, device: DeviceId | undefined) => Promise<CookieHeader>;
  /** Who the cookie names, and a cookie to set when the session was extended or is no more. */
  readonly find: (cookieHeader: string | null) => Promise<{ readonly by: SignedIn | undefined; readonly cookie: CookieHeader | undefined }>;
  readonly bind: (sessionHash: string, device: DeviceId) => Promise<void>;
  readonly end: (sessionHash: string) => Promise<void>;
  readonly endAll: (account: AccountId) => Promise<void>;
  readonly endDevice: (account: AccountId, device: DeviceId) => Promise<void>;
  readonly endExpired: () => Promise<void>;
  /** Takes the cookie away. */
  readonly blankCookie: () => CookieHeader;
}

/** A messenger stays signed in; half unused and it is gone. */
const sessionLife = new TimeSpan(90, 'd');

declare module 'lucia' {
  interface Register {
    Lucia: Lucia<SessionAttributes, UserAttributes>;
    UserId: AccountId;
    DatabaseSessionAttributes: SessionAttributes;
    DatabaseUserAttributes: UserAttributes;
  }
}

interface SessionAttributes {
  readonly device: DeviceId | undefined;
}

interface UserAttributes {
  readonly handle: Handle;
}

export interface SessionsDeps {
  readonly store: DirectoryStore;
  readonly clock: Clock;
  /** Whether people reach us by https: then the cookie goes nowhere else, and to this host alone. */
  readonly secure: boolean;
}

export function createSessions({ store, clock, secure }: SessionsDeps): Sessions {
  const lucia = new Lucia<SessionAttributes, UserAttributes>(adapt(store, clock), {
    sessionExpiresIn: sessionLife,
    sessionCookie: { name: secure ? '__Host-godwit' : 'godwit', attributes: { secure, sameSite: 'strict', path: '/' } },
    getSessionAttributes: ({ device }) => ({ device }),
    getUserAttributes: ({ handle }) => ({ handle }),
  });
  const blankCookie = () => lucia.createBlankSessionCookie().serialize();

  return {
    async create(account, device) {
      const session = await lucia.createSession(account, { device });
      return lucia.createSessionCookie(session.id).serialize();
    },

    async find(cookieHeader) {
      const id = cookieHeader ? lucia.readSessionCookie(cookieHeader) : null;
      if (!id) return { by: undefined, cookie: undefined };
      const { session, user } = await lucia.validateSession(id);
      if (!session) return { by: undefined, cookie: blankCookie() };
      return {
        by: { account: user.id, handle: user.handle, device: session.device, sessionHash: hashOf(id) },
        cookie: session.fresh ? lucia.createSessionCookie(id).serialize() : undefined,
      };
    },

    bind: store.bindSession,
    end: store.deleteSession,
    endAll: store.deleteSessionsOf,
    async endDevice(account, device) {
      for (const session of await store.sessionsOf(account)) if (session.device === device) await store.deleteSession(session.idHash);
    },
    endExpired: () => lucia.deleteExpiredSessions(),
    blankCookie,
  };
}

/** Lucia's storage over ours. Ids become hashes here; Lucia sees the id that was presented, or a hash where nobody presented one. */
function adapt(store: DirectoryStore, clock: Clock): Adapter {
  return {
    async getSessionAndUser(id) {
      const row = await store.session(hashOf(id));
      if (!row) return [null, null];
      const account = await store.accountById(row.account);
      const session: DatabaseSession = { id, userId: row.account, expiresAt: new Date(row.expiresAt), attributes: { device: row.device } };
      return [session, account ? { id: account.account, attributes: { handle: account.handle } } : null];
    },
    async getUserSessions(userId) {
      return (await store.sessionsOf(userId)).map((row) =>
        ({ id: row.idHash, userId: row.account, expiresAt: new Date(row.expiresAt), attributes: { device: row.device } }));
    },
    setSession({ id, userId, expiresAt, attributes }) {
      assert(id.length >= 32, 'a session id holds 160 bits and more');
      return store.putSession({ idHash: hashOf(id), account: userId, device: attributes.device, expiresAt: expiresAt.getTime(), createdAt: clock.now() });
    },
    updateSessionExpiration: (id, expiresAt) => store.extendSession(hashOf(id), expiresAt.getTime()),
    deleteSession: (id) => store.deleteSession(hashOf(id)),
    deleteUserSessions: store.deleteSessionsOf,
    async deleteExpiredSessions() {
      await store.deleteExpiredSessions(clock.now());
    },
  };
}

function hashOf(sessionId: string): string {
  return bytesToHex(sha256(textToBytes(sessionId)));
}
