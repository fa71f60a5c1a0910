/** Where the one open server of this process is found by code bundled apart from it. */
import type { GodwitServer } from './godwit-server.ts';

const place = Symbol.for('godwit.server');
type Shared = { [place]?: GodwitServer | undefined };

export function shareServer(server: GodwitServer | undefined): void {
  (globalThis as Shared)[place] = server;
}

export function sharedServer(): GodwitServer | undefined {
  return (globalThis as Shared)[place];
}
