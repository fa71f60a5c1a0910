/**
 * What sync needs and what it gives. Sync moves sealed bytes it cannot open: the app seals, verifies
 * and draws; sync numbers, saves, sends, and answers for what happens when anything stops half way.
 *
 * It is sans-IO: clock, timers, randomness, database and link are handed in, so a simulation drives
 * the very code a browser runs. Callbacks of the app may await crypto and the database, never the
 * network: a conversation's work is done one piece at a time and waits for them.
 */
import type { AccountId, ConversationId, EntryId, Lineage } from '#lib/protocol/ids.ts';
import type { NackName } from '#lib/protocol/codes.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Clock, Timers } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import type { Result } from '#lib/std/result.ts';
import type { Database, StorageError, WriteTx } from '#lib/storage/database.ts';
import type { StoreName, StoredOutbox, StoredRow } from '#lib/storage/schema.ts';

// ---- What sync needs -------------------------------------------------------------------------

export interface LinkHandlers {
  readonly onOpen: () => void;
  readonly onFrame: (bytes: Uint8Array) => void;
  /** Called once; 1006 when there is no code. Nothing follows it. */
  readonly onClose: (code: number, reason: string) => void;
}

export interface LinkConnection {
  readonly send: (bytes: Bytes) => void;
  /** Sync calls nothing after it and ignores what still arrives. */
  readonly close: () => void;
}

export interface Link {
  readonly connect: (handlers: LinkHandlers) => LinkConnection;
}

export interface AlsoWrite {
  /** Stores that `write` touches beside sync's own; `chains`, `summaries` and `kv` unless told. */
  readonly stores?: readonly StoreName[];
  /** Runs inside sync's transaction, after sync's own writes. Await only `tx`. */
  readonly write?: (tx: WriteTx) => Promise<void>;
  /** Runs once the transaction is durable: move state in memory here, not before. */
  readonly after?: () => void;
}

export interface Ingested extends AlsoWrite {
  /** One per row given, same order and seq. */
  readonly stored: readonly StoredRow[];
  /**
   * Entries that wait in the outbox though one of these rows, by this very device, says their event (same
   * stamp) under bytes we do not know: a profile brought back from a backup meets such rows. With the
   * seq of the row and the sealed event as read from the outbox. They leave it, so nothing is said twice.
   */
  readonly said?: readonly { readonly seq: number; readonly ctr: number; readonly sealedEvent: Bytes }[];
}

/** The chain of this device's slot just before the first entry to seal. */
export interface SealAt {
  readonly slot: number;
  readonly ctr: number;
  readonly chain: Bytes;
}

export type SealProblem =
  /** Keys are not there yet: sync waits for `groupRefreshed` (or a back-off) and asks again. */
  | { readonly type: 'not-now'; readonly why: string }
  /** This one can never be sealed: it becomes a refused record, an empty entry keeps its ctr. */
  | { readonly type: 'refused'; readonly ctr: number; readonly why: string };

export interface Sealed {
  readonly envelope: Bytes;
  /** Chain hash after this entry. */
  readonly chain: Bytes;
}

/**
 * Seals records under the current epoch, one answer per record, in order. A record whose
 * `sealedEvent` is empty stands for an `empty` event stamped with its `createdAt`.
 */
export type Seal = (conversation: ConversationId, records: readonly StoredOutbox[], at: SealAt) => Promise<Result<readonly Sealed[], SealProblem>>;

export interface SyncDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly link: Link;
  /** A fresh token for the socket. */
  readonly token: () => Promise<Result<string, 'offline' | 'signed-out'>>;
  /** Verifies and opens rows in seq order: `live` continues at the cursor, `older` ends just below `low`. Known rows may come again after a restore. */
  readonly ingest: (conversation: ConversationId, rows: readonly Row[], from: 'live' | 'older') => Promise<Ingested>;
  readonly seal: Seal;
  /**
   * The server removed these entries' content. Only what a verified delete asks for may go: answer the
   * entries of which the app holds such a delete. `requestSeq` is the row of the delete, 0 when unknown.
   * May be left out when `ingest` purges at the delete itself (`purgeRows` in its `write`).
   */
  readonly allowPurge?: (conversation: ConversationId, entries: readonly PurgedEntry[], requestSeq: number) => Promise<{ readonly allowed: readonly EntryId[] } & AlsoWrite>;
  /** The slot changed and unsent entries got new counters, all in this transaction; `aliases` has the same as durable map. May write to kv, summaries and drafts. */
  readonly renumbered?: (conversation: ConversationId, change: Renumbering) => Omit<AlsoWrite, 'stores'>;
  /** SHA-256, for comparing whole segments with the server. */
  readonly digest: (bytes: Uint8Array) => Promise<Bytes>;
  readonly events: SyncEvents;
}

