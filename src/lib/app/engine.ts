/**
 * The engine: who is signed in here, the desk that works for them, and the API every tab calls.
 *
 * It runs wherever its platform runs: in a browser's worker, in Node for tools and tests. Everything a
 * tab is told comes from here, and a tab that attaches is told the present state first.
 */
import type { NewIdentity } from '#lib/identity/records.ts';
import { loadIdentity, saveIdentity } from '#lib/identity/records.ts';
import type { EntryFault } from '#lib/identity/faults.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { StorageError } from '#lib/storage/database.ts';
import { askPersistence, readQuota } from '#lib/storage/quota.ts';
import type { Registry } from '#lib/storage/registry.ts';
import { writingApi } from './actions.ts';
import { openDesk, type Desk } from './desk.ts';
import type { EngineApi, EngineEvent, EntryError, Me, SessionState, StorageHealth } from './engine-api.ts';
import { toEntryError } from './entry-error.ts';
import type { Platform } from './platform.ts';
import { roomApi } from './room-actions.ts';
import { unsentOf } from './unsent.ts';
import type { Attachable } from './serve.ts';

export interface Engine extends Attachable {
  readonly desk: () => Desk | undefined;
  readonly close: () => Promise<void>;
}

/** How often the room left is looked at: it is cheap and changes slowly. */
const quotaEveryMs = 60_000;

