/**
 * What replaying a group log gives (crypto.md §5.3). Server and clients replay the same code; only
 * members can also check the confirmation tag, which `groups` does.
 *
 * Heights start at 1 (the entry with `create`). Rights are judged by the roster before the entry, and
 * a content entry's by the roster at the height it names.
 */
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';

/** `self`: one account alone, its saved messages and vault changes. `direct`: two, for good. */
export type ConversationKind = 'self' | 'direct' | 'group';

export type Role = 'owner' | 'admin' | 'member';

export interface Member {
  readonly account: AccountId;
  readonly role: Role;
  readonly uekGen: number;
  /** The group-log height that admitted this membership, and the server's receipt time of that entry. */
  readonly joinedHeight: number;
  readonly joinedRt: number;
}

/** The role an account has had from a height on; undefined once it is out. Ascending. */
export interface RoleSpan {
  readonly fromHeight: number;
  readonly role: Role | undefined;
}

export interface Pin {
  readonly accountHeight: number;
  readonly accountHead: Bytes;
}

export interface GroupState {
  readonly conversation: ConversationId;
  readonly kind: ConversationKind;
  readonly height: number;
  readonly head: Bytes;
  /** heads[h - 1] is the head at height h: a content entry names one, and it must be ours (else FORK). */
  readonly heads: readonly Bytes[];
  readonly epoch: number;
  /** The height that made each epoch, ascending. */
  readonly epochs: readonly { readonly epoch: number; readonly height: number }[];
  readonly members: ReadonlyMap<AccountId, Member>;
  readonly roles: ReadonlyMap<AccountId, readonly RoleSpan[]>;
  /** Whether each epoch links to the one before, so newcomers read what was written before them. */
  readonly sharesHistory: boolean;
  /** Somebody left: only leaves or an epoch-making entry may follow, and no honest client seals content. */
  readonly rotationDue: boolean;
  /** Newest sealed metadata (name, picture): bytes under the meta key of `epoch`. */
  readonly meta: { readonly epoch: number; readonly height: number; readonly sealed: Bytes } | undefined;
  readonly pins: ReadonlyMap<AccountId, Pin>;
  /** Last acceptable ctr per device and slot once cut: key `device:slot`, or `device:*` for any slot. */
  readonly cuts: ReadonlyMap<string, number>;
  /** Who created it, for the first line of the timeline. */
  readonly creator: AccountId;
}

export type GroupOp =
  | { readonly type: 'create'; readonly kind: ConversationKind; readonly sharesHistory: boolean; readonly uekGen: number }
  | { readonly type: 'add'; readonly account: AccountId; readonly role: Role; readonly uekGen: number; readonly accountHeight: number; readonly accountHead: Bytes }
  /** cut: for each (device, slot) of the removed account, its last acceptable ctr. */
  | { readonly type: 'remove'; readonly account: AccountId; readonly cuts: readonly Cut[] }
  | { readonly type: 'leave' }
  | { readonly type: 'role'; readonly account: AccountId; readonly role: Role }
  | { readonly type: 'policy'; readonly sharesHistory: boolean }
  | { readonly type: 'rotate'; readonly gens: readonly { readonly account: AccountId; readonly uekGen: number }[] }
  | { readonly type: 'pin'; readonly account: AccountId; readonly accountHeight: number; readonly accountHead: Bytes; readonly cuts: readonly Cut[] }
  | { readonly type: 'cut'; readonly cuts: readonly Cut[] }
  | { readonly type: 'meta'; readonly sealed: Bytes };

export interface Cut {
  readonly device: DeviceId;
  readonly slot: number;
  readonly lastCtr: number;
}

export type GroupLogFault =
  | 'malformed' | 'wrong-conversation' | 'wrong-height' | 'wrong-prev' | 'unknown-suite' | 'unknown-author' | 'author-invalid'
  | 'author-below-pin' | 'not-member' | 'not-allowed' | 'no-ops' | 'too-many-members' | 'member-exists' | 'member-unknown'
  | 'wrong-generation' | 'wrong-roster-hash' | 'wrong-epoch' | 'rotation-due' | 'leaver-makes-epoch' | 'cut-not-allowed'
  | 'pin-not-allowed' | 'pin-beyond-log' | 'wrong-account-head' | 'wrong-signature' | 'wrong-wrap' | 'wrong-tag' | 'wrong-link'
  | 'direct-is-two' | 'too-big';

/** The role an account had at a height of the group log; undefined when it was not in. */
export function roleAt(state: GroupState, account: AccountId, height: number): Role | undefined {
  if (height < 1 || height > state.height) return undefined;
  let role: Role | undefined;
  for (const span of state.roles.get(account) ?? []) {
    if (span.fromHeight > height) break;
    role = span.role;
  }
  return role;
}

export function isAdmin(role: Role | undefined): boolean {
  return role === 'owner' || role === 'admin';
}
