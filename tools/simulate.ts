/**
 * Runs many seeds of the simulation, one after the other, and says what happened.
 *
 *     node tools/simulate.ts --seeds 5000 [--from N]   stops at the first seed that fails and prints it
 *     node tools/simulate.ts --from N --seeds 1 --trace   also prints every event
 *     node tools/simulate.ts --fault bus-only --seeds 60   plants a fault, which must be found
 */
import { parseArgs } from 'node:util';
import { runSeed } from '../tests/simulation/run.ts';
import type { PlantedFault } from '../tests/simulation/faults.ts';
import { orderWebCrypto } from '../tests/simulation/stillness.ts';
import { makeFoundation } from '../tests/simulation/world.ts';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '300' }, from: { type: 'string', default: '1' }, fault: { type: 'string' }, trace: { type: 'boolean', default: false }, 'keep-going': { type: 'boolean', default: false } } });
const from = Number(values.from);
const seeds = Number(values.seeds);

orderWebCrypto();
const foundation = await makeFoundation();
const sums: Record<string, number> = {};
const began = performance.now();
let failed = 0;
for (let seed = from; seed < from + seeds; seed++) {
  try {
    const { hash, events, virtualMs, counts } = await runSeed({
      foundation, seed, ...(values.fault && { planted: values.fault as PlantedFault }), ...(values.trace && { trace: (line: string) => process.stdout.write(line) }),
    });
    for (const [what, n] of Object.entries({ ...counts, events, 'virtual minutes': Math.round(virtualMs / 60_000) })) sums[what] = (sums[what] ?? 0) + n;
    if (seeds === 1) console.log(`seed ${seed}: ${hash}`);
  } catch (error) {
    failed += 1;
    console.error(error instanceof Error ? error.message : error);
    if (values.trace && error instanceof Error) console.error(error.cause);
    if (!values['keep-going']) break;
  }
}
const seconds = (performance.now() - began) / 1_000;
console.log(sums);
console.log(`${seeds} seeds asked for, ${failed} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failed > 0 ? 1 : 0;
