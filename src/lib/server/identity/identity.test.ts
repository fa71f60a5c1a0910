import { server as opaqueServer } from '@serenity-kit/opaque';
import { SignJWT, importJWK, decodeJwt } from 'jose';
import { afterEach, expect, test, vi } from 'vitest';
import { addDevice, revokeDevice } from '#lib/chains/fixtures/people.ts';
import { sha256, sign } from '#lib/crypto/primitives.ts';
import { api } from '#lib/protocol/api.ts';
import { idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { bytesToHex, concatBytes, textToBytes } from '#lib/std/bytes.ts';
import { login, makeWorld, passwordRecord, read, realRandom, registration, settle, startLogin, vaultOf } from '../../../../tests/support/server-world.ts';
import { openPasswords } from './passwords.ts';
import { makeSyncTokenKey, openSyncTokens } from './sync-token.ts';
import { createSessions } from './sessions.ts';

afterEach(() => void vi.useRealTimers());

test('[SV5] a wrong password and an unknown account get answers of one status and length for the same OPAQUE work', async () => {
  const started = vi.fn(opaqueServer.startLogin);
  const finished = vi.fn(opaqueServer.finishLogin);
  const world = await makeWorld({}, { opaque: { ...opaqueServer, startLogin: started, finishLogin: finished } });
  const { handle } = await settle(world, 'ada');
  const seen = [];
  for (const name of [handle, 'nobody']) {
    started.mockClear();
    finished.mockClear();
    const browser = world.browser();
    const attempt = await startLogin(browser, name, 'a wrong password');
    expect(attempt.loginFinish).toBeUndefined(); // the client notices first
    // A client that goes on all the same sends another attempt's finish.
    const other = await startLogin(world.browser(), handle, 'password of ada');
    const finish = await browser.post('/api/session/password/finish', api.loginFinish, { loginId: attempt.loginId!, loginFinish: other.loginFinish! });
    expect(browser.cookie).toBeUndefined();
    seen.push({
      start: [attempt.started.status, attempt.started.bytes.length], finish: [finish.status, finish.bytes.length, finish.fault],
      work: [started.mock.calls.length, finished.mock.calls.length],
    });
  }
  expect(seen[0]).toEqual(seen[1]);
  expect(seen[0]!.finish[2]).toEqual({ name: 'wrong-credentials', detail: '', number: 0 });
  expect(seen[0]!.work).toEqual([2, 1]);
});

test('[SV5] wrong words and an unknown account are answered alike', async () => {
  const world = await makeWorld();
  await settle(world, 'ada');
  const browser = world.browser();
  const answers = [];
  for (const handle of ['ada', 'nobody']) answers.push(await browser.post('/api/session/recovery', api.loginRecovery, { handle, recoveryProof: realRandom.bytes(32) }));
  expect(answers.map(({ status, bytes }) => [status, bytesToHex(bytes)])).toEqual([[401, expect.any(String)], [401, bytesToHex(answers[0]!.bytes)]]);
  expect(browser.cookie).toBeUndefined();
});

test('[SV6] an attempt is finished once and in time, and the oldest gives way when too many wait', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const browser = world.browser();
  const first = await startLogin(browser, 'ada', ada.password);
  const finish = { loginId: first.loginId!, loginFinish: first.loginFinish! };
  expect((await browser.post('/api/session/password/finish', api.loginFinish, finish)).status).toBe(200);
  expect((await browser.post('/api/session/password/finish', api.loginFinish, finish)).fault?.name).toBe('wrong-credentials');

  const late = await startLogin(browser, 'ada', ada.password);
  world.time.now += 120_000;
  expect((await browser.post('/api/session/password/finish', api.loginFinish, { loginId: late.loginId!, loginFinish: late.loginFinish! })).fault?.name).toBe('wrong-credentials');
  expect((await browser.send('POST', '/api/session/password/finish', new Uint8Array(3))).fault?.name).toBe('malformed');
});

