/**
 * A number two people compare to know that nobody stands between them (crypto.md §5.7).
 *
 * It covers both genesis entries and the recovery keys in them, so new devices, new keys and a renewed
 * recovery leave it as it is, and it reads the same on both sides.
 *
 *     half   = genesis hash[32] | genesis' recovery key[65]
 *     digest = SHA-512("app/safety/v1" | lesser half | greater half)
 *     digits = the first 60 bytes in twelves of five, each big-endian modulo 100,000
 */
import { bytesToBase64url, bytesToHex, concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { AccountState } from './account-state.ts';

export interface SafetyDigits {
  /** Twelve groups of five digits. */
  readonly groups: readonly string[];
  /** What the other person's QR code says, too. */
  readonly qr: string;
}

type Identity = Pick<AccountState, 'genesisHash' | 'genesisRecoveryPublicKey'>;

const qrPrefix = 'safety:1:';

export async function safetyDigits(mine: Identity, theirs: Identity): Promise<SafetyDigits> {
  const halves = [half(mine), half(theirs)].sort((a, b) => (bytesToHex(a) < bytesToHex(b) ? -1 : 1));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-512', concatBytes(textToBytes('app/safety/v1'), ...halves)));
  const groups: string[] = [];
  for (let at = 0; at < 60; at += 5) {
    let value = 0;
    for (const byte of digest.subarray(at, at + 5)) value = value * 256 + byte;
    groups.push(String(value % 100_000).padStart(5, '0'));
  }
  return { groups, qr: qrPrefix + bytesToBase64url(digest) };
}

/** What a scanned text says about the number on this side; `other` is no code of ours at all. */
export function checkSafetyQr(scanned: string, expected: SafetyDigits): 'match' | 'mismatch' | 'other' {
  const text = scanned.trim();
  if (!text.startsWith(qrPrefix)) return 'other';
  return text === expected.qr ? 'match' : 'mismatch';
}

function half({ genesisHash, genesisRecoveryPublicKey }: Identity): Bytes {
  return concatBytes(genesisHash, genesisRecoveryPublicKey);
}
