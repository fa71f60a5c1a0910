/**
 * Canonical bytes for everything that is hashed or signed (crypto.md §5.1): fixed order, big-endian,
 * `lp(x) = u32 length | x`. Labels start with `app/` and end with their version.
 *
 * A number that does not fit its width is a broken promise: wrapped around, two different facts would be
 * signed as the same bytes.
 */
import { assert } from '#lib/std/assert.ts';
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';

export function u8(value: number): Bytes {
  return bigEndian(value, 1);
}

export function u16(value: number): Bytes {
  return bigEndian(value, 2);
}

export function u32(value: number): Bytes {
  return bigEndian(value, 4);
}

/** Whole numbers below 2^53. */
export function u64(value: number): Bytes {
  return bigEndian(value, 8);
}

export function lp(bytes: Uint8Array): Bytes {
  return concatBytes(u32(bytes.length), bytes);
}

export function label(text: string): Bytes {
  return textToBytes(text);
}

function bigEndian(value: number, size: 1 | 2 | 4 | 8): Bytes {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 2 ** (8 * size), `a u${8 * size} is a whole number in its range`);
  const out = new Uint8Array(size);
  let left = value;
  for (let i = size - 1; i >= 0; i--) {
    out[i] = left % 256;
    left = Math.floor(left / 256);
  }
  return out;
}
