/**
 * What operations do to a roster, and who may ask for them (crypto.md §5.3).
 *
 * The actor's right is its role before the entry; what an operation meets (is this account in? which
 * generation has it?) is judged in order, so one entry can create and add. Owner stands above admin,
 * admin above member; nobody removes or changes one who is not below them.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { equalBytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { AccountState } from './account-state.ts';
import { directConversationId, selfConversationId } from './conversation-id.ts';
import { expireCuts, mergeCuts } from './cuts.ts';
import type { AccountLookup } from './group-log.ts';
import { sealedMetaSizeBytesMax } from './group-ops.ts';
import { isAdmin, type ConversationKind, type Cut, type GroupLogFault, type GroupOp, type GroupState, type Member, type Pin, type Role, type RoleSpan } from './group-state.ts';

export interface OpsInput {
  readonly conversation: ConversationId;
  readonly height: number;
  readonly actor: AccountId;
  readonly authorHeight: number;
  readonly ops: readonly GroupOp[];
  readonly rt: number;
  readonly accountState: AccountLookup;
}

/** The state's parts once the operations are done. */
export interface Draft {
  readonly kind: ConversationKind;
  readonly members: Map<AccountId, Member>;
  readonly roles: Map<AccountId, readonly RoleSpan[]>;
  readonly pins: Map<AccountId, Pin>;
  readonly cuts: Map<string, number>;
  readonly meta: GroupState['meta'];
  readonly sharesHistory: boolean;
  readonly epoch: number;
  readonly makesEpoch: boolean;
  readonly removes: boolean;
  readonly rotationDue: boolean;
  readonly added: readonly AccountId[];
}

export async function applyOps(state: GroupState | undefined, input: OpsInput): Promise<Result<Draft, GroupLogFault>> {
  throw new Error(`${state} ${input} ${err} ${ok}`);
}
