/**
 * Every store of an account's database: its key and its value. Values are structured-cloneable and
 * plain. What could be read without a key is sealed under the device storage key (DSK) first; fields
 * named `sealed…` are AES-GCM under it with the store's name and key as associated data. One
 * exception: the key bound into `sealedEvent` is the conversation alone, because an entry that waits
 * may get another slot and counter, and it moves from `outbox` to `refused` and back.
 *
 * A new store or another shape of a value is a new version in migrations.ts.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';

/** A row as received, with what verifying it gave, so it is never verified twice. */
export interface StoredRow {
  readonly seq: number;
  readonly seg: number;
  readonly slot: number;
  readonly clock: number;
  readonly ctr: number;
  readonly rt: number;
  /** undefined once purged. */
  readonly envelope: Bytes | undefined;
  /** `pending` waits for a key or a gap; `bad` is quarantined and shown as such. */
  readonly check: 'ok' | 'pending' | 'bad';
  /** The fault when `bad`. */
  readonly fault?: string;
  /** Event kind once opened, and whether it counts as unread for this account. */
  readonly kind?: string;
  readonly counts?: boolean;
}

/** A whole sealed segment as its canonical Yjs V1 update, with what Yjs does not hold. */
export interface StoredSegment {
  readonly seg: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly update: Bytes;
  /** Per row in seq order: the row without its envelope. */
  readonly rows: readonly Omit<StoredRow, 'envelope' | 'seg' | 'seq'>[];
}

export interface StoredConversation {
  readonly conversation: ConversationId;
  /** Rows held are exactly low..cursor (none when low > cursor). */
  readonly cursor: number;
  readonly low: number;
  readonly lineage: string;
  readonly slot: number;
  /** Next ctr of this device's slot to enter the outbox. */
  readonly nextCtr: number;
  /** Next ctr to seal, and the chain hash before it. */
  readonly sealedCtr: number;
  readonly chain: Bytes;
  readonly marksSince: number;
  readonly markCtr: number;
  readonly readSeq: number;
  readonly deliveredSeq: number;
  /** The group log up to here was fetched, verified and acted on; 0 before. */
  readonly logHeight: number;
  /** The first slot this device had here: what slot 0 in an event of the outbox stands for. */
  readonly firstSlot?: number;
  /** Our newest mark may not have reached the server yet. */
  readonly markUnsent?: boolean;
  /** Some rows of this conversation lie in `lost`. */
  readonly hasLost?: boolean;
}

/** Per (conversation, slot): how far this author's chain has been verified. */
export interface StoredChain {
  readonly slot: number;
  readonly account: AccountId;
  readonly device: string;
  readonly ctr: number;
  readonly chain: Bytes;
  /** The oldest ctr held and the `prev` it names, for walking older history. */
  readonly firstCtr: number;
  readonly firstPrev: Bytes;
}

export interface StoredOutbox {
  readonly conversation: ConversationId;
  readonly ctr: number;
  /** Sealed event (encoded) while it waits; replaced when edited. */
  readonly sealedEvent: Bytes;
  /** The envelope once sealed for sending: from then on these very bytes are sent. */
  readonly envelope: Bytes | undefined;
  /** Chain hash after this entry, with the envelope. */
  readonly chain: Bytes | undefined;
  /** Chain hash before this entry, with the envelope. */
  readonly prev?: Bytes;
  /** Earlier sealed forms that may still turn out to be stored; at most `formerEnvelopesMax` (sync/outbox.ts). */
  readonly former?: readonly { readonly envelope: Bytes; readonly chain: Bytes }[];
  /** Once acknowledged, then lost by the server: sent again byte for byte, never sealed anew. `sealedEvent` is empty. */
  readonly resend?: boolean;
  readonly createdAt: number;
  /** Set at ACK; the record goes when its own row arrives. */
  readonly acknowledgedSeq: number | undefined;
  /** Set on the empty entry that keeps the ctr of a refused one; what was written is in `refused`. */
  readonly refused: string | undefined;
}

/** What a person wrote and nobody took: kept until they try again or drop it. */
export interface StoredRefused {
  readonly conversation: ConversationId;
  readonly slot: number;
  readonly ctr: number;
  readonly sealedEvent: Bytes;
  readonly createdAt: number;
  /** A NACK's name, or the app's own reason. */
  readonly why: string;
}

export interface StoreMap {
  /** Identity, device keys (CryptoKey objects), vault view, settings, hybrid clock: small singletons. */
  kv: { key: string; value: unknown };
  conversations: { key: ConversationId; value: StoredConversation };
  /** Rows not (yet) in a segment. Read through storage/rows.ts, which serves both forms. */
  rows: { key: [ConversationId, number]; value: StoredRow };
  /** (conversation, slot, ctr) → seq, so a target is found without scanning. */
  entrySeq: { key: [ConversationId, number, number]; value: number };
  /** Keyed by the segment's last seq, so a place is found without an index. Read through storage/rows.ts. */
  segments: { key: [ConversationId, number]; value: StoredSegment };
  chains: { key: [ConversationId, number]; value: StoredChain };
  outbox: { key: [ConversationId, number]; value: StoredOutbox };
  marks: { key: [ConversationId, number]; value: { slot: number; markCtr: number; rt: number; sealed: Bytes } };
  groupLog: { key: [ConversationId, number]; value: { entry: Bytes; rt: number } };
  /** The replayed state at the newest stored entry (groups/snapshot.ts), so opening a chat replays nothing. */
  groupStates: { key: ConversationId; value: { snapshot: Bytes } };
  /** Epoch secrets sealed under the DSK. */
  epochs: { key: [ConversationId, number]; value: { sealedSecret: Bytes } };
  /** Other people's and our own account logs as verified. */
  accounts: { key: AccountId; value: { account: AccountId; handle: string; entries: readonly Bytes[]; checkedAt: number } };
  profiles: { key: AccountId; value: { version: number; sealedProfile: Bytes } };
  /** What the chat list shows of a chat, encoded and sealed. */
  summaries: { key: ConversationId; value: { sealedSummary: Bytes } };
  drafts: { key: ConversationId; value: { sealedDraft: Bytes } };
  /** (conversation, slot, ctr) as it was when refused. */
  refused: { key: [ConversationId, number, number]; value: StoredRefused };
  /** (conversation, slot, ctr): rows we hold and the server lost; still shown, marked. */
  lost: { key: [ConversationId, number, number]; value: StoredRow };
  /** (conversation, slot, ctr) an entry had while it waited → what it is called now. */
  aliases: { key: [ConversationId, number, number]; value: { readonly slot: number; readonly ctr: number } };
}

export type StoreName = keyof StoreMap;
export type StoreKey<S extends StoreName> = StoreMap[S]['key'];
export type StoreValue<S extends StoreName> = StoreMap[S]['value'];

export const storeNames: readonly StoreName[] = ['kv', 'conversations', 'rows', 'entrySeq', 'segments', 'chains', 'outbox', 'marks',
  'groupLog', 'groupStates', 'epochs', 'accounts', 'profiles', 'summaries', 'drafts', 'refused', 'lost', 'aliases'];
