/**
 * The outbox keeps what a person said until its own row has come back from the server [SC20].
 *
 * These are its moves, each one transaction, with no knowledge of any connection: the socket and the
 * service worker's HTTP flush share them. An entry's counter is given when it is written down and has no
 * gaps; its bytes are sealed when it is about to leave and are durable before they do, and bytes that
 * may be stored somewhere are never replaced without being remembered (`former`).
 */
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { assert } from '#lib/std/assert.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Database, ReadTx, WriteTx } from '#lib/storage/database.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import type { StoredConversation, StoredOutbox, StoredRow } from '#lib/storage/schema.ts';
import type { EnqueueExtra, EnqueueInput, Ingested, Renumbering, Seal, SealProblem } from './types.ts';

/** Each is one change of epoch that met an entry on its way; more than a few never happen in a row. */
export const formerEnvelopesMax = 4;
/** A PUT leaves room in its frame for the type, the handle and the lengths. */
export const putSizeBytesMax = limits.frameSizeBytesMax - 1_024;

const nothingSealed = new Uint8Array(0);
const chainStart = new Uint8Array(32);

export function newConversation(conversation: ConversationId): StoredConversation {
  return {
    conversation, cursor: 0, low: 1, lineage: '', slot: 0, nextCtr: 0, sealedCtr: 0, chain: chainStart, marksSince: 0, markCtr: 0, readSeq: 0, deliveredSeq: 0,
    logHeight: 0,
  };
}

// ---- What a person does ----------------------------------------------------------------------

const enqueueStores = ['conversations', 'outbox', 'aliases', 'lost', 'refused'] as const;

export function enqueue(database: Database, conversation: ConversationId, input: EnqueueInput, extra?: EnqueueExtra): Promise<EntryId> {
  return database.write([...new Set([...enqueueStores, ...(extra?.stores ?? [])])], (tx) => enqueueIn(tx, conversation, input, extra));
}

async function enqueueIn(tx: WriteTx, conversation: ConversationId, { sealedEvent, createdAt, replaces }: EnqueueInput, extra?: EnqueueExtra): Promise<EntryId> {
  const stored = await tx.get('conversations', conversation);
  assert(stored, 'a conversation is added before anything is written in it');
  const entry = { slot: stored.slot, ctr: stored.nextCtr };
  await tx.put('conversations', conversation, { ...stored, nextCtr: stored.nextCtr + 1 });
  await tx.put('outbox', [conversation, entry.ctr], {
    conversation, ctr: entry.ctr, sealedEvent, envelope: undefined, chain: undefined, createdAt, acknowledgedSeq: undefined, refused: undefined,
  });
  if (replaces) {
    await tx.put('aliases', [conversation, replaces.slot, replaces.ctr], entry);
    await tx.delete('lost', [conversation, replaces.slot, replaces.ctr]);
    await tx.delete('refused', [conversation, replaces.slot, replaces.ctr]);
  }
  await extra?.write(tx, entry);
  return entry;
}

/** Only what was never sealed can change: sealed bytes may be on their way. */
export function replaceWaiting(database: Database, conversation: ConversationId, ctr: number, sealedEvent: Bytes, extra?: EnqueueExtra): Promise<Result<void, 'already-sealed' | 'gone'>> {
  return database.write([...new Set(['conversations' as const, 'outbox' as const, ...(extra?.stores ?? [])])], async (tx) => {
    const entry = await tx.get('outbox', [conversation, ctr]);
    if (!entry || entry.refused) return err('gone');
    if (entry.envelope || entry.former || entry.resend) return err('already-sealed');
    await tx.put('outbox', [conversation, ctr], { ...entry, sealedEvent });
    if (extra) await extra.write(tx, { slot: (await tx.get('conversations', conversation))?.slot ?? 0, ctr });
    return ok(undefined);
  });
}

export function retryRefused(database: Database, conversation: ConversationId, refused: EntryId, extra?: EnqueueExtra): Promise<Result<EntryId, 'gone'>> {
  return database.write([...new Set([...enqueueStores, ...(extra?.stores ?? [])])], async (tx) => {
    const record = await tx.get('refused', [conversation, refused.slot, refused.ctr]);
    if (!record) return err('gone');
    return ok(await enqueueIn(tx, conversation, { sealedEvent: record.sealedEvent, createdAt: record.createdAt, replaces: refused }, extra));
  });
}

