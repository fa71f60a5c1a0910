/**
 * Keeps up with what moves beside the entries: which chats there are, their group logs, the account
 * logs of those in them, one's own devices. All of it is fetched over HTTP after a hint or at a new
 * connection, and nothing of it counts before it verified.
 */
import { newestUek, type AccountState } from '#lib/chains/account-state.ts';
import type { Groups } from '#lib/groups/groups.ts';
import type { Accounts } from '#lib/identity/accounts.ts';
import type { ApiClient } from '#lib/identity/api-client.ts';
import type { Account } from '#lib/identity/account.ts';
import type { NackName } from '#lib/protocol/codes.ts';
import type { AccountId, ConversationId, Lineage } from '#lib/protocol/ids.ts';
import type { Timers } from '#lib/std/clock.ts';
import { ok } from '#lib/std/result.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sync } from '#lib/sync/types.ts';
import type { Notices } from './notices.ts';
import type { Verifier } from './verifier.ts';

export interface MembershipDeps {
  readonly database: Database;
  readonly api: ApiClient;
  readonly account: Account;
  readonly accounts: Accounts;
  readonly groups: Groups;
  readonly sync: Sync;
  readonly verifier: Verifier;
  readonly notices: Notices;
  readonly me: AccountId;
  readonly self: ConversationId;
  readonly timers: Timers;
  readonly touch: (conversation: ConversationId) => void;
  readonly repaint: (conversation: ConversationId) => Promise<void>;
  readonly newChat: (conversation: ConversationId) => void;
  readonly pushPrivateState: () => Promise<void>;
  readonly failed: (error: unknown) => void;
}

export interface Membership {
  readonly welcome: (welcome: { readonly lineage: Lineage; readonly membershipVersion: number; readonly accountHeight: number }) => Promise<void>;
  readonly listMoved: (version: number) => Promise<void>;
  /** `logHeight` undefined: whatever is held, look. */
  readonly groupMoved: (conversation: ConversationId, logHeight: number | undefined) => Promise<void>;
  readonly groupStale: (conversation: ConversationId, nack: NackName) => Promise<void>;
  readonly accountMoved: (account: AccountId, height: number) => Promise<void>;
  readonly notMember: (conversation: ConversationId) => Promise<void>;
  /** A chat this device just made or joined. */
  readonly added: (conversation: ConversationId) => Promise<void>;
  readonly rotate: (conversation: ConversationId) => void;
  readonly isLeft: (conversation: ConversationId) => boolean;
  readonly close: () => void;
  readonly idle: () => Promise<void>;
}

/** Group logs fetched at once: enough to hide the network's delay, few enough for a phone. */
const fetchesAtOnce = 6;
/** Rows fetched first of a chat that is new on this device: a screen or two, so the list and the chat stand at once. */
const firstRows = 96;
/** Then the rest, a page at a time, newest chat first. */
const pageRows = 256;
const pausesMs = 40;
/** A request that failed while the socket stands is asked again: no new connection will bring it. */
const askAgainMs = 15_000;
const versionKey = 'membership/version';
const leftKey = (conversation: ConversationId) => `left/${conversation}`;

