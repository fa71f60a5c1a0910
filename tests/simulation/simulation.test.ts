import { expect, onTestFinished, test } from 'vitest';
import type { PlantedFault } from './faults.ts';
import { runSeed, type Outcome } from './run.ts';
import { orderWebCrypto } from './stillness.ts';
import { makeFoundation, type Foundation } from './world.ts';

const seedCount = 300;
const timeout = 600_000; // of a machine that does much else

let foundation: Promise<Foundation> | undefined;
function stand(): Promise<Foundation> {
  onTestFinished(orderWebCrypto());
  return (foundation ??= makeFoundation());
}

test(`[SM1][SM2][SM3][SM4][SM5][SM6][SM7][SM8] ${seedCount} seeds of everything going wrong come to rest in agreement`, { timeout }, async () => {
  const ground = await stand();
  const sums: Record<string, number> = {};
  for (let seed = 1; seed <= seedCount; seed++) {
    const { counts }: Outcome = await runSeed({ foundation: ground, seed });
    expect(counts['acked'], `seed ${seed} did something`).toBeGreaterThan(5);
    for (const [what, n] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + n;
  }
  // Every kind of weather came, and every kind of word was said.
  const least = { message: 20, edit: 1, delete: 1, react: 1, unreact: 0.5, acked: 30, cuts: 10, offline: 3, crashes: 1, losses: 0.1, 'server crashes': 0.3, restores: 0.05, lost: 0.05, renumbered: 0.05, addMembers: 0.05, removeMember: 0.1, rotate: 0.03, removed: 0.1, looks: 5 };
  for (const [what, perSeed] of Object.entries(least)) expect(sums[what] ?? 0, what).toBeGreaterThan(perSeed * seedCount);
});

test('[SM10] the same seed leaves the same trace, and another seed another', { timeout }, async () => {
  const ground = await stand();
  for (const seed of [3, 139, 513]) {
    const { hash } = await runSeed({ foundation: ground, seed });
    expect((await runSeed({ foundation: ground, seed })).hash).toBe(hash);
    // The keys of another foundation are others; nothing but bytes that are random depends on them.
    expect((await runSeed({ foundation: await makeFoundation(), seed })).hash).toBe(hash);
    expect((await runSeed({ foundation: ground, seed: seed + 1 })).hash).not.toBe(hash);
  }
});

/** Seeds within which each is caught, with room above what was seen, and what catches it. */
const planted: Readonly<Record<PlantedFault, readonly [seeds: number, by: RegExp]>> = {
  'send-before-persist': [100, /\[[0-9]/],
  'cursor-before-rows': [5, /\[5\]/],
  'retry-under-a-new-id': [10, /\[3\]/],
  'ack-before-commit': [200, /\[[0-9]/],
  'no-deduplication': [10, /\[[0-9]/],
  'bus-only': [10, /\[2\]/],
  'forgetful-slots': [10, /\[8\]/],
  'keys-for-the-removed': [30, /\[9\]/],
};

for (const [fault, [seeds, by]] of Object.entries(planted) as [PlantedFault, readonly [number, RegExp]][]) {
  test(`[SM9][SM11] a planted fault is caught within ${seeds} seeds: ${fault}`, { timeout }, async () => {
    const ground = await stand();
    let caught = '';
    for (let seed = 1; seed <= seeds && caught === ''; seed++) {
      await runSeed({ foundation: ground, seed, planted: fault }).catch((error: unknown) => {
        caught = (error as Error).message;
      });
    }
    expect(caught).toMatch(by);
    expect(caught, 'it says how to see it again').toContain('tools/simulate.ts --from');
  });
}
