/**
 * What `groups` needs from the rest of the app, as interfaces: the verified account logs, the newest
 * user encryption keys, the device's storage key and the way to the server.
 *
 * Nothing here is trusted for the truth of a group: every entry that comes over the transport is
 * verified against the replayed state before it counts [GR1].
 */
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import type { Cut, GroupLogFault, GroupState } from '#lib/chains/group-state.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import type { Result } from '#lib/std/result.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';

/** Account logs as verified on this device; `identity` implements it. */
export interface AccountDirectory {
  /** The verified state: from memory, from disk, or fetched when unknown. Undefined when it is not to be had. */
  readonly get: (account: AccountId) => Promise<AccountState | undefined>;
  /**
   * As new as the server has it. With `atLeastHeight` it asks only when what is known is lower;
   * without, it always asks. Offline it answers what is known.
   */
  readonly refresh: (account: AccountId, atLeastHeight?: number) => Promise<AccountState | undefined>;
}

/** This device: it signs group entries. */
export interface GroupActor {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly signKey: CryptoKey;
}

export type TransportFault =
  | { readonly type: 'offline' }
  /** The account is not in the conversation, or there is none by this id. */
  | { readonly type: 'not-member' }
  | { readonly type: 'failed'; readonly detail: string };

export interface FetchedWrap {
  readonly epoch: number;
  /** The entry whose commitment the wrap is bound to. */
  readonly height: number;
  readonly uekGen: number;
  readonly wrap: Bytes;
}

/** The answer of `api.groupLog`. */
export interface FetchedGroupLog {
  readonly from: number;
  readonly logHeight: number;
  readonly entries: readonly { readonly entry: Bytes; readonly rt: number }[];
  readonly wrap: FetchedWrap | undefined;
}

/** One row of `api.appendGroupLog`'s wraps. */
export interface EpochWrap {
  readonly account: AccountId;
  readonly uekGen: number;
  readonly wrap: Bytes;
}

export interface GroupTransport {
  readonly fetchGroupLog: (conversation: ConversationId, from: number) => Promise<Result<FetchedGroupLog, TransportFault>>;
  readonly appendGroupLog: (conversation: ConversationId, entry: Bytes, wraps: readonly EpochWrap[]) => Promise<Result<
    { readonly height: number; readonly rt: number },
    | TransportFault
    /** Compare-and-set lost; `height` is what is there now. */
    | { readonly type: 'conflict'; readonly height: number }
    /** The server's own verification said no; `detail` is its fault. */
    | { readonly type: 'refused'; readonly detail: string }>>;
}

/** Why a log handed out by the server was refused: the app shows it and the chat stops. */
export interface GroupAlarm {
  readonly fault: GroupLogFault | 'log-shorter';
  readonly height: number;
}

export interface GroupsDeps {
  readonly database: Database;
  readonly random: Random;
  readonly clock: Clock;
  readonly me: GroupActor;
  readonly accounts: AccountDirectory;
  /** The private half of one's own user encryption key of a generation; undefined while it is not here. */
  readonly uekPrivate: (gen: number) => Promise<{ readonly key: CryptoKey; readonly publicKey: Bytes } | undefined>;
  /** Seals epoch secrets under the device storage key. */
  readonly sealer: Sealer;
  readonly transport: GroupTransport;
  /**
   * The newest ctr seen of an account per (device, slot) here, for cutting what it may not add later.
   * A (device, slot) left out stays uncut: name only what has been seen up to the head of the log.
   */
  readonly lastSeen?: (conversation: ConversationId, account: AccountId) => Promise<readonly Cut[]>;
  /** Told after a conversation's state moved and is stored. */
  readonly changed?: (conversation: ConversationId, state: GroupState) => void;
  /** Told when the server handed out a log that does not verify. */
  readonly alarmed?: (conversation: ConversationId, alarm: GroupAlarm) => void;
}
