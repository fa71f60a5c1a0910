/**
 * A tab's end of the wire. It always talks to the newest engine: when another tab takes over, it
 * attaches again and asks again whatever had no answer yet. So a call may be carried out twice;
 * every call of EngineApi bears that, `sendText` by its key.
 */
import { wrap, type Remote } from 'comlink';
import type { EngineApi, EngineEvent } from './engine-api.ts';
import { channelEndpoint, type Channel, type WireMessage } from './wire.ts';

export interface TabDeps {
  readonly channel: Channel;
  readonly tab: string;
  readonly newKey: () => string;
  /** Called when an engine other than the first answers: open chats must be asked for again. */
  readonly onTakeover: () => void;
}

export interface TabConnection {
  readonly api: EngineApi;
  readonly subscribe: (listener: (event: EngineEvent) => void) => () => void;
}

interface Generation {
  readonly name: string;
  readonly remote: Remote<EngineApi>;
  readonly lost: Promise<'lost'>;
  readonly lose: () => void;
}

export function connectTab({ channel, tab, newKey, onTakeover }: TabDeps): TabConnection {
  const listeners = new Set<(event: EngineEvent) => void>();
  /** What was told before anybody listened: the present state, a handful of events. */
  let early: EngineEvent[] = [];
  let current: Generation | undefined;
  let awaited = defer<Generation>();

  channel.addEventListener('message', (event) => {
    const message = event.data as WireMessage;
    if (message.type === 'engine' && message.generation !== current?.name) take(message.generation);
    if (message.type === 'engine-failed' && !current) tell({ type: 'session', session: { type: 'unusable', reason: 'failed' } });
    if (message.type === 'event' && message.tab === tab && message.generation === current?.name) tell(message.event);
  });
  channel.postMessage({ type: 'who' });

  function take(name: string): void {
    const before = current;
    const lost = defer<'lost'>();
    current = {
      name,
      remote: wrap<EngineApi>(channelEndpoint(channel, tab, name)),
      lost: lost.promise,
      lose: () => lost.resolve('lost'),
    };
    channel.postMessage({ type: 'attach', generation: name, tab });
    awaited.resolve(current);
    awaited = defer();
    before?.lose();
    if (before) onTakeover();
  }

  function tell(event: EngineEvent): void {
    if (listeners.size === 0) early.push(event);
    for (const listener of listeners) listener(event);
  }

  async function call(method: keyof EngineApi, args: readonly unknown[]): Promise<unknown> {
    for (;;) {
      const generation = current ?? (await awaited.promise);
      const remote = generation.remote[method] as (...args: readonly unknown[]) => Promise<unknown>;
      const answer = await Promise.race([remote(...args), generation.lost]);
      if (answer !== 'lost' || generation === current) return answer;
    }
  }

  const api = new Proxy({} as EngineApi, {
    get: (_target, method) => {
      if (typeof method !== 'string' || method === 'then') return undefined;
      return (...args: readonly unknown[]) => call(method as keyof EngineApi, method === 'sendText' ? keyed(args) : args);
    },
  });

  function keyed([conversation, input]: readonly unknown[]): readonly unknown[] {
    return [conversation, { key: newKey(), ...(input as object) }];
  }

  return {
    api,
    subscribe(listener) {
      listeners.add(listener);
      const missed = early;
      early = [];
      for (const event of missed) listener(event);
      return () => listeners.delete(listener);
    },
  };
}

function defer<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
