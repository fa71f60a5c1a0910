/**
 * One signed-in account at work: builds its rooms in order, joins them, closes them in reverse.
 *
 * Sync hands rows to the verifier; what it finds good goes to the open chats, the list, the private
 * state; what the person does goes to the outbox and to the group log. Everything a tab sees leaves
 * through `tell`.
 */
import { createHybridClock, effectiveTime, type ClockState, type HybridClock } from '#lib/conversation/clock.ts';
import { decodeSignal, encodeMark } from '#lib/conversation/marks.ts';
import { openGroups, type Groups } from '#lib/groups/groups.ts';
import { openAccounts, type Accounts } from '#lib/identity/accounts.ts';
import { openAccount, type Account } from '#lib/identity/account.ts';
import type { LoadedIdentity } from '#lib/identity/records.ts';
import { selfConversationId } from '#lib/chains/conversation-id.ts';
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import { err, ok } from '#lib/std/result.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { openSync } from '#lib/sync/sync.ts';
import type { ConnectionState, Sync } from '#lib/sync/types.ts';
import { openVaultCore, type VaultCore } from '#lib/vault/core.ts';
import { createBook, lastOf, readSeqKey, type Book, type ChatFacts } from './book.ts';
import { createChats, type Chats } from './chats.ts';
import { createDrafts, type Drafts } from './drafts.ts';
import type { ChatSummary, EngineEvent } from './engine-api.ts';
import { enqueueEvent, hybridClockKey } from './enqueue.ts';
import { groupTransport } from './group-transport.ts';
import { createMembership, type Membership } from './membership.ts';
import { createNotices, type Notices } from './notices.ts';
import { colourOf, createPeople, pictureAddress, type People } from './people.ts';
import type { Platform } from './platform.ts';
import { createReceipts, type Receipts } from './receipts.ts';
import { createRemovalWatch } from './removals.ts';
import { createSeal } from './sealing.ts';
import { createTyping, type Typing } from './typing.ts';
import { chatsWithUnproven, createVerifier, type CheckedRows, type Verifier } from './verifier.ts';
import { watchDatabase } from './watched-database.ts';

export interface Desk {
  readonly platform: Platform;
  readonly database: Database;
  readonly loaded: LoadedIdentity;
  readonly me: AccountId;
  readonly self: ConversationId;
  readonly clock: HybridClock;
  readonly account: Account;
  readonly accounts: Accounts;
  readonly groups: Groups;
  readonly verifier: Verifier;
  readonly receipts: Receipts;
  readonly sync: Sync;
  readonly core: VaultCore;
  readonly people: People;
  readonly book: Book;
  readonly chats: Chats;
  readonly drafts: Drafts;
  readonly notices: Notices;
  readonly membership: Membership;
  readonly typing: Typing;
  readonly tell: (event: EngineEvent) => void;
  /** What becomes of a fault in background work: told to the person where they can do something, and reported. */
  readonly failed: (what: string) => (error: unknown) => void;
  /** Sends this device's receipts of a chat, soon. */
  readonly sendMark: (conversation: ConversationId) => void;
  /** Changes of the private state leave through the self conversation. */
  readonly pushPrivateState: () => Promise<void>;
  readonly connection: () => ConnectionState;
  /** Messages that wait to be sent. */
  readonly waiting: () => Promise<number>;
  /** This device was shut out of the account. */
  readonly isRemoved: () => Promise<boolean>;
  /** Reads the chat list; `start` does it too. */
  readonly load: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly close: () => Promise<void>;
  /** Nothing is being worked on; for tests and tools. */
  readonly idle: () => Promise<void>;
}

const pushAfterMs = 400;
/** A clock further off than this is worth a word. */
const clockOffWorthSayingMs = 2 * 60_000;

export interface DeskDeps {
  readonly platform: Platform;
  readonly database: Database;
  readonly loaded: LoadedIdentity;
  readonly tell: (event: EngineEvent) => void;
  readonly fullChanged: (isFull: boolean) => void;
  /** The browser threw this account's data away; nothing of it can be read any more. */
  readonly evicted: () => void;
  /** The own account log, verified, says that this device was shut out. */
  readonly removed: () => void;
  /** The server no longer knows this session, or this device was revoked. */
  readonly sessionEnded: () => void;
  readonly sessionOk: () => void;
}

