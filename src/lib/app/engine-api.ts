/**
 * What a tab may ask the engine and what the engine tells it. Plain data only: it crosses a worker
 * boundary, and sometimes a BroadcastChannel, by structured clone.
 *
 * The engine owns everything; a tab draws. Calls return once the engine has made the thing durable
 * on this device, never once the network agreed, unless their comment says so.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Result } from '#lib/std/result.ts';

// ---- The session -----------------------------------------------------------------------------

export type SessionState =
  | { readonly type: 'starting' }
  /** `why` when it was not the person who left: this device was removed from the account, or the browser threw its data away. */
  | { readonly type: 'signed-out'; readonly why?: 'removed' | 'evicted' | 'still-listed' }
  /** It ended like that while something had not been sent: that is shown, to be copied, until the person signs out. */
  | { readonly type: 'ended'; readonly why: 'removed' | 'evicted'; readonly unsent: readonly Unsent[] }
  | { readonly type: 'signed-in'; readonly me: Me; readonly serverSession: 'ok' | 'expired' | 'unknown' }
  /** The browser cannot keep data here: private mode, a blocked or evicted database. */
  | { readonly type: 'unusable'; readonly reason: 'storage-blocked' | 'storage-newer' | 'no-locks' | 'failed' };

/** Something written here that nobody has received. */
export interface Unsent {
  readonly chat: string;
  readonly text: string;
}

export interface Me {
  readonly account: AccountId;
  readonly handle: string;
  readonly displayName: string;
  readonly picture: string | undefined;
  readonly deviceId: string;
  /** False until the person confirmed two of the recovery words; the app reminds them while it is. */
  readonly wordsConfirmed?: boolean;
}

export type EntryError =
  | { readonly type: 'handle-invalid' | 'handle-taken' | 'password-short' | 'password-long' | 'wrong-credentials' | 'words-invalid' | 'offline' | 'too-many-devices' }
  /** This device was removed from the account by another of its devices. */
  | { readonly type: 'device-revoked' }
  | { readonly type: 'too-many'; readonly retryInSeconds: number }
  /** The server handed out an older or other vault or account log than is pinned. */
  | { readonly type: 'server-tampered'; readonly detail: string }
  | { readonly type: 'failed'; readonly detail: string };

// ---- What is shown ---------------------------------------------------------------------------

export interface Person {
  readonly account: AccountId;
  readonly handle: string;
  /** Falls back to the handle until the sealed profile is known. */
  readonly displayName: string;
  /** A `data:` or `blob:` address, or undefined: then initials on `colour`. */
  readonly picture: string | undefined;
  /** 0 to 7, stable per account. */
  readonly colour: number;
  readonly verified: boolean;
  /** The server handed out another identity than the one we knew; shown until accepted or refused. */
  readonly identityChanged: boolean;
}

export type Tick = 'waiting' | 'sent' | 'delivered' | 'read' | 'failed';

export interface ChatSummary {
  readonly conversation: ConversationId;
  readonly kind: 'self' | 'direct' | 'group';
  readonly title: string;
  readonly picture: string | undefined;
  readonly colour: number;
  /** The other person of a direct chat. */
  readonly peer: AccountId | undefined;
  readonly memberCount: number;
  readonly verified: boolean;
  readonly lastText: string;
  /** Shown before the text in groups; undefined for one's own or a system line. */
  readonly lastAuthor: string | undefined;
  readonly lastMine: boolean;
  readonly lastTick: Tick | undefined;
  /** Milliseconds; orders the list, newest first. */
  readonly lastAt: number;
  readonly unread: number;
  readonly draft: string | undefined;
  readonly typing: readonly string[];
  readonly muted: boolean;
  readonly pinned: boolean;
  /** We left or were removed: readable, not writable. */
  readonly left: boolean;
  /** Something failed verification here; the chat shows what. */
  readonly alarm: Alarm | undefined;
}

export type Alarm = 'forked-group' | 'bad-entry' | 'identity-changed' | 'missing-entries' | 'withheld';

