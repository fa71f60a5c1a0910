import { createCipheriv, createDecipheriv, createECDH, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToHex, concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { hpkeOverheadSizeBytes, importKemPublicKey, openHpke, sealHpke } from './hpke.ts';
import { exportPrivateKey, generateKemPair, importKemKey } from './primitives.ts';

// RFC 9180 written out a second time, over Node's own primitives: the oracle for both directions.

interface Suite {
  readonly aeadId: number;
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm';
  readonly keySize: number;
}

const aes128: Suite = { aeadId: 1, cipher: 'aes-128-gcm', keySize: 16 };
const aes256: Suite = { aeadId: 2, cipher: 'aes-256-gcm', keySize: 32 };

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return Uint8Array.from(mac.digest());
}

const ids = (text: string, ...numbers: readonly number[]): Bytes => concatBytes(textToBytes(text), Uint8Array.from(numbers.flatMap((n) => [n >> 8, n & 255])));
const version = textToBytes('HPKE-v1');

function labeledExtract(suiteId: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Bytes {
  return hmac(salt.length ? salt : new Uint8Array(32), version, suiteId, textToBytes(label), ikm);
}

function labeledExpand(suiteId: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, size: number): Bytes {
  return hmac(prk, Uint8Array.of(size >> 8, size & 255), version, suiteId, textToBytes(label), info, Uint8Array.of(1)).slice(0, size);
}

function sharedSecret(dh: Uint8Array, enc: Uint8Array, recipientPublicKey: Uint8Array): Bytes {
  const kem = ids('KEM', 0x0010);
  return labeledExpand(kem, labeledExtract(kem, new Uint8Array(), 'eae_prk', dh), 'shared_secret', concatBytes(enc, recipientPublicKey), 32);
}

function keySchedule(suite: Suite, shared: Uint8Array, info: Uint8Array): { readonly key: Bytes; readonly nonce: Bytes } {
  const id = ids('HPKE', 0x0010, 0x0001, suite.aeadId);
  const none = new Uint8Array();
  const context = concatBytes(Uint8Array.of(0), labeledExtract(id, none, 'psk_id_hash', none), labeledExtract(id, none, 'info_hash', info));
  const secret = labeledExtract(id, shared, 'secret', none);
  return { key: labeledExpand(id, secret, 'key', context, suite.keySize), nonce: labeledExpand(id, secret, 'base_nonce', context, 12) };
}

function sealByHand(suite: Suite, ephemeralPrivateKey: Uint8Array, recipientPublicKey: Uint8Array, info: Uint8Array, associated: Uint8Array, plaintext: Uint8Array): Bytes {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(ephemeralPrivateKey);
  const enc = ecdh.getPublicKey();
  const { key, nonce } = keySchedule(suite, sharedSecret(ecdh.computeSecret(recipientPublicKey), enc, recipientPublicKey), info);
  const cipher = createCipheriv(suite.cipher, key, nonce).setAAD(associated);
  return concatBytes(enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

function openByHand(suite: Suite, privateKey: Uint8Array, info: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Bytes {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(privateKey);
  const enc = sealed.subarray(0, 65);
  const { key, nonce } = keySchedule(suite, sharedSecret(ecdh.computeSecret(enc), enc, ecdh.getPublicKey()), info);
  const decipher = createDecipheriv(suite.cipher, key, nonce).setAAD(associated).setAuthTag(sealed.subarray(-16));
  return concatBytes(decipher.update(sealed.subarray(65, -16)), decipher.final());
}

const hex = (text: string): Bytes => Uint8Array.from(Buffer.from(text, 'hex'));

// RFC 9180, A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, first encryption.
const vector = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  skEm: hex('4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb'),
  skRm: hex('f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2'),
  pkRm: hex('04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0'),
  enc: hex('04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4'),
  shared: 'c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8',
  key: '868c066ef58aae6dc589b6cfdd18f97e',
  nonce: '4e0bc5018beba4bf004cca59',
  aad: hex('436f756e742d30'),
  pt: hex('4265617574792069732074727574682c20747275746820626561757479'),
  ct: '5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434',
};

/** The PKCS #8 of a P-256 private key, from its number alone. */
function pkcs8(privateKey: Uint8Array): Bytes {
  return concatBytes(hex('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420'), privateKey);
}

function privateNumber(exported: Uint8Array): Bytes {
  return exported.slice(36, 68);
}

test('[CR1] the oracle gives the values of RFC 9180, A.3.1', () => {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(vector.skRm);
  const shared = sharedSecret(ecdh.computeSecret(vector.enc), vector.enc, vector.pkRm);
  expect(bytesToHex(shared)).toBe(vector.shared);
  const { key, nonce } = keySchedule(aes128, shared, vector.info);
  expect([bytesToHex(key), bytesToHex(nonce)]).toEqual([vector.key, vector.nonce]);
  expect(bytesToHex(sealByHand(aes128, vector.skEm, vector.pkRm, vector.info, vector.aad, vector.pt))).toBe(bytesToHex(vector.enc) + vector.ct);
});

test('[CR1] what the oracle seals to the recipient of the RFC opens here, with a key that cannot be exported', async () => {
  const privateKey = await importKemKey(pkcs8(vector.skRm));
  expect(privateKey.extractable).toBe(false);
  const sealed = sealByHand(aes256, vector.skEm, vector.pkRm, vector.info, vector.aad, vector.pt);
  expect(await openHpke({ recipientKey: { privateKey, publicKey: vector.pkRm }, info: vector.info, associated: vector.aad, sealed })).toEqual(vector.pt);
});

test('[CR1] HPKE agrees with the oracle both ways, for any text, use and place', async () => {
  const pair = await generateKemPair(true);
  const number = privateNumber(await exportPrivateKey(pair.privateKey));
  const some = fc.uint8Array({ maxLength: 100 });
  await fc.assert(fc.asyncProperty(some, some, some, async (info, associated, plaintext) => {
    const sealed = await sealHpke({ recipientPublicKey: pair.publicKey, info, associated, plaintext });
    expect(sealed!.length).toBe(plaintext.length + hpkeOverheadSizeBytes);
    expect(openByHand(aes256, number, info, associated, sealed!)).toEqual(Uint8Array.from(plaintext));
    const byHand = sealByHand(aes256, vector.skEm, pair.publicKey, info, associated, plaintext);
    expect(await openHpke({ recipientKey: pair, info, associated, sealed: byHand })).toEqual(Uint8Array.from(plaintext));
  }), { numRuns: 40 });
});

test('[CR2] a device key that never leaves opens what is sealed to it', async () => {
  const pair = await generateKemPair();
  expect(pair.privateKey.extractable).toBe(false);
  expect(pair.privateKey.usages).toEqual(['deriveBits']);
  const message = { info: textToBytes('app/epoch-wrap/v1'), associated: Uint8Array.of(1), plaintext: textToBytes('epoch secret') };
  const first = (await sealHpke({ recipientPublicKey: pair.publicKey, ...message }))!;
  const second = (await sealHpke({ recipientPublicKey: pair.publicKey, ...message }))!;
  expect(bytesToHex(first)).not.toBe(bytesToHex(second)); // a fresh ephemeral key each time
  for (const sealed of [first, second]) expect(await openHpke({ recipientKey: pair, info: message.info, associated: message.associated, sealed })).toEqual(message.plaintext);
  // 113 bytes for an epoch secret, as documented.
  expect((await sealHpke({ ...message, recipientPublicKey: pair.publicKey, plaintext: new Uint8Array(32) }))!.length).toBe(113);
});

test('[CR3] anything but what was sealed to this key for this use and place does not open', async () => {
  const pair = await generateKemPair();
  const other = await generateKemPair();
  const message = { info: textToBytes('use'), associated: textToBytes('place') };
  const sealed = (await sealHpke({ recipientPublicKey: pair.publicKey, ...message, plaintext: textToBytes('secret') }))!;
  const open = (change: Partial<Parameters<typeof openHpke>[0]>): Promise<Bytes | undefined> => openHpke({ recipientKey: pair, ...message, sealed, ...change });
  expect(await open({})).toEqual(textToBytes('secret'));
  expect(await open({ recipientKey: other })).toBeUndefined();
  expect(await open({ recipientKey: { privateKey: pair.privateKey, publicKey: other.publicKey } })).toBeUndefined();
  expect(await open({ info: textToBytes('Use') })).toBeUndefined();
  expect(await open({ info: new Uint8Array() })).toBeUndefined();
  expect(await open({ associated: textToBytes('Place') })).toBeUndefined();
  expect(await open({ associated: new Uint8Array() })).toBeUndefined();
  for (let at = 0; at < sealed.length; at++) {
    const tampered = sealed.slice();
    tampered[at]! ^= 1 << (at % 8);
    expect([at, await open({ sealed: tampered })]).toEqual([at, undefined]);
  }
  for (const size of [0, 1, 64, 65, 80, sealed.length - 1]) expect([size, await open({ sealed: sealed.subarray(0, size) })]).toEqual([size, undefined]);
  expect(await open({ sealed: concatBytes(sealed, Uint8Array.of(0)) })).toBeUndefined();
});

test('[CR4] a public key that is no point of the curve is refused, not a fault', async () => {
  const { publicKey } = await generateKemPair();
  const compressed = concatBytes(Uint8Array.of(2 + (publicKey[64]! & 1)), publicKey.subarray(1, 33));
  const moved = publicKey.slice();
  moved[64]! ^= 1;
  for (const wrong of [new Uint8Array(65), new Uint8Array(0), publicKey.subarray(1), compressed, moved, publicKey.with(0, 6), concatBytes(publicKey, Uint8Array.of(0)), Uint8Array.of(0)]) {
    expect(await importKemPublicKey(wrong)).toBeUndefined();
    expect(await sealHpke({ recipientPublicKey: wrong, info: textToBytes('a'), associated: textToBytes('b'), plaintext: textToBytes('c') })).toBeUndefined();
  }
  expect(await importKemPublicKey(publicKey)).toBeDefined();
});
