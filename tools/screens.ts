/**
 * Draws every screen over the engine of pretence, wide and narrow, light and dark, and runs axe on each.
 *
 *     node tools/screens.ts <folder> [--only part-of-a-name,…] [--size wide|narrow] [--theme light|dark] [--base http://127.0.0.1:5173]
 *
 * Pictures go to the folder, which belongs outside the repository. With `--base` a server that runs
 * already is used (`vite dev --mode fake`); else one is started for the time this takes. Ends with 1 when axe
 * finds a violation or a page reports an error.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { createServer, type ViteDevServer } from 'vite';

interface Screen {
  readonly name: string;
  /** Beginning of the pretended world: words of `?fake=`. */
  readonly fake?: string;
  readonly path?: string;
  /** Brings the page there; `wide` says which of the two sizes it has. */
  readonly steps?: (page: Page, wide: boolean) => Promise<void>;
}

interface FakeWindow {
  readonly fakeEngine: {
    readonly chatId: (title: string) => string;
    readonly notify: (level: string, type: string, detail: string) => void;
    readonly setConnection: (state: string) => void;
    readonly setStorage: (change: object) => void;
  };
}

const openChat = (title: string) => async (page: Page): Promise<void> => {
  await page.getByTestId('chat-row').filter({ has: page.getByTestId('chat-title').filter({ hasText: title }) }).first().click();
  await page.waitForURL(/\/chat\//);
};
const info = async (page: Page): Promise<void> => {
  await page.getByRole('main').getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Chat info' }).click();
  await page.getByTestId('chat-info').waitFor();
};
const openInfo = (title: string) => async (page: Page): Promise<void> => {
  await openChat(title)(page);
  await info(page);
};
const menu = (item: string) => async (page: Page): Promise<void> => {
  await page.getByRole('button', { name: 'Menu', exact: true }).click();
  await page.getByRole('menuitem', { name: item }).click();
  await page.getByRole('dialog').waitFor();
};
const signUp = async (page: Page): Promise<void> => {
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Noor Haddad');
  await page.getByLabel('Handle', { exact: true }).fill('noor');
  await page.getByLabel('Password', { exact: true }).fill('seven tame herons nap');
};
const words = async (page: Page): Promise<void> => {
  await signUp(page);
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByTestId('recovery-word').first().waitFor();
};

const screens: readonly Screen[] = [
  { name: 'entry-welcome', fake: 'signed-out' },
  { name: 'entry-invited', fake: 'signed-out', path: '/invite#olu.fD3n0Wq8Tq2m5xKzBvYl9A' },
  { name: 'entry-sign-up', fake: 'signed-out', steps: signUp },
  { name: 'entry-sign-up-errors', fake: 'signed-out', steps: async (page) => {
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByRole('button', { name: 'Create an account' }).click();
  } },
  { name: 'entry-words', fake: 'signed-out', steps: words },
  { name: 'entry-words-check', fake: 'signed-out', steps: async (page) => {
    await words(page);
    await page.getByRole('button', { name: 'I have written them down' }).click();
  } },
  { name: 'entry-sign-in', fake: 'signed-out', steps: async (page) => page.getByRole('button', { name: 'I already have an account' }).click() },
  { name: 'entry-sign-in-words', fake: 'signed-out', steps: async (page) => {
    await page.getByRole('button', { name: 'I already have an account' }).click();
    await page.getByRole('button', { name: 'Use recovery words instead' }).click();
  } },
  { name: 'unusable', fake: 'unusable' },
  { name: 'starting', fake: 'starting' },
  { name: 'list' },
  { name: 'list-empty', fake: 'empty' },
  { name: 'list-offline', fake: 'offline' },
  { name: 'list-expired', fake: 'expired' },
  { name: 'list-banners', fake: 'unconfirmed,evictable', steps: async (page) => {
    await page.evaluate(() => {
      const { fakeEngine } = window as unknown as FakeWindow;
      fakeEngine.notify('info', 'new-device', 'Firefox on Android');
      fakeEngine.notify('alarm', 'vault-rolled-back', '');
    });
    await page.getByTestId('notice').nth(1).waitFor();
  } },
  { name: 'list-evictable', fake: 'evictable' },
  { name: 'list-search', steps: async (page) => {
    await page.getByRole('searchbox').fill('sam');
    await page.getByTestId('find-handle').waitFor();
  } },
  { name: 'list-menu', steps: async (page) => {
    await page.getByRole('button', { name: 'Menu', exact: true }).click();
    await page.getByRole('menu').waitFor();
  } },
  { name: 'list-compose', steps: async (page) => {
    await page.getByRole('button', { name: 'New chat or group' }).click();
    await page.getByRole('menu').waitFor();
  } },
  { name: 'row-menu', steps: async (page) => {
    await page.getByTestId('chat-row').nth(2).click({ button: 'right' });
    await page.getByRole('menu').waitFor();
  } },
  { name: 'jump', steps: async (page) => {
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('pri');
  } },
  { name: 'new-chat', steps: menu('New chat') },
  { name: 'new-chat-none', steps: async (page) => {
    await menu('New chat')(page);
    await page.getByLabel('Their handle').fill('nobody_here');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.getByText('Nobody has this handle').waitFor();
  } },
  { name: 'new-chat-found', steps: async (page) => {
    await menu('New chat')(page);
    await page.getByLabel('Their handle').fill('olu');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.getByRole('button', { name: 'Chat with Olu' }).waitFor();
  } },
  { name: 'new-group', steps: async (page) => {
    await menu('New group')(page);
    await page.getByLabel('Group name').fill('Night shift');
    await page.getByRole('checkbox').nth(1).check();
    await page.getByRole('checkbox').nth(3).check();
  } },
  { name: 'invitation', steps: async (page) => {
    await menu('Invite somebody')(page);
    await page.getByTestId('invite-link').waitFor();
  } },
  { name: 'invite-accept', path: '/invite#olu.fD3n0Wq8Tq2m5xKzBvYl9A', steps: async (page) => page.getByRole('button', { name: 'Start chat' }).waitFor() },
  { name: 'invite-bad', path: '/invite#nothing', steps: async (page) => page.getByText('did not open').waitFor() },
  { name: 'share', path: '/share?title=Tides&text=High%20water%20at%2006%3A10&url=https%3A%2F%2Fexample.org%2Ftides' },
  { name: 'settings', path: '/settings', fake: 'evictable' },
  { name: 'settings-end', path: '/settings', fake: 'unconfirmed', steps: async (page) => page.getByRole('button', { name: 'Sign out of this browser' }).scrollIntoViewIfNeeded() },
  { name: 'sign-out', path: '/settings', steps: async (page) => {
    await page.getByRole('button', { name: 'Sign out of this browser' }).click();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.getByTestId('sign-out-waiting').waitFor();
  } },
  { name: 'renew', fake: 'expired', steps: async (page) => {
    await page.getByTestId('connection').getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('dialog').waitFor();
  } },
  { name: 'chat', steps: openChat('Mira') },
  { name: 'chat-group', steps: openChat('Wadden') },
  { name: 'chat-alarm', steps: openChat('Tomasz') },
  { name: 'chat-offline', fake: 'offline', steps: openChat('Jonas') },
  { name: 'chat-left', steps: openChat('Kitchen') },
  { name: 'chat-missing', path: '/chat/AAAAAAAAAAAAAAAAAAAAAA' },
  { name: 'info-person', steps: openInfo('Mira') },
  { name: 'info-changed', steps: openInfo('Tomasz') },
  { name: 'info-group', steps: openInfo('Familie') },
  { name: 'info-owner', steps: async (page, wide) => {
    await menu('New group')(page);
    await page.getByLabel('Group name').fill('Night shift');
    await page.getByRole('checkbox').nth(1).check();
    await page.getByRole('button', { name: 'Create group' }).click();
    await page.waitForURL(/\/chat\//);
    await info(page);
    await page.getByTestId('members').waitFor();
    if (wide) await page.getByRole('button', { name: /^Actions for/ }).first().click();
  } },
  { name: 'edit-group', steps: async (page) => {
    await openInfo('Wadden')(page);
    await page.getByRole('button', { name: 'Edit group' }).click();
    await page.getByRole('dialog').waitFor();
  } },
  { name: 'add-members', steps: async (page) => {
    await openInfo('Wadden')(page);
    await page.getByRole('button', { name: 'Add people' }).click();
    await page.getByRole('dialog').waitFor();
  } },
  { name: 'leave', steps: async (page) => {
    await openInfo('Wadden')(page);
    await page.getByRole('button', { name: 'Leave group' }).click();
    await page.getByRole('dialog').waitFor();
  } },
  { name: 'safety', steps: async (page) => {
    await openInfo('Jonas')(page);
    await page.getByTestId('open-safety').click();
    await page.getByTestId('safety-number').waitFor();
  } },
  { name: 'not-found', path: '/no-such-place' },
];

const sizes = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } } as const;
const folder = process.argv[2];
if (!folder || folder.startsWith('--')) {
  console.error('node tools/screens.ts <folder> [--only part-of-a-name,…] [--size wide|narrow] [--theme light|dark] [--base address]');
  process.exit(2);
}
const option = (name: string) => process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined;
const only = option('--only')?.split(',');
mkdirSync(resolve(folder), { recursive: true });

