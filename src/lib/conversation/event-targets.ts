/**
 * Targets of events that waited in the outbox.
 *
 * While a device has no slot in a conversation, its own entries are named with slot 0. When it sends,
 * and when it had to take a new slot, such names become the real ones.
 */
import type { EntryId } from '#lib/protocol/ids.ts';
import type { Event } from './event.ts';

/**
 * `renumber` says where an own entry went that moved to another slot or ctr; it sees targets as they
 * wait, slot 0 included. What is left with slot 0 is in `ownSlot`.
 */
export function resolveOwnTargets<E extends Event>(event: E, ownSlot: number, renumber: (target: EntryId) => EntryId = (target) => target): E {
  const resolve = (target: EntryId): EntryId => {
    const { slot, ctr } = renumber(target);
    return { slot: slot === 0 ? ownSlot : slot, ctr };
  };
  if ('target' in event) return { ...event, target: resolve(event.target) };
  if (event.kind === 'message' && event.replyTo) return { ...event, replyTo: resolve(event.replyTo) };
  return event;
}

/** What an event names, if anything. */
export function targetOf(event: Event): EntryId | undefined {
  return 'target' in event ? event.target : event.kind === 'message' ? event.replyTo : undefined;
}
