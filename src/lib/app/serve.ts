/**
 * The engine's end of the wire: every tab that attaches gets the API and the present state, then all
 * that happens. A tab that dies lets go of its lock, which is how it is forgotten here.
 */
import { expose } from 'comlink';
import type { EngineApi, EngineEvent } from './engine-api.ts';
import { channelEndpoint, tabLockName, type Channel, type WireMessage } from './wire.ts';

export interface Attachable {
  /** Tells the present state at once, then every change. */
  readonly attach: (listener: (event: EngineEvent) => void) => { readonly api: EngineApi; readonly detach: () => void };
}

export interface ServeDeps {
  readonly channel: Channel;
  readonly generation: string;
  readonly engine: Attachable;
  /** Resolves when the holder of this lock is gone. */
  readonly whenReleased: (lock: string) => Promise<void>;
}

/** Announces the engine and serves until the worker ends; there is no un-serving. */
export function serveEngine({ channel, generation, engine, whenReleased }: ServeDeps): void {
  const attached = new Set<string>();
  channel.addEventListener('message', (event) => {
    const message = event.data as WireMessage;
    if (message.type === 'who') channel.postMessage({ type: 'engine', generation });
    if (message.type === 'attach' && message.generation === generation && !attached.has(message.tab)) attach(message.tab);
  });
  channel.postMessage({ type: 'engine', generation });

  function attach(tab: string): void {
    attached.add(tab);
    const { api, detach } = engine.attach((event) => channel.postMessage({ type: 'event', generation, tab, event }));
    expose(api, channelEndpoint(channel, generation, tab));
    void whenReleased(tabLockName(tab)).then(() => {
      attached.delete(tab);
      detach();
    });
  }
}
