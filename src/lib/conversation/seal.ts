/** Stub. */
import type { AccountId, ConversationId, DeviceId, EntryId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import type { Event } from './event.ts';

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

export declare function sealEntry(input: SealInput): Promise<SealedEntry>;
