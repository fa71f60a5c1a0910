import { expect, test } from 'vitest';
import { buildAddDevice, proveDevicePossession } from '#lib/chains/account-build.ts';
import { addDevice, makeDevice, makePerson, recoverySigner, revokeDevice, rotateUek } from '#lib/chains/fixtures/people.ts';
import { api } from '#lib/protocol/api.ts';
import { bytesToId, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { act, add, create, login, makeWorld, passwordRecord, read, realRandom, registration, settle, vaultOf } from '../../../tests/support/server-world.ts';

const random = { ...realRandom, fraction: () => 0 };
const group = () => ({ conversation: bytesToId<never>(realRandom.bytes(16)), state: undefined });

test('[SV21] of two who ask for one handle at once one gets it', async () => {
  const world = await makeWorld();
  const people = await Promise.all(['a', 'b'].map(async () => {
    const browser = world.browser();
    return { browser, ...(await registration(browser, 'ada', 'a password')) };
  }));
  const answers = await Promise.all(people.map(({ browser, body }) => browser.post('/api/account', api.register, body)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(answers.find(({ status }) => status === 409)!.fault).toEqual({ name: 'handle-taken', detail: '', number: 0 });
  const winner = people[answers.findIndex(({ status }) => status === 200)]!;
  expect((await world.store.accountByHandle('ada' as never))?.account).toBe(winner.person.account);
  expect(people.find((one) => one !== winner)!.browser.cookie).toBeUndefined();
});

test('[SV20] a genesis that does not verify, a record that is none and a wrap for nobody make no account', async () => {
  const world = await makeWorld();
  const browser = world.browser();
  const { body } = await registration(browser, 'ada', 'a password');
  const broken = Uint8Array.from(body.genesis);
  broken[broken.length - 1]! ^= 1;
  const other = await makePerson(random);
  const refused = async (change: Partial<typeof body>) => (await browser.post('/api/account', api.register, { ...body, ...change })).fault;
  expect(await refused({ genesis: broken })).toMatchObject({ name: 'refused', detail: 'wrong-signature' });
  expect(await refused({ genesis: other.entries[0]!.subarray(0, 40) as never })).toMatchObject({ name: 'refused', detail: 'malformed' });
  expect(await refused({ registrationRecord: 'AAAA' })).toMatchObject({ name: 'malformed', detail: 'registration-record' });
  expect(await refused({ handle: 'no handle' })).toMatchObject({ name: 'malformed', detail: 'handle' });
  expect(await refused({ uekWraps: [{ device: other.devices[0]!.id, gen: 1, wrap: realRandom.bytes(9) }] })).toMatchObject({ name: 'refused', detail: 'wrong-wrap' });
  expect(browser.cookie).toBeUndefined();
  expect((await browser.post('/api/account', api.register, body)).status).toBe(200);
  const again = world.browser();
  expect((await again.post('/api/account', api.register, { ...body, handle: 'eve' })).fault).toMatchObject({ name: 'refused', detail: 'account-exists' });
  expect(again.cookie).toBeUndefined();
});

test('[SV20] an account log grows by valid entries at the next height, and binds a session that has no device', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const browser = world.browser();
  await login(browser, 'ada', ada.password);
  const post = (height: number, entries: readonly Uint8Array[]) => browser.post('/api/account/log', api.appendAccountLog, { height, entries: entries as never, uekWraps: [] });

  const tablet = await addDevice(ada.person, random);
  const added = ada.person.entries[1]!;
  expect((await post(2, [added])).fault).toEqual({ name: 'conflict', detail: '', number: 0 });
  const forged = Uint8Array.from(added);
  forged[forged.length - 1]! ^= 1;
  expect((await post(1, [forged])).fault?.name).toBe('refused');
  expect((await browser.get('/api/session', api.session)).device).toBeUndefined();
  expect((await browser.send('GET', '/api/account/wraps')).fault?.name).toBe('no-device');

  expect(read(api.appendAccountLog.answer, await post(1, [added]))).toEqual({ height: 1 });
  expect((await browser.get('/api/session', api.session)).device).toBe(tablet.id);
  const log = await ada.browser.get(`/api/accounts/${ada.person.account}/log?from=1`, api.accountLog);
  expect(log).toEqual({ account: ada.person.account, handle: 'ada', from: 1, entries: [added] });
  expect((await ada.browser.get('/api/accounts/handle/ada', api.accountLog)).entries).toEqual(ada.person.entries);
  expect((await ada.browser.send('GET', '/api/accounts/handle/nobody')).fault?.name).toBe('not-found');
  expect((await ada.browser.send('GET', `/api/accounts/${bytesToId<AccountId>(realRandom.bytes(16))}/log`)).fault?.name).toBe('not-found');
});

test('[SV20] a repeated append succeeds and binds no session', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  await addDevice(ada.person, random);
  const body = { height: 1, entries: [ada.person.entries[1]!], uekWraps: [] };
  expect((await ada.browser.post('/api/account/log', api.appendAccountLog, body)).status).toBe(200);
  const thief = world.browser(); // knows the password, holds no key
  await login(thief, 'ada', ada.password);
  expect(read(api.appendAccountLog.answer, await thief.post('/api/account/log', api.appendAccountLog, body))).toEqual({ height: 1 });
  expect((await thief.get('/api/session', api.session)).device).toBeUndefined();
});

test('[SV20] a revoke without its rotation is refused, and a race of two appends has one winner', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const tablet = await addDevice(ada.person, random);
  const post = (height: number, entries: readonly Uint8Array[]) => ada.browser.post('/api/account/log', api.appendAccountLog, { height, entries: entries as never, uekWraps: [] });
  await post(1, ada.person.entries.slice(1));

  const here = ada.person.state;
  const phones = await Promise.all([makeDevice(random), makeDevice(random)].map((making) => making));
  const entries = await Promise.all(phones.map(async ({ keys, signKey }) =>
    buildAddDevice(here, { device: keys, possession: await proveDevicePossession(here, keys, signKey), signer: recoverySigner(ada.person) })));
  const answers = await Promise.all(entries.map((entry) => post(2, [entry])));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(answers.find(({ status }) => status === 409)!.fault).toEqual({ name: 'conflict', detail: '', number: 2 });

  const winner = entries[answers.findIndex(({ status }) => status === 200)]!;
  const { append } = await import('#lib/chains/fixtures/people.ts');
  await append(ada.person, winner);
  await revokeDevice(ada.person, tablet);
  expect((await post(3, [ada.person.entries[3]!])).fault).toMatchObject({ name: 'refused', detail: 'rotation-owed' });
  expect((await post(3, ada.person.entries.slice(3))).status).toBe(200);
});

