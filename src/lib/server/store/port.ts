/**
 * What Godwit keeps, behind one interface: SQLite today, Postgres later; `store.contract.ts` is the
 * list of promises each adapter is run against (infra.md §2, §3).
 *
 * Two halves. The log half is per conversation and shards by it; the directory half is per account.
 * No call spans two conversations atomically, so a shard map can stand behind the same interface.
 * A resolved write is on disk (`synchronous=FULL`, group commit).
 */
import type { AccountId, ConversationId, DeviceId, Handle, Lineage } from '#lib/protocol/ids.ts';
import type { NackName } from '#lib/protocol/codes.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Role } from '#lib/chains/group-state.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';

export interface Store extends LogStore, DirectoryStore {
  readonly close: () => Promise<void>;
}

// ---- The log half ----------------------------------------------------------------------------

export interface AppendInput {
  readonly conversation: ConversationId;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly slot: number;
  readonly ctr0: number;
  /** Parsed by protocol/envelope.ts before: sizes, version, epoch and purge target are known good shapes. */
  readonly envelopes: readonly { readonly bytes: Bytes; readonly epoch: number; readonly purge: { readonly slot: number; readonly ctr: number } | undefined }[];
  readonly now: number;
}

export interface Appended {
  /** Rows this call added; a resend of known entries adds none and still succeeds. */
  readonly rows: readonly Row[];
  readonly nextCtr: number;
  /** The seq of the first entry of the request, known or new. */
  readonly firstSeq: number;
  readonly rt: number;
  /** Entries whose ciphertext this append removed. */
  readonly purged: readonly { readonly seq: number; readonly slot: number; readonly ctr: number; readonly requestSeq: number }[];
}

export type AppendRefusal = { readonly nack: NackName; readonly nextCtr: number };

export interface ConversationHead {
  readonly conversation: ConversationId;
  readonly head: number;
  readonly openSeg: number;
  readonly logHeight: number;
}

export interface GroupEntryRow {
  readonly height: number;
  readonly entry: Bytes;
  readonly rt: number;
}

export interface MemberRow {
  readonly account: AccountId;
  readonly role: Role;
}

export interface MarkRow {
  readonly slot: number;
  readonly markCtr: number;
  readonly rt: number;
  readonly sealed: Bytes;
}

export interface LogStore {
  readonly lineage: () => Promise<Lineage>;
  /** After a restore: a new lineage, and slots that skip far enough ahead never to meet a lost one. */
  readonly renewLineage: () => Promise<Lineage>;

  /**
   * Numbers and stores entries, all or none. Refuses GAP (ctr0 above next), FORK (known ctr, other
   * bytes), NO_SLOT, NOT_MEMBER, EPOCH_STALE (neither the current epoch nor, for 30 s after a change
   * that removed nobody, the one before), ROTATION_DUE, READ_ONLY (purge of another account's entry
   * by one who is no admin). A purge target still unknown is refused SHAPE.
   */
  readonly append: (input: AppendInput) => Promise<Result<Appended, AppendRefusal>>;
  /** Rows after `after`, oldest first, at most `count` and at most `maxBytes` of envelopes (one at least). */
  readonly rowsAfter: (conversation: ConversationId, after: number, count: number, maxBytes: number) => Promise<readonly Row[]>;
  /** Rows below `before`, answered oldest first. */
  readonly rowsBefore: (conversation: ConversationId, before: number, count: number, maxBytes: number) => Promise<readonly Row[]>;
  /** Rows of one segment in seq order. `generation` counts purges in it. */
  readonly segment: (conversation: ConversationId, seg: number) => Promise<{ readonly rows: readonly Row[]; readonly generation: number; readonly sealed: boolean } | undefined>;
  /** Purges since the client's rows were read: entries that are purged now with seq in the range. */
  readonly purgedIn: (conversation: ConversationId, fromSeq: number, toSeq: number) => Promise<readonly { readonly seq: number; readonly slot: number; readonly ctr: number; readonly requestSeq: number }[]>;
  readonly heads: (conversations: readonly ConversationId[]) => Promise<readonly ConversationHead[]>;

  /** The device's live slot here, allotting one if it has none; undefined unless the account is a member. */
  readonly slotOf: (conversation: ConversationId, account: AccountId, device: DeviceId) => Promise<{ readonly slot: number; readonly nextCtr: number } | undefined>;
  /** Retires `from` if it is still the device's live slot, and allots the next. Idempotent. */
  readonly replaceSlot: (conversation: ConversationId, account: AccountId, device: DeviceId, from: number) => Promise<{ readonly slot: number; readonly nextCtr: number } | undefined>;

  /** Greatest markCtr per slot wins; answers whether this one did. */
  /** The mark is kept under a time that grows strictly per conversation, so `marksSince` misses none. */
  readonly putMark: (conversation: ConversationId, mark: MarkRow) => Promise<boolean>;
  readonly marksSince: (conversation: ConversationId, rt: number) => Promise<readonly MarkRow[]>;

