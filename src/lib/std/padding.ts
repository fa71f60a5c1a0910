/**
 * Padding hides how long a body is: bytes grow to 256, 512, 1024, 2048, then multiples of 2048.
 *
 * One body has one padded form, so a padded size is also something a server can check from outside.
 */
import type { Bytes } from './bytes.ts';

const lengthSizeBytes = 4;

/** What a body of `size` bytes, its length included, may be long. */
export function paddedSize(size: number): number {
  for (const bucket of [256, 512, 1024, 2048]) if (size <= bucket) return bucket;
  return Math.ceil(size / 2048) * 2048;
}

export function isPaddedSize(size: number): boolean {
  return size > 0 && paddedSize(size) === size;
}

/** `u32 length | body | zeros` up to its bucket. */
export function pad(body: Uint8Array): Bytes {
  const out = new Uint8Array(paddedSize(body.length + lengthSizeBytes));
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, lengthSizeBytes);
  return out;
}

/** Undefined unless the size is a bucket's, the length fits and the rest is zeros. */
export function unpad(padded: Uint8Array): Bytes | undefined {
  if (!isPaddedSize(padded.length)) return undefined;
  const size = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  if (size > padded.length - lengthSizeBytes || paddedSize(size + lengthSizeBytes) !== padded.length) return undefined;
  for (let i = lengthSizeBytes + size; i < padded.length; i++) if (padded[i] !== 0) return undefined;
  return Uint8Array.from(padded.subarray(lengthSizeBytes, lengthSizeBytes + size));
}
