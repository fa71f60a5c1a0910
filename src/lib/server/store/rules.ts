/**
 * What every adapter decides the same way, free of how it keeps things: whether an append may be, and
 * where its entries go (documents.md §3, §5, §6).
 */
import { limits } from '#lib/protocol/limits.ts';
import { isAdmin, type Role } from '#lib/chains/group-state.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { AppendInput, AppendRefusal } from './port.ts';

/** How long the epoch before is taken after a change that removed nobody. */
export const epochGraceMs = 30_000;
/** How far slots skip when the lineage is renewed: more than a conversation allots between two backups. */
export const slotSkip = 1_000;
export const slotMax = 2 ** 21 - 1;
/** Slots one device may use up in one conversation, so that nobody can spend them all. */
export const slotsPerDeviceMax = 4_096;

export interface ConversationPlace {
  readonly head: number;
  readonly openSeg: number;
  readonly openCount: number;
  readonly openBytes: number;
  readonly nextSlot: number;
  /** The newest time given out here: receipt times never step back. */
  readonly lastRt: number;
  readonly logHeight: number;
  readonly epoch: number;
  /** Until when `epoch - 1` is taken too. */
  readonly graceUntil: number;
  readonly rotationDue: boolean;
}

export interface SlotPlace {
  readonly slot: number;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly live: boolean;
  readonly nextCtr: number;
  /** The segment `nextClock` counts in. */
  readonly seg: number;
  readonly nextClock: number;
}

export interface Placement {
  readonly seq: number;
  readonly seg: number;
  readonly clock: number;
  readonly ctr: number;
}

export function newConversation(slotBase: number): ConversationPlace {
  return { head: 0, openSeg: 0, openCount: 0, openBytes: 0, nextSlot: slotBase + 1, lastRt: 0, logHeight: 0, epoch: 0, graceUntil: 0, rotationDue: false };
}

/** What an append must ask the adapter while it is judged. */
export interface AppendFacts {
  readonly place: ConversationPlace | undefined;
  readonly role: Role | undefined;
  readonly slot: SlotPlace | undefined;
  /** Whether the entry the slot already has at this ctr is these bytes. */
  readonly isSame: (ctr: number, bytes: Uint8Array) => boolean;
  /** Whose slot it is, if an entry stands at (slot, ctr). */
  readonly ownerOf: (slot: number, ctr: number) => AccountId | undefined;
}

/** How many leading envelopes are known already; the rest may be placed. Or why nothing may be. */
export function judgeAppend(input: AppendInput, facts: AppendFacts): Result<{ readonly known: number; readonly place: ConversationPlace; readonly slot: SlotPlace }, AppendRefusal> {
  const { place, role, slot } = facts;
  if (!place || !role) return err({ nack: 'NOT_MEMBER', nextCtr: 0 });
  if (!slot || !slot.live || slot.account !== input.account || slot.device !== input.device) return err({ nack: 'NO_SLOT', nextCtr: 0 });
  const refuse = (nack: AppendRefusal['nack']) => err({ nack, nextCtr: slot.nextCtr });
  if (input.ctr0 > slot.nextCtr) return refuse('GAP');

  const known = Math.min(slot.nextCtr - input.ctr0, input.envelopes.length);
  for (let i = 0; i < known; i++) if (!facts.isSame(input.ctr0 + i, input.envelopes[i]!.bytes)) return refuse('FORK');

  for (let i = known; i < input.envelopes.length; i++) {
    const { epoch, purge } = input.envelopes[i]!;
    if (place.rotationDue) return refuse('ROTATION_DUE');
    const inGrace = epoch === place.epoch - 1 && input.now < place.graceUntil;
    if (epoch !== place.epoch && !inGrace) return refuse('EPOCH_STALE');
    if (!purge) continue;
    const isEarlierHere = purge.slot === input.slot && purge.ctr >= input.ctr0 + known && purge.ctr < input.ctr0 + i;
    const owner = isEarlierHere ? input.account : facts.ownerOf(purge.slot, purge.ctr);
    if (owner === undefined) return refuse('SHAPE');
    if (owner !== input.account && !isAdmin(role)) return refuse('READ_ONLY');
  }
  return ok({ known, place, slot });
}

/** Gives the next entry its place; the answer carries both records as they are afterwards. */
export function placeEntry(place: ConversationPlace, slot: SlotPlace, sizeBytes: number): { readonly at: Placement; readonly place: ConversationPlace; readonly slot: SlotPlace; readonly rolled: boolean } {
  const rolled = place.openCount >= limits.segmentEntriesMax || (place.openCount > 0 && place.openBytes + sizeBytes > limits.segmentSizeBytesMax);
  const seg = rolled ? place.openSeg + 1 : place.openSeg;
  const clock = slot.seg === seg ? slot.nextClock : 0;
  const at = { seq: place.head + 1, seg, clock, ctr: slot.nextCtr };
  assert(at.seq < 2 ** 32 && at.ctr < 2 ** 32, 'seq and ctr stay below 2^32');
  return {
    at,
    rolled,
    place: { ...place, head: at.seq, openSeg: seg, openCount: (rolled ? 0 : place.openCount) + 1, openBytes: (rolled ? 0 : place.openBytes) + sizeBytes },
    slot: { ...slot, nextCtr: at.ctr + 1, seg, nextClock: clock + 1 },
  };
}

/** A receipt time: the server's clock, never stepping back within a conversation. */
export function receiptTime(place: ConversationPlace, now: number): number {
  return Math.max(now, place.lastRt);
}

/** The place after a group entry that `appendGroupEntry` took. */
export function placeGroupEntry(place: ConversationPlace, entry: { readonly height: number; readonly epoch: number; readonly rotationDue: boolean; readonly removes: boolean; readonly now: number }): ConversationPlace {
  const rt = receiptTime(place, entry.now);
  // After somebody went, by removal or by a leave that this entry makes good, the old key is over at once.
  const somebodyWent = entry.removes || place.rotationDue;
  const isNewEpoch = entry.height > 1 && entry.epoch !== place.epoch;
  const graceUntil = somebodyWent ? 0 : isNewEpoch ? rt + epochGraceMs : place.graceUntil;
  return { ...place, logHeight: entry.height, epoch: entry.epoch, rotationDue: entry.rotationDue, graceUntil, lastRt: rt };
}
