import { expect, test } from 'vitest';
import { bytesToId, type AccountId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex, textToBytes } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { createOpaqueService } from './opaque-service.ts';
import { signUp } from './enter.ts';
import { createFakeServer } from './fixtures/fake-server.ts';
import { checkProfile, fetchProfile, openProfile, parseDisplayName, publishProfile, sealProfile } from './profile.ts';

const random = systemRandom;
const account = bytesToId<AccountId>(random.bytes(16));
const key = random.bytes(32);
const profile = { displayName: 'Ada Lovelace', picture: random.bytes(300) };

test('[ID12] a profile opens under its key, for its account and version, and nowhere else', async () => {
  const sealed = await sealProfile(key, account, 7, profile, random);
  expect(await openProfile(key, account, 7, sealed)).toEqual(profile);
  expect(await openProfile(random.bytes(32), account, 7, sealed)).toBeUndefined();
  expect(await openProfile(key, bytesToId(random.bytes(16)), 7, sealed)).toBeUndefined();
  expect(await openProfile(key, account, 8, sealed)).toBeUndefined();
  for (let at = 0; at < sealed.length; at += Math.ceil(sealed.length / 20)) {
    const bent = sealed.slice();
    bent[at]! ^= 1;
    expect(await openProfile(key, account, 7, bent)).toBeUndefined();
  }
});

test('[ID12] the server learns a padded size and no name, and the largest profile fits', async () => {
  const sizes = new Set<number>();
  for (const displayName of ['A', 'Ada', 'Ada Lovelace of the Analytical Engine']) sizes.add((await sealProfile(key, account, 1, { displayName, picture: undefined }, random)).length);
  expect(sizes.size).toBe(1);
  const largest = await sealProfile(key, account, 1, { displayName: '😀'.repeat(64), picture: random.bytes(limits.pictureSizeBytesMax) }, random);
  expect(largest.length).toBeLessThanOrEqual(limits.profileSizeBytesMax);
});

test('[ID12] names are trimmed and bounded, and say so when they are not names', () => {
  expect(parseDisplayName('  Ada \u00a0')).toBe('Ada');
  expect(parseDisplayName('😀'.repeat(64))).toBe('😀'.repeat(64));
  for (const name of ['', '   ', 'a\nb', '\u0000', 'x'.repeat(65)]) expect(parseDisplayName(name)).toBeUndefined();
  expect(checkProfile({ displayName: '', picture: undefined })).toEqual({ ok: false, error: { type: 'name-invalid' } });
  expect(checkProfile({ displayName: 'Ada', picture: random.bytes(limits.pictureSizeBytesMax + 1) })).toEqual({ ok: false, error: { type: 'picture-too-big' } });
  expect(checkProfile({ displayName: ' Ada ', picture: undefined })).toEqual({ ok: true, value: { displayName: 'Ada', picture: undefined } });
});

test('[ID12] a published profile reaches who holds the key, and a bent one is told apart from none', async () => {
  const server = await createFakeServer();
  const { api } = server.browser();
  const made = await signUp({ api, opaque: createOpaqueService(), random, clock: { now: () => 1 } }, { handle: 'ada', password: 'correct horse 7' });
  if (!made.ok) throw new Error(made.error.type);
  const { profileKey, identity } = made.value;
  expect(await fetchProfile(api, profileKey, identity.account)).toMatchObject({ ok: false, error: { type: 'api', name: 'not-found' } });
  expect((await publishProfile({ api, key: profileKey, account: identity.account, version: 3, profile, random })).ok).toBe(true);
  expect(await fetchProfile(api, profileKey, identity.account)).toEqual({ ok: true, value: { ...profile, version: 3 } });
  expect(await fetchProfile(api, key, identity.account)).toEqual({ ok: false, error: { type: 'unreadable' } });
  expect(server.bodies.map(bytesToHex).join('|')).not.toContain(bytesToHex(textToBytes('Lovelace')));
});