let server: ViteDevServer | undefined;
let base = option('--base');
if (!base) {
  // The pages of `vite dev` come through the server's hook, which keeps its data somewhere.
  process.env['DATA_DIR'] ??= join(tmpdir(), `godwit-screens-${process.pid}`);
  server = await createServer({ mode: 'fake', logLevel: 'error', server: { host: '127.0.0.1', port: 0, hmr: false, watch: null } });
  await server.listen();
  base = server.resolvedUrls?.local[0]?.replace(/\/$/, '');
}
const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox', '--lang=en-GB'] });
let faults = 0;
let drawn = 0;

for (const [size, viewport] of Object.entries(sizes)) {
  for (const theme of ['light', 'dark'] as const) {
    if ((option('--size') ?? size) !== size || (option('--theme') ?? theme) !== theme) continue;
    // No motion, so axe and the picture meet the screen at rest. Axe itself is put in past the page's policy.
    const context = await browser.newContext({ viewport, colorScheme: theme, reducedMotion: 'reduce', bypassCSP: true, locale: 'en-GB', hasTouch: size === 'narrow' });
    for (const screen of screens) {
      if (only && !only.some((part) => screen.name.includes(part))) continue;
      const label = `${screen.name} ${size} ${theme}`;
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.on('pageerror', (error) => fault(label, `error: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error' && !/404|Not found: /.test(message.text())) fault(label, `console: ${message.text()}`);
      });
      try {
        const url = new URL(screen.path ?? '/', base);
        if (screen.fake) url.searchParams.set('fake', screen.fake);
        await page.goto(url.href);
        await page.locator('main:visible, [role=main]:visible, [data-testid=starting]').first().waitFor();
        if (screen.fake !== 'starting') await page.locator('[data-testid=starting]').waitFor({ state: 'detached' });
        await screen.steps?.(page, size === 'wide');
        await page.evaluate(() => document.fonts.ready);
        await page.waitForLoadState('networkidle');
        // What was laid out last is painted a frame later.
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        await page.screenshot({ path: join(folder, `${screen.name}.${size}.${theme}.png`) });
        drawn++;
        for (const problem of await violations(page)) fault(label, problem);
      } catch (error) {
        await page.screenshot({ path: join(folder, `failed.${screen.name}.${size}.${theme}.png`) });
        fault(label, error instanceof Error ? error.message : String(error));
      }
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
await server?.close();
console.log(`${drawn} pictures, ${faults} faults`);
process.exit(faults > 0 ? 1 : 0);

function fault(label: string, text: string): void {
  faults++;
  console.log(`${label}: ${text}`);
}

async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe: tool } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; nodes: { target: unknown[]; failureSummary?: string }[] }[] }> } };
    const { violations: found } = await tool.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return found.map((one) => `axe ${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} (${node.failureSummary?.split('\n').slice(1, 3).join(' ').trim()})`).join('; ')}`);
  });
}
