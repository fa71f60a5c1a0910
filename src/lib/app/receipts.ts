/**
 * Who has got and who has read what, from the sealed registers beside the log.
 *
 * One register per slot, newest wins. It says up to which seq its device has received and read; the
 * greatest over an account's slots counts for the account. The same register brings the key of its
 * author's profile.
 */
import { decodeMark } from '#lib/conversation/marks.ts';
import type { Groups } from '#lib/groups/groups.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Mark } from '#lib/sync/types.ts';
import { createReceipts as createFold, type Receipts as ReceiptsFold } from '#lib/timeline/receipts.ts';

export interface ReceiptsDeps {
  readonly database: Database;
  readonly me: AccountId;
  readonly groups: Pick<Groups, 'unsealMark'>;
  /** Somebody's mark came with the key of their profile. */
  readonly profileKey: (account: AccountId, key: Bytes, version: number) => void;
}

export interface Receipts {
  readonly of: (conversation: ConversationId) => Promise<ReceiptsFold>;
  readonly take: (conversation: ConversationId, marks: readonly Mark[]) => Promise<void>;
  /** Keys came: marks that did not open are tried again. */
  readonly forget: (conversation: ConversationId) => void;
}

/** Registers of this many chats stay open in memory. */
const chatsInMemoryMax = 512;

export function createReceipts({ database, me, groups, profileKey }: ReceiptsDeps): Receipts {
  const chats = new Map<ConversationId, Promise<ReceiptsFold>>();

  function of(conversation: ConversationId): Promise<ReceiptsFold> {
    let found = chats.get(conversation);
    if (!found) {
      found = load(conversation);
      chats.set(conversation, found);
      if (chats.size > chatsInMemoryMax) chats.delete(chats.keys().next().value!);
    }
    return found;
  }

  async function load(conversation: ConversationId): Promise<ReceiptsFold> {
    const marks = await database.read(['marks'], (tx) => tx.getAll('marks', { range: { from: [conversation, 0], to: [conversation, Infinity] } }));
    const fold = createFold({ me });
    for (const mark of marks) await apply(conversation, fold, mark);
    return fold;
  }

  async function apply(conversation: ConversationId, fold: ReceiptsFold, mark: Pick<Mark, 'slot' | 'markCtr' | 'sealed'>): Promise<void> {
    const plaintext = await groups.unsealMark(conversation, mark.slot, mark.markCtr, mark.sealed);
    const body = plaintext && decodeMark(plaintext);
    if (!body?.ok) return; // of an epoch we do not have, or made by nobody we know: no tick comes of it
    fold.apply(body.value);
    if (body.value.profileKey) profileKey(body.value.account, body.value.profileKey, body.value.profileVersion);
  }

  return {
    of,
    async take(conversation, marks) {
      const fold = await of(conversation);
      for (const mark of marks) await apply(conversation, fold, mark);
    },
    forget: (conversation) => void chats.delete(conversation),
  };
}
