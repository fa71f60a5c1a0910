/** Whether bytes are an uncompressed point of P-256: what every public key in the two logs must be. */
import { publicKeySizeBytes } from '#lib/crypto/primitives.ts';
import type { Bytes } from '#lib/std/bytes.ts';

export async function isPublicKey(bytes: Bytes): Promise<boolean> {
  if (bytes.length !== publicKeySizeBytes || bytes[0] !== 4) return false;
  try {
    await crypto.subtle.importKey('raw', bytes, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
    return true;
  } catch {
    return false; // WebCrypto names no reason: the point is not on the curve
  }
}
