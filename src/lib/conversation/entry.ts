/**
 * What opening a sealed entry gives, what it needs, and every reason to refuse one (crypto.md §5.4).
 *
 * A row is `ok`, `bad` or `pending`. Bad ones are quarantined and shown as such, never dropped
 * silently. Pending ones wait for a key or a log the caller can fetch, and are then opened again.
 */
import type { AccountState } from '#lib/chains/account-state.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { AccountId, ConversationId, DeviceId, EntryId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Event } from './event.ts';

export type EntryFault =
  /** The clear header is not one we know. */
  | 'envelope'
  /** The ciphertext is not what this epoch's key sealed for this conversation, slot and ctr. */
  | 'tampered'
  /** What was sealed is not header, signature and padded body. */
  | 'inner'
  | 'wrong-conversation' | 'wrong-place' | 'wrong-epoch'
  /** Its author saw another group log than we do. */
  | 'fork'
  | 'wrong-body' | 'device-invalid' | 'not-member' | 'beyond-cut'
  /** The slot already speaks for another device. */
  | 'slot-stolen'
  | 'wrong-signature'
  /** Entries of this device are missing before it. */
  | 'gap'
  | 'replay'
  /** The device told others another story: its chain does not continue the one we hold. */
  | 'equivocation'
  /** An authentic entry whose event does not decode. */
  | 'event'
  /** The clear purge target is not what the event deletes, or the removed entry was another. */
  | 'purge-mismatch'
  /** Its content is gone and nobody who may has deleted it. */
  | 'unproven-removal';

/** What is missing; once it is there the row is opened again. */
export type Need =
  | { readonly type: 'epoch'; readonly epoch: number }
  | { readonly type: 'group'; readonly height: number }
  | { readonly type: 'account'; readonly account: AccountId; readonly height: number };

export type EntryProblem =
  | { readonly type: 'bad'; readonly fault: EntryFault }
  | { readonly type: 'pending'; readonly needs: Need };

/** An entry that passed every check. */
export interface OpenedEntry extends EntryId {
  readonly seq: number;
  readonly rt: number;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly epoch: number;
  /** Rights are judged at this height of the group log. */
  readonly logHeight: number;
  readonly accountHeight: number;
  /** When the membership in force at `logHeight` began, by the server's clock: nobody writes before it. */
  readonly joinRt: number;
  /** A view of the plaintext: copy it to keep it. */
  readonly prev: Bytes;
  readonly chain: Bytes;
  readonly event: Event;
}

/**
 * How far one device's chain here has been verified; what `StoredChain` keeps. A hash of no bytes
 * stands for "not known": the entry there is purged, pending or bad, and the next one stands on its
 * own signature.
 */
export interface SlotChain {
  readonly slot: number;
  readonly account: AccountId;
  readonly device: string;
  readonly ctr: number;
  readonly chain: Bytes;
  readonly firstCtr: number;
  readonly firstPrev: Bytes;
}

/** `prev` of a device's first entry. */
export const chainStart: Bytes = new Uint8Array(32);
/** A chain hash that is not known. */
export const chainUnknown: Bytes = new Uint8Array(0);

export interface OpenContext {
  readonly conversation: ConversationId;
  /** The group log as replayed and verified; undefined while we have none of it. */
  readonly group: GroupState | undefined;
  readonly account: (account: AccountId) => AccountState | undefined;
  readonly contentKey: (epoch: number) => CryptoKey | undefined | Promise<CryptoKey | undefined>;
  /** The server's receipt time of a group-log entry; members who joined there write nothing earlier. */
  readonly groupRt: (height: number) => number | undefined;
  readonly chain: (slot: number) => SlotChain | undefined;
  /** The chain hash of an entry held elsewhere, to check what a delete says it removed. */
  readonly entryChain?: (entry: EntryId) => Bytes | undefined | Promise<Bytes | undefined>;
  /**
   * The logs given are the newest the server has. What names a height above them is then bad
   * (`fork`, `device-invalid`) and no longer pending.
   */
  readonly settled?: boolean;
}
