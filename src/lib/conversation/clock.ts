/**
 * The bounded hybrid logical clock, and the order of entries (documents.md §7).
 *
 * A device stamps what it writes later than all it has read, in effective time: nobody pulls a clock
 * further than a minute past the server's, and nobody writes before they joined. The server's receipt
 * time travels in the row, so every device reaches the same effective time and the same order.
 */
import type { EntryId } from '#lib/protocol/ids.ts';
import type { Clock } from '#lib/std/clock.ts';
import { eventLimits } from './event-codec.ts';

/** How far ahead of its receipt an entry may claim to be written. */
export const aheadMsMax = 60_000;
/** An entry that took longer than this to arrive is shown as late. */
export const lateAfterMs = 120_000;

export interface Stamp {
  readonly t: number;
  readonly l: number;
}

/** What is kept on disk, in the transaction that puts a stamped entry into the outbox. */
export interface ClockState extends Stamp {
  /** Server time less local time, as last learnt. */
  readonly offset: number;
}

export const initialClockState: ClockState = { t: 0, l: 0, offset: 0 };

export interface HybridClock {
  /** This machine's time corrected by what the server said. */
  readonly now: () => number;
  /** For the next event. Keep `state()` with it. */
  readonly stamp: () => Stamp;
  /** An entry was read: pass its effective time, never the raw one. */
  readonly receive: (effective: number, l: number) => void;
  readonly learn: (serverTime: number) => void;
  readonly state: () => ClockState;
}

export function createHybridClock({ clock, state = initialClockState }: { readonly clock: Clock; readonly state?: ClockState }): HybridClock {
  let { t, l, offset } = state;
  const now = () => clock.now() + offset;
  return {
    now,
    stamp() {
      const wall = Math.max(0, Math.floor(now()));
      if (wall > t) [t, l] = [wall, 0];
      else if (l < eventLimits.logicalMax) l += 1;
      else [t, l] = [t + 1, 0];
      return { t, l };
    },
    receive(effective, logical) {
      if (effective > t) [t, l] = [effective, logical];
      else if (effective === t && logical > l) l = logical;
    },
    learn(serverTime) {
      offset = serverTime - clock.now();
      // Only a clock that ran ahead before we knew better is above this; receivers bound it just so.
      t = Math.min(t, serverTime + aheadMsMax);
    },
    state: () => ({ t, l, offset }),
  };
}

/** Stamps an event down that was written while this machine's clock ran ahead: done before sealing. */
export function boundStamp<E extends Stamp>(event: E, now: number): E {
  const latest = Math.max(0, Math.floor(now)) + aheadMsMax;
  return event.t <= latest ? event : { ...event, t: latest };
}

/** Where an entry stands in time for everybody: not after rt + a minute, not before its author joined. */
export function effectiveTime({ t, rt, joinRt }: { readonly t: number; readonly rt: number; readonly joinRt: number }): number {
  return Math.max(Math.min(t, rt + aheadMsMax), joinRt);
}

export function isLate({ t, rt }: { readonly t: number; readonly rt: number }): boolean {
  return rt - t > lateAfterMs;
}

/** Total: no two entries have the same. */
export interface OrderKey extends EntryId {
  readonly eff: number;
  readonly l: number;
}

export function compareOrder(a: OrderKey, b: OrderKey): number {
  return a.eff - b.eff || a.l - b.l || a.slot - b.slot || a.ctr - b.ctr;
}

/** Sorts with `<` as `compareOrder` sorts. 30 letters: 11 + 7 + 5 + 7 in base 36. */
export function orderText({ eff, l, slot, ctr }: OrderKey): string {
  return base36(eff, 11) + base36(l, 7) + base36(slot, 5) + base36(ctr, 7);
}

function base36(value: number, width: number): string {
  return value.toString(36).padStart(width, '0');
}
