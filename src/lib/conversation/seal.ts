/**
 * Sealing an event: sign, then encrypt, so the server learns neither author nor signature (crypto.md §5.4).
 *
 * It happens when the entry is about to be sent, under the current epoch. The bytes it gives are the
 * only form of this (slot, ctr): they are on disk before the frame leaves, and a resend sends them again.
 */
import { pad, sealAes, sha256, sign } from '#lib/crypto/primitives.ts';
import { envelopeAssociatedData, envelopeHeader, envelopeNonceSizeBytes, joinEnvelope } from '#lib/protocol/envelope.ts';
import type { AccountId, ConversationId, DeviceId, EntryId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { concatBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { chainStart } from './entry.ts';
import { encodeEvent } from './event-codec.ts';
import type { Event } from './event.ts';
import { chainHash, encodeHeader, entrySignaturePurpose } from './inner.ts';

export interface SealInput extends EntryId {
  readonly conversation: ConversationId;
  /** Chain hash of this device's previous entry here; `chainStart` at ctr 0. */
  readonly prev: Bytes;
  /** Its targets are real entries: see `resolveOwnTargets`. */
  readonly event: Event;
  readonly epoch: number;
  readonly contentKey: CryptoKey;
  readonly signer: { readonly account: AccountId; readonly device: DeviceId; readonly key: CryptoKey };
  readonly group: { readonly height: number; readonly head: Bytes };
  readonly accountHeight: number;
  readonly random: Random;
}

export interface SealedEntry {
  readonly envelope: Bytes;
  /** `prev` of this device's next entry here. */
  readonly chain: Bytes;
}

export async function sealEntry({ conversation, slot, ctr, prev, event, epoch, contentKey, signer, group, accountHeight, random }: SealInput): Promise<SealedEntry> {
  assert(slot > 0, 'an entry is sealed for a known slot');
  assert(prev.length === 32 && (ctr === 0) === equalBytes(prev, chainStart), 'only the first entry of a chain has no entry before it');
  const body = encodeEvent(event);
  const header = encodeHeader({
    conversation, account: signer.account, device: signer.device, slot, ctr, prev, epoch,
    logHeight: group.height, logHead: group.head, bodyHash: sha256(body), accountHeight,
  });
  const chain = chainHash(header);
  const signature = await sign(signer.key, entrySignaturePurpose, chain);
  const headerBytes = envelopeHeader({ epoch, purge: event.kind === 'delete' ? event.target : undefined });
  const associated = envelopeAssociatedData({ conversation, slot, ctr, headerBytes });
  const sealed = await sealAes(contentKey, concatBytes(header, signature, pad(body)), associated, random);
  const nonce = sealed.subarray(0, envelopeNonceSizeBytes) as Bytes;
  return { envelope: joinEnvelope({ headerBytes, nonce, ciphertext: sealed.subarray(envelopeNonceSizeBytes) as Bytes }), chain };
}
