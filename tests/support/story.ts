/**
 * A story is one test per browser, told against the built app on a server of its own.
 *
 * Whatever the story, its end also checks what holds in all of them: no page raised an error, none broke its
 * content security policy, and none asked another origin for anything. With STORY_PICTURES naming a folder, a
 * story that fails leaves there what each of its pages showed.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { blockStorage, browserNames, findBrowser, launchBrowser, launchProfile, makeProfile, shrinkStorage, type BrowserName, type ProfileOptions } from './browsers.ts';
import { Person, type Credentials } from './person.ts';
import { makeDataDir, startServer, type TestServer } from './server.ts';

export interface ProfilePerson {
  /** What the browser shows now; replaced by `reopen`. */
  readonly current: () => Person;
  /** Closes the browser, everything of it. */
  readonly quit: () => Promise<void>;
  readonly reopen: (path?: string) => Promise<Person>;
  readonly context: () => BrowserContext;
}

export interface World {
  readonly browser: BrowserName;
  readonly origin: string;
  readonly dataDir: string;
  readonly server: () => TestServer;
  /** Kill -9: what was not on its disk is gone. */
  readonly killServer: () => Promise<void>;
  /** As Ctrl+C does: everything is finished and written. */
  readonly stopServer: () => Promise<void>;
  /** On the same port, with the same data. */
  readonly startServer: (environment?: Readonly<Record<string, string>>) => Promise<void>;
  /** Somebody with a browser window of their own, nothing in it yet. */
  readonly person: (handle: string, options?: BrowserContextOptions) => Promise<Person>;
  /** The same somebody at another browser. */
  readonly again: (person: Person, options?: BrowserContextOptions) => Promise<Person>;
  /** Somebody whose browser can be closed and opened again. */
  readonly profile: (handle: string, options?: ProfileOptions) => Promise<ProfilePerson>;
  /** Another tab beside this one. */
  readonly tab: (person: Person) => Promise<Person>;
  /** Console errors and the like that this story is about; a pattern takes them out of the faults. */
  readonly expectFault: (pattern: RegExp) => void;
  /** An origin of the story's own, such as a proxy in front of the server. */
  readonly allowOrigin: (origin: string) => void;
  readonly watch: (page: Page) => void;
}

interface StoryOptions {
  readonly only?: BrowserName;
  readonly environment?: Readonly<Record<string, string>>;
}

const storyMsMax = 900_000;
/** A server that is away is told by the browser itself; everything else of this level is ours. */
const serverAway = /Failed to load resource|can.t establish a connection|connection to \S+ was interrupted|ERR_CONNECTION|ERR_INTERNET_DISCONNECTED|NetworkError/i;
const names: Readonly<Record<string, string>> = { mira: 'Mira Vos', olu: 'Olu Adeyemi', ana: 'Ana Sousa', tom: 'Tom Reed' };

export function story(name: string, tell: (world: World) => Promise<void>, { only, environment = {} }: StoryOptions = {}): void {
  for (const browser of browserNames) {
    if (only !== undefined && browser !== only) continue;
    void test(`${name} (${browser})`, { timeout: storyMsMax }, async () => {
      assert.ok(findBrowser(browser), `${browser} is not installed: node tools/setup.ts`);
      const { world, check, draw, close } = await openWorld(browser, environment);
      try {
        await tell(world);
        check();
      } catch (error) {
        await draw();
        throw error;
      } finally {
        await close();
      }
    });
  }
}

export function credentials(handle: string): Credentials {
  return { handle, name: names[handle] ?? handle, password: `${handle} rows past nine quiet islands` };
}

let shared: Promise<Browser> | undefined;
let sharedName: BrowserName | undefined;

/** One process per file and browser: starting one is what takes longest. */
async function sharedBrowser(name: BrowserName): Promise<Browser> {
  if (shared && sharedName !== name) {
    const before = shared;
    shared = undefined;
    await (await before).close();
  }
  sharedName = name;
  shared ??= launchBrowser(name);
  return shared;
}

after(async () => {
  const before = shared;
  shared = undefined;
  await (await before)?.close();
});