export async function openDesk({ platform, database: disk, loaded, tell, fullChanged, evicted, removed, sessionEnded, sessionOk }: DeskDeps): Promise<Desk> {
  const { random, timers, api } = platform;
  const { identity, device, sealer } = loaded;
  const me = identity.account;
  const self = selfConversationId(me);
  const notices = createNotices((list) => tell({ type: 'notices', notices: list }));
  let isClosed = false;
  const database = watchDatabase(disk, {
    full(isFull) {
      if (isFull) notices.add({ level: 'warning', type: 'storage-full', detail: '', conversation: undefined, account: undefined });
      else notices.withdraw('storage-full');
      fullChanged(isFull);
    },
    evicted,
  });
  const failed = (what: string) => (error: unknown) => {
    if (isClosed && error instanceof StorageError && error.reason === 'closed') return; // it was under way when the desk closed
    if (error instanceof StorageError) storageFault(error);
    platform.report(what, error);
  };

  const savedClock = await database.read(['kv'], (tx) => tx.get('kv', hybridClockKey)) as ClockState | undefined;
  const clock = createHybridClock({ clock: platform.clock, ...(savedClock && { state: savedClock }) });
  const core = await openVaultCore({ database, sealer, device: identity.device, service: platform.wasm.core, failed: failed('merging the private state') });
  const accounts = await openAccounts({ database, api, clock: platform.clock });
  const account = openAccount({ api, opaque: platform.wasm.opaque, random, database, loaded, accounts });
  const drafts = await createDrafts({ database, sealer });

  const groups = openGroups({
    database, sealer, random, clock: platform.clock, accounts, transport: groupTransport(api),
    me: { account: me, device: identity.device, signKey: device.sign.privateKey },
    uekPrivate: account.uekPrivate,
    lastSeen: async (conversation, who) => [...(await verifier.slotOwners(conversation)).values()]
      .filter((chain) => chain.account === who)
      .map((chain) => ({ device: chain.device as DeviceId, slot: chain.slot, lastCtr: chain.ctr })),
    changed: (conversation) => void groupChanged(conversation).catch(failed('following a group')),
    alarmed(conversation, alarm) {
      alarms.set(conversation, 'forked-group');
      notices.add({ level: 'alarm', type: 'forked-group', detail: alarm.fault, conversation, account: undefined });
      book.touch(conversation);
    },
  });

  const alarms = new Map<ConversationId, NonNullable<ChatSummary['alarm']>>();
  const verifier = createVerifier({
    database, sealer, me, groups,
    accounts: { known: async (account) => (await accounts.known(account))?.state, refresh: accounts.refresh },
    checked: (conversation, checked) => void checkedRows(conversation, checked).catch(failed('taking rows in')),
    failed: failed('opening entries again'),
  });

  const removals = createRemovalWatch({
    timers, judge: verifier.judgeRemovals, isOnline: () => sync.connection().state === 'online', failed: failed('judging removals'),
  });

  const people = createPeople({
    database, sealer, random, api, core, clock: platform.clock,
    me: { account: me, handle: identity.handle, profileKey: loaded.profileKey },
    handleOf: async (account) => (await accounts.known(account))?.handle,
    isChanged: (account) => accounts.changed().has(account),
    tell(list) {
      tell({ type: 'people', upsert: list });
      repaintFor(list.map((person) => person.account));
    },
  });
  const receipts = createReceipts({
    database, me, groups,
    profileKey: (account, key, version) => void people.profileKnown(account, key, version).catch(failed('reading a profile')),
  });
  const typing = createTyping({ timers, tell, changed: (conversation) => book.repaint([conversation]) });

  const chats = createChats({
    database, sealer, me, groups, verifier, receipts,
    sync: () => sync, nameOf: people.nameOf, ensurePeople: people.ensure,
    isLeft: (conversation) => membership.isLeft(conversation), draftOf: drafts.get,
    tell: (patch) => tell({ type: 'chat', patch }), failed: failed('drawing a chat'),
  });

  const book = createBook({
    database, sealer, facts, toSummary,
    tell: (reset, upsert, remove) => tell({ type: 'chats', reset, upsert, remove }), failed: failed('making the chat list'),
  });

  const seal = createSeal({
    database, groups, sealer, random, now: clock.now,
    signer: { account: me, device: identity.device, key: device.sign.privateKey },
    myAccount: () => accounts.get(me),
    rotate: (conversation) => membership.rotate(conversation),
  });

  const sync: Sync = openSync({
    database, clock: platform.clock, timers, random, link: platform.link, digest: platform.digest, seal,
    ingest: verifier.ingest,
    async token() {
      const answer = await api.syncToken();
      if (answer.ok) {
        sessionOk();
        return ok(answer.value.token);
      }
      const ended = answer.error.type === 'api' && (answer.error.name === 'not-signed-in' || answer.error.name === 'no-device');
      if (ended) sessionEnded();
      return err(ended ? 'signed-out' : 'offline');
    },
    events: {
      connection: () => tellConnection(),
      clockOffset(ms) {
        clock.learn(platform.clock.now() + ms);
        if (Math.abs(ms) > clockOffWorthSayingMs) {
          notices.add({ level: 'warning', type: 'clock-off', detail: String(Math.round(ms / 1_000)), conversation: undefined, account: undefined });
        } else notices.withdraw('clock-off');
      },
      welcome(welcome) {
        void membership.welcome(welcome).catch(failed('following the chat list'));
        void people.publishOwn().catch(failed('publishing the profile'));
      },
      moved: (conversation) => book.touch(conversation),
      acked: outboxMoved,
      delivered: outboxMoved,
      purged: (conversation) => void purged(conversation).catch(failed('taking a removal in')),
      marks: (conversation, list) => void marksCame(conversation, list).catch(failed('reading receipts')),
      ephemeral: (conversation, slot, sealed) => void signalCame(conversation, slot, sealed).catch(failed('reading a signal')),
      groupMoved: (conversation, logHeight) => void membership.groupMoved(conversation, logHeight).catch(failed('following a group')),
      groupStale: (conversation, nack) => void membership.groupStale(conversation, nack).catch(failed('renewing a group')),
      accountMoved: (account, height) => void membership.accountMoved(account, height).catch(failed('following an account')),
      membershipMoved: (version) => void membership.listMoved(version).catch(failed('following the chat list')),
      profileMoved: (account) => void people.profileMoved(account).catch(failed('reading a profile')),
      notMember: (conversation) => void membership.notMember(conversation).catch(failed('leaving a chat')),
      lineageChanged: () => notices.add({ level: 'info', type: 'server-restored', detail: '', conversation: undefined, account: undefined }),
      lost(conversation) {
        book.touch(conversation);
        void chats.repaint(conversation).catch(failed('drawing a chat'));
      },
      forked: (conversation) => notices.add({ level: 'alarm', type: 'forked-group', detail: 'slot', conversation, account: undefined }),
      renumbered: outboxMoved,
      refused(conversation, _ctr, why) {
        notices.add({ level: 'warning', type: 'message-refused', detail: why, conversation, account: undefined });
        outboxMoved(conversation);
      },
      segmentDiffers: (conversation) => notices.add({ level: 'alarm', type: 'server-withholds', detail: 'segment', conversation, account: undefined }),
      storageFault,
      failed: failed('syncing'),
    },
  });

  const membership = createMembership({
    database, api, account, accounts, groups, sync, verifier, notices, me, self, timers,
    touch: book.touch,
    repaint: (conversation) => chats.repaint(conversation),
    newChat: (conversation) => sendMark(conversation),
    pushPrivateState, failed: failed('keeping memberships'),
  });

  // ---- What comes in --------------------------------------------------------------------------

  async function checkedRows(conversation: ConversationId, { rows, entries, alarms: found, from }: CheckedRows): Promise<void> {
    for (const entry of entries) {
      clock.receive(effectiveTime({ t: entry.event.t, rt: entry.rt, joinRt: entry.joinRt }), entry.event.l);
    }
    if (conversation === self) {
      const changes = entries.flatMap((entry) => (entry.event.kind === 'vault-change' && entry.account === me ? [entry.event.change] : []));
      if (changes.length > 0) await core.receive(changes);
    }
    if (rows.some((row) => !row.envelope && row.check === 'ok')) removals.expect(conversation);
    for (const alarm of found) {
      alarms.set(conversation, alarm.fault === 'fork' ? 'forked-group' : alarm.fault === 'gap' ? 'missing-entries' : 'bad-entry');
      if (alarm.fault === 'fork') notices.add({ level: 'alarm', type: 'forked-group', detail: alarm.fault, conversation, account: undefined });
    }
    await people.ensure([...new Set(entries.map((entry) => entry.account))]);
    await chats.take(conversation, rows, entries);
    book.touch(conversation);
    if (from !== 'older' && conversation !== self) {
      typing.stop(conversation, entries.map((entry) => entry.account));
      sendMark(conversation);
    }
  }

  async function purged(conversation: ConversationId): Promise<void> {
    await chats.repaint(conversation);
    book.touch(conversation);
  }

  async function marksCame(conversation: ConversationId, list: Parameters<Receipts['take']>[1]): Promise<void> {
    await receipts.take(conversation, list);
    const own = (await receipts.of(conversation)).ownReadSeq();
    const moved = await database.write(['kv'], async (tx) => {
      const before = ((await tx.get('kv', readSeqKey(conversation))) as number | undefined) ?? 0;
      if (own > before) await tx.put('kv', readSeqKey(conversation), own);
      return own > before;
    });
    await chats.repaint(conversation);
    if (moved || book.get(conversation)?.last?.author === me) book.touch(conversation);
  }

  async function signalCame(conversation: ConversationId, slot: number, sealed: Uint8Array<ArrayBuffer>): Promise<void> {
    const plaintext = await groups.unsealEphemeral(conversation, slot, sealed);
    const signal = plaintext && decodeSignal(plaintext);
    if (signal?.ok && signal.value.account !== me) typing.start(conversation, signal.value.account);
  }

  async function groupChanged(conversation: ConversationId): Promise<void> {
    const group = await groups.state(conversation);
    if (group) await people.ensure([...group.members.keys()].slice(0, 256));
    await verifier.recheck(conversation, false);
    // Marks that came before the keys are opened now; they also bring the keys of profiles.
    receipts.forget(conversation);
    await receipts.of(conversation);
    await chats.repaint(conversation);
    book.touch(conversation);
  }

  function outboxMoved(conversation: ConversationId): void {
    tellConnection();
    void chats.waitingMoved(conversation).catch(failed('drawing what waits'));
    book.touch(conversation);
  }

  // ---- What is shown --------------------------------------------------------------------------

  async function facts(conversation: ConversationId): Promise<Omit<ChatFacts, 'unread' | 'cursor'> | undefined> {
    const group = await groups.state(conversation);
    if (!group) return undefined;
    const meta = group.kind === 'group' ? await groups.meta(conversation) : undefined;
    const items = await chats.newest(conversation, group, 48);
    const peer = group.kind === 'direct' ? [...group.members.keys()].find((account) => account !== me) : undefined;
    const created = items.find((item) => item.type === 'system');
    return {
      conversation, kind: group.kind, peer, memberCount: group.members.size,
      groupName: meta?.name, groupPicture: meta?.picture && pictureAddress(meta.picture),
      last: lastOf(items),
      createdAt: group.members.get(me)?.joinedRt ?? created?.at ?? 0,
      left: !group.members.has(me) || membership.isLeft(conversation),
      alarm: alarms.get(conversation),
    };
  }

  function toSummary(facts: ChatFacts): ChatSummary {
    const peer = facts.peer && people.now(facts.peer);
    const flags = core.view().chats.get(facts.conversation);
    const typingNow = typing.who(facts.conversation).map(people.nameOf);
    const last = facts.last;
    return {
      conversation: facts.conversation,
      kind: facts.kind,
      title: facts.kind === 'self' ? 'Saved messages' : peer ? peer.displayName : facts.groupName ?? 'Group',
      picture: peer ? peer.picture : facts.groupPicture,
      colour: peer ? peer.colour : colourOf(facts.conversation),
      peer: facts.peer,
      memberCount: facts.memberCount,
      verified: peer ? peer.verified : false,
      lastText: last?.text ?? '',
      lastAuthor: facts.kind === 'group' && last?.author && last.author !== me ? people.nameOf(last.author) : undefined,
      lastMine: last?.author === me,
      lastTick: last?.tick,
      lastAt: last?.at ?? facts.createdAt,
      unread: facts.unread,
      draft: drafts.get(facts.conversation) || undefined,
      typing: typingNow,
      muted: flags?.muted ?? false,
      pinned: flags?.pinned ?? false,
      left: facts.left,
      alarm: peer && peer.identityChanged ? 'identity-changed' : facts.alarm,
    };
  }

  function repaintFor(list: readonly AccountId[]): void {
    const named = new Set(list);
    const touched = book.all().filter((chat) => chat.kind === 'group' || (chat.peer && named.has(chat.peer))).map((chat) => chat.conversation);
    book.repaint(touched);
    void chats.repaint().catch(failed('drawing a chat'));
  }

  /** Changes of one's own private state are no messages: they are not counted. */
  async function waitingForPeople(): Promise<number> {
    const { total, byConversation } = await sync.waiting();
    return total - (byConversation.get(self) ?? 0);
  }

  let connectionTold = '';
  function tellConnection(): void {
    void waitingForPeople().then((waiting) => {
      const { state, retryAt } = sync.connection();
      const connection = { state, retryAt, waiting };
      const text = JSON.stringify(connection);
      if (text === connectionTold) return;
      connectionTold = text;
      tell({ type: 'connection', connection });
    }).catch(failed('counting what waits'));
  }

  function storageFault(error: StorageError): void {
    // A full disk is heard at the database itself.
    if (error.reason === 'corrupt') notices.add({ level: 'warning', type: 'corrupt-row', detail: '', conversation: undefined, account: undefined });
  }

  // ---- What goes out --------------------------------------------------------------------------

  function sendMark(conversation: ConversationId): void {
    sync.mark(conversation, async (markCtr, slot) => {
      const [record, readSeq] = await database.read(['conversations', 'kv'], async (tx) =>
        [await tx.get('conversations', conversation), (await tx.get('kv', readSeqKey(conversation))) as number | undefined] as const);
      return groups.sealMark(conversation, slot, markCtr, encodeMark({
        account: me,
        deliveredSeq: record?.cursor ?? 0,
        readSeq: readSeq ?? 0,
        profileKey: loaded.profileKey,
        profileVersion: people.ownProfileVersion(),
      }));
    });
  }

  let pushing: Promise<void> | undefined;
  function pushPrivateState(): Promise<void> {
    pushing ??= push().finally(() => {
      pushing = undefined;
    });
    return pushing;
  }

  async function push(): Promise<void> {
    if (!core.hasUnsent() || !(await groups.state(self))) return;
    const unsent = await core.takeUnsent();
    if (!unsent.ok) return; // Automerge could not be loaded (offline, first start): the next push tries again
    for (const { id, change, heads } of unsent.value) {
      await enqueueEvent({ clock, sealer, sync }, self, { kind: 'vault-change', change, heads });
      await core.markSent([id]);
    }
  }

  let stopPush = () => {};
  core.subscribe(() => {
    // Several changes of one moment leave together.
    if (core.hasUnsent()) {
      stopPush();
      stopPush = timers.after(pushAfterMs, () => void pushPrivateState().catch(failed('sending the private state')));
    }
    book.repaint();
    tell({ type: 'people', upsert: people.all() });
  });
  accounts.subscribe((changed) => {
    if (changed === me) void isRemoved().then((out) => out && removed()).catch(failed('reading the own account'));
  });
  accounts.subscribe((account) => {
    void people.refresh(account).catch(failed('reading a person'));
    if (accounts.changed().has(account)) {
      notices.add({ level: 'alarm', type: 'identity-changed', detail: accounts.changed().get(account) ?? '', conversation: undefined, account });
    }
  });

  async function isRemoved(): Promise<boolean> {
    return (await account.devices()).some(({ current, revokedAt }) => current && revokedAt !== undefined);
  }

  async function load(): Promise<void> {
    await people.ensure([me]);
    await book.load();
  }

  const desk: Desk = {
    platform, database, loaded, me, self, clock, account, accounts, groups, verifier, receipts, sync, core, people, book, chats, drafts, notices, membership, typing, tell, failed,
    sendMark, pushPrivateState,
    connection: () => sync.connection(),
    waiting: waitingForPeople,
    isRemoved,
    load,
    async start() {
      await load();
      const records = await database.read(['conversations'], (tx) => tx.getAll('conversations'));
      const peers = book.all().flatMap((chat) => chat.peer ?? []);
      await sync.addConversations(records.map((record) => record.conversation));
      sync.start();
      for (const conversation of await chatsWithUnproven(database)) removals.expect(conversation);
      tellConnection();
      await people.ensure(peers);
    },
    async close() {
      isClosed = true;
      stopPush();
      typing.close();
      removals.close();
      membership.close();
      await sync.stop();
      await verifier.idle();
      await book.idle();
      await core.close();
      await groups.close();
      database.close();
    },
    async idle() {
      for (let i = 0; i < 3; i++) {
        await sync.idle();
        await verifier.idle();
        await chats.idle();
        await book.idle();
        await membership.idle();
      }
    },
  };
  return desk;
}
