/**
 * What is said beside the log (documents.md §9): a mark, one register per slot, and passing signals.
 *
 * A mark says how far a device has received and read, and which key opens its owner's profile.
 * `groups` seals both under keys of the epoch and binds them to their place. They carry no signature:
 * whoever holds the keys could write one, and nothing rests on them but ticks and names that must open.
 */
import { decode, encode, fixed, id, oneOf, optional, struct, varuint, type DecodeFault } from '#lib/protocol/codec.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';

export interface MarkBody {
  /** Whose device the slot is: a member who never wrote has no entry that says so. */
  readonly account: AccountId;
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** Opens the owner's sealed profile. */
  readonly profileKey: Bytes | undefined;
  readonly profileVersion: number;
}

export interface Signal {
  readonly type: 'typing';
  readonly account: AccountId;
}

const seq = varuint(2 ** 32 - 1);
const markCodec = struct({ account: id<AccountId>(), deliveredSeq: seq, readSeq: seq, profileKey: optional(fixed(32)), profileVersion: varuint() });
const signalCodec = struct({ type: oneOf('typing'), account: id<AccountId>() });

export const markShape = `mark${markCodec.shape}signal${signalCodec.shape}`;

export const encodeMark = (mark: MarkBody): Bytes => encode(markCodec, mark);
export const decodeMark = (data: Uint8Array): Result<MarkBody, DecodeFault> => decode(markCodec, data);
export const encodeSignal = (signal: Signal): Bytes => encode(signalCodec, signal);
export const decodeSignal = (data: Uint8Array): Result<Signal, DecodeFault> => decode(signalCodec, data);