export function createMembership(deps: MembershipDeps): Membership {
  const { database, api, accounts, groups, sync, verifier, me, self, timers } = deps;
  const left = new Set<ConversationId>();
  const rotating = new Set<ConversationId>();
  const running = new Set<Promise<void>>();
  let closed = false;
  const leftKnown = database.read(['kv'], (tx) => tx.getAllKeys('kv', { range: { from: 'left/', to: 'left0', toOpen: true } }))
    .then((keys) => {
      for (const key of keys) left.add(key.slice('left/'.length) as ConversationId);
    });

  async function welcome({ membershipVersion, accountHeight }: Parameters<Membership['welcome']>[0]): Promise<void> {
    await accountMoved(me, accountHeight);
    await listMoved(membershipVersion);
    await ensureSelf();
    await deps.pushPrivateState();
    // A new epoch can fall due by time alone, with no log moving.
    for (const conversation of (await groups.load()).keys()) await rotateInTurn(conversation);
  }

  /** The conversation with oneself carries the private state to one's other devices. */
  async function ensureSelf(): Promise<void> {
    // Another device's is in the list; one is made only where the list was read and has none.
    const listed = await database.read(['kv'], (tx) => tx.get('kv', versionKey));
    if (listed === undefined || await groups.state(self)) return;
    const made = await groups.createSelf();
    if (made.ok) await added(self);
  }

  let listing: Promise<void> | undefined;
  let listAgain = false;
  async function listMoved(version: number): Promise<void> {
    const known = await database.read(['kv'], (tx) => tx.get('kv', versionKey)) as number | undefined;
    if (known === version) return;
    if (listing) {
      listAgain = true;
      return listing;
    }
    listing = refreshList().finally(() => {
      listing = undefined;
    });
    await listing;
    if (listAgain && !closed) {
      listAgain = false;
      await listMoved(-1);
    }
  }

  async function refreshList(): Promise<void> {
    const answer = await api.conversations();
    if (!answer.ok) return askAgain(() => listMoved(-1));
    const { membershipVersion, conversations } = answer.value;
    const here = new Set(conversations.map(({ conversation }) => conversation));
    const known = await groups.load();
    const behind = conversations.filter(({ conversation, logHeight }) => (known.get(conversation)?.height ?? 0) < logHeight);
    let whole = true;
    await each(behind, async ({ conversation }) => {
      const synced = await groups.sync(conversation);
      if (!synced.ok && synced.error.type === 'offline') whole = false;
    });
    for (const conversation of known.keys()) if (!here.has(conversation)) await setLeft(conversation, true);
    for (const conversation of here) if (left.has(conversation)) await setLeft(conversation, false);
    const records = await database.read(['conversations'], (tx) => tx.getAllKeys('conversations'));
    const had = new Set(records);
    const fresh = [...here].filter((conversation) => !had.has(conversation));
    await sync.addConversations([...here]);
    for (const conversation of fresh) deps.touch(conversation);
    if (whole) await database.write(['kv'], (tx) => tx.put('kv', versionKey, membershipVersion));
    else askAgain(() => listMoved(-1));
    if (fresh.length > 0) background(() => backfill(fresh));
  }

  /** Offline altogether, the next connection asks. */
  function askAgain(work: () => Promise<void>): void {
    timers.after(askAgainMs, () => {
      const { state } = sync.connection();
      if (state === 'online' || state === 'catching-up') background(work);
    });
  }

  async function backfill(fresh: readonly ConversationId[]): Promise<void> {
    // The private state first: it names people and chats.
    const ordered = [...fresh].sort((a, b) => Number(b === self) - Number(a === self));
    for (const conversation of ordered) await fetchFirst(conversation);
    for (const conversation of ordered) await fetchAll(conversation);
  }

  async function fetchFirst(conversation: ConversationId): Promise<void> {
    const fetched = await sync.fetchOlder(conversation, conversation === self ? pageRows : firstRows);
    if (fetched.ok) deps.newChat(conversation);
    deps.touch(conversation);
  }

  /** History is on the device, so it can be read with no network. */
  async function fetchAll(conversation: ConversationId): Promise<void> {
    while (!closed) {
      const fetched = await sync.fetchOlder(conversation, pageRows);
      if (!fetched.ok || fetched.value.low <= 1 || fetched.value.loaded === 0) return;
      await new Promise<void>((resume) => timers.after(pausesMs, resume));
    }
  }

  async function added(conversation: ConversationId): Promise<void> {
    await setLeft(conversation, false);
    await sync.addConversations([conversation]);
    deps.touch(conversation);
  }

  async function groupMoved(conversation: ConversationId, logHeight: number | undefined): Promise<void> {
    // Many chats are told of at once after signing in, and most logs came with the list.
    const held = logHeight === undefined ? undefined : await groups.state(conversation);
    const synced = held?.height === logHeight && held ? ok(held) : await groups.sync(conversation);
    if (!synced.ok) return synced.error.type === 'offline' ? askAgain(() => groupMoved(conversation, logHeight)) : undefined;
    await verifier.recheck(conversation, true);
    sync.groupRefreshed(conversation);
    await rotateInTurn(conversation);
    await sync.groupFollowed(new Map([[conversation, synced.value.height]]));
  }

  /** A due epoch that holds nobody up is made by the member elected for it, or later by the next. */
  async function rotateInTurn(conversation: ConversationId): Promise<void> {
    const need = await groups.rotationNeeded(conversation);
    if (need && !need.blocking && need.by === 'elected') timers.after(need.delayMs, () => rotate(conversation));
  }

  async function groupStale(conversation: ConversationId, nack: NackName): Promise<void> {
    await groups.sync(conversation);
    if (nack === 'ROTATION_DUE' || (await groups.rotationNeeded(conversation))?.blocking) rotate(conversation);
    else sync.groupRefreshed(conversation);
  }

  function rotate(conversation: ConversationId): void {
    if (rotating.has(conversation) || closed) return;
    rotating.add(conversation);
    background(async () => {
      try {
        await groups.sync(conversation);
        if (await groups.rotationNeeded(conversation)) await groups.rotate(conversation);
      } finally {
        rotating.delete(conversation);
      }
      sync.groupRefreshed(conversation);
    });
  }

  async function accountMoved(moved: AccountId, height: number): Promise<void> {
    const before = await accounts.known(moved);
    if (before && before.state.height >= height && moved !== me) return;
    const after = moved === me ? await ownAccountMoved() : await accounts.refresh(moved, height);
    if (!after || (before && before.state.height === after.height)) return;
    const newKey = before && newestUek(before.state).gen !== newestUek(after).gen;
    for (const [conversation, group] of await groups.load()) {
      if (!group.members.has(moved)) continue;
      await verifier.recheck(conversation, true);
      // Whoever is told of a new key first makes the new epoch; compare-and-set lets one win.
      if (newKey && (await groups.rotationNeeded(conversation))) rotate(conversation);
    }
  }

  async function ownAccountMoved(): Promise<AccountState | undefined> {
    const report = await deps.account.sync();
    if (!report.ok) {
      if (report.error.type === 'server-tampered') {
        deps.notices.add({ level: 'alarm', type: 'vault-rolled-back', detail: report.error.detail, conversation: undefined, account: me });
      }
      return undefined;
    }
    const { state, revoked, newDevices } = report.value;
    if (revoked) deps.notices.add({ level: 'alarm', type: 'session-ended', detail: 'revoked', conversation: undefined, account: me });
    for (const device of newDevices) deps.notices.add({ level: 'warning', type: 'new-device', detail: device, conversation: undefined, account: me });
    return state;
  }

  async function notMember(conversation: ConversationId): Promise<void> {
    await groups.sync(conversation);
    await setLeft(conversation, true);
    await sync.refuseWaiting(conversation, 'NOT_MEMBER');
  }

  async function setLeft(conversation: ConversationId, out: boolean): Promise<void> {
    await leftKnown;
    if (left.has(conversation) === out) return;
    if (out) left.add(conversation);
    else left.delete(conversation);
    await database.write(['kv'], (tx) => (out ? tx.put('kv', leftKey(conversation), true) : tx.delete('kv', leftKey(conversation))));
    deps.touch(conversation);
    await deps.repaint(conversation);
  }

  function background(work: () => Promise<void>): void {
    if (closed) return;
    const job = work().catch(deps.failed).finally(() => running.delete(job));
    running.add(job);
  }

  async function each<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = [...list];
    await Promise.all(Array.from({ length: Math.min(fetchesAtOnce, queue.length) }, async () => {
      for (let item = queue.shift(); item !== undefined && !closed; item = queue.shift()) await work(item);
    }));
  }

  return {
    welcome, listMoved, groupMoved, groupStale, accountMoved, notMember, added, rotate,
    isLeft: (conversation) => left.has(conversation),
    close() {
      closed = true;
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
