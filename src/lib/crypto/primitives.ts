/**
 * The algorithms of DESIGN.md §4, all by WebCrypto but the synchronous hash: ECDSA P-256, AES-256-GCM,
 * HKDF-SHA256, HMAC-SHA-256, SHA-256. HPKE is beside it in hpke.ts.
 *
 * Keys that need not leave are non-extractable. No hash or id ever covers signature bytes.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { expand } from '@noble/hashes/hkdf.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { label, lp } from './encoding.ts';

export const nonceSizeBytes = 12;
export const tagSizeBytes = 16;
export const signatureSizeBytes = 64;
/** An uncompressed P-256 point. */
export const publicKeySizeBytes = 65;

const p256Sign = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const p256Kem = { name: 'ECDH', namedCurve: 'P-256' } as const;
const es256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** Synchronous, for hash chains: a WebCrypto call costs more than the hash (crypto.md §5.5). */
export function sha256(...parts: readonly Uint8Array[]): Bytes {
  return nobleSha256(parts.length === 1 ? parts[0]! : concatBytes(...parts)) as Bytes;
}

/** HKDF-Expand with SHA-256 (RFC 5869 §2.3) of a uniformly random 32-byte secret. */
export function deriveBytes(secret: Uint8Array, info: Uint8Array, size = 32): Bytes {
  return expand(nobleSha256, secret, info, size) as Bytes;
}

export function hmacSha256(key: Uint8Array, message: Uint8Array): Bytes {
  return hmac(nobleSha256, key, message) as Bytes;
}

/** For secrets: the time taken does not tell where two values differ. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

export function importAesKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

/** Born here, never leaves: wraps what must be stored on this device. */
export function generateAesKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}

/** `nonce | ciphertext | tag` under a fresh random nonce. */
export async function sealAes(key: CryptoKey, plaintext: Uint8Array, associated: Uint8Array, random: Random): Promise<Bytes> {
  const nonce = random.bytes(nonceSizeBytes);
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce, additionalData: associated as Bytes }, key, plaintext as Bytes);
  return concatBytes(nonce, new Uint8Array(sealed));
}

/** The plaintext, or undefined when the bytes are not what this key sealed with this associated data. */
export async function unsealAes(key: CryptoKey, sealed: Uint8Array, associated: Uint8Array): Promise<Bytes | undefined> {
  if (sealed.length < nonceSizeBytes + tagSizeBytes) return undefined;
  try {
    const plaintext = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv: sealed.subarray(0, nonceSizeBytes) as Bytes, additionalData: associated as Bytes }, key, sealed.subarray(nonceSizeBytes) as Bytes);
    return new Uint8Array(plaintext);
  } catch {
    return undefined; // WebCrypto says only OperationError for a wrong tag; the caller has the typed reason
  }
}

export interface KeyPair {
  readonly privateKey: CryptoKey;
  /** Uncompressed point, 65 bytes. */
  readonly publicKey: Bytes;
}

export async function generateSigningPair(extractable = false): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey(p256Sign, extractable, ['sign', 'verify']);
  return { privateKey: pair.privateKey, publicKey: await exportPublicKey(pair.publicKey) };
}

export async function generateKemPair(extractable = false): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey(p256Kem, extractable, ['deriveBits']);
  return { privateKey: pair.privateKey, publicKey: await exportPublicKey(pair.publicKey) };
}

export async function exportPublicKey(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', key));
}

/** PKCS #8, for the few private keys that travel inside the vault. */
export async function exportPrivateKey(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('pkcs8', key));
}

export function importSigningKey(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', pkcs8, p256Sign, false, ['sign']);
}

export function importKemKey(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', pkcs8, p256Kem, false, ['deriveBits']);
}

/** `Sign(k, label, m) = ECDSA(k, lp(label) | m)`: 64 bytes, r then s. */
export async function sign(privateKey: CryptoKey, purpose: string, message: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(es256, privateKey, concatBytes(lp(label(purpose)), message)));
}

const importedVerifyKeys = new Map<string, Promise<CryptoKey>>();
/** Enough for the devices of a large group; importing costs about half a verification. */
const importedVerifyKeysMax = 4_096;

/** False for a wrong signature and for a public key that is no point of the curve. */
export async function verify(publicKey: Uint8Array, purpose: string, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== signatureSizeBytes || publicKey.length !== publicKeySizeBytes) return false;
  let key: CryptoKey;
  try {
    key = await importVerifyKey(publicKey as Bytes);
  } catch {
    return false; // not a point: the signature cannot be right
  }
  return crypto.subtle.verify(es256, key, signature as Bytes, concatBytes(lp(label(purpose)), message));
}

function importVerifyKey(publicKey: Bytes): Promise<CryptoKey> {
  const name = publicKey.join();
  let imported = importedVerifyKeys.get(name);
  if (!imported) {
    if (importedVerifyKeys.size >= importedVerifyKeysMax) importedVerifyKeys.clear();
    imported = crypto.subtle.importKey('raw', publicKey, p256Sign, true, ['verify']);
    importedVerifyKeys.set(name, imported);
  }
  return imported;
}

export { pad, paddedSize, unpad } from '#lib/std/padding.ts';
