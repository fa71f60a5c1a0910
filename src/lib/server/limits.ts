/**
 * How often one person, one address or one name may ask: fixed windows, counted in memory.
 *
 * Keys are counted in a fixed number of cells chosen by a salted hash, so a flood of addresses costs
 * bounded memory and no address is kept. A cell shared by chance only makes a limit stricter.
 */
import type { Result } from '#lib/std/result.ts';

export type LimitName = keyof typeof limitRules;

/** points per seconds, each with its reason. */
export const limitRules = {
  /** Guessing from one place: people behind one address share it. */
  signInAddress: { points: 100, seconds: 300 },
  /** Guessing at one account, from anywhere. */
  signInHandle: { points: 20, seconds: 300 },
  registerAddress: { points: 30, seconds: 3_600 },
  /** Walking the directory. */
  lookupAccount: { points: 300, seconds: 300 },
  lookupAddress: { points: 1_000, seconds: 300 },
  /** Entries one account may send, over all its devices. */
  send: { points: 3_000, seconds: 60 },
  /** Frames one account may send besides entries: marks, ephemeral, fetches. */
  frames: { points: 30_000, seconds: 60 },
  /** Group log appends by one account; each costs a verification and up to 5,000 wraps. */
  groupAppend: { points: 120, seconds: 60 },
  /** Account log, vault and profile writes by one account. */
  accountWrite: { points: 300, seconds: 60 },
} as const;

export interface ServerLimits {
  /** Takes from the window, or says how long to wait. */
  readonly take: (limit: LimitName, key: string, points?: number) => Promise<Result<void, { readonly seconds: number }>>;
}
