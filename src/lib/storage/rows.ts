/** The signature first: reading rows whichever form they are kept in. */
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import type { ReadTx, WriteTx } from './database.ts';
import type { StoredRow } from './schema.ts';

/** Stores a transaction must name to use these. */
export const rowStores = ['rows', 'segments', 'entrySeq'] as const;

/** Rows fromSeq..toSeq that are held, in seq order; at most `limit`, from the end when `reverse` (still in seq order). */
export async function readRows(tx: ReadTx, conversation: ConversationId, fromSeq: number, toSeq: number, options?: { limit?: number; reverse?: boolean }): Promise<StoredRow[]> {
  void [tx, conversation, fromSeq, toSeq, options];
  throw new Error('broken promise: rows are built before they are read');
}

/** Replaces what is known of a row that is held, in whichever form. False when it is not held. */
export async function patchRow(tx: WriteTx, conversation: ConversationId, row: StoredRow): Promise<boolean> {
  void [tx, conversation, row];
  throw new Error('broken promise: rows are built before they are written');
}

/** Takes the envelopes out of these entries, where held. Answers those that had one. */
export async function purgeRows(tx: WriteTx, conversation: ConversationId, entries: readonly EntryId[]): Promise<EntryId[]> {
  void [tx, conversation, entries];
  throw new Error('broken promise: rows are built before they are written');
}
