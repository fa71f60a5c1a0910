/**
 * A row is one place in a conversation's log, as the server gave it out (documents.md §3).
 *
 * The server chooses seq, seg, clock and rt; the device chose slot's ctr and the envelope. A purged
 * row keeps its place and loses its content: delete for everyone removes the ciphertext itself.
 */
import type { Bytes } from '#lib/std/bytes.ts';
import type { EntryId } from './ids.ts';

export interface Row extends EntryId {
  /** 1, 2, 3 … per conversation, gapless. */
  readonly seq: number;
  readonly seg: number;
  /** 0, 1, 2 … per (seg, slot): the Yjs clock. */
  readonly clock: number;
  /** Milliseconds at the server when it took the entry. */
  readonly rt: number;
  /** The envelope, or undefined once purged. */
  readonly envelope: Bytes | undefined;
}
