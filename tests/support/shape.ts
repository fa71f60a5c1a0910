/**
 * Reads the description every codec gives of itself and works from that alone: random values, pinned
 * samples, a second encoder, and all the ways one field can be wrong. What is tested here is tested for
 * every frame and body, also those added later.
 */
import fc from 'fast-check';
import { bytesToBase64url, textToBytes } from '#lib/std/bytes.ts';
import type { DecodeFault } from '#lib/protocol/codec.ts';

export type Shape =
  | { readonly kind: 'u8' | 'bool' | 'id' | 'varint' }
  | { readonly kind: 'varuint'; readonly max: number }
  | { readonly kind: 'bytes'; readonly min: number; readonly max: number }
  | { readonly kind: 'fixed'; readonly size: number }
  | { readonly kind: 'text'; readonly max: number }
  | { readonly kind: 'list'; readonly min: number; readonly max: number; readonly item: Shape }
  | { readonly kind: 'optional'; readonly inner: Shape }
  | { readonly kind: 'struct'; readonly fields: readonly (readonly [name: string, shape: Shape])[] }
  | { readonly kind: 'union'; readonly variants: readonly { readonly tag: number; readonly type: string; readonly inner: Shape }[] }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'rows'; readonly head: Shape; readonly items: Shape };

type ShapeOf<K extends Shape['kind']> = Extract<Shape, { kind: K }>;
type Fields = Readonly<Record<string, unknown>>;
interface RowLike { readonly seq: number; readonly seg: number; readonly slot: number; readonly clock: number; readonly ctr: number; readonly rt: number; readonly envelope: unknown }

export function parseShape(text: string): Shape {
  let at = 0;
  function taken(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return undefined;
    at += found[0].length;
    return found;
  }
  function must(literal: string): void {
    if (!text.startsWith(literal, at)) throw new Error(`a shape says ${literal} at ${at}: …${text.slice(at, at + 30)}`);
    at += literal.length;
  }
  function shape(): Shape {
    let found: RegExpExecArray | undefined;
    if (taken(/rows/y)) return { kind: 'rows', head: shape(), items: shape() };
    if ((found = taken(/V<=(\d+)/y))) return { kind: 'varuint', max: Number(found[1]) };
    if ((found = taken(/B(\d+)\.\.(\d+)/y))) return { kind: 'bytes', min: Number(found[1]), max: Number(found[2]) };
    if ((found = taken(/T(\d+)/y))) return { kind: 'text', max: Number(found[1]) };
    if ((found = taken(/\[(\d+)\]/y))) return { kind: 'fixed', size: Number(found[1]) };
    if ((found = taken(/(\d+)\.\.(\d+)\*\(/y))) {
      const item = shape();
      must(')');
      return { kind: 'list', min: Number(found[1]), max: Number(found[2]), item };
    }
    if (taken(/\?\(/y)) {
      const inner = shape();
      must(')');
      return { kind: 'optional', inner };
    }
    if (taken(/\{/y)) {
      const fields: [string, Shape][] = [];
      while ((found = taken(/,?(\w+):/y))) fields.push([found[1]!, shape()]);
      must('}');
      return { kind: 'struct', fields };
    }
    if (taken(/</y)) {
      const variants: { tag: number; type: string; inner: Shape }[] = [];
      while ((found = taken(/\|?(\d+)=(\w+)/y))) variants.push({ tag: Number(found[1]), type: found[2]!, inner: shape() });
      must('>');
      return { kind: 'union', variants };
    }
    if ((found = taken(/\(([\w-]+(?:\/[\w-]+)*)\)/y))) return { kind: 'words', words: found[1]!.split('/') };
    if (taken(/u8/y)) return { kind: 'u8' };
    if (taken(/bool/y)) return { kind: 'bool' };
    if (taken(/id/y)) return { kind: 'id' };
    if (taken(/Z/y)) return { kind: 'varint' };
    throw new Error(`no shape at ${at}: …${text.slice(at, at + 30)}`);
  }
  const whole = shape();
  if (at !== text.length) throw new Error(`a shape ends at ${at}, its text at ${text.length}`);
  return whole;
}

// Random values.

const varintMax = 2 ** 51;

function boundedNumber(max: number): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: 0, max: Math.min(max, 300) }), fc.maxSafeNat().map((n) => n % (max + 1)), fc.constant(max));
}

