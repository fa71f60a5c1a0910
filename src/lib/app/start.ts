/**
 * Gives a page its engine: stands for election, starts the worker when elected, and connects.
 *
 * Exactly one tab of the profile hosts the engine, the holder of a Web Lock. The lock goes with the
 * tab, so when it closes or crashes the next in line starts its own within a moment.
 */
import { systemRandom } from '#lib/std/system.ts';
import { bytesToBase64url } from '#lib/std/bytes.ts';
import { connectTab } from './connect.ts';
import type { EngineEvent } from './engine-api.ts';
import engineUrl from './engine.worker.ts?worker&url';
import { followOutbox } from './background-sync.ts';
import { getApp, type EngineConnection } from './state.svelte.ts';
import { trustedScriptUrl } from './trusted.ts';
import { channelName, engineLockName, tabLockName, type Channel, type WireMessage } from './wire.ts';

export async function connectEngine(): Promise<EngineConnection> {
  if (!('locks' in navigator) || !('indexedDB' in globalThis) || typeof BroadcastChannel === 'undefined') return unusable('no-locks');
  const newKey = () => bytesToBase64url(systemRandom.bytes(16));
  const tab = newKey();
  let channel: Channel & BroadcastChannel;
  try {
    channel = new BroadcastChannel(channelName) as Channel & BroadcastChannel;
    await holdForLife(tabLockName(tab));
  } catch (error) {
    // A browser told to keep no site data refuses these first.
    if (error instanceof DOMException && error.name === 'SecurityError') return unusable('storage-blocked');
    throw error;
  }
  const connection = connectTab({ channel, tab, newKey, onTakeover: () => getApp().reopenChats() });
  void navigator.locks.request(engineLockName, () => {
    startWorker((message) => channel.dispatchEvent(new MessageEvent('message', { data: message })));
    return forever();
  });
  connection.subscribe(followOutbox());
  return connection;
}

/** Resolves once held; its release, with the tab, is how the engine learns that the tab is gone. */
function holdForLife(lock: string): Promise<void> {
  return new Promise((held, refused) => {
    navigator.locks.request(lock, () => {
      held();
      return forever();
    }).catch(refused);
  });
}

function startWorker(tellOwnTab: (message: WireMessage) => void): void {
  const worker = new Worker(trustedScriptUrl(engineUrl), { type: 'module', name: 'godwit-engine' });
  worker.addEventListener('error', (event) => tellOwnTab({ type: 'engine-failed', detail: event.message }));
}

function forever(): Promise<never> {
  return new Promise(() => {});
}

function unusable(reason: 'no-locks' | 'storage-blocked'): EngineConnection {
  const event: EngineEvent = { type: 'session', session: { type: 'unusable', reason } };
  return {
    api: new Proxy({} as EngineConnection['api'], { get: () => forever }),
    subscribe(listener) {
      listener(event);
      return () => {};
    },
  };
}
