/**
 * The one way entries get into the store, for the socket's PUT and for the service worker's request:
 * read the clear header of each envelope, take from the limit, append, then publish. An answer of
 * `ok` means on disk.
 */
import type { NackName } from '#lib/protocol/codes.ts';
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { Appended } from './store/port.ts';

export interface Entries {
  readonly put: (input: {
    readonly account: AccountId;
    readonly device: DeviceId;
    readonly conversation: ConversationId;
    readonly slot: number;
    readonly ctr0: number;
    readonly envelopes: readonly Bytes[];
  }) => Promise<Result<Appended, { readonly nack: NackName; readonly nextCtr: number }>>;
}
