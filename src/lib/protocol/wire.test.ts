import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitraryOf, brokenForms, referenceBytes } from '../../../tests/support/shape.ts';
import { wireFormats, wireSamples } from '../../../tests/support/wire.ts';
import { encode, text, varint, varuint, oneOf, bytes, list, fixed, struct, union, decode } from './codec.ts';
import { apiError } from './api.ts';
import { apiErrors, closeCodes, nackCodes, type ApiErrorName } from './codes.ts';
import { decodeDownFrame, decodeUpFrame, encodeDownFrame, rowsCodec } from './frame.ts';
import { limits } from './limits.ts';
import type { Row } from './row.ts';

test('[PR1] decoding gives back what was encoded, for every frame and every body', () => {
  for (const format of wireFormats) {
    fc.assert(fc.property(arbitraryOf(format.shape), (value) => {
      const encoded = format.encode(value);
      expect(encoded).toEqual(Uint8Array.from(referenceBytes(format.shape, value)));
      expect(format.decode(encoded)).toEqual({ ok: true, value });
    }), { numRuns: format.shape.kind === 'union' ? 400 : 40 });
  }
});

test('[PR1] the samples pin both ends of every bound', () => {
  expect(wireSamples.length).toBeGreaterThan(100);
  for (const { format, value } of wireSamples) expect(format.decode(format.encode(value))).toEqual({ ok: true, value });
});

test('[PR2] bytes cut short anywhere are refused', () => {
  for (const { name, format, value } of wireSamples) {
    const encoded = format.encode(value);
    for (let size = 0; size < encoded.length; size++) expect([name, size, format.decode(encoded.subarray(0, size))]).toEqual([name, size, { ok: false, error: 'EOF' }]);
  }
});

test('[PR3] a byte left over is refused', () => {
  for (const { name, format, value } of wireSamples) {
    for (const extra of [0, 1, 0xff]) expect([name, format.decode(Uint8Array.of(...format.encode(value), extra))]).toEqual([name, { ok: false, error: 'TRAILING' }]);
  }
});

test('[PR4] a field in any form but its own is refused by its typed reason: padded, over or under its bound, unknown', () => {
  let tried = 0;
  for (const { name, format, value } of wireSamples) {
    for (const { what, bytes: broken, fault } of brokenForms(format.shape, value)) {
      expect([name, what, format.decode(Uint8Array.from(broken))]).toEqual([name, what, { ok: false, error: fault }]);
      tried += 1;
    }
  }
  expect(tried).toBeGreaterThan(2_000);
});

test('[PR5] whatever is accepted encodes to the same bytes again', () => {
  let accepted = 0;
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'insert', 'remove')), { minLength: 1, maxLength: 3 });
  fc.assert(fc.property(fc.constantFrom(...wireSamples), flips, ({ format, value }, changes) => {
    const mutated = [...format.encode(value)];
    for (const [place, byte, how] of changes) {
      const at = place % (mutated.length + 1);
      mutated.splice(at, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
    }
    const decoded = format.decode(Uint8Array.from(mutated));
    if (!decoded.ok) return;
    accepted += 1;
    expect(format.encode(decoded.value)).toEqual(Uint8Array.from(mutated));
  }), { numRuns: 20_000 });
  expect(accepted).toBeGreaterThan(500);
});

test('[PR6] a frame over its bound is refused before it is read, and never made', () => {
  const huge = new Uint8Array(limits.frameSizeBytesMax + 1);
  expect(decodeUpFrame(huge)).toEqual({ ok: false, error: 'TOO_BIG' });
  expect(decodeDownFrame(huge)).toEqual({ ok: false, error: 'TOO_BIG' });
  const envelope = new Uint8Array(limits.envelopeSizeBytesMax);
  const rows = Array.from({ length: 17 }, (_, i): Row => ({ seq: i + 1, seg: 0, slot: 1, clock: i, ctr: i, rt: 0, envelope }));
  expect(() => encodeDownFrame({ type: 'rows', h: 0, rows })).toThrow('at most 256 KiB');
});

test('[PR6] a claimed length costs nothing until its items are really there', () => {
  const many = list(varuint(), 2 ** 31);
  expect(decode(many, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07))).toEqual({ ok: false, error: 'EOF' });
  expect(decode(bytes(2 ** 31), Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07))).toEqual({ ok: false, error: 'EOF' });
});

const row: Row = { seq: 1, seg: 0, slot: 1, clock: 0, ctr: 0, rt: 0, envelope: undefined };

