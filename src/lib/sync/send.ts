/**
 * From the outbox to the server: one PUT at a time in each conversation [SC22], and an answer to every
 * way the server says no. No refusal loses what a person wrote, and none stops another conversation.
 */
import { nackCodes, type NackName } from '#lib/protocol/codes.ts';
import type { DownFrameOf } from '#lib/protocol/frame.ts';
import { limits } from '#lib/protocol/limits.ts';
import { retryDelayMs } from '#lib/std/backoff.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import type { StoreName, StoredRow } from '#lib/storage/schema.ts';
import type { Context } from './context.ts';
import type { Live } from './live.ts';
import { acknowledge, readConversation, readUnacknowledged, refuse, renumber, sealEntries, sendAgainFrom, toPut, unseal } from './outbox.ts';
import type { StartCompare } from './compare.ts';

export interface Sender {
  /** Sends what can be sent now. */
  readonly pump: (live: Live) => Promise<void>;
  readonly onAck: (live: Live, frame: DownFrameOf<'ack'>) => Promise<void>;
  readonly onNack: (live: Live, frame: DownFrameOf<'nack'>) => Promise<void>;
  /** Our slot is lost to us: asks for another, and nothing leaves before it is here. */
  readonly requestSlot: (live: Live, from: number) => void;
  /** Takes the new slot once every row that may be ours is known. */
  readonly changeSlot: (live: Live) => Promise<void>;
  readonly release: (live: Live) => void;
}

const nackByCode = new Map<number, NackName>(Object.entries(nackCodes).map(([name, { code }]) => [code, name as NackName]));
/** One look at the rows often explains a fork; the second says it is one. */
const forkStrikesMax = 2;

