/**
 * Canonical bytes for everything that is hashed or signed (crypto.md §5.1): fixed order, big-endian,
 * `lp(x) = u32 length | x`. Labels start with `app/` and end with their version.
 */
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';

export function u8(value: number): Bytes {
  return Uint8Array.of(value);
}

export function u16(value: number): Bytes {
  return Uint8Array.of(value >>> 8, value & 255);
}

export function u32(value: number): Bytes {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** Whole numbers below 2^53. */
export function u64(value: number): Bytes {
  return concatBytes(u32(Math.floor(value / 2 ** 32)), u32(value >>> 0));
}

export function lp(bytes: Uint8Array): Bytes {
  return concatBytes(u32(bytes.length), bytes);
}

export function label(text: string): Bytes {
  return textToBytes(text);
}