test('[SV6] the number of waiting attempts is bounded', async () => {
  const opaque = { ...opaqueServer, startLogin: () => ({ serverLoginState: 'state', loginResponse: 'response' }), finishLogin: () => ({ sessionKey: 'key' }) };
  const passwords = await openPasswords({ serverSetup: opaqueServer.createSetup(), clock: { now: () => 1 }, random: realRandom, opaque });
  const known = { account: 'account' as never, record: 'record' };
  const ids = Array.from({ length: 10_001 }, () => {
    const started = passwords.loginStart('ada' as never, known, 'request');
    return started.ok ? started.value.loginId : realRandom.bytes(16);
  });
  expect(passwords.loginFinish(ids[0]!, 'finish')).toMatchObject({ ok: false });
  expect(passwords.loginFinish(ids[1]!, 'finish')).toMatchObject({ ok: true });
  expect(passwords.loginFinish(ids.at(-1)!, 'finish')).toMatchObject({ ok: true });
});

test('[SV7] the right words sign in, and bring the vault and no device', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const browser = world.browser();
  const answered = await browser.post('/api/session/recovery', api.loginRecovery, { handle: '@Ada', recoveryProof: ada.recoveryProof });
  expect(read(api.loginRecovery.answer, answered)).toEqual({ account: ada.person.account });
  expect(await browser.get('/api/session', api.session)).toEqual({ account: ada.person.account, handle: 'ada', device: undefined });
  expect(await browser.get('/api/vault', api.vault)).toEqual({ version: 1, vault: vaultOf(1) });
});

test('[SV8] the cookie\'s flags, and nothing of it in the store but a hash', async () => {
  const world = await makeWorld();
  const browser = world.browser();
  const { body } = await registration(browser, 'ada', 'password of ada');
  const answered = await browser.post('/api/account', api.register, body);
  const cookie = answered.headers.get('set-cookie')!;
  expect(cookie).toMatch(/^godwit=[a-z0-9]{32,}; /);
  for (const flag of ['HttpOnly', 'SameSite=Strict', 'Path=/']) expect(cookie).toContain(flag);
  expect(cookie).not.toContain('Secure');
  const id = cookie.slice('godwit='.length, cookie.indexOf(';'));
  const { account } = read(api.register.answer, answered);
  const [row, ...others] = await world.store.sessionsOf(account);
  expect(others).toEqual([]);
  expect(row!.idHash).toBe(bytesToHex(sha256(textToBytes(id))));
  expect(JSON.stringify(row)).not.toContain(id);

  const secure = createSessions({ store: world.store, clock: world.server.clock, secure: true });
  const header = await secure.create(account, undefined);
  expect(header).toMatch(/^__Host-godwit=/);
  for (const flag of ['HttpOnly', 'SameSite=Strict', 'Path=/', 'Secure']) expect(header).toContain(flag);
  expect(header).not.toContain('Domain');
});

test('[SV9] a sign-in makes a new session and ends the one before; a new password renews the id and keeps the device', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const first = ada.browser.cookie;
  expect((await login(ada.browser, 'ada', ada.password)).status).toBe(200);
  expect(ada.browser.cookie).not.toBe(first);
  expect((await world.store.sessionsOf(ada.person.account)).length).toBe(1);

  const bound = await settle(world, 'bob');
  const before = bound.browser.cookie;
  const registrationRecord = await passwordRecord(bound.browser, 'bob', 'another password');
  const changed = await bound.browser.post('/api/password', api.changePassword, { registrationRecord, vaultVersion: 2, vault: vaultOf(2) }, 'PUT');
  expect(changed.status).toBe(204);
  expect(bound.browser.cookie).not.toBe(before);
  expect((await bound.browser.get('/api/session', api.session)).device).toBe(bound.person.devices[0]!.id);
  const stale = world.browser();
  stale.cookie = before;
  expect((await stale.send('GET', '/api/session')).fault?.name).toBe('not-signed-in');
  expect((await login(world.browser(), 'bob', bound.password)).status).not.toBe(204);
  expect((await startLogin(world.browser(), 'bob', bound.password)).loginFinish).toBeUndefined();
  expect((await login(world.browser(), 'bob', 'another password')).status).toBe(200);
});

