/**
 * Plants one import through each wall of `.dependency-cruiser.js` in a house of its own and expects each to
 * be reported. A wall added to the map without a plant here fails too, so none stands that stops nobody.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

interface Wall {
  readonly name: string;
  readonly to: { readonly path?: string };
}

const configPath = fileURLToPath(new URL('../.dependency-cruiser.js', import.meta.url));
const cruiserPath = fileURLToPath(new URL('../node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', import.meta.url));
const config = (await import(configPath)) as { readonly default: { readonly forbidden: readonly Wall[] } };
const walls = config.default.forbidden;

const house = mkdtempSync(join(tmpdir(), 'house-'));
afterAll(() => rmSync(house, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(house, path)), { recursive: true });
  writeFileSync(join(house, path), text);
}

/** For walls that stand one by one: the file with the forbidden import, and its text. */
const plants: Readonly<Record<string, readonly [path: string, text: string]>> = {
  'no-cycles': ['src/lib/timeline/back.ts', "import './there.ts';"], // a circle is reported once, at its first file
  'no-lost-imports': ['src/lib/std/lost.ts', "import './nowhere.ts';"],
  'rooms-are-listed': ['src/lib/cellar/x.ts', "import '#lib/std/fine.ts';"],
  'insides-are-private': ['sync-server/reaches-in.ts', "import '#lib/protocol/inner/x.ts';"],
  'insides-are-private-between-rooms': ['src/lib/chains/reaches-in.ts', "import '#lib/protocol/inner/x.ts';"],
  'server-wall': ['src/service-worker/index.ts', "import '#lib/server/fine.ts';"],
  'plaintext-wall': ['sync-server/reads.ts', "import '#lib/conversation/fine.ts';"],
  'browser-has-no-node': ['src/lib/app/reads-disk.ts', "import 'node:fs';"],
  'pages-are-thin': ['src/routes/+page.svelte', "<script lang=\"ts\">import { x } from '#lib/sync/fine.ts'; console.log(x);</script>"],
};

/** Walls that stand once per room or package are planted from their own description. */
function plantOf({ name, to }: Wall): readonly [path: string, text: string] {
  const room = /^room-(.+)$/.exec(name)?.[1];
  if (room) return [`src/lib/${room}/strays.ts`, `import { x } from '#lib/${room === 'app' ? 'ui' : room === 'ui' ? 'sync' : 'app'}/fine.ts'; console.log(x);`];
  if (name.startsWith('home-of-')) {
    const folder = /^\^node_modules\/(.+)\/$/.exec(to.path!)![1]!;
    const packageName = folder.startsWith('@') && !folder.includes('/') ? `${folder}/core` : folder;
    write(`node_modules/${packageName}/package.json`, JSON.stringify({ name: packageName, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${packageName}/index.js`, 'export const x = 1;');
    return [`src/lib/std/${name}.ts`, `import '${packageName}';`];
  }
  const plant = plants[name];
  if (!plant) throw new Error(`no import is planted for the wall ${name}`);
  return plant;
}

/** What an honest house does; nothing of it may be reported. */
const honest: Readonly<Record<string, string>> = {
  'src/lib/timeline/there.ts': "import './back.ts';",
  'src/lib/protocol/inner/x.ts': 'export const x = 1;',
  'src/lib/protocol/uses-inner.ts': "import './inner/x.ts'; import '#lib/std/fine.ts';",
  'src/lib/ui/chat/Names.svelte': "<script lang=\"ts\">import type { T } from '#lib/sync/fine.ts'; let { t }: { t: T } = $props();</script>{t}",
  'src/lib/server/inner/fine.ts': "import 'node:fs'; import '#lib/chains/fine.ts';",
  'src/routes/api/+server.ts': "import '#lib/server/fine.ts'; import '#lib/protocol/fine.ts';",
  'src/routes/about/+page.ts': "import '#lib/app/fine.ts';",
  'src/lib/std/any.test.ts': "import 'node:fs'; import '#lib/app/fine.ts';",
  'sync-server/fine.ts': "import '#lib/server/fine.ts'; import '#lib/chains/fine.ts'; import 'node:net';",
  'tests/any.test.ts': "import '#lib/sync/fine.ts'; import '#lib/server/fine.ts';",
  'tools/any.ts': "import '#lib/protocol/inner/x.ts';",
  'bench/any.ts': "import '#lib/server/fine.ts';",
};

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

function cruise(): readonly Violation[] {
  const args = [cruiserPath, 'src', 'sync-server', 'tests', 'tools', 'bench', '--config', '.dependency-cruiser.js', '--output-type', 'json'];
  const answer = execFileSync(process.execPath, args, { cwd: house, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return (JSON.parse(answer) as { readonly summary: { readonly violations: readonly Violation[] } }).summary.violations;
}

test('[HO2] an import through any wall of the house is reported, and an honest one is not', () => {
  expect(walls.length).toBeGreaterThan(30);
  copyFileSync(configPath, join(house, '.dependency-cruiser.js'));
  write('package.json', JSON.stringify({ type: 'module', imports: { '#lib/*': './src/lib/*' } }));
  write('tsconfig.json', JSON.stringify({ compilerOptions: { target: 'ESNext', module: 'ESNext', moduleResolution: 'bundler', allowImportingTsExtensions: true, noEmit: true, types: [] } }));
  for (const { name } of walls) {
    const room = /^room-(.+)$/.exec(name)?.[1];
    if (room) write(`src/lib/${room}/fine.ts`, 'export const x = 1; export type T = number;');
  }
  for (const inside of ['client', 'disclose-version']) write(`node_modules/svelte/internal/${inside}.js`, 'export {};'); // what a compiled component imports
  write('node_modules/svelte/package.json', JSON.stringify({ name: 'svelte', version: '5.0.0', exports: { './internal/*': './internal/*.js' } }));
  for (const [path, text] of Object.entries(honest)) write(path, text);
  const planted = walls.map((wall) => {
    const [path, text] = plantOf(wall);
    write(path, text);
    return { wall: wall.name, path };
  });
  const violations = cruise();
  expect(planted.filter(({ wall, path }) => !violations.some(({ rule, from }) => rule.name === wall && from === path))).toEqual([]);
  expect(violations.filter(({ from }) => !planted.some(({ path }) => path === from))).toEqual([]);
});
