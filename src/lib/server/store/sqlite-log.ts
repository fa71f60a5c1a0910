/**
 * The log half of the SQLite store, as statements. Each function runs inside the transaction its
 * caller opened; what it decides comes from `rules.ts`, the same for every adapter.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { sha256 } from '#lib/crypto/primitives.ts';
import type { AccountId, ConversationId, DeviceId, Lineage } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Role } from '#lib/chains/group-state.ts';
import { assert } from '#lib/std/assert.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok } from '#lib/std/result.ts';
import type { LogStore } from './port.ts';
import { judgeAppend, newConversation, placeEntry, placeGroupEntry, receiptTime, slotMax, slotSkip, slotsPerDeviceMax, type ConversationPlace, type SlotPlace } from './rules.ts';
import { newLineage } from './sqlite-schema.ts';
import type { SyncStore } from './sync-port.ts';

interface ConversationRecord extends ConversationPlace {
  readonly cid: number;
}

type RawRow = Omit<Row, 'envelope'> & { readonly envelope: Bytes | null };

const rowColumns = 'k & 4294967295 AS seq, seg, slot, clock, ctr, rt, envelope';
const afterK = '((? << 32) | ?)';

export function sqliteLog(db: DatabaseSync, random: Pick<Random, 'bytes'>): Pick<SyncStore, keyof LogStore> {
  const sql = statements(db);

  function conversation(id: ConversationId): ConversationRecord | undefined {
    const found = sql.conversation.get(id) as (Omit<ConversationRecord, 'rotationDue'> & { readonly rotationDue: number }) | undefined;
    return found && { ...found, rotationDue: found.rotationDue === 1 };
  }

  function savePlace(cid: number, place: ConversationPlace): void {
    sql.savePlace.run(place.head, place.openSeg, place.openCount, place.openBytes, place.nextSlot, place.lastRt, place.logHeight, place.epoch,
      place.graceUntil, place.rotationDue ? 1 : 0, cid);
  }

  function roleOf(cid: number, account: AccountId): Role | undefined {
    return (sql.role.get(account, cid) as { role: Role } | undefined)?.role;
  }

  function liveSlot(cid: number, account: AccountId, device: DeviceId): SlotPlace | undefined {
    return toSlot(sql.liveSlot.get(cid, account, device));
  }

  function allotSlot(here: ConversationRecord, account: AccountId, device: DeviceId): { slot: number; nextCtr: number } | undefined {
    const { used } = sql.slotsOfDevice.get(here.cid, account, device) as { used: number };
    if (used >= slotsPerDeviceMax || here.nextSlot > slotMax) return undefined;
    sql.insertSlot.run(here.cid, here.nextSlot, account, device);
    savePlace(here.cid, { ...here, nextSlot: here.nextSlot + 1 });
    return { slot: here.nextSlot, nextCtr: 0 };
  }

  /** Reads rows one by one until a bound: a page of 16 KiB envelopes is never loaded for nothing. */
  function readRows(query: StatementSync, args: readonly SQLInputValue[], maxBytes: number): Row[] {
    const rows: Row[] = [];
    let size = 0;
    for (const raw of query.iterate(...args) as IterableIterator<unknown>) {
      const row = toRow(raw as RawRow);
      size += row.envelope?.length ?? 0;
      if (rows.length > 0 && size > maxBytes) break;
      rows.push(row);
    }
    return rows;
  }

  return {
    lineage: () => (sql.meta.get() as { lineage: Lineage }).lineage,

    renewLineage() {
      const lineage = newLineage(random);
      sql.renew.run(lineage, slotSkip);
      sql.skipSlots.run(slotSkip);
      return lineage;
    },

    append(input) {
      const here = conversation(input.conversation);
      const cid = here?.cid ?? 0;
      const judged = judgeAppend(input, {
        place: here,
        role: here && roleOf(cid, input.account),
        slot: here && toSlot(sql.slot.get(cid, input.slot)),
        isSame(ctr, bytes) {
          const stored = sql.entryById.get(cid, cid, input.slot, ctr) as { envelope: Bytes | null; hash: Bytes | null } | undefined;
          assert(stored, 'every ctr below next_ctr has its entry');
          return stored.envelope ? equalBytes(stored.envelope, bytes) : equalBytes(stored.hash!, sha256(bytes));
        },
        ownerOf: (slot, ctr) => (sql.ownerOf.get(cid, slot, ctr) as { account: AccountId } | undefined)?.account,
      });
      if (!judged.ok) return judged;

      let { place, slot } = judged.value;
      const rt = receiptTime(place, input.now);
      const rows: Row[] = [];
      const purged: { seq: number; slot: number; ctr: number; requestSeq: number }[] = [];
      for (const { bytes, purge } of input.envelopes.slice(judged.value.known)) {
        const placed = placeEntry(place, slot, bytes.length);
        const { at } = placed;
        ({ place, slot } = placed);
        if (placed.rolled || at.seq === 1) sql.insertSegment.run(cid, at.seg, at.seq);
        sql.insertEntry.run(cid, at.seq, at.seg, slot.slot, at.clock, at.ctr, rt, bytes);
        sql.insertId.run(cid, slot.slot, at.ctr, at.seq);
        rows.push({ ...at, slot: slot.slot, rt, envelope: bytes });
        if (purge) {
          const removed = purgeEntry(cid, purge.slot, purge.ctr, at.seq);
          if (removed !== undefined) purged.push({ seq: removed, slot: purge.slot, ctr: purge.ctr, requestSeq: at.seq });
        }
      }
      if (rows.length > 0) {
        savePlace(cid, { ...place, lastRt: rt });
        sql.saveSlot.run(slot.nextCtr, slot.seg, slot.nextClock, cid, slot.slot);
      }
      // An entry may be purged by a later one of the same request: its row is answered as it is now.
      const gone = new Set(purged.map((entry) => entry.seq));
      const answered = rows.map((row) => (gone.has(row.seq) ? { ...row, envelope: undefined } : row));
      const first = rows.length === input.envelopes.length ? rows[0] : undefined;
      const firstSeq = first?.seq ?? (sql.seqOf.get(cid, input.slot, input.ctr0) as { seq: number }).seq;
      return ok({ rows: answered, nextCtr: slot.nextCtr, firstSeq, rt: rows.length > 0 ? rt : rowTime(cid, firstSeq), purged });
    },

    rowsAfter(id, after, count, maxBytes) {
      const here = conversation(id);
      return here ? readRows(sql.rowsAfter, [here.cid, after, here.cid + 1, count], maxBytes) : [];
    },

    rowsBefore(id, before, count, maxBytes) {
      const here = conversation(id);
      return here ? readRows(sql.rowsBefore, [here.cid, here.cid, before, count], maxBytes).reverse() : [];
    },

    segment(id, seg) {
      const here = conversation(id);
      const found = here && (sql.segment.get(here.cid, seg) as { firstSeq: number; generation: number } | undefined);
      if (!here || !found) return undefined;
      const next = sql.segment.get(here.cid, seg + 1) as { firstSeq: number } | undefined;
      const count = (next ? next.firstSeq : here.head + 1) - found.firstSeq;
      return { rows: readRows(sql.rowsAfter, [here.cid, found.firstSeq - 1, here.cid + 1, count], Infinity), generation: found.generation, sealed: next !== undefined };
    },

    purgedIn(id, fromSeq, toSeq) {
      const here = conversation(id);
      return here ? (sql.purgedIn.all(here.cid, fromSeq, here.cid, toSeq) as { seq: number; slot: number; ctr: number; requestSeq: number }[]).map((entry) => ({ ...entry })) : [];
    },

    heads: (ids) => (sql.heads.all(JSON.stringify(ids)) as { conversation: ConversationId; head: number; openSeg: number; logHeight: number }[]).map((head) => ({ ...head })),

    slotOf(id, account, device) {
      const here = conversation(id);
      if (!here || !roleOf(here.cid, account)) return undefined;
      const live = liveSlot(here.cid, account, device);
      return live ? { slot: live.slot, nextCtr: live.nextCtr } : allotSlot(here, account, device);
    },

    replaceSlot(id, account, device, from) {
      const here = conversation(id);
      if (!here || !roleOf(here.cid, account)) return undefined;
      const live = liveSlot(here.cid, account, device);
      if (live && live.slot !== from) return { slot: live.slot, nextCtr: live.nextCtr };
      if (live) sql.retireSlot.run(here.cid, live.slot);
      return allotSlot(here, account, device);
    },

    putMark(id, mark) {
      const here = conversation(id);
      if (!here) return false;
      const { lastMarkRt } = sql.lastMark.get(here.cid) as { lastMarkRt: number };
      const rt = Math.max(mark.rt, lastMarkRt + 1);
      if (sql.putMark.run(here.cid, mark.slot, mark.markCtr, rt, mark.sealed).changes === 0) return false;
      sql.saveLastMark.run(rt, here.cid);
      return true;
    },

    marksSince(id, rt) {
      const here = conversation(id);
      return here ? (sql.marksSince.all(here.cid, rt) as { slot: number; markCtr: number; rt: number; sealed: Bytes }[]).map((mark) => ({ ...mark })) : [];
    },

    appendGroupEntry(input) {
      let here = conversation(input.conversation);
      if (input.height !== (here?.logHeight ?? 0) + 1) return err({ height: here?.logHeight ?? 0 });
      if (!here) {
        const place = newConversation((sql.meta.get() as { slotBase: number }).slotBase);
        sql.insertConversation.run(input.conversation, place.nextSlot);
        here = conversation(input.conversation)!;
      }
      const { cid } = here;
      const place = placeGroupEntry(here, input);
      savePlace(cid, place);
      sql.insertGroupEntry.run(cid, input.height, place.lastRt, input.entry);

      const before = new Map((sql.members.all(cid) as { account: AccountId; role: Role }[]).map(({ account, role }) => [account, role]));
      const joined: AccountId[] = [];
      for (const { account, role } of input.members) {
        if (before.get(account) !== role) sql.putMember.run(account, cid, role);
        if (!before.delete(account)) joined.push(account);
      }
      const left = [...before.keys()];
      for (const account of left) {
        sql.deleteMember.run(account, cid);
        sql.deleteWrap.run(cid, account);
        sql.retireSlots.run(cid, account); // whoever comes back starts new chains: the old ones may be cut
      }
      for (const account of [...joined, ...left]) sql.bumpMembership.run(account);
      for (const { account, uekGen, wrap } of input.wraps) sql.putWrap.run(cid, account, input.epoch, input.height, uekGen, wrap);
      return ok({ height: input.height, rt: place.lastRt, joined, left });
    },

    groupLog(id, from, count) {
      const here = conversation(id);
      return here ? (sql.groupLog.all(here.cid, from, count) as { height: number; entry: Bytes; rt: number }[]).map((row) => ({ ...row })) : [];
    },

    newestWrap(id, account) {
      const here = conversation(id);
      const found = here && (sql.newestWrap.get(here.cid, account) as { epoch: number; height: number; uekGen: number; wrap: Bytes } | undefined);
      return found && { ...found };
    },

    members(id) {
      const here = conversation(id);
      return here ? (sql.members.all(here.cid) as { account: AccountId; role: Role }[]).map((member) => ({ ...member })) : [];
    },

    roleOf(id, account) {
      const here = conversation(id);
      return here && roleOf(here.cid, account);
    },

    membershipVersions: (accounts) =>
      (sql.membershipVersions.all(JSON.stringify(accounts)) as { account: AccountId; membershipVersion: number }[]).map((row) => ({ ...row })),

    crowded: (accounts, max) => (sql.crowded.all(JSON.stringify(accounts), max) as { account: AccountId }[]).map(({ account }) => account),

    conversationsOf(account) {
      const version = sql.membership.get(account) as { version: number } | undefined;
      const conversations = sql.conversationsOf.all(account) as { conversation: ConversationId; logHeight: number }[];
      return { membershipVersion: version?.version ?? 0, conversations: conversations.map((row) => ({ ...row })) };
    },
  };

  /** Drops the ciphertext and keeps the place; the seq it had, or undefined when it was gone before. */
  function purgeEntry(cid: number, slot: number, ctr: number, requestSeq: number): number | undefined {
    const target = sql.entryById.get(cid, cid, slot, ctr) as { seq: number; seg: number; envelope: Bytes | null } | undefined;
    assert(target, 'a purge target was found when it was judged');
    if (!target.envelope) return undefined;
    sql.purgeEntry.run(requestSeq, sha256(target.envelope), cid, target.seq);
    sql.bumpGeneration.run(cid, target.seg);
    return target.seq;
  }

  function rowTime(cid: number, seq: number): number {
    return (sql.rowTime.get(cid, seq) as { rt: number }).rt;
  }
}

