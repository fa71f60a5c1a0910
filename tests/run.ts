/**
 * The whole check, cheapest first: `npm test`. Every step runs, so one run tells all that is wrong;
 * the last line counts, and any failure makes the exit code 1.
 *
 *     node tests/run.ts                   everything
 *     node tests/run.ts types unit        only these steps
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<Count>;
}

const scratch = await mkdtemp(join(tmpdir(), 'godwit-tests-'));
const started = Date.now();

const steps: readonly Step[] = [
  { name: 'setup', run: () => check('node', 'tools/setup.ts') },
  { name: 'types', run: () => check('svelte-check', '--tsconfig', './tsconfig.json', '--output', 'human', '--threshold', 'error') },
  { name: 'worker-types', run: () => check('tsc', '--noEmit', '-p', 'src/service-worker') },
  { name: 'lint', run: () => check('eslint', '.') },
  { name: 'rooms', run: () => check('depcruise', 'src', 'sync-server', 'tests', 'tools', 'bench', '--config', '.dependency-cruiser.js') },
  { name: 'rules', run: () => check('node', 'tools/rules.ts') },
  { name: 'unit', run: unit },
  { name: 'build', run: () => check('vite', 'build') },
  { name: 'e2e', run: e2e },
];

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`No step is called ${unknown.join(', ')}; there are ${steps.map((step) => step.name).join(', ')}.`);
  process.exit(2);
}

const lines: string[] = [];
const total = { passed: 0, failed: 0, skipped: 0 };
for (const step of steps) {
  if (chosen.length > 0 && !chosen.includes(step.name)) continue;
  const begun = Date.now();
  console.log(`\n=== ${step.name}`);
  const count = await step.run();
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
  lines.push(`${count.failed === 0 ? 'ok    ' : 'FAILED'} ${step.name.padEnd(13)} ${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} SKIPPED` : ''} (${Math.round((Date.now() - begun) / 1_000)} s)`);
}
await rm(scratch, { recursive: true, force: true });

console.log(`\n=== all, in ${Math.round((Date.now() - started) / 1_000)} s\n${lines.join('\n')}\n`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** A step that is one check: its exit code is its result. */
async function check(command: string, ...args: readonly string[]): Promise<Count> {
  const code = await run(command, args);
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

async function unit(): Promise<Count> {
  const file = join(scratch, 'unit.json');
  const code = await run('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`]);
  const report = await readJson(file);
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, numPendingTests: skipped = 0 } = report as Record<string, number>;
  // A file that does not even load fails no test of its own.
  return { passed, failed: code === 0 ? failed : Math.max(1, failed), skipped };
}

async function e2e(): Promise<Count> {
  const files = (await readdir('tests/e2e')).filter((file) => file.endsWith('.e2e.ts')).map((file) => join('tests/e2e', file)).sort();
  const log = join(scratch, 'e2e.tap');
  const code = await run('node', ['--test', '--test-concurrency=1', '--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=tap', `--test-reporter-destination=${log}`, ...files]);
  const tap = await readFile(log, 'utf8').catch(() => '');
  const number = (word: string) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0);
  const [passed, failed, skipped] = [number('pass'), number('fail') + number('cancelled'), number('skipped') + number('todo')];
  if (passed + failed === 0) return { passed: 0, failed: 1, skipped };
  return { passed, failed: code === 0 ? failed : Math.max(1, failed), skipped };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    console.error(`no report in ${file}:`, error instanceof Error ? error.message : error);
    return undefined;
  }
}

function run(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: process.env });
    child.once('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
