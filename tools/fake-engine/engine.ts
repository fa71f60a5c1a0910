/**
 * An engine of pretence: the whole EngineApi over a world in memory, for drawing screens with no server.
 *
 * It is reached only under `vite --mode fake` and never part of a built app. Query words of the first
 * page choose a beginning: `?fake=signed-out`, `empty`, `unusable`, `expired`, `offline`. A page's
 * console, or a script, steers it through `fakeEngine`.
 */
import type { EngineConnection } from '#lib/app/state.svelte.ts';
import { limits } from '#lib/protocol/limits.ts';
import { parseHandle } from '#lib/protocol/ids.ts';
import { err, ok } from '#lib/std/result.ts';
import type { AccountId, Connection, ConversationId, DeviceInfo, EngineApi, EngineEvent, Me, Notice, Person, SessionState, StorageHealth, Tick, TimelineItem } from './types.ts';
import { fakeId, makeWorld, orderAt, summarise, type FakeChat } from './world.ts';

type Message = Extract<TimelineItem, { type: 'message' }>;

export function openFakeEngine(): EngineConnection {
  const options = new Set((new URLSearchParams(location.search).get('fake') ?? '').split(','));
  const world = makeWorld(Date.now());
  if (options.has('empty')) {
    world.chats.clear();
    for (const account of world.people.keys()) if (account !== world.me) world.people.delete(account);
  }
  const listeners = new Set<(event: EngineEvent) => void>();
  const windows = new Map<ConversationId, number>();
  const profile = world.people.get(world.me)!;
  let me: Me = { account: world.me, handle: profile.handle, displayName: profile.displayName, picture: undefined, deviceId: fakeId('device-1'), wordsConfirmed: !options.has('unconfirmed') };
  let session: SessionState = options.has('signed-out') ? { type: 'signed-out' }
    : options.has('unusable') ? { type: 'unusable', reason: 'storage-blocked' }
    : { type: 'signed-in', me, serverSession: options.has('expired') ? 'expired' : 'ok' };
  let connection: Connection = { state: options.has('offline') ? 'offline' : 'online', waiting: countWaiting(), retryAt: undefined };
  let storage: StorageHealth = { persisted: options.has('evictable') ? false : true, usedBytes: 41_200_000, quotaBytes: 2_100_000_000, full: false };
  let notices: readonly Notice[] = [];
  let devices: readonly DeviceInfo[] = [
    { id: me.deviceId, name: 'Chromium on Linux', addedAt: Date.now() - 40 * 86_400_000, current: true, revoked: false },
    { id: fakeId('device-2'), name: 'Firefox on Android', addedAt: Date.now() - 12 * 86_400_000, current: false, revoked: false },
    { id: fakeId('device-3'), name: 'Safari on an old laptop', addedAt: Date.now() - 300 * 86_400_000, current: false, revoked: true },
  ];

  function emit(event: EngineEvent): void {
    // A worker answers later, never in the same breath.
    for (const listener of [...listeners]) queueMicrotask(() => listener(event));
  }
  function countWaiting(): number {
    let count = 0;
    for (const chat of world.chats.values()) for (const item of chat.items.slice(-20)) if (item.type === 'message' && item.tick === 'waiting') count++;
    return count;
  }
  function tellConnection(state = connection.state): void {
    connection = { state, waiting: countWaiting(), retryAt: state === 'offline' ? Date.now() + 8_000 : undefined };
    emit({ type: 'connection', connection });
  }
  function tellChat(chat: FakeChat, upsert: readonly TimelineItem[], remove: readonly string[] = []): void {
    chat.summary = summarise(chat, world.people);
    emit({ type: 'chats', reset: false, upsert: [chat.summary], remove: [] });
    emit({ type: 'chat', patch: { conversation: chat.summary.conversation, upsert, remove, ...older(chat), canWrite: !chat.summary.left } });
  }
  function older(chat: FakeChat): { hasOlder: boolean; olderNeedsNetwork: boolean } {
    const from = windows.get(chat.summary.conversation) ?? 0;
    return { hasOlder: from > 0, olderNeedsNetwork: from > 0 && from <= chat.remoteBelow && connection.state === 'offline' };
  }
  function replace(chat: FakeChat, id: string, change: (item: Message) => Message): Message | undefined {
    const at = chat.items.findIndex((item) => item.id === id);
    const item = chat.items[at];
    if (item?.type !== 'message') return undefined;
    const next = change(item);
    chat.items[at] = next;
    tellChat(chat, [next]);
    return next;
  }
  function setTick(chat: FakeChat, id: string, tick: Tick): void {
    replace(chat, id, (item) => ({ ...item, tick, seq: tick === 'waiting' ? undefined : chat.items.length }));
  }
  async function deliver(chat: FakeChat, id: string): Promise<void> {
    if (connection.state !== 'online') return;
    for (const [tick, ms] of [['sent', 250], ['delivered', 700], ['read', 1_800]] as const) {
      await pause(ms);
      setTick(chat, id, tick);
      tellConnection();
    }
  }
  function receive(chat: FakeChat, author: AccountId, text: string): void {
    const n = chat.items.length;
    const item: Message = { id: `2.${n}`, order: orderAt(Date.now(), n), at: Date.now(), type: 'message', author, mine: false, text, deleted: false, edited: false, replyTo: undefined, reactions: [], tick: undefined, late: false, receivedAt: undefined, seq: n + 1, failure: undefined };
    chat.items.push(item);
    chat.summary = { ...chat.summary, unread: chat.summary.unread + 1, typing: [] };
    emit({ type: 'typing', conversation: chat.summary.conversation, who: [] });
    tellChat(chat, [item]);
  }
  async function answer(chat: FakeChat): Promise<void> {
    const author = chat.summary.peer;
    if (!author || connection.state !== 'online') return;
    await pause(1_500);
    emit({ type: 'typing', conversation: chat.summary.conversation, who: [author] });
    chat.summary = { ...chat.summary, typing: [world.people.get(author)!.displayName] };
    tellChat(chat, []);
    await pause(1_500);
    receive(chat, author, 'Sounds good to me.');
  }
  function chatOf(conversation: ConversationId): FakeChat | undefined {
    return world.chats.get(conversation);
  }
  function newChat(kind: 'direct' | 'group', title: string, members: readonly AccountId[], peer: AccountId | undefined, picture: string | undefined): ConversationId {
    const conversation = fakeId(`chat-new-${title}-${world.chats.size}`) as ConversationId;
    const at = Date.now();
    const chat: FakeChat = {
      summary: { conversation, kind, title, picture, colour: title.length % 8, peer, memberCount: members.length, verified: false, lastText: '', lastAuthor: undefined, lastMine: false, lastTick: undefined, lastAt: at, unread: 0, draft: undefined, typing: [], muted: false, pinned: false, left: false, alarm: undefined },
      info: { conversation, kind, title, picture, description: '', members: members.map((account) => ({ account, me: account === world.me, role: account === world.me ? 'owner' as const : 'member' as const })), myRole: 'owner', epoch: 1 },
      items: [{ id: 's1.0', order: orderAt(at, 0), at, type: 'system', event: { type: 'created', by: world.me, kind } }], unreadFrom: undefined, remoteBelow: 0,
    };
    world.chats.set(conversation, chat);
    emit({ type: 'chats', reset: false, upsert: [chat.summary], remove: [] });
    return conversation;
  }
  function setSession(next: SessionState): void {
    session = next;
    emit({ type: 'session', session });
  }
  async function enter(handle: string, displayName: string): Promise<void> {
    me = { ...me, handle, displayName };
    setSession({ type: 'signed-in', me, serverSession: 'ok' });
    tellAll();
  }
  function tellAll(): void {
    emit({ type: 'people', upsert: [...world.people.values()] });
    emit({ type: 'chats', reset: true, upsert: [...world.chats.values()].map((chat) => chat.summary), remove: [] });
  }
  function tellInfo(chat: FakeChat): void {
    chat.summary = { ...chat.summary, title: chat.info.title, picture: chat.info.picture, memberCount: chat.info.members.length };
    tellChat(chat, []);
  }

  const api: EngineApi = {
    async signUp({ handle, password, displayName }) {
      await pause(1_200);
      if (!parseHandle(handle)) return err({ type: 'handle-invalid' });
      if (handle === 'taken') return err({ type: 'handle-taken' });
      if (password.length < limits.passwordLengthMin) return err({ type: 'password-short' });
      me = { ...me, wordsConfirmed: false };
      await enter(handle, displayName);
      return ok({ words: recoveryWords });
    },
    async signIn({ handle, password }) {
      await pause(1_200);
      if (connection.state === 'offline') return err({ type: 'offline' });
      if (password === 'wrong password') return err({ type: 'wrong-credentials' });
      await enter(handle, 'Noor Haddad');
      return ok(undefined);
    },
    async signInWithWords({ handle, words }) {
      await pause(1_200);
      if (words.trim().split(/\s+/).length !== 24) return err({ type: 'words-invalid' });
      await enter(handle, 'Noor Haddad');
      return ok(undefined);
    },
    async renewSession({ password }) {
      await pause(900);
      if (password === 'wrong password') return err({ type: 'wrong-credentials' });
      setSession({ type: 'signed-in', me, serverSession: 'ok' });
      return ok(undefined);
    },
    async signOut({ force }) {
      const count = countWaiting();
      if (count > 0 && !force) return err({ type: 'messages-waiting', count });
      setSession({ type: 'signed-out' });
      return ok(undefined);
    },
    async confirmWords() {
      me = { ...me, wordsConfirmed: true };
      setSession({ type: 'signed-in', me, serverSession: 'ok' });
    },
    async findPerson(handle) {
      await pause(400);
      if (connection.state === 'offline') return err({ type: 'offline' });
      const parsed = parseHandle(handle);
      if (!parsed) return err({ type: 'handle-invalid' });
      if (parsed === me.handle) return err({ type: 'is-yourself' });
      const found = [...world.people.values()].find((person) => person.handle === parsed) ?? world.strangers.get(parsed);
      if (!found) return err({ type: 'not-found' });
      world.people.set(found.account, found);
      emit({ type: 'people', upsert: [found] });
      return ok(found);
    },
    async acceptInvite(fragment) {
      await pause(500);
      const found = world.strangers.get('olu')!;
      if (!fragment.includes('olu')) return err({ type: 'not-found' });
      world.people.set(found.account, found);
      emit({ type: 'people', upsert: [found] });
      return ok(found);
    },
    async inviteLink() {
      return `${location.origin}/invite#olu.fD3n0Wq8Tq2m5xKzBvYl9A`;
    },
    async safetyNumber(account) {
      await pause(200);
      const person = world.people.get(account)!;
      let seed = 0;
      for (const letter of account) seed = (seed * 31 + letter.charCodeAt(0)) % 99_991;
      return { groups: Array.from({ length: 12 }, (_, i) => String((seed * (i + 3) * 7_919) % 100_000).padStart(5, '0')), qr: `godwit-safety:${account}:${world.me}`, verified: person.verified };
    },
    async setVerified(account, verified) {
      updatePerson(account, { verified });
    },
    async acceptIdentity(account) {
      updatePerson(account, { identityChanged: false, verified: false });
      for (const chat of world.chats.values()) if (chat.summary.peer === account) {
        chat.summary = { ...chat.summary, alarm: undefined };
        tellChat(chat, []);
      }
    },
    async setProfile({ displayName, picture }) {
      if (displayName !== undefined && displayName.trim() === '') return err({ type: 'name-invalid' });
      me = { ...me, displayName: displayName ?? me.displayName, picture: picture === undefined ? me.picture : picture === null ? undefined : toAddress(picture) };
      setSession({ type: 'signed-in', me, serverSession: 'ok' });
      updatePerson(world.me, { displayName: me.displayName, picture: me.picture });
      return ok(undefined);
    },
    async startDirect(account) {
      await pause(300);
      for (const chat of world.chats.values()) if (chat.summary.peer === account) return ok(chat.summary.conversation);
      if (connection.state === 'offline') return err({ type: 'offline' });
      const person = world.people.get(account)!;
      return ok(newChat('direct', person.displayName, [world.me, account], account, person.picture));
    },
    async createGroup({ name, picture, members }) {
      await pause(500);
      if (connection.state === 'offline') return err({ type: 'offline' });
      if (name.trim() === '') return err({ type: 'name-invalid' });
      return ok(newChat('group', name.trim(), [world.me, ...members], undefined, picture && toAddress(picture)));
    },
    async chatInfo(conversation) {
      return chatOf(conversation)?.info;
    },
    async setGroupMeta(conversation, input) {
      await pause(300);
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      if (input.name !== undefined && input.name.trim() === '') return err({ type: 'name-invalid' });
      chat.info = { ...chat.info, title: input.name ?? chat.info.title, description: input.description ?? chat.info.description, picture: input.picture === undefined ? chat.info.picture : input.picture === null ? undefined : toAddress(input.picture) };
      tellInfo(chat);
      return ok(undefined);
    },
    async addMembers(conversation, accounts) {
      await pause(300);
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      chat.info = { ...chat.info, members: [...chat.info.members, ...accounts.map((account) => ({ account, role: 'member' as const, me: false }))] };
      tellInfo(chat);
      return ok(undefined);
    },
    async removeMember(conversation, account) {
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      chat.info = { ...chat.info, members: chat.info.members.filter((member) => member.account !== account) };
      tellInfo(chat);
      return ok(undefined);
    },
    async setRole(conversation, account, role) {
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      chat.info = { ...chat.info, members: chat.info.members.map((member) => (member.account === account ? { ...member, role } : member)) };
      tellInfo(chat);
      return ok(undefined);
    },
    async leave(conversation) {
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      chat.summary = { ...chat.summary, left: true };
      chat.info = { ...chat.info, myRole: undefined, members: chat.info.members.filter((member) => !member.me) };
      tellChat(chat, []);
      return ok(undefined);
    },
    async setChatFlags(conversation, flags) {
      const chat = chatOf(conversation);
      if (!chat) return;
      chat.summary = { ...chat.summary, ...flags };
      tellChat(chat, []);
    },
    async openChat(conversation) {
      await pause(options.has('slow') ? 3_000 : 40);
      const chat = chatOf(conversation);
      if (!chat) return undefined;
      const from = windows.get(conversation) ?? Math.max(0, chat.items.length - 80);
      windows.set(conversation, from);
      return { conversation, items: chat.items.slice(from), ...older(chat), unreadFrom: chat.summary.unread > 0 ? chat.unreadFrom : undefined, draft: chat.summary.draft ?? '', canWrite: !chat.summary.left, readOnlyReason: chat.summary.left ? 'removed' : undefined };
    },
    async closeChat(conversation) {
      windows.delete(conversation);
    },
    async loadOlder(conversation, count) {
      await pause(120);
      const chat = chatOf(conversation)!;
      const from = windows.get(conversation) ?? chat.items.length;
      const floor = connection.state === 'offline' ? Math.min(from, chat.remoteBelow) : 0;
      const next = Math.max(floor, from - count);
      windows.set(conversation, next);
      const loaded = chat.items.slice(next, from);
      emit({ type: 'chat', patch: { conversation, upsert: loaded, remove: [], ...older(chat), canWrite: !chat.summary.left } });
      return { loaded: loaded.length, ...older(chat) };
    },
    async loadUntil(conversation, id) {
      const chat = chatOf(conversation)!;
      const at = chat.items.findIndex((item) => item.id === id);
      if (at < 0) return false;
      const from = windows.get(conversation) ?? chat.items.length;
      if (at < from) {
        const next = Math.max(0, at - 30);
        windows.set(conversation, next);
        emit({ type: 'chat', patch: { conversation, upsert: chat.items.slice(next, from), remove: [], ...older(chat), canWrite: true } });
        await pause(20);
      }
      return true;
    },
    async sendText(conversation, { text, replyTo }) {
      const chat = chatOf(conversation);
      if (!chat) return err({ type: 'unknown-chat' });
      if (text.trim() === '') return err({ type: 'empty' });
      if (new TextEncoder().encode(text).length > limits.messageTextBytesMax) return err({ type: 'too-long' });
      const n = chat.items.length;
      const target = chat.items.find((item) => item.id === replyTo);
      const item: Message = {
        id: `1.${n}`, order: orderAt(Date.now(), n), at: Date.now(), type: 'message', author: world.me, mine: true, text, deleted: false, edited: false, reactions: [], tick: 'waiting', late: false, receivedAt: undefined, seq: undefined, failure: undefined,
        replyTo: target?.type === 'message' ? { id: target.id, author: target.author, preview: target.text.slice(0, 120), missing: false } : undefined,
      };
      chat.items.push(item);
      chat.summary = { ...chat.summary, draft: undefined };
      tellChat(chat, [item]);
      tellConnection();
      void deliver(chat, item.id).then(() => answer(chat));
      return ok({ id: item.id });
    },
    async editText(conversation, id, text) {
      const chat = chatOf(conversation)!;
      return replace(chat, id, (item) => ({ ...item, text, edited: true })) ? ok(undefined) : err({ type: 'unknown-message' });
    },
    async deleteMessage(conversation, id) {
      const chat = chatOf(conversation)!;
      const item = chat.items.find((other) => other.id === id);
      if (item?.type === 'message' && (item.tick === 'waiting' || item.tick === 'failed')) {
        chat.items = chat.items.filter((other) => other.id !== id);
        tellChat(chat, [], [id]);
        tellConnection();
        return ok(undefined);
      }
      return replace(chat, id, (old) => ({ ...old, text: '', deleted: true, reactions: [], replyTo: undefined })) ? ok(undefined) : err({ type: 'unknown-message' });
    },
    async react(conversation, id, emoji, on) {
      const chat = chatOf(conversation)!;
      replace(chat, id, (item) => {
        const others = item.reactions.filter((reaction) => reaction.emoji !== emoji);
        const old = item.reactions.find((reaction) => reaction.emoji === emoji) ?? { emoji, count: 0, mine: false, names: [] };
        if (old.mine === on) return item;
        const next = { ...old, mine: on, count: old.count + (on ? 1 : -1), names: on ? [...old.names, me.displayName] : old.names.filter((name) => name !== me.displayName) };
        const at = item.reactions.findIndex((reaction) => reaction.emoji === emoji);
        return { ...item, reactions: next.count === 0 ? others : at < 0 ? [...others, next] : item.reactions.map((reaction, i) => (i === at ? next : reaction)) };
      });
      return ok(undefined);
    },
    async retry(conversation, id) {
      const chat = chatOf(conversation)!;
      replace(chat, id, (item) => ({ ...item, tick: 'waiting', failure: undefined }));
      void deliver(chat, id);
    },
    async markRead(conversation) {
      const chat = chatOf(conversation);
      if (!chat || chat.summary.unread === 0 || options.has('keep-unread')) return;
      chat.summary = { ...chat.summary, unread: 0 };
      emit({ type: 'chats', reset: false, upsert: [chat.summary], remove: [] });
    },
    async typing() {},
    async saveDraft(conversation, text) {
      const chat = chatOf(conversation);
      if (!chat) return;
      chat.summary = { ...chat.summary, draft: text.trim() === '' ? undefined : text };
      emit({ type: 'chats', reset: false, upsert: [chat.summary], remove: [] });
    },
    async seenBy(conversation) {
      const chat = chatOf(conversation)!;
      return chat.info.members.filter((member) => !member.me).map(({ account }, i) => ({ account, delivered: i % 4 !== 3, read: i % 2 === 0 }));
    },
    async devices() {
      return devices;
    },
    async revokeDevice(id) {
      await pause(400);
      devices = devices.map((device) => (device.id === id ? { ...device, revoked: true } : device));
      return ok(undefined);
    },
    async askPersistence() {
      storage = { ...storage, persisted: true };
      emit({ type: 'storage', storage });
      return storage;
    },
    async dismissNotice(id) {
      notices = notices.filter((notice) => notice.id !== id);
      emit({ type: 'notices', notices });
    },
    async reconnect() {},
  };
  function updatePerson(account: AccountId, change: Partial<Person>): void {
    const person = { ...world.people.get(account)!, ...change };
    world.people.set(account, person);
    emit({ type: 'people', upsert: [person] });
    for (const chat of world.chats.values()) if (chat.summary.peer === account) {
      chat.summary = { ...chat.summary, verified: person.verified };
      tellChat(chat, []);
    }
  }

  const steer = {
    api, world,
    setOffline(offline: boolean) {
      tellConnection(offline ? 'offline' : 'online');
      if (!offline) for (const chat of world.chats.values()) for (const item of chat.items.slice(-20)) if (item.type === 'message' && item.tick === 'waiting') void deliver(chat, item.id);
    },
    setConnection: tellConnection,
    receive(title: string, text: string) {
      const chat = [...world.chats.values()].find((other) => other.summary.title === title)!;
      receive(chat, chat.summary.peer ?? chat.info.members.find((member) => !member.me)!.account, text);
    },
    notify(level: Notice['level'], type: Notice['type'], detail: string) {
      notices = [...notices, { id: `n${notices.length}`, level, type, detail, conversation: undefined, account: undefined }];
      emit({ type: 'notices', notices });
    },
    setStorage(change: Partial<StorageHealth>) {
      storage = { ...storage, ...change };
      emit({ type: 'storage', storage });
    },
    chatId: (title: string) => [...world.chats.values()].find((chat) => chat.summary.title === title)?.summary.conversation,
  };
  Object.assign(globalThis, { fakeEngine: steer });

  return {
    api,
    subscribe(listener) {
      listeners.add(listener);
      const tell = (event: EngineEvent) => queueMicrotask(() => listener(event));
      if (options.has('starting')) return () => listeners.delete(listener);
      tell({ type: 'session', session });
      if (session.type === 'signed-in') {
        tell({ type: 'people', upsert: [...world.people.values()] });
        tell({ type: 'chats', reset: true, upsert: [...world.chats.values()].map((chat) => chat.summary), remove: [] });
        const typing = [...world.chats.values()].find((chat) => chat.summary.typing.length > 0);
        if (typing) tell({ type: 'typing', conversation: typing.summary.conversation, who: [typing.info.members[2]!.account] });
      }
      tell({ type: 'connection', connection });
      tell({ type: 'storage', storage });
      return () => listeners.delete(listener);
    },
  };
}

function toAddress(bytes: Uint8Array): string {
  return URL.createObjectURL(new Blob([Uint8Array.from(bytes)]));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const recoveryWords = 'orbit velvet harbor mango thunder pencil glacier tiny lunar fabric echo walnut sister canyon maple rocket gentle island puzzle ribbon shadow trophy upset window'.split(' ');
