/**
 * Which bus channels reach everybody in a conversation (infra.md §5): a channel per member account up
 * to `membersPerUserChannelMax`, one for the conversation above.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { BusChannel } from './bus/port.ts';
import { createCache } from './cache.ts';
import type { LogStore } from './store/port.ts';

/** Above it one publish per member costs more than what a shared channel costs its listeners. */
export const membersPerUserChannelMax = 64;
/** Conversations whose channels are kept; up to 64 names of about 60 bytes each. */
const conversationsKeptMax = 20_000;

export interface Fanout {
  readonly channelsOf: (conversation: ConversationId) => Promise<readonly BusChannel[]>;
  /** After the roster moved: the next call reads it anew. */
  readonly forget: (conversation: ConversationId) => void;
}

export function createFanout(store: Pick<LogStore, 'members'>): Fanout {
  const known = createCache<ConversationId, Promise<readonly BusChannel[]>>({ weightMax: conversationsKeptMax, weigh: () => 1 });

  async function read(conversation: ConversationId): Promise<readonly BusChannel[]> {
    return channelsFor(conversation, (await store.members(conversation)).map(({ account }) => account));
  }

  return {
    channelsOf(conversation) {
      const cached = known.get(conversation);
      if (cached) return cached;
      const reading = read(conversation);
      known.set(conversation, reading);
      // A failed read is told to everybody who waits for it, and is not kept.
      reading.catch(() => known.get(conversation) === reading && known.delete(conversation));
      return reading;
    },
    forget: known.delete,
  };
}

export function channelsFor(conversation: ConversationId, members: readonly AccountId[]): readonly BusChannel[] {
  if (members.length > membersPerUserChannelMax) return [`c:${conversation}`];
  return members.map((account): BusChannel => `u:${account}`);
}
