/**
 * Builds one entry of the group log with its wraps, ready to send: makes the epoch's secret where one is
 * due, links the one before, seals metadata under the right epoch, and wraps the secret for whoever
 * needs it.
 */
import { buildGroupEntry, type BuiltEntry } from '#lib/chains/group-log.ts';
import { epochAfter } from '#lib/chains/epoch-rule.ts';
import type { GroupLogFault, GroupOp, GroupState } from '#lib/chains/group-state.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { confirmationTag, deriveEpochKeys, epochSecretSizeBytes, sealLink } from './keys.ts';
import { createLookup, inBatches } from './lookup.ts';
import { sealMeta, type GroupMeta } from './meta.ts';
import type { EpochWrap, GroupsDeps } from './ports.ts';
import { sealWrap } from './wraps.ts';

/** What an entry is to do. Metadata is plain here: the epoch it is sealed under is known only when it is built. */
export interface Plan {
  readonly ops: readonly GroupOp[];
  readonly meta?: GroupMeta;
}

export interface Composed {
  readonly built: BuiltEntry;
  readonly secret: Bytes;
  readonly wraps: readonly EpochWrap[];
}

/** Seals at once: each costs about a millisecond of CPU. */
const sealsAtOnceMax = 32;

export async function compose(
  deps: GroupsDeps, conversation: ConversationId, state: GroupState | undefined, plan: Plan,
  secretOf: (epoch: number) => Promise<Bytes | undefined>,
): Promise<Result<Composed, GroupLogFault | 'keys-missing'>> {
  const { me, random } = deps;
  const next = epochAfter(state, plan.ops);
  const present = state ? await secretOf(state.epoch) : undefined;
  const secret = next.makesEpoch ? random.bytes(epochSecretSizeBytes) : present;
  if (!secret || (next.links && !present)) return err('keys-missing');

  const ops = [...plan.ops];
  if (plan.meta) {
    const { meta } = await deriveEpochKeys(secret, conversation);
    ops.push({ type: 'meta', sealed: await sealMeta(meta, plan.meta, conversation, next.epoch, random) });
  }
  const accountState = createLookup(deps.accounts);
  const pinned = state?.pins.get(me.account)?.accountHeight ?? 0;
  const mine = await accountState(me.account, { height: pinned, uekGen: 0 });
  if (!mine) return err('unknown-author');
  const built = await buildGroupEntry(state, {
    conversation, actor: me.account, device: me.device, signKey: me.signKey, authorHeight: mine.height, ops, accountState,
    link: next.links ? await sealLink(secret, present!, conversation, next.epoch, random) : new Uint8Array(0),
    confirm: (commitment) => confirmationTag(secret, commitment),
  });
  if (!built.ok) return built;

  const { commitment, epoch } = built.value.entry;
  const wraps = await inBatches(built.value.wraps, sealsAtOnceMax, async ({ account, uekGen }) => {
    const known = await accountState(account, { height: 0, uekGen });
    const uek = known?.ueks.find(({ gen }) => gen === uekGen);
    const wrap = uek && (await sealWrap(secret, uek.publicKey, { conversation, epoch, commitment, account, uekGen }));
    return wrap && { account, uekGen, wrap };
  });
  if (wraps.some((wrap) => wrap === undefined)) return err('wrong-generation');
  return ok({ built: built.value, secret, wraps: wraps.filter((wrap): wrap is EpochWrap => wrap !== undefined) });
}
