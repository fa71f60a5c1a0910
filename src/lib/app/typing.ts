/** Who writes right now, by signals that nobody keeps: each lasts a few seconds. */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Timers } from '#lib/std/clock.ts';
import type { EngineEvent } from './engine-api.ts';

export interface Typing {
  readonly start: (conversation: ConversationId, account: AccountId) => void;
  /** Their message came. */
  readonly stop: (conversation: ConversationId, accounts: readonly AccountId[]) => void;
  readonly who: (conversation: ConversationId) => readonly AccountId[];
  readonly close: () => void;
}

/** A signal is repeated every few seconds while somebody types; this outlasts one that got lost. */
const lastsMs = 6_000;

export function createTyping({ timers, tell, changed }: {
  readonly timers: Timers;
  readonly tell: (event: EngineEvent) => void;
  readonly changed: (conversation: ConversationId) => void;
}): Typing {
  const held = new Map<ConversationId, Map<AccountId, () => void>>();

  function told(conversation: ConversationId): void {
    tell({ type: 'typing', conversation, who: who(conversation) });
    changed(conversation);
  }

  function who(conversation: ConversationId): readonly AccountId[] {
    return [...(held.get(conversation)?.keys() ?? [])];
  }

  function end(conversation: ConversationId, account: AccountId): boolean {
    const writers = held.get(conversation);
    const cancel = writers?.get(account);
    cancel?.();
    writers?.delete(account);
    if (writers?.size === 0) held.delete(conversation);
    return cancel !== undefined;
  }

  return {
    who,
    start(conversation, account) {
      const fresh = !end(conversation, account);
      const writers = held.get(conversation) ?? new Map<AccountId, () => void>();
      held.set(conversation, writers);
      writers.set(account, timers.after(lastsMs, () => {
        end(conversation, account);
        told(conversation);
      }));
      if (fresh) told(conversation);
    },
    stop(conversation, accounts) {
      const ended = accounts.filter((account) => end(conversation, account));
      if (ended.length > 0) told(conversation);
    },
    close() {
      for (const writers of held.values()) for (const cancel of writers.values()) cancel();
      held.clear();
    },
  };
}
