/**
 * Why a store could not keep its promise. A write that rejects with this was not acknowledged: the
 * caller sends it again later, and appends are idempotent, so nothing is doubled.
 */
export type StoreFaultReason =
  /** The disk, or the bound on the file, is full. */
  | 'full'
  /** Reading or writing failed below us. */
  | 'io'
  /** The store was closed, or its thread ended. */
  | 'closed'
  /** The file was written by a newer Godwit. */
  | 'newer-schema'
  /** Not a database, or a damaged one. */
  | 'damaged'
  /** The folder cannot be written. */
  | 'not-writable'
  /** A broken promise of ours; the message is the promise. */
  | 'broken';

export class StoreFault extends Error {
  readonly reason: StoreFaultReason;
  constructor(reason: StoreFaultReason, message: string) {
    super(message);
    this.name = 'StoreFault';
    this.reason = reason;
  }
}
