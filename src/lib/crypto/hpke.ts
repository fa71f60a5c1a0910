/**
 * HPKE (RFC 9180) in base mode: bytes only the holder of one private key can open.
 *
 * DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, single shot. `sealed` is `enc(65) | ciphertext |
 * tag(16)`. Opening needs the private key only to derive bits, so it works with keys that never leave
 * the browser; the public key travels beside it because such a key cannot tell it.
 */
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256, OpenError } from '@hpke/core';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { assert } from '#lib/std/assert.ts';
import { publicKeySizeBytes, tagSizeBytes, type KeyPair } from './primitives.ts';

/** What a sealed text is longer than its plaintext: 81 bytes. */
export const hpkeOverheadSizeBytes = publicKeySizeBytes + tagSizeBytes;

const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** Checks that the bytes are a point of the curve; undefined when not. */
export async function importKemPublicKey(publicKey: Uint8Array): Promise<CryptoKey | undefined> {
  if (publicKey.length !== publicKeySizeBytes || publicKey[0] !== 4) return undefined;
  try {
    return await crypto.subtle.importKey('raw', publicKey as Bytes, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
  } catch {
    return undefined; // WebCrypto's DataError: not a point
  }
}

export interface HpkeSeal {
  readonly recipientPublicKey: Uint8Array;
  /** Which use this is; a label. */
  readonly info: Uint8Array;
  /** What the plaintext belongs to. */
  readonly associated: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** Undefined when the recipient's public key is no point of the curve: somebody else made it, so it is input. */
export async function sealHpke({ recipientPublicKey, info, associated, plaintext }: HpkeSeal): Promise<Bytes | undefined> {
  const key = await importKemPublicKey(recipientPublicKey);
  if (!key) return undefined;
  const { enc, ct } = await suite.seal({ recipientPublicKey: key, info: info as Bytes }, plaintext as Bytes, associated as Bytes);
  return concatBytes(new Uint8Array(enc), new Uint8Array(ct));
}

export interface HpkeOpen {
  readonly recipientKey: KeyPair;
  readonly info: Uint8Array;
  readonly associated: Uint8Array;
  readonly sealed: Uint8Array;
}

/** The plaintext, or undefined when it was not sealed to this key for this use and place. */
export async function openHpke({ recipientKey, info, associated, sealed }: HpkeOpen): Promise<Bytes | undefined> {
  if (sealed.length < hpkeOverheadSizeBytes) return undefined;
  const publicKey = await importKemPublicKey(recipientKey.publicKey);
  assert(publicKey, 'our own public key is a point of the curve');
  const enc = sealed.slice(0, publicKeySizeBytes);
  if (!(await importKemPublicKey(enc))) return undefined;
  try {
    const plaintext = await suite.open(
      { recipientKey: { privateKey: recipientKey.privateKey, publicKey }, enc, info: info as Bytes },
      sealed.slice(publicKeySizeBytes) as Bytes, associated as Bytes);
    return new Uint8Array(plaintext);
  } catch (error) {
    if (error instanceof OpenError) return undefined; // the tag is wrong; anything else is a fault of ours
    throw error;
  }
}
