/**
 * What an epoch's 32-byte secret gives (crypto.md §4, §5.3): keys by HKDF label, the confirmation tag,
 * and the link to the epoch before. The wraps that hand it to members are in wraps.ts.
 *
 *     content    "app/content/v1" | gid      AES-256-GCM, entries
 *     meta       "app/meta/v1" | gid         AES-256-GCM, name and picture, marks
 *     ephemeral  "app/ephemeral/v1" | gid    AES-256-GCM, typing
 *     history    "app/history/v1"            AES-256-GCM, the secret of the epoch before (the link)
 *     confirm    "app/confirm/v1"            HMAC-SHA-256 of the entry's commitment (the tag)
 *
 *     link aad   gid | epoch u32
 */
import { label, u32 } from '#lib/crypto/encoding.ts';
import { deriveBytes, hmacSha256, importAesKey, sealAes, unsealAes } from '#lib/crypto/primitives.ts';
import { idToBytes, type ConversationId } from '#lib/protocol/ids.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';

/** The keys of one epoch, none of them extractable. */
export interface EpochKeys {
  readonly content: CryptoKey;
  readonly meta: CryptoKey;
  readonly ephemeral: CryptoKey;
}

export const epochSecretSizeBytes = 32;

export async function deriveEpochKeys(secret: Bytes, conversation: ConversationId): Promise<EpochKeys> {
  const gid = idToBytes(conversation);
  const derive = (purpose: string) => importAesKey(deriveBytes(secret, concatBytes(label(purpose), gid)));
  const [content, meta, ephemeral] = await Promise.all([derive('app/content/v1'), derive('app/meta/v1'), derive('app/ephemeral/v1')]);
  return { content, meta, ephemeral };
}

/** Only who holds the secret can make it, so a log entry by a stranger, or under other keys, shows. */
export function confirmationTag(secret: Bytes, commitment: Bytes): Bytes {
  return hmacSha256(deriveBytes(secret, label('app/confirm/v1')), commitment);
}

export async function sealLink(secret: Bytes, previous: Bytes, conversation: ConversationId, epoch: number, random: Random): Promise<Bytes> {
  return sealAes(await historyKey(secret), previous, linkAssociated(conversation, epoch), random);
}

/** The secret of the epoch before, or undefined when the link was not made under this one. */
export async function openLink(secret: Bytes, link: Bytes, conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
  const previous = await unsealAes(await historyKey(secret), link, linkAssociated(conversation, epoch));
  return previous?.length === epochSecretSizeBytes ? previous : undefined;
}

function linkAssociated(conversation: ConversationId, epoch: number): Bytes {
  return concatBytes(idToBytes(conversation), u32(epoch));
}

function historyKey(secret: Bytes): Promise<CryptoKey> {
  return importAesKey(deriveBytes(secret, label('app/history/v1')));
}
