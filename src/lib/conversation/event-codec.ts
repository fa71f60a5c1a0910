/**
 * The bytes of an event (documents.md §3): `u8 kind | varuint t | varuint l | body by kind`.
 *
 * They are the plaintext body of a sealed entry, and how an event waits in the outbox. Only the
 * outbox may name slot 0, this device's own slot before it is known; on the wire it is refused.
 */
import { bytes, decode, encode, fail, fixed, list, optional, struct, text, uint8, varuint, type Codec, type DecodeFault } from '#lib/protocol/codec.ts';
import type { EntryId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';
import type { Event, EventKind } from './event.ts';

export const eventLimits = {
  textBytesMax: limits.messageTextBytesMax,
  /** The longest emoji sequences in use take about 35 bytes. */
  emojiBytesMax: 64,
  pollQuestionBytesMax: 1_024,
  pollOptionBytesMax: 256,
  pollOptionsMin: 2,
  pollOptionsMax: 12,
  vaultChangeBytesMax: 12 * 1_024,
  /** 32 bytes for each head of the vault's document; it rarely has two. */
  vaultHeadsBytesMax: 1_024,
  /** The logical part of a stamp; a clock that reaches it moves on by a millisecond. */
  logicalMax: 2 ** 31 - 1,
} as const;

export type EventFault = DecodeFault;

/** Bodies by kind under their tags. A tag is never given to another kind. */
function eventCodec(slotMin: 0 | 1): Codec<Event> {
  const target = struct({ target: entryId(slotMin) });
  const bodies: { readonly [K in EventKind]: readonly [tag: number, body: Codec<any>] } = {
    message: [0, struct({ replyTo: optional(entryId(slotMin)), text: said(eventLimits.textBytesMax) })],
    edit: [1, struct({ target: entryId(slotMin), text: said(eventLimits.textBytesMax) })],
    delete: [2, struct({ target: entryId(slotMin), targetChain: fixed(32) })],
    react: [3, struct({ target: entryId(slotMin), emoji: said(eventLimits.emojiBytesMax) })],
    unreact: [4, struct({ target: entryId(slotMin), emoji: said(eventLimits.emojiBytesMax) })],
    pin: [5, target],
    unpin: [6, target],
    poll: [7, struct({
      question: said(eventLimits.pollQuestionBytesMax),
      options: list(said(eventLimits.pollOptionBytesMax), eventLimits.pollOptionsMax, eventLimits.pollOptionsMin),
    })],
    vote: [8, struct({ target: entryId(slotMin), choices: ascending(list(varuint(eventLimits.pollOptionsMax - 1), eventLimits.pollOptionsMax)) })],
    'close-poll': [9, target],
    empty: [10, struct({})],
    'vault-change': [11, struct({ change: bytes(eventLimits.vaultChangeBytesMax, 1), heads: bytes(eventLimits.vaultHeadsBytesMax) })],
  };
  const byTag = new Map(Object.entries(bodies).map(([kind, [tag, body]]) => [tag, { kind, body }]));
  const stamp = struct({ t: varuint(), l: varuint(eventLimits.logicalMax) });
  return {
    shape: `event${stamp.shape}<${Object.entries(bodies).map(([kind, [tag, body]]) => `${tag}=${kind}${body.shape}`).join('|')}>`,
    write(encoder, event) {
      const [tag, body] = bodies[event.kind];
      uint8.write(encoder, tag);
      stamp.write(encoder, event);
      body.write(encoder, event);
    },
    read(decoder) {
      const variant = byTag.get(uint8.read(decoder));
      if (!variant) return fail('UNKNOWN_KIND');
      return { kind: variant.kind, ...stamp.read(decoder), ...variant.body.read(decoder) } as Event;
    },
  };
}

function entryId(slotMin: 0 | 1): Codec<EntryId> {
  const inner = struct({ slot: varuint(2 ** 21 - 1), ctr: varuint(2 ** 32 - 1) });
  return {
    shape: `entry>=${slotMin}`,
    write(encoder, value) {
      if (value.slot < slotMin) throw new Error('broken promise: only the outbox names slot 0');
      inner.write(encoder, value);
    },
    read(decoder) {
      const value = inner.read(decoder);
      return value.slot < slotMin ? fail('RANGE') : value;
    },
  };
}

/** Text that says something. */
function said(maxSize: number): Codec<string> {
  const inner = text(maxSize);
  return {
    shape: `${inner.shape}+`,
    write(encoder, value) {
      if (value === '') throw new Error('broken promise: an event says something');
      inner.write(encoder, value);
    },
    read: (decoder) => inner.read(decoder) || fail('SHAPE'),
  };
}

/** Strictly ascending, so a set has one form. */
function ascending(inner: Codec<readonly number[]>): Codec<readonly number[]> {
  const isAscending = (values: readonly number[]) => values.every((value, i) => i === 0 || values[i - 1]! < value);
  return {
    shape: `<(${inner.shape})`,
    write(encoder, values) {
      if (!isAscending(values)) throw new Error('broken promise: choices ascend');
      inner.write(encoder, values);
    },
    read(decoder) {
      const values = inner.read(decoder);
      return isAscending(values) ? values : fail('SHAPE');
    },
  };
}

const sealed = eventCodec(1);
const waiting = eventCodec(0);

/** The format in words, for a pinned hash. */
export const eventShape = sealed.shape;

export const encodeEvent = (event: Event): Bytes => encode(sealed, event);
export const decodeEvent = (data: Uint8Array): Result<Event, EventFault> => decode(sealed, data);

/** The same bytes, but targets may name slot 0. */
export const encodeWaitingEvent = (event: Event): Bytes => encode(waiting, event);
export const decodeWaitingEvent = (data: Uint8Array): Result<Event, EventFault> => decode(waiting, data);

