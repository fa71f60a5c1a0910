/**
 * When keys change (crypto.md §5.3): a remove or a rotate makes a new epoch, and so does an add where
 * newcomers may not read what was written before them. Epochs never skip and never go back.
 */
import type { GroupOp, GroupState } from './group-state.ts';

export interface NextEpoch {
  readonly epoch: number;
  readonly makesEpoch: boolean;
  /** The policy once the operations are done. */
  readonly sharesHistory: boolean;
  /** Whether the entry carries the secret of the epoch before, sealed under the new one. */
  readonly links: boolean;
}

/** The epoch an entry with these operations is of, so its secret can be made before it is built. */
export function epochAfter(state: GroupState | undefined, ops: readonly GroupOp[]): NextEpoch {
  if (!state) return { epoch: 1, makesEpoch: true, sharesHistory: ops.some((op) => op.type === 'create' && op.sharesHistory), links: false };
  let { sharesHistory } = state;
  for (const op of ops) if (op.type === 'policy') ({ sharesHistory } = op);
  const makesEpoch = ops.some((op) => op.type === 'remove' || op.type === 'rotate' || (op.type === 'add' && !sharesHistory));
  return { epoch: state.epoch + (makesEpoch ? 1 : 0), makesEpoch, sharesHistory, links: makesEpoch && sharesHistory };
}
