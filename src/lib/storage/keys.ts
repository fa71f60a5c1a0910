/** Order and ranges of keys, as IndexedDB compares them: numbers, then texts, then arrays part by part. */
import type { ConversationId } from '#lib/protocol/ids.ts';

export type Key = string | number | readonly (string | number)[];

export function compareKeys(a: Key, b: Key): number {
  if (typeof a !== typeof b) return rank(a) - rank(b);
  if (typeof a === 'number') return a - (b as number);
  if (typeof a === 'string') return a < (b as string) ? -1 : a > (b as string) ? 1 : 0;
  const other = b as readonly (string | number)[];
  for (let i = 0; i < a.length && i < other.length; i++) {
    const order = compareKeys(a[i]!, other[i]!);
    if (order !== 0) return order;
  }
  return a.length - other.length;
}

function rank(key: Key): number {
  return typeof key === 'number' ? 0 : typeof key === 'string' ? 1 : 2;
}

/** Everything of one conversation in a store keyed (conversation, number). */
export function ofConversation(conversation: ConversationId, from = 0, to = Infinity): { from: [ConversationId, number]; to: [ConversationId, number] } {
  return { from: [conversation, from], to: [conversation, to] };
}

/** The same for stores keyed (conversation, slot, ctr). */
export function entriesOfConversation(conversation: ConversationId): { from: [ConversationId, number, number]; to: [ConversationId, number, number] } {
  return { from: [conversation, 0, 0], to: [conversation, Infinity, Infinity] };
}
