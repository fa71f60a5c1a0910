import fc from 'fast-check';
import { expect, test } from 'vitest';
import { retryDelayMs, retryDelayMsMax, retryDelayMsMin } from './backoff.ts';
import type { Random } from './random.ts';

function fixedFraction(fraction: number): Random {
  return { bytes: (size) => new Uint8Array(size), fraction: () => fraction };
}

test('[SD5] a retry waits between 0.5 and 30 seconds, whatever the attempt', () => {
  fc.assert(fc.property(fc.nat(5_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, fraction) => {
    const delay = retryDelayMs({ attempt, random: fixedFraction(fraction) });
    return delay >= retryDelayMsMin && delay <= retryDelayMsMax && Number.isInteger(delay);
  }));
});

test('[SD6] the ceiling of the wait doubles with each attempt and the jitter fills all below it', () => {
  const highest = [0, 1, 2, 3, 4, 5, 6].map((attempt) => retryDelayMs({ attempt, random: fixedFraction(0.999999999) }));
  expect(highest).toEqual([999, 1_999, 3_999, 7_999, 15_999, 29_999, 29_999]);
  expect(retryDelayMs({ attempt: 9, random: fixedFraction(0) })).toBe(500);
  expect(retryDelayMs({ attempt: 9, random: fixedFraction(0.5) })).toBe(15_250);
});