test('[SV9] a session is extended in the second half of its life, and is nobody\'s after it', async () => {
  const day = 24 * 3_600_000;
  vi.useFakeTimers({ toFake: ['Date'] });
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const expiry = async () => (await world.store.sessionsOf(ada.person.account))[0]?.expiresAt;
  const first = (await expiry())!;
  vi.setSystemTime(Date.now() + 10 * day);
  expect((await ada.browser.send('GET', '/api/session')).headers.get('set-cookie')).toBeNull();
  vi.setSystemTime(Date.now() + 40 * day);
  const extended = await ada.browser.send('GET', '/api/session');
  expect(extended.headers.get('set-cookie')).toContain(ada.browser.cookie!);
  expect(await expiry()).toBe(first + 50 * day);
  vi.setSystemTime(Date.now() + 91 * day);
  const late = await ada.browser.send('GET', '/api/session');
  expect(late.fault?.name).toBe('not-signed-in');
  expect(ada.browser.cookie).toBeUndefined(); // taken away
  expect(await expiry()).toBeUndefined();
});

test('[SV10] signing out ends this session; signing out everywhere ends all, and sockets are told', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const second = world.browser();
  await login(second, 'ada', ada.password);
  const kept = second.cookie;
  expect((await ada.browser.send('DELETE', '/api/session')).status).toBe(204);
  expect(ada.browser.cookie).toBeUndefined();
  expect(world.published.at(-1)?.message).toEqual({ type: 'revoked', account: ada.person.account, device: ada.person.devices[0]!.id });
  expect((await second.send('GET', '/api/session')).status).toBe(200);

  await login(ada.browser, 'ada', ada.password);
  expect((await ada.browser.send('DELETE', '/api/sessions')).status).toBe(204);
  expect(world.published.at(-1)).toEqual({ channels: [`u:${ada.person.account}`], message: { type: 'revoked', account: ada.person.account, device: undefined } });
  second.cookie = kept;
  expect((await second.send('GET', '/api/session')).fault?.name).toBe('not-signed-in');
  expect(await world.store.sessionsOf(ada.person.account)).toEqual([]);
});

test('[SV10] revoking a device ends its sessions and sockets and leaves the others', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const tablet = await addDevice(ada.person, { ...realRandom, fraction: () => 0 });
  const second = world.browser();
  await login(second, 'ada', ada.password);
  await second.post('/api/account/log', api.appendAccountLog, { height: 1, entries: [ada.person.entries[1]!], uekWraps: [] });
  expect((await second.get('/api/session', api.session)).device).toBe(tablet.id);
  await revokeDevice(ada.person, tablet);
  const revoked = await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 2, entries: ada.person.entries.slice(2), uekWraps: [] });
  expect(read(api.appendAccountLog.answer, revoked)).toEqual({ height: 3 });
  expect((await second.send('GET', '/api/session')).fault?.name).toBe('not-signed-in');
  expect((await ada.browser.send('GET', '/api/session')).status).toBe(200);
  expect(world.published.map(({ message }) => message)).toContainEqual({ type: 'revoked', account: ada.person.account, device: tablet.id });
});

test('[SV11] a sync token names account, device and session, for five minutes and for sync alone', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const answered = await ada.browser.send('POST', '/api/session/token');
  const { token, expiresAt } = read(api.syncToken.answer, answered);
  expect(expiresAt - world.time.now).toBeGreaterThan(298_000);
  expect(expiresAt - world.time.now).toBeLessThanOrEqual(300_000);
  const [session] = await world.store.sessionsOf(ada.person.account);
  const { verifySyncToken } = world.server.identity;
  const claims = { account: ada.person.account, device: ada.person.devices[0]!.id, sessionHash: session!.idHash };
  expect(await verifySyncToken(token)).toEqual({ ok: true, value: claims });
  expect(decodeJwt(token)).toMatchObject({ aud: 'sync', sub: claims.account, did: claims.device, sid: claims.sessionHash });

  const bad = { ok: false, error: 'bad-token' };
  const [head, body, signature] = token.split('.') as [string, string, string];
  const none = `${btoa('{"alg":"none"}').replace(/=+$/, '')}.${body}.`;
  for (const forged of ['', 'x', `${head}.${body}.${signature.slice(0, -2)}AA`, `${head}.${body}x.${signature}`, none]) expect(await verifySyncToken(forged)).toEqual(bad);

  const tokens = await openSyncTokens(await makeSyncTokenKey(), world.server.clock);
  expect(await verifySyncToken((await tokens.issue(claims)).token)).toEqual(bad); // another server's key

  world.time.now += 300_000 + 11_000;
  expect(await verifySyncToken(token)).toEqual(bad);
});

