/**
 * What stands inside a sealed entry (crypto.md §5.4): `header(168) | signature(64) | pad(body)`.
 *
 * The chain hash of an entry covers its header only, and the header names the body by its hash. So a
 * removed body leaves the chain whole, and the signature over the chain hash covers everything.
 */
import { label, u32, u64 } from '#lib/crypto/encoding.ts';
import { sha256, unpad } from '#lib/crypto/primitives.ts';
import { innerHeaderSizeBytes, innerSignatureSizeBytes } from '#lib/protocol/envelope.ts';
import { bytesToId, idToBytes, type AccountId, type AnyId, type ConversationId, type DeviceId, type EntryId } from '#lib/protocol/ids.ts';
import { concatBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { decodeEvent } from './event-codec.ts';
import type { Event } from './event.ts';

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

/** Its byte strings are views of the plaintext: copy what is kept. */
export interface Inner extends InnerHeader {
  readonly chain: Bytes;
  readonly signature: Bytes;
  /** The body is the one the header names. */
  readonly bodyFits: boolean;
  /** Undefined when the body is no event we know. */
  readonly event: Event | undefined;
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
export function parseInner(plaintext: Bytes, readId: IdReader = plainIdReader): Inner | undefined {
  const bodyFrom = innerHeaderSizeBytes + innerSignatureSizeBytes;
  const body = plaintext.length > bodyFrom ? unpad(plaintext.subarray(bodyFrom)) : undefined;
  if (!body) return undefined;
  const view = new DataView(plaintext.buffer, plaintext.byteOffset);
  const bodyHash = plaintext.subarray(132, 164);
  const bodyFits = equalBytes(sha256(body), bodyHash);
  const event = bodyFits ? decodeEvent(body) : undefined;
  return {
    conversation: readId(plaintext, 0) as ConversationId,
    account: readId(plaintext, 16) as AccountId,
    device: readId(plaintext, 32) as DeviceId,
    slot: view.getUint32(48),
    ctr: view.getUint32(52) * 2 ** 32 + view.getUint32(56),
    prev: plaintext.subarray(60, 92),
    epoch: view.getUint32(92),
    logHeight: view.getUint32(96),
    logHead: plaintext.subarray(100, 132),
    bodyHash,
    accountHeight: view.getUint32(164),
    chain: chainHash(plaintext.subarray(0, innerHeaderSizeBytes)),
    signature: plaintext.subarray(innerHeaderSizeBytes, bodyFrom),
    bodyFits,
    event: event?.ok ? event.value : undefined,
  };
}

export type IdReader = (bytes: Uint8Array, from: number) => AnyId;

function plainIdReader(bytes: Uint8Array, from: number): AnyId {
  return bytesToId(bytes.subarray(from, from + 16));
}

/** Few devices write many entries: their ids become text once. For one call, so it needs no bound. */
export function createIdReader(): IdReader {
  const known = new Map<number, { readonly bytes: Bytes; readonly id: AnyId }>();
  return (bytes, from) => {
    const start = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
    const hit = known.get(start);
    if (hit) {
      let i = 0;
      while (i < 16 && hit.bytes[i] === bytes[from + i]) i++;
      if (i === 16) return hit.id;
    }
    const id = plainIdReader(bytes, from);
    known.set(start, { bytes: bytes.slice(from, from + 16) as Bytes, id });
    return id;
  };
}
