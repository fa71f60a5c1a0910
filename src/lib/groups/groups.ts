/**
 * Acting on the group log: who is in a conversation, under which keys, and how both change.
 *
 * Every entry is verified before it counts [GR1]; every change is compare-and-set, and a lost race is
 * judged again against the roster that won [GR5]. Epoch secrets rest sealed under the device storage
 * key and leave this room only as non-extractable keys.
 *
 * The key agreement stands behind `epochKeys`, `sync` and the actions, so another one can take its
 * place (DESIGN.md §4).
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import { createActions, type GroupActions, type GroupsError } from './actions.ts';
import type { EpochKeys } from './keys.ts';
import { createLogs } from './logs.ts';
import type { LogItem } from './log-store.ts';
import { epochOf, sealBeside, unsealBeside } from './marks.ts';
import { unsealMeta, type GroupMeta } from './meta.ts';
import type { GroupsDeps } from './ports.ts';
import type { SyncError } from './receive.ts';
import { findRotationNeed, type RotationNeed, type RotationReason } from './renew.ts';

export type { EpochKeys, GroupActions, GroupMeta, GroupsError, LogItem, RotationNeed, RotationReason, SyncError };

export interface Groups extends GroupActions {
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
  /** Whether a new epoch is due, and who makes it. */
  readonly rotationNeeded: (conversation: ConversationId, entriesInEpoch?: number) => Promise<RotationNeed | undefined>;

  /** The newest metadata; undefined when there is none or its key is not here. */
  readonly meta: (conversation: ConversationId) => Promise<GroupMeta | undefined>;
  /** The metadata a `meta` operation of the log carries, of an entry of this epoch. */
  readonly unsealMeta: (conversation: ConversationId, epoch: number, sealed: Bytes) => Promise<GroupMeta | undefined>;
  /** Registers beside the log (receipts, read marks): under the present epoch, bound to slot and markCtr. Undefined without its keys. */
  readonly sealMark: (conversation: ConversationId, slot: number, markCtr: number, plaintext: Bytes) => Promise<Bytes | undefined>;
  readonly unsealMark: (conversation: ConversationId, slot: number, markCtr: number, sealed: Bytes) => Promise<Bytes | undefined>;
  /** Typing and the like: under the present epoch, bound to the slot. */
  readonly sealEphemeral: (conversation: ConversationId, slot: number, plaintext: Bytes) => Promise<Bytes | undefined>;
  readonly unsealEphemeral: (conversation: ConversationId, slot: number, sealed: Bytes) => Promise<Bytes | undefined>;
  /** Resolves once what runs has ended; later changes are refused. */
  readonly close: () => Promise<void>;
}

export function openGroups(deps: GroupsDeps): Groups {
  const logs = createLogs(deps);
  const actions = createActions(deps, logs);
  const { random } = deps;

  async function rotationNeeded(conversation: ConversationId, entriesInEpoch = 0): Promise<RotationNeed | undefined> {
    const state = await logs.state(conversation);
    if (!state) return undefined;
    const { height } = state.epochs[state.epochs.length - 1]!;
    const [made] = await logs.items(conversation, height, height);
    return findRotationNeed(deps, state, made?.rt, entriesInEpoch);
  }

  async function sealUnder(which: 'meta' | 'ephemeral', conversation: ConversationId, slot: number, markCtr: number | undefined, plaintext: Bytes): Promise<Bytes | undefined> {
    const state = await logs.state(conversation);
    const keys = state && (await logs.epochKeys(conversation, state.epoch));
    return keys && sealBeside(keys[which], plaintext, { conversation, epoch: state.epoch, slot, markCtr }, random);
  }

  async function unsealUnder(which: 'meta' | 'ephemeral', conversation: ConversationId, slot: number, markCtr: number | undefined, sealed: Bytes): Promise<Bytes | undefined> {
    const epoch = epochOf(sealed);
    const keys = epoch === undefined ? undefined : await logs.epochKeys(conversation, epoch);
    return keys && unsealBeside(keys[which], sealed, { conversation, epoch: epoch!, slot, markCtr });
  }

  return {
    ...actions,
    state: logs.state,
    load: logs.load,
    log: (conversation, fromHeight = 1) => logs.items(conversation, fromHeight),
    sync: logs.sync,
    epochKeys: logs.epochKeys,
    rotationNeeded,
    meta: logs.meta,
    async unsealMeta(conversation, epoch, sealed) {
      const keys = await logs.epochKeys(conversation, epoch);
      return keys && unsealMeta(keys.meta, sealed, conversation, epoch);
    },
    sealMark: (conversation, slot, markCtr, plaintext) => sealUnder('meta', conversation, slot, markCtr, plaintext),
    unsealMark: (conversation, slot, markCtr, sealed) => unsealUnder('meta', conversation, slot, markCtr, sealed),
    sealEphemeral: (conversation, slot, plaintext) => sealUnder('ephemeral', conversation, slot, undefined, plaintext),
    unsealEphemeral: (conversation, slot, sealed) => unsealUnder('ephemeral', conversation, slot, undefined, sealed),
    close: logs.close,
  };
}
