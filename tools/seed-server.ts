/**
 * A whole server in this process on a clock that is handed in, so a seeded world can have a past:
 * the store, the endpoints of the built app and the sync node are those of `npm start`.
 *
 * It listens on a free port of 127.0.0.1, and rate limits are relaxed, because one machine plays everybody.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createInProcessBus } from '#lib/server/bus/in-process.ts';
import { readConfig } from '#lib/server/config.ts';
import { headersFor } from '#lib/server/headers.ts';
import { makeOpaqueServerSetup } from '#lib/server/identity/passwords.ts';
import { makeSyncTokenKey } from '#lib/server/identity/sync-token.ts';
import { createLog } from '#lib/server/log.ts';
import { assemble, shareServer } from '#lib/server/open.ts';
import { databaseFile, openSecrets } from '#lib/server/secrets.ts';
import { openSqliteStore } from '#lib/server/store/sqlite.ts';
import { systemRandom } from '#lib/std/system.ts';
import type { Clock } from '#lib/std/clock.ts';
import { createGateway, gatewayLimits } from '../sync-server/gateway.ts';
import { createHttpServer, type KitHandler } from '../sync-server/http.ts';
import { lockFolder } from '../sync-server/lock.ts';
import { createSyncNode } from '../sync-server/node.ts';

export interface SeedServer {
  readonly address: string;
  readonly stop: () => Promise<void>;
}

const manyTimes = { burst: 1e9, perSecond: 1e9 };

export async function startSeedServer({ dataDir, buildDir, clock }: { readonly dataDir: string; readonly buildDir: string; readonly clock: Clock }): Promise<SeedServer> {
  mkdirSync(dataDir, { recursive: true });
  const config = readConfig({ DATA_DIR: dataDir, PORT: '0', LIMITS: 'relaxed', LOG_LEVEL: 'warn' }, process.cwd());
  const lock = lockFolder(config.dataDir);
  const secrets = await openSecrets(config.dataDir, { makeOpaqueServerSetup, makeSyncTokenKey });
  const log = createLog(config.logLevel);
  const store = await openSqliteStore({ path: join(config.dataDir, databaseFile) });
  const server = await assemble({ config, log, store, secrets, clock, random: systemRandom, bus: createInProcessBus({ report: (error) => log.error(error) }) });
  shareServer(server);
  Object.assign(process.env, { PROTOCOL_HEADER: 'x-forwarded-proto', BODY_SIZE_LIMIT: '1048576' });
  const { handler } = (await import(pathToFileURL(join(buildDir, 'handler.js')).href)) as { readonly handler: KitHandler };
  const node = createSyncNode(server, { schedule: setImmediate, limits: { frames: manyTimes, entries: manyTimes, ephemerals: manyTimes } });
  const gateway = createGateway({ node, origin: undefined, limits: { connectionsPerAddressMax: gatewayLimits.connectionsMax } });
  const http = createHttpServer({ gateway, kit: handler, headersFor: (path) => headersFor(path, { https: false }), isBehindProxy: false, isReady: async () => true });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    address: `http://localhost:${(http.address() as AddressInfo).port}`,
    async stop() {
      await gateway.drain();
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
      shareServer(undefined);
      await server.close();
      lock.release();
    },
  };
}

export function hasAccounts(dataDir: string): boolean {
  return existsSync(join(dataDir, databaseFile));
}
