/**
 * The envelope is how one sealed entry travels: a clear header the server reads, then ciphertext it cannot.
 *
 *     u8 version=1 | u8 flags | varuint epoch | [flags&1: varuint purgeSlot, varuint purgeCtr]
 *     | nonce[12] | ciphertext | tag[16]
 *
 * The plaintext inside is `header(168) | signature(64) | pad(body)`; the room `conversation` seals and
 * opens it. From outside the server still checks all there is to check: one byte form, known version and
 * flags, and a length only padding can make. The associated data binds the ciphertext to its place.
 */
import { concatBytes, copyBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { assert } from '#lib/std/assert.ts';
import { isPaddedSize } from '#lib/std/padding.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { idToBytes, type ConversationId, type EntryId } from './ids.ts';
import { limits } from './limits.ts';
import { readVarUint, varUintBytes } from './varuint.ts';

export const envelopeVersion = 1;
const flagPurge = 1;

export const envelopeNonceSizeBytes = 12;
export const envelopeTagSizeBytes = 16;

/** gid | account | device | slot u32 | ctr u64 | prev | epoch u32 | log height u32 | log head | SHA-256(body) | account height u32. */
export const innerHeaderSizeBytes = 16 + 16 + 16 + 4 + 8 + 32 + 4 + 4 + 32 + 32 + 4;
assert(innerHeaderSizeBytes === 168, 'the inner header is 168 bytes');
export const innerSignatureSizeBytes = 64;
/** What ciphertext and tag hold beside the padded body. */
export const sealedOverheadSizeBytes = innerHeaderSizeBytes + innerSignatureSizeBytes + envelopeTagSizeBytes;

const epochMax = 2 ** 32 - 1;
const slotMax = 2 ** 21 - 1;
const ctrMax = 2 ** 32 - 1;
/** version, flags, and three varuints at their longest (5 + 3 + 5). */
const headerSizeBytesMax = 2 + 5 + 3 + 5;

/** The longest padded body that fits an envelope whatever its header. */
export const paddedBodySizeBytesMax = 7 * 2048;
assert(headerSizeBytesMax + envelopeNonceSizeBytes + sealedOverheadSizeBytes + paddedBodySizeBytesMax <= limits.envelopeSizeBytesMax, 'the longest body fits');
assert(limits.messageTextBytesMax + 1024 <= paddedBodySizeBytesMax, 'the longest text fits beside its event fields');

export type EnvelopeFault = 'SMALL' | 'TOO_BIG' | 'VERSION' | 'FLAGS' | 'VARINT_PADDED' | 'RANGE' | 'EOF' | 'PADDING';

/** The clear fields. */
export interface EnvelopeHead {
  readonly epoch: number;
  /** The entry whose ciphertext this entry asks the server to remove. */
  readonly purge: EntryId | undefined;
}

export interface Envelope extends EnvelopeHead {
  readonly version: typeof envelopeVersion;
  /** Everything before the nonce, as bound by the associated data. */
  readonly headerBytes: Bytes;
  readonly nonce: Bytes;
  /** With its tag. */
  readonly ciphertext: Bytes;
}

export function envelopeHeader({ epoch, purge }: EnvelopeHead): Bytes {
  assert(inRange(epoch, 0, epochMax), 'an epoch is a u32');
  const first = Uint8Array.of(envelopeVersion, purge ? flagPurge : 0);
  if (!purge) return concatBytes(first, varUintBytes(epoch));
  assert(inRange(purge.slot, 1, slotMax) && inRange(purge.ctr, 0, ctrMax), 'a purge target is an entry id');
  return concatBytes(first, varUintBytes(epoch), varUintBytes(purge.slot), varUintBytes(purge.ctr));
}

export function joinEnvelope({ headerBytes, nonce, ciphertext }: Pick<Envelope, 'headerBytes' | 'nonce' | 'ciphertext'>): Bytes {
  assert(nonce.length === envelopeNonceSizeBytes, 'a nonce is 12 bytes');
  assert(isPaddedSize(ciphertext.length - sealedOverheadSizeBytes), 'only a padded body is sealed');
  const envelope = concatBytes(headerBytes, nonce, ciphertext);
  assert(envelope.length <= limits.envelopeSizeBytesMax, 'an envelope is at most 16 KiB');
  return envelope;
}

/** Strict: what it accepts is exactly what `joinEnvelope` makes of the parts. */
export function parseEnvelope(bytes: Uint8Array): Result<Envelope, EnvelopeFault> {
  if (bytes.length < limits.envelopeSizeBytesMin) return err('SMALL');
  if (bytes.length > limits.envelopeSizeBytesMax) return err('TOO_BIG');
  if (bytes[0] !== envelopeVersion) return err('VERSION');
  const flags = bytes[1]!;
  if ((flags & ~flagPurge) !== 0) return err('FLAGS');
  const epoch = readVarUint(bytes, 2, epochMax);
  if (!epoch.ok) return epoch;
  let at = epoch.value.next;
  let purge: EntryId | undefined;
  if (flags & flagPurge) {
    const slot = readVarUint(bytes, at, slotMax);
    if (!slot.ok) return slot;
    if (slot.value.number === 0) return err('RANGE'); // slots start at 1
    const ctr = readVarUint(bytes, slot.value.next, ctrMax);
    if (!ctr.ok) return ctr;
    purge = { slot: slot.value.number, ctr: ctr.value.number };
    at = ctr.value.next;
  }
  const sealedFrom = at + envelopeNonceSizeBytes;
  if (bytes.length - sealedFrom <= sealedOverheadSizeBytes) return err('EOF');
  if (!isPaddedSize(bytes.length - sealedFrom - sealedOverheadSizeBytes)) return err('PADDING');
  return ok({
    version: envelopeVersion,
    epoch: epoch.value.number,
    purge,
    headerBytes: copyBytes(bytes.subarray(0, at)),
    nonce: copyBytes(bytes.subarray(at, sealedFrom)),
    ciphertext: copyBytes(bytes.subarray(sealedFrom)),
  });
}

export interface EnvelopePlace extends EntryId {
  readonly conversation: ConversationId;
  readonly headerBytes: Uint8Array;
}

/** `"app/outer/v1" | gid | slot u32 | ctr u64 | header`: AES-GCM fails for an entry moved anywhere else. */
export function envelopeAssociatedData({ conversation, slot, ctr, headerBytes }: EnvelopePlace): Bytes {
  const place = new DataView(new ArrayBuffer(12));
  place.setUint32(0, slot);
  place.setUint32(4, Math.floor(ctr / 2 ** 32));
  place.setUint32(8, ctr % 2 ** 32);
  return concatBytes(textToBytes('app/outer/v1'), idToBytes(conversation), new Uint8Array(place.buffer), headerBytes);
}

function inRange(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}
