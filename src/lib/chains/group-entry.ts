/**
 * One entry of the group log as bytes (crypto.md §5.3), and what is hashed of it.
 *
 *     core = "app/group/v1" | gid[16] | height u32 | prev[32] | actor acct[16] | device[16] | ah u32
 *            | suite u16 | epoch u32 | roster_hash[32] | lp(link) | lp(ops)
 *     c    = SHA-256(core)                                  the commitment: tag, signature and wraps bind it
 *     wire = lp(core) | tag[32] | sig[64]
 *     head = SHA-256("app/group-chain/v1" | c | tag)        the next entry's prev
 *     sig  = Sign(D_sig, "app/group-entry/v1", c | tag)
 */
import { lp, u16, u32, u8 } from '#lib/crypto/encoding.ts';
import { sha256, signatureSizeBytes } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, idToBytes, type AccountId, type ConversationId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, equalBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { suite1 } from './account-log.ts';
import { decodeOps, encodeOps, roleByte } from './group-ops.ts';
import type { GroupOp, Member } from './group-state.ts';
import { createReader } from './reader.ts';

export const groupSignPurpose = 'app/group-entry/v1';
/** nonce | AES-256-GCM of the 32-byte secret of the epoch before. */
export const linkSizeBytes = 12 + 32 + 16;
export const tagSizeBytes = 32;

const coreLabel = textToBytes('app/group/v1');
const chainLabel = textToBytes('app/group-chain/v1');
const rosterLabel = textToBytes('app/roster/v1');

export interface GroupCore {
  readonly conversation: ConversationId;
  readonly height: number;
  readonly prev: Bytes;
  readonly actor: AccountId;
  readonly device: DeviceId;
  /** ah: the height of the actor's account log at which its device is judged. */
  readonly authorHeight: number;
  readonly epoch: number;
  readonly rosterHash: Bytes;
  /** The secret of the epoch before under this epoch's history key, or empty. */
  readonly link: Bytes;
  readonly ops: readonly GroupOp[];
}

export interface GroupEntry extends GroupCore {
  /** c, which the confirmation tag, the signature and every wrap bind. */
  readonly commitment: Bytes;
  readonly tag: Bytes;
  readonly signature: Bytes;
  /** The group head once this entry is in. */
  readonly head: Bytes;
}

/** The bytes as an entry, without judging it. */
export function decodeGroupEntry(bytes: Uint8Array): Result<GroupEntry, 'malformed' | 'unknown-suite' | 'too-big'> {
  if (bytes.length > limits.groupEntrySizeBytesMax) return err('too-big');
  const outer = createReader(bytes);
  const core = outer.lp(limits.groupEntrySizeBytesMax);
  const tag = outer.bytes(tagSizeBytes);
  const signature = outer.bytes(signatureSizeBytes);
  if (!outer.done()) return err('malformed');

  const inner = createReader(core);
  if (!equalBytes(inner.bytes(coreLabel.length), coreLabel)) return err('malformed');
  const conversation = bytesToId<ConversationId>(inner.bytes(idSizeBytes));
  const height = inner.u32();
  const prev = inner.bytes(32);
  const actor = bytesToId<AccountId>(inner.bytes(idSizeBytes));
  const device = bytesToId<DeviceId>(inner.bytes(idSizeBytes));
  const authorHeight = inner.u32();
  const suite = inner.u16();
  if (inner.broken()) return err('malformed');
  if (suite !== suite1) return err('unknown-suite');
  const epoch = inner.u32();
  const rosterHash = inner.bytes(32);
  const link = inner.lp(linkSizeBytes);
  const ops = decodeOps(inner.lp(limits.groupEntrySizeBytesMax));
  if (!inner.done() || !ops) return err('malformed');
  const commitment = sha256(core);
  return ok({
    conversation, height, prev, actor, device, authorHeight, epoch, rosterHash, link, ops,
    commitment, tag, signature, head: groupChainHash(commitment, tag),
  });
}

export function encodeGroupCore(core: GroupCore): Bytes {
  return concatBytes(coreLabel, idToBytes(core.conversation), u32(core.height), core.prev, idToBytes(core.actor), idToBytes(core.device),
    u32(core.authorHeight), u16(suite1), u32(core.epoch), core.rosterHash, lp(core.link), lp(encodeOps(core.ops)));
}

export function encodeGroupEntry(core: Bytes, tag: Bytes, signature: Bytes): Bytes {
  return concatBytes(lp(core), tag, signature);
}

/** What the author's device signs: the commitment and the tag. */
export function groupSignedBytes(commitment: Bytes, tag: Bytes): Bytes {
  return concatBytes(commitment, tag);
}

function groupChainHash(commitment: Bytes, tag: Bytes): Bytes {
  return sha256(chainLabel, commitment, tag);
}

/** Members in the order of their ids' bytes, each with role and key generation. */
export function rosterHash(members: Iterable<Member>): Bytes {
  const rows = [...members].map(({ account, role, uekGen }) => concatBytes(idToBytes(account), u8(roleByte(role)), u32(uekGen)));
  return sha256(rosterLabel, ...rows.sort(compareBytes));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
