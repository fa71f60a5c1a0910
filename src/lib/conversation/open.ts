/** Stub. */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { EntryProblem, OpenContext, OpenedEntry } from './entry.ts';

export declare function openEntry(row: Row, context: OpenContext): Promise<Result<OpenedEntry, EntryProblem>>;
/** The chain hash of a row's entry (a delete states it); undefined when it does not open. */
export declare function readChain(conversation: ConversationId, row: Row, contentKey: CryptoKey): Promise<Bytes | undefined>;
