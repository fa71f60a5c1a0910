import fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64urlToBytes, bytesToBase64url, bytesToHex, bytesToText, concatBytes, copyBytes, equalBytes, textToBytes } from './bytes.ts';

test('[SD11] hex and base64url say what Node says', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    expect(bytesToHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
    const text = bytesToBase64url(bytes);
    expect(text).toBe(Buffer.from(bytes).toString('base64url'));
    expect(base64urlToBytes(text)).toEqual(Uint8Array.from(bytes));
  }));
});

test('[SD11] whatever base64url is accepted is the one text of its bytes', () => {
  let accepted = 0;
  const letters = fc.string({ unit: fc.constantFrom(...'ABQgwz09-_=+/ é'), maxLength: 6 });
  fc.assert(fc.property(letters, (text) => {
    const bytes = base64urlToBytes(text);
    if (!bytes) return;
    accepted += 1;
    expect(bytesToBase64url(bytes)).toBe(text);
  }), { numRuns: 5_000 });
  expect(accepted).toBeGreaterThan(300);
  for (const wrong of ['A', 'AB', 'AAB', 'AA==', 'A+AA', 'AAAAA']) expect(base64urlToBytes(wrong)).toBeUndefined();
});

test('[SD11] bytes are text only when they are UTF-8 in its one form', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
    const text = bytesToText(bytes);
    if (text !== undefined) expect([...textToBytes(text)]).toEqual([...bytes]);
  }), { numRuns: 2_000 });
  for (const wrong of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80]]) expect(bytesToText(Uint8Array.from(wrong))).toBeUndefined();
  expect(bytesToText(textToBytes('\ufeffGrüße 🐦'))).toBe('\ufeffGrüße 🐦');
});

test('[SD11] joining, copying and comparing bytes', () => {
  const whole = concatBytes(Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3));
  expect([...whole]).toEqual([1, 2, 3]);
  const copy = copyBytes(whole.subarray(1));
  whole.fill(0);
  expect([...copy]).toEqual([2, 3]);
  expect(copy.buffer.byteLength).toBe(2);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
});
