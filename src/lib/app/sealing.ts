/**
 * Seals what waits in the outbox, at the moment it is about to be sent: under the current epoch, by
 * this device, at the newest heights of both logs. The engine and the service worker share it.
 *
 * Nothing here asks the network. Where keys or logs are behind, the answer is `not-now` and whoever
 * runs the network tries again.
 */
import { parseEnvelope } from '#lib/protocol/envelope.ts';
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import { boundStamp } from '#lib/conversation/clock.ts';
import { decodeWaitingEvent } from '#lib/conversation/event-codec.ts';
import type { Event } from '#lib/conversation/event.ts';
import { resolveOwnTargets } from '#lib/conversation/event-targets.ts';
import { readChain } from '#lib/conversation/open.ts';
import { sealEntry } from '#lib/conversation/seal.ts';
import type { GroupReader } from '#lib/groups/reader.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Random } from '#lib/std/random.ts';
import type { Database } from '#lib/storage/database.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import type { StoredOutbox } from '#lib/storage/schema.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { Seal, Sealed, SealProblem } from '#lib/sync/types.ts';

export interface SealingDeps {
  readonly database: Database;
  readonly groups: GroupReader;
  readonly sealer: Sealer;
  readonly random: Random;
  /** Corrected by what the server said. */
  readonly now: () => number;
  readonly signer: OpenSigner;
  readonly myAccount: () => Promise<AccountState | undefined>;
  /** Somebody must make a new epoch first, and this device is asked to. */
  readonly rotate: (conversation: ConversationId) => void;
}

type OpenSigner = Parameters<typeof sealEntry>[0]['signer'];

/** A delete names its target's chain hash; it is filled in here, since a target may be unsent when it is asked for. */
export const chainToFill: Bytes = new Uint8Array(32);

export function createSeal(deps: SealingDeps): Seal {
  return async (conversation, records, at) => {
    const group = await deps.groups.state(conversation);
    const account = await deps.myAccount();
    if (!group || !account) return notNow('the logs are not here yet');
    if (!group.members.has(deps.signer.account)) return err({ type: 'refused', ctr: records[0]!.ctr, why: 'NOT_MEMBER' });
    const need = await deps.groups.rotationNeeded(conversation);
    if (need?.blocking) {
      deps.rotate(conversation);
      return notNow('a new epoch is due');
    }
    const keys = await deps.groups.epochKeys(conversation, group.epoch);
    if (!keys) return notNow('the keys of this epoch are not here yet');

    const sealed: Sealed[] = [];
    const madeHere = new Map<number, Bytes>();
    let prev = at.chain;
    for (const [i, record] of records.entries()) {
      const ctr = at.ctr + i;
      const event = await readEvent(deps.sealer, record);
      if (!event.ok) return err({ type: 'refused', ctr: record.ctr, why: event.error });
      let resolved = resolveOwnTargets(boundStamp(event.value, deps.now()), at.slot);
      if (resolved.kind === 'delete') {
        const targetChain = (resolved.target.slot === at.slot ? madeHere.get(resolved.target.ctr) : undefined)
          ?? await chainOf(deps, conversation, resolved.target);
        if (!targetChain) return err({ type: 'refused', ctr: record.ctr, why: 'unknown-message' });
        resolved = { ...resolved, targetChain };
      }
      const entry = await sealEntry({
        conversation, slot: at.slot, ctr, prev, event: resolved, epoch: group.epoch, contentKey: keys.content, signer: deps.signer,
        group: { height: group.height, head: group.head }, accountHeight: account.height, random: deps.random,
      });
      sealed.push(entry);
      madeHere.set(ctr, entry.chain);
      prev = entry.chain;
    }
    return ok(sealed);
  };
}

/** The event a record keeps, opened; an empty record stands for an event that says nothing. */
export async function readEvent(sealer: Sealer, record: Pick<StoredOutbox, 'conversation' | 'sealedEvent' | 'createdAt'>): Promise<Result<Event, 'corrupt-row'>> {
  if (record.sealedEvent.length === 0) return ok({ kind: 'empty', t: record.createdAt, l: 0 });
  const opened = await sealer.unseal('outbox', record.conversation, record.sealedEvent);
  if (!opened.ok) return err('corrupt-row');
  const event = decodeWaitingEvent(opened.value);
  return event.ok ? event : err('corrupt-row');
}

async function chainOf(deps: SealingDeps, conversation: ConversationId, target: EntryId): Promise<Bytes | undefined> {
  const found = await deps.database.read([...rowStores, 'outbox'], async (tx) => {
    const waiting = await tx.get('outbox', [conversation, target.ctr]);
    const seq = await tx.get('entrySeq', [conversation, target.slot, target.ctr]);
    const rows = seq === undefined ? [] : await readRows(tx, conversation, seq, seq);
    return { row: rows[0], waiting };
  });
  if (found.row?.envelope) {
    const epoch = readEpoch(found.row.envelope);
    const keys = epoch === undefined ? undefined : await deps.groups.epochKeys(conversation, epoch);
    return keys && readChain(conversation, found.row, keys.content);
  }
  return found.waiting?.chain;
}

function notNow(why: string): Result<never, SealProblem> {
  return err({ type: 'not-now', why });
}

function readEpoch(envelope: Bytes): number | undefined {
  const parsed = parseEnvelope(envelope);
  return parsed.ok ? parsed.value.epoch : undefined;
}
