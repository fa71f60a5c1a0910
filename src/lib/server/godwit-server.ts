/** What an open server is: the parts the endpoints and the sync node work with. `open.ts` builds it. */
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
