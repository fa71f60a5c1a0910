/**
 * The group log: who is in a conversation and which epoch its keys are of, as a signed chain
 * (crypto.md §5.3). Server and clients verify with this code.
 *
 * An entry is judged in this order: height and prev; the author's device, valid at the height it names
 * and not below its pin; each operation by the actor's role before the entry; cuts and pins; roster
 * hash; epoch rule; signature. Members then open their wrap and check the tag: `groups` does, for the
 * secrets never come here.
 */
import { sign, verify } from '#lib/crypto/primitives.ts';
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { deviceValidAt } from './account-state.ts';
import { decodeGroupEntry, encodeGroupCore, encodeGroupEntry, groupSignedBytes, groupSignPurpose, linkSizeBytes, rosterHash, type GroupEntry } from './group-entry.ts';
import { applyOps, type Draft } from './group-roster.ts';
import type { GroupLogFault, GroupOp, GroupState, Member } from './group-state.ts';
import type { AccountLookup } from './lookup.ts';

export interface VerifyInput {
  /** The server's receipt time of this entry. */
  readonly rt: number;
  readonly conversation: ConversationId;
  readonly accountState: AccountLookup;
}

/** One wrap that goes with an entry: the epoch's secret for this account under this generation. */
export interface WrapNeed {
  readonly account: AccountId;
  readonly uekGen: number;
}

export interface VerifiedEntry {
  readonly state: GroupState;
  readonly entry: GroupEntry;
  readonly makesEpoch: boolean;
  /** Somebody was removed: the epoch before is over at once. */
  readonly removes: boolean;
  /** Exactly the wraps this entry travels with: all members for a new epoch, else those it adds. */
  readonly wraps: readonly WrapNeed[];
}

/** Judges one entry after a state (undefined before the first). */
export async function verifyGroupEntry(state: GroupState | undefined, bytes: Uint8Array, input: VerifyInput): Promise<Result<VerifiedEntry, GroupLogFault>> {
  const decoded = decodeGroupEntry(bytes);
  if (!decoded.ok) return decoded;
  const entry = decoded.value;
  if (entry.conversation !== input.conversation) return err('wrong-conversation');
  if (entry.height !== (state?.height ?? 0) + 1) return err('wrong-height');
  if (!equalBytes(entry.prev, state?.head ?? noHead)) return err('wrong-prev');

  const author = await judgeAuthor(state, entry, input.accountState);
  if (!author.ok) return author;
  const draft = await applyOps(state, { ...entry, rt: input.rt, accountState: input.accountState });
  if (!draft.ok) return draft;
  if (!equalBytes(entry.rosterHash, rosterHash(draft.value.members.values()))) return err('wrong-roster-hash');
  if (entry.epoch !== draft.value.epoch) return err('wrong-epoch');
  if (entry.link.length !== linkSize(draft.value)) return err('wrong-link');
  if (!(await verify(author.value, groupSignPurpose, groupSignedBytes(entry.commitment, entry.tag), entry.signature))) return err('wrong-signature');
  return ok(settle(state, draft.value, entry));
}

/** Verifies a list from a state on; the fault names the height that was refused. */
export async function verifyGroupEntries(
  state: GroupState | undefined,
  entries: readonly { readonly entry: Uint8Array; readonly rt: number }[],
  input: Omit<VerifyInput, 'rt'>,
): Promise<Result<{ readonly state: GroupState | undefined; readonly verified: readonly VerifiedEntry[] }, { readonly fault: GroupLogFault; readonly height: number }>> {
  const verified: VerifiedEntry[] = [];
  let now = state;
  for (const { entry, rt } of entries) {
    const next = await verifyGroupEntry(now, entry, { ...input, rt });
    if (!next.ok) return err({ fault: next.error, height: (now?.height ?? 0) + 1 });
    now = next.value.state;
    verified.push(next.value);
  }
  return ok({ state: now, verified });
}

/** The accounts whose logs judging this entry needs, each once, so they can be fetched together before. */
export function accountsOf(entry: Pick<GroupEntry, 'actor' | 'ops'>): readonly AccountId[] {
  const accounts = new Set<AccountId>([entry.actor]);
  for (const op of entry.ops) {
    if (op.type === 'add' || op.type === 'remove' || op.type === 'pin') accounts.add(op.account);
    if (op.type === 'rotate') for (const { account } of op.gens) accounts.add(account);
  }
  return [...accounts];
}

