/**
 * A server for tests: the account half of the HTTP API in memory, with the real OPAQUE library and the real
 * rules of `chains`, behind a `fetch` per browser. Everything it holds is open to be tampered with, and
 * every byte it was sent is kept to be searched.
 */
import { server as opaqueServer, ready } from '@serenity-kit/opaque';
import { extendAccountLog, replayAccountLog, applyAccountEntry, decodeAccountEntry } from '#lib/chains/account-log.ts';
import { activeDevices } from '#lib/chains/account-state.ts';
import { equalSecrets, sha256, verify } from '#lib/crypto/primitives.ts';
import { api, apiError } from '#lib/protocol/api.ts';
import { decode, encode, type Codec } from '#lib/protocol/codec.ts';
import { apiErrors, type ApiErrorName } from '#lib/protocol/codes.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import { bytesToBase64url, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import { createApiClient, type ApiClient } from './api-client.ts';
import { opaqueServerName } from './opaque-service.ts';
import { sessionBindMessage, sessionBindPurpose } from './own-log.ts';

export interface FakeAccount {
  account: AccountId;
  handle: string;
  record: string;
  proofHash: Bytes;
  entries: Bytes[];
  vault: Bytes;
  vaultVersion: number;
  wraps: { readonly device: DeviceId; readonly gen: number; readonly wrap: Bytes }[];
  profile: { readonly version: number; readonly sealed: Bytes } | undefined;
}

export interface FakeBrowser {
  readonly fetch: typeof fetch;
  readonly api: ApiClient;
  offline: boolean;
  session: { readonly account: AccountId; device: DeviceId | undefined; readonly secret: Bytes } | undefined;
}

export interface FakeServer {
  readonly accounts: Map<AccountId, FakeAccount>;
  readonly byHandle: (handle: string) => FakeAccount;
  readonly browser: () => FakeBrowser;
  /** Every request body, as sent. */
  readonly bodies: Bytes[];
  /** Runs once before the next request of this method and path is served; throwing cuts the connection. */
  readonly before: (method: string, path: string, task: () => void | Promise<void>) => void;
  /** Runs once after it was served and before the answer leaves; throwing loses the answer. */
  readonly after: (method: string, path: string, task: () => void | Promise<void>) => void;
}

class Refusal extends Error {
  readonly reason: ApiErrorName;
  readonly detail: string;
  readonly number: number;
  constructor(reason: ApiErrorName, detail = '', number = 0) {
    super(reason);
    this.reason = reason;
    this.detail = detail;
    this.number = number;
  }
}

