/** The signature first; see types.ts. */
import type { Sync, SyncDeps } from './types.ts';

export function openSync(deps: SyncDeps): Sync {
  throw new Error(`broken promise: sync is built before it is opened (${Object.keys(deps).length})`);
}