export async function openEngine(platform: Platform): Promise<Engine> {
  const { api, random, clock } = platform;
  const listeners = new Map<string, (event: EngineEvent) => void>();
  let nextTab = 0;
  let registry: Registry | undefined;
  let desk: Desk | undefined;
  /** Whose data stays until the person has seen what was not sent. */
  let ended: AccountId | undefined;
  let session: SessionState = { type: 'starting' };
  let serverSession: 'ok' | 'expired' | 'unknown' = 'unknown';
  let health: StorageHealth = { persisted: undefined, usedBytes: undefined, quotaBytes: undefined, full: false };
  let stopQuota = () => {};

  function tell(event: EngineEvent): void {
    for (const listener of listeners.values()) listener(event);
  }

  function setSession(next: SessionState): void {
    session = next;
    tell({ type: 'session', session });
  }

  function me(from: Desk): Me {
    const person = from.people.now(from.me);
    return {
      account: from.me, handle: person.handle, displayName: person.displayName, picture: person.picture,
      deviceId: from.loaded.identity.device, wordsConfirmed: from.core.view().wordsConfirmed,
    };
  }

  function tellSession(): void {
    if (desk) setSession({ type: 'signed-in', me: me(desk), serverSession });
  }

  function setServerSession(next: typeof serverSession): void {
    if (serverSession === next) return;
    serverSession = next;
    tellSession();
  }

  async function start(): Promise<void> {
    try {
      registry = await platform.openRegistry();
      const account = await registry.current();
      if (!account) {
        setSession({ type: 'signed-out' });
        return;
      }
      await openAccountDesk(registry, account);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      platform.report('opening the storage', error);
      if (error.reason === 'evicted' && registry) {
        // The browser threw everything away: nothing is left to open, so the person signs in anew.
        const account = await registry.current();
        if (account) await registry.wipe(account);
        setSession({ type: 'signed-out', why: 'evicted' });
        return;
      }
      setSession({ type: 'unusable', reason: error.reason === 'newer-version' ? 'storage-newer' : error.reason === 'blocked' ? 'storage-blocked' : 'failed' });
    }
  }

  async function openAccountDesk(from: Registry, account: AccountId): Promise<void> {
    const database = await platform.openDatabase(account, {
      expect: 'existing',
      onClosed(reason) {
        if (reason === 'evicted') end('evicted');
        else setSession({ type: 'unusable', reason: 'storage-newer' });
      },
    });
    const loaded = await loadIdentity(database, random);
    if (!loaded) {
      database.close();
      await from.wipe(account);
      setSession({ type: 'signed-out' });
      return;
    }
    const opened = await openDesk({
      platform, database, loaded, tell,
      fullChanged: (full) => takeHealth({ ...health, full }),
      evicted: () => end('evicted'),
      removed: () => end('removed'),
      sessionEnded: () => setServerSession('expired'),
      sessionOk: () => setServerSession('ok'),
    });
    desk = opened;
    if (await opened.isRemoved()) {
      await opened.load();
      return finish('removed', opened);
    }
    opened.core.subscribe(tellSession);
    tellSession();
    await opened.start();
    void lookAtQuota();
  }

  /** This device is at its end, and not by the person's will. Told more than once, it happens once. */
  function end(why: 'removed' | 'evicted'): void {
    const closing = desk;
    if (!closing || ended !== undefined) return;
    void finish(why, closing).catch((error: unknown) => {
      platform.report('ending what is signed in', error);
      setSession({ type: 'unusable', reason: 'failed' });
    });
  }

  async function finish(why: 'removed' | 'evicted', closing: Desk): Promise<void> {
    desk = undefined;
    ended = closing.me;
    stopQuota();
    const unsent = await unsentOf(closing);
    await closing.close().catch((error: unknown) => {
      // What cannot be read cannot be closed in order either.
      if (!(error instanceof StorageError)) throw error;
    });
    if (unsent.length > 0) setSession({ type: 'ended', why, unsent });
    else await wipe(why);
  }

  async function wipe(why?: 'removed' | 'evicted' | 'still-listed'): Promise<void> {
    if (ended !== undefined) await registry?.wipe(ended);
    ended = undefined;
    serverSession = 'unknown';
    setSession({ type: 'signed-out', ...(why && { why }) });
  }

  async function lookAtQuota(): Promise<void> {
    const quota = await readQuota(platform.storage);
    takeHealth({ ...quota, full: health.full });
    stopQuota = platform.timers.after(quotaEveryMs, () => void lookAtQuota());
  }

  function takeHealth(next: StorageHealth): void {
    const said = JSON.stringify(health) === JSON.stringify(next);
    health = next;
    if (!said) tell({ type: 'storage', storage: health });
  }

  /** Stores a new identity and opens its desk; whoever was here before has signed out. */
  async function settle(made: Result<NewIdentity, EntryFault>): Promise<Result<NewIdentity, EntryError>> {
    if (!made.ok) return err(toEntryError(made.error));
    registry ??= await platform.openRegistry();
    const account = made.value.identity.account;
    try {
      const database = await platform.openDatabase(account, { expect: 'any' });
      await saveIdentity(database, made.value, random, clock.now());
      database.close();
      await registry.setCurrent(account);
      serverSession = 'ok';
      await openAccountDesk(registry, account);
      await current()?.core.set({ type: 'device-name', device: made.value.identity.device, name: platform.deviceName });
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      platform.report('keeping a new account', error);
      return err({ type: 'failed', detail: `storage-${error.reason}` });
    }
    return ok(made.value);
  }

  /** Read anew: entering and leaving happen while a call waits. */
  function current(): Desk | undefined {
    return desk;
  }

  const enterDeps = { api, opaque: platform.wasm.opaque, random, clock };

  const entryApi: Pick<EngineApi, 'signUp' | 'signIn' | 'signInWithWords' | 'signOut'> = {
    async signUp({ handle, password, displayName }) {
      if (desk || ended !== undefined) return err({ type: 'failed', detail: 'signed-in' });
      const { signUp } = await import('#lib/identity/enter.ts');
      const made = await settle(await signUp(enterDeps, { handle, password }));
      if (!made.ok) return made;
      await current()?.core.set({ type: 'profile', displayName: displayName.trim() || handle });
      tellSession();
      void current()?.people.publishOwn();
      return ok({ words: made.value.words ?? [] });
    },
    async signIn(input) {
      if (desk || ended !== undefined) return err({ type: 'failed', detail: 'signed-in' });
      const { signIn } = await import('#lib/identity/enter.ts');
      const made = await settle(await signIn(enterDeps, input));
      return made.ok ? ok(undefined) : made;
    },
    async signInWithWords(input) {
      if (desk || ended !== undefined) return err({ type: 'failed', detail: 'signed-in' });
      const { signInWithWords } = await import('#lib/identity/enter.ts');
      const made = await settle(await signInWithWords(enterDeps, input));
      return made.ok ? ok(undefined) : made;
    },
    async signOut({ force, everywhere }) {
      const closing = desk;
      if (!closing) {
        if (ended !== undefined) await wipe();
        return ok(undefined);
      }
      const total = await closing.waiting();
      if (total > 0 && !force) return err({ type: 'messages-waiting', count: total });
      desk = undefined;
      ended = closing.me;
      stopQuota();
      if (everywhere) await api.endOtherSessions();
      // The server ends the sessions of a device that left. Where it cannot be reached the cookie stays behind too,
      // useless without this browser's keys, and the device stays in the list until another one removes it.
      const left = await closing.account.leave();
      if (!left.ok) platform.report('leaving the account', new Error(left.error.type));
      await closing.close();
      await api.endSession();
      await wipe(left.ok ? undefined : 'still-listed');
      return ok(undefined);
    },
  };

  function apiFor(tab: string): EngineApi {
    const ready = new Map<Desk, Omit<EngineApi, keyof typeof entryApi>>();

    function deskApi(): Omit<EngineApi, keyof typeof entryApi> {
      if (!desk) throw new Error('nobody is signed in');
      const known = ready.get(desk);
      if (known) return known;
      const now = desk;
      const made = {
        ...writingApi(now), ...roomApi(now),
        openChat: (conversation) => now.chats.open(tab, conversation),
        closeChat: async (conversation) => now.chats.close(tab, conversation),
        loadOlder: (conversation, count) => now.chats.loadOlder(conversation, Math.min(Math.max(1, count), 1_000)),
        loadUntil: (conversation, id) => now.chats.loadUntil(conversation, id),
        async askPersistence() {
          takeHealth({ ...await askPersistence(platform.storage), full: health.full });
          return health;
        },
        dismissNotice: async (id) => now.notices.dismiss(id),
        reconnect: async () => now.sync.poke(),
      } satisfies Omit<EngineApi, keyof typeof entryApi>;
      ready.clear();
      ready.set(desk, made);
      return made;
    }

    const names = [...entryNames, ...deskNames];
    return Object.fromEntries(names.map((name) => [name, async (...args: never[]) => {
      // A tab asks at once when another engine took over; this one may still be opening the storage.
      await started;
      const own = entryApi as unknown as Record<string, (...args: never[]) => Promise<unknown>>;
      return (own[name] ?? (deskApi() as unknown as typeof own)[name]!)(...args);
    }])) as unknown as EngineApi;
  }

  const started = start().catch((error: unknown) => {
    platform.report('starting', error);
    setSession({ type: 'unusable', reason: 'failed' });
  });

  return {
    desk: () => desk,
    attach(listener) {
      const tab = String(nextTab++);
      listeners.set(tab, listener);
      listener({ type: 'session', session });
      if (desk) {
        listener({ type: 'people', upsert: desk.people.all() });
        listener({ type: 'chats', reset: true, upsert: desk.book.all(), remove: [] });
        listener({ type: 'notices', notices: desk.notices.all() });
        const { state, retryAt } = desk.connection();
        void desk.waiting().then((waiting) => listener({ type: 'connection', connection: { state, retryAt, waiting } }));
      }
      listener({ type: 'storage', storage: health });
      return {
        api: apiFor(tab),
        detach() {
          listeners.delete(tab);
          desk?.chats.closeTab(tab);
        },
      };
    },
    async close() {
      stopQuota();
      await desk?.close();
      desk = undefined;
      registry?.close();
    },
  };
}

const entryNames = ['signUp', 'signIn', 'signInWithWords', 'signOut'] as const;
/** Every other call of the API; the type below fails to compile when one is forgotten. */
const deskNames = [
  'renewSession', 'confirmWords', 'findPerson', 'acceptInvite', 'inviteLink', 'safetyNumber', 'setVerified', 'acceptIdentity', 'setProfile',
  'startDirect', 'createGroup', 'chatInfo', 'setGroupMeta', 'addMembers', 'removeMember', 'setRole', 'leave', 'setChatFlags', 'openChat', 'closeChat',
  'loadOlder', 'loadUntil', 'sendText', 'editText', 'deleteMessage', 'react', 'retry', 'markRead', 'typing', 'saveDraft', 'seenBy', 'devices',
  'revokeDevice', 'askPersistence', 'dismissNotice', 'reconnect',
] as const;
type Forgotten = Exclude<keyof EngineApi, (typeof entryNames)[number] | (typeof deskNames)[number]>;
const nothingForgotten: Forgotten extends never ? true : false = true;
void nothingForgotten;
