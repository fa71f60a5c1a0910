/**
 * How nodes tell each other that something moved. A message is a hint to read the store: losing one
 * costs time, never data, and it never gates an acknowledgement (infra.md §5).
 */
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Bytes } from '#lib/std/bytes.ts';

export type BusMessage =
  /** New rows; carries them when they are few, so that a receiver in step need not read the store. */
  | { readonly type: 'rows'; readonly conversation: ConversationId; readonly head: number; readonly rows: readonly Row[] | undefined }
  | { readonly type: 'purge'; readonly conversation: ConversationId; readonly entries: readonly { readonly seq: number; readonly slot: number; readonly ctr: number; readonly requestSeq: number }[] }
  | { readonly type: 'mark'; readonly conversation: ConversationId; readonly slot: number; readonly markCtr: number; readonly rt: number; readonly sealed: Bytes }
  | { readonly type: 'eph'; readonly conversation: ConversationId; readonly slot: number; readonly sealed: Bytes }
  | { readonly type: 'group'; readonly conversation: ConversationId; readonly logHeight: number }
  | { readonly type: 'membership'; readonly account: AccountId; readonly membershipVersion: number }
  | { readonly type: 'account'; readonly account: AccountId; readonly height: number }
  | { readonly type: 'profile'; readonly account: AccountId }
  /** Sessions ended: sockets of this account (or one device of it) close with `revoked`. */
  | { readonly type: 'revoked'; readonly account: AccountId; readonly device: DeviceId | undefined };

/** `u:` reaches every connection of an account; `c:` everybody who listens to a large conversation. */
export type BusChannel = `u:${AccountId}` | `c:${ConversationId}`;

export interface Bus {
  readonly publish: (channels: readonly BusChannel[], message: BusMessage) => void;
  /** Answers how to stop. */
  readonly subscribe: (channel: BusChannel, listener: (message: BusMessage) => void) => () => void;
  /** Called after messages may have been lost: re-read heads. */
  readonly onGap: (listener: () => void) => () => void;
  readonly close: () => Promise<void>;
}
