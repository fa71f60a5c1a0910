/**
 * What a connection is given and what it gives; connection.ts keeps it.
 */
import type { CloseName } from '#lib/protocol/codes.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bus } from '#lib/server/bus/port.ts';
import type { Entries } from '#lib/server/entries.ts';
import type { Store } from '#lib/server/store/port.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { Result } from '#lib/std/result.ts';
import type { BucketRule } from './bucket.ts';
import type { Fanout } from './fanout.ts';

export interface Connection {
  /** Resolves when everything this frame asked for has been answered. */
  readonly receive: (data: Uint8Array) => Promise<void>;
  /** The socket's queue has emptied: what was held back goes on. */
  readonly bufferDrained: () => void;
  /** The socket is gone. */
  readonly closed: () => void;
  /** Resolves when nothing is under way. */
  readonly idle: () => Promise<void>;
  /** Whether HELLO was accepted. */
  readonly isOpen: () => boolean;
}

export interface Claims {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly sessionHash: string;
}

export interface ConnectionDeps {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly fanout: Fanout;
  /** Parses, limits, appends and publishes; `ok` means on disk. */
  readonly put: Entries['put'];
  readonly verifyToken: (token: string) => Promise<Result<Claims, unknown>>;
  /** Whether the session that opened this socket still lives with its device. */
  readonly stillAdmitted: (claims: Claims) => Promise<boolean>;
  readonly send: (frame: Uint8Array) => void;
  readonly close: (name: CloseName) => void;
  readonly bufferedBytes: () => number;
  /** Runs a task once everything that arrived in this turn has been handled. */
  readonly defer: (task: () => void) => void;
  /** A fault of ours, for the log. */
  readonly report: (doing: string, error: unknown) => void;
  readonly limits?: Partial<ConnectionLimits>;
}

export interface ConnectionLimits {
  /** Rows are read from the store only below this many bytes queued. */
  readonly queuedBytesPause: number;
  /** Rows of one frame, and bytes of their envelopes. */
  readonly rowsPerFrame: number;
  readonly rowBytesPerFrame: number;
  /** Conversations read from the store at once. */
  readonly readsAtOnce: number;
  /** PUTs and slot changes waiting in one conversation; an honest client has one. */
  readonly writesQueuedMax: number;
  /** Frames waiting behind a HELLO or SUB. */
  readonly framesQueuedMax: number;
  /** Positions are compared with the store at a client's ping, this often at most. */
  readonly refreshIntervalMs: number;
  /** And at any frame once this long has passed without. */
  readonly refreshOverdueMs: number;
  /** How long after its last movement a conversation's marks are compared too. */
  readonly activeMs: number;
  readonly frames: BucketRule;
  readonly entries: BucketRule;
  readonly ephemerals: BucketRule;
}
