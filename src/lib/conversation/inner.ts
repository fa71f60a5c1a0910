/**
 * What stands inside a sealed entry (crypto.md §5.4): `header(168) | signature(64) | pad(body)`.
 *
 * The chain hash of an entry covers its header only, and the header names the body by its hash. So a
 * removed body leaves the chain whole, and the signature over the chain hash covers everything.
 */
import { label, u32, u64 } from '#lib/crypto/encoding.ts';
import { sha256, unpad } from '#lib/crypto/primitives.ts';
import { innerHeaderSizeBytes, innerSignatureSizeBytes } from '#lib/protocol/envelope.ts';
import { bytesToId, idToBytes, type AccountId, type ConversationId, type DeviceId, type EntryId } from '#lib/protocol/ids.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';

export interface InnerHeader extends EntryId {
  readonly conversation: ConversationId;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly prev: Bytes;
  readonly epoch: number;
  readonly logHeight: number;
  readonly logHead: Bytes;
  readonly bodyHash: Bytes;
  readonly accountHeight: number;
}

export interface Inner {
  readonly header: InnerHeader;
  readonly chain: Bytes;
  readonly signature: Bytes;
  readonly body: Bytes;
}

const chainLabel = label('app/entry-chain/v1');
/** The purpose under the signature over a chain hash. */
export const entrySignaturePurpose = 'app/entry/v1';

export function encodeHeader(header: InnerHeader): Bytes {
  return concatBytes(
    idToBytes(header.conversation), idToBytes(header.account), idToBytes(header.device),
    u32(header.slot), u64(header.ctr), header.prev, u32(header.epoch), u32(header.logHeight), header.logHead,
    header.bodyHash, u32(header.accountHeight));
}

export function chainHash(headerBytes: Uint8Array): Bytes {
  return sha256(chainLabel, headerBytes);
}

/** Undefined when there is no room for header, signature and body, or the padding is not ours. */
export function parseInner(plaintext: Bytes): Inner | undefined {
  const bodyFrom = innerHeaderSizeBytes + innerSignatureSizeBytes;
  const body = plaintext.length > bodyFrom ? unpad(plaintext.subarray(bodyFrom)) : undefined;
  if (!body) return undefined;
  const view = new DataView(plaintext.buffer, plaintext.byteOffset);
  const header: InnerHeader = {
    conversation: bytesToId(plaintext.subarray(0, 16)),
    account: bytesToId(plaintext.subarray(16, 32)),
    device: bytesToId(plaintext.subarray(32, 48)),
    slot: view.getUint32(48),
    ctr: view.getUint32(52) * 2 ** 32 + view.getUint32(56),
    prev: plaintext.slice(60, 92),
    epoch: view.getUint32(92),
    logHeight: view.getUint32(96),
    logHead: plaintext.subarray(100, 132),
    bodyHash: plaintext.subarray(132, 164),
    accountHeight: view.getUint32(164),
  };
  return {
    header,
    chain: chainHash(plaintext.subarray(0, innerHeaderSizeBytes)),
    signature: plaintext.subarray(innerHeaderSizeBytes, bodyFrom),
    body,
  };
}
