/** What comes out of a vault or a wrap is checked against the public key the account log names. */
import { base64urlToBytes, concatBytes, equalBytes } from '#lib/std/bytes.ts';
import type { VaultPrivateKey } from './vault-file.ts';

/** Whether the private half belongs to the public one; false for bytes that are no P-256 key at all. */
export async function isKeyPair({ pkcs8, publicKey }: VaultPrivateKey): Promise<boolean> {
  let jwk: JsonWebKey;
  try {
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
    jwk = await crypto.subtle.exportKey('jwk', key);
  } catch {
    return false; // WebCrypto's DataError: not a key
  }
  const x = base64urlToBytes(jwk.x ?? '');
  const y = base64urlToBytes(jwk.y ?? '');
  return x !== undefined && y !== undefined && equalBytes(concatBytes(Uint8Array.of(4), x, y), publicKey);
}
