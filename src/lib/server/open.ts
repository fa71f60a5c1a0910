/**
 * Builds the server's half of every room, in order, and closes it in reverse. The endpoints and the
 * sync node both start here; nothing below it reads a clock, a random source or the environment.
 *
 * In production `sync-server/main.ts` opens it once and shares it with the Kit handler, which is a
 * separate bundle in the same process; under `vite dev` `hooks.server.ts` opens it itself.
 */
import type { Clock } from '#lib/std/clock.ts';
import type { Accounts } from './accounts.ts';
import type { Bus } from './bus/port.ts';
import type { Config } from './config.ts';
import type { Entries } from './entries.ts';
import type { Fanout } from './fanout.ts';
import type { Groups } from './groups.ts';
import type { Identity } from './identity/identity.ts';
import type { ServerLimits } from './limits.ts';
import type { Log } from './log.ts';
import type { Store } from './store/port.ts';

export { shareServer, sharedServer } from './shared.ts';

export interface GodwitServer {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly store: Store;
  readonly bus: Bus;
  /** Sessions, passwords, recovery, sync tokens. */
  readonly identity: Identity;
  /** Account logs, vaults, profiles, handles. */
  readonly accounts: Accounts;
  /** Group logs, replayed and checked before they are appended. */
  readonly groups: Groups;
  /** The one way entries get into the store: parse, limit, append, publish. */
  readonly entries: Entries;
  /** Which bus channels reach a conversation. */
  readonly fanout: Fanout;
  readonly limits: ServerLimits;
  readonly close: () => Promise<void>;
}

/** Throws StartFault, whose message is one clear line, when it cannot start. */
export async function openServer(config: Config): Promise<GodwitServer> {
  throw new Error(`broken promise: the server opens on ${config.port}`);
}
