/**
 * Handing an epoch's secret to a member: HPKE to the member's newest user encryption key (crypto.md §5.3).
 *
 *     info "app/epoch-wrap/v1", aad gid | epoch u32 | c | account | uek_gen u32
 *
 * Apart from keys.ts, so that reading with keys one already has needs no HPKE: the service worker does.
 */
import { label, u32 } from '#lib/crypto/encoding.ts';
import { openHpke, sealHpke } from '#lib/crypto/hpke.ts';
import { idToBytes, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { epochSecretSizeBytes } from './keys.ts';

export interface WrapPlace {
  readonly conversation: ConversationId;
  readonly epoch: number;
  /** The commitment of the entry the wrap travels with. */
  readonly commitment: Bytes;
  readonly account: AccountId;
  readonly uekGen: number;
}

/** Undefined when the recipient's key is no key. */
export function sealWrap(secret: Bytes, recipientPublicKey: Bytes, place: WrapPlace): Promise<Bytes | undefined> {
  return sealHpke({ recipientPublicKey, info: wrapInfo, associated: wrapAssociated(place), plaintext: secret });
}

export async function openWrap(wrap: Bytes, recipient: { readonly key: CryptoKey; readonly publicKey: Bytes }, place: WrapPlace): Promise<Bytes | undefined> {
  const secret = await openHpke({
    recipientKey: { privateKey: recipient.key, publicKey: recipient.publicKey }, info: wrapInfo, associated: wrapAssociated(place), sealed: wrap,
  });
  return secret?.length === epochSecretSizeBytes ? secret : undefined;
}

const wrapInfo = label('app/epoch-wrap/v1');

function wrapAssociated({ conversation, epoch, commitment, account, uekGen }: WrapPlace): Bytes {
  return concatBytes(idToBytes(conversation), u32(epoch), commitment, idToBytes(account), u32(uekGen));
}
