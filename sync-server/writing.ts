/**
 * The writes of one connection: entries and slot changes, in order per conversation [SY9].
 *
 * An entry is taken only for the slot the client said it seals for, because a slot is bound into every
 * seal [SY28]. ACK leaves after the store has committed, and the sender's own rows come to it like
 * everybody's.
 */
import { nackCodes, type CloseName, type NackName } from '#lib/protocol/codes.ts';
import type { DownFrame, UpFrameOf } from '#lib/protocol/frame.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Delivery, Subscription } from './delivery.ts';
import type { ConnectionDeps, ConnectionLimits } from './types.ts';

export interface Writing {
  readonly put: (frame: UpFrameOf<'put'>) => Promise<void>;
  readonly refuse: (frame: UpFrameOf<'put'>, nack: NackName) => void;
  readonly newSlot: (frame: UpFrameOf<'newSlot'>) => Promise<void>;
  /** Makes `sub.slot` known; false once the account turned out not to be in the conversation. */
  readonly findSlot: (sub: Subscription) => Promise<boolean>;
  readonly sayState: (sub: Subscription) => void;
}

export interface WritingDeps extends Pick<ConnectionDeps, 'store' | 'clock' | 'put'> {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly limits: ConnectionLimits;
  readonly delivery: Delivery;
  readonly say: (frame: DownFrame) => void;
  readonly shut: (name: CloseName) => void;
  readonly run: (doing: string, task: () => Promise<void>) => Promise<void>;
  readonly drop: (sub: Subscription) => void;
  readonly find: (h: number) => Subscription | undefined;
  readonly followed: (h: number) => Promise<Subscription | undefined>;
}

export function createWriting(deps: WritingDeps): Writing {
  const { store, clock, account, device, limits, delivery, say, run, drop, find, followed } = deps;

  /** One write of a conversation at a time, in order; an honest client has one under way. */
  function write(sub: Subscription, task: () => Promise<void>): Promise<void> | undefined {
    if (sub.writes >= limits.writesQueuedMax) return undefined;
    sub.writes += 1;
    const before = sub.writes > 1 ? sub.lastWrite : undefined;
    async function inTurn(): Promise<void> {
      if (before) await before;
      try {
        if (!sub.isGone) await task();
      } finally {
        sub.writes -= 1;
      }
    }
    return (sub.lastWrite = run('writing', inTurn));
  }

  async function put(frame: UpFrameOf<'put'>): Promise<void> {
    const sub = find(frame.h);
    if (!sub) return say({ type: 'notMember', h: frame.h });
    await (write(sub, () => append(sub, frame)) ?? refuse(frame, 'RATE'));
  }

  async function append(sub: Subscription, { ctr0, envelopes }: UpFrameOf<'put'>): Promise<void> {
    if (sub.slot === undefined && !(await findSlot(sub))) return;
    if (sub.slot !== sub.claimedSlot) return refuseSlot(sub);
    const done = await deps.put({ account, device, conversation: sub.conversation, slot: sub.slot!, ctr0, envelopes });
    if (sub.isGone) return;
    if (!done.ok) {
      sayNack(sub, done.error.nack, done.error.nextCtr);
      if (done.error.nack === 'NO_SLOT') await renewSlot(sub);
      return;
    }
    const { nextCtr, firstSeq, rt, rows } = done.value;
    sub.nextCtr = nextCtr;
    sub.activeAt = clock.now();
    say({ type: 'ack', h: sub.h, nextCtr, firstSeq, count: envelopes.length, rt });
    // The bus brings these rows too; whichever comes first in step is sent.
    delivery.rows(sub, firstSeq + envelopes.length - 1, rows);
  }

  function refuse(frame: UpFrameOf<'put'>, nack: NackName): void {
    const sub = find(frame.h);
    if (sub) sayNack(sub, nack, sub.nextCtr);
    else say({ type: 'notMember', h: frame.h });
  }

  /** Sealed for a slot that is not this device's any more: the client learns its slot and seals anew. */
  function refuseSlot(sub: Subscription): void {
    sayState(sub);
    sayNack(sub, 'NO_SLOT', sub.nextCtr);
  }

  async function renewSlot(sub: Subscription): Promise<void> {
    if (await findSlot(sub)) sayState(sub);
  }

  async function findSlot(sub: Subscription): Promise<boolean> {
    const found = await store.slotOf(sub.conversation, account, device);
    if (sub.isGone) return false;
    if (!found) drop(sub);
    else takeSlot(sub, found);
    return found !== undefined;
  }

  function takeSlot(sub: Subscription, { slot, nextCtr }: { readonly slot: number; readonly nextCtr: number }): void {
    sub.slot = slot;
    sub.nextCtr = nextCtr;
  }

  async function newSlot({ h, from }: UpFrameOf<'newSlot'>): Promise<void> {
    const sub = await followed(h);
    if (!sub) return;
    const writing = write(sub, async () => {
      const next = await store.replaceSlot(sub.conversation, account, device, from);
      if (sub.isGone) return;
      if (!next) return drop(sub);
      takeSlot(sub, next);
      sub.claimedSlot = next.slot;
      sayState(sub);
    });
    await (writing ?? deps.shut('tooMany'));
  }

  function sayState(sub: Subscription): void {
    const { h, head, slot = 0, nextCtr, openSeg, logHeight } = sub;
    say({ type: 'state', h, head, slot, nextCtr, openSeg, logHeight, serverTime: clock.now() });
  }

  function sayNack(sub: Subscription, name: NackName, nextCtr: number): void {
    say({ type: 'nack', h: sub.h, code: nackCodes[name].code, nextCtr });
  }

  return { put, refuse, newSlot, findSlot, sayState };
}
