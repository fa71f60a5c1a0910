/**
 * Joins one open server with the sockets of this node: what every connection shares is made once.
 */
import { createConnection, type Claims, type Connection, type ConnectionLimits } from './connection.ts';
import { createFanout } from './fanout.ts';
import { createTurn, type Turn } from './turn.ts';
import type { CloseName } from '#lib/protocol/codes.ts';
import type { GodwitServer } from '#lib/server/open.ts';

/** What a socket offers its connection. */
export interface Link {
  readonly send: (frame: Uint8Array) => void;
  readonly close: (name: CloseName) => void;
  readonly bufferedBytes: () => number;
}

export interface SyncNode {
  readonly connect: (link: Link) => Connection;
  readonly turn: Turn;
}

export type ServerForSync = Pick<GodwitServer, 'store' | 'bus' | 'clock' | 'log' | 'entries' | 'identity' | 'fanout'>;

export interface SyncNodeOptions {
  /** Runs a task when the present event-loop turn has read what there was. */
  readonly schedule: (task: () => void) => void;
  readonly limits?: Partial<ConnectionLimits>;
}

export function createSyncNode(server: ServerForSync, { schedule, limits = {} }: SyncNodeOptions): SyncNode {
  const { store, bus, clock, log, entries, identity } = server;
  const turn = createTurn(schedule);
  const fanout = createFanout({ store, bus, defer: turn.write, rosterMoved: server.fanout.forget });

  async function stillAdmitted({ account, device, sessionHash }: Claims): Promise<boolean> {
    const session = await store.session(sessionHash);
    return session !== undefined && session.account === account && session.device === device && session.expiresAt > clock.now();
  }

  return {
    turn,
    connect: (link) => createConnection({
      ...link, store, bus, clock, fanout, limits, stillAdmitted,
      put: entries.put,
      verifyToken: identity.verifySyncToken,
      defer: turn.deliver,
      report: (doing, error) => log.error({ err: error }, `${doing} failed; the connection ends and the client returns`),
    }),
  };
}
