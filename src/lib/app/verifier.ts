/**
 * Opens and checks what the server hands out, and keeps what checking gave beside the rows.
 *
 * A row is checked once, when it arrives. One that waits for a key or a log is remembered, what it
 * needs is fetched beside sync's own work, and it is opened again. Nothing that fails is dropped: it
 * stays where the server put it, marked, and is shown as such.
 */
import type { AccountState } from '#lib/chains/account-state.ts';
import { isAdmin, roleAt, type GroupState } from '#lib/chains/group-state.ts';
import { chainUnknown, type EntryFault, type Need, type OpenedEntry, type SlotChain } from '#lib/conversation/entry.ts';
import { openMany, type OpenedMany, type OpenManyContext } from '#lib/conversation/open-many.ts';
import { readChain } from '#lib/conversation/open.ts';
import { encodeWaitingEvent } from '#lib/conversation/event-codec.ts';
import { resolveOwnTargets } from '#lib/conversation/event-targets.ts';
import type { Event } from '#lib/conversation/event.ts';
import type { Groups } from '#lib/groups/groups.ts';
import { parseEnvelope } from '#lib/protocol/envelope.ts';
import { entryKey, type AccountId, type ConversationId, type EntryId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Database, WriteTx } from '#lib/storage/database.ts';
import { patchRow, purgeRows, readRow, readRows, rowStores } from '#lib/storage/rows.ts';
import type { StoredOutbox, StoredRow } from '#lib/storage/schema.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { Ingested, SyncDeps } from '#lib/sync/types.ts';
import { readEvent } from './sealing.ts';

export interface CheckedRows {
  readonly rows: readonly StoredRow[];
  readonly entries: readonly OpenedEntry[];
  readonly alarms: readonly (EntryId & { readonly fault: EntryFault })[];
  readonly from: 'live' | 'older' | 'again';
}

export interface VerifierDeps {
  readonly database: Database;
  /** Opens what waits in the outbox. */
  readonly sealer: Sealer;
  readonly me: AccountId;
  readonly groups: Pick<Groups, 'state' | 'epochKeys' | 'sync'>;
  readonly accounts: {
    /** What this device knows, without asking the network. */
    readonly known: (account: AccountId) => Promise<AccountState | undefined>;
    readonly refresh: (account: AccountId, atLeastHeight?: number) => Promise<AccountState | undefined>;
  };
  /** After the rows are durable. */
  readonly checked: (conversation: ConversationId, checked: CheckedRows) => void;
  /** A fault of ours in background work. */
  readonly failed: (error: unknown) => void;
}

export interface Verifier {
  readonly ingest: SyncDeps['ingest'];
  /** Rows held and found good before, opened for showing. */
  readonly open: (conversation: ConversationId, rows: readonly StoredRow[]) => Promise<readonly OpenedEntry[]>;
  /** The same, and with them the rows that no longer are what they were: damaged on this device. */
  readonly openHeld: (conversation: ConversationId, rows: readonly StoredRow[]) => Promise<{ readonly entries: readonly OpenedEntry[]; readonly damaged: readonly StoredRow[] }>;
  /** Opens again what waited: a key or a log has come. `settled` when both logs are the newest there are. */
  readonly recheck: (conversation: ConversationId, settled: boolean) => Promise<void>;
  /**
   * Marks the removed rows that no verified delete speaks of. To be called once everything up to the head
   * had time to come: a removal stands before its delete in the log. Answers whether any still waits.
   */
  readonly judgeRemovals: (conversation: ConversationId) => Promise<boolean>;
  /** Who a slot speaks for, as its first good entry proved. */
  readonly slotOwner: (conversation: ConversationId, slot: number) => Promise<SlotChain | undefined>;
  readonly slotOwners: (conversation: ConversationId) => Promise<ReadonlyMap<number, SlotChain>>;
  /** The heads of chats are kept in memory up to a bound; a removed chat's go at once. */
  readonly forget: (conversation: ConversationId) => void;
  readonly idle: () => Promise<void>;
}

/** Chains of this many chats stay in memory; each is a few hundred bytes per author. */
const chatsInMemoryMax = 256;
/** Members whose account logs are loaded ahead; others are loaded when a row names them. */
const membersAheadMax = 64;