export async function createFakeServer(): Promise<FakeServer> {
  await ready;
  const serverSetup = opaqueServer.createSetup();
  const accounts = new Map<AccountId, FakeAccount>();
  const logins = new Map<string, { readonly handle: string; readonly state: string }>();
  const bodies: Bytes[] = [];
  const hooks: { readonly when: 'before' | 'after'; readonly method: string; readonly path: string; readonly task: () => void | Promise<void> }[] = [];
  let counter = 0;

  const byHandle = (handle: string) => [...accounts.values()].find((one) => one.handle === handle);
  const secretOf = () => sha256(textToBytes(`secret ${++counter}`));
  const found = <T>(value: T | undefined): T => value ?? refuse('not-found');

  async function runHook(when: 'before' | 'after', method: string, path: string): Promise<void> {
    const at = hooks.findIndex((hook) => hook.when === when && hook.method === method && hook.path === path);
    if (at >= 0) await hooks.splice(at, 1)[0]!.task();
  }

  async function serve(browser: FakeBrowser, method: string, path: string, query: URLSearchParams, body: Bytes): Promise<Bytes> {
    const read = <T>(codec: Codec<T>): T => {
      const value = decode(codec, body);
      return value.ok ? value.value : refuse('malformed');
    };
    const mine = () => accounts.get((browser.session ?? refuse('not-signed-in')).account)!;
    const log = (one: FakeAccount, from: number) =>
      encode(api.accountLog.answer, { account: one.account, handle: one.handle, from, entries: one.entries.slice(from) });
    const none = new Uint8Array();

    switch (`${method} ${path}`) {
      case 'POST account/start': {
        const { handle, registrationRequest } = read(api.registerStart.request);
        const { registrationResponse } = opaqueServer.createRegistrationResponse({ serverSetup, userIdentifier: handle, registrationRequest });
        return encode(api.registerStart.answer, { registrationResponse, serverPublicKey: opaqueServer.getPublicKey(serverSetup) });
      }
      case 'POST account': {
        const request = read(api.register.request);
        if (byHandle(request.handle)) refuse('handle-taken');
        const state = await applyAccountEntry(undefined, request.genesis);
        if (!state.ok) return refuse('refused', state.error);
        const { account, devices } = state.value;
        accounts.set(account, {
          account, handle: request.handle, record: request.registrationRecord, proofHash: request.recoveryProofHash, entries: [request.genesis],
          vault: request.vault, vaultVersion: 1, wraps: [...request.uekWraps], profile: undefined,
        });
        browser.session = { account, device: [...devices.keys()][0], secret: secretOf() };
        return encode(api.register.answer, { account });
      }
      case 'POST session/password/start': {
        const { handle, loginRequest } = read(api.loginStart.request);
        const { loginResponse, serverLoginState } = opaqueServer.startLogin({
          serverSetup, userIdentifier: handle, registrationRecord: byHandle(handle)?.record, startLoginRequest: loginRequest,
          identifiers: { client: handle, server: opaqueServerName },
        });
        const loginId = secretOf().slice(0, 16);
        logins.set(bytesToBase64url(loginId), { handle, state: serverLoginState });
        return encode(api.loginStart.answer, { loginId, loginResponse });
      }
      case 'POST session/password/finish': {
        const { loginId, loginFinish } = read(api.loginFinish.request);
        const login = logins.get(bytesToBase64url(loginId)) ?? refuse('wrong-credentials');
        try {
          opaqueServer.finishLogin({ serverLoginState: login.state, finishLoginRequest: loginFinish, identifiers: { client: login.handle, server: opaqueServerName } });
        } catch {
          return refuse('wrong-credentials'); // the library throws prose
        }
        const { account } = byHandle(login.handle) ?? refuse('wrong-credentials');
        browser.session = { account, device: undefined, secret: secretOf() };
        return encode(api.loginFinish.answer, { account });
      }
      case 'POST session/recovery': {
        const { handle, recoveryProof } = read(api.loginRecovery.request);
        const one = byHandle(handle);
        if (!one || !equalSecrets(sha256(recoveryProof), one.proofHash)) return refuse('wrong-credentials');
        browser.session = { account: one.account, device: undefined, secret: secretOf() };
        return encode(api.loginRecovery.answer, { account: one.account });
      }
      case 'GET session':
        return encode(api.session.answer, { account: mine().account, handle: mine().handle, device: browser.session!.device });
      case 'DELETE session':
      case 'DELETE sessions':
        browser.session = undefined;
        return none;
      case 'GET session/device':
        mine();
        return encode(api.bindDevice.answer, { challenge: browser.session!.secret });
      case 'POST session/device': {
        const { device, signature } = read(api.bindDevice.request);
        const { account, entries } = mine();
        const state = unwrap(await replayAccountLog(account, entries), 'broken promise: the log was verified');
        const record = activeDevices(state).find(({ id }) => id === device) ?? refuse('refused', 'device-unknown');
        if (!(await verify(record.signPublicKey, sessionBindPurpose, sessionBindMessage(account, device, browser.session!.secret), signature))) refuse('refused', 'wrong-signature');
        browser.session!.device = device;
        return none;
      }
      case 'PUT password': {
        const request = read(api.changePassword.request);
        if (request.vaultVersion !== mine().vaultVersion + 1) refuse('conflict', '', mine().vaultVersion);
        Object.assign(mine(), { record: request.registrationRecord, vaultVersion: request.vaultVersion, vault: request.vault });
        return none;
      }
      case 'GET vault':
        return encode(api.vault.answer, { version: mine().vaultVersion, vault: mine().vault });
      case 'PUT vault': {
        const { version, vault } = read(api.vault.request);
        if (version !== mine().vaultVersion + 1) refuse('conflict', '', mine().vaultVersion);
        Object.assign(mine(), { vaultVersion: version, vault });
        return none;
      }
      case 'POST account/log': {
        const { height, entries, uekWraps } = read(api.appendAccountLog.request);
        const one = mine();
        if (height !== one.entries.length) refuse('conflict', '', one.entries.length - 1);
        const before = unwrap(await replayAccountLog(one.account, one.entries), 'broken promise: the log was verified');
        const after = await extendAccountLog(before, entries);
        if (!after.ok) return refuse('refused', after.error.fault);
        one.entries.push(...entries);
        one.wraps.push(...uekWraps);
        for (const entry of entries) {
          const { body } = unwrap(decodeAccountEntry(entry), 'broken promise: the entry was verified');
          if (body.kind === 'add_device') browser.session!.device = body.device.id;
        }
        return encode(api.appendAccountLog.answer, { height: one.entries.length - 1 });
      }
      case 'GET account/wraps':
        return encode(api.uekWraps.answer, { wraps: mine().wraps.filter(({ device }) => device === browser.session!.device) });
      case 'PUT profile': {
        const request = read(api.profile.request);
        if (request.version > (mine().profile?.version ?? -1)) mine().profile = request;
        return none;
      }
    }
    const [, kind, name, rest] = path.split('/').length >= 3 ? ['', ...path.split('/')] : [];
    if (kind === 'accounts' && name === 'handle') return log(found(byHandle(rest!)), 0);
    if (kind === 'accounts' && rest === 'log') return log(found(accounts.get(name as AccountId)), Number(query.get('from')));
    if (kind === 'accounts' && rest === 'profile') return encode(api.profile.answer, found(found(accounts.get(name as AccountId)).profile));
    return refuse('not-found');
  }

  function browser(): FakeBrowser {
    const fetch = (async (input: string, init: RequestInit = {}) => {
      const { pathname, searchParams } = new URL(input);
      const path = pathname.replace('/api/', '');
      const method = init.method ?? 'GET';
      const body = init.body ? new Uint8Array(init.body as Bytes) : new Uint8Array();
      if (made.offline) throw new TypeError('offline');
      await runHook('before', method, path);
      bodies.push(body);
      let answer: Bytes;
      try {
        answer = await serve(made, method, path, searchParams, body);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return new Response(encode(apiError, { name: error.reason, detail: error.detail, number: error.number }), { status: apiErrors[error.reason].status });
      }
      await runHook('after', method, path);
      return new Response(answer, { status: 200 });
    }) as typeof globalThis.fetch;
    const made: FakeBrowser = { fetch, api: createApiClient({ fetch, origin: 'https://chat.test' }), offline: false, session: undefined };
    return made;
  }

  return {
    accounts, bodies, browser,
    byHandle: (handle) => byHandle(handle) ?? refuse('not-found'),
    before: (method, path, task) => hooks.push({ when: 'before', method, path, task }),
    after: (method, path, task) => hooks.push({ when: 'after', method, path, task }),
  };
}

function refuse(reason: ApiErrorName, detail = '', number = 0): never {
  throw new Refusal(reason, detail, number);
}
