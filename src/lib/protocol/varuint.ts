/**
 * The varuint over plain bytes, for the parsers that work by offset: seven bits a byte, lowest first.
 *
 * One number has one form. A number in more bytes than it needs is refused, and so is one above its bound.
 */
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Bytes } from '#lib/std/bytes.ts';

export type VarUintFault = 'EOF' | 'VARINT_PADDED' | 'RANGE';

export interface ReadNumber {
  readonly number: number;
  /** The offset behind it. */
  readonly next: number;
}

/** Eight bytes hold 2^53-1; a ninth can only pad or go over, and reading ends there. */
const varUintSizeBytesMax = 9;

export function readVarUint(bytes: Uint8Array, at: number, max: number): Result<ReadNumber, VarUintFault> {
  let number = 0;
  for (let i = 0; i < varUintSizeBytesMax; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return err('EOF');
    number += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) {
      if (byte === 0 && i > 0) return err('VARINT_PADDED');
      return number > max ? err('RANGE') : ok({ number, next: at + i + 1 });
    }
  }
  return err('RANGE');
}

export function varUintSize(number: number): number {
  let size = 1;
  for (let left = number; left >= 128; left = Math.floor(left / 128)) size += 1;
  return size;
}

/** Writes at `at` and answers the offset behind. */
export function writeVarUint(bytes: Uint8Array, at: number, number: number): number {
  let left = number;
  while (left >= 128) {
    bytes[at++] = 128 + (left % 128);
    left = Math.floor(left / 128);
  }
  bytes[at++] = left;
  return at;
}

export function varUintBytes(number: number): Bytes {
  const out = new Uint8Array(varUintSize(number));
  writeVarUint(out, 0, number);
  return out;
}
