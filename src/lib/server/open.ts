/**
 * Builds the server's half of every room, in order, and closes it in reverse. The endpoints and the
 * sync node both start here; nothing below it reads a clock, a random source or the environment.
 *
 * In production `sync-server/main.ts` opens it once and shares it with the Kit handler, which is a
 * separate bundle in the same process; under `vite dev` `hooks.server.ts` opens it itself.
 */
import { join } from 'node:path';
import type { Clock } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import { systemClock, systemRandom } from '#lib/std/system.ts';
import { createAccounts, type Accounts } from './accounts.ts';
import { createInProcessBus } from './bus/in-process.ts';
import type { Bus } from './bus/port.ts';
import { isHttps, type Config } from './config.ts';
import { createEntries } from './entries.ts';
import { createFanout } from './fanout.ts';
import type { GodwitServer } from './godwit-server.ts';
import { createGroups } from './groups.ts';
import { createIdentity, type Identity } from './identity/identity.ts';
import { makeOpaqueServerSetup, openPasswords, type OpaqueServer } from './identity/passwords.ts';
import { createSessions } from './identity/sessions.ts';
import { makeSyncTokenKey, openSyncTokens } from './identity/sync-token.ts';
import { createLimits } from './limits.ts';
import { createLog, type Log } from './log.ts';
import { databaseFile, openSecrets, type Secrets } from './secrets.ts';
import { StartFault } from './start-fault.ts';
import { StoreFault } from './store/fault.ts';
import type { Store } from './store/port.ts';
import { openSqliteStore } from './store/sqlite.ts';

export { readConfig, type Config } from './config.ts';
export type { GodwitServer } from './godwit-server.ts';
export { shareServer, sharedServer } from './shared.ts';
export { StartFault } from './start-fault.ts';

const relaxedFactor = 1_000;
/** Expired sessions are refused anyway; this only keeps the table small. */
const expirySweepMs = 60 * 60_000;

/** Throws StartFault, whose message is one clear line, when it cannot start. */
export async function openServer(config: Config): Promise<GodwitServer> {
  const log = createLog(config.logLevel);
  const secrets = await openSecrets(config.dataDir, { makeOpaqueServerSetup, makeSyncTokenKey });
  const store = await openStore(config);
  try {
    const server = await assemble({ config, log, store, secrets, bus: createInProcessBus({ report: reporter(log, 'a bus listener failed') }), clock: systemClock, random: systemRandom });
    const sweep = setInterval(() => void store.deleteExpiredSessions(systemClock.now()).catch(reporter(log, 'expired sessions stay until the next sweep')), expirySweepMs).unref();
    return {
      ...server,
      async close() {
        clearInterval(sweep);
        await server.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

export interface Parts {
  readonly config: Config;
  readonly log: Log;
  readonly store: Store;
  readonly bus: Bus;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly opaque?: OpaqueServer;
}

/** The same server over parts that are handed in: tests and the simulation bring their own. */
export async function assemble({ config, log, store, bus, secrets, clock, random, opaque }: Parts): Promise<GodwitServer> {
  const limits = createLimits(random, config.limits === 'relaxed' ? relaxedFactor : 1);
  const fanout = createFanout(store);
  const passwords = await openOrRefuse(() => openPasswords({ serverSetup: secrets.opaqueServerSetup, clock, random, ...(opaque && { opaque }) }), 'opaque-server-setup');
  const tokens = await openOrRefuse(() => openSyncTokens(secrets.syncTokenKey, clock), 'sync-token-key.json');
  const sessions = createSessions({ store, clock, secure: isHttps(config) });

  const accounts: Accounts = createAccounts({
    store, bus, clock, limits, isRecord: passwords.isRecord,
    endDevice: (account, device) => identity.endDevice(account, device),
  });
  const identity: Identity = createIdentity({ store, bus, clock, limits, passwords, sessions, tokens, accountState: accounts.state });
  const groups = createGroups({ store, accounts, bus, fanout, clock, limits, report: reporter(log, 'a group change was stored and not announced') });
  const entries = createEntries({ store, bus, fanout, limits, clock, report: reporter(log, 'entries were stored and not announced') });

  return {
    config, log, clock, store, bus, identity, accounts, groups, entries, fanout, limits,
    async close() {
      await bus.close();
      await store.close();
    },
  };
}

async function openStore(config: Config): Promise<Store> {
  const path = join(config.dataDir, databaseFile);
  try {
    return await openSqliteStore({ path });
  } catch (error) {
    if (error instanceof StoreFault) throw new StartFault(error.reason === 'not-writable' ? 'not-writable' : 'store', `cannot open ${path}: ${error.message}`);
    throw error;
  }
}

async function openOrRefuse<T>(open: () => Promise<T>, file: string): Promise<T> {
  try {
    return await open();
  } catch {
    throw new StartFault('secrets', `secrets/${file} is damaged: restore it from the backup`); // the cause may quote the key
  }
}

function reporter(log: Log, doing: string): (error: unknown) => void {
  return (error) => log.error({ err: error }, doing);
}