export interface Reaction {
  readonly emoji: string;
  readonly count: number;
  readonly mine: boolean;
  readonly names: readonly string[];
}

interface ItemBase {
  /** `slot.ctr`, or `s<height>.<n>` for a system line. Stable for its whole life but a re-slot. */
  readonly id: string;
  /** Sorts items; compare with `<` as strings. */
  readonly order: string;
  /** Milliseconds by the author's bounded clock: the place in the timeline. */
  readonly at: number;
}

export type TimelineItem =
  | (ItemBase & {
    readonly type: 'message';
    readonly author: AccountId;
    readonly mine: boolean;
    readonly text: string;
    readonly deleted: boolean;
    readonly edited: boolean;
    readonly replyTo: { readonly id: string; readonly author: AccountId | undefined; readonly preview: string; readonly missing: boolean } | undefined;
    readonly reactions: readonly Reaction[];
    readonly tick: Tick | undefined;
    /** Came long after it was written; `receivedAt` then differs visibly from `at`. */
    readonly late: boolean;
    readonly receivedAt: number | undefined;
    readonly seq: number | undefined;
    readonly failure: string | undefined;
  })
  | (ItemBase & { readonly type: 'system'; readonly event: SystemEvent })
  /** Quarantined: failed verification. Never dropped silently. */
  | (ItemBase & { readonly type: 'quarantined'; readonly fault: string });

export type SystemEvent =
  | { readonly type: 'created'; readonly by: AccountId; readonly kind: 'self' | 'direct' | 'group' }
  | { readonly type: 'added' | 'removed' | 'role'; readonly by: AccountId; readonly who: AccountId; readonly role?: string }
  | { readonly type: 'left'; readonly who: AccountId }
  | { readonly type: 'meta'; readonly by: AccountId; readonly name: string }
  | { readonly type: 'identity-changed'; readonly who: AccountId };

/** An open chat: one loaded stretch of the timeline that ends at the newest message. */
export interface ChatView {
  readonly conversation: ConversationId;
  readonly items: readonly TimelineItem[];
  /** More history lies above (on this device or on the server). */
  readonly hasOlder: boolean;
  /** Older history exists but cannot be had now: offline. */
  readonly olderNeedsNetwork: boolean;
  /** `order` of the first unread item when the chat was opened: where the divider stands. */
  readonly unreadFrom: string | undefined;
  readonly draft: string;
  readonly canWrite: boolean;
  /** Why not, when it cannot. */
  readonly readOnlyReason: 'left' | 'removed' | 'keys-missing' | undefined;
}

export interface ChatPatch {
  readonly conversation: ConversationId;
  readonly upsert: readonly TimelineItem[];
  readonly remove: readonly string[];
  readonly hasOlder: boolean;
  readonly olderNeedsNetwork: boolean;
  readonly canWrite: boolean;
}

export interface MemberInfo {
  readonly account: AccountId;
  readonly role: 'owner' | 'admin' | 'member';
  readonly me: boolean;
}

export interface ChatInfo {
  readonly conversation: ConversationId;
  readonly kind: 'self' | 'direct' | 'group';
  readonly title: string;
  readonly picture: string | undefined;
  readonly description: string;
  readonly members: readonly MemberInfo[];
  readonly myRole: 'owner' | 'admin' | 'member' | undefined;
  readonly epoch: number;
}

export interface Connection {
  readonly state: 'offline' | 'connecting' | 'catching-up' | 'online' | 'update-needed' | 'sign-in-needed';
  /** Entries in the outbox over all chats. */
  readonly waiting: number;
  /** When the next attempt starts, in milliseconds since 1970. */
  readonly retryAt: number | undefined;
}

export interface StorageHealth {
  /** The browser promised not to evict; `undefined` when it cannot say. */
  readonly persisted: boolean | undefined;
  readonly usedBytes: number | undefined;
  readonly quotaBytes: number | undefined;
  /** Writes fail for want of room: shown until it is over. Nothing written is lost. */
  readonly full: boolean;
}

