/** One stream of repeatable numbers per name, all of one seed: what one part draws moves no other part's stream. */
import type { Random } from '#lib/std/random.ts';

export interface Prng extends Random {
  readonly chance: (probability: number) => boolean;
  readonly below: (count: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

export function createPrng(seed: number, name: string): Prng {
  let state = seed >>> 0;
  for (const letter of name) state = Math.imul(state ^ letter.codePointAt(0)!, 0x9e3779b1) >>> 0;
  function fraction(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  const below = (count: number) => Math.floor(fraction() * count);
  return {
    fraction, below,
    bytes: (size) => Uint8Array.from({ length: size }, () => below(256)),
    chance: (probability) => fraction() < probability,
    pick: (list) => list[below(list.length)]!,
  };
}
