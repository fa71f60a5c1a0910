/**
 * The bus of one process: a message reaches every listener of its channels in a later microtask, so a
 * publisher never runs its readers' code. It loses nothing, and so never calls a gap.
 */
import type { Bus, BusChannel, BusMessage } from './port.ts';

export interface InProcessBusDeps {
  /** A listener's fault is told here and stops nobody else. */
  readonly report: (error: unknown) => void;
}

export function createInProcessBus({ report }: InProcessBusDeps): Bus {
  type Listener = (message: BusMessage) => void;
  const subscriptions = new Map<BusChannel, Set<{ readonly listener: Listener }>>();
  let isClosed = false;

  function deliver(channels: readonly BusChannel[], message: BusMessage): void {
    const reached = new Set<Listener>(); // who listens to several of the channels hears it once
    for (const channel of channels) for (const { listener } of subscriptions.get(channel) ?? []) reached.add(listener);
    for (const listener of reached) {
      try {
        listener(message);
      } catch (error) {
        report(error);
      }
    }
  }

  return {
    publish(channels, message) {
      if (!isClosed) queueMicrotask(() => deliver(channels, message));
    },
    subscribe(channel, listener) {
      const own = { listener }; // one per subscription, also when the same function subscribes twice
      const here = subscriptions.get(channel) ?? new Set();
      subscriptions.set(channel, here.add(own));
      return () => {
        here.delete(own);
        if (here.size === 0 && subscriptions.get(channel) === here) subscriptions.delete(channel);
      };
    },
    onGap: () => () => {},
    async close() {
      isClosed = true;
      subscriptions.clear();
    },
  };
}
