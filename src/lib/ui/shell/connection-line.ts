/** What the line about the network says, from the socket's state and the server session's. */
import type { Connection, SessionState } from '#lib/app/engine-api.ts';

/** An ended session is why it does not connect, whichever of the two was told first. */
export function lineConnection(connection: Connection, session: SessionState): Connection {
  const expired = session.type === 'signed-in' && session.serverSession === 'expired';
  return expired && connection.state !== 'offline' && connection.state !== 'update-needed' ? { ...connection, state: 'sign-in-needed' } : connection;
}

/** Passing states are shown only when they last: most connections take a fraction of this. */
export const quietMs = 1_200;

export function isPassing(connection: Connection): boolean {
  return connection.state === 'connecting' || connection.state === 'catching-up';
}
