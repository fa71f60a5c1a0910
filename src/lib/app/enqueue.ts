/** One way into the outbox: stamps an event, seals it for this device, and stores it with the clock. */
import type { HybridClock } from '#lib/conversation/clock.ts';
import { encodeWaitingEvent } from '#lib/conversation/event-codec.ts';
import type { Event } from '#lib/conversation/event.ts';
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import type { ReadTx } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { Sync } from '#lib/sync/types.ts';

type Unstamped<E> = E extends unknown ? Omit<E, 't' | 'l'> : never;
export type EventToSend = Unstamped<Event>;

export const hybridClockKey = 'clock';
const callKeysKey = 'calls';
/** Keys of calls already carried out: enough for everything a dying tab could ask again. */
const keysKeptMax = 64;
type CallKeys = readonly (readonly [key: string, entry: EntryId])[];

export interface EnqueueDeps {
  readonly clock: HybridClock;
  readonly sealer: Sealer;
  readonly sync: Sync;
}

/** Durable when it resolves. `key` names the call, so asking again finds what it made. */
export async function enqueueEvent({ clock, sealer, sync }: EnqueueDeps, conversation: ConversationId, event: EventToSend, key?: string): Promise<EntryId> {
  const stamped = { ...event, ...clock.stamp() } as Event;
  const sealedEvent = await sealer.seal('outbox', conversation, encodeWaitingEvent(stamped));
  return sync.enqueue(conversation, { sealedEvent, createdAt: stamped.t }, {
    stores: ['kv'],
    async write(tx, entry) {
      await tx.put('kv', hybridClockKey, clock.state());
      if (key === undefined) return;
      const keys = ((await tx.get('kv', callKeysKey)) as CallKeys | undefined) ?? [];
      await tx.put('kv', callKeysKey, [...keys, [key, entry]].slice(-keysKeptMax));
    },
  });
}

/** The entry a call with this key made, if it was carried out before. */
export async function madeByKey(tx: ReadTx, key: string): Promise<EntryId | undefined> {
  const keys = ((await tx.get('kv', callKeysKey)) as CallKeys | undefined) ?? [];
  return keys.find(([one]) => one === key)?.[1];
}
