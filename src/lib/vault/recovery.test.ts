import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '#lib/crypto/primitives.ts';
import { bytesToHex } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { createRecoveryWords, deriveRecovery, parseRecoveryWords, recoveryProofHash } from './recovery.ts';

const allZero = [...Array<string>(23).fill('abandon'), 'art'];
/** Another list with a right checksum, from the published vectors of BIP 39 (entropy of ff bytes). */
const allOnes = [...Array<string>(23).fill('zoo'), 'vote'];

test('[VA1] 24 words carry 256 bits and read back to the same words', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (entropy) => {
    const words = createRecoveryWords({ bytes: () => Uint8Array.from(entropy), fraction: () => 0 });
    expect(words).toHaveLength(24);
    expect(parseRecoveryWords(words.join(' '))).toEqual({ ok: true, value: words });
  }));
  expect(createRecoveryWords(systemRandom)).not.toEqual(createRecoveryWords(systemRandom));
  expect(createRecoveryWords({ bytes: (size) => new Uint8Array(size), fraction: () => 0 })).toEqual(allZero);
});

test('[VA1] words are understood in any case, with numbers, commas, quotes and lines between them', () => {
  const typed = [
    allOnes.map((word, i) => `${i + 1}. ${word}`).join('\n'),
    allOnes.map((word) => word.toUpperCase()).join(',  '),
    `  "${allOnes.join(' ')}"\r\n`,
    allOnes.map((word, i) => `${i + 1})\t${word};`).join('\u00a0'),
  ];
  for (const text of typed) expect(parseRecoveryWords(text)).toEqual({ ok: true, value: allOnes });
});

test('[VA2] a wrong word is named by its place, and no error repeats a word', () => {
  const unknown = parseRecoveryWords(['abandon', 'abandonn', ...allZero.slice(2)].join(' '));
  expect(unknown).toEqual({ ok: false, error: { type: 'unknown-word', position: 2 } });
  expect(parseRecoveryWords(allZero.slice(1).join(' '))).toEqual({ ok: false, error: { type: 'word-count', count: 23 } });
  expect(parseRecoveryWords('')).toEqual({ ok: false, error: { type: 'word-count', count: 0 } });
  const swapped = [...allZero.slice(0, 22), 'art', 'abandon'];
  expect(parseRecoveryWords(swapped.join(' '))).toEqual({ ok: false, error: { type: 'wrong-checksum' } });
  expect(parseRecoveryWords('zoo '.repeat(50_000)).ok).toBe(false);
});

test('[VA3] the slot secret and the proof are the same on every device and tell nothing of each other', () => {
  const { slotSecret, proof } = deriveRecovery(allZero);
  expect(bytesToHex(slotSecret)).not.toBe(bytesToHex(proof));
  expect(deriveRecovery(allZero)).toEqual({ slotSecret, proof });
  expect(deriveRecovery(allOnes).proof).not.toEqual(proof);
  // HKDF-Expand(zeros[32], label): computed once with Node's own hkdf building block, HMAC-SHA-256(zeros, label | 1).
  expect(bytesToHex(proof)).toBe(hmacHex('app/recovery-proof/v1'));
  expect(bytesToHex(slotSecret)).toBe(hmacHex('app/vault-slot/recovery/v1'));
  expect(recoveryProofHash(proof)).toEqual(sha256(proof));
});

function hmacHex(info: string): string {
  return createHmac('sha256', new Uint8Array(32)).update(info).update(Uint8Array.of(1)).digest('hex');
}
