/**
 * Writing in a chat. Every call is durable on this device when it resolves and needs no network; what
 * it made is an entry of the outbox, shown at once.
 */
import { isAdmin, type GroupState } from '#lib/chains/group-state.ts';
import { encodeWaitingEvent } from '#lib/conversation/event-codec.ts';
import type { Event } from '#lib/conversation/event.ts';
import { encodeSignal } from '#lib/conversation/marks.ts';
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { textToBytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { StorageError } from '#lib/storage/database.ts';
import { entryText, parseEntryText, type TimelineEntry } from '#lib/timeline/item.ts';
import { readSeqKey } from './book.ts';
import type { Desk } from './desk.ts';
import { enqueueEvent, madeByKey, type EventToSend } from './enqueue.ts';
import type { EngineApi, SendError } from './engine-api.ts';
import { chainToFill } from './sealing.ts';

export type WritingApi = Pick<EngineApi, 'sendText' | 'editText' | 'deleteMessage' | 'react' | 'retry' | 'markRead' | 'typing' | 'saveDraft' | 'seenBy'>;

export function writingApi(desk: Desk): WritingApi {
  const { groups, sync, chats, database } = desk;

  async function writable(conversation: ConversationId): Promise<Result<GroupState, SendError>> {
    const group = await groups.state(conversation);
    if (!group) return err({ type: 'unknown-chat' });
    if (!group.members.has(desk.me) || desk.membership.isLeft(conversation)) return err({ type: 'not-member' });
    return ok(group);
  }

  function checkText(text: string): Result<string, SendError> {
    const trimmed = text.replace(/^\s*\n|\s+$/g, '');
    if (trimmed.trim() === '') return err({ type: 'empty' });
    return textToBytes(trimmed).length > limits.messageTextBytesMax ? err({ type: 'too-long' }) : ok(trimmed);
  }

  function find(conversation: ConversationId, id: string): TimelineEntry | undefined {
    return chats.window(conversation)?.entry(id);
  }

  /** Enqueues, shows, and answers; a disk that takes nothing is an answer, not a crash. */
  async function send(conversation: ConversationId, event: EventToSend, key?: string): Promise<Result<EntryId, SendError>> {
    const entry = await kept(() => enqueueEvent({ clock: desk.clock, sealer: desk.loaded.sealer, sync }, conversation, event, key));
    // It is kept from here on, whatever happens to its picture.
    if (entry.ok) await shown(conversation).catch(desk.failed('drawing what waits'));
    return entry;
  }

  async function kept<T>(work: () => Promise<T>): Promise<Result<T, SendError>> {
    try {
      return ok(await work());
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      desk.platform.report('keeping what was written', error);
      return err({ type: error.reason === 'full' ? 'storage-full' : 'storage-failed' });
    }
  }

  /** What was sent is no draft any more. On a full disk it stays one until the next that is kept. */
  async function forgetDraft(conversation: ConversationId): Promise<void> {
    await desk.drafts.save(conversation, '').catch(desk.failed('forgetting a draft'));
  }

  async function shown(conversation: ConversationId): Promise<void> {
    await chats.waitingMoved(conversation);
    desk.book.touch(conversation);
    const { state, retryAt } = sync.connection();
    desk.tell({ type: 'connection', connection: { state, retryAt, waiting: await desk.waiting() } });
  }

  /** Puts other words in place of one that was never sealed; false when it is too late for that. */
  async function replaceWaiting(conversation: ConversationId, id: EntryId, event: Event): Promise<Result<boolean, SendError>> {
    const sealedEvent = await desk.loaded.sealer.seal('outbox', conversation, encodeWaitingEvent(event));
    const put = event.kind === 'empty' ? sync.withdraw : sync.replaceWaiting;
    const replaced = await kept(() => put(conversation, id.ctr, sealedEvent));
    if (!replaced.ok) return replaced;
    if (replaced.value.ok) await shown(conversation).catch(desk.failed('drawing what waits'));
    return ok(replaced.value.ok);
  }

  return {
    async sendText(conversation, { text, replyTo, key }) {
      if (key !== undefined) {
        const done = await database.read(['kv'], (tx) => madeByKey(tx, key));
        if (done) return ok({ id: entryText(done) });
      }
      const checked = checkText(text);
      if (!checked.ok) return checked;
      const group = await writable(conversation);
      if (!group.ok) return group;
      const target = replyTo === undefined ? undefined : parseEntryText(replyTo);
      const sent = await send(conversation, { kind: 'message', text: checked.value, replyTo: target && waitingTarget(find(conversation, replyTo!), target) }, key);
      if (!sent.ok) return sent;
      await forgetDraft(conversation);
      return ok({ id: entryText(sent.value) });
    },

    async editText(conversation, id, text) {
      const checked = checkText(text);
      if (!checked.ok) return checked;
      const group = await writable(conversation);
      if (!group.ok) return group;
      const entry = find(conversation, id);
      if (!entry || entry.deleted) return err({ type: 'unknown-message' });
      if (!entry.mine) return err({ type: 'not-allowed' });
      if (entry.waiting && !entry.edited) {
        const event: Event = { kind: 'message', text: checked.value, replyTo: entry.replyTo, ...desk.clock.stamp() };
        const replaced = await replaceWaiting(conversation, entry, event);
        if (!replaced.ok) return replaced;
        if (replaced.value) return ok(undefined);
      }
      const sent = await send(conversation, { kind: 'edit', target: waitingTarget(entry, entry), text: checked.value });
      return sent.ok ? ok(undefined) : sent;
    },

    async deleteMessage(conversation, id) {
      const entry = find(conversation, id);
      if (!entry) return err({ type: 'unknown-message' });
      if (entry.waiting?.refused !== undefined) {
        const dropped = await kept(() => sync.dropRefused(conversation, entry));
        if (dropped.ok) await shown(conversation);
        return dropped;
      }
      const group = await writable(conversation);
      if (!group.ok) return group;
      if (!entry.mine && !isAdmin(group.value.members.get(desk.me)?.role)) return err({ type: 'not-allowed' });
      if (entry.waiting) {
        const withdrawn = await replaceWaiting(conversation, entry, { kind: 'empty', ...desk.clock.stamp() });
        if (!withdrawn.ok) return withdrawn;
        if (withdrawn.value) return ok(undefined);
      }
      const sent = await send(conversation, { kind: 'delete', target: waitingTarget(entry, entry), targetChain: chainToFill });
      return sent.ok ? ok(undefined) : sent;
    },

    async react(conversation, id, emoji, on) {
      const group = await writable(conversation);
      if (!group.ok) return group;
      const entry = find(conversation, id);
      if (!entry || entry.deleted) return err({ type: 'unknown-message' });
      if (emoji === '' || textToBytes(emoji).length > 64) return err({ type: 'empty' });
      const sent = await send(conversation, { kind: on ? 'react' : 'unreact', target: waitingTarget(entry, entry), emoji });
      return sent.ok ? ok(undefined) : sent;
    },

    async retry(conversation, id) {
      const refused = parseEntryText(id);
      if (!refused) return;
      // Not kept, it stays where it is, refused and with its words.
      const again = await kept(() => sync.retry(conversation, refused));
      if (again.ok) await shown(conversation);
    },

    async markRead(conversation, seq) {
      const moved = await database.write(['kv'], async (tx) => {
        const before = ((await tx.get('kv', readSeqKey(conversation))) as number | undefined) ?? 0;
        if (seq > before) await tx.put('kv', readSeqKey(conversation), seq);
        return seq > before;
      });
      if (!moved) return;
      desk.book.touch(conversation);
      desk.sendMark(conversation);
    },

    async typing(conversation) {
      const record = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
      if (!record || record.slot === 0) return;
      const sealed = await groups.sealEphemeral(conversation, record.slot, encodeSignal({ type: 'typing', account: desk.me }));
      if (sealed) sync.sendEphemeral(conversation, sealed);
    },

    async saveDraft(conversation, text) {
      // A draft longer than any message is a paste the composer refuses anyway.
      await desk.drafts.save(conversation, text.slice(0, 100_000)).catch(desk.failed('keeping a draft'));
      desk.book.repaint([conversation]);
    },

    async seenBy(conversation, id) {
      const seq = find(conversation, id)?.seq;
      const group = await groups.state(conversation);
      if (seq === undefined || !group) return [];
      const known = new Map((await desk.receipts.of(conversation)).seenBy(seq).map((seen) => [seen.account, seen]));
      return [...group.members.keys()].filter((account) => account !== desk.me)
        .map((account) => known.get(account) ?? { account, delivered: false, read: false });
    },
  };
}

/** An own entry that still waits may get another slot before it leaves; slot 0 follows it there. */
function waitingTarget(entry: TimelineEntry | undefined, id: EntryId): EntryId {
  return entry?.waiting && entry.mine && entry.waiting.acknowledgedSeq === undefined ? { slot: 0, ctr: id.ctr } : { slot: id.slot, ctr: id.ctr };
}
