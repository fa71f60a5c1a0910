/**
 * Watches over rows whose content the server has removed. A delete stands above what it removes, so a
 * removal that nobody's delete speaks of, after a minute online, is the server's own doing, and is shown.
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Timers } from '#lib/std/clock.ts';

export interface RemovalWatch {
  /** A removed row came: look in a minute. */
  readonly expect: (conversation: ConversationId) => void;
  readonly close: () => void;
}

export interface RemovalWatchDeps {
  readonly timers: Timers;
  /** Nothing is being caught up with. */
  readonly isOnline: () => boolean;
  /** Answers whether some still wait. */
  readonly judge: (conversation: ConversationId) => Promise<boolean>;
  readonly failed: (error: unknown) => void;
}

/** A delete comes within a moment of the removal it causes; a slow catch-up is waited for. */
export const proofMsMax = 60_000;

export function createRemovalWatch({ timers, isOnline, judge, failed }: RemovalWatchDeps): RemovalWatch {
  const waiting = new Map<ConversationId, () => void>();

  function expect(conversation: ConversationId): void {
    if (waiting.has(conversation)) return;
    waiting.set(conversation, timers.after(proofMsMax, () => void look(conversation).catch(failed)));
  }

  async function look(conversation: ConversationId): Promise<void> {
    waiting.delete(conversation);
    if (!isOnline() || await judge(conversation)) expect(conversation);
  }

  return {
    expect,
    close() {
      for (const cancel of waiting.values()) cancel();
      waiting.clear();
    },
  };
}
