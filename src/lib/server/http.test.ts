import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { api } from '#lib/protocol/api.ts';
import { encode } from '#lib/protocol/codec.ts';
import { bytesToId } from '#lib/protocol/ids.ts';
import { concatBytes } from '#lib/std/bytes.ts';
import { createCache } from './cache.ts';
import { login, makeWorld, realRandom, routes, settle, startLogin, vaultOf } from '../../../tests/support/server-world.ts';
import { headersFor, securityHeaders } from './headers.ts';
import { endpoint, readBody, requestSizeBytesMax, type EndpointEvent } from './http.ts';
import { addressKey, createLimits, limitRules } from './limits.ts';
import { createLog } from './log.ts';
import { addressOf, isOwnOrigin } from './origin.ts';

const waysIn = new Set(['POST /api/account/start', 'POST /api/account', 'POST /api/session/password/start', 'POST /api/session/password/finish', 'POST /api/session/recovery']);

test('[SV16] every endpoint but the ways in answers a stranger not-signed-in', async () => {
  const world = await makeWorld();
  const id = bytesToId<never>(realRandom.bytes(16));
  const asked: string[] = [];
  for (const { path, load } of routes) {
    for (const method of Object.keys(await load())) {
      const name = `${method} ${path}`;
      if (waysIn.has(name)) continue;
      const answered = await world.browser().send(method, path.replace('[id]', id).replace('[handle]', 'ada'), method === 'GET' ? undefined : new Uint8Array(3));
      expect([name, answered.status, answered.fault?.name]).toEqual([name, 401, 'not-signed-in']);
      asked.push(name);
    }
  }
  expect(asked.length).toBe(19);
});

