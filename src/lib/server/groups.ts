/**
 * The server's half of group logs: every entry is replayed against the state before it with the code
 * of `chains`, and only then appended by compare-and-set. Reads are for members; to everybody else a
 * conversation does not exist.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { ApiFault } from './fault.ts';
import type { SignedIn } from './identity/sessions.ts';
import type { GroupEntryRow } from './store/port.ts';

export interface Groups {
  readonly list: (by: SignedIn) => ReturnType<import('./store/port.ts').LogStore['conversationsOf']>;
  readonly log: (by: SignedIn, conversation: ConversationId, from: number) => Promise<Result<GroupLogAnswer, ApiFault>>;
  readonly append: (by: SignedIn, conversation: ConversationId, entry: Bytes, wraps: readonly EpochWrapInput[]) =>
    Promise<Result<{ readonly height: number; readonly rt: number }, ApiFault>>;
}

export interface EpochWrapInput {
  readonly account: AccountId;
  readonly uekGen: number;
  readonly wrap: Bytes;
}

export interface GroupLogAnswer {
  readonly from: number;
  readonly logHeight: number;
  readonly entries: readonly GroupEntryRow[];
  readonly wrap: { readonly epoch: number; readonly height: number; readonly uekGen: number; readonly wrap: Bytes } | undefined;
}