export interface PurgedEntry extends EntryId {
  readonly seq: number;
}

export interface Renumbering {
  readonly fromSlot: number;
  readonly toSlot: number;
  /** Old ctr → new ctr. */
  readonly ctrs: ReadonlyMap<number, number>;
}

export interface ConnectionState {
  readonly state: 'offline' | 'connecting' | 'catching-up' | 'online' | 'update-needed' | 'sign-in-needed';
  /** When the next attempt starts. */
  readonly retryAt: number | undefined;
}

export interface Mark {
  readonly slot: number;
  readonly markCtr: number;
  readonly rt: number;
  readonly sealed: Bytes;
}

/** Plain notices; every one is sent after what it tells is durable. Handlers return at once. */
export interface SyncEvents {
  readonly connection: (state: ConnectionState) => void;
  /** serverTime minus our clock. */
  readonly clockOffset: (ms: number) => void;
  /** On every connection: compare with what is known and fetch what moved. */
  readonly welcome: (welcome: { readonly lineage: Lineage; readonly membershipVersion: number; readonly accountHeight: number }) => void;
  /** Rows were saved (beside `after` of ingest). */
  readonly moved: (conversation: ConversationId, cursor: number) => void;
  /** Own entries fromCtr..toCtr are on the server's disk: one tick. */
  readonly acked: (conversation: ConversationId, fromCtr: number, toCtr: number, rt: number) => void;
  /** Own entries left the outbox: their rows are here. */
  readonly delivered: (conversation: ConversationId, ctrs: readonly number[]) => void;
  readonly purged: (conversation: ConversationId, entries: readonly EntryId[]) => void;
  /** Newer marks, already saved in `marks`. */
  readonly marks: (conversation: ConversationId, marks: readonly Mark[]) => void;
  readonly ephemeral: (conversation: ConversationId, slot: number, sealed: Bytes) => void;
  /** The group log has another height than `groupFollowed` said; undefined after a restore, when heights say nothing. */
  readonly groupMoved: (conversation: ConversationId, logHeight: number | undefined) => void;
  /** The server wants a newer epoch (or a rotation): fetch the group, rotate if due, then call `groupRefreshed`. */
  readonly groupStale: (conversation: ConversationId, nack: NackName) => void;
  readonly accountMoved: (account: AccountId, height: number) => void;
  readonly membershipMoved: (version: number) => void;
  readonly profileMoved: (account: AccountId) => void;
  /** The server says we are not in it. Sync leaves it alone until `addConversations` names it again or the next connection. */
  readonly notMember: (conversation: ConversationId) => void;
  readonly lineageChanged: (from: Lineage | string, to: Lineage) => void;
  /** Rows the server no longer has. `mine` (of our present slot) are being sent again; all others are in `lost`. */
  readonly lost: (conversation: ConversationId, lost: { readonly resent: readonly EntryId[]; readonly rows: readonly StoredRow[] }) => void;
  /** Our slot holds an entry we did not write: lost state of ours, or a server that forges. A new slot follows. */
  readonly forked: (conversation: ConversationId, entry: EntryId) => void;
  readonly renumbered: (conversation: ConversationId, change: Renumbering) => void;
  /** Moved to `refused`; an empty entry keeps the ctr. */
  readonly refused: (conversation: ConversationId, ctr: number, why: string) => void;
  /** A whole segment differs from the server's in these rows. */
  readonly segmentDiffers: (conversation: ConversationId, seg: number, seqs: readonly number[]) => void;
  readonly storageFault: (error: StorageError) => void;
  /** A callback threw something else: a fault of ours. Sync reconnects and tries again. */
  readonly failed: (error: unknown) => void;
}

