/**
 * The names of things on the wire and in every store.
 *
 * An id is 16 random bytes; in memory it is their base64url text, so it can be a map key. A branded
 * type keeps one kind of id from being used as another.
 */
import { base64urlToBytes, bytesToBase64url, type Bytes } from '#lib/std/bytes.ts';

declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

export type AccountId = Id<'account'>;
export type DeviceId = Id<'device'>;
export type ConversationId = Id<'conversation'>;
export type AnyId = AccountId | DeviceId | ConversationId;
/** Replaced by the operator after any restore; a cursor is (lineage, seq). */
export type Lineage = Id<'lineage'>;

export const idSizeBytes = 16;

export function bytesToId<I extends AnyId | Lineage>(bytes: Uint8Array): I {
  if (bytes.length !== idSizeBytes) throw new Error('broken promise: an id is 16 bytes');
  return bytesToBase64url(bytes) as I;
}

export function idToBytes(id: AnyId | Lineage): Bytes {
  const bytes = base64urlToBytes(id);
  if (bytes?.length !== idSizeBytes) throw new Error('broken promise: an id is 16 bytes in base64url');
  return bytes;
}

/** For text from outside, an address say: the id, or undefined. */
export function parseId<I extends AnyId>(text: string): I | undefined {
  return text.length === 22 && base64urlToBytes(text)?.length === idSizeBytes ? (text as I) : undefined;
}

/** An entry is named by its device's slot and that slot's counter (documents.md §3). */
export interface EntryId {
  readonly slot: number;
  readonly ctr: number;
}

/** One number for (slot, ctr); safe because slot < 2^21 and ctr < 2^32. */
export function entryKey(entry: EntryId): number {
  return entry.slot * 2 ** 32 + entry.ctr;
}

export function keyToEntry(key: number): EntryId {
  return { slot: Math.floor(key / 2 ** 32), ctr: key % 2 ** 32 };
}

/** A handle is what people type to find each other: 3 to 32 of a-z, 0-9 and _, a letter first. */
export type Handle = string & { readonly [brand]: 'handle' };

/** Lower-cases and checks; undefined when it cannot be a handle. A leading @ is taken off. */
export function parseHandle(text: string): Handle | undefined {
  const handle = text.trim().replace(/^@/, '').toLowerCase();
  return /^[a-z][a-z0-9_]{2,31}$/.test(handle) ? (handle as Handle) : undefined;
}
