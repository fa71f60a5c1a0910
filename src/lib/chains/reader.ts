/**
 * Reads the canonical big-endian bytes of crypto.md §5.1, strictly.
 *
 * A read past the end gives zeros and marks the reader broken, so a decoder reads straight on and asks
 * once, at its end, whether every byte was there and none was left over.
 */
import { copyBytes, type Bytes } from '#lib/std/bytes.ts';

export interface Reader {
  readonly u8: () => number;
  readonly u16: () => number;
  readonly u32: () => number;
  /** A copy of the next `size` bytes. */
  readonly bytes: (size: number) => Bytes;
  /** `u32 length | bytes`, of at most `max`. */
  readonly lp: (max: number) => Bytes;
  /** Marks the input refused for a reason of the caller's. */
  readonly refuse: () => void;
  readonly broken: () => boolean;
  /** Whole: nothing missing, nothing refused, nothing left over. */
  readonly done: () => boolean;
}

export function createReader(input: Uint8Array): Reader {
  let at = 0;
  let broken = false;

  function take(size: number): Uint8Array {
    if (broken || size > input.length - at) {
      broken = true;
      return new Uint8Array(0);
    }
    at += size;
    return input.subarray(at - size, at);
  }

  function number(size: number): number {
    let value = 0;
    for (const byte of take(size)) value = value * 256 + byte;
    return value;
  }

  function lp(max: number): Bytes {
    const size = number(4);
    if (size > max) broken = true;
    return copyBytes(take(size));
  }

  function fixed(size: number): Bytes {
    const taken = take(size);
    return taken.length === size ? copyBytes(taken) : new Uint8Array(size);
  }

  return {
    u8: () => number(1),
    u16: () => number(2),
    u32: () => number(4),
    bytes: fixed,
    lp,
    refuse: () => {
      broken = true;
    },
    broken: () => broken,
    done: () => !broken && at === input.length,
  };
}
