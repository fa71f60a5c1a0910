/**
 * Wire formats as values: each codec writes, reads strictly and describes itself.
 *
 * A format is composed from these parts once, so encoding and decoding cannot drift apart. Decoding
 * accepts exactly the bytes encoding makes: varints in their shortest form, every length under its
 * bound, no byte left over. The description of all formats together is hashed; the hash is pinned
 * by a test and moves only with the protocol version.
 *
 * Numbers are lib0 varuints; byte strings and texts are length-prefixed. A half of a surrogate pair cannot
 * be written as UTF-8: text that holds one reads back with U+FFFD in its place.
 */
import { createDecoder, hasContent, readUint8, type Decoder } from 'lib0/decoding';
import { createEncoder, toUint8Array, writeUint8, writeUint8Array, writeVarUint, type Encoder } from 'lib0/encoding';
import { assert } from '#lib/std/assert.ts';
import { bytesToText, copyBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { bytesToId, idSizeBytes, idToBytes, type AnyId, type Lineage } from './ids.ts';
import { readVarUint } from './varuint.ts';

/** Why bytes from outside were refused. */
export type DecodeFault = 'EOF' | 'TRAILING' | 'VARINT_PADDED' | 'RANGE' | 'SMALL' | 'TOO_BIG' | 'TEXT' | 'UNKNOWN_KIND' | 'SHAPE';

/** Thrown inside a codec only; `decode` turns it into a Result at the edge. */
export class DecodeError extends Error {
  readonly fault: DecodeFault;
  constructor(fault: DecodeFault) {
    super(`refused: ${fault}`);
    this.fault = fault;
  }
}

export interface Codec<T> {
  readonly write: (encoder: Encoder, value: T) => void;
  /** Throws DecodeError. */
  readonly read: (decoder: Decoder) => T;
  /** The format in words, for the pinned hash. */
  readonly shape: string;
}

export type CodecValue<C> = C extends Codec<infer T> ? T : never;

export function encode<T>(codec: Codec<T>, value: T): Bytes {
  const encoder = createEncoder();
  codec.write(encoder, value);
  return toUint8Array(encoder) as Bytes;
}

/** Bytes from outside become a trusted value here, or a typed fault. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): Result<T, DecodeFault> {
  const decoder = createDecoder(bytes);
  try {
    const value = codec.read(decoder);
    return hasContent(decoder) ? err('TRAILING') : ok(value);
  } catch (error) {
    if (error instanceof DecodeError) return err(error.fault);
    throw error;
  }
}

export const uint8: Codec<number> = {
  shape: 'u8',
  write: writeUint8,
  read: (decoder) => (hasContent(decoder) ? readUint8(decoder) : fail('EOF')),
};

export const boolean: Codec<boolean> = {
  shape: 'bool',
  write: (encoder, value) => writeUint8(encoder, value ? 1 : 0),
  read(decoder) {
    const byte = uint8.read(decoder);
    return byte > 1 ? fail('RANGE') : byte === 1;
  },
};

/** A varuint up to `max`, 2^53-1 unless told. */
export function varuint(max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  return {
    shape: `V<=${max}`,
    write(encoder, value) {
      if (!Number.isSafeInteger(value) || value < 0 || value > max) throw new Error(`broken promise: 0 <= ${value} <= ${max}`);
      writeVarUint(encoder, value);
    },
    read(decoder) {
      const value = readMinimalVarUint(decoder);
      return value > max ? fail('RANGE') : value;
    },
  };
}

const varintMax = 2 ** 51;

/** A signed number up to 2^51 either way, zigzag over a varuint. */
export const varint: Codec<number> = {
  shape: 'Z',
  write(encoder, value) {
    if (!Number.isSafeInteger(value) || Math.abs(value) > varintMax) throw new Error(`broken promise: |${value}| <= 2^51`);
    writeVarUint(encoder, value < 0 ? -value * 2 - 1 : value * 2);
  },
  read(decoder) {
    const value = readMinimalVarUint(decoder);
    if (value > 2 * varintMax) fail('RANGE');
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  },
};

/** A length-prefixed byte string within bounds; reading copies. */
export function bytes(maxSize: number, minSize = 0): Codec<Bytes> {
  return {
    shape: `B${minSize}..${maxSize}`,
    write(encoder, value) {
      if (value.length > maxSize || value.length < minSize) throw new Error(`broken promise: ${minSize} <= ${value.length} bytes <= ${maxSize}`);
      writeVarUint(encoder, value.length);
      writeUint8Array(encoder, value);
    },
    read(decoder) {
      const size = readMinimalVarUint(decoder);
      return size > maxSize ? fail('TOO_BIG') : size < minSize ? fail('SMALL') : take(decoder, size);
    },
  };
}

/** Exactly `size` bytes, no prefix. */
export function fixed(size: number): Codec<Bytes> {
  return {
    shape: `[${size}]`,
    write(encoder, value) {
      if (value.length !== size) throw new Error(`broken promise: ${value.length} bytes are ${size}`);
      writeUint8Array(encoder, value);
    },
    read: (decoder) => take(decoder, size),
  };
}

export function id<I extends AnyId | Lineage>(): Codec<I> {
  return {
    shape: 'id',
    write: (encoder, value) => writeUint8Array(encoder, idToBytes(value)),
    read: (decoder) => bytesToId<I>(take(decoder, idSizeBytes)),
  };
}

/** Text of at most `maxSize` bytes of UTF-8. */
export function text(maxSize: number): Codec<string> {
  const inner = bytes(maxSize);
  return {
    shape: `T${maxSize}`,
    write: (encoder, value) => inner.write(encoder, textToBytes(value)),
    read: (decoder) => bytesToText(inner.read(decoder)) ?? fail('TEXT'),
  };
}

export function list<T>(item: Codec<T>, maxLength: number, minLength = 0): Codec<readonly T[]> {
  return {
    shape: `${minLength}..${maxLength}*(${item.shape})`,
    write(encoder, values) {
      if (values.length > maxLength || values.length < minLength) throw new Error(`broken promise: ${minLength} <= ${values.length} items <= ${maxLength}`);
      writeVarUint(encoder, values.length);
      for (const value of values) item.write(encoder, value);
    },
    read(decoder) {
      const length = readMinimalVarUint(decoder);
      if (length > maxLength || length < minLength) fail('RANGE');
      const out: T[] = []; // grows as items are really there: a claimed length costs nothing
      for (let i = 0; i < length; i++) out.push(item.read(decoder));
      return out;
    },
  };
}

/** A value or its absence, one byte ahead. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    shape: `?(${inner.shape})`,
    write(encoder, value) {
      boolean.write(encoder, value !== undefined);
      if (value !== undefined) inner.write(encoder, value);
    },
    read: (decoder) => (boolean.read(decoder) ? inner.read(decoder) : undefined),
  };
}

/** Fields in the order they are written here. */
export function struct<F extends Record<string, Codec<never> | Codec<any>>>(fields: F): Codec<{ readonly [K in keyof F]: CodecValue<F[K]> }> {
  const entries = Object.entries(fields) as [string, Codec<unknown>][];
  return {
    shape: `{${entries.map(([name, codec]) => `${name}:${codec.shape}`).join(',')}}`,
    write(encoder, value) {
      for (const [name, codec] of entries) codec.write(encoder, (value as Record<string, unknown>)[name]);
    },
    read(decoder) {
      const out: Record<string, unknown> = {};
      for (const [name, codec] of entries) out[name] = codec.read(decoder);
      return out as { readonly [K in keyof F]: CodecValue<F[K]> };
    },
  };
}

/** One of several shapes told apart by `type`, each under its own first byte. */
export function union<V extends Record<string, readonly [tag: number, codec: Codec<any>]>>(
  variants: V,
): Codec<{ [K in keyof V]: { readonly type: K } & CodecValue<V[K][1]> }[keyof V]> {
  type Value = { [K in keyof V]: { readonly type: K } & CodecValue<V[K][1]> }[keyof V];
  const byTag = new Map(Object.entries(variants).map(([type, [tag, codec]]) => [tag, { type, codec }]));
  return {
    shape: `<${Object.entries(variants).map(([type, [tag, codec]]) => `${tag}=${type}${codec.shape}`).join('|')}>`,
    write(encoder, value) {
      const variant = variants[(value as { type: string }).type];
      if (!variant) throw new Error('broken promise: the variant is listed');
      writeUint8(encoder, variant[0]);
      variant[1].write(encoder, value);
    },
    read(decoder) {
      const variant = byTag.get(uint8.read(decoder));
      if (!variant) return fail('UNKNOWN_KIND');
      return { type: variant.type, ...variant.codec.read(decoder) } as Value;
    },
  };
}

/** One of a list of words, by its place in the list. */
export function oneOf<const W extends readonly string[]>(...words: W): Codec<W[number]> {
  return {
    shape: `(${words.join('/')})`,
    write(encoder, value) {
      const place = words.indexOf(value);
      assert(place >= 0, 'the word is one of the list');
      writeUint8(encoder, place);
    },
    read: (decoder) => words[uint8.read(decoder)] ?? fail('UNKNOWN_KIND'),
  };
}

export function fail(fault: DecodeFault): never {
  throw new DecodeError(fault);
}

function take(decoder: Decoder, size: number): Bytes {
  if (decoder.pos + size > decoder.arr.length) fail('EOF');
  const out = copyBytes(decoder.arr.subarray(decoder.pos, decoder.pos + size));
  decoder.pos += size;
  return out;
}

/** lib0 also reads a number in more bytes than it needs; one number has one form here. */
export function readMinimalVarUint(decoder: Decoder): number {
  const read = readVarUint(decoder.arr, decoder.pos, Number.MAX_SAFE_INTEGER);
  if (!read.ok) return fail(read.error);
  decoder.pos = read.value.next;
  return read.value.number;
}
