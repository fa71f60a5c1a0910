/**
 * How often one person, one address or one name may ask: fixed windows, counted in memory.
 *
 * Keys are counted in a fixed number of cells chosen by a salted hash, so a flood of addresses costs
 * bounded memory and no address is kept. A cell shared by chance only makes a limit stricter.
 */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { sha256 } from '#lib/crypto/primitives.ts';
import { concatBytes, textToBytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export type LimitName = keyof typeof limitRules;

/** points per seconds, each with its reason. */
export const limitRules = {
  /** Guessing from one place; people behind one address share it. */
  signInAddress: { points: 100, seconds: 300 },
  /** Guessing at one account from anywhere; generous, for whoever guesses also keeps its owner waiting. */
  signInHandle: { points: 50, seconds: 300 },
  registerAddress: { points: 60, seconds: 3_600 },
  /** Walking the directory. */
  lookupAccount: { points: 600, seconds: 300 },
  lookupAddress: { points: 3_000, seconds: 300 },
  /** Entries one account may send, over all its devices: an outbox of a long flight goes out at once. */
  send: { points: 6_000, seconds: 60 },
  /** Group log appends by one account; each costs a verification and up to 5,000 wraps. */
  groupAppend: { points: 240, seconds: 60 },
  /** Account log, vault, password and profile writes by one account. */
  accountWrite: { points: 600, seconds: 300 },
} as const;

export interface ServerLimits {
  /** Takes from the window, or says how long to wait. */
  readonly take: (limit: LimitName, key: string, points?: number) => Promise<Result<void, { readonly seconds: number }>>;
}

/** Per limit; a cell is about 200 bytes. */
const cellsMax = 2 ** 16;

export function createLimits(random: Pick<Random, 'bytes'>, factor = 1): ServerLimits {
  const salt = random.bytes(16);
  const windows = Object.fromEntries(Object.entries(limitRules).map(([name, { points, seconds }]) =>
    [name, new RateLimiterMemory({ keyPrefix: name, points: points * factor, duration: seconds })])) as Record<LimitName, RateLimiterMemory>;

  function cellOf(key: string): string {
    const hash = sha256(concatBytes(salt, textToBytes(key)));
    return String(((hash[0]! << 16) | (hash[1]! << 8) | hash[2]!) % cellsMax);
  }

  return {
    async take(limit, key, points = 1) {
      try {
        await windows[limit].consume(cellOf(key), points);
        return ok(undefined);
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        return err({ seconds: Math.max(1, Math.ceil(refused.msBeforeNext / 1_000)) });
      }
    },
  };
}

/** One network, not one of its 2^64 addresses: IPv6 counts by /64. */
export function addressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...zeros, ...right].slice(0, 4).map((part) => part.replace(/^0+(?=.)/, '')).join(':');
}
