/**
 * Every frame of the sync socket (documents.md §4), one binary WebSocket message each.
 *
 * A frame is one type byte and its fields. `h` names a conversation on this connection only: the
 * client hands out 0, 1, 2 … in its SUB items. The server answers a SUB item with STATE only where
 * something differs from what the client said it has, so 500 quiet chats cost one frame up.
 */
import { bytes, decode, encode, fail, fixed, id, list, optional, oneOf, struct, union, varint, varuint, type Codec, type CodecValue, type DecodeFault } from './codec.ts';
import type { AccountId, ConversationId, Lineage } from './ids.ts';
import { limits } from './limits.ts';
import { assert } from '#lib/std/assert.ts';
import { err, type Result } from '#lib/std/result.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Row } from './row.ts';

export { protocolVersion } from './version.ts';

const handle = varuint(limits.conversationsPerAccountMax - 1);
/** Slots start at 1; where a frame may say "none", it says 0. */
const slotMin = 1;
const slotMax = 2 ** 21 - 1;
const seqMax = 2 ** 32 - 1;
const segMax = 2 ** 31 - 1;
/** A hundred thousand years after 1970, and small enough for its difference to any other. */
const rtMax = 2 ** 51;
const slot = varuint(slotMax);
const ctr = varuint(2 ** 32 - 1);
const seq = varuint(seqMax);
const envelope = bytes(limits.envelopeSizeBytesMax, limits.envelopeSizeBytesMin);

/** Rows travel with their seq implied and their times and segments as differences. */
const rows: Codec<readonly Row[]> = (() => {
  const item = struct({ rtDelta: varint, segDelta: varint, slot, clock: varuint(2 ** 31 - 1), ctr, envelope: optional(envelope) });
  const items = list(item, limits.fetchRowsMax);
  const head = struct({ firstSeq: seq });
  return {
    shape: `rows${head.shape}${items.shape}`,
    write(encoder, value) {
      const firstSeq = value[0]?.seq ?? 0;
      head.write(encoder, { firstSeq });
      let rt = 0;
      let seg = 0;
      items.write(encoder, value.map((row, i) => {
        assert(row.seq === firstSeq + i && row.seq >= 1, 'rows are contiguous and count from 1');
        assert(inRange(row.slot, slotMin, slotMax) && inRange(row.seg, 0, segMax) && inRange(row.rt, 0, rtMax), 'a row is within its bounds');
        const out = { rtDelta: row.rt - rt, segDelta: row.seg - seg, slot: row.slot, clock: row.clock, ctr: row.ctr, envelope: row.envelope };
        rt = row.rt;
        seg = row.seg;
        return out;
      }));
    },
    read(decoder) {
      const { firstSeq } = head.read(decoder);
      const read = items.read(decoder);
      // No rows say 0, which is the one form of saying nothing.
      if (read.length === 0 ? firstSeq !== 0 : !inRange(firstSeq, 1, seqMax - read.length + 1)) fail('RANGE');
      let rt = 0;
      let seg = 0;
      return read.map((item, i) => {
        rt += item.rtDelta;
        seg += item.segDelta;
        if (!inRange(rt, 0, rtMax) || !inRange(seg, 0, segMax) || item.slot < slotMin) fail('RANGE');
        return { seq: firstSeq + i, seg, slot: item.slot, clock: item.clock, ctr: item.ctr, rt, envelope: item.envelope };
      });
    },
  };
})();

export const rowsCodec = rows;

const upFrames = union({
  hello: [0x01, struct({ proto: varuint(1_000), token: bytes(4_096), flags: varuint(0xffff) })],
  sub: [0x02, struct({
    items: list(struct({
      h: handle,
      conversation: id<ConversationId>(),
      /** Live rows start after this seq; undefined starts at the head, for a device new here. */
      cursor: optional(seq),
      logHeight: varuint(2 ** 32 - 1),
      /** 0 asks for one. */
      slot,
      nextCtr: ctr,
      /** The newest `rt` of MARKS the client holds; the server sends what is newer. */
      marksSince: varuint(),
    }), 4_000, 1),
  })],
  mark: [0x04, struct({ h: handle, markCtr: ctr, sealed: bytes(limits.markSizeBytesMax) })],
  put: [0x05, struct({ h: handle, ctr0: ctr, envelopes: list(envelope, limits.entriesPerPutMax, 1) })],
  /**
   * Answered by one ROWS frame, oldest first, with as many as fit: forward from `fromSeq` up, backward
   * from `fromSeq` down, `fromSeq` itself included both ways; no rows when there are none.
   */
  /** Rows from `fromSeq` (included) on, or up to it (included); answered by one ROWS, oldest first, as many as fit, empty when there are none. */
  fetch: [0x06, struct({ h: handle, fromSeq: seq, count: varuint(limits.fetchRowsMax), direction: oneOf('forward', 'backward') })],
  seg: [0x07, struct({ h: handle, seg: varuint(2 ** 31 - 1), want: oneOf('digest', 'blob') })],
  eph: [0x08, struct({ h: handle, sealed: bytes(limits.ephemeralSizeBytesMax) })],
  ping: [0x09, struct({ nonce: varuint(2 ** 32 - 1) })],
  /** Gives up this device's slot after a FORK; answered by STATE with a new one. */
  newSlot: [0x0a, struct({ h: handle, from: slot })],
  unsub: [0x0b, struct({ h: handle })],
});

