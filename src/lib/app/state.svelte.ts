/**
 * What pages draw from: the engine's words, folded into reactive state.
 *
 * A tab holds no truth of its own. Everything here is what the engine last said, and every act of
 * a person is a call on `api`. The one exception is what belongs to this tab alone: that a screen
 * of entry still has something to show, and that a new version or an installation is on offer.
 */
import { SvelteMap } from 'svelte/reactivity';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Clock, Timers } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import type { ChatSummary, Connection, EngineApi, EngineEvent, Me, Notice, Person, SessionState, StorageHealth } from './engine-api.ts';
import { OpenChat } from './open-chat.svelte.ts';
import { patchChats } from './patch.ts';

export interface EngineConnection {
  readonly api: EngineApi;
  /** The listener hears the present state first. The answer ends it. */
  readonly subscribe: (listener: (event: EngineEvent) => void) => () => void;
}

/** The part of a browser's `beforeinstallprompt` event we use. */
interface InstallPrompt extends Event {
  readonly prompt: () => Promise<unknown>;
}

class UpdateOffer {
  waiting = $state(false);
  #apply: (() => void) | undefined;

  /** Called when a new version has been fetched and waits; `apply` swaps it in and reloads. */
  offer(apply: () => void): void {
    this.#apply = apply;
    this.waiting = true;
  }

  apply(): void {
    this.#apply?.();
  }
}

class InstallOffer {
  canInstall = $state(false);
  #prompt: InstallPrompt | undefined;

  take(prompt: InstallPrompt): void {
    prompt.preventDefault();
    this.#prompt = prompt;
    this.canInstall = true;
  }

  async install(): Promise<void> {
    const prompt = this.#prompt;
    this.forget();
    await prompt?.prompt();
  }

  forget(): void {
    this.#prompt = undefined;
    this.canInstall = false;
  }
}

export class AppState {
  readonly api: EngineApi;
  readonly clock: Clock = { now: () => Date.now() };
  readonly timers: Timers = {
    after(ms, task) {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    },
  };
  readonly random: Random = {
    bytes: (size) => crypto.getRandomValues(new Uint8Array(size)),
    fraction: () => Math.random(),
  };
  session = $state.raw<SessionState>({ type: 'starting' });
  /** Sorted as the list shows them. Replaced, never changed in place. */
  chats = $state.raw<readonly ChatSummary[]>([]);
  /** False until the engine has told the list once: then an empty list means no chats. */
  chatsKnown = $state(false);
  readonly people = new SvelteMap<AccountId, Person>();
  connection = $state.raw<Connection>({ state: 'connecting', waiting: 0, retryAt: undefined });
  storage = $state.raw<StorageHealth>({ persisted: undefined, usedBytes: undefined, quotaBytes: undefined, full: false });
  notices = $state.raw<readonly Notice[]>([]);
  readonly typing = new SvelteMap<ConversationId, readonly AccountId[]>();
  readonly update = new UpdateOffer();
  readonly installable = new InstallOffer();
  /** Entry keeps the screen though the engine is signed in: the recovery words are still shown. */
  entryHeld = $state(false);
  /** The time, to the half minute: what times in words follow. */
  minute = $state(Date.now());
  readonly #open = new Set<OpenChat>();
  readonly #end: () => void;

  constructor(connection: EngineConnection) {
    this.api = connection.api;
    const endEvents = connection.subscribe((event) => this.#take(event));
    const endBrowser = this.#followBrowser();
    this.#end = () => {
      endEvents();
      endBrowser();
    };
  }

  get me(): Me | undefined {
    return this.session.type === 'signed-in' ? this.session.me : undefined;
  }

  readonly #chatById = $derived.by(() => new Map(this.chats.map((chat) => [chat.conversation, chat])));

  chat(conversation: ConversationId): ChatSummary | undefined {
    return this.#chatById.get(conversation);
  }

  person(account: AccountId | undefined): Person | undefined {
    return account === undefined ? undefined : this.people.get(account);
  }

  /** Opens it in the engine; close it when the page goes. */
  openChat(conversation: ConversationId): OpenChat {
    const chat = new OpenChat(conversation, this.api, (closed) => {
      this.#open.delete(closed);
      // Another component of this tab may still show the same chat.
      if (![...this.#open].some((other) => other.conversation === conversation)) void this.api.closeChat(conversation);
    });
    this.#open.add(chat);
    void chat.load();
    return chat;
  }

  /** After the engine moved to another tab: open chats must be asked for again. */
  reopenChats(): void {
    for (const chat of this.#open) void chat.load();
  }

  close(): void {
    this.#end();
  }

  #take(event: EngineEvent): void {
    switch (event.type) {
      case 'session':
        this.session = event.session;
        if (event.session.type === 'signed-out' || event.session.type === 'ended') this.#forget();
        return;
      case 'chats':
        this.chats = patchChats(this.chats, event);
        this.chatsKnown = true;
        return;
      case 'people':
        for (const person of event.upsert) this.people.set(person.account, person);
        return;
      case 'chat':
        for (const chat of this.#open) if (chat.conversation === event.patch.conversation) chat.take(event.patch);
        return;
      case 'typing':
        this.typing.set(event.conversation, event.who);
        for (const chat of this.#open) if (chat.conversation === event.conversation) chat.typing = event.who;
        return;
      case 'connection':
        this.connection = event.connection;
        return;
      case 'storage':
        this.storage = event.storage;
        return;
      case 'notices':
        this.notices = event.notices;
        return;
    }
  }

  #forget(): void {
    this.chats = [];
    this.chatsKnown = false;
    this.people.clear();
    this.typing.clear();
    this.notices = [];
  }

  #followBrowser(): () => void {
    if (typeof window === 'undefined') return () => {};
    const takePrompt = (event: Event) => this.installable.take(event as InstallPrompt);
    const installed = () => this.installable.forget();
    const tickMinute = () => {
      this.minute = this.clock.now();
    };
    const online = () => void this.api.reconnect();
    const timer = setInterval(tickMinute, 30_000);
    window.addEventListener('beforeinstallprompt', takePrompt);
    window.addEventListener('appinstalled', installed);
    window.addEventListener('online', online);
    document.addEventListener('visibilitychange', tickMinute);
    return () => {
      clearInterval(timer);
      window.removeEventListener('beforeinstallprompt', takePrompt);
      window.removeEventListener('appinstalled', installed);
      window.removeEventListener('online', online);
      document.removeEventListener('visibilitychange', tickMinute);
    };
  }
}

let app: AppState | undefined;

export function startApp(connection: EngineConnection): AppState {
  app?.close();
  app = new AppState(connection);
  return app;
}

export function getApp(): AppState {
  if (!app) throw new Error('broken promise: pages are drawn after startApp');
  return app;
}
