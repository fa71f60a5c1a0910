/** What must hold at every step and at rest; each answers in words what is wrong. */
import type { EntryId, ConversationId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { rowsToDoc } from '#lib/conversation/segment-doc.ts';
import { equalBytes } from '#lib/std/bytes.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import type { MemorySnapshot } from '#lib/storage/memory.ts';
import type { StoredConversation, StoredRow, StoredSegment } from '#lib/storage/schema.ts';
import type { TimelineEntry } from '#lib/timeline/item.ts';
import { foldRows, newTimeline, type Device, type Life } from './device.ts';
import type { World } from './world.ts';

/** Rows held are exactly low..cursor, in either form. */
export function gapIn(disk: MemorySnapshot): string | undefined {
  const held = new Map<ConversationId, number[]>();
  const add = (conversation: ConversationId, seq: number) => held.set(conversation, [...(held.get(conversation) ?? []), seq]);
  for (const [key] of disk.stores.get('rows') ?? []) add((key as [ConversationId, number])[0], (key as [ConversationId, number])[1]);
  for (const [key, value] of disk.stores.get('segments') ?? []) {
    const { firstSeq, lastSeq } = value as StoredSegment;
    for (let seq = firstSeq; seq <= lastSeq; seq++) add((key as [ConversationId, number])[0], seq);
  }
  for (const [, value] of disk.stores.get('conversations') ?? []) {
    const { conversation, low, cursor } = value as StoredConversation;
    const seqs = (held.get(conversation) ?? []).sort((a, b) => a - b);
    const isWhole = seqs.length === Math.max(0, cursor - low + 1) && seqs.every((seq, i) => seq === low + i);
    if (!isWhole) return `rows ${seqs.join(',')} are not ${low}..${cursor}`;
  }
  return undefined;
}

/** Rows of the store are 1..head, and their slots count without a hole. */
export function storeRows(world: World, conversation: ConversationId): readonly Row[] {
  return world.store.sync.rowsAfter(conversation, 0, 100_000, Infinity);
}

export function faultInStore(rows: readonly Row[]): string | undefined {
  const next = new Map<number, number>();
  for (const [i, { seq, slot, ctr }] of rows.entries()) {
    if (seq !== i + 1) return `row ${i + 1} of the store has seq ${seq}`;
    const expected = next.get(slot) ?? 0;
    if (ctr !== expected) return `slot ${slot} goes from ${expected - 1} to ${ctr} at seq ${seq}`;
    next.set(slot, ctr + 1);
  }
  return undefined;
}

export function faultInSegments(world: World, conversation: ConversationId): string | undefined {
  const last = world.store.sync.heads([conversation])[0]?.openSeg ?? 0;
  for (let seg = 0; seg <= last; seg++) {
    const found = world.store.sync.segment(conversation, seg);
    if (!found || found.rows.length === 0) continue;
    const doc = rowsToDoc(found.rows);
    if (doc.store.pendingStructs || doc.store.pendingDs) return `segment ${seg} has pending structs`;
    if (doc.getMap('e').size !== found.rows.filter((row) => row.envelope).length) return `segment ${seg} misses entries`;
  }
  return undefined;
}

export interface Held {
  readonly place: StoredConversation | undefined;
  readonly rows: readonly StoredRow[];
  readonly waiting: number;
}

export async function heldBy(life: Life, conversation: ConversationId): Promise<Held> {
  return life.database.read(['conversations', 'outbox', ...rowStores], async (tx) => ({
    place: await tx.get('conversations', conversation),
    rows: await readRows(tx, conversation, 1, Infinity),
    waiting: await tx.count('outbox', { from: [conversation, 0], to: [conversation, Infinity] }),
  }));
}

/** Why this device is not where the store is; undefined when it is. */
export function behind({ place, rows, waiting }: Held, stored: readonly Row[], mayBePurged: boolean): string | undefined {
  if (!place) return 'does not know it';
  if (waiting > 0) return `${waiting} entries wait`;
  if (place.cursor !== stored.length || place.low !== (stored.length === 0 ? place.low : 1)) return `holds ${place.low}..${place.cursor} of ${stored.length}`;
  for (const [i, row] of rows.entries()) {
    const theirs = stored[i]!;
    const isSame = row.seq === theirs.seq && row.slot === theirs.slot && row.ctr === theirs.ctr && row.clock === theirs.clock && row.seg === theirs.seg && row.rt === theirs.rt;
    if (!isSame) return `row ${row.seq} differs: ${JSON.stringify([row, theirs], (key, value: unknown) => (key === 'envelope' ? undefined : value))}`;
    // Whoever removed a member had not seen this entry of theirs: it stays out for everybody.
    const isCutOff = row.fault === 'beyond-cut';
    if (row.check !== 'ok' && row.envelope && !isCutOff) return `row ${row.seq} is ${row.check} ${row.fault ?? ''}`;
    if (row.envelope && theirs.envelope ? !equalBytes(row.envelope, theirs.envelope) : !mayBePurged && row.envelope !== theirs.envelope) return `row ${row.seq} has other bytes`;
  }
  return undefined;
}

/** A look at a chat as a person has it, free of who looks. */
export async function lookAt(device: Device, conversation: ConversationId, rows: readonly StoredRow[]): Promise<readonly Omit<TimelineEntry, 'mine'>[]> {
  const life = device.life()!;
  const timeline = await newTimeline(life.groups, device.actor.person.account, conversation);
  await foldRows(timeline, life.verifier, conversation, rows, await life.verifier.open(conversation, rows));
  return timeline.items().map(({ mine: _mine, ...rest }) => rest);
}

export const nameOf = ({ slot, ctr }: EntryId) => `${slot}.${ctr}`;