test('[SV11] a token for another audience, a session that ended and a browser without a device are refused', async () => {
  const key = await makeSyncTokenKey();
  const clock = { now: () => 1_700_000_000_000 };
  const tokens = await openSyncTokens(key, clock);
  const claims = { account: 'AAAAAAAAAAAAAAAAAAAAAA' as never, device: 'AQAAAAAAAAAAAAAAAAAAAA' as never, sessionHash: 'hash' };
  const made = (audience: string, issuer: string) => importJWK(JSON.parse(key), 'ES256').then((privateKey) => new SignJWT({ did: claims.device, sid: 'hash' })
    .setProtectedHeader({ alg: 'ES256' }).setIssuer(issuer).setAudience(audience).setSubject(claims.account).setIssuedAt(1_700_000_000).setExpirationTime(1_700_000_300).sign(privateKey));
  expect(await tokens.verify(await made('sync', 'godwit'))).toEqual({ ok: true, value: claims });
  expect(await tokens.verify(await made('media', 'godwit'))).toEqual({ ok: false, error: 'bad-token' });
  expect(await tokens.verify(await made('sync', 'other'))).toEqual({ ok: false, error: 'bad-token' });

  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const { token } = read(api.syncToken.answer, await ada.browser.send('POST', '/api/session/token'));
  await ada.browser.send('DELETE', '/api/session');
  expect(await world.server.identity.verifySyncToken(token)).toEqual({ ok: false, error: 'bad-token' });
  await login(ada.browser, 'ada', ada.password);
  expect((await ada.browser.send('POST', '/api/session/token')).fault?.name).toBe('no-device');
});

test('[SV11] a token is no better than its session: expired, of another device, or of another account', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const eve = await settle(world, 'eve');
  const [device] = ada.person.devices;
  const bad = { ok: false, error: 'bad-token' };
  const { verifySyncToken, syncToken } = world.server.identity;
  const admitted = async (change: { readonly account?: AccountId; readonly device?: DeviceId | undefined; readonly expiresAt?: number }, claimed = ada.person.account) => {
    const sessionHash = bytesToHex(realRandom.bytes(32));
    const { now } = world.time;
    await world.store.putSession({ idHash: sessionHash, account: ada.person.account, device: device!.id, createdAt: now, expiresAt: now + 60_000, ...change });
    const issued = await syncToken({ account: claimed, device: device!.id, handle: 'ada' as never, sessionHash });
    return issued.ok ? verifySyncToken(issued.value.token) : issued;
  };
  expect(await admitted({})).toMatchObject({ ok: true });
  expect(await admitted({ expiresAt: world.time.now })).toEqual(bad);
  expect(await admitted({ device: undefined })).toEqual(bad);
  expect(await admitted({ device: eve.person.devices[0]!.id })).toEqual(bad);
  expect(await admitted({ account: eve.person.account })).toEqual(bad);
  expect(await admitted({}, eve.person.account)).toEqual(bad);
});

