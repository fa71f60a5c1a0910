/**
 * Holds the rules and the tests together: every rule of `docs/rules/*.md` has a test that carries its
 * number, every test carries a number that is a rule, and `docs/RULES.md` lists every file of rules.
 *
 *     node tools/rules.ts           says what is missing, and fails if anything is
 *     node tools/rules.ts --write   writes docs/RULES.md first
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceText {
  readonly path: string;
  readonly text: string;
}

export interface Rule {
  readonly number: string;
  readonly path: string;
}

const ruleLine = /^- \*\*([A-Z]{2,3}\d+)\*\* \S/;
/** A test's name, wherever a test is declared: `test('[OB3] …`, `test.skipIf(x)('[OB3] …`, `story("[OB3][OB4] …`. */
const numberedName = /['"`]((?:\[[A-Z]{2,3}\d+\] ?)+)\S/g;
const declaredTest = /^\s*(?:test|it)(?:\.\w+)*\(\s*(['"`])(.*?)\1/gm;

export function rulesOf({ path, text }: SourceText): readonly Rule[] {
  return text.split('\n').flatMap((line) => {
    const number = ruleLine.exec(line)?.[1];
    return number ? [{ number, path }] : [];
  });
}

/** The numbers this file's tests carry. */
export function numbersOf({ text }: SourceText): readonly string[] {
  return [...text.matchAll(numberedName)].flatMap(([, numbers]) => [...numbers!.matchAll(/[A-Z]+\d+/g)].map(([number]) => number));
}

/** Names of tests that carry no number; a name built at run time gets its number where it is written down. */
export function namelessOf({ text }: SourceText): readonly string[] {
  return [...text.matchAll(declaredTest)].map(([, , name]) => name!).filter((name) => !/^(\[[A-Z]{2,3}\d+\]|\$\{)/.test(name));
}

/** One sentence for each thing that is wrong; none when all is well. */
export function faultsOf(rules: readonly SourceText[], tests: readonly SourceText[]): readonly string[] {
  const faults: string[] = [];
  const known = new Map<string, string>();
  const homes = new Map<string, string>();
  for (const file of rules) {
    const own = rulesOf(file);
    if (own.length === 0) faults.push(`${file.path} states no rule`);
    for (const line of file.text.split('\n')) if (line.startsWith('- ') && !ruleLine.test(line)) faults.push(`${file.path} has a line that is no rule: ${line.slice(0, 60)}`);
    for (const { number } of own) {
      if (known.get(number) === file.path) faults.push(`${number} is stated twice in ${file.path}`);
      known.set(number, file.path);
    }
    for (const letters of new Set(own.map(({ number }) => number.replace(/\d+/, '')))) {
      const other = homes.get(letters);
      if (other) faults.push(`the letters ${letters} belong to both ${other} and ${file.path}`);
      homes.set(letters, file.path);
    }
  }
  const tested = new Set<string>();
  for (const file of tests) {
    for (const number of numbersOf(file)) {
      tested.add(number);
      if (!known.has(number)) faults.push(`no rule ${number}, which a test in ${file.path} carries`);
    }
    for (const name of namelessOf(file)) faults.push(`a test without a rule in ${file.path}: ${name.slice(0, 60)}`);
  }
  for (const [number, path] of known) if (!tested.has(number)) faults.push(`no test carries ${number} of ${path}`);
  return [...new Set(faults)];
}

/** What docs/RULES.md says: where each room's rules are. */
export function indexOf(rules: readonly SourceText[]): string {
  const lines = rules.map((file) => {
    const own = rulesOf(file);
    const letters = [...new Set(own.map(({ number }) => number.replace(/\d+/, '')))].join(', ');
    return `- [${basename(file.path, '.md')}](rules/${basename(file.path)}): ${letters}`;
  });
  return `# Rules\n\nWhat the app promises, one numbered sentence each, by room. Every rule has a test that carries its number.\n\n${lines.join('\n')}\n`;
}

function readAll(root: string, ...patterns: readonly string[]): readonly SourceText[] {
  return [...new Set(patterns.flatMap((pattern) => globSync(pattern, { cwd: root })))]
    .filter((path) => !path.includes('node_modules'))
    .sort()
    .map((path) => ({ path, text: readFileSync(`${root}/${path}`, 'utf8') }));
}

function main(): void {
  const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
  const rules = readAll(root, 'docs/rules/*.md');
  const ends = '{test,contract,e2e}.ts';
  const tests = readAll(root, `src/**/*.${ends}`, `sync-server/**/*.${ends}`, `tools/**/*.${ends}`, `bench/**/*.${ends}`, `tests/**/*.${ends}`);
  const indexPath = `${root}/docs/RULES.md`;
  if (process.argv.includes('--write')) writeFileSync(indexPath, indexOf(rules));
  const written = existsSync(indexPath) && readFileSync(indexPath, 'utf8') === indexOf(rules);
  const faults = [...faultsOf(rules, tests), ...(written ? [] : ['docs/RULES.md does not list the files of rules: node tools/rules.ts --write'])];
  for (const fault of faults) console.error(fault);
  console.log(`${rules.flatMap(rulesOf).length} rules in ${rules.length} files, ${tests.length} files of tests, ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
}

if (import.meta.main) main();
