/**
 * Renders the PNG icons of `static/` from the drawing in `static/icon.svg`, with a headless browser.
 *
 *     node tools/icons.ts
 *
 * Run it after the drawing changes, and commit what it writes. Maskable icons fill the whole square and keep the
 * bird inside the safe circle, so a system may cut any shape out of them.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const statics = new URL('../static/', import.meta.url);
const drawing = readFileSync(new URL('icon.svg', statics), 'utf8').replace(/^<svg[^>]*>|<\/svg>\s*$/g, '');
const rust = '#a5431b';
const tide = '#7c2f10';
const bird = drawing.slice(drawing.indexOf('<g '));
const svg = (inside: string) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">${inside}</svg>`;

/** Round, on nothing. */
const round = svg(drawing);
/** To the edges; `scale` leaves room around the bird. */
const square = (scale: number) => svg(`<rect width="64" height="64" fill="${rust}"/><path d="M0 47c14-2.800 34-2.200 41-.6S55 49 64 46.400V64H0z" fill="${tide}"/><g transform="translate(${32 - 32 * scale} ${33 - 33 * scale}) scale(${scale})">${bird}</g>`);
const sign = (path: string) => svg(`<circle cx="32" cy="32" r="32" fill="${rust}"/><g transform="translate(16 16) scale(1.333)" fill="none" stroke="#fbe9d7" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"><path d="${path}"/></g>`);

const files: readonly (readonly [string, number, string])[] = [
  ['icons/icon-192.png', 192, round],
  ['icons/icon-512.png', 512, round],
  ['icons/maskable-192.png', 192, square(0.72)],
  ['icons/maskable-512.png', 512, square(0.72)],
  ['apple-touch-icon.png', 180, square(0.82)],
  ['favicon.png', 48, round],
  ['icons/shortcut-new-96.png', 96, sign('M12 5v14M5 12h14')],
  ['icons/shortcut-settings-96.png', 96, sign('M4 7h9M18 7h2M4 17h2M11 17h9M15.500 4.800a2.200 2.200 0 100 4.400 2.200 2.200 0 000-4.400zM8.500 14.800a2.200 2.200 0 100 4.400 2.200 2.200 0 000-4.400z')],
];

mkdirSync(new URL('icons/', statics), { recursive: true });
const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage();
for (const [name, side, drawn] of files) {
  await page.setViewportSize({ width: side, height: side });
  await page.setContent(`<style>html,body{margin:0;background:none}svg{display:block;width:${side}px;height:${side}px}</style>${drawn}`);
  writeFileSync(new URL(name, statics), await page.screenshot({ omitBackground: true }));
}
await browser.close();
console.log(`${files.length} icons written`);