// ---- On the way to the server ----------------------------------------------------------------

export async function readConversation(database: Database, conversation: ConversationId): Promise<StoredConversation | undefined> {
  return database.read(['conversations'], (tx) => tx.get('conversations', conversation));
}

/** The first entries without an ACK from `from` on, a run of counters, at most `count`. */
export async function readUnacknowledged(tx: ReadTx, conversation: ConversationId, from: number, count: number = limits.entriesPerPutMax): Promise<StoredOutbox[]> {
  for (let next = from; ; ) {
    const page = await tx.getAll('outbox', { range: ofConversation(conversation, next), limit: limits.entriesPerPutMax });
    const start = page.findIndex((entry) => entry.acknowledgedSeq === undefined);
    if (start >= 0) {
      const first = page[start]!;
      // The page may end early; what is missing goes with the next PUT.
      const run = page.slice(start, start + count);
      const end = run.findIndex((entry, i) => entry.ctr !== first.ctr + i || entry.acknowledgedSeq !== undefined);
      return end < 0 ? run : run.slice(0, end);
    }
    if (page.length < limits.entriesPerPutMax) return [];
    next = page.at(-1)!.ctr + 1;
  }
}

/** The sealed ones in front, as many as one PUT carries. */
export function toPut(entries: readonly StoredOutbox[]): readonly Bytes[] {
  const envelopes: Bytes[] = [];
  let size = 0;
  for (const { envelope } of entries) {
    if (!envelope || size + envelope.length + 3 > putSizeBytesMax) break;
    envelopes.push(envelope);
    size += envelope.length + 3;
  }
  return envelopes;
}

export type SealOutcome = Result<'sealed' | 'again', SealProblem>;

/** Seals these entries and makes the bytes durable. `again`: something moved meanwhile, look anew. */
export async function sealEntries(database: Database, seal: Seal, stored: StoredConversation, entries: readonly StoredOutbox[]): Promise<SealOutcome> {
  const { conversation, slot, sealedCtr, chain } = stored;
  if (slot === 0 || entries[0]?.ctr !== sealedCtr || entries[0].resend) return ok('again');
  const answer = await seal(conversation, entries, { slot, ctr: sealedCtr, chain });
  if (!answer.ok) return answer;
  assert(answer.value.length === entries.length, 'seal answers one envelope per record');
  return database.write(['conversations', 'outbox'], async (tx) => {
    const now = await tx.get('conversations', conversation);
    if (!now || now.slot !== slot || now.sealedCtr !== sealedCtr || !equalBytes(now.chain, chain)) return ok('again' as const);
    let prev: Bytes = chain;
    let count = 0;
    for (const [i, before] of entries.entries()) {
      const entry = await tx.get('outbox', [conversation, before.ctr]);
      // An edit that came meanwhile wins; what follows is sealed on top of its new form.
      if (!entry || entry.envelope || !equalBytes(entry.sealedEvent, before.sealedEvent)) break;
      const { envelope, chain: after } = answer.value[i]!;
      await tx.put('outbox', [conversation, entry.ctr], { ...entry, envelope, chain: after, prev });
      prev = after;
      count += 1;
    }
    if (count === 0) return ok('again' as const);
    await tx.put('conversations', conversation, { ...now, sealedCtr: sealedCtr + count, chain: prev });
    return ok('sealed' as const);
  });
}

/** `firstSeq` is the first entry's place; those behind it came no earlier than in a row. */
export function acknowledge(database: Database, conversation: ConversationId, { ctr0, count }: { readonly ctr0: number; readonly count: number }, firstSeq: number): Promise<StoredConversation | undefined> {
  return database.write(['conversations', 'outbox'], async (tx) => {
    for (const entry of await tx.getAll('outbox', { range: ofConversation(conversation, ctr0, ctr0 + count - 1) })) {
      await tx.put('outbox', [conversation, entry.ctr], { ...entry, acknowledgedSeq: firstSeq + entry.ctr - ctr0 });
    }
    return tx.get('conversations', conversation);
  });
}

// ---- When the server says no -----------------------------------------------------------------

