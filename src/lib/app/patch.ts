/**
 * Laying what the engine says over what a tab holds. Pure; every answer is a new array.
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { ChatSummary, TimelineItem } from './engine-api.ts';

/**
 * Items by `order`, with these put in or replaced and those taken away. Cheap for the common case:
 * a few items that belong at the end, or a run of older ones that belongs before all.
 */
export function patchItems(items: readonly TimelineItem[], upsert: readonly TimelineItem[], remove: readonly string[]): readonly TimelineItem[] {
  if (upsert.length === 0 && remove.length === 0) return items;
  const fresh = new Map(upsert.map((item) => [item.id, item]));
  const gone = new Set(remove);
  const kept: TimelineItem[] = [];
  for (const item of items) {
    const next = fresh.get(item.id);
    if (next !== undefined) {
      // Unchanged place: replace where it stands, so the merge below stays short.
      if (next.order === item.order) {
        kept.push(next);
        fresh.delete(item.id);
      }
    } else if (!gone.has(item.id)) kept.push(item);
  }
  const added = [...fresh.values()].sort(byOrder);
  if (added.length === 0) return kept;
  return mergeByOrder(kept, added);
}

function mergeByOrder(a: readonly TimelineItem[], b: readonly TimelineItem[]): TimelineItem[] {
  const out: TimelineItem[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) out.push(byOrder(a[i]!, b[j]!) <= 0 ? a[i++]! : b[j++]!);
  while (i < a.length) out.push(a[i++]!);
  while (j < b.length) out.push(b[j++]!);
  return out;
}

function byOrder(a: TimelineItem, b: TimelineItem): number {
  return a.order < b.order ? -1 : a.order > b.order ? 1 : 0;
}

/** Pinned chats first, then the newest; equal times by id, so the order never flickers. */
export function byPlaceInList(a: ChatSummary, b: ChatSummary): number {
  if (a.pinned !== b.pinned) return a.pinned ? -1 : 1;
  if (a.lastAt !== b.lastAt) return b.lastAt - a.lastAt;
  return a.conversation < b.conversation ? -1 : 1;
}

export function patchChats(
  chats: readonly ChatSummary[],
  patch: { readonly reset: boolean; readonly upsert: readonly ChatSummary[]; readonly remove: readonly ConversationId[] },
): readonly ChatSummary[] {
  const byId = new Map(patch.reset ? [] : chats.map((chat) => [chat.conversation, chat]));
  for (const id of patch.remove) byId.delete(id);
  for (const chat of patch.upsert) byId.set(chat.conversation, chat);
  return [...byId.values()].sort(byPlaceInList);
}