async function openWorld(browser: BrowserName, environment: Readonly<Record<string, string>>): Promise<{ readonly world: World; readonly check: () => void; readonly draw: () => Promise<void>; readonly close: () => Promise<void> }> {
  const { dataDir, remove } = await makeDataDir();
  let server = await startServer({ dataDir, roles: 'web,sync', environment });
  const { address: origin, port } = server;
  let running = true;
  const faults: string[] = [];
  const expected: RegExp[] = [];
  const origins = new Set([new URL(origin).host]);
  const ends: (() => Promise<void>)[] = [];
  const pages = new Set<Page>();

  function watch(page: Page): void {
    pages.add(page);
    page.on('close', () => pages.delete(page));
    const note = (kind: string, text: string) => {
      if (!serverAway.test(text)) faults.push(`${kind}: ${text}`);
    };
    page.on('pageerror', (error) => {
      // Firefox calls it an error when a reload or an end interrupts a module on its way; where one is truly missing the story finds no app.
      if (browser !== 'firefox' || !error.message.startsWith('error loading dynamically imported module')) note('page error', error.message);
    });
    page.on('console', (message) => message.type() === 'error' && note('console', message.text()));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && !origins.has(url.host)) faults.push(`asked another origin: ${url.origin}`);
    });
  }

  async function equip(context: BrowserContext): Promise<void> {
    context.on('page', watch);
    for (const page of context.pages()) watch(page);
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`policy broken: ${event.violatedDirective} by ${event.blockedURI}`));
    });
  }

  async function window(options: BrowserContextOptions): Promise<Page> {
    const context = await (await sharedBrowser(browser)).newContext({ viewport: { width: 1280, height: 800 }, ...options });
    ends.push(() => context.close());
    await equip(context);
    return context.newPage();
  }

  const world: World = {
    browser, origin, dataDir, watch,
    server: () => server,
    async killServer() {
      running = false;
      await server.end('SIGKILL');
    },
    async stopServer() {
      running = false;
      await server.end();
    },
    async startServer(more = {}) {
      server = await startServer({ dataDir, roles: 'web,sync', port, environment: { ...environment, ...more } });
      running = true;
    },
    person: async (handle, options = {}) => new Person(await window(options), credentials(handle), origin),
    again: async (person, options = {}) => new Person(await window(options), person.who, origin),
    async profile(handle, options = {}) {
      const { profile, remove: removeProfile } = await makeProfile();
      if (options.storage === 'blocked') await blockStorage(browser, profile);
      let context: BrowserContext | undefined;
      let person: Person;
      async function reopen(path = '/'): Promise<Person> {
        context = await launchProfile(browser, profile, { viewport: { width: 1280, height: 800 }, ...options });
        await equip(context);
        person = new Person(context.pages()[0] ?? (await context.newPage()), credentials(handle), origin);
        if (options.storage === 'small') await shrinkStorage(browser, person.page, origin);
        await person.open(path);
        return person;
      }
      async function quit(): Promise<void> {
        await context?.close();
        context = undefined;
      }
      ends.push(async () => {
        await quit();
        await removeProfile();
      });
      await reopen();
      return { current: () => person, quit, reopen, context: () => context! };
    },
    async tab(person) {
      return new Person(await person.page.context().newPage(), person.who, origin);
    },
    expectFault: (pattern) => expected.push(pattern),
    allowOrigin: (other) => origins.add(new URL(other).host),
  };

  return {
    world,
    check() {
      assert.deepEqual(faults.filter((fault) => !expected.some((pattern) => pattern.test(fault))), []);
    },
    async draw() {
      const folder = process.env['STORY_PICTURES'];
      if (!folder) return;
      let n = 0;
      for (const page of pages) {
        const path = join(folder, `${browser}-${process.pid}-${n++}.png`);
        // A picture is a help, and must not hide what went wrong.
        await page.screenshot({ path, timeout: 10_000 }).then(() => console.error(`${page.url()} looks like ${path}`), (error: unknown) => console.error(`no picture of ${page.url()}:`, error));
      }
    },
    async close() {
      for (const end of ends.reverse()) await end();
      if (running) await server.end();
      await remove();
    },
  };
}
