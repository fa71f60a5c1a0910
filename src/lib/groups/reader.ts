/**
 * Reading what this device already knows of its groups: the verified state and the keys at hand. No
 * network, no HPKE, no change; what the service worker needs to seal what waits.
 */
import type { GroupState } from '#lib/chains/group-state.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import { deriveEpochKeys, type EpochKeys } from './keys.ts';
import { createLogStore } from './log-store.ts';

export interface GroupReader {
  readonly state: (conversation: ConversationId) => Promise<GroupState | undefined>;
  readonly epochKeys: (conversation: ConversationId, epoch: number) => Promise<EpochKeys | undefined>;
  /** Only what the group log itself says is due; keys that aged are the engine's to renew. */
  readonly rotationNeeded: (conversation: ConversationId) => Promise<{ readonly blocking: boolean } | undefined>;
}

export function openGroupReader(database: Database, sealer: Sealer): GroupReader {
  const store = createLogStore(database, sealer);
  async function state(conversation: ConversationId): Promise<GroupState | undefined> {
    const found = await store.state(conversation);
    return found === 'broken' ? undefined : found; // the engine replays it; until then nothing is sealed
  }
  return {
    state,
    async epochKeys(conversation, epoch) {
      const secret = await store.secret(conversation, epoch);
      return secret && deriveEpochKeys(secret, conversation);
    },
    rotationNeeded: async (conversation) => ((await state(conversation))?.rotationDue ? { blocking: true } : undefined),
  };
}
