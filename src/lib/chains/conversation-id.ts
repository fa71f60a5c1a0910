/**
 * The ids of conversations nobody may choose: of two accounts, and of one alone. Both people who start
 * a chat at once start the same one, and nobody can hand out another as it. Three zero bytes at the end
 * mark them, and a group may not have such an id, so nobody can sit on the id of other people's chat.
 *
 *     direct = SHA-256("app/direct/v1" | lesser account | greater account)[0..13] | 0 0 0
 *     self   = SHA-256("app/self/v1" | account)[0..13] | 0 0 0
 */
import { sha256 } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, idToBytes, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { bytesToHex, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';

/** 104 bits of hash stay: far above what could be met on purpose. */
const markSizeBytes = 3;

export function directConversationId(a: AccountId, b: AccountId): ConversationId {
  const pair = [idToBytes(a), idToBytes(b)].sort((left, right) => (bytesToHex(left) < bytesToHex(right) ? -1 : 1));
  return mark(sha256(textToBytes('app/direct/v1'), ...pair));
}

export function selfConversationId(account: AccountId): ConversationId {
  return mark(sha256(textToBytes('app/self/v1'), idToBytes(account)));
}

/** A fresh id for a group. */
export function groupConversationId(random: Random): ConversationId {
  for (;;) {
    const id = bytesToId<ConversationId>(random.bytes(idSizeBytes));
    if (!isDerivedId(id)) return id;
  }
}

export function isDerivedId(conversation: ConversationId): boolean {
  return idToBytes(conversation).subarray(idSizeBytes - markSizeBytes).every((byte) => byte === 0);
}

function mark(hash: Bytes): ConversationId {
  const id = new Uint8Array(idSizeBytes);
  id.set(hash.subarray(0, idSizeBytes - markSizeBytes));
  return bytesToId(id);
}