function boundedBytes(min: number, max: number): fc.Arbitrary<Uint8Array> {
  const some = fc.uint8Array({ minLength: min, maxLength: Math.min(max, min + 40) });
  return max > 20_000 ? some : fc.oneof({ weight: 40, arbitrary: some }, { weight: 1, arbitrary: fc.constant(new Uint8Array(max).fill(7)) });
}

function rowsOf(shape: ShapeOf<'rows'>): fc.Arbitrary<readonly RowLike[]> {
  const item = itemOf(shape);
  const row = fc.record({ seg: boundedNumber(2 ** 31 - 1), rt: boundedNumber(varintMax), slot: boundedNumber(2 ** 21 - 2).map((n) => n + 1), clock: arbitraryOf(fieldOf(item, 'clock')), ctr: arbitraryOf(fieldOf(item, 'ctr')), envelope: arbitraryOf(fieldOf(item, 'envelope')) });
  return fc.tuple(fc.array(row, { maxLength: 6 }), boundedNumber(2 ** 32 - 8)).map(([all, before]) => all.map((one, i) => ({ ...one, seq: before + 1 + i }) as RowLike));
}

export function arbitraryOf(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'u8': return fc.nat(255);
    case 'bool': return fc.boolean();
    case 'id': return fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytesToBase64url);
    case 'varint': return boundedNumber(varintMax).chain((n) => fc.constantFrom(n, n === 0 ? 0 : -n));
    case 'varuint': return boundedNumber(shape.max);
    case 'bytes': return boundedBytes(shape.min, shape.max);
    case 'fixed': return fc.uint8Array({ minLength: shape.size, maxLength: shape.size });
    case 'text': return fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => fitText(text, shape.max));
    case 'list': return fc.array(arbitraryOf(shape.item), { minLength: shape.min, maxLength: Math.min(shape.max, shape.min + 4) });
    case 'optional': return fc.option(arbitraryOf(shape.inner), { nil: undefined });
    case 'struct': return fc.record(Object.fromEntries(shape.fields.map(([name, inner]) => [name, arbitraryOf(inner)])));
    case 'union': return fc.oneof(...shape.variants.map(({ type, inner }) => arbitraryOf(inner).map((value) => ({ type, ...(value as Fields) }))));
    case 'words': return fc.constantFrom(...shape.words);
    case 'rows': return rowsOf(shape);
  }
}

// Pinned samples: every number at its lowest or its highest, byte strings short.

export type Extreme = 'low' | 'high';

export function sampleOf(shape: Shape, end: Extreme): unknown {
  const high = end === 'high';
  switch (shape.kind) {
    case 'u8': return high ? 255 : 0;
    case 'bool': return high;
    case 'id': return bytesToBase64url(countingBytes(16, high ? 0xf0 : 0));
    case 'varint': return high ? varintMax : -varintMax;
    case 'varuint': return high ? shape.max : 0;
    case 'bytes': return countingBytes(high ? Math.min(shape.max, Math.max(shape.min, 1) + 3) : shape.min, 0x20);
    case 'fixed': return countingBytes(shape.size, high ? 0x80 : 0);
    case 'text': return high ? fitText('Grüße 🐦', shape.max) : '';
    case 'list': return Array.from({ length: high ? Math.min(shape.max, Math.max(shape.min, 2)) : shape.min }, (_, i) => sampleOf(shape.item, i % 2 === 1 ? 'low' : end));
    case 'optional': return high ? sampleOf(shape.inner, end) : undefined;
    case 'struct': return Object.fromEntries(shape.fields.map(([name, inner]) => [name, sampleOf(inner, end)]));
    case 'union': throw new Error('a union is sampled by its variants');
    case 'words': return shape.words[high ? shape.words.length - 1 : 0];
    case 'rows': return high ? sampleRows(shape) : [];
  }
}