const downFrames = union({
  welcome: [0x81, struct({
    lineage: id<Lineage>(),
    serverTime: varuint(),
    /** Moves whenever the account joins or leaves a conversation; if it differs, fetch the list. */
    membershipVersion: varuint(),
    accountHeight: varuint(2 ** 32 - 1),
  })],
  state: [0x82, struct({ h: handle, head: seq, slot, nextCtr: ctr, openSeg: varuint(2 ** 31 - 1), logHeight: varuint(2 ** 32 - 1), serverTime: varuint() })],
  rows: [0x83, struct({ h: handle, rows })],
  ack: [0x84, struct({ h: handle, nextCtr: ctr, firstSeq: seq, count: varuint(limits.entriesPerPutMax), rt: varuint() })],
  nack: [0x85, struct({ h: handle, code: varuint(255), nextCtr: ctr })],
  marks: [0x86, struct({ h: handle, marks: list(struct({ slot, markCtr: ctr, rt: varuint(), sealed: bytes(limits.markSizeBytesMax) }), 5_000) })],
  seg: [0x87, struct({ h: handle, seg: varuint(2 ** 31 - 1), generation: varuint(2 ** 31 - 1), firstSeq: seq, lastSeq: seq, digest: fixed(32), blob: optional(bytes(limits.frameSizeBytesMax - 1_024)) })],
  purge: [0x88, struct({ h: handle, entries: list(struct({ seq, slot, ctr }), 64), requestSeq: seq })],
  eph: [0x89, struct({ h: handle, slot, sealed: bytes(limits.ephemeralSizeBytesMax) })],
  /** Something beside the log moved; the client reads it over the HTTP API. */
  groupMoved: [0x8a, struct({ h: handle, logHeight: varuint(2 ** 32 - 1) })],
  accountMoved: [0x8b, struct({ account: id<AccountId>(), height: varuint(2 ** 32 - 1) })],
  membershipMoved: [0x8c, struct({ membershipVersion: varuint() })],
  pong: [0x8d, struct({ nonce: varuint(2 ** 32 - 1), serverTime: varuint() })],
  /** A SUB item of a conversation this account is not in. */
  notMember: [0x8e, struct({ h: handle })],
  profileMoved: [0x8f, struct({ account: id<AccountId>() })],
});

export type UpFrame = CodecValue<typeof upFrames>;
export type DownFrame = CodecValue<typeof downFrames>;
export type UpFrameOf<T extends UpFrame['type']> = Extract<UpFrame, { type: T }>;
export type DownFrameOf<T extends DownFrame['type']> = Extract<DownFrame, { type: T }>;

export const frameShapes = `up${upFrames.shape}down${downFrames.shape}`;

export function encodeUpFrame(frame: UpFrame): Bytes {
  return withinBound(encode(upFrames, frame));
}

/** Whoever has more rows or marks than fit sends several frames. */
export function encodeDownFrame(frame: DownFrame): Bytes {
  return withinBound(encode(downFrames, frame));
}

function withinBound(encoded: Bytes): Bytes {
  assert(encoded.length <= limits.frameSizeBytesMax, 'a frame is at most 256 KiB');
  return encoded;
}

export function decodeUpFrame(data: Uint8Array): Result<UpFrame, DecodeFault> {
  return data.length > limits.frameSizeBytesMax ? err('TOO_BIG') : decode(upFrames, data);
}

/** `rows` and `seg` answers stay under the same bound as what clients send. */
export function decodeDownFrame(data: Uint8Array): Result<DownFrame, DecodeFault> {
  return data.length > limits.frameSizeBytesMax ? err('TOO_BIG') : decode(downFrames, data);
}

function inRange(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
