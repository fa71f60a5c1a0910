/**
 * The chat list: what it shows of every chat, kept sealed on disk so that it stands at once when the
 * app opens, and made anew from the chat's newest rows whenever something in it moves.
 */
import { parseId, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { bytesToText, textToBytes } from '#lib/std/bytes.ts';
import type { Database } from '#lib/storage/database.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { Alarm, ChatSummary, TimelineItem } from './engine-api.ts';

/** The part of a summary that comes from the chat itself; names, flags and typing are laid over it. */
export interface ChatFacts {
  readonly conversation: ConversationId;
  readonly kind: ChatSummary['kind'];
  readonly groupName: string | undefined;
  readonly groupPicture: string | undefined;
  readonly peer: AccountId | undefined;
  readonly memberCount: number;
  readonly last: { readonly text: string; readonly author: AccountId | undefined; readonly tick: ChatSummary['lastTick']; readonly at: number } | undefined;
  readonly createdAt: number;
  readonly unread: number;
  readonly left: boolean;
  readonly alarm: Alarm | undefined;
  /** The row these facts were made at: another cursor means make them again. */
  readonly cursor: number;
}

export interface BookDeps {
  readonly database: Database;
  readonly sealer: Sealer;
  /** Everything but `unread` and `cursor`, from the group log and the newest rows. */
  readonly facts: (conversation: ConversationId) => Promise<Omit<ChatFacts, 'unread' | 'cursor'> | undefined>;
  readonly toSummary: (facts: ChatFacts) => ChatSummary;
  readonly tell: (reset: boolean, upsert: readonly ChatSummary[], remove: readonly ConversationId[]) => void;
  readonly failed: (error: unknown) => void;
}

export interface Book {
  /** Reads what was kept and tells it; then makes anew what moved since. */
  readonly load: () => Promise<void>;
  /** The chat moved: its facts are made again, soon and once however often this is called. */
  readonly touch: (conversation: ConversationId) => void;
  /** Only what is laid over moved (a name, a flag, somebody types). */
  readonly repaint: (conversations?: readonly ConversationId[]) => void;
  readonly remove: (conversation: ConversationId) => Promise<void>;
  readonly all: () => readonly ChatSummary[];
  readonly get: (conversation: ConversationId) => ChatFacts | undefined;
  readonly idle: () => Promise<void>;
}

/** Counting stops here; nobody reads the difference. */
const unreadMax = 9_999;
export const readSeqKey = (conversation: ConversationId) => `read/${conversation}`;

export function createBook(deps: BookDeps): Book {
  const { database, sealer } = deps;
  const held = new Map<ConversationId, ChatFacts>();
  const touched = new Set<ConversationId>();
  let working: Promise<void> | undefined;

  async function load(): Promise<void> {
    const [keys, values, records] = await database.read(['summaries', 'conversations'], async (tx) =>
      [await tx.getAllKeys('summaries'), await tx.getAll('summaries'), await tx.getAll('conversations')] as const);
    const opened = await Promise.all(keys.map((key, i) => sealer.unseal('summaries', key, values[i]!.sealedSummary)));
    for (const [i, key] of keys.entries()) {
      const plaintext = opened[i]!;
      const facts = plaintext.ok ? decodeFacts(plaintext.value) : undefined;
      if (facts) held.set(key, facts);
    }
    deps.tell(true, [...held.values()].map(deps.toSummary), []);
    for (const record of records) if (held.get(record.conversation)?.cursor !== record.cursor) touch(record.conversation);
  }

  function touch(conversation: ConversationId): void {
    touched.add(conversation);
    working ??= work().catch(deps.failed).finally(() => {
      working = undefined;
      if (touched.size > 0) touch(touched.values().next().value!);
    });
  }

  async function work(): Promise<void> {
    // What arrives in one turn makes one pass.
    await Promise.resolve();
    while (touched.size > 0) {
      const batch = [...touched].slice(0, 16);
      for (const conversation of batch) touched.delete(conversation);
      const made: ChatFacts[] = [];
      for (const conversation of batch) {
        const facts = await make(conversation);
        if (facts) made.push(facts);
      }
      const sealed = await Promise.all(made.map((facts) => sealer.seal('summaries', facts.conversation, encodeFacts(facts))));
      await database.write(['summaries'], async (tx) => {
        for (const [i, facts] of made.entries()) await tx.put('summaries', facts.conversation, { sealedSummary: sealed[i]! });
      });
      for (const facts of made) held.set(facts.conversation, facts);
      if (made.length > 0) deps.tell(false, made.map(deps.toSummary), []);
    }
  }

  async function make(conversation: ConversationId): Promise<ChatFacts | undefined> {
    const facts = await deps.facts(conversation);
    if (!facts) return undefined;
    const { unread, cursor } = await database.read([...rowStores, 'conversations', 'kv'], async (tx) => {
      const record = await tx.get('conversations', conversation);
      const read = (await tx.get('kv', readSeqKey(conversation)) as number | undefined) ?? 0;
      if (!record || record.cursor <= read) return { unread: 0, cursor: record?.cursor ?? 0 };
      const rows = await readRows(tx, conversation, Math.max(read + 1, record.low), record.cursor, { limit: unreadMax, reverse: true });
      return { unread: rows.filter((row) => row.counts && row.check === 'ok').length, cursor: record.cursor };
    });
    return { ...facts, unread, cursor };
  }

  return {
    load,
    touch,
    repaint(conversations) {
      const facts = conversations ? conversations.flatMap((id) => held.get(id) ?? []) : [...held.values()];
      if (facts.length > 0) deps.tell(false, facts.map(deps.toSummary), []);
    },
    async remove(conversation) {
      held.delete(conversation);
      touched.delete(conversation);
      await database.write(['summaries'], (tx) => tx.delete('summaries', conversation));
      deps.tell(false, [], [conversation]);
    },
    all: () => [...held.values()].map(deps.toSummary),
    get: (conversation) => held.get(conversation),
    async idle() {
      while (working) await working;
    },
  };
}

/** The newest thing said, as the list shows it. */
export function lastOf(items: readonly TimelineItem[]): ChatFacts['last'] {
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i]!;
    if (item.type !== 'message') continue;
    return { text: item.deleted ? '' : item.text.slice(0, 160), author: item.author, tick: item.tick, at: item.at };
  }
  return undefined;
}

/** On this device the facts rest as JSON under the device's key; they are no wire format. */
function encodeFacts(facts: ChatFacts) {
  return textToBytes(JSON.stringify(facts));
}

function decodeFacts(bytes: Uint8Array): ChatFacts | undefined {
  const text = bytesToText(bytes);
  const facts = text === undefined ? undefined : JSON.parse(text) as ChatFacts;
  return facts && parseId(facts.conversation) ? facts : undefined;
}
