/** Which recovery words to ask for: a few different places, in order, that nobody can foresee. */
import type { Random } from '#lib/std/random.ts';

export function pickPlaces(count: number, total: number, random: Random): readonly number[] {
  const places = new Set<number>();
  while (places.size < Math.min(count, total)) {
    const byte = random.bytes(1)[0]!;
    // Bytes past the last whole multiple would favour the first places.
    if (byte < 256 - (256 % total)) places.add(byte % total);
  }
  return [...places].sort((a, b) => a - b);
}

/** As typed: case and stray spaces do not matter. */
export function sameWord(typed: string, word: string): boolean {
  return typed.trim().toLowerCase() === word;
}

export function countWords(text: string): number {
  return text.trim() === '' ? 0 : text.trim().split(/\s+/).length;
}
