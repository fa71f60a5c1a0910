/**
 * Writes the bytes of this protocol version to `src/lib/protocol/fixtures/v<version>.json` and prints the
 * hash of all shapes for `src/lib/protocol/version.ts`.
 *
 *     node tools/fixtures.ts             writes a version that has no fixture yet, else compares
 *     node tools/fixtures.ts --replace   writes over it: only for a version nobody has released
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { currentPins, shapesSha256 } from '../tests/support/pins.ts';

const pins = currentPins();
const path = new URL(`../src/lib/protocol/fixtures/v${pins.version}.json`, import.meta.url);
const text = `${JSON.stringify(pins, null, 1)}\n`;
const there = existsSync(path) ? readFileSync(path, 'utf8') : undefined;

if (there === undefined || process.argv.includes('--replace')) writeFileSync(path, text);
else if (there !== text) {
  console.error(`v${pins.version}.json holds other bytes. A released version keeps them: raise protocolVersion. An unreleased one: --replace.`);
  process.exitCode = 1;
}
console.log(`version ${pins.version}: ${Object.keys(pins.wire).length} formats, shapesSha256 ${shapesSha256()}`);
