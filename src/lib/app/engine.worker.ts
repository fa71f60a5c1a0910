/** The engine's worker: builds the engine on this browser and serves it to every tab. */
import { bytesToBase64url } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { browserPlatform } from './browser-platform.ts';
import { openEngine } from './engine.ts';
import { serveEngine } from './serve.ts';
import { channelName, type Channel, type WireMessage } from './wire.ts';

const channel = new BroadcastChannel(channelName) as Channel & BroadcastChannel;

function whenReleased(lock: string): Promise<void> {
  return navigator.locks.request(lock, () => undefined);
}

openEngine(browserPlatform()).then(
  (engine) => serveEngine({ channel, generation: bytesToBase64url(systemRandom.bytes(12)), engine, whenReleased }),
  (error: unknown) => {
    const failed: WireMessage = { type: 'engine-failed', detail: error instanceof Error ? error.name : 'unknown' };
    channel.postMessage(failed);
    throw error; // the browser's console has the whole of it
  },
);
