import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isPaddedSize, pad, paddedSize, unpad } from './padding.ts';

test('[SD10] unpadding gives back the body, and the size tells only its bucket', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5_000 }), (body) => {
    const padded = pad(body);
    expect(unpad(padded)).toEqual(Uint8Array.from(body));
    expect(padded.length).toBe(paddedSize(body.length + 4));
    expect(isPaddedSize(padded.length)).toBe(true);
  }));
  expect([0, 252, 253, 508, 509, 1_020, 1_021, 2_044, 2_045, 4_092, 4_093].map((size) => pad(new Uint8Array(size)).length))
    .toEqual([256, 256, 512, 512, 1_024, 1_024, 2_048, 2_048, 4_096, 4_096, 6_144]);
  for (const wrong of [0, 1, 255, 257, 2_049, 3_072, 5_000]) expect(isPaddedSize(wrong)).toBe(false);
});

test('[SD10] a padded body in any form but its one is refused', () => {
  const padded = pad(Uint8Array.of(1, 2, 3));
  expect(unpad(padded.subarray(0, 255))).toBeUndefined();
  expect(unpad(new Uint8Array(0))).toBeUndefined();
  expect(unpad(new Uint8Array(512))).toBeUndefined(); // nothing, in a bucket too large
  for (const at of [7, 8, 100, 255]) expect(unpad(padded.with(at, 1))).toBeUndefined(); // the rest is zeros
  expect(unpad(padded.with(3, 253))).toBeUndefined(); // more than is there
  expect(unpad(padded.with(0, 0xff))).toBeUndefined();
  expect(unpad(padded.with(3, 2))).toBeUndefined(); // less than is there
});
