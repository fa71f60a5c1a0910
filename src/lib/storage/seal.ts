/**
 * Seals small values under the device storage key (DSK), so a copied database says nothing without it.
 *
 * The store's name and the record's key are bound in: a sealed value moved elsewhere does not open.
 * Form: nonce[12] | AES-256-GCM ciphertext with its tag.
 */
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Random } from '#lib/std/random.ts';
import type { StoreName } from './schema.ts';

export type SealKey = string | readonly (string | number)[];

export interface Sealer {
  readonly seal: (store: StoreName, key: SealKey, plaintext: Uint8Array) => Promise<Bytes>;
  readonly unseal: (store: StoreName, key: SealKey, sealed: Uint8Array) => Promise<Result<Bytes, 'unseal-failed'>>;
}

const nonceSizeBytes = 12;

/** `dsk` is an AES-GCM key for encrypt and decrypt; it may be, and should be, non-extractable. */
export function createSealer(dsk: CryptoKey, random: Random): Sealer {
  const algorithm = (store: StoreName, key: SealKey, nonce: Uint8Array<ArrayBuffer>) =>
    ({ name: 'AES-GCM', iv: nonce, additionalData: textToBytes(JSON.stringify(['godwit/store/v1', store, key])) });
  return {
    async seal(store, key, plaintext) {
      const nonce = random.bytes(nonceSizeBytes);
      const sealed = await crypto.subtle.encrypt(algorithm(store, key, nonce), dsk, plaintext as Bytes);
      return concatBytes(nonce, new Uint8Array(sealed));
    },
    async unseal(store, key, sealed) {
      if (sealed.length < nonceSizeBytes + 16) return err('unseal-failed');
      const nonce = sealed.slice(0, nonceSizeBytes) as Bytes;
      try {
        return ok(new Uint8Array(await crypto.subtle.decrypt(algorithm(store, key, nonce), dsk, sealed.slice(nonceSizeBytes) as Bytes)));
      } catch (error) {
        // WebCrypto says OperationError for every way a tag can fail; anything else is a fault of ours.
        if (error instanceof DOMException && error.name === 'OperationError') return err('unseal-failed');
        throw error;
      }
    },
  };
}
