/** What the parts of sync share: the connection, the conversations, and the one way to run work for one. */
import type { Lineage } from '#lib/protocol/ids.ts';
import type { UpFrame } from '#lib/protocol/frame.ts';
import type { Live } from './live.ts';
import type { SyncDeps } from './types.ts';

export interface Context {
  readonly deps: SyncDeps;
  /** Runs work for a conversation in turn, unless the connection it was meant for is gone by then. */
  readonly task: (live: Live, work: () => Promise<void>) => void;
  readonly send: (frame: UpFrame) => boolean;
  readonly lineage: () => Lineage;
  /** Whether the connection this work began on still stands; ask after every await before touching `live`. */
  readonly isCurrent: (live: Live) => boolean;
  /** Says again where we are; the answer, or its absence, makes the conversation live. */
  readonly subscribe: (live: Live) => void;
  /** Something must come from the server soon, or we ask again. */
  readonly expect: (live: Live) => void;
  /** The state shown may have changed. */
  readonly changed: (live?: Live) => void;
}
