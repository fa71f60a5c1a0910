/**
 * Opening many rows at once, several times cheaper than one by one (crypto.md §5.5).
 *
 * Rows are decrypted side by side. Then each device's hash chain is walked: a signature covers a chain
 * hash, and that hash covers every entry before it, so the newest signature of an unbroken run vouches
 * for the whole run. Where it fails, the run is verified from the top down until a signature holds, which
 * finds the culprit. Purged, pending and bad rows break a run; each piece then has its own signature
 * checked. Verdicts are those of `openEntry`, row by row.
 *
 * It works from any place in the log: at the tail first, then older rows joined below by `prev`, and
 * again for rows that waited for a key.
 */
import type { AccountId, EntryId } from '#lib/protocol/ids.ts';
import { entryKey } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { assert } from '#lib/std/assert.ts';
import { copyBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { chainUnknown, type EntryFault, type EntryProblem, type Need, type OpenContext, type OpenedEntry, type SlotChain } from './entry.ts';
import type { EventKind } from './event.ts';
import { createIdReader, type Inner } from './inner.ts';
import { judge, linkFault, openedEntry, parseRow, purgeFits, readInner, speaksFor, unsealBytes, verifySignature } from './open.ts';

/** A row with what opening it gave: the fields of `StoredRow`. */
export interface CheckedRow extends Row {
  readonly check: 'ok' | 'pending' | 'bad';
  readonly fault?: EntryFault;
  /** `purged` where the content is gone. */
  readonly kind?: EventKind | 'purged';
  /** A message somebody else wrote: unread until read. */
  readonly counts?: boolean;
}

export interface OpenManyContext extends OpenContext {
  readonly me: AccountId;
  /**
   * `newer`: the rows follow all rows held. `older`: they end right below them. `again`: rows held
   * already, pending ones with whatever neighbours the caller has, opened once more. Verdicts kept with
   * rows count then: what was `ok` needs no second signature check, and what was `bad` stays so.
   */
  readonly mode: 'newer' | 'older' | 'again';
  /** With `newer`: every row from seq 1 is held or given here, so a device's first entry has ctr 0. */
  readonly fromStart?: boolean;
  /** With `fromStart`: the newest ctr held of a slot that has no chain yet, because all held of it is purged or pending. */
  readonly heldTo?: (slot: number) => number | undefined;
}

/** A row, and the verdict kept with it if there is one: `StoredRow` is one. */
export type HeldRow = Row & { readonly check?: CheckedRow['check']; readonly fault?: string };

export interface OpenedMany {
  /** As given, in the order given. */
  readonly rows: readonly CheckedRow[];
  /** Those that are `ok`, in the order of their rows. */
  readonly entries: readonly OpenedEntry[];
  /** The chains that moved: keep them in the same transaction as the rows. */
  readonly chains: readonly SlotChain[];
  /** What pending rows wait for, each thing once. */
  readonly needs: readonly Need[];
  /** What a person should be told: bad rows, and gaps or wrong deletes around rows that are fine. */
  readonly alarms: readonly (EntryId & { readonly fault: EntryFault })[];
}

/** WebCrypto calls under way at once: enough to fill its threads, few enough to bound memory. */
const parallelMax = 256;

interface Draft {
  readonly row: HeldRow;
  /** Undefined for a row that is purged or did not open. */
  inner: Inner | undefined;
  readonly purge: EntryId | undefined;
  problem: EntryProblem | undefined;
  /** Its own signature or a newer one of its run holds. */
  authentic: boolean;
}

/** `rows` ascend in seq. */
export async function openMany(rows: readonly HeldRow[], context: OpenManyContext): Promise<OpenedMany> {
  assert(rows.every((row, i) => i === 0 || rows[i - 1]!.seq < row.seq), 'rows ascend in seq');
  const drafts = await unsealAll(rows, context);
  const bySlot = new Map<number, Draft[]>();
  for (const draft of drafts) {
    const same = bySlot.get(draft.row.slot);
    if (same) same.push(draft);
    else bySlot.set(draft.row.slot, [draft]);
  }
  for (const [slot, chain] of bySlot) {
    refuseReplays(chain, context.chain(slot), context.mode);
    if (chain.length === 0) bySlot.delete(slot);
  }
  await inChunks([...bySlot].flatMap(([slot, chain]) => findRuns(chain, context.chain(slot))), (run) => authenticate(run, context));
  const removed = await chainsOfRemoved(drafts, context);
  const alarms: (EntryId & { fault: EntryFault })[] = [];
  const chains: SlotChain[] = [];
  for (const [slot, chain] of bySlot) {
    const moved = settle(chain, context.chain(slot), { context, removed, alarms });
    if (moved) chains.push(moved);
  }
  checkPurges(bySlot, alarms);
  return answer(drafts, context, { chains, alarms });
}

async function unsealAll(rows: readonly HeldRow[], context: OpenManyContext): Promise<readonly Draft[]> {
  const keys = new Map<number, CryptoKey | undefined>();
  const readId = createIdReader();
  const drafts: Draft[] = [];
  for (let from = 0; from < rows.length; from += parallelMax) {
    const chunk = rows.slice(from, from + parallelMax).map((row) => ({ row, envelope: row.envelope && parseRow(row) }));
    for (const { envelope } of chunk) {
      if (envelope?.ok && !keys.has(envelope.value.epoch)) keys.set(envelope.value.epoch, await context.contentKey(envelope.value.epoch));
    }
    const plaintexts = await Promise.all(chunk.map(({ row, envelope }) => {
      const key = envelope?.ok ? keys.get(envelope.value.epoch) : undefined;
      return envelope?.ok && key ? unsealBytes(envelope.value, row, context.conversation, key) : Promise.resolve(undefined);
    }));
    for (const [i, { row, envelope }] of chunk.entries()) {
      const draft: Draft = { row, inner: undefined, purge: envelope?.ok ? envelope.value.purge : undefined, problem: undefined, authentic: false };
      drafts.push(draft);
      if (context.mode === 'again' && row.check === 'bad') draft.problem = { type: 'bad', fault: row.fault as EntryFault };
      else if (!envelope) continue;
      else if (!envelope.ok) draft.problem = { type: 'bad', fault: envelope.error };
      else if (!keys.get(envelope.value.epoch)) draft.problem = { type: 'pending', needs: { type: 'epoch', epoch: envelope.value.epoch } };
      else {
        const inner = readInner(plaintexts[i], readId);
        if (inner.ok) draft.inner = inner.value;
        draft.problem = inner.ok ? judge(row, envelope.value.epoch, inner.value, context) : { type: 'bad', fault: inner.error };
      }
    }
  }
  return drafts;
}

/** What stands at or on the wrong side of what is held was given before. It takes no part in the chain. */
function refuseReplays(chain: Draft[], held: SlotChain | undefined, mode: OpenManyContext['mode']): void {
  let last = mode === 'newer' && held ? held.ctr : -1;
  const ceiling = mode === 'older' && held ? held.firstCtr : Infinity;
  const kept = chain.filter((draft) => {
    const { ctr } = draft.row;
    if (ctr > last && ctr < ceiling) {
      last = ctr;
      return true;
    }
    draft.problem = { type: 'bad', fault: 'replay' };
    return false;
  });
  chain.splice(0, chain.length, ...kept);
}

/** Entries of one device, each the `prev` of the next; `vouched` when a verified newer entry names the top one. */
interface Run {
  readonly drafts: readonly Draft[];
  readonly vouched: boolean;
}

function findRuns(chain: readonly Draft[], held: SlotChain | undefined): readonly Run[] {
  const runs: Draft[][] = [];
  let before: Draft | undefined;
  for (const draft of chain) {
    if (draft.inner && before?.inner && continues(draft, draft.inner, before, before.inner)) runs[runs.length - 1]!.push(draft);
    else if (draft.inner) runs.push([draft]);
    before = draft;
  }
  return runs.map((drafts) => ({ drafts, vouched: held !== undefined && isVouched(drafts[drafts.length - 1]!, held) }));
}

function continues(draft: Draft, inner: Inner, before: Draft, innerBefore: Inner): boolean {
  return draft.row.ctr === before.row.ctr + 1 && speaksFor(innerBefore, inner) && equalBytes(inner.prev, innerBefore.chain);
}

function isVouched({ row, inner }: Draft, held: SlotChain): boolean {
  if (!inner || !speaksFor(held, inner)) return false;
  return (row.ctr === held.firstCtr - 1 && equalBytes(inner.chain, held.firstPrev)) || (row.ctr === held.ctr && equalBytes(inner.chain, held.chain));
}

/** From the newest down to the first signature that holds: all below it is authentic. */
async function authenticate({ drafts, vouched }: Run, context: OpenManyContext): Promise<void> {
  let holds = vouched;
  for (let i = drafts.length - 1; i >= 0; i--) {
    const draft = drafts[i]!;
    if (draft.problem) continue;
    holds ||= (context.mode === 'again' && draft.row.check === 'ok') || await verifySignature(draft.inner!, context);
    draft.authentic = holds;
    if (!holds) draft.problem = { type: 'bad', fault: 'wrong-signature' };
  }
}

/** Chain hashes of entries that deletes name, as far as somebody here holds them. */
async function chainsOfRemoved(drafts: readonly Draft[], context: OpenContext): Promise<ReadonlyMap<number, Bytes>> {
  const here = new Map<number, Bytes>();
  for (const { row, inner, problem } of drafts) if (inner && problem?.type !== 'bad') here.set(entryKey(row), inner.chain);
  const removed = new Map<number, Bytes>();
  await inChunks(drafts.filter(({ authentic, inner }) => authentic && inner?.event?.kind === 'delete'), async ({ inner }) => {
    const event = inner?.event;
    if (event?.kind !== 'delete') return;
    const chain = here.get(entryKey(event.target)) ?? await context.entryChain?.(event.target);
    if (chain) removed.set(entryKey(event.target), chain);
  });
  return removed;
}

interface Settling {
  readonly context: OpenManyContext;
  readonly removed: ReadonlyMap<number, Bytes>;
  readonly alarms: (EntryId & { fault: EntryFault })[];
}

/** Walks a device's entries upwards and gives each its verdict; answers the chain as it now stands. */
function settle(chain: readonly Draft[], held: SlotChain | undefined, { context, removed, alarms }: Settling): SlotChain | undefined {
  const { mode } = context;
  let bound: { readonly account: AccountId; readonly device: string } | undefined = held;
  let last = mode === 'newer' ? held && { ctr: held.ctr, chain: held.chain } : undefined;
  if (!last && mode === 'newer' && context.fromStart) last = { ctr: context.heldTo?.(chain[0]!.row.slot) ?? -1, chain: chainUnknown };
  for (const draft of chain) {
    const { row, inner } = draft;
    const gap = mode !== 'again' && last !== undefined && row.ctr > last.ctr + 1;
    if (!draft.problem && draft.authentic && inner) {
      if (bound && !speaksFor(bound, inner)) refuse(draft, 'slot-stolen');
      else {
        bound ??= inner;
        const fault = linkFault(row, inner, mode === 'again' && last && row.ctr > last.ctr + 1 ? undefined : last)
          ?? joinFault(row, inner, held, mode)
          ?? eventFault(inner, draft.purge, removed);
        if (fault) draft.problem = { type: 'bad', fault };
      }
    }
    if (gap && faultOf(draft) !== 'gap') alarms.push({ slot: row.slot, ctr: row.ctr, fault: 'gap' });
    last = { ctr: row.ctr, chain: draft.authentic && inner ? inner.chain : chainUnknown };
  }
  if (mode === 'older' && held && last && last.ctr < held.firstCtr - 1) alarms.push({ slot: held.slot, ctr: last.ctr + 1, fault: 'gap' });
  return bound && last ? movedChain(chain, { ...bound, slot: chain[0]!.row.slot }, held) : undefined;
}

function eventFault({ event }: Inner, purge: EntryId | undefined, removed: ReadonlyMap<number, Bytes>): EntryFault | undefined {
  if (!event) return 'event';
  return purgeFits(purge, event, event.kind === 'delete' ? removed.get(entryKey(event.target)) : undefined) ? undefined : 'purge-mismatch';
}

/** A slot-stealer's entry is authentic in itself and says nothing about this chain. */
function refuse(draft: Draft, fault: EntryFault): void {
  draft.problem = { type: 'bad', fault };
  draft.authentic = false;
}

/** Older rows end exactly where the held ones begin; rows opened again agree with what is held. */
function joinFault({ ctr }: EntryId, inner: Inner, held: SlotChain | undefined, mode: OpenManyContext['mode']): EntryFault | undefined {
  if (!held || mode === 'newer') return undefined;
  const below = ctr === held.firstCtr - 1 && held.firstPrev.length > 0;
  const top = mode === 'again' && ctr === held.ctr && held.chain.length > 0;
  if ((below && !equalBytes(inner.chain, held.firstPrev)) || (top && !equalBytes(inner.chain, held.chain))) return 'equivocation';
  return undefined;
}

function movedChain(chain: readonly Draft[], bound: { readonly slot: number; readonly account: AccountId; readonly device: string }, held: SlotChain | undefined): SlotChain | undefined {
  const top = chain[chain.length - 1]!;
  const bottom = chain[0]!;
  const chainOf = ({ authentic, inner }: Draft) => (authentic && inner ? inner.chain : chainUnknown);
  const prevOf = ({ authentic, inner }: Draft) => (authentic && inner ? copyBytes(inner.prev) : chainUnknown);
  const { slot, account, device } = bound;
  const topMoves = !held || top.row.ctr > held.ctr || (top.row.ctr === held.ctr && held.chain.length === 0);
  const bottomMoves = !held || bottom.row.ctr < held.firstCtr || (bottom.row.ctr === held.firstCtr && held.firstPrev.length === 0);
  if (!topMoves && !bottomMoves) return undefined;
  return {
    slot, account, device,
    ctr: topMoves ? top.row.ctr : held.ctr,
    chain: topMoves ? chainOf(top) : held.chain,
    firstCtr: bottomMoves ? bottom.row.ctr : held.firstCtr,
    firstPrev: bottomMoves ? prevOf(bottom) : held.firstPrev,
  };
}

/** A delete names the entry it removed by its hash; the author's next entry knows better. */
function checkPurges(bySlot: ReadonlyMap<number, readonly Draft[]>, alarms: (EntryId & { fault: EntryFault })[]): void {
  const claimed = new Map<number, Bytes>();
  for (const chain of bySlot.values()) {
    for (const { inner, problem } of chain) if (!problem && inner?.event?.kind === 'delete') claimed.set(entryKey(inner.event.target), inner.event.targetChain);
  }
  if (claimed.size === 0) return;
  for (const chain of bySlot.values()) {
    chain.forEach(({ row, inner, authentic }, i) => {
      const before = chain[i - 1];
      if (!authentic || !inner || !before || before.row.envelope || before.row.ctr !== row.ctr - 1) return;
      const claim = claimed.get(entryKey(before.row));
      if (claim && !equalBytes(claim, inner.prev)) alarms.push({ slot: before.row.slot, ctr: before.row.ctr, fault: 'purge-mismatch' });
    });
  }
}

function answer(drafts: readonly Draft[], context: OpenManyContext, { chains, alarms }: Pick<OpenedMany, 'chains' | 'alarms'>): OpenedMany {
  const rows: CheckedRow[] = [];
  const entries: OpenedEntry[] = [];
  const needs = new Map<string, Need>();
  const bad: (EntryId & { fault: EntryFault })[] = [];
  for (const { row: { seq, seg, slot, clock, ctr, rt, envelope }, inner, problem } of drafts) {
    const row: Row = { seq, seg, slot, clock, ctr, rt, envelope };
    if (problem?.type === 'bad') {
      rows.push({ ...row, check: 'bad', fault: problem.fault });
      bad.push({ slot, ctr, fault: problem.fault });
    } else if (problem) {
      rows.push({ ...row, check: 'pending' });
      needs.set(JSON.stringify(problem.needs), problem.needs);
    } else if (!inner?.event) rows.push({ ...row, check: 'ok', kind: 'purged' });
    else {
      const { event } = inner;
      const entry = openedEntry(row, inner, event, context);
      entries.push(entry);
      rows.push({ ...row, check: 'ok', kind: event.kind, counts: (event.kind === 'message' || event.kind === 'poll') && entry.account !== context.me });
    }
  }
  return { rows, entries, chains, needs: [...needs.values()], alarms: [...bad, ...alarms] };
}

async function inChunks<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += parallelMax) {
    await Promise.all(items.slice(from, from + parallelMax).map((item, i) => work(item, from + i)));
  }
}

function faultOf({ problem }: Draft): EntryFault | undefined {
  return problem?.type === 'bad' ? problem.fault : undefined;
}
