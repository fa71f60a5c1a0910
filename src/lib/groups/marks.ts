/**
 * Registers and signals beside the log, sealed by whoever holds an epoch's keys: receipts and read
 * marks under its meta key, typing under its ephemeral key. Each is bound to its slot, and a mark also to its
 * counter, so the server can neither move one nor bring an older one back as newer.
 *
 *     wire       = epoch u32 | nonce[12] | AES-256-GCM
 *     mark aad   = "app/mark/v1" | gid | epoch u32 | slot u32 | mark ctr u32
 *     signal aad = "app/signal/v1" | gid | epoch u32 | slot u32
 */
import { label, u32 } from '#lib/crypto/encoding.ts';
import { sealAes, unsealAes } from '#lib/crypto/primitives.ts';
import { idToBytes, type ConversationId } from '#lib/protocol/ids.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';

export interface SealPlace {
  readonly conversation: ConversationId;
  readonly epoch: number;
  readonly slot: number;
  /** Undefined for a signal, which nobody keeps. */
  readonly markCtr: number | undefined;
}

const epochSizeBytes = 4;

export async function sealBeside(key: CryptoKey, plaintext: Bytes, place: SealPlace, random: Random): Promise<Bytes> {
  return concatBytes(u32(place.epoch), await sealAes(key, plaintext, associated(place), random));
}

export function unsealBeside(key: CryptoKey, sealed: Bytes, place: SealPlace): Promise<Bytes | undefined> {
  return unsealAes(key, sealed.subarray(epochSizeBytes), associated(place));
}

/** The epoch a sealed mark or signal says it is of; undefined when it is too short to say. */
export function epochOf(sealed: Bytes): number | undefined {
  return sealed.length < epochSizeBytes ? undefined : new DataView(sealed.buffer, sealed.byteOffset).getUint32(0);
}

function associated({ conversation, epoch, slot, markCtr }: SealPlace): Bytes {
  const place = concatBytes(idToBytes(conversation), u32(epoch), u32(slot));
  return markCtr === undefined ? concatBytes(label('app/signal/v1'), place) : concatBytes(label('app/mark/v1'), place, u32(markCtr));
}
