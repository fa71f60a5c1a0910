/**
 * The engine in Node, against a running server: for the seed, for tests, for anyone who wants a client
 * with no browser. Its database is in memory unless one is handed in.
 */
import { WebSocket } from 'ws';
import type { EngineApi, EngineEvent } from '#lib/app/engine-api.ts';
import { openEngine, type Engine } from '#lib/app/engine.ts';
import type { Platform } from '#lib/app/platform.ts';
import { socketLink, type SocketMaker } from '#lib/app/socket-link.ts';
import { createApiClient, createCookieFetch } from '#lib/identity/api-client.ts';
import { createWasmService } from '#lib/identity/wasm-service.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { Clock } from '#lib/std/clock.ts';
import { systemClock, systemRandom, systemTimers } from '#lib/std/system.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { openMemoryDatabase } from '#lib/storage/memory.ts';

export interface NodeEngine {
  readonly engine: Engine;
  readonly api: EngineApi;
  readonly events: EngineEvent[];
  /** Resolves once an event (past or coming) satisfies it. */
  readonly until: (what: string, predicate: (events: readonly EngineEvent[]) => boolean, ms?: number) => Promise<void>;
  readonly profile: Profile;
  readonly close: () => Promise<void>;
}

/** What a browser profile keeps: give the same one again to "open the browser again". */
export interface Profile {
  readonly databases: Map<AccountId, Database>;
  current: AccountId | undefined;
  fetch: typeof fetch;
}

export function createProfile(origin: string): Profile {
  return { databases: new Map(), current: undefined, fetch: createCookieFetch(fetch, origin) };
}

export async function openNodeEngine({ origin, profile = createProfile(origin), clock = systemClock, name = 'Node' }: {
  readonly origin: string; readonly profile?: Profile; readonly clock?: Clock; readonly name?: string;
}): Promise<NodeEngine> {
  const reports: unknown[] = [];
  class OriginSocket extends WebSocket {
    constructor(url: string) {
      super(url, { origin, perMessageDeflate: false });
    }
  }
  const platform: Platform = {
    clock, timers: systemTimers, random: systemRandom,
    api: createApiClient({ fetch: (input, init) => profile.fetch(input, init), origin }),
    link: socketLink(`${origin.replace(/^http/, 'ws')}/sync`, OriginSocket as unknown as SocketMaker),
    wasm: createWasmService(),
    async openRegistry() {
      return {
        current: async () => profile.current,
        async setCurrent(account) {
          profile.current = account;
        },
        async wipe(account) {
          profile.databases.delete(account);
          profile.current = undefined;
        },
        close() {},
      };
    },
    async openDatabase(account, options) {
      const held = profile.databases.get(account);
      if (!held && options?.expect === 'existing') throw new StorageError('evicted');
      const database = held ?? openMemoryDatabase();
      profile.databases.set(account, database);
      // A closed connection does not take the data along: the next opening finds it again.
      return { read: database.read, write: database.write, close() {} };
    },
    storage: undefined,
    digest: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)),
    origin,
    deviceName: name,
    report(what, error) {
      reports.push(error);
      process.stderr.write(`${name}: ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    },
  };
  const engine = await openEngine(platform);
  const events: EngineEvent[] = [];
  const waiters = new Set<() => void>();
  const { api, detach } = engine.attach((event) => {
    events.push(event);
    for (const look of waiters) look();
  });

  return {
    engine, api, events, profile,
    until(what, predicate, ms = 15_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(look);
          reject(new Error(`waited ${ms} ms for: ${what}`));
        }, ms);
        const look = () => {
          if (!predicate(events)) return;
          clearTimeout(timer);
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      });
    },
    async close() {
      detach();
      await engine.close();
    },
  };
}
