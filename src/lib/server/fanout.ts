/**
 * Which bus channels reach everybody in a conversation (infra.md §5): a channel per member account up
 * to `membersPerUserChannelMax`, one for the conversation above.
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { BusChannel } from './bus/port.ts';

export const membersPerUserChannelMax = 64;

export interface Fanout {
  readonly channelsOf: (conversation: ConversationId) => Promise<readonly BusChannel[]>;
  /** After the roster moved: the next call reads it anew. */
  readonly forget: (conversation: ConversationId) => void;
}
