/**
 * The 24 recovery words: 256 bits a person can write on paper (BIP 39, English).
 *
 * From the same bits come two things that tell nothing of each other: the key of the vault's recovery
 * slot, which never leaves this device, and the proof that signs in, of which the server keeps only the
 * SHA-256. 256 random bits need no stretching. An error names a place, never a word: words are secrets.
 */
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { deriveBytes, sha256 } from '#lib/crypto/primitives.ts';
import { label } from '#lib/crypto/encoding.ts';
import { copyBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export const recoveryWordsCount = 24;
/** A page of text pasted by mistake is not worth reading. */
const typedLengthMax = 4_096;
const entropySizeBytes = 32;

export type WordsFault =
  | { readonly type: 'word-count'; readonly count: number }
  /** `position` counts from 1. */
  | { readonly type: 'unknown-word'; readonly position: number }
  /** Every word is a word, but together they are not what was written down: one is wrong or two are swapped. */
  | { readonly type: 'wrong-checksum' };

/** What the words open; both are secret. */
export interface RecoverySecrets {
  /** Opens the recovery slot (crypto.md §4). */
  readonly slotSecret: Bytes;
  /** Signs in at the server, which knows its SHA-256. */
  readonly proof: Bytes;
}

export function createRecoveryWords(random: Random): readonly string[] {
  return entropyToMnemonic(random.bytes(entropySizeBytes), wordlist).split(' ');
}

/** Takes words as people type and paste them: any case, any blanks, commas, numbers, quotes and lines between. */
export function parseRecoveryWords(typed: string): Result<readonly string[], WordsFault> {
  const words = typed.slice(0, typedLengthMax).normalize('NFKD').toLowerCase().split(/[^\p{Letter}\p{Mark}]+/u).filter((word) => word !== '');
  if (words.length !== recoveryWordsCount) return err({ type: 'word-count', count: words.length });
  const unknown = words.findIndex((word) => !wordlist.includes(word));
  if (unknown >= 0) return err({ type: 'unknown-word', position: unknown + 1 });
  return wordsToEntropy(words) ? ok(words) : err({ type: 'wrong-checksum' });
}

/** Of words that `createRecoveryWords` made or `parseRecoveryWords` accepted. */
export function deriveRecovery(words: readonly string[]): RecoverySecrets {
  const entropy = wordsToEntropy(words);
  if (!entropy) throw new Error('broken promise: the recovery words were parsed before');
  return {
    slotSecret: deriveBytes(entropy, label('app/vault-slot/recovery/v1')),
    proof: deriveBytes(entropy, label('app/recovery-proof/v1')),
  };
}

/** What the server keeps to know the proof by. */
export function recoveryProofHash(proof: Uint8Array): Bytes {
  return sha256(proof);
}

function wordsToEntropy(words: readonly string[]): Bytes | undefined {
  try {
    return copyBytes(mnemonicToEntropy(words.join(' '), wordlist));
  } catch {
    return undefined; // the words are all known, so what the library refuses is the checksum
  }
}