function toRow(raw: RawRow): Row {
  return { seq: raw.seq, seg: raw.seg, slot: raw.slot, clock: raw.clock, ctr: raw.ctr, rt: raw.rt, envelope: raw.envelope ?? undefined };
}

function toSlot(raw: unknown): SlotPlace | undefined {
  const found = raw as (Omit<SlotPlace, 'live'> & { readonly live: number }) | undefined;
  return found && { ...found, live: found.live === 1 };
}

function statements(db: DatabaseSync) {
  const slotColumns = 'slot, account, device, live, next_ctr AS nextCtr, seg, next_clock AS nextClock';
  return {
    meta: db.prepare('SELECT lineage, slot_base AS slotBase FROM store_meta'),
    renew: db.prepare('UPDATE store_meta SET lineage = ?, slot_base = slot_base + ?'),
    skipSlots: db.prepare('UPDATE conversation SET next_slot = next_slot + ?'),
    conversation: db.prepare(`SELECT cid, head, open_seg AS openSeg, open_count AS openCount, open_bytes AS openBytes, next_slot AS nextSlot, last_rt AS lastRt,
      log_height AS logHeight, epoch, grace_until AS graceUntil, rotation_due AS rotationDue FROM conversation WHERE id = ?`),
    insertConversation: db.prepare(`INSERT INTO conversation(id, head, open_seg, open_count, open_bytes, next_slot, last_rt, log_height, epoch, grace_until, rotation_due)
      VALUES(?, 0, 0, 0, 0, ?, 0, 0, 0, 0, 0)`),
    savePlace: db.prepare(`UPDATE conversation SET head = ?, open_seg = ?, open_count = ?, open_bytes = ?, next_slot = ?, last_rt = ?, log_height = ?, epoch = ?,
      grace_until = ?, rotation_due = ? WHERE cid = ?`),
    role: db.prepare('SELECT role FROM member WHERE account = ? AND cid = ?'),
    slot: db.prepare(`SELECT ${slotColumns} FROM slot WHERE cid = ? AND slot = ?`),
    liveSlot: db.prepare(`SELECT ${slotColumns} FROM slot WHERE cid = ? AND account = ? AND device = ? AND live = 1`),
    slotsOfDevice: db.prepare('SELECT count(*) AS used FROM slot WHERE cid = ? AND account = ? AND device = ?'),
    insertSlot: db.prepare('INSERT INTO slot(cid, slot, account, device, live, next_ctr, seg, next_clock) VALUES(?, ?, ?, ?, 1, 0, 0, 0)'),
    saveSlot: db.prepare('UPDATE slot SET next_ctr = ?, seg = ?, next_clock = ? WHERE cid = ? AND slot = ?'),
    retireSlot: db.prepare('UPDATE slot SET live = 0 WHERE cid = ? AND slot = ?'),
    retireSlots: db.prepare('UPDATE slot SET live = 0 WHERE cid = ? AND account = ? AND live = 1'),
    entryById: db.prepare(`SELECT i.seq AS seq, e.seg AS seg, e.hash AS hash, e.envelope AS envelope FROM entry_id i JOIN entry e ON e.k = ((? << 32) | i.seq)
      WHERE i.cid = ? AND i.slot = ? AND i.ctr = ?`),
    seqOf: db.prepare('SELECT seq FROM entry_id WHERE cid = ? AND slot = ? AND ctr = ?'),
    ownerOf: db.prepare('SELECT s.account AS account FROM entry_id i JOIN slot s ON s.cid = i.cid AND s.slot = i.slot WHERE i.cid = ? AND i.slot = ? AND i.ctr = ?'),
    rowTime: db.prepare(`SELECT rt FROM entry WHERE k = ${afterK}`),
    insertEntry: db.prepare(`INSERT INTO entry(k, seg, slot, clock, ctr, rt, envelope) VALUES(${afterK}, ?, ?, ?, ?, ?, ?)`),
    insertId: db.prepare('INSERT INTO entry_id(cid, slot, ctr, seq) VALUES(?, ?, ?, ?)'),
    insertSegment: db.prepare('INSERT INTO segment(cid, seg, first_seq, generation) VALUES(?, ?, ?, 0)'),
    segment: db.prepare('SELECT first_seq AS firstSeq, generation FROM segment WHERE cid = ? AND seg = ?'),
    bumpGeneration: db.prepare('UPDATE segment SET generation = generation + 1 WHERE cid = ? AND seg = ?'),
    purgeEntry: db.prepare(`UPDATE entry SET request_seq = ?, hash = ?, envelope = NULL WHERE k = ${afterK}`),
    rowsAfter: db.prepare(`SELECT ${rowColumns} FROM entry WHERE k > ${afterK} AND k < (? << 32) ORDER BY k LIMIT ?`),
    rowsBefore: db.prepare(`SELECT ${rowColumns} FROM entry WHERE k > (? << 32) AND k < ${afterK} ORDER BY k DESC LIMIT ?`),
    purgedIn: db.prepare(`SELECT k & 4294967295 AS seq, slot, ctr, request_seq AS requestSeq FROM entry WHERE envelope IS NULL AND k >= ${afterK} AND k <= ${afterK} ORDER BY k`),
    heads: db.prepare(`SELECT c.id AS conversation, c.head AS head, c.open_seg AS openSeg, c.log_height AS logHeight FROM json_each(?) v JOIN conversation c ON c.id = v.value`),
    lastMark: db.prepare('SELECT last_mark_rt AS lastMarkRt FROM conversation WHERE cid = ?'),
    saveLastMark: db.prepare('UPDATE conversation SET last_mark_rt = ? WHERE cid = ?'),
    putMark: db.prepare(`INSERT INTO mark(cid, slot, mark_ctr, rt, sealed) VALUES(?, ?, ?, ?, ?)
      ON CONFLICT(cid, slot) DO UPDATE SET mark_ctr = excluded.mark_ctr, rt = excluded.rt, sealed = excluded.sealed WHERE excluded.mark_ctr > mark.mark_ctr`),
    marksSince: db.prepare('SELECT slot, mark_ctr AS markCtr, rt, sealed FROM mark WHERE cid = ? AND rt > ? ORDER BY rt'),
    insertGroupEntry: db.prepare('INSERT INTO group_entry(cid, height, rt, entry) VALUES(?, ?, ?, ?)'),
    groupLog: db.prepare('SELECT height, entry, rt FROM group_entry WHERE cid = ? AND height >= ? ORDER BY height LIMIT ?'),
    members: db.prepare('SELECT account, role FROM member WHERE cid = ? ORDER BY account'),
    putMember: db.prepare('INSERT INTO member(account, cid, role) VALUES(?, ?, ?) ON CONFLICT(account, cid) DO UPDATE SET role = excluded.role'),
    deleteMember: db.prepare('DELETE FROM member WHERE account = ? AND cid = ?'),
    bumpMembership: db.prepare('INSERT INTO membership(account, version) VALUES(?, 1) ON CONFLICT(account) DO UPDATE SET version = version + 1'),
    membership: db.prepare('SELECT version FROM membership WHERE account = ?'),
    membershipVersions: db.prepare('SELECT m.account AS account, m.version AS membershipVersion FROM json_each(?) v JOIN membership m ON m.account = v.value'),
    crowded: db.prepare('SELECT v.value AS account FROM json_each(?) v WHERE (SELECT count(*) FROM member m WHERE m.account = v.value) >= ?'),
    conversationsOf: db.prepare('SELECT c.id AS conversation, c.log_height AS logHeight FROM member m JOIN conversation c ON c.cid = m.cid WHERE m.account = ? ORDER BY c.cid'),
    putWrap: db.prepare(`INSERT INTO epoch_wrap(cid, account, epoch, height, uek_gen, wrap) VALUES(?, ?, ?, ?, ?, ?)
      ON CONFLICT(cid, account) DO UPDATE SET epoch = excluded.epoch, height = excluded.height, uek_gen = excluded.uek_gen, wrap = excluded.wrap`),
    deleteWrap: db.prepare('DELETE FROM epoch_wrap WHERE cid = ? AND account = ?'),
    newestWrap: db.prepare('SELECT epoch, height, uek_gen AS uekGen, wrap FROM epoch_wrap WHERE cid = ? AND account = ?'),
  };
}
