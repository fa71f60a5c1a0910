/**
 * What somebody wrote here and nobody has received: messages that wait or were refused, and drafts. Shown when
 * this device comes to its end by another hand, so that the words can be copied.
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import { StorageError } from '#lib/storage/database.ts';
import type { Desk } from './desk.ts';
import type { Unsent } from './engine-api.ts';
import { readEvent } from './sealing.ts';

type Waiting = readonly (readonly [ConversationId, string])[];

export async function unsentOf(desk: Desk): Promise<readonly Unsent[]> {
  const waiting = await fromDisk(desk).catch((error: unknown) => {
    if (!(error instanceof StorageError)) throw error;
    return fromMemory(desk);
  });
  const drafts = desk.book.all().flatMap(({ conversation }) => (desk.drafts.get(conversation) ? [[conversation, desk.drafts.get(conversation)] as const] : []));
  await desk.people.ensure(desk.book.all().flatMap((chat) => chat.peer ?? [])).catch(desk.failed('reading names'));
  const titles = new Map(desk.book.all().map((chat) => [chat.conversation, chat.title]));
  return [...waiting, ...drafts].map(([conversation, text]) => ({ chat: titles.get(conversation) ?? '', text }));
}

async function fromDisk({ database, loaded, self }: Desk): Promise<Waiting> {
  const [outbox, refused] = await database.read(['outbox', 'refused'], async (tx) => [await tx.getAll('outbox'), await tx.getAll('refused')] as const);
  const kept = [...outbox.filter((record) => record.acknowledgedSeq === undefined && record.refused === undefined), ...refused];
  const found: (readonly [ConversationId, string])[] = [];
  for (const record of kept) {
    if (record.conversation === self && record.sealedEvent.length === 0) continue;
    const event = await readEvent(loaded.sealer, record);
    if (event.ok && (event.value.kind === 'message' || event.value.kind === 'edit')) found.push([record.conversation, event.value.text]);
  }
  return found;
}

/** The disk is gone; what the open chats show is still here. */
function fromMemory({ book, chats }: Desk): Waiting {
  return book.all().flatMap(({ conversation }) => (chats.window(conversation)?.items() ?? []).flatMap((item) =>
    (item.type === 'message' && item.mine && !item.deleted && (item.tick === 'waiting' || item.tick === 'failed') ? [[conversation, item.text] as const] : [])));
}