test('[PR7] rows stay within their bounds however their differences are chosen', () => {
  const item = struct({ rtDelta: varint, segDelta: varint, slot: varuint(), clock: varuint(), ctr: varuint(), present: varuint() });
  const raw = struct({ firstSeq: varuint(), items: list(item, 512) });
  const one = { rtDelta: 0, segDelta: 0, slot: 1, clock: 0, ctr: 0, present: 0 };
  function read(firstSeq: number, ...items: readonly (typeof one)[]): unknown {
    return decode(rowsCodec, encode(raw, { firstSeq, items }));
  }
  const refused = { ok: false, error: 'RANGE' };
  expect(read(1, one)).toEqual({ ok: true, value: [row] });
  expect(read(0)).toEqual({ ok: true, value: [] });
  expect(read(1)).toEqual(refused); // nothing has one form
  expect(read(0, one)).toEqual(refused);
  expect(read(2 ** 32 - 1, one, one)).toEqual(refused); // the second would be number 2^32
  expect(read(2 ** 32 - 2, one, one)).toMatchObject({ ok: true });
  expect(read(1, { ...one, segDelta: -1 })).toEqual(refused);
  expect(read(1, { ...one, rtDelta: -1 })).toEqual(refused);
  expect(read(1, { ...one, segDelta: 5 }, { ...one, segDelta: -6 })).toEqual(refused);
  expect(read(1, { ...one, segDelta: 2 ** 31 })).toEqual(refused);
  expect(read(1, { ...one, rtDelta: 2 ** 51 }, { ...one, rtDelta: 1 })).toEqual(refused);
  expect(read(1, { ...one, slot: 0 })).toEqual(refused);
  expect(() => encode(rowsCodec, [row, { ...row, seq: 3 }])).toThrow('contiguous');
  expect(() => encode(rowsCodec, [{ ...row, seq: 0 }])).toThrow('count from 1');
  expect(() => encode(rowsCodec, [{ ...row, seg: -1 }])).toThrow('bounds');
});

test('[PR8] text is UTF-8 in its one form; half of a surrogate pair is written as U+FFFD', () => {
  const codec = text(8);
  expect(decode(codec, encode(codec, '\ufeffa'))).toEqual({ ok: true, value: '\ufeffa' }); // a byte order mark is text like any other
  expect(decode(codec, encode(codec, 'a\ud800b'))).toEqual({ ok: true, value: 'a\ufffdb' });
  expect(() => encode(codec, 'ÄÖÜßä')).toThrow('10 bytes');
});

test('[PR9] a value outside its format is a broken promise of the writer, never bytes', () => {
  expect(() => encode(varuint(5), 6)).toThrow('broken promise');
  expect(() => encode(varuint(), -1)).toThrow('broken promise');
  expect(() => encode(varuint(), 1.5)).toThrow('broken promise');
  expect(() => encode(varuint(), Number.NaN)).toThrow('broken promise');
  expect(() => encode(varint, 2 ** 51 + 1)).toThrow('broken promise');
  expect(() => encode(fixed(2), Uint8Array.of(1))).toThrow('broken promise');
  expect(() => encode(bytes(2, 1), Uint8Array.of())).toThrow('broken promise');
  expect(() => encode(list(varuint(), 1), [1, 2])).toThrow('broken promise');
  expect(() => encode(oneOf('a', 'b'), 'c' as 'a')).toThrow('broken promise');
  expect(() => encode(union({ a: [1, struct({})] }), { type: 'b' } as never)).toThrow('broken promise');
});

test('[PR10] every error of the API can be said, in its one place', () => {
  for (const name of Object.keys(apiErrors) as ApiErrorName[]) {
    const error = { name, detail: 'x', number: 3 };
    expect(decode(apiError, encode(apiError, error))).toEqual({ ok: true, value: error });
  }
});

test('[PR10] every close code and every refusal has its own number and one next step', () => {
  const codes = [...Object.values(closeCodes).map(({ code }) => code), ...Object.values(nackCodes).map(({ code }) => code)];
  expect(new Set(codes).size).toBe(codes.length);
  for (const { code } of Object.values(closeCodes)) expect(code === 1012 || (code >= 4000 && code <= 4999)).toBe(true);
  for (const { code } of Object.values(nackCodes)) expect(code >= 1 && code <= 255).toBe(true);
  // A stock y-websocket provider reconnects unless the code is 44xx: what is permanent says so.
  for (const { code, next } of Object.values(closeCodes)) expect(code >= 4400 && code < 4500).toBe(next === 'stop' || next === 'sign-in' || next === 'update');
});
