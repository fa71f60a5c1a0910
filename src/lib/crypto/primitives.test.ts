import { createCipheriv, createDecipheriv, createHash, createHmac, createPublicKey, hkdfSync, verify as nodeVerify } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToHex, concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { label, lp, u16, u32, u64, u8 } from './encoding.ts';
import {
  deriveBytes, equalSecrets, exportPrivateKey, generateAesKey, generateKemPair, generateSigningPair, hmacSha256, importAesKey, importKemKey,
  importSigningKey, pad, sealAes, sha256, sign, unpad, unsealAes, verify,
} from './primitives.ts';

const hex = (text: string): Bytes => Uint8Array.from(Buffer.from(text, 'hex'));
const anyBytes = fc.uint8Array({ maxLength: 200 });

test('[CR5] SHA-256, HMAC and HKDF give the published values and those of Node', () => {
  expect(bytesToHex(sha256(textToBytes('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'); // FIPS 180-4
  expect(bytesToHex(hmacSha256(textToBytes('Jefe'), textToBytes('what do ya want for nothing?')))).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'); // RFC 4231, 2
  // RFC 5869, A.1: its PRK is a secret as we have them, its OKM what is derived.
  expect(bytesToHex(deriveBytes(hex('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5'), hex('f0f1f2f3f4f5f6f7f8f9'), 42)))
    .toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
  fc.assert(fc.property(anyBytes, anyBytes, fc.integer({ min: 1, max: 200 }), (a, b, size) => {
    expect(bytesToHex(sha256(a, b))).toBe(createHash('sha256').update(a).update(b).digest('hex'));
    expect(bytesToHex(hmacSha256(a, b))).toBe(createHmac('sha256', a).update(b).digest('hex'));
    const secret = hmacSha256(new Uint8Array(32), a); // HKDF-Extract without a salt
    expect(bytesToHex(deriveBytes(secret, b, size))).toBe(Buffer.from(hkdfSync('sha256', a, new Uint8Array(), b, size)).toString('hex'));
  }), { numRuns: 100 });
});

test('[CR6] what is sealed opens under the same key and associated data, and Node agrees both ways', async () => {
  await fc.assert(fc.asyncProperty(anyBytes, anyBytes, fc.uint8Array({ minLength: 32, maxLength: 32 }), async (plaintext, associated, raw) => {
    const key = await importAesKey(Uint8Array.from(raw));
    const sealed = await sealAes(key, plaintext, associated, systemRandom);
    expect(await unsealAes(key, sealed, associated)).toEqual(Uint8Array.from(plaintext));
    const decipher = createDecipheriv('aes-256-gcm', raw, sealed.subarray(0, 12)).setAAD(associated).setAuthTag(sealed.subarray(-16));
    expect(concatBytes(decipher.update(sealed.subarray(12, -16)), decipher.final())).toEqual(Uint8Array.from(plaintext));
    const cipher = createCipheriv('aes-256-gcm', raw, sealed.subarray(0, 12)).setAAD(associated);
    expect(concatBytes(sealed.subarray(0, 12), cipher.update(plaintext), cipher.final(), cipher.getAuthTag())).toEqual(sealed);
  }), { numRuns: 40 });
});

test('[CR7] sealed bytes changed anywhere, cut, moved or opened with another key do not open', async () => {
  const key = await generateAesKey();
  const place = textToBytes('place');
  const sealed = await sealAes(key, textToBytes('a body of some length'), place, systemRandom);
  expect(await unsealAes(key, sealed, place)).toBeDefined();
  for (let at = 0; at < sealed.length; at++) {
    const tampered = sealed.slice();
    tampered[at]! ^= 1 << (at % 8);
    expect([at, await unsealAes(key, tampered, place)]).toEqual([at, undefined]);
  }
  for (let size = 0; size < sealed.length; size++) expect([size, await unsealAes(key, sealed.subarray(0, size), place)]).toEqual([size, undefined]);
  expect(await unsealAes(key, sealed, textToBytes('Place'))).toBeUndefined();
  expect(await unsealAes(key, sealed, new Uint8Array())).toBeUndefined();
  expect(await unsealAes(await generateAesKey(), sealed, place)).toBeUndefined();
});

test('[CR8] keys that need not leave cannot be exported', async () => {
  const signing = await generateSigningPair();
  const kem = await generateKemPair();
  const travelled = await generateSigningPair(true);
  const again = await importSigningKey(await exportPrivateKey(travelled.privateKey));
  const kemAgain = await importKemKey(await exportPrivateKey((await generateKemPair(true)).privateKey));
  for (const key of [await generateAesKey(), await importAesKey(new Uint8Array(32)), signing.privateKey, kem.privateKey, again, kemAgain]) {
    expect(key.extractable).toBe(false);
    await expect(crypto.subtle.exportKey(key.type === 'secret' ? 'raw' : 'pkcs8', key)).rejects.toThrow();
  }
  expect(await verify(travelled.publicKey, 'app/a/v1', textToBytes('m'), await sign(again, 'app/a/v1', textToBytes('m')))).toBe(true);
});

test('[CR9] a signature holds for its key, purpose and message alone', async () => {
  const pair = await generateSigningPair();
  const other = await generateSigningPair();
  const message = textToBytes('a message');
  const signature = await sign(pair.privateKey, 'app/entry/v1', message);
  expect(signature.length).toBe(64);
  expect(await verify(pair.publicKey, 'app/entry/v1', message, signature)).toBe(true);
  // Node sees the same: ECDSA over lp(label) | message.
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: Buffer.from(pair.publicKey.subarray(1, 33)).toString('base64url'), y: Buffer.from(pair.publicKey.subarray(33)).toString('base64url') } });
  expect(nodeVerify('sha256', concatBytes(lp(label('app/entry/v1')), message), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
  expect(await verify(other.publicKey, 'app/entry/v1', message, signature)).toBe(false);
  expect(await verify(pair.publicKey, 'app/entry/v2', message, signature)).toBe(false);
  expect(await verify(pair.publicKey, 'app/entry/v', concatBytes(textToBytes('1'), message), signature)).toBe(false);
  expect(await verify(pair.publicKey, 'app/entry/v1', textToBytes('b message'), signature)).toBe(false);
  expect(await verify(pair.publicKey, 'app/entry/v1', new Uint8Array(), signature)).toBe(false);
  for (let at = 0; at < signature.length; at++) {
    const tampered = signature.slice();
    tampered[at]! ^= 1 << (at % 8);
    expect([at, await verify(pair.publicKey, 'app/entry/v1', message, tampered)]).toEqual([at, false]);
  }
});

test('[CR9] a signature or public key of the wrong size or off the curve verifies nothing', async () => {
  const pair = await generateSigningPair();
  const message = textToBytes('m');
  const signature = await sign(pair.privateKey, 'app/a/v1', message);
  const offCurve = pair.publicKey.slice();
  offCurve[64]! ^= 1;
  for (const key of [offCurve, new Uint8Array(65), pair.publicKey.subarray(1), new Uint8Array(0), pair.publicKey.with(0, 2)]) expect(await verify(key, 'app/a/v1', message, signature)).toBe(false);
  for (const wrong of [new Uint8Array(0), signature.subarray(1), concatBytes(signature, Uint8Array.of(0)), new Uint8Array(64), new Uint8Array(64).fill(255)]) expect(await verify(pair.publicKey, 'app/a/v1', message, wrong)).toBe(false);
  expect(await verify(offCurve, 'app/a/v1', message, signature)).toBe(false); // remembered, and refused again
  expect(await verify(pair.publicKey, 'app/a/v1', message, signature)).toBe(true);
});

test('[CR10] bytes that are signed are big-endian and one for each value; what does not fit is a broken promise', () => {
  expect([bytesToHex(u8(255)), bytesToHex(u16(0x1234)), bytesToHex(u32(0xfedcba98)), bytesToHex(u64(2 ** 53 - 1))]).toEqual(['ff', '1234', 'fedcba98', '001fffffffffffff']);
  expect(bytesToHex(lp(Uint8Array.of(7, 8)))).toBe('000000020708');
  fc.assert(fc.property(fc.maxSafeNat(), (value) => new DataView(u64(value).buffer).getBigUint64(0) === BigInt(value)));
  for (const [write, max] of [[u8, 2 ** 8], [u16, 2 ** 16], [u32, 2 ** 32], [u64, 2 ** 53]] as const) {
    for (const wrong of [max, -1, 0.5, Number.NaN, Infinity]) expect(() => write(wrong)).toThrow('in its range');
    expect(write(0).every((byte) => byte === 0)).toBe(true);
  }
});

test('[CR11] secrets compare equal only when they are', () => {
  fc.assert(fc.property(anyBytes, anyBytes, (a, b) => equalSecrets(a, b) === (bytesToHex(a) === bytesToHex(b)) && equalSecrets(a, Uint8Array.from(a))));
  expect(equalSecrets(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
  expect(equalSecrets(Uint8Array.of(1, 0), Uint8Array.of(1))).toBe(false);
});

test('[CR12] a padded body under a seal shows only its bucket', async () => {
  const key = await generateAesKey();
  const sizes = new Set<number>();
  for (const size of [0, 1, 100, 252]) sizes.add((await sealAes(key, pad(new Uint8Array(size)), new Uint8Array(), systemRandom)).length);
  expect([...sizes]).toEqual([256 + 28]);
  expect(unpad((await unsealAes(key, await sealAes(key, pad(textToBytes('x')), new Uint8Array(), systemRandom), new Uint8Array()))!)).toEqual(textToBytes('x'));
});
