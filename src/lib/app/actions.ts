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

  /** Enqueues, shows, and answers; a full disk is an answer, not a crash. */
  async function send(conversation: ConversationId, event: EventToSend, key?: string): Promise<Result<EntryId, SendError>> {
    try {
      const entry = await enqueueEvent({ clock: desk.clock, sealer: desk.loaded.sealer, sync }, conversation, event, key);
      await shown(conversation);
      return ok(entry);
    } catch (error) {
      if (error instanceof StorageError && error.reason === 'full') {
        desk.notices.add({ level: 'warning', type: 'storage-full', detail: '', conversation, account: undefined });
        return err({ type: 'storage-full' });
      }
      throw error;
    }
  }

  async function shown(conversation: ConversationId): Promise<void> {
    await chats.waitingMoved(conversation);
    desk.book.touch(conversation);
    const { state, retryAt } = sync.connection();
    desk.tell({ type: 'connection', connection: { state, retryAt, waiting: await desk.waiting() } });
  }

  /** Puts other words in place of one that was never sealed; false when it is too late for that. */
  async function replaceWaiting(conversation: ConversationId, id: EntryId, event: Event): Promise<boolean> {
    const sealedEvent = await desk.loaded.sealer.seal('outbox', conversation, encodeWaitingEvent(event));
    const put = event.kind === 'empty' ? sync.withdraw : sync.replaceWaiting;
    const replaced = await put(conversation, id.ctr, sealedEvent);
    if (replaced.ok) await shown(conversation);
    return replaced.ok;
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
      await desk.drafts.save(conversation, '');
      return sent.ok ? ok({ id: entryText(sent.value) }) : sent;
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
        if (await replaceWaiting(conversation, entry, event)) return ok(undefined);
      }
      const sent = await send(conversation, { kind: 'edit', target: waitingTarget(entry, entry), text: checked.value });
      return sent.ok ? ok(undefined) : sent;
    },

    async deleteMessage(conversation, id) {
      const entry = find(conversation, id);
      if (!entry) return err({ type: 'unknown-message' });
      if (entry.waiting?.refused !== undefined) {
        await sync.dropRefused(conversation, entry);
        await shown(conversation);
        return ok(undefined);
      }
      const group = await writable(conversation);
      if (!group.ok) return group;
      if (!entry.mine && !isAdmin(group.value.members.get(desk.me)?.role)) return err({ type: 'not-allowed' });
      if (entry.waiting && await replaceWaiting(conversation, entry, { kind: 'empty', ...desk.clock.stamp() })) return ok(undefined);
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
      await sync.retry(conversation, refused);
      await shown(conversation);
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
      await desk.drafts.save(conversation, text.slice(0, 100_000));
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
