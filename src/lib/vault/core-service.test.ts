import { expect, test } from 'vitest';
import { bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { createCoreService, type CoreAdvanced } from './core-service.ts';
import type { RegisterValue, RegisterWrite } from './core-view.ts';

/** A small generator, so that every run is the same run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
}

test('[VA11] in forty crowded merges every device shows the same winners', async () => {
  const pick = seeded(124 * 7_919); // its first run is one where documents merged step by step show another winner
  const actor = () => Array.from({ length: 32 }, () => '0123456789abcdef'[pick(16)]).join('');
  const value = (): RegisterValue => [
    () => ({ type: 'text' as const, value: `x${pick(3)}` }), () => ({ type: 'flag' as const, value: pick(2) === 1 }),
    () => ({ type: 'number' as const, value: pick(5) }), () => ({ type: 'gone' as const }),
  ][pick(4)]!();
  let conflicts = 0;
  for (let run = 0; run < 40; run++) {
    const service = [createCoreService(), createCoreService(), createCoreService()];
    const actors = [actor(), actor(), actor()];
    const state: (CoreAdvanced | undefined)[] = [undefined, undefined, undefined];
    const all: Bytes[] = [];
    const advance = async (who: number, writes: RegisterWrite[][], received: Bytes[]) => {
      state[who] = await service[who]!.advance({ document: state[who]?.document, actor: actors[who]!, writes, received });
      return state[who]!;
    };
    for (let step = 0; step < 6; step++) {
      const group = Array.from({ length: pick(4) }, () => ({ path: 'abc'[pick(3)]!, to: value() }));
      all.push(...(await advance(pick(3), [group], [])).changes.map(({ change }) => change));
      await advance(pick(3), [], all.filter(() => pick(2) === 1).sort(() => pick(3) - 1));
    }
    const ends = [];
    for (const who of [0, 1, 2]) ends.push(await advance(who, [], all.toReversed()));
    if (ends[0]!.heads.length > 32) conflicts++;
    for (const end of ends) {
      expect(bytesToHex(end.heads)).toBe(bytesToHex(ends[0]!.heads));
      expect(end.registers, `run ${run}`).toEqual(ends[0]!.registers);
    }
  }
  expect(conflicts).toBeGreaterThan(8); // devices did write at the same time
});
