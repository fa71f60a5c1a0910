/** What a person had begun to write, per chat, on this device, sealed. */
import type { ConversationId } from '#lib/protocol/ids.ts';
import { bytesToText, textToBytes } from '#lib/std/bytes.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';

export interface Drafts {
  readonly get: (conversation: ConversationId) => string;
  readonly save: (conversation: ConversationId, text: string) => Promise<void>;
}

export async function createDrafts({ database, sealer }: { readonly database: Database; readonly sealer: Sealer }): Promise<Drafts> {
  const [keys, values] = await database.read(['drafts'], async (tx) => [await tx.getAllKeys('drafts'), await tx.getAll('drafts')] as const);
  const opened = await Promise.all(keys.map((key, i) => sealer.unseal('drafts', key, values[i]!.sealedDraft)));
  const held = new Map<ConversationId, string>();
  for (const [i, key] of keys.entries()) {
    const plaintext = opened[i]!;
    const text = plaintext.ok ? bytesToText(plaintext.value) : undefined;
    if (text) held.set(key, text);
  }
  return {
    get: (conversation) => held.get(conversation) ?? '',
    async save(conversation, text) {
      if ((held.get(conversation) ?? '') === text) return;
      if (text === '') held.delete(conversation);
      else held.set(conversation, text);
      const sealedDraft = await sealer.seal('drafts', conversation, textToBytes(text));
      await database.write(['drafts'], (tx) => (text === '' ? tx.delete('drafts', conversation) : tx.put('drafts', conversation, { sealedDraft })));
    },
  };
}