/** Something the person should know, in the app's words; `id` for dismissing. */
export interface Notice {
  readonly id: string;
  readonly level: 'info' | 'warning' | 'alarm';
  readonly type: 'clock-off' | 'new-device' | 'server-restored' | 'vault-rolled-back' | 'identity-changed' | 'forked-group' | 'storage-full'
    | 'storage-not-persistent' | 'message-refused' | 'session-ended' | 'server-withholds' | 'corrupt-row';
  readonly detail: string;
  readonly conversation: ConversationId | undefined;
  readonly account: AccountId | undefined;
}

export interface DeviceInfo {
  readonly id: string;
  readonly name: string;
  readonly addedAt: number | undefined;
  readonly current: boolean;
  readonly revoked: boolean;
}

export interface SafetyNumber {
  /** 60 digits in 12 groups of 5. */
  readonly groups: readonly string[];
  /** What the other person's QR must say. */
  readonly qr: string;
  readonly verified: boolean;
}

/** Told to every tab; a tab that subscribes gets the present state first. */
export type EngineEvent =
  | { readonly type: 'session'; readonly session: SessionState }
  | { readonly type: 'chats'; readonly reset: boolean; readonly upsert: readonly ChatSummary[]; readonly remove: readonly ConversationId[] }
  | { readonly type: 'people'; readonly upsert: readonly Person[] }
  | { readonly type: 'chat'; readonly patch: ChatPatch }
  | { readonly type: 'typing'; readonly conversation: ConversationId; readonly who: readonly AccountId[] }
  | { readonly type: 'connection'; readonly connection: Connection }
  | { readonly type: 'storage'; readonly storage: StorageHealth }
  | { readonly type: 'notices'; readonly notices: readonly Notice[] };

// ---- What a tab may ask ----------------------------------------------------------------------

export type SendError =
  | { readonly type: 'empty' | 'too-long' | 'not-member' | 'storage-full' | 'storage-failed' | 'unknown-chat' | 'unknown-message' | 'not-allowed' | 'keys-missing' };

export type PeopleError =
  | { readonly type: 'not-found' | 'offline' | 'handle-invalid' | 'is-yourself' }
  | { readonly type: 'too-many'; readonly retryInSeconds: number }
  | { readonly type: 'failed'; readonly detail: string };

export type GroupError =
  | { readonly type: 'offline' | 'not-allowed' | 'full' | 'name-invalid' | 'picture-too-big' | 'unknown-chat' | 'last-owner' }
  | { readonly type: 'failed'; readonly detail: string };

export interface EngineApi {
  // Entry. These need the network.
  /** Makes keys and account at the server and signs in; answers the 24 words, shown once. */
  readonly signUp: (input: { handle: string; password: string; displayName: string }) => Promise<Result<{ words: readonly string[] }, EntryError>>;
  readonly signIn: (input: { handle: string; password: string }) => Promise<Result<void, EntryError>>;
  readonly signInWithWords: (input: { handle: string; words: string }) => Promise<Result<void, EntryError>>;
  /** A new server session for this same device; nothing local is touched. */
  readonly renewSession: (input: { password: string }) => Promise<Result<void, EntryError>>;
  /**
   * Takes this device out of the account where the server can be reached, and wipes this browser. With `force` also
   * when messages still wait; otherwise refuses and says how many.
   */
  readonly signOut: (input: { force: boolean; everywhere: boolean }) => Promise<Result<void, { type: 'messages-waiting'; count: number }>>;
  /** The person wrote the words down and confirmed two; until then the app reminds them. */
  readonly confirmWords: () => Promise<void>;