test('[SV11] a token that lacks a claim, never ends, is older than it may be, or is signed otherwise is refused', async () => {
  const key = await makeSyncTokenKey();
  const clock = { now: () => 1_700_000_000_000 };
  const tokens = await openSyncTokens(key, clock);
  const whole = { iss: 'godwit', aud: 'sync', sub: 'AAAAAAAAAAAAAAAAAAAAAA', did: 'AQAAAAAAAAAAAAAAAAAAAA', sid: 'hash', iat: 1_700_000_000, exp: 1_700_000_300 };
  const signingKey = await importJWK(JSON.parse(key), 'ES256');
  const made = (claims: Record<string, unknown>) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(signingKey);
  const verdict = async (token: string) => (await tokens.verify(token)).ok;
  expect(await verdict(await made(whole))).toBe(true);
  for (const name of Object.keys(whole)) {
    const { [name as keyof typeof whole]: _left, ...rest } = whole;
    expect([name, await verdict(await made(rest))]).toEqual([name, false]);
  }
  for (const change of [{ sub: 'short' }, { sub: 7 }, { did: 'short' }, { sid: 7 }, { exp: 1_699_999_000 }, { nbf: 1_700_000_100 }, { iat: 1_700_000_100, exp: 1_700_000_400 }, { iat: 1_699_999_600, exp: 1_700_001_000 }]) {
    expect([change, await verdict(await made({ ...whole, ...change }))]).toEqual([change, false]);
  }
  const { d: _private, ...publicJwk } = JSON.parse(key) as Record<string, string>;
  for (const secret of [textToBytes(JSON.stringify(publicJwk)), textToBytes(key), new Uint8Array(32)]) {
    expect(await verdict(await new SignJWT(whole).setProtectedHeader({ alg: 'HS256' }).sign(secret))).toBe(false);
  }
});

test('[SV22] a device takes over a session with its signature over the session\'s challenge, and in no other way', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const [device] = ada.person.devices;
  const eve = await settle(world, 'eve');
  const browser = world.browser();
  await login(browser, 'ada', ada.password);
  const { challenge } = await browser.get('/api/session/device', api.bindDevice);
  const message = concatBytes(idToBytes(ada.person.account), idToBytes(device!.id), challenge);
  const take = async (id: typeof device, signature: Uint8Array) =>
    (await browser.post('/api/session/device', api.bindDevice, { device: id!.id, signature: signature as never })).fault?.detail;

  expect(await take(device, await sign(eve.person.devices[0]!.signKey, 'app/session-device/v1', message))).toBe('wrong-signature');
  expect(await take(device, await sign(device!.signKey, 'app/other/v1', message))).toBe('wrong-signature');
  expect(await take(eve.person.devices[0], await sign(eve.person.devices[0]!.signKey, 'app/session-device/v1', message))).toBe('device-unknown');
  const { challenge: other } = await ada.browser.get('/api/session/device', api.bindDevice);
  expect(other).not.toEqual(challenge);
  const elsewhere = concatBytes(idToBytes(ada.person.account), idToBytes(device!.id), other);
  expect(await take(device, await sign(device!.signKey, 'app/session-device/v1', elsewhere))).toBe('wrong-signature');

  expect(await take(device, await sign(device!.signKey, 'app/session-device/v1', message))).toBeUndefined();
  expect((await browser.get('/api/session', api.session)).device).toBe(device!.id);

  const tablet = await addDevice(ada.person, { ...realRandom, fraction: () => 0 });
  await revokeDevice(ada.person, tablet);
  await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 1, entries: ada.person.entries.slice(1), uekWraps: [] });
  // A session that has a device keeps it: another device of the account signs for sessions of its own only.
  const phone = await addDevice(ada.person, { ...realRandom, fraction: () => 0 });
  const added = await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 4, entries: ada.person.entries.slice(4), uekWraps: [] });
  expect(read(api.appendAccountLog.answer, added)).toEqual({ height: 4 });
  const bound = await ada.browser.get('/api/session', api.session);
  const { challenge: bindAgain } = await ada.browser.get('/api/session/device', api.bindDevice);
  const rival = [device!, phone].find(({ id }) => id !== bound.device)!;
  const again = await sign(rival.signKey, 'app/session-device/v1', concatBytes(idToBytes(ada.person.account), idToBytes(rival.id), bindAgain));
  expect((await ada.browser.post('/api/session/device', api.bindDevice, { device: rival.id, signature: again })).fault?.detail).toBe('has-device');
  expect((await ada.browser.get('/api/session', api.session)).device).toBe(bound.device);

  const third = world.browser();
  await login(third, 'ada', ada.password);
  const { challenge: last } = await third.get('/api/session/device', api.bindDevice);
  const signature = await sign(tablet.signKey, 'app/session-device/v1', concatBytes(idToBytes(ada.person.account), idToBytes(tablet.id), last));
  expect((await third.post('/api/session/device', api.bindDevice, { device: tablet.id, signature })).fault?.detail).toBe('device-unknown');
});
