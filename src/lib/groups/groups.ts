/**
 * Acting on the group log: who is in a conversation, under which keys, and how both change.
 *
 * Every entry is verified before it counts [GR1]; every change is compare-and-set, and a lost race is
 * judged again against the roster that won [GR4]. Epoch secrets rest sealed under the device storage
 * key and leave this room only as non-extractable keys.
 *
 * The key agreement stands behind `epochKeys`, `sync` and the actions, so another one can take its
 * place (DESIGN.md §4).
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { GroupState, Role } from '#lib/chains/group-state.ts';
import type { GroupEntry } from '#lib/chains/group-entry.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { GroupAlarm, GroupsDeps } from './ports.ts';

/** Assignable to `GroupError` of app/engine-api.ts. */
export type GroupsError =
  | { readonly type: 'offline' | 'not-allowed' | 'full' | 'name-invalid' | 'picture-too-big' | 'unknown-chat' | 'last-owner' }
  | { readonly type: 'failed'; readonly detail: string };

export type SyncError =
  | { readonly type: 'offline' }
  | { readonly type: 'not-member' }
  | ({ readonly type: 'alarm' } & GroupAlarm)
  | { readonly type: 'failed'; readonly detail: string };

/** What a chat is called and looks like; sealed under the epoch's meta key. */
export interface GroupMeta {
  readonly name: string;
  readonly description: string;
  /** A small encoded image, or undefined. */
  readonly picture: Bytes | undefined;
}

/** The keys of one epoch, none of them extractable. */
export interface EpochKeys {
  readonly content: CryptoKey;
  readonly meta: CryptoKey;
  readonly ephemeral: CryptoKey;
}

export interface LogItem {
  readonly height: number;
  readonly rt: number;
  readonly entry: GroupEntry;
}

export type RotationReason = 'left' | 'generation' | 'revoked' | 'age' | 'count';

export interface RotationNeed {
  readonly reasons: readonly RotationReason[];
  /** Nothing may be sealed before it. */
  readonly blocking: boolean;
  /** Up to 256 members whoever sends next rotates first; above, whoever ranks first, others waiting `delayMs`. */
  readonly by: 'next-sender' | 'elected';
  readonly delayMs: number;
}

export interface Groups {
  /** The state as last verified and stored; undefined when this conversation is not known here. */
  readonly state: (conversation: ConversationId) => Promise<GroupState | undefined>;
  /** Every conversation known here. */
  readonly load: () => Promise<ReadonlyMap<ConversationId, GroupState>>;
  /** Verified entries from a height on, oldest first, for system lines and for judging older rights. */
  readonly log: (conversation: ConversationId, fromHeight?: number) => Promise<readonly LogItem[]>;
  /** Fetches, verifies and stores what is new; opens the newest wrap and walks history links back. */
  readonly sync: (conversation: ConversationId) => Promise<Result<GroupState, SyncError>>;
  /** Undefined when this device cannot have the epoch: before it joined, or not synced yet. */
  readonly epochKeys: (conversation: ConversationId, epoch: number) => Promise<EpochKeys | undefined>;

  /** Answers the existing conversation when there is one already. */
  readonly createDirect: (peer: AccountId) => Promise<Result<ConversationId, GroupsError>>;
  readonly createSelf: () => Promise<Result<ConversationId, GroupsError>>;
  readonly createGroup: (input: { meta: GroupMeta; members: readonly AccountId[]; sharesHistory?: boolean }) => Promise<Result<ConversationId, GroupsError>>;
  readonly addMembers: (conversation: ConversationId, accounts: readonly AccountId[]) => Promise<Result<void, GroupsError>>;
  readonly removeMember: (conversation: ConversationId, account: AccountId) => Promise<Result<void, GroupsError>>;
  /** The last owner of a group with other members names who owns it next, else `last-owner`. */
  readonly leave: (conversation: ConversationId, options?: { successor?: AccountId }) => Promise<Result<void, GroupsError>>;
  readonly setRole: (conversation: ConversationId, account: AccountId, role: Role) => Promise<Result<void, GroupsError>>;
  /** What is undefined stays as it is; a picture of null goes away. */
  readonly setMeta: (conversation: ConversationId, change: { name?: string; description?: string; picture?: Bytes | null }) => Promise<Result<void, GroupsError>>;
  /** A new epoch, with the newest user encryption keys, and pins and cuts for revoked devices. */
  readonly rotate: (conversation: ConversationId) => Promise<Result<void, GroupsError>>;
  /** Whether a new epoch is due, and who makes it. */
  readonly rotationNeeded: (conversation: ConversationId, entriesInEpoch?: number) => Promise<RotationNeed | undefined>;

  /** The newest metadata; undefined when there is none or its key is not here. */
  readonly meta: (conversation: ConversationId) => Promise<GroupMeta | undefined>;
  /** The metadata a `meta` operation of the log carries, of an entry of this epoch. */
  readonly unsealMeta: (conversation: ConversationId, epoch: number, sealed: Bytes) => Promise<GroupMeta | undefined>;
  /** Registers beside the log (receipts, read marks): under the present epoch, bound to slot and markCtr. */
  readonly sealMark: (conversation: ConversationId, slot: number, markCtr: number, plaintext: Bytes) => Promise<Bytes | undefined>;
  readonly unsealMark: (conversation: ConversationId, slot: number, markCtr: number, sealed: Bytes) => Promise<Bytes | undefined>;
  /** Typing and the like: under the present epoch, bound to the slot. */
  readonly sealEphemeral: (conversation: ConversationId, slot: number, plaintext: Bytes) => Promise<Bytes | undefined>;
  readonly unsealEphemeral: (conversation: ConversationId, slot: number, sealed: Bytes) => Promise<Bytes | undefined>;
  /** Ends what runs; later calls reject. */
  readonly close: () => Promise<void>;
}

export function openGroups(deps: GroupsDeps): Groups {
  throw new Error(`not built yet: ${deps.me.account}`);
}
