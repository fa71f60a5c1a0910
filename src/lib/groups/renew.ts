/**
 * When keys should change, and what the entry that changes them says: newest generations for members
 * whose user encryption key moved, pins and cuts for devices that were revoked (crypto.md §5.6).
 */
import { newestUek, type AccountState } from '#lib/chains/account-state.ts';
import { cutKey } from '#lib/chains/cuts.ts';
import { epochAfter } from '#lib/chains/epoch-rule.ts';
import type { Cut, GroupOp, GroupState } from '#lib/chains/group-state.ts';
import { sha256 } from '#lib/crypto/primitives.ts';
import { u32 } from '#lib/crypto/encoding.ts';
import { idToBytes, type AccountId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex } from '#lib/std/bytes.ts';
import { inBatches } from './lookup.ts';
import type { GroupsDeps } from './ports.ts';

export type RotationReason = 'left' | 'generation' | 'revoked' | 'age' | 'count';

export interface RotationNeed {
  readonly reasons: readonly RotationReason[];
  /** Nothing may be sealed before it. */
  readonly blocking: boolean;
  /** Up to 256 members whoever sends next rotates first; above, whoever ranks first, others waiting `delayMs`. */
  readonly by: 'next-sender' | 'elected';
  readonly delayMs: number;
}

/** Below it a race for the rotation is cheap; above, one wrap per member makes it worth an order. */
const nextSenderMembersMax = 256;
const electionDelayMs = 2_000;
/** Weekly, where anything was written since. */
const epochAgeMsMax = 7 * 24 * 60 * 60_000;
const accountsAtOnceMax = 32;

/** Whether a member's account log says something the group does not know yet. */
function newsOf(state: GroupState, account: AccountId, known: AccountState | undefined): { readonly generation: boolean; readonly revoked: boolean } {
  const member = state.members.get(account);
  if (!member || !known) return { generation: false, revoked: false };
  const pinnedAt = state.pins.get(account)?.accountHeight ?? -1;
  return {
    generation: newestUek(known).gen > member.uekGen,
    revoked: [...known.devices.values()].some(({ revokedAt }) => revokedAt !== undefined && revokedAt > pinnedAt),
  };
}

export async function findRotationNeed(deps: GroupsDeps, state: GroupState, epochMadeAt: number | undefined, entriesInEpoch: number): Promise<RotationNeed | undefined> {
  const { me, clock } = deps;
  if (!state.members.has(me.account)) return undefined;
  const accounts = [...state.members.keys()];
  const news = await inBatches(accounts, accountsAtOnceMax, async (account) => newsOf(state, account, await deps.accounts.get(account)));
  const reasons: RotationReason[] = [];
  if (state.rotationDue) reasons.push('left');
  if (news.some(({ revoked }) => revoked)) reasons.push('revoked');
  if (news.some(({ generation }) => generation)) reasons.push('generation');
  if (entriesInEpoch > 0 && epochMadeAt !== undefined && clock.now() - epochMadeAt > epochAgeMsMax) reasons.push('age');
  if (entriesInEpoch >= limits.entriesPerEpochRotateAt) reasons.push('count');
  if (reasons.length === 0) return undefined;
  const elected = accounts.length > nextSenderMembersMax;
  return {
    reasons,
    blocking: reasons.includes('left') || reasons.includes('revoked'),
    by: elected ? 'elected' : 'next-sender',
    delayMs: elected ? rankOf(me.account, accounts, state.epoch) * electionDelayMs : 0,
  };
}

/**
 * The operations with what a new epoch should carry along: nothing when they make none and none is
 * due. A leave never does, for whoever leaves must not know the next key.
 */
export async function withRenewal(deps: GroupsDeps, state: GroupState, ops: readonly GroupOp[]): Promise<readonly GroupOp[]> {
  if (ops.some((op) => op.type === 'leave')) return ops;
  if (!epochAfter(state, ops).makesEpoch && !state.rotationDue) return ops;
  const removed = new Set(ops.map((op) => (op.type === 'remove' ? op.account : undefined)));
  const gens: { account: AccountId; uekGen: number }[] = [];
  const pins: GroupOp[] = [];
  for (const account of state.members.keys()) {
    if (removed.has(account)) continue;
    const known = await deps.accounts.get(account);
    const { generation, revoked } = newsOf(state, account, known);
    if (generation) gens.push({ account, uekGen: newestUek(known!).gen });
    if (revoked) pins.push({ type: 'pin', account, accountHeight: known!.height, accountHead: known!.head, cuts: await revokedCuts(deps, state, known!) });
  }
  const asked = ops.find((op) => op.type === 'rotate');
  const rest = ops.filter((op) => op !== asked);
  const rotate: GroupOp[] = gens.length > 0 || asked || (state.rotationDue && !epochAfter(state, rest).makesEpoch) ? [{ type: 'rotate', gens }] : [];
  return [...rest, ...rotate, ...pins];
}

/** For devices revoked by now, the last counter seen in each slot that is not cut yet. */
async function revokedCuts(deps: GroupsDeps, state: GroupState, known: AccountState): Promise<readonly Cut[]> {
  const seen = (await deps.lastSeen?.(state.conversation, known.account)) ?? [];
  return seen.filter((cut) => known.devices.get(cut.device)?.revokedAt !== undefined && !state.cuts.has(cutKey(cut)));
}

/** For everything of an account that is to go: never below a cut that is there. */
export async function removalCuts(deps: GroupsDeps, state: GroupState, known: AccountState): Promise<readonly Cut[]> {
  const seen = (await deps.lastSeen?.(state.conversation, known.account)) ?? [];
  return seen.filter((cut) => known.devices.has(cut.device) && cut.lastCtr >= (state.cuts.get(cutKey(cut)) ?? cut.lastCtr));
}

/** Everybody computes the same order, another one each epoch. */
function rankOf(account: AccountId, accounts: readonly AccountId[], epoch: number): number {
  const place = (member: AccountId) => bytesToHex(sha256(idToBytes(member), u32(epoch)));
  const mine = place(account);
  return accounts.filter((other) => place(other) < mine).length;
}
