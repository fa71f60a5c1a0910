/**
 * Brings what the app's tests need beside npm packages: two browsers and the fonts to draw with.
 *
 *     node tools/setup.ts           installs what is missing where it can, else says what to install
 *
 * On Debian and its kin, as root or with sudo that asks nothing, it installs by itself. Elsewhere it
 * uses what is there; what is missing it names, and exits with 1.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Need {
  readonly what: string;
  readonly packages: readonly string[];
  readonly there: () => boolean;
}

const needs: readonly Need[] = [
  { what: 'Chromium (or CHROMIUM_PATH)', packages: ['chromium'], there: () => given('CHROMIUM_PATH') || onPath('chromium', 'chromium-browser', 'google-chrome') },
  { what: 'Firefox (or FIREFOX_PATH)', packages: ['firefox-esr', 'libnotify4'], there: () => given('FIREFOX_PATH') || onPath('firefox-esr', 'firefox') },
  { what: 'a font with emoji', packages: ['fonts-noto-color-emoji'], there: () => existsSync('/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf') || process.platform !== 'linux' },
];

const missing = needs.filter((need) => !need.there());
if (missing.length > 0) {
  const packages = missing.flatMap((need) => need.packages);
  console.log(`Missing: ${missing.map((need) => need.what).join(', ')}.`);
  const prefix = process.getuid?.() === 0 ? [] : onPath('sudo') ? ['sudo', '-n'] : undefined;
  if (onPath('apt-get') && prefix) {
    run([...prefix, 'apt-get', 'update']);
    run([...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '--no-install-recommends', ...packages]);
  }
  const still = needs.filter((need) => !need.there());
  if (still.length > 0) {
    console.error(`Still missing: ${still.map((need) => need.what).join(', ')}. Install ${still.flatMap((need) => need.packages).join(' ')} (Debian's names) and run this again.`);
    process.exit(1);
  }
}
console.log('Browsers and fonts are here.');

function given(variable: string): boolean {
  const path = process.env[variable];
  return path !== undefined && existsSync(path);
}

function onPath(...names: readonly string[]): boolean {
  return names.some((name) => (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  }));
}

function run([command, ...args]: readonly string[]): void {
  console.log(`$ ${command} ${args.join(' ')}`);
  spawnSync(command!, args, { stdio: ['ignore', 'inherit', 'inherit'] });
}