test('[SV19] a device reads the wraps made for it and no other\'s', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const tablet = await addDevice(ada.person, random);
  await rotateUek(ada.person);
  const own = { device: ada.person.devices[0]!.id, gen: 2, wrap: realRandom.bytes(100) };
  const theirs = { device: tablet.id, gen: 2, wrap: realRandom.bytes(100) };
  await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 1, entries: ada.person.entries.slice(1), uekWraps: [own, theirs] });
  const { wraps } = await ada.browser.get('/api/account/wraps', api.uekWraps);
  expect(wraps.map(({ gen }) => gen)).toEqual([1, 2]);
  expect(wraps[1]).toEqual(own);
});

test('[SV20] a wrap for a device or a generation that the log does not have in use refuses the whole append', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const tablet = await addDevice(ada.person, random);
  await revokeDevice(ada.person, tablet);
  const wrap = realRandom.bytes(100);
  const own = ada.person.devices[0]!.id;
  const post = (...uekWraps: readonly { device: DeviceId; gen: number; wrap: typeof wrap }[]) =>
    ada.browser.post('/api/account/log', api.appendAccountLog, { height: 1, entries: ada.person.entries.slice(1), uekWraps });
  for (const wrong of [{ device: tablet.id, gen: 2, wrap }, { device: bytesToId<DeviceId>(realRandom.bytes(16)), gen: 2, wrap }, { device: own, gen: 3, wrap }]) {
    expect((await post({ device: own, gen: 2, wrap }, wrong)).fault).toMatchObject({ name: 'refused', detail: 'wrong-wrap' });
  }
  expect((await ada.browser.get(`/api/accounts/${ada.person.account}/log`, api.accountLog)).entries).toHaveLength(1);
  expect((await post({ device: own, gen: 2, wrap })).status).toBe(200);
});

test('[SV23] a vault moves one version at a time, and a lost race names the one that is there', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const put = (version: number, fill: number) => ada.browser.post('/api/vault', api.vault, { version, vault: vaultOf(fill) }, 'PUT');
  expect((await put(3, 3)).fault).toEqual({ name: 'conflict', detail: '', number: 1 });
  const race = await Promise.all([put(2, 2), put(2, 9)]);
  expect(race.map(({ status }) => status).sort()).toEqual([204, 409]);
  expect((await ada.browser.get('/api/vault', api.vault)).version).toBe(2);

  const registrationRecord = await passwordRecord(ada.browser, 'ada', 'another');
  const stale = await ada.browser.post('/api/password', api.changePassword, { registrationRecord, vaultVersion: 2, vault: vaultOf(5) }, 'PUT');
  expect(stale.fault).toEqual({ name: 'conflict', detail: '', number: 2 });
  expect((await login(world.browser(), 'ada', ada.password)).status).toBe(200); // the old password still stands, with its vault
});

test('[SV23] a profile moves to a greater version, sealed for those who hold its key', async () => {
  const world = await makeWorld();
  const ada = await settle(world, 'ada');
  const bob = await settle(world, 'bob');
  const put = (version: number) => ada.browser.post('/api/profile', api.profile, { version, sealed: realRandom.bytes(40) }, 'PUT');
  expect((await bob.browser.send('GET', `/api/accounts/${ada.person.account}/profile`)).fault?.name).toBe('not-found');
  expect((await put(5)).status).toBe(204);
  expect((await put(5)).fault).toEqual({ name: 'conflict', detail: '', number: 5 });
  expect((await bob.browser.get(`/api/accounts/${ada.person.account}/profile`, api.profile)).version).toBe(5);
});

test('[SV24] a moved account log and profile are announced to oneself and to companions, and to nobody else', async () => {
  const world = await makeWorld();
  const [ada, bob] = [await settle(world, 'ada'), await settle(world, 'bob')];
  await settle(world, 'eve');
  await act(world, group(), ada, create, add(bob.person));
  world.published.length = 0;
  await addDevice(ada.person, random);
  await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 1, entries: [ada.person.entries[1]!], uekWraps: [] });
  await ada.browser.post('/api/profile', api.profile, { version: 1, sealed: realRandom.bytes(9) }, 'PUT');
  const channels = [`u:${ada.person.account}`, `u:${bob.person.account}`];
  expect(world.published).toEqual([
    { channels, message: { type: 'account', account: ada.person.account, height: 1 } },
    { channels, message: { type: 'profile', account: ada.person.account } },
  ]);
});