  /**
   * Appends to a group log by compare-and-set on height. The caller has verified the entry against
   * the replayed state; what it derived is stored with it, in the same transaction.
   */
  readonly appendGroupEntry: (input: {
    readonly conversation: ConversationId;
    readonly height: number;
    readonly entry: Bytes;
    readonly epoch: number;
    readonly rotationDue: boolean;
    /** Whether somebody was removed: then the epoch before is refused at once. */
    readonly removes: boolean;
    readonly members: readonly MemberRow[];
    readonly wraps: readonly { readonly account: AccountId; readonly uekGen: number; readonly wrap: Bytes }[];
    readonly now: number;
  }) => Promise<Result<{ readonly height: number; readonly rt: number; readonly joined: readonly AccountId[]; readonly left: readonly AccountId[] }, { readonly height: number }>>;
  readonly groupLog: (conversation: ConversationId, from: number, count: number) => Promise<readonly GroupEntryRow[]>;
  readonly newestWrap: (conversation: ConversationId, account: AccountId) => Promise<{ readonly epoch: number; readonly height: number; readonly uekGen: number; readonly wrap: Bytes } | undefined>;
  readonly members: (conversation: ConversationId) => Promise<readonly MemberRow[]>;
  readonly roleOf: (conversation: ConversationId, account: AccountId) => Promise<Role | undefined>;
  readonly membershipVersions: (accounts: readonly AccountId[]) => Promise<readonly { readonly account: AccountId; readonly membershipVersion: number }[]>;
  /** Which of these accounts are in `max` conversations or more. */
  readonly crowded: (accounts: readonly AccountId[], max: number) => Promise<readonly AccountId[]>;
  readonly conversationsOf: (account: AccountId) => Promise<{ readonly membershipVersion: number; readonly conversations: readonly { readonly conversation: ConversationId; readonly logHeight: number }[] }>;
}

// ---- The directory half ----------------------------------------------------------------------

export interface AccountRow {
  readonly account: AccountId;
  readonly handle: Handle;
  /** OPAQUE record as the library's text. */
  readonly registrationRecord: string;
  readonly recoveryProofHash: Bytes;
  readonly logHeight: number;
}

export interface SessionRow {
  /** SHA-256 of the session id, hex: the id itself is only in the cookie. */
  readonly idHash: string;
  readonly account: AccountId;
  readonly device: DeviceId | undefined;
  readonly expiresAt: number;
  readonly createdAt: number;
}

export interface UekWrapRow {
  readonly device: DeviceId;
  readonly gen: number;
  readonly wrap: Bytes;
}

export interface DirectoryStore {
  readonly createAccount: (input: {
    readonly account: AccountId; readonly handle: Handle; readonly registrationRecord: string; readonly recoveryProofHash: Bytes;
    readonly genesis: Bytes; readonly vault: Bytes; readonly uekWraps: readonly UekWrapRow[]; readonly now: number;
  }) => Promise<Result<void, 'handle-taken' | 'account-exists'>>;
  readonly accountByHandle: (handle: Handle) => Promise<AccountRow | undefined>;
  readonly accountById: (account: AccountId) => Promise<AccountRow | undefined>;
  /** The new record and the vault whose password slot goes with it, together or not at all; `version` as in putVault. */
  readonly changePassword: (account: AccountId, record: string, version: number, vault: Bytes) => Promise<Result<void, { readonly version: number }>>;

  /** Compare-and-set: entries take heights `height`, `height + 1` … and `height` must be the next one. */
  readonly appendAccountEntries: (account: AccountId, height: number, entries: readonly Bytes[], uekWraps: readonly UekWrapRow[], now: number) => Promise<Result<void, { readonly height: number }>>;
  readonly accountLog: (account: AccountId, from: number) => Promise<readonly Bytes[]>;
  readonly uekWraps: (account: AccountId, device: DeviceId) => Promise<readonly UekWrapRow[]>;

  readonly vault: (account: AccountId) => Promise<{ readonly version: number; readonly vault: Bytes } | undefined>;
  /** Compare-and-set: `version` must be the stored one plus 1. */
  readonly putVault: (account: AccountId, version: number, vault: Bytes) => Promise<Result<void, { readonly version: number }>>;

  readonly profile: (account: AccountId) => Promise<{ readonly version: number; readonly sealed: Bytes } | undefined>;
  readonly putProfile: (account: AccountId, version: number, sealed: Bytes) => Promise<boolean>;
  /** Accounts that share a conversation with this one, at most `count`. */
  readonly companions: (account: AccountId, count: number) => Promise<readonly AccountId[]>;

  readonly putSession: (session: SessionRow) => Promise<void>;
  readonly session: (idHash: string) => Promise<SessionRow | undefined>;
  readonly sessionsOf: (account: AccountId) => Promise<readonly SessionRow[]>;
  readonly bindSession: (idHash: string, device: DeviceId) => Promise<void>;
  readonly extendSession: (idHash: string, expiresAt: number) => Promise<void>;
  readonly deleteSession: (idHash: string) => Promise<void>;
  readonly deleteSessionsOf: (account: AccountId) => Promise<void>;
  readonly deleteExpiredSessions: (now: number) => Promise<number>;
}
