/**
 * `bench:bundle`: every script a signed-in chat list needs at first load, as a browser really asks for it.
 *
 * The built app is served in this process. A person signs up in Chromium; then the HTTP cache is emptied
 * and the app is opened again in a new page, service worker blocked, until the list shows and the
 * connection stands. Every request the server got for a script by then counts, in the page and in the
 * engine's worker alike, with its size under brotli at quality 11. What the build has beside that is listed
 * as lazy. `firstLoadScriptBrotliBytes` is to stay at or below 160 KB (163,840 bytes).
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { startNode } from '../sync-server/start.ts';
import { launchProfile, makeProfile } from '../tests/support/browsers.ts';
import { Person } from '../tests/support/person.ts';
import { makeDataDir } from '../tests/support/server.ts';
import { printResult } from './harness.ts';

const budgetBytes = 160 * 1_024;
const root = fileURLToPath(new URL('..', import.meta.url));
const client = join(root, 'build/client');
if (!existsSync(client)) {
  console.error('The app is not built yet. Run "npm run build" first.');
  process.exit(1);
}

const brotli = (file: string) => brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

async function scriptsOfFirstLoad(): Promise<readonly string[]> {
  const { dataDir, remove } = await makeDataDir();
  const { profile, remove: removeProfile } = await makeProfile();
  const node = await startNode({ environment: { DATA_DIR: dataDir, PORT: '0', LIMITS: 'relaxed', LOG_LEVEL: 'silent' }, workingDirectory: root });
  const asked = new Set<string>();
  const listener = (message: unknown) => asked.add(new URL((message as { request: IncomingMessage }).request.url!, node.address).pathname);
  const context = await launchProfile('chromium', profile, { serviceWorkers: 'block' });
  try {
    const first = new Person(await context.newPage(), { name: 'Bench', handle: 'bench', password: 'a goose in the morning fog' }, node.address);
    await first.signUp();
    await first.connection('online');
    const page = await context.newPage();
    await first.page.close();
    const session = await context.newCDPSession(page);
    await session.send('Network.clearBrowserCache');
    subscribe('http.server.request.start', listener);
    const again = new Person(page, first.who, node.address);
    await again.open();
    await again.inApp();
    await again.connection('online');
    await page.waitForLoadState('networkidle');
    unsubscribe('http.server.request.start', listener);
    return [...asked].filter((path) => /\.m?js$/.test(path));
  } finally {
    await context.close();
    await node.stop();
    await remove();
    await removeProfile();
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());
}

/** Vite names a file after what it holds; Kit's pages are numbered. */
function listed(paths: readonly string[]): { readonly path: string; readonly bytes: number }[] {
  return paths.map((path) => ({ path: path.replace('/_app/immutable/', ''), bytes: brotli(join(client, path)) })).sort((a, b) => b.bytes - a.bytes);
}

const first = listed(await scriptsOfFirstLoad());
const all = filesBelow(client).filter((name) => /\.(m?js|wasm)$/.test(name)).map((name) => `/${name}`);
const eager = new Set(first.map(({ path }) => path));
const lazy = listed(all).filter(({ path }) => !eager.has(path));
const total = first.reduce((sum, { bytes }) => sum + bytes, 0);
console.log('At first load:');
for (const { path, bytes } of first) console.log(`${String(bytes).padStart(8)}  ${path}`);
console.log('Only when needed:');
for (const { path, bytes } of lazy) console.log(`${String(bytes).padStart(8)}  ${path}`);
printResult('bundle', {
  firstLoadScriptBrotliBytes: total, budgetBytes, withinBudget: total <= budgetBytes, files: first.length,
  largest: first.slice(0, 5), lazyBrotliBytes: lazy.reduce((sum, { bytes }) => sum + bytes, 0), lazyFiles: lazy.length, largestLazy: lazy.slice(0, 5),
});
process.exit(0);
