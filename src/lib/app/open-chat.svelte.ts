/**
 * One open chat as a page sees it: a loaded stretch of the timeline that follows the engine.
 *
 * The engine sends patches to every tab that has the chat open, and the first view as an answer.
 * Patches that arrive before the view are kept and laid over it: a patch carries whole items and
 * patches come in order, so what results is never older than the newest of them.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { ChatPatch, ChatView, EngineApi, TimelineItem } from './engine-api.ts';
import { patchItems } from './patch.ts';

export class OpenChat {
  readonly conversation: ConversationId;
  /** `missing`: the engine knows no such chat. */
  status = $state<'loading' | 'ready' | 'missing'>('loading');
  /** In timeline order. Replaced, never changed in place. */
  items = $state.raw<readonly TimelineItem[]>([]);
  hasOlder = $state(false);
  olderNeedsNetwork = $state(false);
  loadingOlder = $state(false);
  /** `order` of the first unread item when the chat was opened. */
  unreadFrom = $state<string | undefined>(undefined);
  /** The draft as it was when the chat was opened; the composer owns it from then on. */
  draft = $state('');
  canWrite = $state(true);
  readOnlyReason = $state<ChatView['readOnlyReason']>(undefined);
  typing = $state.raw<readonly AccountId[]>([]);
  readonly #api: EngineApi;
  readonly #onClose: (chat: OpenChat) => void;
  #early: ChatPatch[] = [];
  #closed = false;

  constructor(conversation: ConversationId, api: EngineApi, onClose: (chat: OpenChat) => void) {
    this.conversation = conversation;
    this.#api = api;
    this.#onClose = onClose;
  }

  /** Asks the engine for the view; also after another tab's engine took over. */
  async load(): Promise<void> {
    const view = await this.#api.openChat(this.conversation);
    if (this.#closed) return;
    if (!view) {
      this.status = 'missing';
      return;
    }
    this.items = view.items;
    this.hasOlder = view.hasOlder;
    this.olderNeedsNetwork = view.olderNeedsNetwork;
    this.canWrite = view.canWrite;
    this.readOnlyReason = view.readOnlyReason;
    if (this.status === 'loading') {
      this.unreadFrom = view.unreadFrom;
      this.draft = view.draft;
    }
    this.status = 'ready';
    const early = this.#early;
    this.#early = [];
    for (const patch of early) this.take(patch);
  }

  take(patch: ChatPatch): void {
    if (this.status === 'loading') {
      this.#early.push(patch);
      return;
    }
    this.items = patchItems(this.items, patch.upsert, patch.remove);
    this.hasOlder = patch.hasOlder;
    this.olderNeedsNetwork = patch.olderNeedsNetwork;
    if (patch.canWrite) this.readOnlyReason = undefined;
    else if (this.canWrite) void this.#whyReadOnly();
    this.canWrite = patch.canWrite;
  }

  /** Loads more above; one request at a time. Answers whether any came. */
  async loadOlder(count: number): Promise<boolean> {
    if (this.loadingOlder || !this.hasOlder || this.status !== 'ready') return false;
    this.loadingOlder = true;
    try {
      const answer = await this.#api.loadOlder(this.conversation, count);
      this.hasOlder = answer.hasOlder;
      this.olderNeedsNetwork = answer.olderNeedsNetwork;
      return answer.loaded > 0;
    } finally {
      this.loadingOlder = false;
    }
  }

  /** Makes sure the item is loaded; false when it is not to be had now. */
  loadUntil(id: string): Promise<boolean> {
    if (this.items.some((item) => item.id === id)) return Promise.resolve(true);
    return this.#api.loadUntil(this.conversation, id);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
  }

  async #whyReadOnly(): Promise<void> {
    const view = await this.#api.openChat(this.conversation);
    if (!this.#closed && view) this.readOnlyReason = view.readOnlyReason;
  }
}
