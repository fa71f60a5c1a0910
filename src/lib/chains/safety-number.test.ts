import { expect, test } from 'vitest';
import { generateSigningPair } from '#lib/crypto/primitives.ts';
import { buildSetRecovery } from './account-build.ts';
import { addDevice, append, makePerson, recoverySigner, revokeDevice, seededRandom } from './fixtures/people.ts';
import { checkSafetyQr, safetyDigits } from './safety-number.ts';

test('[CH20] both sides compute the same sixty digits, and devices, keys and a renewed recovery leave them as they are', async () => {
  const random = seededRandom(50);
  const [alice, bob] = [await makePerson(random), await makePerson(random)];
  const before = await safetyDigits(alice.state, bob.state);
  expect(before.groups).toHaveLength(12);
  for (const group of before.groups) expect(group).toMatch(/^\d{5}$/);
  expect(await safetyDigits(bob.state, alice.state)).toEqual(before);
  const device = await addDevice(bob, random);
  await revokeDevice(bob, device);
  await append(bob, await buildSetRecovery(bob.state, { recoveryPublicKey: (await generateSigningPair()).publicKey, signers: [recoverySigner(bob)] }));
  expect(await safetyDigits(alice.state, bob.state)).toEqual(before);
});

test('[CH20] another genesis or another recovery key in it gives another number', async () => {
  const random = seededRandom(51);
  const [alice, bob, mallory] = [await makePerson(random), await makePerson(random), await makePerson(random)];
  const real = await safetyDigits(alice.state, bob.state);
  expect((await safetyDigits(alice.state, mallory.state)).groups).not.toEqual(real.groups);
  expect((await safetyDigits(alice.state, { ...bob.state, genesisRecoveryPublicKey: mallory.state.genesisRecoveryPublicKey })).groups).not.toEqual(real.groups);
});

test('[CH20] a scanned code matches, differs, or is none of ours', async () => {
  const random = seededRandom(52);
  const [alice, bob, mallory] = [await makePerson(random), await makePerson(random), await makePerson(random)];
  const mine = await safetyDigits(alice.state, bob.state);
  const theirs = await safetyDigits(bob.state, alice.state);
  expect(checkSafetyQr(theirs.qr, mine)).toBe('match');
  expect(checkSafetyQr(` ${theirs.qr}\n`, mine)).toBe('match');
  expect(checkSafetyQr((await safetyDigits(mallory.state, alice.state)).qr, mine)).toBe('mismatch');
  expect(checkSafetyQr('https://example.org/', mine)).toBe('other');
});