// ---- What sync gives -------------------------------------------------------------------------

export interface EnqueueInput {
  /** Sealed under the DSK, bound to ('outbox', conversation). */
  readonly sealedEvent: Bytes;
  readonly createdAt: number;
  /** The entry this one says again under a new name: gets an alias, and leaves `lost` or `refused`. */
  readonly replaces?: EntryId;
}

/** Called inside the transaction that makes the entry durable. */
export interface EnqueueExtra {
  readonly stores?: readonly StoreName[];
  readonly write: (tx: WriteTx, entry: EntryId) => Promise<void>;
}

export interface Sync {
  /** Connects and keeps connected until `stop`. */
  readonly start: () => void;
  /** Closes the link; resolves when nothing of sync runs any more. */
  readonly stop: () => Promise<void>;
  /** Try now: the network came back, the page is visible, a push arrived, the person signed in. */
  readonly poke: () => void;
  /** Makes records for those that are new and subscribes. Idempotent. */
  readonly addConversations: (ids: readonly ConversationId[]) => Promise<void>;
  /** Stops syncing it; what is stored stays. */
  readonly removeConversation: (id: ConversationId) => Promise<void>;
  /** Durable once resolved; slot is 0 while unknown. Throws StorageError. Works for conversations that are added. */
  readonly enqueue: (conversation: ConversationId, input: EnqueueInput, extra?: EnqueueExtra) => Promise<EntryId>;
  /** Another text for an entry that was never sealed. */
  readonly replaceWaiting: (conversation: ConversationId, ctr: number, sealedEvent: Bytes, extra?: EnqueueExtra) => Promise<Result<void, 'already-sealed' | 'gone'>>;
  /** The same with an `empty` event; it stays in the outbox, because counters have no gaps. */
  readonly withdraw: (conversation: ConversationId, ctr: number, emptyEvent: Bytes, extra?: EnqueueExtra) => Promise<Result<void, 'already-sealed' | 'gone'>>;
  /** A refused entry goes out again as a new one; answers its id. */
  readonly retry: (conversation: ConversationId, refused: EntryId, extra?: EnqueueExtra) => Promise<Result<EntryId, 'gone'>>;
  readonly dropRefused: (conversation: ConversationId, refused: EntryId) => Promise<void>;
  /** Everything of this conversation that waits becomes refused: the signed group log says we are out. */
  readonly refuseWaiting: (conversation: ConversationId, why: string) => Promise<void>;
  /** The app has newer keys (or none can be had): seal and send again. */
  readonly groupRefreshed: (conversation: ConversationId) => void;
  /** All that follows from these group logs up to these heights is done and durable: a connection that finds them there hears nothing of them. */
  readonly groupFollowed: (heights: ReadonlyMap<ConversationId, number>) => Promise<void>;
  /** Rows below `low`, ingested and saved; fewer than asked when a frame is full. `low` 1 is the beginning. */
  readonly fetchOlder: (conversation: ConversationId, count: number) => Promise<Result<{ readonly loaded: number; readonly low: number }, 'offline' | 'not-member'>>;
  /** The newest maker wins. Called when connected; its answer is sent until the server has it. */
  readonly mark: (conversation: ConversationId, make: (markCtr: number, slot: number) => Promise<Bytes | undefined>) => void;
  /** Best effort: gone when not connected. */
  readonly sendEphemeral: (conversation: ConversationId, sealed: Bytes) => void;
  /** Outbox entries per conversation and in all. */
  readonly waiting: () => Promise<{ readonly total: number; readonly byConversation: ReadonlyMap<ConversationId, number> }>;
  readonly connection: () => ConnectionState;
  /** Moves whole local segments into their canonical form; also runs by itself when things are quiet. */
  readonly compact: (conversation: ConversationId) => Promise<void>;
  /** Resolves when nothing is being worked on; what waits for the network or a timer does not count. */
  readonly idle: () => Promise<void>;
}
