/** How the group log asks for what is known of an account. */
import type { AccountId } from '#lib/protocol/ids.ts';
import type { AccountState } from './account-state.ts';

/** What must be known of an account before an operation can be judged. */
export interface AccountNeed {
  readonly height: number;
  readonly uekGen: number;
}

/**
 * The verified account log as far as it is known. When what is known falls short of the need, ask for
 * more before answering; an answer that still falls short is judged as it is.
 */
export type AccountLookup = (account: AccountId, need: AccountNeed) => AccountState | undefined | Promise<AccountState | undefined>;

/** Whether what is known suffices. */
export function meetsNeed(state: AccountState | undefined, need: AccountNeed): state is AccountState {
  return state !== undefined && state.height >= need.height && state.ueks[state.ueks.length - 1]!.gen >= need.uekGen;
}
