/** The flows against the real server's endpoints, so that the two halves cannot drift apart. */
import { expect, test } from 'vitest';
import { openMemoryDatabase } from '#lib/storage/memory.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import { systemRandom } from '#lib/std/system.ts';
import { makeWorld, type Browser, type World } from '../../../tests/support/server-world.ts';
import { openAccount } from './account.ts';
import { openAccounts } from './accounts.ts';
import { createApiClient } from './api-client.ts';
import { signIn, signInWithWords, signUp } from './enter.ts';
import { createOpaqueService } from './opaque-service.ts';
import { fetchProfile, publishProfile } from './profile.ts';
import { loadIdentity, saveIdentity, type NewIdentity } from './records.ts';

const random = systemRandom;
const clock = { now: () => 1_700_000_000_000 };
const opaque = createOpaqueService();
const password = 'correct horse 7';

function must<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

function fetchOf(browser: Browser): typeof fetch {
  return (async (url: string, init: RequestInit) => {
    const { pathname, search } = new URL(url);
    const { status, bytes } = await browser.send(init.method!, pathname + search, init.body as Bytes | undefined);
    return new Response(status === 204 ? null : bytes, { status });
  }) as unknown as typeof fetch;
}

function depsIn(world: World) {
  const browser = world.browser();
  return { browser, api: createApiClient({ fetch: fetchOf(browser), origin: 'http://localhost:3000' }), opaque, random, clock };
}

async function settleIn(deps: ReturnType<typeof depsIn>, made: NewIdentity) {
  const database = openMemoryDatabase();
  await saveIdentity(database, made, random, clock.now());
  const accounts = await openAccounts({ database, api: deps.api, clock });
  return { ...deps, accounts, account: openAccount({ ...deps, database, accounts, loaded: (await loadIdentity(database, random))! }) };
}

test('[ID19] an account is made, entered, used from three devices and kept in order at the real server', async () => {
  const world = await makeWorld({ limits: 'relaxed' });
  const first = depsIn(world);
  const made = must(await signUp(first, { handle: 'Ada', password }));
  expect(made.pinOwed).toBeUndefined();
  const phone = await settleIn(first, made);
  expect(must(await first.api.session())).toMatchObject({ account: made.identity.account, handle: 'ada', device: made.identity.device });
  expect(must(await first.api.syncToken()).token.length).toBeGreaterThan(0);
  expect(await signUp(depsIn(world), { handle: 'ada', password })).toEqual({ ok: false, error: { type: 'handle-taken' } });
  expect(await signIn(depsIn(world), { handle: 'ada', password: 'correct horse 8' })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
  expect(await signIn(depsIn(world), { handle: 'nobody', password })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });

  const second = depsIn(world);
  const laptop = await settleIn(second, must(await signIn(second, { handle: 'ada', password })));
  expect(must(await second.api.session()).device).toBe(laptop.account.device);
  const third = depsIn(world);
  const tablet = await settleIn(third, must(await signInWithWords(third, { handle: 'ada', words: made.words!.join(' ') })));

  must(await phone.account.revokeDevice(laptop.account.device));
  expect(must(await tablet.account.sync()).state.ueks).toHaveLength(2);
  expect((await tablet.account.uekPrivate(2))?.publicKey).toEqual((await phone.account.uekPrivate(2))?.publicKey);
  // The server ended the shut-out device's session; the person signs in and learns why.
  expect(await laptop.account.sync()).toEqual({ ok: false, error: { type: 'failed', detail: 'not-signed-in' } });
  expect(await laptop.account.renewSession({ password })).toEqual({ ok: false, error: { type: 'device-revoked' } });
  expect(await laptop.account.uekPrivate(2)).toBeUndefined();
  expect((await second.api.syncToken()).ok).toBe(false);

  must(await phone.account.changePassword({ oldPassword: password, newPassword: 'another one' }));
  must(await first.api.syncToken()); // the session stayed
  expect((await signIn(depsIn(world), { handle: 'ada', password })).ok).toBe(false);
  must(await tablet.account.renewSession({ password: 'another one' }));
  expect(must(await third.api.session()).device).toBe(tablet.account.device);
  must(await tablet.account.checkVault());
  must(await first.api.endAllSessions());
  expect(await first.api.session()).toMatchObject({ ok: false, error: { type: 'api', name: 'not-signed-in' } });
});

test('[ID19] people find each other and their logs and profiles at the real server', async () => {
  const world = await makeWorld({ limits: 'relaxed' });
  const [a, b] = [depsIn(world), depsIn(world)];
  const ada = await settleIn(a, must(await signUp(a, { handle: 'ada', password })));
  const bob = await settleIn(b, must(await signUp(b, { handle: 'bob', password })));
  const found = must(await ada.accounts.findByHandle('Bob'));
  expect(found.state).toEqual(await bob.account.state());
  expect(must(await ada.accounts.check(found.account)).state.height).toBe(1);
  expect(await ada.accounts.findByHandle('carol')).toEqual({ ok: false, error: { type: 'not-found' } });
  const profile = { displayName: 'Bob', picture: undefined };
  must(await publishProfile({ api: b.api, key: bob.account.profileKey, account: bob.account.account, version: 1, profile, random }));
  expect(await fetchProfile(a.api, bob.account.profileKey, bob.account.account)).toEqual({ ok: true, value: { ...profile, version: 1 } });
});
