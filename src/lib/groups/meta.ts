/**
 * What a chat is called and looks like, and how it is sealed: for the members of an epoch, at that
 * epoch of that chat only. Padded, so the server does not learn how long a name is.
 *
 *     sealed = nonce | AES-256-GCM(meta key, aad "app/meta-seal/v1" | gid | epoch u32, pad(name, description, picture))
 */
import { label, u32 } from '#lib/crypto/encoding.ts';
import { sealAes, unsealAes } from '#lib/crypto/primitives.ts';
import { bytes, decode, encode, optional, struct, text } from '#lib/protocol/codec.ts';
import { idToBytes, type ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { pad, unpad } from '#lib/std/padding.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

export interface GroupMeta {
  readonly name: string;
  readonly description: string;
  /** A small encoded image, or undefined. */
  readonly picture: Bytes | undefined;
}

/** With the largest picture and name it still fits a `meta` operation. */
export const descriptionSizeBytesMax = 1_024;

const metaCodec = struct({
  name: text(limits.groupNameLengthMax * 4),
  description: text(descriptionSizeBytesMax),
  picture: optional(bytes(limits.pictureSizeBytesMax)),
});

/** The metadata tidied, or why it cannot be. */
export function checkMeta(meta: GroupMeta): Result<GroupMeta, 'name-invalid' | 'picture-too-big' | 'description-too-long'> {
  const name = meta.name.trim();
  const description = meta.description.trim();
  if (name === '' || [...name].length > limits.groupNameLengthMax) return err('name-invalid');
  if ((meta.picture?.length ?? 0) > limits.pictureSizeBytesMax) return err('picture-too-big');
  if (new TextEncoder().encode(description).length > descriptionSizeBytesMax) return err('description-too-long');
  return ok({ name, description, picture: meta.picture });
}

export function sealMeta(key: CryptoKey, meta: GroupMeta, conversation: ConversationId, epoch: number, random: Random): Promise<Bytes> {
  return sealAes(key, pad(encode(metaCodec, meta)), metaAssociated(conversation, epoch), random);
}

/** Undefined when the bytes are not metadata of this chat and epoch. */
export async function unsealMeta(key: CryptoKey, sealed: Bytes, conversation: ConversationId, epoch: number): Promise<GroupMeta | undefined> {
  const padded = await unsealAes(key, sealed, metaAssociated(conversation, epoch));
  const plaintext = padded && unpad(padded);
  const meta = plaintext && decode(metaCodec, plaintext);
  return meta?.ok ? meta.value : undefined;
}

function metaAssociated(conversation: ConversationId, epoch: number): Bytes {
  return concatBytes(label('app/meta-seal/v1'), idToBytes(conversation), u32(epoch));
}