  // People.
  readonly findPerson: (handle: string) => Promise<Result<Person, PeopleError>>;
  /** Understands an invitation address of `inviteLink`. */
  readonly acceptInvite: (fragment: string) => Promise<Result<Person, PeopleError>>;
  readonly inviteLink: () => Promise<string>;
  readonly safetyNumber: (account: AccountId) => Promise<SafetyNumber>;
  readonly setVerified: (account: AccountId, verified: boolean) => Promise<void>;
  /** Takes the new identity as this person's from now on (or keeps the chat blocked). */
  readonly acceptIdentity: (account: AccountId) => Promise<void>;
  /** `picture` is a small encoded image (≤ 8 KiB, WebP or JPEG), null takes it away, undefined leaves it. */
  readonly setProfile: (input: { displayName?: string; picture?: Uint8Array | null }) => Promise<Result<void, { type: 'name-invalid' | 'picture-too-big' }>>;

  // Chats. Starting and changing them needs the network; writing in them does not.
  readonly startDirect: (account: AccountId) => Promise<Result<ConversationId, GroupError>>;
  readonly createGroup: (input: { name: string; picture: Uint8Array | undefined; members: readonly AccountId[] }) => Promise<Result<ConversationId, GroupError>>;
  readonly chatInfo: (conversation: ConversationId) => Promise<ChatInfo | undefined>;
  readonly setGroupMeta: (conversation: ConversationId, input: { name?: string; picture?: Uint8Array | null; description?: string }) => Promise<Result<void, GroupError>>;
  readonly addMembers: (conversation: ConversationId, accounts: readonly AccountId[]) => Promise<Result<void, GroupError>>;
  readonly removeMember: (conversation: ConversationId, account: AccountId) => Promise<Result<void, GroupError>>;
  readonly setRole: (conversation: ConversationId, account: AccountId, role: 'admin' | 'member') => Promise<Result<void, GroupError>>;
  readonly leave: (conversation: ConversationId) => Promise<Result<void, GroupError>>;
  readonly setChatFlags: (conversation: ConversationId, flags: { pinned?: boolean; muted?: boolean }) => Promise<void>;

  // One open chat. The engine keeps patches coming to every tab that has it open.
  readonly openChat: (conversation: ConversationId) => Promise<ChatView | undefined>;
  readonly closeChat: (conversation: ConversationId) => Promise<void>;
  /** Loads about `count` more items above; they arrive as a patch too. Answers whether any came. */
  readonly loadOlder: (conversation: ConversationId, count: number) => Promise<{ loaded: number; hasOlder: boolean; olderNeedsNetwork: boolean }>;
  /** Makes sure this item is loaded (loading what lies between); false when it is not to be had. */
  readonly loadUntil: (conversation: ConversationId, id: string) => Promise<boolean>;
  /** `key` names this call: asking again with the same key, after another tab took over, sends nothing twice. */
  readonly sendText: (conversation: ConversationId, input: { text: string; replyTo?: string; key?: string }) => Promise<Result<{ id: string }, SendError>>;
  readonly editText: (conversation: ConversationId, id: string, text: string) => Promise<Result<void, SendError>>;
  /** For everyone. One that still waits is withdrawn instead. */
  readonly deleteMessage: (conversation: ConversationId, id: string) => Promise<Result<void, SendError>>;
  readonly react: (conversation: ConversationId, id: string, emoji: string, on: boolean) => Promise<Result<void, SendError>>;
  /** A refused message: try again, or drop it. */
  readonly retry: (conversation: ConversationId, id: string) => Promise<void>;
  /** Everything up to `seq` has been seen. */
  readonly markRead: (conversation: ConversationId, seq: number) => Promise<void>;
  readonly typing: (conversation: ConversationId) => Promise<void>;
  readonly saveDraft: (conversation: ConversationId, text: string) => Promise<void>;
  /** Who has seen one of my messages. */
  readonly seenBy: (conversation: ConversationId, id: string) => Promise<readonly { account: AccountId; delivered: boolean; read: boolean }[]>;

  // The device.
  readonly devices: () => Promise<readonly DeviceInfo[]>;
  readonly revokeDevice: (device: string) => Promise<Result<void, EntryError>>;
  readonly askPersistence: () => Promise<StorageHealth>;
  readonly dismissNotice: (id: string) => Promise<void>;
  /** The network may be back: try now. */
  readonly reconnect: () => Promise<void>;
}