export function createSender(context: Context, startCompare: StartCompare): Sender {
  const { deps, send, isCurrent, expect, subscribe, task } = context;
  const { database, seal, events, timers, random } = deps;

  function canSend(live: Live): boolean {
    return live.phase === 'live' && !live.inFlight && !live.hold && !live.isSlotRequested && !live.slotChange && !live.isAsking && live.cursor >= live.sendAfter;
  }

  async function pump(live: Live): Promise<void> {
    while (isCurrent(live) && canSend(live)) {
      const { conversation } = live;
      const { stored, entries } = await database.read(['conversations', 'outbox'], async (tx) => ({
        stored: await tx.get('conversations', conversation),
        entries: await readUnacknowledged(tx, conversation, live.serverNext ?? 0),
      }));
      const first = entries[0];
      if (!isCurrent(live) || !canSend(live) || !stored || stored.slot === 0 || !first) return;
      if (live.needsNewSlot) return requestSlot(live, stored.slot);
      const some = entries.slice(0, first.ctr < live.singlesUntil ? 1 : limits.entriesPerPutMax);
      const envelopes = toPut(some);
      if (envelopes.length === 0) {
        const isSealed = await sealSome(live, stored, some);
        if (isSealed) continue;
        return;
      }
      if (live.h === undefined || !send({ type: 'put', h: live.h, ctr0: first.ctr, envelopes: [...envelopes] })) return;
      live.serverNext = first.ctr;
      live.inFlight = { ctr0: first.ctr, count: envelopes.length };
      expect(live);
    }
  }

  async function sealSome(live: Live, stored: Parameters<typeof sealEntries>[2], entries: Parameters<typeof sealEntries>[3]): Promise<boolean> {
    // The outbox and its chain do not meet, which no move of ours leaves behind: a new slot begins a new chain.
    if (entries[0]?.ctr !== stored.sealedCtr) {
      requestSlot(live, stored.slot);
      return false;
    }
    const outcome = await sealEntries(database, seal, stored, entries);
    // `again` is another sealer (the service worker) or an edit in between: the next look sees it.
    if (outcome.ok) return true;
    if (outcome.error.type === 'not-now') {
      hold(live);
      return false;
    }
    await giveUp(live, [outcome.error.ctr], outcome.error.why, stored.slot);
    return true;
  }

  /** What cannot be sent moves to `refused`; where even that is not possible, a new slot begins without it. */
  async function giveUp(live: Live, ctrs: readonly number[], why: string, slot: number): Promise<void> {
    if ((await refuse(database, live.conversation, ctrs, why)) === 'stuck') return requestSlot(live, slot);
    for (const ctr of ctrs) events.refused(live.conversation, ctr, why);
  }

  /** Waits for a back-off, or for `release`. */
  function hold(live: Live): void {
    live.hold?.();
    const cancel = timers.after(retryDelayMs({ attempt: live.holdAttempt, random }), () => {
      live.hold = undefined;
      task(live, () => pump(live));
    });
    live.holdAttempt += 1;
    live.hold = cancel;
  }

  function release(live: Live): void {
    live.hold?.();
    live.hold = undefined;
    live.holdAttempt = 0;
    task(live, () => pump(live));
  }

  async function onAck(live: Live, frame: DownFrameOf<'ack'>): Promise<void> {
    const { inFlight, conversation } = live;
    if (!inFlight) return; // an answer to a PUT we gave up on; the next one hears the same
    live.inFlight = undefined;
    if (frame.nextCtr < inFlight.ctr0 + inFlight.count || frame.count !== inFlight.count) return subscribe(live);
    const stored = await acknowledge(database, conversation, inFlight, frame.firstSeq);
    if (!isCurrent(live) || !stored) return;
    live.serverNext = inFlight.ctr0 + inFlight.count;
    live.forkStrikes = 0;
    live.holdAttempt = 0;
    live.head = Math.max(live.head, frame.firstSeq + inFlight.count - 1);
    if (live.cursor < live.head) expect(live); // its rows follow
    events.acked(conversation, inFlight.ctr0, inFlight.ctr0 + inFlight.count - 1, frame.rt);
    if (frame.nextCtr > stored.sealedCtr) {
      events.forked(conversation, { slot: stored.slot, ctr: stored.sealedCtr });
      return requestSlot(live, stored.slot);
    }
    await pump(live);
  }

  async function onNack(live: Live, { code, nextCtr }: DownFrameOf<'nack'>): Promise<void> {
    const { inFlight, conversation } = live;
    live.inFlight = undefined;
    const stored = await readConversation(database, conversation);
    if (!isCurrent(live) || !stored || !inFlight) return;
    const name = nackByCode.get(code);
    switch (name) {
      case 'GAP': return onGap(live, stored.slot, nextCtr);
      case 'FORK':
        live.forkStrikes += 1;
        live.serverNext = undefined;
        if (live.forkStrikes >= forkStrikesMax) {
          events.forked(conversation, { slot: stored.slot, ctr: inFlight.ctr0 });
          return requestSlot(live, stored.slot);
        }
        return subscribe(live);
      case 'NO_SLOT':
        // STATE with the slot we have comes before or behind this.
        if (live.slotChange) return;
        hold(live);
        return subscribe(live);
      case 'EPOCH_STALE':
      case 'ROTATION_DUE':
        if (nextCtr < inFlight.ctr0) return onGap(live, stored.slot, nextCtr);
        live.serverNext = undefined;
        if (nextCtr <= stored.sealedCtr && (await unseal(database, conversation, nextCtr)) === 'stuck') return requestSlot(live, stored.slot);
        if (!isCurrent(live)) return;
        hold(live);
        events.groupStale(conversation, name);
        return;
      case 'SIZE':
      case 'SHAPE':
      case 'READ_ONLY':
        if (nextCtr < inFlight.ctr0) return onGap(live, stored.slot, nextCtr);
        if (inFlight.count > 1) live.singlesUntil = inFlight.ctr0 + inFlight.count;
        else await giveUp(live, [inFlight.ctr0], name, stored.slot);
        return pump(live);
      case 'NOT_MEMBER':
        await refuseWaiting(live, name);
        live.phase = 'not-member';
        events.notMember(conversation);
        context.changed(live);
        return;
      default:
        // RATE, and whatever a newer server may say.
        return hold(live);
    }
  }

  async function onGap(live: Live, slot: number, nextCtr: number): Promise<void> {
    live.serverNext = nextCtr;
    if ((await sendAgainFrom(database, live.conversation, nextCtr)) === 'ready') return pump(live);
    // Entries that had left the outbox are gone at the server.
    if (live.hasCompared) return requestSlot(live, slot);
    await startCompare(live, { head: live.head, slot, nextCtr }, true);
  }

  async function refuseWaiting(live: Live, why: string): Promise<void> {
    const ctrs = await database.read(['outbox'], async (tx) =>
      (await tx.getAll('outbox', { range: ofConversation(live.conversation) })).filter((entry) => entry.acknowledgedSeq === undefined && !entry.resend && entry.sealedEvent.length > 0).map((entry) => entry.ctr));
    if (ctrs.length > 0 && (await refuse(database, live.conversation, ctrs, why)) === 'refused') for (const ctr of ctrs) events.refused(live.conversation, ctr, why);
  }

  function requestSlot(live: Live, from: number): void {
    live.needsNewSlot = false;
    live.isSlotRequested = true;
    if (live.h !== undefined) send({ type: 'newSlot', h: live.h, from });
    expect(live);
  }

  async function changeSlot(live: Live): Promise<void> {
    const { slotChange: change, conversation } = live;
    if (!change || live.phase !== 'live' || live.cursor < change.head) return;
    live.slotChange = undefined;
    // Somebody wrote in it: it was ours before we lost what we knew.
    if (change.nextCtr > 0) return requestSlot(live, change.slot);
    const stores = new Set<StoreName>(['conversations', 'outbox', 'aliases', 'lost']);
    const also = deps.renumbered;
    let after: (() => void) | undefined;
    for (const store of renumberedStores) stores.add(store);
    const done = await database.write([...stores], async (tx) => {
      const outcome = await renumber(tx, conversation, change.slot);
      if (!outcome) return undefined;
      const more = also?.(conversation, outcome.change);
      after = more?.after;
      await more?.write?.(tx);
      const rows: StoredRow[] = [];
      for (const { slot, ctr } of outcome.unsendable) {
        const row = await tx.get('lost', [conversation, slot, ctr]);
        if (row) rows.push(row);
      }
      return { ...outcome, rows };
    });
    after?.();
    if (!done) return;
    events.renumbered(conversation, done.change);
    if (done.rows.length > 0) events.lost(conversation, { resent: [], rows: done.rows });
    if (!isCurrent(live)) return;
    live.hold?.();
    live.hold = undefined;
    live.isSlotRequested = false;
    live.serverNext = undefined;
    live.forkStrikes = 0;
    live.singlesUntil = 0;
    subscribe(live); // claims the slot
  }

  return { pump, onAck, onNack, requestSlot, changeSlot, release };
}

/** Beside sync's own, what `renumbered` may write to. */
export const renumberedStores: readonly StoreName[] = ['kv', 'summaries', 'drafts'];
