import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { idOf } from './fixtures/world.ts';
import { decodeMark, decodeSignal, encodeMark, encodeSignal, markShape, type MarkBody } from './marks.ts';

const account = idOf<AccountId>('account');
const seq = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anyMark: fc.Arbitrary<MarkBody> = fc.record({
  account: fc.constant(account), deliveredSeq: seq, readSeq: seq, profileVersion: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  profileKey: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }) as fc.Arbitrary<Bytes>, { nil: undefined }),
});

test('[CV25] marks and signals decode to what was encoded, in one byte form that leaves room to seal them', () => {
  fc.assert(fc.property(anyMark, (mark) => {
    expect(decodeMark(encodeMark(mark))).toEqual({ ok: true, value: mark });
    expect(encodeMark(mark).length).toBeLessThanOrEqual(limits.markSizeBytesMax - 64);
  }));
  const signal = { type: 'typing' as const, account };
  expect(decodeSignal(encodeSignal(signal))).toEqual({ ok: true, value: signal });
  const accepted = { marks: 0 };
  fc.assert(fc.property(anyMark, fc.nat(), fc.nat(255), (mark, place, byte) => {
    const bytes = encodeMark(mark);
    for (const other of [bytes.map((old, i) => (i === place % bytes.length ? byte : old)), bytes.slice(0, place % bytes.length), Uint8Array.of(...bytes, byte)]) {
      const decoded = decodeMark(other);
      if (!decoded.ok) continue;
      accepted.marks += 1;
      expect(encodeMark(decoded.value)).toEqual(other);
    }
  }));
  expect(accepted.marks).toBeGreaterThan(10);
});

test('[CV2] the bytes of marks and signals are pinned', () => {
  const id = bytesToHex(encodeSignal({ type: 'typing', account })).slice(2);
  expect(id).toHaveLength(32);
  expect(bytesToHex(encodeSignal({ type: 'typing', account }))).toBe(`00${id}`);
  expect(bytesToHex(encodeMark({ account, deliveredSeq: 300, readSeq: 1, profileKey: undefined, profileVersion: 2 }))).toBe(`${id}ac02010002`);
  expect(bytesToHex(encodeMark({ account, deliveredSeq: 0, readSeq: 0, profileKey: new Uint8Array(32).fill(5), profileVersion: 0 }))).toBe(`${id}000001${'05'.repeat(32)}00`);
  expect(markShape).toBe('mark{account:id,deliveredSeq:V<=4294967295,readSeq:V<=4294967295,profileKey:?([32]),profileVersion:V<=9007199254740991}signal{type:(typing),account:id}');
});

test('[CV25] what is no mark or signal gets a typed refusal', () => {
  for (const bytes of [[], [1], [0, 1], Array.from({ length: 18 }, () => 0)]) expect(decodeSignal(Uint8Array.from(bytes)).ok).toBe(false);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    const mark = decodeMark(bytes);
    if (mark.ok) expect(encodeMark(mark.value)).toEqual(Uint8Array.from(bytes));
    else expect(mark.error).toMatch(/^[A-Z_]+$/);
  }));
});