test('[SV16] every endpoint of the API has its route', async () => {
  const source = readFileSync(new URL('../identity/api-client.ts', import.meta.url), 'utf8');
  const named = [...source.matchAll(/(?:ask|tell)\('(GET|POST|PUT|DELETE)', ['`](?!conversations\/\$)([^'`?]+)/g)].map(([, method, path]) => [method!, `/api/${path!}`.replace(/\$\{[^}]+\}/g, 'x')] as const);
  expect(named.length).toBeGreaterThan(15);
  for (const [method, path] of named) {
    const route = routes.find(({ pattern }) => pattern.test(path));
    expect([method, path, route && method in (await route.load())]).toEqual([method, path, true]);
  }
});

test('[SV14] a body of another type, outside its format, padded or cut short is malformed and changes nothing', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const body = encode(api.vault.request, { version: 2, vault: vaultOf(2) });
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    expect((await ada.browser.send('PUT', '/api/vault', body, { 'content-type': type })).fault).toMatchObject({ name: 'malformed', detail: 'content-type' });
  }
  for (const wrong of [body.subarray(0, body.length - 1), concatBytes(body, new Uint8Array(1)), new Uint8Array(0), realRandom.bytes(50)]) {
    expect((await ada.browser.send('PUT', '/api/vault', wrong)).fault?.name).toBe('malformed');
  }
  expect((await ada.browser.get('/api/vault', api.vault)).version).toBe(1);
  for (const path of ['/api/accounts/short/log', `/api/accounts/${'A'.repeat(22)}/log?from=-1`, `/api/accounts/${'A'.repeat(22)}/log?from=1e3`]) {
    expect((await ada.browser.send('GET', path)).fault?.name).toBe('malformed');
  }
});

test('[SV14] a body over its bound is refused, by its length before it is read, or while it comes', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  expect((await ada.browser.send('PUT', '/api/vault', new Uint8Array(requestSizeBytesMax + 1))).fault?.name).toBe('too-big');
  expect((await ada.browser.send('PUT', '/api/profile', new Uint8Array(20_000))).fault?.name).toBe('too-big');
  expect((await ada.browser.send('PUT', '/api/vault', new Uint8Array(10), { 'content-length': '99999999' })).fault?.name).toBe('too-big');

  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => { pulled++; controller.enqueue(new Uint8Array(1_024)); } });
  const request = new Request('http://localhost/api/vault', { method: 'PUT', body: endless, headers: { 'content-type': 'application/octet-stream' }, duplex: 'half' } as RequestInit);
  const run = endpoint(async (ask) => (await readBody(ask, api.profile.request, 16 * 1_024)) as never);
  const event: EndpointEvent = { request, url: new URL(request.url), params: {}, locals: { server: world.server, by: undefined }, getClientAddress: () => '192.0.2.1' };
  expect((await run(event)).status).toBe(413);
  expect(pulled).toBeLessThan(25);
});

test('[SV15] a change from another origin\'s page is refused before anything else; a read is not', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const before = ada.browser.cookie;
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'none' }, { origin: 'https://evil.example' }, { origin: 'null' }]) {
    expect((await ada.browser.send('DELETE', '/api/session', undefined, headers)).fault?.name).toBe('wrong-origin');
  }
  expect(ada.browser.cookie).toBe(before);
  expect((await ada.browser.send('GET', '/api/session')).status).toBe(200);

  const headers = (record: Record<string, string>) => new Headers(record);
  expect(isOwnOrigin(headers({ origin: 'http://localhost:3000', host: 'localhost:3000' }), undefined)).toBe(true);
  expect(isOwnOrigin(headers({ origin: 'http://localhost:3001', host: 'localhost:3000' }), undefined)).toBe(false);
  expect(isOwnOrigin(headers({ origin: 'https://chat.example', host: '10.0.0.1' }), 'https://chat.example')).toBe(true);
  expect(isOwnOrigin(headers({ origin: 'http://chat.example', host: 'chat.example' }), 'https://chat.example')).toBe(false);
  expect(isOwnOrigin(headers({ host: 'localhost:3000' }), undefined)).toBe(true);
});

test('[SV12] sign-in is limited by name and by address, and says how long to wait', async () => {
  const world = await makeWorld();
  await settle(world, 'ada');
  const guess = async (handle: string, address: string) => (await world.browser(address).post('/api/session/recovery', api.loginRecovery, { handle, recoveryProof: realRandom.bytes(32) })).fault!;
  for (let i = 0; i < limitRules.signInHandle.points; i++) expect((await guess('ada', `198.51.100.${i}`)).name).toBe('wrong-credentials');
  const refused = await guess('ada', '198.51.100.200');
  expect(refused).toMatchObject({ name: 'too-many' });
  expect(refused.number).toBeGreaterThan(200);
  expect(refused.number).toBeLessThanOrEqual(300);
  const { started } = await startLogin(world.browser('198.51.100.201'), 'ada', 'password of ada');
  expect([started.status, started.headers.get('retry-after')]).toEqual([429, String(started.fault!.number)]);

  for (let i = 0; i < limitRules.signInAddress.points; i++) await guess(`nobody${i}`, '203.0.113.5');
  expect((await guess('somebody', '203.0.113.5')).name).toBe('too-many');
  expect((await guess('somebody', '203.0.113.6')).name).toBe('wrong-credentials');
});

test('[SV12] registration, lookups and writes are limited; relaxed limits are a thousand times wider', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada', '203.0.113.9');
  const refusalAfter = async (points: number, ask: () => Promise<{ fault?: { name: string } | undefined }>) => {
    for (let i = 1; i <= points + 5; i++) if ((await ask()).fault?.name === 'too-many') return i;
    return undefined;
  };
  const register = () => world.browser('203.0.113.9').post('/api/account/start', api.registerStart, { handle: 'new_one', registrationRequest: 'x' });
  expect(await refusalAfter(limitRules.registerAddress.points, register)).toBe(limitRules.registerAddress.points - 2 + 1); // two were spent on ada
  expect(await refusalAfter(limitRules.lookupAccount.points, () => ada.browser.send('GET', '/api/accounts/handle/nobody'))).toBe(limitRules.lookupAccount.points + 1);
  const write = () => ada.browser.post('/api/vault', api.vault, { version: 9, vault: vaultOf(9) }, 'PUT');
  expect(await refusalAfter(limitRules.accountWrite.points, write)).toBe(limitRules.accountWrite.points + 1);

  // One address with many accounts: the first lookup of a fresh account meets the limit of the address.
  const eve = await settle(world, 'eve', '203.0.113.10');
  await world.server.limits.take('lookupAddress', '203.0.113.10', limitRules.lookupAddress.points);
  for (const path of ['/api/accounts/handle/ada', `/api/accounts/${ada.person.account}/log`, `/api/accounts/${ada.person.account}/profile`]) {
    expect([path, (await eve.browser.send('GET', path)).fault?.name]).toEqual([path, 'too-many']);
  }

  const relaxed = createLimits(realRandom, 1_000);
  expect(await relaxed.take('signInHandle', 'ada', limitRules.signInHandle.points * 1_000)).toEqual({ ok: true, value: undefined });
  expect((await relaxed.take('signInHandle', 'ada')).ok).toBe(false);
});

test('[SV13] limits count networks, and believe a proxy only where one is configured', () => {
  expect(addressKey('192.0.2.7')).toBe('192.0.2.7');
  expect(addressKey('::ffff:192.0.2.7')).toBe('192.0.2.7');
  expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2');
  expect(addressKey('2001:0DB8:0001:0002::99')).toBe('2001:db8:1:2');
  expect(addressKey('2001:db8::1')).toBe('2001:db8:0:0');
  expect(addressKey('::1')).toBe('0:0:0:0');
  const forwarded = new Headers({ 'x-forwarded-for': '6.6.6.6, 203.0.113.1' });
  expect(addressOf(forwarded, '127.0.0.1', false)).toBe('127.0.0.1');
  expect(addressOf(forwarded, '127.0.0.1', true)).toBe('203.0.113.1');
  expect(addressOf(new Headers(), '127.0.0.1', true)).toBe('127.0.0.1');
});

test('[SV13] a flood of keys fills a fixed number of cells', async () => {
  const limits = createLimits(realRandom);
  const { points } = limitRules.registerAddress;
  expect((await limits.take('registerAddress', 'one', points)).ok).toBe(true);
  expect((await limits.take('registerAddress', 'one')).ok).toBe(false);
  // More keys than cells: if each were kept on its own, none of them could meet another.
  let met = 0;
  for (let i = 0; i <= 2 ** 16; i++) if (!(await limits.take('signInAddress', `address ${i}`, limitRules.signInAddress.points)).ok) met++;
  expect(met).toBeGreaterThan(0);
});

test('[SV26] no secret, handle, address or cookie is in the log, whatever a line is given', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'canary_handle', '203.0.113.77');
  const cookie = ada.browser.cookie!.split('=')[1]!;
  await login(world.browser(), 'canary_handle', 'a wrong password');
  world.server.log.error({ err: Object.assign(new Error('failed'), { body: ada.password, cookie }), cookie, headers: { cookie }, request: { address: '203.0.113.77', handle: 'canary_handle' }, by: { token: cookie } }, 'planted');
  const text = world.logLines.join('');
  expect(text).toContain('planted');
  for (const secret of [cookie, ada.password, 'canary_handle', '203.0.113.77']) expect(text).not.toContain(secret);

  const lines: string[] = [];
  createLog('warn', { write: (line) => lines.push(line) }).info('too quiet');
  expect(lines).toEqual([]);
});

test('[SV27] every answer carries the security headers, refusals too, and is kept by no cache', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  for (const answered of [await ada.browser.send('GET', '/api/vault'), await world.browser().send('GET', '/api/vault'), await ada.browser.send('PUT', '/api/vault', new Uint8Array(1))]) {
    expect(answered.headers.get('cache-control')).toBe('no-store');
    expect(answered.headers.get('content-type')).toBe('application/octet-stream');
    for (const [name, value] of Object.entries(securityHeaders({ https: false }))) expect(answered.headers.get(name)).toBe(value);
  }
  expect(securityHeaders({ https: false })).toMatchObject({ 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  expect(securityHeaders({ https: false })).not.toHaveProperty('strict-transport-security');
  expect(securityHeaders({ https: true })).toHaveProperty('strict-transport-security');
});

test('[SV27] workers get a policy of their own, and only OPAQUE\'s may compile WebAssembly', () => {
  const policy = (path: string) => headersFor(path, { https: false })['content-security-policy'];
  expect(policy('/_app/immutable/workers/wasm.worker-B1x.js')).toContain("script-src 'self' 'wasm-unsafe-eval'");
  for (const path of ['/_app/immutable/workers/engine.worker-C2y.js', '/service-worker.js']) {
    expect(policy(path)).toBe("default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'");
  }
  expect(policy('/_app/immutable/chunks/wasm.worker-B1x.js')).toBeUndefined();
  expect(policy('/icon.png')).toBeUndefined();
  expect(headersFor('/icon.png', { https: true })).toEqual(securityHeaders({ https: true }));
});

test('[SV29] a cache stays within its weight and forgets what was unused longest', () => {
  const cache = createCache<string, number>({ weightMax: 10, weigh: (value) => value });
  cache.set('a', 4);
  cache.set('b', 4);
  cache.get('a');
  cache.set('c', 4);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([4, undefined, 4]);
  cache.set('a', 6);
  expect([cache.get('a'), cache.get('c')]).toEqual([6, 4]);
  cache.set('huge', 99); // kept while it is the newest: its user needs it now
  expect([cache.get('huge'), cache.get('a')]).toEqual([99, undefined]);
  cache.set('d', 1);
  expect([cache.get('huge'), cache.get('d')]).toEqual([undefined, 1]);
});
