/** Waiting for a condition: looks until it holds, and says what was seen last when it never does. */
import type { Locator } from 'playwright-core';

const lookEveryMs = 50;

/** Looks at `look()` until it satisfies; answers what satisfied. */
export async function until<T>(what: string, look: () => Promise<T> | T, holds: (seen: T) => boolean, msMax = 60_000): Promise<T> {
  const end = Date.now() + msMax;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > end) throw new Error(`waited ${msMax} ms for: ${what}; last seen: ${JSON.stringify(seen)?.slice(0, 2_000)}`);
    await new Promise((resume) => setTimeout(resume, lookEveryMs));
  }
}

export async function expect<T>(locator: Locator, holds: (seen: T) => boolean, what: string, look: (locator: Locator) => Promise<T>): Promise<T> {
  return until(what, () => look(locator), holds);
}
