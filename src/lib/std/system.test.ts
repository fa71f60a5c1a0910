import { afterEach, expect, test, vi } from 'vitest';
import { systemClock, systemRandom, systemTimers } from './system.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('[SD7] a timer fires once after its delay, or never when cancelled, and a month is a month', () => {
  vi.useFakeTimers();
  const seen: string[] = [];
  systemTimers.after(10, () => seen.push('short'));
  const cancelShort = systemTimers.after(5, () => seen.push('cancelled'));
  const month = 31 * 86_400_000; // more than setTimeout can hold
  systemTimers.after(month, () => seen.push('month'));
  const cancelLong = systemTimers.after(month + 1, () => seen.push('cancelled'));
  cancelShort();
  vi.advanceTimersByTime(10);
  expect(seen).toEqual(['short']);
  vi.advanceTimersByTime(month - 11);
  expect(seen).toEqual(['short']);
  cancelLong();
  vi.advanceTimersByTime(2);
  expect(seen).toEqual(['short', 'month']);
  vi.advanceTimersByTime(month);
  expect(seen).toEqual(['short', 'month']);
});

test('[SD8] random bytes come in any size and a fraction lies from 0 up to, never reaching, 1', () => {
  expect(systemRandom.bytes(0)).toHaveLength(0);
  const large = systemRandom.bytes(200_000);
  // Every stretch is filled: 64 zero bytes in a row from a good source happen once in 2^512.
  for (let at = 0; at < large.length; at += 64) expect(large.subarray(at, at + 64).some((byte) => byte !== 0)).toBe(true);
  for (let i = 0; i < 1_000; i++) {
    const fraction = systemRandom.fraction();
    expect(fraction >= 0 && fraction < 1).toBe(true);
  }
});

test('[SD9] the system clock tells milliseconds since 1970', () => {
  vi.useFakeTimers({ now: 1_795_500_000_000 });
  expect(systemClock.now()).toBe(1_795_500_000_000);
});
