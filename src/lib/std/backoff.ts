/**
 * How long to wait before trying again: exponential, with full jitter, so a thousand clients that
 * lost one server do not return in one instant. The caller resets the attempt when something good happened.
 */
import type { Random } from './random.ts';

export const retryDelayMsMin = 500;
export const retryDelayMsMax = 30_000;

/** `attempt` is 0 before the first retry: 0.5 to 1 s, then up to 2, 4, 8, 16 and 30 s. */
export function retryDelayMs({ attempt, random }: { readonly attempt: number; readonly random: Random }): number {
  const ceiling = Math.min(retryDelayMsMax, retryDelayMsMin * 2 ** (Math.max(0, attempt) + 1));
  return Math.floor(retryDelayMsMin + random.fraction() * (ceiling - retryDelayMsMin));
}
