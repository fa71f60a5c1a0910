/**
 * Opening one sealed entry, in the receiver's order of crypto.md §5.4.
 *
 * Every check that needs no signature comes first and is shared with `openMany`; then the signature;
 * then the place in its device's chain. A missing key or log is no fault: the entry is pending and
 * says what it waits for.
 */
import { deviceValidAt } from '#lib/chains/account-state.ts';
import { isCut } from '#lib/chains/cuts.ts';
import { roleAt, type GroupState } from '#lib/chains/group-state.ts';
import { unsealAes, verify } from '#lib/crypto/primitives.ts';
import { envelopeAssociatedData, parseEnvelope, type Envelope } from '#lib/protocol/envelope.ts';
import type { AccountId, ConversationId, EntryId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { assert } from '#lib/std/assert.ts';
import { copyBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { chainStart, type EntryFault, type EntryProblem, type OpenContext, type OpenedEntry, type SlotChain } from './entry.ts';
import type { Event } from './event.ts';
import { entrySignaturePurpose, parseInner, type IdReader, type Inner } from './inner.ts';

/** `row.envelope` must be there: a purged row has nothing to open. */
export async function openEntry(row: Row, context: OpenContext): Promise<Result<OpenedEntry, EntryProblem>> {
  const parsed = parseRow(row);
  if (!parsed.ok) return bad(parsed.error);
  const key = await context.contentKey(parsed.value.epoch);
  if (!key) return err({ type: 'pending', needs: { type: 'epoch', epoch: parsed.value.epoch } });
  const unsealed = readInner(await unsealBytes(parsed.value, row, context.conversation, key));
  if (!unsealed.ok) return bad(unsealed.error);
  const inner = unsealed.value;
  const problem = judge(row, parsed.value.epoch, inner, context);
  if (problem) return err(problem);
  const before = context.chain(row.slot);
  if (before && !speaksFor(before, inner)) return bad('slot-stolen');
  if (!await verifySignature(inner, context)) return bad('wrong-signature');
  const broken = linkFault(row, inner, before && { ctr: before.ctr, chain: before.chain });
  if (broken) return bad(broken);
  const { event } = inner;
  if (!event) return bad('event');
  const removed = event.kind === 'delete' ? await context.entryChain?.(event.target) : undefined;
  if (!purgeFits(parsed.value.purge, event, removed)) return bad('purge-mismatch');
  return ok(openedEntry(row, inner, event, context));
}

/** The chain hash of a row's entry (a delete states it); undefined when it does not open. */
export async function readChain(conversation: ConversationId, row: Row, contentKey: CryptoKey): Promise<Bytes | undefined> {
  const parsed = row.envelope && parseEnvelope(row.envelope);
  if (!parsed?.ok) return undefined;
  const unsealed = readInner(await unsealBytes(parsed.value, row, conversation, contentKey));
  return unsealed.ok ? unsealed.value.chain : undefined;
}

/** The chain after a verified entry: what the next one of this device links to. */
export function advanceChain(before: SlotChain | undefined, entry: OpenedEntry): SlotChain {
  const { slot, ctr, account, device, chain, prev } = entry;
  return { slot, account, device, ctr, chain, firstCtr: before?.firstCtr ?? ctr, firstPrev: before?.firstPrev ?? copyBytes(prev) };
}

// From here on: the steps, shared with openMany.

export function parseRow(row: Row): Result<Envelope, EntryFault> {
  assert(row.envelope, 'a purged row is not opened');
  const parsed = parseEnvelope(row.envelope);
  return parsed.ok ? parsed : err('envelope');
}

/** The plaintext, or undefined when it is not what this key sealed for this place. */
export function unsealBytes({ headerBytes }: Envelope, { slot, ctr, envelope }: Row, conversation: ConversationId, key: CryptoKey): Promise<Bytes | undefined> {
  const associated = envelopeAssociatedData({ conversation, slot, ctr, headerBytes });
  return unsealAes(key, envelope!.subarray(headerBytes.length), associated); // nonce, ciphertext and tag stand there as sealed
}

export function readInner(plaintext: Bytes | undefined, readId?: IdReader): Result<Inner, 'tampered' | 'inner'> {
  if (!plaintext) return err('tampered');
  const inner = parseInner(plaintext, readId);
  return inner ? ok(inner) : err('inner');
}

/** Everything that can be judged before the signature and without the device's other entries. */
export function judge(row: EntryId, outerEpoch: number, inner: Inner, context: OpenContext): EntryProblem | undefined {
  const { group } = context;
  if (inner.conversation !== context.conversation) return badProblem('wrong-conversation');
  if (inner.slot !== row.slot || inner.ctr !== row.ctr) return badProblem('wrong-place');
  if (inner.epoch !== outerEpoch) return badProblem('wrong-epoch');
  if (!group || inner.logHeight > group.height) {
    return group && context.settled ? badProblem('fork') : { type: 'pending', needs: { type: 'group', height: inner.logHeight } };
  }
  const head = group.heads[inner.logHeight - 1];
  if (!head || !equalBytes(head, inner.logHead)) return badProblem('fork');
  if (epochAt(group, inner.logHeight) !== inner.epoch) return badProblem('wrong-epoch');
  if (!inner.bodyFits) return badProblem('wrong-body');
  const account = context.account(inner.account);
  if (!account || inner.accountHeight > account.height) {
    if (account && context.settled) return badProblem('device-invalid');
    return { type: 'pending', needs: { type: 'account', account: inner.account, height: inner.accountHeight } };
  }
  if (!deviceValidAt(account, inner.device, inner.accountHeight)) return badProblem('device-invalid');
  if (roleAt(group, inner.account, inner.logHeight) === undefined) return badProblem('not-member');
  if (isCut(group, inner)) return badProblem('beyond-cut');
  return undefined;
}

/** The device is known and valid: `judge` has said so. */
export function verifySignature(inner: Inner, context: OpenContext): Promise<boolean> {
  const device = context.account(inner.account)?.devices.get(inner.device);
  assert(device, 'a signature is checked once its device is known');
  return verify(device.signPublicKey, entrySignaturePurpose, inner.chain, inner.signature);
}

export function speaksFor(bound: { readonly account: AccountId; readonly device: string }, inner: Inner): boolean {
  return bound.account === inner.account && bound.device === inner.device;
}

/** Whether an authentic entry continues what is held. A hash of no bytes says nothing. */
export function linkFault({ ctr }: EntryId, inner: Inner, last: { readonly ctr: number; readonly chain: Bytes } | undefined): 'replay' | 'gap' | 'equivocation' | undefined {
  if (last && ctr <= last.ctr) return 'replay';
  if (last && ctr > last.ctr + 1) return 'gap';
  if (ctr === 0) return equalBytes(inner.prev, chainStart) ? undefined : 'equivocation';
  return last && last.chain.length > 0 && !equalBytes(inner.prev, last.chain) ? 'equivocation' : undefined;
}

/** The server removes what the clear header names; it must be what the signed event deletes. */
export function purgeFits(purge: EntryId | undefined, event: Event, removed: Bytes | undefined): boolean {
  if (event.kind !== 'delete') return purge === undefined;
  if (purge?.slot !== event.target.slot || purge.ctr !== event.target.ctr) return false;
  return removed === undefined || equalBytes(removed, event.targetChain);
}

export function openedEntry(row: Row, inner: Inner, event: Event, { group, groupRt }: OpenContext): OpenedEntry {
  const { account, device, epoch, logHeight, accountHeight, prev } = inner;
  assert(group, 'an entry is opened against a group log');
  const joined = joinedHeightAt(group, account, logHeight);
  const joinRt = joined === undefined ? 0 : groupRt(joined) ?? 0;
  return { slot: row.slot, ctr: row.ctr, seq: row.seq, rt: row.rt, account, device, epoch, logHeight, accountHeight, joinRt, prev, chain: inner.chain, event };
}

/** The height that began the membership in force at `height`. */
export function joinedHeightAt(group: GroupState, account: AccountId, height: number): number | undefined {
  let joined: number | undefined;
  for (const span of group.roles.get(account) ?? []) {
    if (span.fromHeight > height) break;
    joined = span.role === undefined ? undefined : joined ?? span.fromHeight;
  }
  return joined;
}

/** The epoch in force at a height. */
export function epochAt(group: GroupState, height: number): number | undefined {
  let epoch: number | undefined;
  for (const made of group.epochs) {
    if (made.height > height) break;
    epoch = made.epoch;
  }
  return epoch;
}

function badProblem(fault: EntryFault): EntryProblem {
  return { type: 'bad', fault };
}

function bad(fault: EntryFault): Result<never, EntryProblem> {
  return err(badProblem(fault));
}
