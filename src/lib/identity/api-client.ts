/**
 * The HTTP API as typed functions: one per endpoint of protocol/api.ts, the same strict bytes both ways.
 *
 * The network arrives as `fetch`. Every call ends within its time limit and answers a Result: a network
 * that does not answer is `offline`, a server that says no is `api` with the named reason, and bytes
 * outside the agreed form are `bad-answer`. Nothing here retries; the caller knows what a retry means.
 */
import { api, apiError } from '#lib/protocol/api.ts';
import { decode, encode, type Codec, type CodecValue, type DecodeFault } from '#lib/protocol/codec.ts';
import type { ApiErrorName } from '#lib/protocol/codes.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export type ApiFailure =
  | { readonly type: 'offline' }
  /** `number`: for conflict what is there now, for too-many the seconds to wait, else 0. */
  | { readonly type: 'api'; readonly name: ApiErrorName; readonly detail: string; readonly number: number }
  | { readonly type: 'bad-answer'; readonly fault: DecodeFault };

export type ApiAnswer<T> = Promise<Result<T, ApiFailure>>;
type Request<N extends keyof typeof api> = (typeof api)[N] extends { readonly request: infer C } ? CodecValue<C> : never;
type Answer<N extends keyof typeof api> = (typeof api)[N] extends { readonly answer: infer C } ? CodecValue<C> : never;

export interface ApiClient {
  readonly registerStart: (request: Request<'registerStart'>) => ApiAnswer<Answer<'registerStart'>>;
  readonly register: (request: Request<'register'>) => ApiAnswer<Answer<'register'>>;
  readonly loginStart: (request: Request<'loginStart'>) => ApiAnswer<Answer<'loginStart'>>;
  readonly loginFinish: (request: Request<'loginFinish'>) => ApiAnswer<Answer<'loginFinish'>>;
  readonly loginRecovery: (request: Request<'loginRecovery'>) => ApiAnswer<Answer<'loginRecovery'>>;
  readonly session: () => ApiAnswer<Answer<'session'>>;
  readonly endSession: () => ApiAnswer<void>;
  readonly endAllSessions: () => ApiAnswer<void>;
  readonly endOtherSessions: () => ApiAnswer<void>;
  readonly syncToken: () => ApiAnswer<Answer<'syncToken'>>;
  /** What a device signs to take over a session that has none yet. */
  readonly bindChallenge: () => ApiAnswer<Answer<'bindDevice'>>;
  readonly bindDevice: (request: Request<'bindDevice'>) => ApiAnswer<void>;
  readonly changePassword: (request: Request<'changePassword'>) => ApiAnswer<void>;
  readonly vault: () => ApiAnswer<Answer<'vault'>>;
  readonly putVault: (request: Request<'vault'>) => ApiAnswer<void>;
  readonly accountLog: (account: AccountId, from: number) => ApiAnswer<Answer<'accountLog'>>;
  readonly accountLogByHandle: (handle: string) => ApiAnswer<Answer<'accountLog'>>;
  readonly appendAccountLog: (request: Request<'appendAccountLog'>) => ApiAnswer<Answer<'appendAccountLog'>>;
  readonly uekWraps: () => ApiAnswer<Answer<'uekWraps'>>;
  readonly profile: (account: AccountId) => ApiAnswer<Answer<'profile'>>;
  readonly putProfile: (request: Request<'profile'>) => ApiAnswer<void>;
  readonly conversations: () => ApiAnswer<Answer<'conversations'>>;
  readonly groupLog: (conversation: ConversationId, from: number) => ApiAnswer<Answer<'groupLog'>>;
  readonly appendGroupLog: (conversation: ConversationId, request: Request<'appendGroupLog'>) => ApiAnswer<Answer<'appendGroupLog'>>;
  readonly putEntries: (conversation: ConversationId, request: Request<'putEntries'>) => ApiAnswer<Answer<'putEntries'>>;
}

export interface ApiClientDeps {
  readonly fetch: typeof fetch;
  /** Where the server is, without a slash at the end; the empty text is the page's own origin. */
  readonly origin: string;
  /** A signal that aborts after `ms`; the platform's own unless told, a simulation hands out its own. */
  readonly deadline?: (ms: number) => AbortSignal;
}

/** Long enough for a bad phone network, short enough that a person still waits. */
export const apiTimeLimitMs = 15_000;

