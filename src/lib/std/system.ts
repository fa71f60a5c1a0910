/**
 * The real clock, timers and randomness of the machine. `app/` and the server's composition hand them
 * out; everything else takes them as arguments. This is the one file of the core that names the globals.
 */
import { assert } from './assert.ts';
import type { Clock, Timers } from './clock.ts';
import type { Random } from './random.ts';

export const systemClock: Clock = { now: () => Date.now() };

/** A longer delay wraps around inside setTimeout and would fire at once. */
const timeoutMsMax = 2 ** 31 - 1;

export const systemTimers: Timers = {
  after(ms, task) {
    assert(ms >= 0, 'a timer points into the future');
    let left = ms;
    let timer = setTimeout(step, Math.min(left, timeoutMsMax));
    function step(): void {
      left -= timeoutMsMax;
      if (left <= 0) task();
      else timer = setTimeout(step, Math.min(left, timeoutMsMax));
    }
    return () => clearTimeout(timer);
  },
};

/** getRandomValues refuses more at once. */
const randomBytesPerCallMax = 65_536;

export const systemRandom: Random = {
  bytes(size) {
    const out = new Uint8Array(size);
    for (let at = 0; at < size; at += randomBytesPerCallMax) crypto.getRandomValues(out.subarray(at, at + randomBytesPerCallMax));
    return out;
  },
  fraction: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
};
