/**
 * The store in plain Maps, for tests and for the deterministic simulation. Everything happens inside
 * the call: a resolved promise says it is done, and nothing waits for a timer.
 *
 * Records are replaced, never changed in place, so `snapshot` is a copy of the maps.
 */
import { sha256 } from '#lib/crypto/primitives.ts';
import type { AccountId, ConversationId, DeviceId, Handle, Lineage } from '#lib/protocol/ids.ts';
import { bytesToId, entryKey } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Role } from '#lib/chains/group-state.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok } from '#lib/std/result.ts';
import type { AccountRow, GroupEntryRow, MarkRow, SessionRow, Store, UekWrapRow } from './port.ts';
import { judgeAppend, newConversation, placeEntry, placeGroupEntry, receiptTime, slotMax, slotSkip, slotsPerDeviceMax, type ConversationPlace, type SlotPlace } from './rules.ts';
import { StoreFault } from './fault.ts';
import { storeCalls, type SyncStore } from './sync-port.ts';

interface StoredRow extends Row {
  /** Of the envelope a purge removed. */
  readonly hash: Bytes | undefined;
  readonly requestSeq: number | undefined;
}

interface Conversation {
  place: ConversationPlace;
  /** rows[seq - 1] */
  rows: StoredRow[];
  seqs: Map<number, number>;
  slots: Map<number, SlotPlace>;
  segments: { readonly firstSeq: number; readonly generation: number }[];
  marks: Map<number, MarkRow>;
  lastMarkRt: number;
  log: GroupEntryRow[];
  members: Map<AccountId, Role>;
  wraps: Map<AccountId, { readonly epoch: number; readonly height: number; readonly uekGen: number; readonly wrap: Bytes }>;
}

interface Account {
  row: AccountRow;
  entries: Bytes[];
  uekWraps: Map<string, UekWrapRow>;
  vault: { readonly version: number; readonly vault: Bytes };
  profile: { readonly version: number; readonly sealed: Bytes } | undefined;
}

interface State {
  lineage: Lineage;
  slotBase: number;
  conversations: Map<ConversationId, Conversation>;
  conversationsOf: Map<AccountId, Set<ConversationId>>;
  membership: Map<AccountId, number>;
  accounts: Map<AccountId, Account>;
  handles: Map<Handle, AccountId>;
  sessions: Map<string, SessionRow>;
}

declare const snapshotBrand: unique symbol;
/** Everything the store held at one moment. */
export type MemorySnapshot = { readonly [snapshotBrand]: true };

export interface MemoryStore extends Store {
  /** The same promises, answered at once. */
  readonly sync: SyncStore;
  readonly snapshot: () => MemorySnapshot;
  readonly restore: (snapshot: MemorySnapshot) => void;
}

