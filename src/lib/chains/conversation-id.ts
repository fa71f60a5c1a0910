/**
 * The ids of conversations nobody may choose: of two accounts, and of one alone. Both people who start
 * a chat at once start the same one, and nobody can hand out another as it.
 *
 *     direct = SHA-256("app/direct/v1" | lesser account | greater account)[0..16]
 *     self   = SHA-256("app/self/v1" | account)[0..16]
 */
import { sha256 } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, idToBytes, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { bytesToHex, textToBytes } from '#lib/std/bytes.ts';

export function directConversationId(a: AccountId, b: AccountId): ConversationId {
  const pair = [idToBytes(a), idToBytes(b)].sort((left, right) => (bytesToHex(left) < bytesToHex(right) ? -1 : 1));
  return bytesToId(sha256(textToBytes('app/direct/v1'), ...pair).slice(0, idSizeBytes));
}

export function selfConversationId(account: AccountId): ConversationId {
  return bytesToId(sha256(textToBytes('app/self/v1'), idToBytes(account)).slice(0, idSizeBytes));
}
