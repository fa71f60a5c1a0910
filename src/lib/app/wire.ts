/**
 * How tabs and the engine find each other: one BroadcastChannel of the origin.
 *
 * The engine announces itself by a generation; a tab attaches to a generation and talks to it until
 * another one announces itself. Calls travel by Comlink over an endpoint that is this channel,
 * filtered to the two ends; what the engine tells on its own accord travels as `event` messages.
 */
import type { Endpoint } from 'comlink';
import type { EngineEvent } from './engine-api.ts';

export const channelName = 'godwit';
/** Whoever holds it hosts the engine; the service worker takes it to flush when nobody does. */
export const engineLockName = 'godwit-engine';
/** Held by a tab for its whole life, so the engine learns when it is gone. */
export const tabLockName = (tab: string) => `godwit-tab-${tab}`;

export type WireMessage =
  | { readonly type: 'who' }
  | { readonly type: 'engine'; readonly generation: string }
  /** The engine cannot run in this browser. */
  | { readonly type: 'engine-failed'; readonly detail: string }
  | { readonly type: 'attach'; readonly generation: string; readonly tab: string }
  | { readonly type: 'event'; readonly generation: string; readonly tab: string; readonly event: EngineEvent }
  | { readonly type: 'call'; readonly from: string; readonly to: string; readonly data: unknown };

/** The part of a BroadcastChannel we use; a test hands out its own. */
export interface Channel {
  readonly postMessage: (message: WireMessage) => void;
  readonly addEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void;
  readonly removeEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void;
}

/** A Comlink endpoint between `me` and `peer`, both names on the channel. */
export function channelEndpoint(channel: Channel, me: string, peer: string): Endpoint {
  const wrapped = new Map<EventListenerOrEventListenerObject, (event: MessageEvent) => void>();
  return {
    postMessage(data: unknown) {
      channel.postMessage({ type: 'call', from: me, to: peer, data });
    },
    addEventListener(_type: string, listener: EventListenerOrEventListenerObject) {
      const inner = (event: MessageEvent) => {
        const message = event.data as WireMessage;
        if (message.type !== 'call' || message.to !== me || message.from !== peer) return;
        const own = new MessageEvent('message', { data: message.data });
        if (typeof listener === 'function') listener(own);
        else listener.handleEvent(own);
      };
      wrapped.set(listener, inner);
      channel.addEventListener('message', inner);
    },
    removeEventListener(_type: string, listener: EventListenerOrEventListenerObject) {
      const inner = wrapped.get(listener);
      if (!inner) return;
      wrapped.delete(listener);
      channel.removeEventListener('message', inner);
    },
  };
}