/** The server has nothing from `from` on: ACKs beyond are void. Answers whether we can send from there. */
export function sendAgainFrom(database: Database, conversation: ConversationId, from: number): Promise<'ready' | 'hole'> {
  return database.write(['conversations', 'outbox'], async (tx) => {
    const stored = await tx.get('conversations', conversation);
    const entries = await tx.getAll('outbox', { range: ofConversation(conversation, from) });
    const isWhole = entries.every((entry, i) => entry.ctr === from + i) && from + entries.length === stored?.nextCtr;
    if (!isWhole) return 'hole';
    for (const entry of entries) if (entry.acknowledgedSeq !== undefined) await tx.put('outbox', [conversation, entry.ctr], { ...entry, acknowledgedSeq: undefined });
    return 'ready';
  });
}

/** Sealed bytes from `from` on are put aside, to be sealed anew. `stuck`: some of them may not be. */
export function unseal(database: Database, conversation: ConversationId, from: number): Promise<'unsealed' | 'stuck'> {
  return database.write(['conversations', 'outbox'], async (tx) => {
    const entries = await tx.getAll('outbox', { range: ofConversation(conversation, from) });
    if (entries.some((entry) => entry.resend)) return 'stuck';
    await unsealIn(tx, conversation, entries);
    return 'unsealed';
  });
}

/** `entries` are all from some ctr on. */
async function unsealIn(tx: WriteTx, conversation: ConversationId, entries: readonly StoredOutbox[]): Promise<void> {
  const stored = await tx.get('conversations', conversation);
  const first = entries[0];
  if (!stored || !first?.envelope) return; // nothing sealed from there on
  assert(first.prev, 'a sealed entry knows the chain before it');
  for (const entry of entries) if (entry.envelope) await tx.put('outbox', [conversation, entry.ctr], putAside(entry));
  await tx.put('conversations', conversation, { ...stored, sealedCtr: first.ctr, chain: first.prev });
}

function putAside({ envelope, chain, prev: _prev, ...entry }: StoredOutbox): StoredOutbox {
  const former = envelope && chain ? [{ envelope, chain }, ...(entry.former ?? [])].slice(0, formerEnvelopesMax) : entry.former;
  return { ...entry, envelope: undefined, chain: undefined, acknowledgedSeq: undefined, ...(former && { former }) };
}

/**
 * Keeps what nobody takes: the words move to `refused`, an empty entry keeps the counter, and what comes
 * behind is sealed anew, because its chain changes. `stuck`: an empty or unsealable one was refused.
 */
export function refuse(database: Database, conversation: ConversationId, ctrs: readonly number[], why: string): Promise<'refused' | 'stuck'> {
  return database.write(['conversations', 'outbox', 'refused'], async (tx) => {
    const stored = await tx.get('conversations', conversation);
    const first = ctrs[0];
    if (!stored || first === undefined) return 'refused';
    const entries = await tx.getAll('outbox', { range: ofConversation(conversation, first) });
    const chosen = entries.filter((entry) => ctrs.includes(entry.ctr) && entry.sealedEvent.length > 0);
    if (entries.some((entry) => entry.resend) || chosen.length === 0) return 'stuck';
    await unsealIn(tx, conversation, entries);
    for (const { ctr } of chosen) {
      const entry = await tx.get('outbox', [conversation, ctr]);
      if (!entry) continue;
      const { sealedEvent, createdAt } = entry;
      await tx.put('refused', [conversation, stored.slot, ctr], { conversation, slot: stored.slot, ctr, sealedEvent, createdAt, why });
      await tx.put('outbox', [conversation, ctr], { ...entry, sealedEvent: nothingSealed, refused: why });
    }
    return 'refused';
  });
}