function sampleRows(shape: ShapeOf<'rows'>): readonly RowLike[] {
  const item = itemOf(shape);
  return [
    { seq: 2 ** 32 - 2, seg: 2 ** 31 - 1, slot: 2 ** 21 - 1, clock: 2 ** 31 - 1, ctr: 2 ** 32 - 1, rt: varintMax, envelope: sampleOf(fieldOf(item, 'envelope'), 'high') },
    { seq: 2 ** 32 - 1, seg: 0, slot: 1, clock: 0, ctr: 0, rt: 0, envelope: undefined },
  ];
}

function countingBytes(size: number, from: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => from + i);
}

function fitText(text: string, max: number): string {
  let out = '';
  for (const letter of text.toWellFormed()) {
    if (textToBytes(out + letter).length > max) break;
    out += letter;
  }
  return out;
}

// A second encoder, which knows only the description.

export function referenceBytes(shape: Shape, value: unknown): number[] {
  switch (shape.kind) {
    case 'u8': return [value as number];
    case 'bool': return [value ? 1 : 0];
    case 'id': return [...Buffer.from(value as string, 'base64url')];
    case 'varint': return numberBytes((value as number) < 0 ? -(value as number) * 2 - 1 : (value as number) * 2);
    case 'varuint': return numberBytes(value as number);
    case 'bytes': return [...numberBytes((value as Uint8Array).length), ...(value as Uint8Array)];
    case 'fixed': return [...(value as Uint8Array)];
    case 'text': {
      const utf8 = Buffer.from(value as string, 'utf8');
      return [...numberBytes(utf8.length), ...utf8];
    }
    case 'list': return [...numberBytes((value as unknown[]).length), ...(value as unknown[]).flatMap((item) => referenceBytes(shape.item, item))];
    case 'optional': return value === undefined ? [0] : [1, ...referenceBytes(shape.inner, value)];
    case 'struct': return shape.fields.flatMap(([name, inner]) => referenceBytes(inner, (value as Fields)[name]));
    case 'union': {
      const { tag, inner } = shape.variants.find(({ type }) => type === (value as Fields)['type'])!;
      return [tag, ...referenceBytes(inner, value)];
    }
    case 'words': return [shape.words.indexOf(value as string)];
    case 'rows': {
      const [head, items] = rowParts(value as readonly RowLike[]);
      return [...referenceBytes(shape.head, head), ...referenceBytes(shape.items, items)];
    }
  }
}

function rowParts(rows: readonly RowLike[]): readonly [head: Fields, items: readonly Fields[]] {
  const items = rows.map(({ seq: _, seg, rt, ...rest }, i) => ({ ...rest, rtDelta: rt - (rows[i - 1]?.rt ?? 0), segDelta: seg - (rows[i - 1]?.seg ?? 0) }));
  return [{ firstSeq: rows[0]?.seq ?? 0 }, items];
}

export function numberBytes(value: number): number[] {
  const out: number[] = [];
  let left = BigInt(value);
  for (; left > 127n; left >>= 7n) out.push(Number(left & 127n) | 128);
  return [...out, Number(left)];
}

/** The same number in one byte more than it needs. */
export function paddedNumberBytes(value: number): number[] {
  const out = numberBytes(value);
  out[out.length - 1]! |= 128;
  return [...out, 0];
}

// Each way one field can be wrong, with all fields before it right.

export interface Broken {
  readonly what: string;
  readonly bytes: readonly number[];
  readonly fault: DecodeFault;
}

const overAll = 2 ** 53; // one above what any number may be

