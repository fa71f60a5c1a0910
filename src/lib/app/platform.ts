/**
 * Everything the engine takes from the world, so the same engine runs in a browser's worker, in Node
 * (tools, tests) and in a simulation.
 */
import type { ApiClient } from '#lib/identity/api-client.ts';
import type { WasmService } from '#lib/identity/wasm-service.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { Clock, Timers } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import type { Database } from '#lib/storage/database.ts';
import type { OpenOptions } from '#lib/storage/open.ts';
import type { StorageManagerPort } from '#lib/storage/quota.ts';
import type { Registry } from '#lib/storage/registry.ts';
import type { Link } from '#lib/sync/types.ts';

export interface Platform {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly api: ApiClient;
  readonly link: Link;
  readonly wasm: WasmService;
  /** Throws StorageError. */
  readonly openRegistry: () => Promise<Registry>;
  readonly openDatabase: (account: AccountId, options?: OpenOptions) => Promise<Database>;
  readonly storage: StorageManagerPort | undefined;
  readonly digest: (bytes: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>;
  /** Where invitations point to, without a slash at the end. */
  readonly origin: string;
  /** What this device is called in the device list. */
  readonly deviceName: string;
  /** A fault of ours in background work: a line for whoever looks, never with secrets. */
  readonly report: (what: string, error: unknown) => void;
}
