/** Every format of the wire under one name each, for tests and for the tool that writes the fixtures. */
import { api, apiError } from '#lib/protocol/api.ts';
import { decode, encode, type Codec, type DecodeFault } from '#lib/protocol/codec.ts';
import { decodeDownFrame, decodeUpFrame, encodeDownFrame, encodeUpFrame, frameShapes, type DownFrame, type UpFrame } from '#lib/protocol/frame.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import { parseShape, sampleOf, type Extreme, type Shape } from './shape.ts';

export interface WireFormat {
  /** `up`, `down`, `api.<name>.request`, `api.<name>.answer` or `api.error`. */
  readonly name: string;
  readonly shape: Shape;
  readonly encode: (value: unknown) => Bytes;
  readonly decode: (bytes: Uint8Array) => Result<unknown, DecodeFault>;
}

export interface WireSample {
  /** Of its format, then of its variant, then the end of its bounds it sits at. */
  readonly name: string;
  readonly format: WireFormat;
  readonly value: unknown;
}

function ofCodec(name: string, codec: Codec<unknown>): WireFormat {
  return { name, shape: parseShape(codec.shape), encode: (value) => encode(codec, value), decode: (bytes) => decode(codec, bytes) };
}

const split = frameShapes.indexOf('down<');
const ends: readonly (readonly [string, Codec<unknown>])[] = Object.entries(api).flatMap(([name, both]) => [
  ...('request' in both ? [[`api.${name}.request`, both.request as Codec<unknown>] as const] : []),
  ...('answer' in both ? [[`api.${name}.answer`, both.answer as Codec<unknown>] as const] : []),
]);

export const wireFormats: readonly WireFormat[] = [
  { name: 'up', shape: parseShape(frameShapes.slice('up'.length, split)), encode: (value) => encodeUpFrame(value as UpFrame), decode: decodeUpFrame },
  { name: 'down', shape: parseShape(frameShapes.slice(split + 'down'.length)), encode: (value) => encodeDownFrame(value as DownFrame), decode: decodeDownFrame },
  ...ends.map(([name, codec]) => ofCodec(name, codec)),
  ofCodec('api.error', apiError as Codec<unknown>),
];

export const wireSamples: readonly WireSample[] = wireFormats.flatMap((format) =>
  (['low', 'high'] as const satisfies readonly Extreme[]).flatMap((end): readonly WireSample[] => {
    const { shape } = format;
    if (shape.kind !== 'union') return [{ name: `${format.name}.${end}`, format, value: sampleOf(shape, end) }];
    return shape.variants.map(({ type, inner }) => ({ name: `${format.name}.${type}.${end}`, format, value: { type, ...(sampleOf(inner, end) as object) } }));
  }));
