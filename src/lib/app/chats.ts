/**
 * The chats that are open in some tab, and the facts of all of them for the list.
 *
 * A window is made when the first tab opens a chat and dropped when the last one closes it. What
 * still waits is read back from the outbox itself after every change there, so what is shown and
 * what will be sent are never two truths.
 */
import type { GroupState } from '#lib/chains/group-state.ts';
import type { OpenedEntry } from '#lib/conversation/entry.ts';
import { resolveOwnTargets } from '#lib/conversation/event-targets.ts';
import type { Groups } from '#lib/groups/groups.ts';
import { entryKey, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { createSerialQueue } from '#lib/std/queue.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import type { Sync } from '#lib/sync/types.ts';
import { readSeqKey } from './book.ts';
import { openWindow, type Changes, type ChatWindow, type WaitingRecord } from './chat-window.ts';
import type { ChatPatch, ChatView, TimelineItem, Tick } from './engine-api.ts';
import type { Receipts } from './receipts.ts';
import { readEvent } from './sealing.ts';
import { systemLines } from './system-lines.ts';
import type { Verifier } from './verifier.ts';

export interface ChatsDeps {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly me: AccountId;
  readonly groups: Groups;
  readonly verifier: Verifier;
  readonly receipts: Receipts;
  readonly sync: () => Sync;
  readonly nameOf: (account: AccountId) => string;
  readonly ensurePeople: (accounts: readonly AccountId[]) => Promise<void>;
  readonly isLeft: (conversation: ConversationId) => boolean;
  readonly draftOf: (conversation: ConversationId) => string;
  readonly tell: (patch: ChatPatch) => void;
  readonly failed: (error: unknown) => void;
}

export interface Chats {
  readonly open: (tab: string, conversation: ConversationId) => Promise<ChatView | undefined>;
  readonly close: (tab: string, conversation: ConversationId) => void;
  readonly closeTab: (tab: string) => void;
  readonly loadOlder: (conversation: ConversationId, count: number) => Promise<{ loaded: number; hasOlder: boolean; olderNeedsNetwork: boolean }>;
  readonly loadUntil: (conversation: ConversationId, id: string) => Promise<boolean>;
  readonly window: (conversation: ConversationId) => ChatWindow | undefined;
  /** Rows came or were opened again. */
  readonly take: (conversation: ConversationId, rows: readonly StoredRow[], entries: readonly OpenedEntry[]) => Promise<void>;
  /** The outbox of this chat changed. */
  readonly waitingMoved: (conversation: ConversationId) => Promise<void>;
  /** Ticks, names, members or system lines may look different. */
  readonly repaint: (conversation?: ConversationId) => Promise<void>;
  /** Newest items of a chat, from its window or read for this once. */
  readonly newest: (conversation: ConversationId, group: GroupState, rows: number) => Promise<readonly TimelineItem[]>;
  readonly idle: () => Promise<void>;
}

interface Open {
  readonly window: ChatWindow;
  readonly tabs: Set<string>;
  readonly queue: ReturnType<typeof createSerialQueue>;
  /** Own entries shown as waiting, by entryKey. */
  waiting: Map<number, WaitingRecord>;
  look: Look;
}

/** What a window asks while it draws, read ahead because drawing does not wait. */
interface Look {
  group: GroupState;
  tickOf: (seq: number) => Tick;
  lines: readonly TimelineItem[];
}

const fetchRows = 256;

export function createChats(deps: ChatsDeps): Chats {
  const { database, groups, verifier, receipts, sealer } = deps;
  const opened = new Map<ConversationId, Promise<Open | undefined>>();
  const settled = new Map<ConversationId, Open>();

  async function look(conversation: ConversationId, group: GroupState): Promise<Look> {
    const [lines, chat] = await Promise.all([systemLines(groups, conversation, group), receipts.of(conversation)]);
    return { group, lines, tickOf: chat.tick };
  }

  async function makeWindow(conversation: ConversationId, group: GroupState, rows?: number): Promise<Pick<Open, 'window' | 'look' | 'waiting'> | undefined> {
    const record = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
    await deps.ensurePeople([...group.members.keys()].slice(0, 256));
    const held = { look: await look(conversation, group) };
    const bounds = { low: record?.low ?? 1, cursor: record?.cursor ?? 0 };
    const window = await openWindow({
      database, conversation, me: deps.me,
      group: () => held.look.group,
      open: (list) => verifier.openHeld(conversation, list),
      slotOwner: async (slot) => (await verifier.slotOwner(conversation, slot))?.account,
      nameOf: deps.nameOf,
      tickOf: (seq) => held.look.tickOf(seq),
      systemItems: () => held.look.lines,
    }, rows === undefined ? bounds : { ...bounds, from: Math.max(bounds.low, bounds.cursor - rows + 1) });
    const waiting = await readWaiting(conversation);
    for (const item of waiting.values()) window.putWaiting(item);
    return Object.assign(held, { window, waiting });
  }

  function get(conversation: ConversationId): Promise<Open | undefined> {
    let found = opened.get(conversation);
    if (!found) {
      found = make(conversation);
      opened.set(conversation, found);
    }
    return found;
  }

  async function make(conversation: ConversationId): Promise<Open | undefined> {
    const group = await groups.state(conversation);
    const made = group && await makeWindow(conversation, group);
    if (!made) {
      opened.delete(conversation);
      return undefined;
    }
    const open: Open = Object.assign(made, { tabs: new Set<string>(), queue: createSerialQueue() });
    settled.set(conversation, open);
    return open;
  }

  async function readWaiting(conversation: ConversationId): Promise<Map<number, WaitingRecord>> {
    const [record, outbox, refused] = await database.read(['conversations', 'outbox', 'refused'], async (tx) => [
      await tx.get('conversations', conversation),
      await tx.getAll('outbox', { range: { from: [conversation, 0], to: [conversation, Infinity] } }),
      await tx.getAll('refused', { range: { from: [conversation, 0, 0], to: [conversation, Infinity, Infinity] } }),
    ] as const);
    const slot = record?.slot ?? 0;
    const records = new Map<number, WaitingRecord>();
    for (const stored of outbox) {
      const event = await readEvent(sealer, stored);
      if (!event.ok) continue; // sync reports it as refused when it comes to be sealed
      if (stored.refused !== undefined) continue; // its words are in `refused`
      const id = { slot, ctr: stored.ctr };
      records.set(entryKey(id), { ...id, event: slot === 0 ? event.value : resolveOwnTargets(event.value, slot), acknowledgedSeq: stored.acknowledgedSeq, refused: undefined });
    }
    for (const stored of refused) {
      const event = await readEvent(sealer, stored);
      if (event.ok) records.set(entryKey(stored), { slot: stored.slot, ctr: stored.ctr, event: event.value, acknowledgedSeq: undefined, refused: stored.why });
    }
    return records;
  }

  function patch(conversation: ConversationId, open: Open, changes: Changes): void {
    if (changes.upsert.length === 0 && changes.remove.length === 0) return;
    deps.tell({ conversation, ...changes, ...older(open), canWrite: canWrite(conversation, open) });
  }

  function older(open: Open): { hasOlder: boolean; olderNeedsNetwork: boolean } {
    const here = open.window.hasOlderHere();
    const elsewhere = open.window.loadedFrom() > 1;
    return { hasOlder: here || elsewhere, olderNeedsNetwork: !here && elsewhere && deps.sync().connection().state !== 'online' };
  }

  function canWrite(conversation: ConversationId, open: Open): boolean {
    return open.look.group.members.has(deps.me) && !deps.isLeft(conversation);
  }

  async function view(conversation: ConversationId, open: Open): Promise<ChatView> {
    const read = ((await database.read(['kv'], (tx) => tx.get('kv', readSeqKey(conversation)))) as number | undefined) ?? 0;
    const items = open.window.items();
    const unread = items.filter((item) => item.type === 'message' && !item.mine && item.seq !== undefined && item.seq > read);
    const onTime = unread.find((item) => item.type === 'message' && !item.late) ?? unread[0];
    const writable = canWrite(conversation, open);
    return {
      conversation, items, ...older(open),
      unreadFrom: onTime?.order,
      draft: deps.draftOf(conversation),
      canWrite: writable,
      readOnlyReason: writable ? undefined : open.look.group.members.has(deps.me) ? 'removed' : 'left',
    };
  }

  async function loadOlder(conversation: ConversationId, count: number): Promise<{ loaded: number; hasOlder: boolean; olderNeedsNetwork: boolean }> {
    const open = await get(conversation);
    if (!open) return { loaded: 0, hasOlder: false, olderNeedsNetwork: false };
    if (!open.window.hasOlderHere() && open.window.loadedFrom() > 1) await deps.sync().fetchOlder(conversation, Math.max(count, fetchRows));
    return open.queue.run(async () => {
      const record = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
      const { patch: changes, rows } = await open.window.loadOlder(count, record?.low ?? 1);
      patch(conversation, open, changes);
      return { loaded: rows, ...older(open) };
    });
  }

  return {
    async open(tab, conversation) {
      const open = await get(conversation);
      if (!open) return undefined;
      open.tabs.add(tab);
      return open.queue.run(() => view(conversation, open));
    },
    close(tab, conversation) {
      const open = settled.get(conversation);
      open?.tabs.delete(tab);
      if (open && open.tabs.size === 0) {
        settled.delete(conversation);
        opened.delete(conversation);
      }
    },
    closeTab(tab) {
      for (const conversation of [...settled.keys()]) if (settled.get(conversation)?.tabs.has(tab)) this.close(tab, conversation);
    },
    loadOlder,
    async loadUntil(conversation, id) {
      const open = await get(conversation);
      if (!open) return false;
      for (;;) {
        if (open.window.entry(id)) return true;
        const answer = await loadOlder(conversation, fetchRows);
        if (answer.loaded === 0) return open.window.entry(id) !== undefined;
      }
    },
    window: (conversation) => settled.get(conversation)?.window,
    async take(conversation, rows, entries) {
      // One that is just being opened may have read the log before these rows: it takes them too.
      const open = await opened.get(conversation);
      if (!open) return;
      await open.queue.run(async () => patch(conversation, open, await open.window.take(rows, entries)));
    },
    async waitingMoved(conversation) {
      const open = await opened.get(conversation);
      if (!open) return;
      await open.queue.run(async () => {
        const next = await readWaiting(conversation);
        const upsert = new Map<string, TimelineItem>();
        const remove = new Set<string>();
        const collect = (changes: Changes) => {
          for (const id of changes.remove) {
            upsert.delete(id);
            remove.add(id);
          }
          for (const item of changes.upsert) {
            remove.delete(item.id);
            upsert.set(item.id, item);
          }
        };
        for (const [key, record] of open.waiting) if (!next.has(key)) collect(open.window.removeWaiting(record));
        for (const record of next.values()) collect(open.window.putWaiting(record));
        open.waiting = next;
        patch(conversation, open, { upsert: [...upsert.values()], remove: [...remove] });
      });
    },
    async repaint(conversation) {
      const list = conversation ? [conversation] : [...settled.keys()];
      for (const id of list) {
        const open = settled.get(id);
        if (!open) continue;
        await open.queue.run(async () => {
          const group = await groups.state(id);
          if (group) open.look = await look(id, group);
          const changes = open.window.refresh();
          deps.tell({ conversation: id, ...changes, ...older(open), canWrite: canWrite(id, open) });
        });
      }
    },
    async newest(conversation, group, rows) {
      const open = settled.get(conversation);
      if (open) return open.queue.run(async () => open.window.items());
      return (await makeWindow(conversation, group, rows))?.window.items() ?? [];
    },
    async idle() {
      for (const open of settled.values()) await open.queue.idle();
    },
  };
}