export function createApiClient({ fetch, origin, deadline = (ms) => AbortSignal.timeout(ms) }: ApiClientDeps): ApiClient {
  async function send(method: string, path: string, body?: Bytes): ApiAnswer<Bytes> {
    let response: Response;
    let answer: Bytes;
    try {
      response = await fetch(`${origin}/api/${path}`, {
        method,
        credentials: 'same-origin',
        cache: 'no-store',
        redirect: 'error',
        signal: deadline(apiTimeLimitMs),
        ...(body !== undefined && { body, headers: { 'content-type': 'application/octet-stream' } }),
      });
      answer = new Uint8Array(await response.arrayBuffer());
    } catch {
      return err({ type: 'offline' }); // no route, refused, cut in the middle, or past its time: fetch tells them apart in no portable way
    }
    if (response.ok) return ok(answer);
    const refusal = decode(apiError, answer);
    if (refusal.ok) return err({ type: 'api', ...refusal.value });
    // A proxy in front of a server that is down answers in its own words.
    if (response.status >= 502 && response.status <= 504) return err({ type: 'offline' });
    return err({ type: 'bad-answer', fault: refusal.error });
  }

  async function ask<T>(method: string, path: string, answer: Codec<T>, body?: Bytes): ApiAnswer<T> {
    const sent = await send(method, path, body);
    if (!sent.ok) return sent;
    const decoded = decode(answer, sent.value);
    return decoded.ok ? decoded : err({ type: 'bad-answer', fault: decoded.error });
  }

  async function tell(method: string, path: string, body?: Bytes): ApiAnswer<void> {
    const sent = await send(method, path, body);
    return sent.ok ? ok(undefined) : sent;
  }

  const inConversation = (conversation: ConversationId, rest: string) => `conversations/${conversation}/${rest}`;

  return {
    registerStart: (request) => ask('POST', 'account/start', api.registerStart.answer, encode(api.registerStart.request, request)),
    register: (request) => ask('POST', 'account', api.register.answer, encode(api.register.request, request)),
    loginStart: (request) => ask('POST', 'session/password/start', api.loginStart.answer, encode(api.loginStart.request, request)),
    loginFinish: (request) => ask('POST', 'session/password/finish', api.loginFinish.answer, encode(api.loginFinish.request, request)),
    loginRecovery: (request) => ask('POST', 'session/recovery', api.loginRecovery.answer, encode(api.loginRecovery.request, request)),
    session: () => ask('GET', 'session', api.session.answer),
    endSession: () => tell('DELETE', 'session'),
    endAllSessions: () => tell('DELETE', 'sessions'),
    endOtherSessions: () => tell('DELETE', 'sessions?others'),
    syncToken: () => ask('POST', 'session/token', api.syncToken.answer),
    bindChallenge: () => ask('GET', 'session/device', api.bindDevice.answer),
    bindDevice: (request) => tell('POST', 'session/device', encode(api.bindDevice.request, request)),
    changePassword: (request) => tell('PUT', 'password', encode(api.changePassword.request, request)),
    vault: () => ask('GET', 'vault', api.vault.answer),
    putVault: (request) => tell('PUT', 'vault', encode(api.vault.request, request)),
    accountLog: (account, from) => ask('GET', `accounts/${account}/log?from=${from}`, api.accountLog.answer),
    accountLogByHandle: (handle) => ask('GET', `accounts/handle/${encodeURIComponent(handle)}`, api.accountLog.answer),
    appendAccountLog: (request) => ask('POST', 'account/log', api.appendAccountLog.answer, encode(api.appendAccountLog.request, request)),
    uekWraps: () => ask('GET', 'account/wraps', api.uekWraps.answer),
    profile: (account) => ask('GET', `accounts/${account}/profile`, api.profile.answer),
    putProfile: (request) => tell('PUT', 'profile', encode(api.profile.request, request)),
    conversations: () => ask('GET', 'conversations', api.conversations.answer),
    groupLog: (conversation, from) => ask('GET', inConversation(conversation, `log?from=${from}`), api.groupLog.answer),
    appendGroupLog: (conversation, request) =>
      ask('POST', inConversation(conversation, 'log'), api.appendGroupLog.answer, encode(api.appendGroupLog.request, request)),
    putEntries: (conversation, request) =>
      ask('POST', inConversation(conversation, 'entries'), api.putEntries.answer, encode(api.putEntries.request, request)),
  };
}

/**
 * A `fetch` that keeps cookies and names its origin, for tools and tests outside a browser: there the
 * session cookie has nowhere else to live and the server's origin check would refuse every change.
 */
export function createCookieFetch(inner: typeof fetch, origin: string): typeof fetch {
  const cookies = new Map<string, string>();
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set('origin', origin);
    if (cookies.size > 0) headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await inner(input, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';');
      const name = pair.slice(0, pair.indexOf('=')).trim();
      const value = pair.slice(pair.indexOf('=') + 1).trim();
      const ended = attributes.some((attribute) => /^\s*max-age\s*=\s*(0|-\d+)\s*$/i.test(attribute));
      if (value === '' || ended) cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  };
}