/** Rows without content that wait for their delete, per chat; a server that makes more of them has shown itself by these. */
const unprovenMax = 4_096;

interface PendingSpan {
  readonly from: number;
  readonly to: number;
}
interface Unproven extends EntryId {
  readonly seq: number;
}
const pendingKey = (conversation: ConversationId) => `pending/${conversation}`;
const unprovenKey = (conversation: ConversationId) => `unproven/${conversation}`;
const deletedKey = (conversation: ConversationId, { slot, ctr }: EntryId) => `deleted/${conversation}/${slot}.${ctr}`;

/** The chats where a removal waits for its delete. */
export async function chatsWithUnproven(database: Database): Promise<readonly ConversationId[]> {
  const keys = await database.read(['kv'], (tx) => tx.getAllKeys('kv', { range: { from: 'unproven/', to: 'unproven0', toOpen: true } }));
  return keys.map((key) => key.slice('unproven/'.length) as ConversationId);
}

export function createVerifier(deps: VerifierDeps): Verifier {
  const { database, groups, accounts, me } = deps;
  const chains = new Map<ConversationId, Promise<Map<number, SlotChain>>>();
  const running = new Map<ConversationId, Promise<void>>();

  function chainsOf(conversation: ConversationId): Promise<Map<number, SlotChain>> {
    let found = chains.get(conversation);
    if (!found) {
      found = database.read(['chains'], (tx) => tx.getAll('chains', { range: { from: [conversation, 0], to: [conversation, Infinity] } }))
        .then((list) => new Map(list.map((chain) => [chain.slot, chain])));
      chains.set(conversation, found);
      if (chains.size > chatsInMemoryMax) chains.delete(chains.keys().next().value!);
    }
    return found;
  }

  async function open(conversation: ConversationId, rows: readonly Row[], mode: OpenManyContext['mode'], settled: boolean, fromStart: boolean): Promise<OpenedMany> {
    const group = await groups.state(conversation);
    const slotChains = await chainsOf(conversation);
    const known = new Map<AccountId, AccountState>();
    if (group && group.members.size <= membersAheadMax) await learn(group.members.keys());
    await learn([...slotChains.values()].filter((chain) => rows.some((row) => row.slot === chain.slot)).map((chain) => chain.account));
    const rts = group && await receiptTimes(conversation, group);
    // Where rows follow what is held, slots without a chain and chains that reach above them are looked at again.
    const unsure = mode === 'newer' ? rows.filter(({ slot, ctr }) => (slotChains.get(slot)?.ctr ?? Infinity) >= ctr).map(({ slot }) => slot) : [];
    const tops = unsure.length > 0 ? await newestHeld(conversation, unsure) : undefined;
    const cut = tops ? await cutChains(conversation, slotChains, tops) : undefined;
    const context: OpenManyContext = {
      conversation, group, me, mode, settled, fromStart,
      account: (account) => known.get(account),
      contentKey: async (epoch) => (await groups.epochKeys(conversation, epoch))?.content,
      groupRt: (height) => rts?.get(height),
      chain: (slot) => (cut?.has(slot) ? cut.get(slot) : slotChains.get(slot)),
      heldTo: (slot) => tops?.get(slot),
      entryChain: (entry) => heldChain(conversation, entry),
    };
    const first = await openMany(rows, context);
    const unknown = first.needs.filter((need) => need.type === 'account' && !known.has(need.account)).map((need) => (need as { account: AccountId }).account);
    if (unknown.length === 0) return first;
    return (await learn(unknown)) > 0 ? openMany(rows, context) : first;

    async function learn(ids: Iterable<AccountId>): Promise<number> {
      let learnt = 0;
      for (const id of ids) {
        if (known.has(id)) continue;
        const state = await accounts.known(id);
        if (!state) continue;
        known.set(id, state);
        learnt++;
      }
      return learnt;
    }
  }

  /** The newest ctr held of each of these slots; undefined where nothing of it is. */
  async function newestHeld(conversation: ConversationId, slots: readonly number[]): Promise<ReadonlyMap<number, number | undefined>> {
    return database.read(['entrySeq'], async (tx) => {
      const tops = new Map<number, number | undefined>();
      for (const slot of new Set(slots)) {
        const [top] = await tx.getAllKeys('entrySeq', { range: { from: [conversation, slot, 0], to: [conversation, slot, Infinity] }, limit: 1, reverse: true });
        tops.set(slot, top?.[2]);
      }
      return tops;
    });
  }

  /** Rows that the server lost were cut away; their chains go back to what is still held, so that they may come again. */
  async function cutChains(conversation: ConversationId, held: ReadonlyMap<number, SlotChain>, tops: ReadonlyMap<number, number | undefined>): Promise<ReadonlyMap<number, SlotChain | undefined>> {
    const cut = new Map<number, SlotChain | undefined>();
    for (const [slot, top] of tops) {
      const chain = held.get(slot);
      if (!chain || (top !== undefined && top >= chain.ctr)) continue;
      cut.set(slot, top === undefined ? undefined : { ...chain, ctr: top, chain: (await heldChain(conversation, { slot, ctr: top })) ?? chainUnknown });
    }
    return cut;
  }

  const times = new Map<ConversationId, { readonly height: number; readonly rts: ReadonlyMap<number, number> }>();
  async function receiptTimes(conversation: ConversationId, group: GroupState): Promise<ReadonlyMap<number, number>> {
    const held = times.get(conversation);
    if (held?.height === group.height) return held.rts;
    const range = { from: [conversation, 0] as [ConversationId, number], to: [conversation, Infinity] as [ConversationId, number] };
    const [keys, values] = await database.read(['groupLog'], async (tx) => [await tx.getAllKeys('groupLog', { range }), await tx.getAll('groupLog', { range })] as const);
    const rts = new Map(keys.map((key, i) => [key[1], values[i]!.rt]));
    if (times.size >= chatsInMemoryMax) times.clear();
    times.set(conversation, { height: group.height, rts });
    return rts;
  }

  async function heldChain(conversation: ConversationId, entry: EntryId): Promise<Bytes | undefined> {
    const row = await rowOf(conversation, entry);
    if (!row?.envelope || row.check !== 'ok') return undefined;
    const parsed = parseEnvelope(row.envelope);
    const keys = parsed.ok ? await groups.epochKeys(conversation, parsed.value.epoch) : undefined;
    return keys && readChain(conversation, row, keys.content);
  }

  async function rowOf(conversation: ConversationId, entry: EntryId): Promise<StoredRow | undefined> {
    return database.read(rowStores, async (tx) => {
      const seq = await tx.get('entrySeq', [conversation, entry.slot, entry.ctr]);
      return seq === undefined ? undefined : (await readRows(tx, conversation, seq, seq))[0];
    });
  }

  /** What a transaction writes beside the rows themselves. */
  async function keep(tx: WriteTx, conversation: ConversationId, opened: OpenedMany, removed: readonly EntryId[]): Promise<readonly StoredRow[]> {
    const proven = await prove(tx, conversation, opened, removed);
    for (const chain of opened.chains) await tx.put('chains', [conversation, chain.slot], chain);
    await keepPending(tx, conversation, opened);
    return proven;
  }

  async function keepPending(tx: WriteTx, conversation: ConversationId, opened: OpenedMany): Promise<void> {
    const waiting = opened.rows.filter((row) => row.check === 'pending');
    if (waiting.length === 0) return;
    const before = await tx.get('kv', pendingKey(conversation)) as PendingSpan | undefined;
    const seqs = waiting.map((row) => row.seq);
    const span: PendingSpan = { from: Math.min(before?.from ?? Infinity, ...seqs), to: Math.max(before?.to ?? 0, ...seqs) };
    await tx.put('kv', pendingKey(conversation), span);
  }

  /**
   * Deletes prove removals, whichever comes first. Answers the rows that were marked as removed without one
   * and are good after all.
   */
  async function prove(tx: WriteTx, conversation: ConversationId, opened: OpenedMany, removed: readonly EntryId[]): Promise<readonly StoredRow[]> {
    const proven: StoredRow[] = [];
    if (removed.length > 0) {
      // The ciphertext goes from this replica with the verified delete itself, whether or not the server says so too.
      await purgeRows(tx, conversation, removed);
      for (const entry of removed) {
        await tx.put('kv', deletedKey(conversation, entry), true);
        const seq = await tx.get('entrySeq', [conversation, entry.slot, entry.ctr]);
        const row = seq === undefined ? undefined : await readRow(tx, conversation, seq);
        if (row?.fault !== 'unproven-removal') continue;
        const { fault: _fault, ...rest } = row;
        const good: StoredRow = { ...rest, check: 'ok', kind: 'purged' };
        await patchRow(tx, conversation, good);
        proven.push(good);
      }
    }
    const bare: Unproven[] = [];
    for (const { seq, slot, ctr, envelope, check } of opened.rows) {
      if (envelope || check !== 'ok') continue;
      if (!await tx.get('kv', deletedKey(conversation, { slot, ctr }))) bare.push({ seq, slot, ctr });
    }
    if (bare.length === 0 && removed.length === 0) return proven;
    const before = ((await tx.get('kv', unprovenKey(conversation))) as readonly Unproven[] | undefined) ?? [];
    if (before.length === 0 && bare.length === 0) return proven;
    const explained = new Set(removed.map(entryKey));
    const known = new Set(before.map(entryKey));
    const waiting = [...before, ...bare.filter((entry) => !known.has(entryKey(entry)))].filter((entry) => !explained.has(entryKey(entry)));
    await putUnproven(tx, conversation, waiting);
    return proven;
  }

  async function putUnproven(tx: WriteTx, conversation: ConversationId, waiting: readonly Unproven[]): Promise<void> {
    if (waiting.length > 0) await tx.put('kv', unprovenKey(conversation), waiting.slice(0, unprovenMax));
    else await tx.delete('kv', unprovenKey(conversation));
  }

  /**
   * A delete that whoever removed its author had not seen: it counts for nobody, yet the server, which could
   * not know, did as it said. Only a member's key seals one.
   */
  async function targetsOfCutOff(tx: WriteTx, conversation: ConversationId, above: number): Promise<ReadonlySet<number>> {
    const targets = new Set<number>();
    for (const { envelope, fault } of await readRows(tx, conversation, above, Infinity)) {
      const parsed = fault === 'beyond-cut' && envelope ? parseEnvelope(envelope) : undefined;
      if (parsed?.ok && parsed.value.purge) targets.add(entryKey(parsed.value.purge));
    }
    return targets;
  }

  async function judgeRemovals(conversation: ConversationId): Promise<boolean> {
    const { marked, waits } = await database.write([...rowStores, 'kv'], async (tx) => {
      const unproven = ((await tx.get('kv', unprovenKey(conversation))) as readonly Unproven[] | undefined) ?? [];
      if (unproven.length === 0) return { marked: [], waits: false };
      const pending = (await tx.get('kv', pendingKey(conversation))) as PendingSpan | undefined;
      // The delete may be among what cannot be opened yet.
      const isEarly = ({ seq }: Unproven) => pending !== undefined && pending.to > seq;
      const due = unproven.filter((one) => !isEarly(one));
      const cutOff = due.length > 0 ? await targetsOfCutOff(tx, conversation, Math.min(...due.map(({ seq }) => seq))) : new Set<number>();
      const bad: StoredRow[] = [];
      for (const entry of due) {
        const row = await readRow(tx, conversation, entry.seq);
        if (!row || row.envelope || entryKey(row) !== entryKey(entry)) continue; // cut away, or it came again
        if (cutOff.has(entryKey(entry))) continue;
        const { kind: _kind, ...rest } = row;
        const refused: StoredRow = { ...rest, check: 'bad', fault: 'unproven-removal' };
        await patchRow(tx, conversation, refused);
        bad.push(refused);
      }
      const early = unproven.filter(isEarly);
      await putUnproven(tx, conversation, early);
      return { marked: bad, waits: early.length > 0 };
    });
    if (marked.length > 0) {
      deps.checked(conversation, { rows: marked, entries: [], alarms: marked.map(({ slot, ctr }) => ({ slot, ctr, fault: 'unproven-removal' })), from: 'again' });
    }
    return waits;
  }

  function settleChains(conversation: ConversationId, opened: OpenedMany): void {
    void chainsOf(conversation).then((held) => {
      for (const chain of opened.chains) held.set(chain.slot, chain);
    });
  }

  /**
   * Rows that were opened and are being stored. What rechecks the chat waits for them, else it could
   * write back a chain older than the one they are about to store.
   */
  const flying = new Map<ConversationId, { readonly landed: Promise<void>; readonly land: () => void }>();

  async function ingest(conversation: ConversationId, rows: readonly Row[], from: 'live' | 'older'): Promise<Ingested> {
    // A recheck under way ends first; sync gives one batch of a chat at a time.
    await rechecking.get(conversation);
    flying.get(conversation)?.land();
    let land = () => {};
    const landed = new Promise<void>((done) => {
      land = done;
    });
    flying.set(conversation, { landed, land });
    const fromStart = from === 'live' ? (rows[0]?.seq === 1 || await holdsStart(conversation)) : false;
    const opened = await open(conversation, rows, from === 'live' ? 'newer' : 'older', false, fromStart);
    const stored = opened.rows as readonly StoredRow[];
    const removed = await removals(conversation, opened);
    const said = from === 'live' ? await saidBefore(conversation, rows, opened.entries) : [];
    let proven: readonly StoredRow[] = [];
    return {
      stored,
      said,
      stores: ['chains', 'kv', ...rowStores],
      async write(tx) {
        proven = await keep(tx, conversation, opened, removed);
      },
      after() {
        settleChains(conversation, opened);
        flying.delete(conversation);
        land();
        deps.checked(conversation, { rows: [...stored, ...proven], entries: opened.entries, alarms: opened.alarms, from });
        if (opened.needs.length > 0) void inBackground(conversation, () => fulfil(conversation, opened.needs));
      },
    };
  }

  /** Own entries that still wait here and stand in the log already: this profile was brought back from before it sent them. */
  async function saidBefore(conversation: ConversationId, rows: readonly Row[], entries: readonly OpenedEntry[]): Promise<NonNullable<Ingested['said']>> {
    const own = entries.filter((entry) => entry.account === me);
    const bytes = new Map(rows.map((row) => [row.seq, row.envelope]));
    if (own.length === 0) return [];
    const waiting = await database.read(['conversations', 'outbox'], async (tx) => {
      const slot = (await tx.get('conversations', conversation))?.slot;
      const found: [OpenedEntry, StoredOutbox][] = [];
      for (const entry of own) {
        const record = entry.slot === slot ? await tx.get('outbox', [conversation, entry.ctr]) : undefined;
        const isSent = record?.envelope !== undefined && equalBytes(record.envelope, bytes.get(entry.seq) ?? record.envelope);
        if (record && !isSent && record.sealedEvent.length > 0) found.push([entry, record]);
      }
      return found;
    });
    const said: { seq: number; ctr: number; sealedEvent: Bytes }[] = [];
    for (const [{ seq, slot, ctr, rt, event }, record] of waiting) {
      const kept = await readEvent(deps.sealer, record);
      if (kept.ok && isSaid(kept.value, event, slot, rt)) said.push({ seq, ctr, sealedEvent: record.sealedEvent });
    }
    return said;
  }

  /** What verified deletes take away: by the author of the target, or by an admin at the height the delete names. */
  async function removals(conversation: ConversationId, opened: OpenedMany): Promise<readonly EntryId[]> {
    const deletes = opened.entries.filter((entry) => entry.event.kind === 'delete');
    if (deletes.length === 0) return [];
    const group = await groups.state(conversation);
    const owners = new Map([...await chainsOf(conversation), ...opened.chains.map((chain) => [chain.slot, chain] as const)]);
    return deletes.flatMap(({ event, account, logHeight }) => {
      if (event.kind !== 'delete') return [];
      const own = owners.get(event.target.slot)?.account === account;
      return own || (group && isAdmin(roleAt(group, account, logHeight))) ? [event.target] : [];
    });
  }

  async function holdsStart(conversation: ConversationId): Promise<boolean> {
    const record = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
    return record?.low === 1;
  }

  async function fulfil(conversation: ConversationId, needs: readonly Need[]): Promise<void> {
    let fetched = true;
    if (needs.some((need) => need.type !== 'account')) fetched = (await groups.sync(conversation)).ok;
    for (const need of needs) {
      if (need.type !== 'account') continue;
      const state = await accounts.refresh(need.account, need.height);
      if (!state || state.height < need.height) fetched = fetched && state !== undefined;
    }
    await recheckNow(conversation, fetched);
  }

  const rechecking = new Map<ConversationId, Promise<void>>();
  async function recheckNow(conversation: ConversationId, settled: boolean): Promise<void> {
    for (let batch = flying.get(conversation); batch; batch = flying.get(conversation)) await batch.landed;
    const work = recheckPending(conversation, settled);
    const quiet = work.then(ended, ended); // the caller has the failure; who waits only wants its end
    rechecking.set(conversation, quiet);
    try {
      await work;
    } finally {
      if (rechecking.get(conversation) === quiet) rechecking.delete(conversation);
    }
  }

  async function recheckPending(conversation: ConversationId, settled: boolean): Promise<void> {
    const span = await database.read(['kv'], (tx) => tx.get('kv', pendingKey(conversation))) as PendingSpan | undefined;
    if (!span) return;
    const rows = await database.read(rowStores, (tx) => readRows(tx, conversation, span.from, span.to));
    const opened = await open(conversation, rows, 'again', settled, false);
    const changed = opened.rows.filter((row, i) => row.check !== rows[i]!.check) as readonly StoredRow[];
    const waiting = opened.rows.filter((row) => row.check === 'pending').map((row) => row.seq);
    const removed = await removals(conversation, opened);
    const proven = await database.write([...rowStores, 'chains', 'kv'], async (tx) => {
      for (const row of changed) await patchRow(tx, conversation, row);
      const good = await prove(tx, conversation, { ...opened, rows: [] }, removed);
      for (const chain of opened.chains) await tx.put('chains', [conversation, chain.slot], chain);
      if (waiting.length > 0) await tx.put('kv', pendingKey(conversation), { from: Math.min(...waiting), to: Math.max(...waiting) });
      else await tx.delete('kv', pendingKey(conversation));
      return good;
    });
    settleChains(conversation, opened);
    if (changed.length === 0 && proven.length === 0) return;
    const names = new Set(changed.map(entryKey));
    deps.checked(conversation, { rows: [...changed, ...proven], entries: opened.entries.filter((entry) => names.has(entryKey(entry))), alarms: opened.alarms, from: 'again' });
  }

  /** One piece of background work per chat at a time. */
  function inBackground(conversation: ConversationId, work: () => Promise<void>): Promise<void> {
    const next = (running.get(conversation) ?? Promise.resolve()).then(work).catch(deps.failed);
    running.set(conversation, next);
    void next.then(() => {
      if (running.get(conversation) === next) running.delete(conversation);
    });
    return next;
  }

  async function openHeld(conversation: ConversationId, rows: readonly StoredRow[]): ReturnType<Verifier['openHeld']> {
    const good = rows.filter((row) => row.check === 'ok' && row.envelope);
    if (good.length === 0) return { entries: [], damaged: [] };
    const opened = await open(conversation, good, 'again', false, false);
    return { entries: opened.entries, damaged: (opened.rows as readonly StoredRow[]).filter((row) => row.check === 'bad') };
  }

  return {
    ingest,
    open: async (conversation, rows) => (await openHeld(conversation, rows)).entries,
    openHeld,
    recheck: (conversation, settled) => inBackground(conversation, () => recheckNow(conversation, settled)),
    judgeRemovals,
    slotOwner: async (conversation, slot) => (await chainsOf(conversation)).get(slot),
    slotOwners: chainsOf,
    forget(conversation) {
      chains.delete(conversation);
      times.delete(conversation);
    },
    async idle() {
      // Sync is idle by now: a batch that still flies was given up with its transaction.
      for (const { land } of flying.values()) land();
      flying.clear();
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}

function ended(): void {}

/** Whether a sealed event is the one that waited; a stamp that ran ahead was bounded when it was sealed. */
function isSaid(waiting: Event, sealed: Event, slot: number, rt: number): boolean {
  const isStamp = waiting.t === sealed.t || (waiting.t > sealed.t && sealed.t > rt);
  if (!isStamp || waiting.kind !== sealed.kind) return false;
  const asSealed = { ...resolveOwnTargets(waiting, slot), t: sealed.t, ...(sealed.kind === 'delete' && { targetChain: sealed.targetChain }) } as Event;
  return equalBytes(encodeWaitingEvent(asSealed), encodeWaitingEvent(sealed));
}
