/**
 * What an entry of the group log does, and its one byte form: `count u16`, then per operation its type
 * byte and its fields, big-endian.
 *
 *     1 create  kind u8 | shares u8 | uek_gen u32
 *     2 add     acct[16] | role u8 | uek_gen u32 | account height u32 | account head[32]
 *     3 remove  acct[16] | cuts
 *     4 leave
 *     5 role    acct[16] | role u8
 *     6 policy  shares u8
 *     7 rotate  count u16 | (acct[16] | uek_gen u32)…
 *     8 pin     acct[16] | account height u32 | account head[32] | cuts
 *     9 cut     cuts
 *    10 meta    lp(sealed)
 *     cuts      count u16 | (device[16] | slot u32 | last ctr + 1, u32)…
 *
 * A cut of slot 0 stands for every slot of the device that has none of its own, and a last ctr of -1
 * for "nothing at all"; hence the + 1.
 */
import { lp, u16, u32, u8 } from '#lib/crypto/encoding.ts';
import { bytesToId, idSizeBytes, idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import type { ConversationKind, Cut, GroupOp, Role } from './group-state.ts';
import { createReader, type Reader } from './reader.ts';

/** Name, description and picture with the seal's overhead. */
export const sealedMetaSizeBytesMax = 12 * 1024;
/** A create with every member, its metadata and a little more. */
const opsMax = limits.membersMax + 8;

const kinds: readonly ConversationKind[] = ['self', 'direct', 'group'];
const roles: readonly Role[] = ['owner', 'admin', 'member'];

export function encodeOps(ops: readonly GroupOp[]): Bytes {
  return concatBytes(u16(ops.length), ...ops.map(encodeOp));
}

/** Undefined when the bytes are not exactly one list of operations. */
export function decodeOps(bytes: Uint8Array): readonly GroupOp[] | undefined {
  const reader = createReader(bytes);
  const count = reader.u16();
  if (count > opsMax) return undefined;
  const ops: GroupOp[] = [];
  for (let i = 0; i < count; i++) {
    const op = readOp(reader);
    if (!op || reader.broken()) return undefined;
    ops.push(op);
  }
  return reader.done() ? ops : undefined;
}

/** The byte a role has in operations and in the roster hash. */
export function roleByte(role: Role): number {
  return roles.indexOf(role);
}

function encodeOp(op: GroupOp): Bytes {
  switch (op.type) {
    case 'create': return concatBytes(u8(1), u8(kinds.indexOf(op.kind)), u8(op.sharesHistory ? 1 : 0), u32(op.uekGen));
    case 'add': return concatBytes(u8(2), idToBytes(op.account), u8(roleByte(op.role)), u32(op.uekGen), u32(op.accountHeight), op.accountHead);
    case 'remove': return concatBytes(u8(3), idToBytes(op.account), encodeCuts(op.cuts));
    case 'leave': return u8(4);
    case 'role': return concatBytes(u8(5), idToBytes(op.account), u8(roleByte(op.role)));
    case 'policy': return concatBytes(u8(6), u8(op.sharesHistory ? 1 : 0));
    case 'rotate': return concatBytes(u8(7), u16(op.gens.length), ...op.gens.map(({ account, uekGen }) => concatBytes(idToBytes(account), u32(uekGen))));
    case 'pin': return concatBytes(u8(8), idToBytes(op.account), u32(op.accountHeight), op.accountHead, encodeCuts(op.cuts));
    case 'cut': return concatBytes(u8(9), encodeCuts(op.cuts));
    case 'meta': return concatBytes(u8(10), lp(op.sealed));
  }
}

function readOp(reader: Reader): GroupOp | undefined {
  switch (reader.u8()) {
    case 1: return { type: 'create', kind: readWord(reader, kinds), sharesHistory: readFlag(reader), uekGen: reader.u32() };
    case 2: return { type: 'add', account: readAccount(reader), role: readWord(reader, roles), uekGen: reader.u32(), accountHeight: reader.u32(), accountHead: reader.bytes(32) };
    case 3: return { type: 'remove', account: readAccount(reader), cuts: readCuts(reader) };
    case 4: return { type: 'leave' };
    case 5: return { type: 'role', account: readAccount(reader), role: readWord(reader, roles) };
    case 6: return { type: 'policy', sharesHistory: readFlag(reader) };
    case 7: return { type: 'rotate', gens: readList(reader, () => ({ account: readAccount(reader), uekGen: reader.u32() })) };
    case 8: return { type: 'pin', account: readAccount(reader), accountHeight: reader.u32(), accountHead: reader.bytes(32), cuts: readCuts(reader) };
    case 9: return { type: 'cut', cuts: readCuts(reader) };
    case 10: return { type: 'meta', sealed: reader.lp(sealedMetaSizeBytesMax) };
    default: return undefined;
  }
}

function encodeCuts(cuts: readonly Cut[]): Bytes {
  return concatBytes(u16(cuts.length), ...cuts.map(({ device, slot, lastCtr }) => concatBytes(idToBytes(device), u32(slot), u32(lastCtr + 1))));
}

function readCuts(reader: Reader): readonly Cut[] {
  return readList(reader, () => ({ device: bytesToId<DeviceId>(reader.bytes(idSizeBytes)), slot: reader.u32(), lastCtr: reader.u32() - 1 }));
}

/** Stops at the first read past the end, so a claimed length costs nothing. */
function readList<T>(reader: Reader, read: () => T): readonly T[] {
  const out: T[] = [];
  for (let left = reader.u16(); left > 0 && !reader.broken(); left--) out.push(read());
  return out;
}

function readAccount(reader: Reader): AccountId {
  return bytesToId(reader.bytes(idSizeBytes));
}

function readFlag(reader: Reader): boolean {
  const byte = reader.u8();
  if (byte > 1) reader.refuse();
  return byte === 1;
}

function readWord<W>(reader: Reader, words: readonly W[]): W {
  const word = words[reader.u8()];
  if (word === undefined) reader.refuse();
  return word ?? words[0]!;
}
