/** The bytes the wire pins hold: one of each format at both ends of its bounds, envelopes, and segments. */
import { createHash } from 'node:crypto';
import { apiShapes } from '#lib/protocol/api.ts';
import { envelopeHeader, joinEnvelope, sealedOverheadSizeBytes, type EnvelopeHead } from '#lib/protocol/envelope.ts';
import { frameShapes } from '#lib/protocol/frame.ts';
import { encodeSegment, type SegmentEntry } from '#lib/protocol/segment.ts';
import { protocolVersion } from '#lib/protocol/version.ts';
import { bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { wireSamples } from './wire.ts';

type Pinned = Readonly<Record<string, string>>;

export interface Pins {
  readonly version: number;
  /** Frames and bodies, by the name of their sample. */
  readonly wire: Pinned;
  readonly envelopes: Pinned;
  readonly segments: Pinned;
}

export function shapesSha256(): string {
  return createHash('sha256').update(`${frameShapes}\n${apiShapes}`).digest('hex');
}

export function currentPins(): Pins {
  const segment = [entry(7, 0, 41), purged(7, 1, 42), entry(2 ** 21 - 1, 0, 2 ** 32 - 1), purged(1, 3, 36), purged(1, 4, 37), entry(1, 5, 38)];
  return {
    version: protocolVersion,
    wire: Object.fromEntries(wireSamples.map(({ name, format, value }) => [name, bytesToHex(format.encode(value))])),
    envelopes: {
      plain: bytesToHex(envelope({ epoch: 0, purge: undefined })),
      largestEpoch: bytesToHex(envelope({ epoch: 2 ** 32 - 1, purge: undefined })),
      purge: bytesToHex(envelope({ epoch: 300, purge: { slot: 2 ** 21 - 1, ctr: 2 ** 32 - 1 } })),
    },
    segments: {
      empty: bytesToHex(encodeSegment([])),
      onePurged: bytesToHex(encodeSegment([purged(1, 0, 0)])),
      several: bytesToHex(encodeSegment(segment)),
    },
  };
}

function envelope(head: EnvelopeHead): Bytes {
  return joinEnvelope({ headerBytes: envelopeHeader(head), nonce: new Uint8Array(12).fill(0x0c), ciphertext: new Uint8Array(sealedOverheadSizeBytes + 256).fill(0xc1) });
}

function entry(slot: number, clock: number, ctr: number): SegmentEntry {
  return { slot, clock, ctr, envelope: new Uint8Array(64).fill(ctr & 255) };
}

function purged(slot: number, clock: number, ctr: number): SegmentEntry {
  return { slot, clock, ctr, envelope: undefined };
}
