/** The platform of a browser's worker: same-origin fetch and socket, IndexedDB, and the wasm worker. */
import { createApiClient } from '#lib/identity/api-client.ts';
import { openWasmWorker } from '#lib/identity/wasm-service.ts';
import wasmUrl from '#lib/identity/wasm.worker.ts?worker&url';
import { systemClock, systemRandom, systemTimers } from '#lib/std/system.ts';
import { openAccountDatabase } from '#lib/storage/open.ts';
import { openRegistry } from '#lib/storage/registry.ts';
import type { Platform } from './platform.ts';
import { socketLink } from './socket-link.ts';
import { trustedScriptUrl } from './trusted.ts';

export function browserPlatform(): Platform {
  return {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    api: createApiClient({ fetch: (input, init) => fetch(input, init), origin: '' }),
    link: socketLink(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/sync`, WebSocket),
    wasm: openWasmWorker(() => new Worker(trustedScriptUrl(wasmUrl), { type: 'module', name: 'godwit-wasm' })),
    openRegistry,
    openDatabase: openAccountDatabase,
    storage: navigator.storage,
    digest: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)),
    origin: location.origin,
    deviceName: describeDevice(navigator.userAgent),
    report: (what, error) => console.error(`godwit: ${what}`, error),
  };
}

/** "Firefox on Linux": enough to tell one's own devices apart. */
export function describeDevice(agent: string): string {
  const browsers: readonly [mark: RegExp, name: string][] = [[/Firefox\//, 'Firefox'], [/Edg\//, 'Edge'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']];
  const systems: readonly [mark: RegExp, name: string][] = [[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']];
  const name = (list: typeof browsers, other: string) => list.find(([mark]) => mark.test(agent))?.[1] ?? other;
  return `${name(browsers, 'Browser')} on ${name(systems, 'this device')}`;
}
