/**
 * Marks and signs of life: registers and passing words beside the log (documents.md §9).
 *
 * A mark says how far a device has received and read, and which key opens its owner's profile. Both are
 * sealed under the conversation's ephemeral key of an epoch, named in the clear, and bound to their
 * place. They carry no signature: whoever holds the key could write one, and nothing rests on them but ticks.
 */
import { u32 } from '#lib/crypto/encoding.ts';
import { pad, sealAes, unpad, unsealAes } from '#lib/crypto/primitives.ts';
import { boolean, decode, encode, fixed, optional, struct, varuint, type DecodeFault } from '#lib/protocol/codec.ts';
import { idToBytes, type ConversationId } from '#lib/protocol/ids.ts';
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, type Result } from '#lib/std/result.ts';

export interface Mark {
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** Opens the owner's sealed profile. */
  readonly profileKey: Bytes | undefined;
  readonly profileVersion: number;
}

export interface Ephemeral {
  readonly typing: boolean;
}

const seq = varuint(2 ** 32 - 1);
const markCodec = struct({ deliveredSeq: seq, readSeq: seq, profileKey: optional(fixed(32)), profileVersion: varuint(2 ** 32 - 1) });
const ephemeralCodec = struct({ typing: boolean });

export const markShape = `mark${markCodec.shape}ephemeral${ephemeralCodec.shape}`;

export const encodeMark = (mark: Mark): Bytes => encode(markCodec, mark);
export const decodeMark = (data: Uint8Array): Result<Mark, DecodeFault> => decode(markCodec, data);
export const encodeEphemeral = (ephemeral: Ephemeral): Bytes => encode(ephemeralCodec, ephemeral);
export const decodeEphemeral = (data: Uint8Array): Result<Ephemeral, DecodeFault> => decode(ephemeralCodec, data);

export interface MarkPlace {
  readonly conversation: ConversationId;
  readonly slot: number;
  /** 0 for what is not kept. */
  readonly markCtr: number;
}

export type MarkFault = DecodeFault | 'tampered';

/** `u32 epoch | nonce | AES-256-GCM(K_ephemeral, pad(body))`: 288 bytes, so length tells nothing. */
export async function sealMark(mark: Mark, place: MarkPlace, { epoch, key, random }: { readonly epoch: number; readonly key: CryptoKey; readonly random: Random }): Promise<Bytes> {
  return concatBytes(u32(epoch), await sealAes(key, pad(encodeMark(mark)), associated('app/mark/v1', place, epoch), random));
}

export async function unsealMark(sealed: Uint8Array, place: MarkPlace, key: CryptoKey): Promise<Result<Mark, MarkFault>> {
  const body = await unsealBody('app/mark/v1', sealed, place, key);
  return body ? decodeMark(body) : err('tampered');
}

export async function sealEphemeral(ephemeral: Ephemeral, place: MarkPlace, { epoch, key, random }: { readonly epoch: number; readonly key: CryptoKey; readonly random: Random }): Promise<Bytes> {
  return concatBytes(u32(epoch), await sealAes(key, pad(encodeEphemeral(ephemeral)), associated('app/typing/v1', place, epoch), random));
}

export async function unsealEphemeral(sealed: Uint8Array, place: MarkPlace, key: CryptoKey): Promise<Result<Ephemeral, MarkFault>> {
  const body = await unsealBody('app/typing/v1', sealed, place, key);
  return body ? decodeEphemeral(body) : err('tampered');
}

/** The epoch a mark or ephemeral names; undefined when it is too short to be one. */
export function sealedEpoch(sealed: Uint8Array): number | undefined {
  return sealed.length < 4 ? undefined : new DataView(sealed.buffer, sealed.byteOffset).getUint32(0);
}

async function unsealBody(purpose: string, sealed: Uint8Array, place: MarkPlace, key: CryptoKey): Promise<Bytes | undefined> {
  const epoch = sealedEpoch(sealed);
  const padded = epoch === undefined ? undefined : await unsealAes(key, sealed.subarray(4), associated(purpose, place, epoch));
  return padded && unpad(padded);
}

function associated(purpose: string, { conversation, slot, markCtr }: MarkPlace, epoch: number): Bytes {
  return concatBytes(textToBytes(purpose), idToBytes(conversation), u32(slot), u32(markCtr), u32(epoch));
}