export function createMemoryStore(random: Pick<Random, 'bytes'>): MemoryStore {
  let state: State = {
    lineage: bytesToId(random.bytes(16)), slotBase: 0, conversations: new Map(), conversationsOf: new Map(), membership: new Map(),
    accounts: new Map(), handles: new Map(), sessions: new Map(),
  };
  let isClosed = false;

  function allotSlot(here: Conversation, account: AccountId, device: DeviceId) {
    const slot = here.place.nextSlot;
    const used = [...here.slots.values()].filter((other) => other.account === account && other.device === device).length;
    if (used >= slotsPerDeviceMax || slot > slotMax) return undefined;
    here.slots.set(slot, { slot, account, device, live: true, nextCtr: 0, seg: 0, nextClock: 0 });
    here.place = { ...here.place, nextSlot: slot + 1 };
    return { slot, nextCtr: 0 };
  }

  function liveSlot(here: Conversation, account: AccountId, device: DeviceId): SlotPlace | undefined {
    for (const slot of here.slots.values()) if (slot.live && slot.account === account && slot.device === device) return slot;
    return undefined;
  }

  const sync: SyncStore = {
    lineage: () => state.lineage,
    renewLineage() {
      state.lineage = bytesToId(random.bytes(16));
      state.slotBase += slotSkip;
      for (const here of state.conversations.values()) here.place = { ...here.place, nextSlot: here.place.nextSlot + slotSkip };
      return state.lineage;
    },

    append(input) {
      const here = state.conversations.get(input.conversation);
      const rowOf = (slot: number, ctr: number) => {
        const seq = here?.seqs.get(entryKey({ slot, ctr }));
        return seq === undefined ? undefined : here?.rows[seq - 1];
      };
      const judged = judgeAppend(input, {
        place: here?.place,
        role: here?.members.get(input.account),
        slot: here?.slots.get(input.slot),
        isSame(ctr, bytes) {
          const stored = rowOf(input.slot, ctr)!;
          return stored.envelope ? equalBytes(stored.envelope, bytes) : equalBytes(stored.hash!, sha256(bytes));
        },
        ownerOf: (slot, ctr) => (rowOf(slot, ctr) ? here?.slots.get(slot)?.account : undefined),
      });
      if (!judged.ok) return judged;
      const conversation = here!;
      let { place, slot } = judged.value;
      const rt = receiptTime(place, input.now);
      const firstNew = conversation.rows.length;
      const purged: { seq: number; slot: number; ctr: number; requestSeq: number }[] = [];
      for (const { bytes, purge } of input.envelopes.slice(judged.value.known)) {
        const placed = placeEntry(place, slot, bytes.length);
        ({ place, slot } = placed);
        const { at } = placed;
        if (placed.rolled || at.seq === 1) conversation.segments[at.seg] = { firstSeq: at.seq, generation: 0 };
        conversation.rows.push({ ...at, slot: slot.slot, rt, envelope: bytes, hash: undefined, requestSeq: undefined });
        conversation.seqs.set(entryKey({ slot: slot.slot, ctr: at.ctr }), at.seq);
        const target = purge && rowOf(purge.slot, purge.ctr);
        if (target?.envelope) {
          conversation.rows[target.seq - 1] = { ...target, envelope: undefined, hash: sha256(target.envelope), requestSeq: at.seq };
          const segment = conversation.segments[target.seg]!;
          conversation.segments[target.seg] = { ...segment, generation: segment.generation + 1 };
          purged.push({ seq: target.seq, slot: target.slot, ctr: target.ctr, requestSeq: at.seq });
        }
      }
      if (conversation.rows.length > firstNew) {
        conversation.place = { ...place, lastRt: rt };
        conversation.slots.set(slot.slot, slot);
      }
      const rows = conversation.rows.slice(firstNew).map(toRow);
      const firstSeq = conversation.seqs.get(entryKey({ slot: input.slot, ctr: input.ctr0 }))!;
      return ok({ rows, nextCtr: slot.nextCtr, firstSeq, rt: rows.length > 0 ? rt : conversation.rows[firstSeq - 1]!.rt, purged });
    },

    rowsAfter(id, after, count, maxBytes) {
      return takeRows(state.conversations.get(id)?.rows ?? [], after, 1, count, maxBytes);
    },
    rowsBefore(id, before, count, maxBytes) {
      const rows = state.conversations.get(id)?.rows ?? [];
      return takeRows(rows, Math.min(before - 2, rows.length - 1), -1, count, maxBytes).reverse();
    },
    segment(id, seg) {
      const here = state.conversations.get(id);
      const found = here?.segments[seg];
      if (!here || !found) return undefined;
      const next = here.segments[seg + 1];
      return { rows: here.rows.slice(found.firstSeq - 1, next ? next.firstSeq - 1 : undefined).map(toRow), generation: found.generation, sealed: next !== undefined };
    },
    purgedIn(id, fromSeq, toSeq) {
      const rows = state.conversations.get(id)?.rows.slice(Math.max(0, fromSeq - 1), Math.max(0, toSeq)) ?? [];
      return rows.filter((row) => !row.envelope).map((row) => ({ seq: row.seq, slot: row.slot, ctr: row.ctr, requestSeq: row.requestSeq! }));
    },
    heads(ids) {
      return ids.flatMap((conversation) => {
        const place = state.conversations.get(conversation)?.place;
        return place ? [{ conversation, head: place.head, openSeg: place.openSeg, logHeight: place.logHeight }] : [];
      });
    },

    slotOf(id, account, device) {
      const here = state.conversations.get(id);
      if (!here?.members.has(account)) return undefined;
      const live = liveSlot(here, account, device);
      return live ? { slot: live.slot, nextCtr: live.nextCtr } : allotSlot(here, account, device);
    },
    replaceSlot(id, account, device, from) {
      const here = state.conversations.get(id);
      if (!here?.members.has(account)) return undefined;
      const live = liveSlot(here, account, device);
      if (live && live.slot !== from) return { slot: live.slot, nextCtr: live.nextCtr };
      if (live) here.slots.set(live.slot, { ...live, live: false });
      return allotSlot(here, account, device);
    },

    putMark(id, mark) {
      const here = state.conversations.get(id);
      const before = here?.marks.get(mark.slot);
      if (!here || (before && before.markCtr >= mark.markCtr)) return false;
      here.lastMarkRt = Math.max(mark.rt, here.lastMarkRt + 1);
      here.marks.set(mark.slot, { ...mark, rt: here.lastMarkRt });
      return true;
    },
    marksSince(id, rt) {
      const marks = [...(state.conversations.get(id)?.marks.values() ?? [])];
      return marks.filter((mark) => mark.rt > rt).sort((a, b) => a.rt - b.rt);
    },

    appendGroupEntry(input) {
      const found = state.conversations.get(input.conversation);
      const height = found?.place.logHeight ?? 0;
      if (input.height !== height + 1) return err({ height });
      const here = found ?? emptyConversation(state.slotBase);
      state.conversations.set(input.conversation, here);
      here.place = placeGroupEntry(here.place, input);
      here.log.push({ height: input.height, entry: input.entry, rt: here.place.lastRt });
      const members = new Map(input.members.map(({ account, role }) => [account, role]));
      const joined = [...members.keys()].filter((account) => !here.members.has(account));
      const left = [...here.members.keys()].filter((account) => !members.has(account));
      here.members = members;
      for (const [number, slot] of here.slots) if (slot.live && left.includes(slot.account)) here.slots.set(number, { ...slot, live: false });
      for (const account of left) here.wraps.delete(account);
      for (const account of [...joined, ...left]) {
        state.membership.set(account, (state.membership.get(account) ?? 0) + 1);
        const theirs = state.conversationsOf.get(account) ?? new Set();
        state.conversationsOf.set(account, theirs);
        if (members.has(account)) theirs.add(input.conversation);
        else theirs.delete(input.conversation);
      }
      for (const { account, uekGen, wrap } of input.wraps) here.wraps.set(account, { epoch: input.epoch, height: input.height, uekGen, wrap });
      return ok({ height: input.height, rt: here.place.lastRt, joined, left });
    },
    groupLog: (id, from, count) => state.conversations.get(id)?.log.slice(Math.max(0, from - 1), Math.max(0, from - 1) + count) ?? [],
    newestWrap: (id, account) => state.conversations.get(id)?.wraps.get(account),
    members: (id) => [...(state.conversations.get(id)?.members ?? [])].map(([account, role]) => ({ account, role })).sort((a, b) => (a.account < b.account ? -1 : 1)),
    roleOf: (id, account) => state.conversations.get(id)?.members.get(account),
    membershipVersions: (accounts) => accounts.flatMap((account) => {
      const membershipVersion = state.membership.get(account);
      return membershipVersion === undefined ? [] : [{ account, membershipVersion }];
    }),
    crowded: (accounts, max) => accounts.filter((account) => (state.conversationsOf.get(account)?.size ?? 0) >= max),
    conversationsOf(account) {
      const mine = state.conversationsOf.get(account) ?? [];
      return {
        membershipVersion: state.membership.get(account) ?? 0,
        conversations: [...mine].map((conversation) => ({ conversation, logHeight: state.conversations.get(conversation)!.place.logHeight })),
      };
    },

    createAccount(input) {
      if (state.handles.has(input.handle)) return err('handle-taken');
      if (state.accounts.has(input.account)) return err('account-exists');
      const { account, handle, registrationRecord, recoveryProofHash } = input;
      state.handles.set(handle, account);
      const created: Account = {
        row: { account, handle, registrationRecord, recoveryProofHash, logHeight: 0 }, entries: [input.genesis], uekWraps: new Map(),
        vault: { version: 1, vault: input.vault }, profile: undefined,
      };
      state.accounts.set(account, created);
      putWraps(created, input.uekWraps);
      return ok(undefined);
    },
    accountByHandle(handle) {
      const account = state.handles.get(handle);
      return account && state.accounts.get(account)?.row;
    },
    accountById: (account) => state.accounts.get(account)?.row,
    changePassword(account, registrationRecord, version, vault) {
      const put = sync.putVault(account, version, vault);
      const here = state.accounts.get(account);
      if (put.ok && here) here.row = { ...here.row, registrationRecord };
      return put;
    },
    appendAccountEntries(account, height, entries, uekWraps) {
      const here = state.accounts.get(account);
      if (!here || height !== here.row.logHeight + 1) return err({ height: here?.row.logHeight ?? 0 });
      here.entries.push(...entries);
      here.row = { ...here.row, logHeight: height + entries.length - 1 };
      putWraps(here, uekWraps);
      return ok(undefined);
    },
    accountLog: (account, from) => state.accounts.get(account)?.entries.slice(from) ?? [],
    uekWraps: (account, device) => [...(state.accounts.get(account)?.uekWraps.values() ?? [])].filter((wrap) => wrap.device === device).sort((a, b) => a.gen - b.gen),

    vault: (account) => state.accounts.get(account)?.vault,
    putVault(account, version, vault) {
      const here = state.accounts.get(account);
      if (here?.vault.version !== version - 1) return err({ version: here?.vault.version ?? 0 });
      here.vault = { version, vault };
      return ok(undefined);
    },
    profile: (account) => state.accounts.get(account)?.profile,
    putProfile(account, version, sealed) {
      const here = state.accounts.get(account);
      if (!here || (here.profile && here.profile.version >= version)) return false;
      here.profile = { version, sealed };
      return true;
    },
    companions(account, count) {
      const found = new Set<AccountId>();
      for (const conversation of state.conversationsOf.get(account) ?? []) for (const other of state.conversations.get(conversation)!.members.keys()) found.add(other);
      found.delete(account);
      return [...found].slice(0, count);
    },

    putSession: (session) => void state.sessions.set(session.idHash, session),
    session: (idHash) => state.sessions.get(idHash),
    sessionsOf: (account) => [...state.sessions.values()].filter((session) => session.account === account).sort((a, b) => a.createdAt - b.createdAt || (a.idHash < b.idHash ? -1 : 1)),
    bindSession: (idHash, device) => replaceSession(idHash, { device }),
    extendSession: (idHash, expiresAt) => replaceSession(idHash, { expiresAt }),
    deleteSession: (idHash) => void state.sessions.delete(idHash),
    deleteSessionsOf: (account) => void deleteSessions((session) => session.account === account),
    deleteExpiredSessions: (now) => deleteSessions((session) => session.expiresAt <= now),
  };

  function replaceSession(idHash: string, change: Partial<SessionRow>): void {
    const found = state.sessions.get(idHash);
    if (found) state.sessions.set(idHash, { ...found, ...change });
  }

  function deleteSessions(isGone: (session: SessionRow) => boolean): number {
    const gone = [...state.sessions.values()].filter(isGone);
    for (const session of gone) state.sessions.delete(session.idHash);
    return gone.length;
  }

  const calls = Object.fromEntries(storeCalls.map((call) => [call, async (...args: readonly unknown[]) => {
    if (isClosed) throw new StoreFault('closed', 'the store is closed');
    return (sync[call] as (...args: readonly unknown[]) => unknown)(...args);
  }])) as unknown as Omit<Store, 'close'>;

  return {
    ...calls,
    sync,
    snapshot: () => copyState(state) as unknown as MemorySnapshot,
    restore(snapshot) {
      state = copyState(snapshot as unknown as State);
    },
    async close() {
      isClosed = true;
    },
  };
}

