/**
 * Stock Chromium and stock Firefox, found on this machine and driven by playwright-core.
 *
 * Nothing is downloaded: Chromium speaks CDP, Firefox speaks WebDriver BiDi (the channel `moz-firefox`). People of one
 * story share a browser process, each in a context of their own; a person whose browser is closed and
 * opened again has a profile on disk instead, and a process for it.
 */
import { accessSync, constants, realpathSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium, firefox, type Browser, type BrowserContext, type BrowserContextOptions, type LaunchOptions, type Page } from 'playwright-core';

export type BrowserName = 'chromium' | 'firefox';

export type ProfileOptions = BrowserContextOptions & {
  readonly args?: readonly string[];
  /** `blocked`: as a person who forbade all sites to keep data. `small`: a device with little room left. */
  readonly storage?: 'blocked' | 'small';
};

export const browserNames: readonly BrowserName[] = ['chromium', 'firefox'];

const programs: Readonly<Record<BrowserName, { readonly variable: string; readonly names: readonly string[] }>> = {
  chromium: { variable: 'CHROMIUM_PATH', names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'] },
  firefox: { variable: 'FIREFOX_PATH', names: ['firefox-esr', 'firefox'] },
};

/** Starting one takes seconds, on a busy machine a minute. */
const launchMsMax = 120_000;

/** Where the browser is: what CHROMIUM_PATH or FIREFOX_PATH names, else the first on the PATH; undefined when there is none. */
export function findBrowser(name: BrowserName): string | undefined {
  const { variable, names } = programs[name];
  const told = process.env[variable];
  if (told) return told;
  for (const program of names) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      const path = join(folder, program);
      if (isProgram(path)) return realpathSync(path);
    }
  }
  return undefined;
}

/** One browser process with room for many people. */
export async function launchBrowser(name: BrowserName): Promise<Browser> {
  return name === 'chromium' ? chromium.launch(launchOptions(name)) : firefox.launch(launchOptions(name));
}

/** A browser on a profile folder, as a person's own: what it keeps is there the next time. */
export async function launchProfile(name: BrowserName, profile: string, { storage, args = [], ...options }: ProfileOptions = {}): Promise<BrowserContext> {
  const launch = launchOptions(name);
  const all = {
    ...launch, ...options, args: [...(launch.args ?? []), ...args],
    ...(name === 'firefox' && { firefoxUserPrefs: { ...quietFirefox, ...(storage && storagePrefs[storage]) } }),
  };
  return name === 'chromium' ? chromium.launchPersistentContext(profile, all) : firefox.launchPersistentContext(profile, all);
}

const smallSizeBytes = 10 * 1024 * 1024;
const storagePrefs: Readonly<Record<'blocked' | 'small', Readonly<Record<string, number>>>> = {
  blocked: { 'network.cookie.cookieBehavior': 2 },
  // In KiB; one site gets half of it, but 10 MiB at least.
  small: { 'dom.quotaManager.temporaryStorage.fixedLimit': (2 * smallSizeBytes) / 1024 },
};

/** Leaves the site of this page little room; Firefox is told at its start. Call it before the page keeps anything. */
export async function shrinkStorage(name: BrowserName, page: Page, origin: string): Promise<void> {
  if (name === 'firefox') return;
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: smallSizeBytes });
}

/** Makes a profile that refuses to keep site data; Firefox is told at its start. */
export async function blockStorage(name: BrowserName, profile: string): Promise<void> {
  if (name === 'firefox') return;
  await mkdir(join(profile, 'Default'), { recursive: true });
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: { default_content_setting_values: { cookies: 2 } } }));
}

export async function makeProfile(): Promise<{ readonly profile: string; readonly remove: () => Promise<void> }> {
  const profile = await mkdtemp(join(tmpdir(), 'godwit-profile-'));
  // A browser that was just killed may still be writing into its folder.
  return { profile, remove: () => rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }) };
}

function launchOptions(name: BrowserName): LaunchOptions {
  const executablePath = findBrowser(name);
  if (executablePath === undefined) throw new Error(`${name} is not installed: node tools/setup.ts installs it, or says how`);
  const common = { executablePath, headless: true, timeout: launchMsMax };
  if (name === 'firefox') return { ...common, channel: 'moz-firefox', firefoxUserPrefs: quietFirefox };
  return { ...common, args: [...quietChromium, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])] };
}

const quietChromium = ['--disable-quic', '--disable-background-networking', '--disable-component-update', '--no-first-run', '--lang=en-GB'];

/** Keeps a test browser from talking to anybody else. */
const quietFirefox: Readonly<Record<string, string | number | boolean>> = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'captivedetect.canonicalURL': '',
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'focusmanager.testmode': true,
  'intl.accept_languages': 'en-GB, en',
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.server': 'https://localhost:1/dummy',
};

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