export function brokenForms(shape: Shape, value: unknown): readonly Broken[] {
  switch (shape.kind) {
    case 'u8': case 'id': case 'fixed': return [];
    case 'bool': return [{ what: 'bool 2', bytes: [2], fault: 'RANGE' }];
    case 'varint': return [...badNumbers(0), { what: 'over', bytes: numberBytes(2 ** 52 + 1), fault: 'RANGE' }];
    case 'varuint': return [...badNumbers(value as number), ...(shape.max < overAll - 1 ? [{ what: 'over', bytes: numberBytes(shape.max + 1), fault: 'RANGE' as const }] : [])];
    case 'bytes': return [
      ...badNumbers((value as Uint8Array).length),
      { what: 'long', bytes: numberBytes(shape.max + 1), fault: 'TOO_BIG' },
      ...(shape.min > 0 ? [{ what: 'short', bytes: [...numberBytes(shape.min - 1), ...new Uint8Array(shape.min - 1)], fault: 'SMALL' as const }] : []),
    ];
    case 'text': return [
      ...badNumbers(textToBytes(value as string).length),
      { what: 'long', bytes: numberBytes(shape.max + 1), fault: 'TOO_BIG' },
      { what: 'no UTF-8', bytes: [1, 0xff], fault: 'TEXT' },
      { what: 'half a surrogate pair', bytes: [3, 0xed, 0xa0, 0x80], fault: 'TEXT' },
      { what: 'overlong', bytes: [2, 0xc0, 0x80], fault: 'TEXT' },
    ];
    case 'list': {
      const items = value as readonly unknown[];
      const head: Broken[] = [...badNumbers(items.length), { what: 'many', bytes: numberBytes(shape.max + 1), fault: 'RANGE' }];
      if (shape.min > 0) head.push({ what: 'few', bytes: numberBytes(shape.min - 1), fault: 'RANGE' });
      return [...head, ...brokenParts(numberBytes(items.length), items.map((item, i) => [String(i), shape.item, item]))];
    }
    case 'optional': return [{ what: 'presence 2', bytes: [2], fault: 'RANGE' }, ...(value === undefined ? [] : brokenParts([1], [['some', shape.inner, value]]))];
    case 'struct': return brokenParts([], shape.fields.map(([name, inner]) => [name, inner, (value as Fields)[name]]));
    case 'union': {
      const { tag, inner, type } = shape.variants.find((variant) => variant.type === (value as Fields)['type'])!;
      const unknown = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !shape.variants.some((variant) => variant.tag === byte));
      return [...unknown.map((byte) => ({ what: `kind ${byte}`, bytes: [byte], fault: 'UNKNOWN_KIND' as const })), ...brokenParts([tag], [[type, inner, value]])];
    }
    case 'words': return [{ what: 'word', bytes: [shape.words.length], fault: 'UNKNOWN_KIND' }, { what: 'word', bytes: [255], fault: 'UNKNOWN_KIND' }];
    case 'rows': {
      const [head, items] = rowParts(value as readonly RowLike[]);
      return brokenParts([], [['head', shape.head, head], ['items', shape.items, items]]);
    }
  }
}

function badNumbers(value: number): Broken[] {
  return [
    { what: 'padded', bytes: paddedNumberBytes(value), fault: 'VARINT_PADDED' },
    { what: 'padded 0', bytes: [0x80, 0x00], fault: 'VARINT_PADDED' },
    { what: '2^53', bytes: numberBytes(overAll), fault: 'RANGE' },
    { what: 'endless', bytes: new Array<number>(64).fill(0xff), fault: 'RANGE' },
  ];
}

function brokenParts(prefix: readonly number[], parts: readonly (readonly [what: string, shape: Shape, value: unknown])[]): Broken[] {
  const out: Broken[] = [];
  let before = [...prefix];
  for (const [what, shape, value] of parts) {
    for (const broken of brokenForms(shape, value)) out.push({ what: `${what}.${broken.what}`, bytes: [...before, ...broken.bytes], fault: broken.fault });
    before = [...before, ...referenceBytes(shape, value)];
  }
  return out;
}

function itemOf(shape: ShapeOf<'rows'>): ShapeOf<'struct'> {
  return (shape.items as ShapeOf<'list'>).item as ShapeOf<'struct'>;
}

function fieldOf(shape: ShapeOf<'struct'>, name: string): Shape {
  return shape.fields.find(([field]) => field === name)![1];
}
