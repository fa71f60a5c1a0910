/**
 * A token bucket: what one connection may do at once, and how fast that comes back.
 *
 * It keeps two numbers and reads the clock it is handed, so a simulation sees the same refusals.
 */
import type { Clock } from '#lib/std/clock.ts';

export interface BucketRule {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Bucket {
  /** Takes `count`, or takes nothing and answers false. */
  readonly take: (count?: number) => boolean;
}

export function createBucket(clock: Clock, { burst, perSecond }: BucketRule): Bucket {
  let left = burst;
  let filledAt = clock.now();
  return {
    take(count = 1) {
      const now = clock.now();
      // A clock set back adds nothing and takes nothing.
      left = Math.min(burst, left + (Math.max(0, now - filledAt) / 1_000) * perSecond);
      filledAt = now;
      if (left < count) return false;
      left -= count;
      return true;
    },
  };
}