function emptyConversation(slotBase: number): Conversation {
  return { place: newConversation(slotBase), rows: [], seqs: new Map(), slots: new Map(), segments: [], marks: new Map(), lastMarkRt: 0, log: [], members: new Map(), wraps: new Map() };
}

function putWraps(here: Account, wraps: readonly UekWrapRow[]): void {
  for (const wrap of wraps) here.uekWraps.set(`${wrap.device} ${wrap.gen}`, wrap);
}

function toRow({ seq, seg, slot, clock, ctr, rt, envelope }: StoredRow): Row {
  return { seq, seg, slot, clock, ctr, rt, envelope };
}

function takeRows(rows: readonly StoredRow[], from: number, step: 1 | -1, count: number, maxBytes: number): Row[] {
  const out: Row[] = [];
  let size = 0;
  for (let i = Math.max(from, step === 1 ? 0 : -1); i >= 0 && i < rows.length && out.length < count; i += step) {
    size += rows[i]!.envelope?.length ?? 0;
    if (out.length > 0 && size > maxBytes) break;
    out.push(toRow(rows[i]!));
  }
  return out;
}

function copyState(state: State): State {
  const copyMap = <K, V>(map: Map<K, V>, copy: (value: V) => V) => new Map([...map].map(([key, value]) => [key, copy(value)] as const));
  return {
    ...state,
    conversations: copyMap(state.conversations, (here) => ({
      ...here, rows: [...here.rows], seqs: new Map(here.seqs), slots: new Map(here.slots), segments: [...here.segments], marks: new Map(here.marks),
      log: [...here.log], members: new Map(here.members), wraps: new Map(here.wraps),
    })),
    conversationsOf: copyMap(state.conversationsOf, (ids) => new Set(ids)),
    membership: new Map(state.membership),
    accounts: copyMap(state.accounts, (here) => ({ ...here, entries: [...here.entries], uekWraps: new Map(here.uekWraps) })),
    handles: new Map(state.handles),
    sessions: new Map(state.sessions),
  };
}
