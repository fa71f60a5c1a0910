import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { currentPins, shapesSha256, type Pins } from '../../../tests/support/pins.ts';
import { wireFormats } from '../../../tests/support/wire.ts';
import { bytesToHex } from '#lib/std/bytes.ts';
import { joinEnvelope, parseEnvelope } from './envelope.ts';
import { encodeSegment, parseSegment } from './segment.ts';
import { protocolVersion, versionHistory } from './version.ts';

const folder = new URL('./fixtures/', import.meta.url);
const released = readdirSync(folder).map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Pins);

function hexToBytes(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

test('[PR16] the bytes of every released version still decode, and encode to the same bytes', () => {
  expect(released.map(({ version }) => version).sort((a, b) => a - b)).toEqual(versionHistory.map(({ version }) => version));
  for (const { wire, envelopes, segments } of released) {
    for (const [name, hex] of Object.entries(wire)) {
      const format = wireFormats.find((one) => name.startsWith(`${one.name}.`))!;
      const decoded = format.decode(hexToBytes(hex));
      expect([name, decoded.ok && bytesToHex(format.encode(decoded.value))]).toEqual([name, hex]);
    }
    for (const [name, hex] of Object.entries(envelopes)) {
      const parsed = parseEnvelope(hexToBytes(hex));
      expect([name, parsed.ok && bytesToHex(joinEnvelope(parsed.value))]).toEqual([name, hex]);
    }
    for (const [name, hex] of Object.entries(segments)) {
      const parsed = parseSegment(hexToBytes(hex));
      expect([name, parsed.ok && bytesToHex(encodeSegment(parsed.value))]).toEqual([name, hex]);
    }
  }
});

test('[PR17] a change of any shape comes with a new version, its history line and its fixture', () => {
  expect(versionHistory.map(({ version }) => version)).toEqual(versionHistory.map((_, i) => i + 1));
  const newest = versionHistory.at(-1)!;
  expect(newest.version).toBe(protocolVersion);
  expect(newest.shapesSha256, 'a shape changed: see tools/fixtures.ts').toBe(shapesSha256());
  expect(released.find(({ version }) => version === protocolVersion)).toEqual(currentPins());
});