/** Whether wraps are exactly those the entry needs: one each, right generation, right size. */
export function wrapsMatch(needs: readonly WrapNeed[], wraps: readonly (WrapNeed & { readonly wrap: Bytes })[]): boolean {
  if (needs.length !== wraps.length) return false;
  const generations = new Map(needs.map(({ account, uekGen }) => [account, uekGen]));
  for (const { account, uekGen, wrap } of wraps) {
    if (generations.get(account) !== uekGen || wrap.length !== wrapSizeBytes) return false;
    generations.delete(account);
  }
  return true;
}

/** HPKE's encapsulated key, the 32-byte secret, the tag. */
export const wrapSizeBytes = 65 + 32 + 16;

export interface BuildInput {
  readonly conversation: ConversationId;
  readonly actor: AccountId;
  readonly device: DeviceId;
  readonly signKey: CryptoKey;
  /** The actor's account log height as known: its device must be valid there. */
  readonly authorHeight: number;
  readonly ops: readonly GroupOp[];
  /** The epoch before under the new epoch's history key; empty unless the entry makes an epoch that links. */
  readonly link: Bytes;
  /** HMAC of the commitment under the epoch's confirmation key. */
  readonly confirm: (commitment: Bytes) => Bytes;
  readonly accountState: AccountLookup;
}

export interface BuiltEntry extends VerifiedEntry {
  readonly bytes: Bytes;
}

/** Builds and signs the next entry, refused for the very reasons a verifier would refuse it. Its state has rt 0 for whom it admits. */
export async function buildGroupEntry(state: GroupState | undefined, input: BuildInput): Promise<Result<BuiltEntry, GroupLogFault>> {
  const { conversation, actor, device, authorHeight, ops, link } = input;
  const place = { conversation, actor, device, authorHeight, ops, link, height: (state?.height ?? 0) + 1, prev: state?.head ?? noHead };
  const author = await judgeAuthor(state, place, input.accountState);
  if (!author.ok) return author;
  const draft = await applyOps(state, { ...place, rt: 0, accountState: input.accountState });
  if (!draft.ok) return draft;
  if (link.length !== linkSize(draft.value)) return err('wrong-link');

  const core = encodeGroupCore({ ...place, epoch: draft.value.epoch, rosterHash: rosterHash(draft.value.members.values()) });
  const unsigned = decodeGroupEntry(encodeGroupEntry(core, new Uint8Array(32), new Uint8Array(64)));
  if (!unsigned.ok) return unsigned;
  const { commitment } = unsigned.value;
  const tag = input.confirm(commitment);
  const signature = await sign(input.signKey, groupSignPurpose, groupSignedBytes(commitment, tag));
  const bytes = encodeGroupEntry(core, tag, signature);
  const entry = decodeGroupEntry(bytes);
  if (!entry.ok) return entry;
  return ok({ ...settle(state, draft.value, entry.value), bytes });
}

const noHead: Bytes = new Uint8Array(32);

/** The public key of the author's device, when that device may speak for its account here. */
async function judgeAuthor(
  state: GroupState | undefined,
  { actor, device, authorHeight }: Pick<GroupEntry, 'actor' | 'device' | 'authorHeight'>,
  accountState: AccountLookup,
): Promise<Result<Bytes, GroupLogFault>> {
  const account = await accountState(actor, { height: authorHeight, uekGen: 0 });
  if (!account) return err('unknown-author');
  if (!deviceValidAt(account, device, authorHeight)) return err('author-invalid');
  if (authorHeight < (state?.pins.get(actor)?.accountHeight ?? 0)) return err('author-below-pin');
  if (state && !state.members.has(actor)) return err('not-member');
  return ok(account.devices.get(device)!.signPublicKey);
}

function linkSize({ links }: Draft): number {
  return links ? linkSizeBytes : 0;
}

function settle(state: GroupState | undefined, draft: Draft, entry: GroupEntry): VerifiedEntry {
  const { height, epoch, head } = entry;
  const { members, roles, pins, cuts, meta, sharesHistory, rotationDue, makesEpoch, removes, added } = draft;
  const wraps = (makesEpoch ? [...members.values()] : added.map((account) => members.get(account)).filter((member): member is Member => member !== undefined))
    .map(({ account, uekGen }) => ({ account, uekGen }));
  return {
    entry,
    makesEpoch,
    removes,
    wraps,
    state: {
      conversation: entry.conversation,
      kind: draft.kind,
      height,
      head,
      heads: [...(state?.heads ?? []), head],
      epoch,
      epochs: makesEpoch ? [...(state?.epochs ?? []), { epoch, height }] : state!.epochs,
      members, roles, sharesHistory, rotationDue, meta, pins, cuts,
      creator: state?.creator ?? entry.actor,
    },
  };
}