/** A new slot: what is unsent gets new counters from 0, in order. Answers entries that only the app can say again. */
export async function renumber(tx: WriteTx, conversation: ConversationId, toSlot: number): Promise<{ readonly change: Renumbering; readonly unsendable: readonly EntryId[] } | undefined> {
  const stored = await tx.get('conversations', conversation);
  if (!stored) return undefined;
  const entries = await tx.getAll('outbox', { range: ofConversation(conversation) });
  await tx.delete('outbox', { range: ofConversation(conversation) });
  const ctrs = new Map<number, number>();
  const unsendable: EntryId[] = [];
  for (const entry of entries) {
    if (entry.resend) unsendable.push({ slot: stored.slot, ctr: entry.ctr });
    if (entry.sealedEvent.length === 0) continue; // it only kept a place in the old slot
    const ctr = ctrs.size;
    ctrs.set(entry.ctr, ctr);
    const { conversation: _same, sealedEvent, createdAt } = entry;
    await tx.put('outbox', [conversation, ctr], {
      conversation, ctr, sealedEvent, envelope: undefined, chain: undefined, createdAt, acknowledgedSeq: undefined, refused: undefined,
    });
    await tx.put('aliases', [conversation, stored.slot, entry.ctr], { slot: toSlot, ctr });
  }
  await tx.put('conversations', conversation, {
    ...stored, slot: toSlot, firstSlot: stored.firstSlot ?? stored.slot, nextCtr: ctrs.size, sealedCtr: 0, chain: chainStart,
  });
  return { change: { fromSlot: stored.slot, toSlot, ctrs }, unsendable };
}

// ---- When rows come back ---------------------------------------------------------------------

export interface OwnRowsOutcome {
  readonly stored: StoredConversation;
  readonly delivered: readonly number[];
  /** A row of our slot that we did not write. */
  readonly forked: EntryId | undefined;
}

/** Stores a transaction that saves rows must name for `matchOwnRows`. */
export const ownRowStores = ['outbox', 'refused'] as const;

/** Own rows take their entries out of the outbox; answers the conversation as it is then, not yet saved. */
export async function matchOwnRows(tx: WriteTx, before: StoredConversation, rows: readonly StoredRow[], said: Ingested['said'] = []): Promise<OwnRowsOutcome> {
  let stored = before;
  const { conversation } = stored;
  const delivered: number[] = [];
  const matched = new Set<number>();
  let forked: EntryId | undefined;
  for (const row of rows) {
    if (row.slot !== stored.slot) continue;
    const { slot, ctr } = row;
    const entry = await tx.get('outbox', [conversation, ctr]);
    if (!entry) {
      // Known from before, unless we never came this far.
      if (ctr >= stored.sealedCtr) forked ??= { slot, ctr };
      continue;
    }
    const former = row.envelope && entry.former?.find(({ envelope }) => equalBytes(envelope, row.envelope!));
    const isSame = entry.envelope !== undefined && (row.envelope === undefined || equalBytes(entry.envelope, row.envelope));
    if (isSame || former) {
      await tx.delete('outbox', [conversation, ctr]);
      delivered.push(ctr);
      matched.add(row.seq);
    } else forked ??= { slot, ctr };
    if (former && !isSame) {
      if (entry.refused) await tx.delete('refused', [conversation, slot, ctr]);
      // An earlier form was stored after all, so it was not refused in the end, and what was sealed on top of the other one is sealed anew.
      for (const later of await tx.getAll('outbox', { range: ofConversation(conversation, ctr + 1) })) if (later.envelope) await tx.put('outbox', [conversation, later.ctr], putAside(later));
      stored = { ...stored, sealedCtr: ctr + 1, chain: former.chain };
    }
  }
  // Ours, from a life we do not remember: the words have arrived, though our chain is lost and a new slot follows.
  for (const { seq, ctr, sealedEvent } of said) {
    const entry = matched.has(seq) ? undefined : await tx.get('outbox', [conversation, ctr]);
    if (!entry || !equalBytes(entry.sealedEvent, sealedEvent)) continue;
    await tx.delete('outbox', [conversation, ctr]);
    delivered.push(ctr);
  }
  return { stored, delivered, forked };
}

/** What an entry is called now that was called `entry` when it was written down. */
export async function resolveEntry(tx: ReadTx, conversation: ConversationId, entry: EntryId): Promise<EntryId> {
  let now = entry;
  if (now.slot === 0) {
    const stored = await tx.get('conversations', conversation);
    now = { slot: stored?.firstSlot ?? stored?.slot ?? 0, ctr: now.ctr };
  }
  // Every step is one change of slot; a chain as long as this is a circle.
  for (let steps = 0; steps < 1_000; steps++) {
    const next = await tx.get('aliases', [conversation, now.slot, now.ctr]);
    if (!next) return now;
    now = next;
  }
  throw new Error('broken promise: the names of an entry make no circle');
}
