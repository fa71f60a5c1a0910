import { expect, test } from 'vitest';
import { api, apiError } from '#lib/protocol/api.ts';
import { encode } from '#lib/protocol/codec.ts';
import { bytesToId, type AccountId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { createApiClient, createCookieFetch } from './api-client.ts';

const account = 'AAAAAAAAAAAAAAAAAAAAAA' as AccountId;
const conversation = bytesToId<never>(new Uint8Array(16).fill(3));

function answering(answer: () => Response | Promise<Response>) {
  const asked: { url: string; init: RequestInit }[] = [];
  const fetch = (async (url: string, init: RequestInit) => { asked.push({ url, init }); return answer(); }) as unknown as typeof globalThis.fetch;
  return { asked, client: createApiClient({ fetch, origin: 'https://chat.test' }) };
}

const says = (body: Bytes, status = 200) => () => new Response(body, { status });

test('[ID1] an answer in the agreed bytes is a value, and the request is the agreed bytes', async () => {
  const { asked, client } = answering(says(encode(api.loginStart.answer, { loginId: new Uint8Array(16), loginResponse: 'r' })));
  expect(await client.loginStart({ handle: 'ada', loginRequest: 'q' })).toEqual({ ok: true, value: { loginId: new Uint8Array(16), loginResponse: 'r' } });
  expect(asked[0]!.url).toBe('https://chat.test/api/session/password/start');
  expect(asked[0]!.init).toMatchObject({
    method: 'POST', credentials: 'same-origin', redirect: 'error', headers: { 'content-type': 'application/octet-stream' },
    body: encode(api.loginStart.request, { handle: 'ada', loginRequest: 'q' }),
  });
  expect(asked[0]!.init.signal).toBeInstanceOf(AbortSignal);
});

test('[ID1] addresses carry ids and heights and nothing secret', async () => {
  const { asked, client } = answering(says(new Uint8Array()));
  await client.accountLog(account, 4);
  await client.accountLogByHandle('a/b?c');
  await client.profile(account);
  await client.groupLog(conversation, 9);
  await client.putEntries(conversation, { slot: 1, ctr0: 0, envelopes: [new Uint8Array(64)] });
  await client.endAllSessions();
  expect(asked.map(({ url, init }) => `${init.method} ${new URL(url).pathname}${new URL(url).search}`)).toEqual([
    `GET /api/accounts/${account}/log?from=4`, 'GET /api/accounts/handle/a%2Fb%3Fc', `GET /api/accounts/${account}/profile`,
    `GET /api/conversations/${conversation}/log?from=9`, `POST /api/conversations/${conversation}/entries`, 'DELETE /api/sessions',
  ]);
});

test('[ID1] a refusal keeps its name, detail and number', async () => {
  const { client } = answering(says(encode(apiError, { name: 'conflict' as const, detail: 'height', number: 7 }), 409));
  expect(await client.putVault({ version: 3, vault: new Uint8Array() })).toEqual({ ok: false, error: { type: 'api', name: 'conflict', detail: 'height', number: 7 } });
});

test('[ID1] a network that fails, breaks off or takes too long is offline, and so is a proxy before a dead server', async () => {
  const offline = { ok: false, error: { type: 'offline' } };
  expect(await answering(() => Promise.reject(new TypeError('no route'))).client.session()).toEqual(offline);
  const cut = new ReadableStream({ start: (controller) => { controller.enqueue(new Uint8Array(3)); controller.error(new TypeError('cut')); } });
  expect(await answering(() => new Response(cut)).client.session()).toEqual(offline);
  for (const status of [502, 503, 504]) expect(await answering(() => new Response('<h1>Bad gateway</h1>', { status })).client.session()).toEqual(offline);

  const late = new AbortController();
  const never = ((_: string, { signal }: RequestInit) => new Promise((_resolve, reject) => {
    signal!.addEventListener('abort', () => reject(signal!.reason as Error));
    late.abort(new DOMException('late', 'TimeoutError'));
  })) as unknown as typeof fetch;
  expect(await createApiClient({ fetch: never, origin: '', deadline: () => late.signal }).session()).toEqual(offline);
});

test('[ID1] an answer outside the agreed bytes is named as such', async () => {
  expect(await answering(says(new Uint8Array())).client.session()).toEqual({ ok: false, error: { type: 'bad-answer', fault: 'EOF' } });
  const whole = encode(api.register.answer, { account });
  expect(await answering(says(Uint8Array.from([...whole, 0]))).client.session()).toMatchObject({ ok: false, error: { type: 'bad-answer' } });
  expect(await answering(() => new Response('<h1>Oops</h1>', { status: 500 })).client.session()).toMatchObject({ ok: false, error: { type: 'bad-answer' } });
});

test('[ID18] outside a browser the session cookie is kept, sent back and given up, and the origin is named', async () => {
  const seen: Headers[] = [];
  let setCookie: string[] = [];
  const inner = (async (_: unknown, init: RequestInit) => {
    seen.push(new Headers(init.headers));
    const headers = new Headers();
    for (const line of setCookie) headers.append('set-cookie', line);
    return new Response(null, { headers });
  }) as unknown as typeof fetch;
  const keeping = createCookieFetch(inner, 'http://localhost:3000');
  setCookie = ['session=abc; HttpOnly; SameSite=Lax; Path=/', 'other=1'];
  await keeping('http://localhost:3000/');
  setCookie = ['session=; Max-Age=0'];
  await keeping('http://localhost:3000/', { headers: { 'content-type': 'x' } });
  await keeping('http://localhost:3000/');
  expect(seen.map((headers) => headers.get('cookie'))).toEqual([null, 'session=abc; other=1', 'other=1']);
  expect(seen[1]!.get('origin')).toBe('http://localhost:3000');
  expect(seen[1]!.get('content-type')).toBe('x');
});
