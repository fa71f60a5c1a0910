/**
 * The promises of port.ts as one list of tests, run by each adapter's own test file.
 */
import { expect, test } from 'vitest';
import { bytesToId, idToBytes, type AccountId, type ConversationId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Role } from '#lib/chains/group-state.ts';
import { textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import type { AppendInput, Store } from './port.ts';
import { epochGraceMs, slotSkip } from './rules.ts';

export interface StoreFactory {
  readonly open: () => Promise<Store>;
}

function idOf<I extends AccountId | DeviceId | ConversationId>(kind: string, number: number): I {
  const bytes = new Uint8Array(16);
  bytes.set(textToBytes(kind).subarray(0, 8));
  new DataView(bytes.buffer).setUint32(12, number);
  return bytesToId<I>(bytes);
}

export const accountOf = (number: number): AccountId => idOf<AccountId>('account', number);
export const deviceOf = (number: number): DeviceId => idOf<DeviceId>('device', number);
export const conversationOf = (number: number): ConversationId => idOf<ConversationId>('convers', number);

const alice = accountOf(1);
const bob = accountOf(2);
const carol = accountOf(3);
const phone = deviceOf(1);
const laptop = deviceOf(2);
const bobs = deviceOf(3);
const chat = conversationOf(1);

export function envelopeOf(number: number, size = 64): Bytes {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

type Purge = { readonly slot: number; readonly ctr: number };

export async function makeChat(store: Store, members: Readonly<Record<AccountId, Role>>, conversation = chat, now = 1_000): Promise<void> {
  unwrap(await store.appendGroupEntry({
    conversation, height: 1, entry: textToBytes('create'), epoch: 1, rotationDue: false, removes: false, now, wraps: [],
    members: Object.entries(members).map(([account, role]) => ({ account: account as AccountId, role })),
  }), 'the chat is made');
}

interface Sent {
  readonly slot: number;
  readonly ctr0: number;
  readonly envelopes: readonly (Bytes | { readonly bytes: Bytes; readonly purge?: Purge; readonly epoch?: number })[];
  readonly account?: AccountId;
  readonly device?: DeviceId;
  readonly now?: number;
  readonly conversation?: ConversationId;
}

export function inputOf({ slot, ctr0, envelopes, account = alice, device = phone, now = 2_000, conversation = chat }: Sent): AppendInput {
  return {
    conversation, account, device, slot, ctr0, now,
    envelopes: envelopes.map((envelope) => (envelope instanceof Uint8Array ? { bytes: envelope, epoch: 1, purge: undefined } : { epoch: 1, purge: undefined, ...envelope })),
  };
}

const all = 1_000;

export function storeContract(name: string, { open }: StoreFactory): void {
  const contract = (title: string, body: (store: Store) => Promise<void>) =>
    test(`${title} (${name})`, async () => {
      const store = await open();
      try {
        await body(store);
      } finally {
        await store.close();
      }
    });

  async function twoPeople(store: Store): Promise<{ a: number; b: number }> {
    await makeChat(store, { [alice]: 'owner', [bob]: 'member' });
    return { a: (await store.slotOf(chat, alice, phone))!.slot, b: (await store.slotOf(chat, bob, bobs))!.slot };
  }

  contract('[SO1] entries of many devices get one gapless run of numbers, whatever arrives at once', async (store) => {
    const { a, b } = await twoPeople(store);
    const sends = [];
    for (let ctr = 0; ctr < 40; ctr++) {
      sends.push(store.append(inputOf({ slot: a, ctr0: ctr, envelopes: [envelopeOf(ctr)] })));
      sends.push(store.append(inputOf({ slot: b, ctr0: ctr, envelopes: [envelopeOf(1_000 + ctr)], account: bob, device: bobs })));
    }
    const seqs = (await Promise.all(sends)).map((sent) => unwrap(sent, 'taken').rows[0]!.seq);
    expect([...seqs].sort((x, y) => x - y)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
    const rows = await store.rowsAfter(chat, 0, all, Infinity);
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
    for (const slot of [a, b]) expect(rows.filter((row) => row.slot === slot).map((row) => row.ctr)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(await store.heads([chat, conversationOf(99)])).toEqual([{ conversation: chat, head: 80, openSeg: 0, logHeight: 1 }]);
  });

  contract('[SO2] a resend adds nothing and answers where the entries stand; a longer one adds only the rest', async (store) => {
    const { a, b } = await twoPeople(store);
    await store.append(inputOf({ slot: b, ctr0: 0, envelopes: [envelopeOf(7)], account: bob, device: bobs }));
    const first = unwrap(await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0), envelopeOf(1)] })), 'taken');
    expect(first).toMatchObject({ firstSeq: 2, nextCtr: 2, rt: 2_000, purged: [] });
    const again = unwrap(await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0), envelopeOf(1)], now: 9_000 })), 'taken');
    expect(again).toEqual({ rows: [], firstSeq: 2, nextCtr: 2, rt: 2_000, purged: [] });
    const longer = unwrap(await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [envelopeOf(1), envelopeOf(2)], now: 9_000 })), 'taken');
    expect(longer).toMatchObject({ firstSeq: 3, nextCtr: 3 });
    expect(longer.rows.map((row) => [row.seq, row.ctr])).toEqual([[4, 2]]);
    expect((await store.rowsAfter(chat, 0, all, Infinity)).length).toBe(4);
  });

  contract('[SO2] a resend is answered even when its epoch is over', async (store) => {
    const { a } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0)] }));
    await nextEntry(store, 2, { epoch: 2, removes: true, members: { [alice]: 'owner' } });
    expect(await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0)], now: 5_000 }))).toMatchObject({ ok: true, value: { rows: [], firstSeq: 1 } });
  });

  contract('[SO3] other bytes under a known counter are a FORK, also once the entry is purged', async (store) => {
    const { a } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0), envelopeOf(1)] }));
    expect(await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [envelopeOf(99), envelopeOf(2)] }))).toEqual({ ok: false, error: { nack: 'FORK', nextCtr: 2 } });
    await store.append(inputOf({ slot: a, ctr0: 2, envelopes: [{ bytes: envelopeOf(2), purge: { slot: a, ctr: 1 } }] }));
    expect(await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [envelopeOf(1)] }))).toMatchObject({ ok: true, value: { rows: [] } });
    expect(await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [envelopeOf(98)] }))).toEqual({ ok: false, error: { nack: 'FORK', nextCtr: 3 } });
  });

  contract('[SO4] a gap is refused, and a refused request leaves nothing behind', async (store) => {
    const { a } = await twoPeople(store);
    expect(await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [envelopeOf(1)] }))).toEqual({ ok: false, error: { nack: 'GAP', nextCtr: 0 } });
    const half = [envelopeOf(0), { bytes: envelopeOf(1), epoch: 9 }];
    expect(await store.append(inputOf({ slot: a, ctr0: 0, envelopes: half }))).toEqual({ ok: false, error: { nack: 'EPOCH_STALE', nextCtr: 0 } });
    expect(await store.rowsAfter(chat, 0, all, Infinity)).toEqual([]);
    expect(await store.heads([chat])).toMatchObject([{ head: 0 }]);
  });

  contract('[SO5] a stranger, another device, another account and a retired slot write nothing', async (store) => {
    const { a, b } = await twoPeople(store);
    const refusal = async (sent: Partial<Sent>) => {
      const answer = await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0)], ...sent }));
      return answer.ok ? 'taken' : answer.error.nack;
    };
    expect(await refusal({ account: carol })).toBe('NOT_MEMBER');
    expect(await refusal({ conversation: conversationOf(5) })).toBe('NOT_MEMBER');
    expect(await refusal({ device: laptop })).toBe('NO_SLOT');
    expect(await refusal({ slot: b })).toBe('NO_SLOT');
    expect(await refusal({ slot: 77 })).toBe('NO_SLOT');
    await store.replaceSlot(chat, alice, phone, a);
    expect(await refusal({})).toBe('NO_SLOT');
    expect(await store.slotOf(chat, carol, phone)).toBeUndefined();
    expect(await store.replaceSlot(chat, carol, phone, 1)).toBeUndefined();
  });

  async function nextEntry(store: Store, height: number, change: { epoch?: number; rotationDue?: boolean; removes?: boolean; members: Record<AccountId, Role>; now?: number; wraps?: { account: AccountId; uekGen: number; wrap: Bytes }[] }) {
    return store.appendGroupEntry({
      conversation: chat, height, entry: textToBytes(`entry ${height}`), epoch: change.epoch ?? 1, rotationDue: change.rotationDue ?? false, removes: change.removes ?? false,
      members: Object.entries(change.members).map(([account, role]) => ({ account: account as AccountId, role })), wraps: change.wraps ?? [], now: change.now ?? 3_000,
    });
  }

  contract('[SO6] after a rotation that removed nobody the old epoch is taken for 30 s, and no longer', async (store) => {
    const { a } = await twoPeople(store);
    await nextEntry(store, 2, { epoch: 2, members: { [alice]: 'owner', [bob]: 'member' }, now: 3_000 });
    const send = (ctr0: number, epoch: number, now: number) => store.append(inputOf({ slot: a, ctr0, envelopes: [{ bytes: envelopeOf(ctr0), epoch }], now }));
    expect(await send(0, 1, 3_000 + epochGraceMs - 1)).toMatchObject({ ok: true });
    expect(await send(1, 1, 3_000 + epochGraceMs)).toMatchObject({ error: { nack: 'EPOCH_STALE', nextCtr: 1 } });
    expect(await send(1, 3, 3_000)).toMatchObject({ error: { nack: 'EPOCH_STALE' } });
    expect(await send(1, 2, 3_000 + epochGraceMs)).toMatchObject({ ok: true });
    await nextEntry(store, 3, { epoch: 3, members: { [alice]: 'owner', [bob]: 'member' }, now: 50_000 });
    expect(await send(2, 1, 50_001)).toMatchObject({ error: { nack: 'EPOCH_STALE' } });
  });

  contract('[SO6] after a removal the old epoch is over at once; while a rotation is due nothing is taken, and its epoch has no grace', async (store) => {
    await makeChat(store, { [alice]: 'owner', [bob]: 'member', [carol]: 'member' });
    const a = (await store.slotOf(chat, alice, phone))!.slot;
    const send = (epoch: number, now: number) => store.append(inputOf({ slot: a, ctr0: 0, envelopes: [{ bytes: envelopeOf(0), epoch }], now }));
    await nextEntry(store, 2, { epoch: 2, removes: true, members: { [alice]: 'owner', [bob]: 'member' } });
    expect(await send(1, 3_001)).toMatchObject({ error: { nack: 'EPOCH_STALE' } });
    await nextEntry(store, 3, { epoch: 2, removes: true, rotationDue: true, members: { [alice]: 'owner' } });
    expect(await send(2, 3_001)).toMatchObject({ error: { nack: 'ROTATION_DUE' } });
    await nextEntry(store, 4, { epoch: 3, members: { [alice]: 'owner' } });
    expect(await send(2, 3_001)).toMatchObject({ error: { nack: 'EPOCH_STALE' } });
    expect(await send(3, 3_001)).toMatchObject({ ok: true });
  });

  contract('[SO7] segments close at 256 entries, and each slot\'s clock starts anew in each', async (store) => {
    const { a, b } = await twoPeople(store);
    for (let i = 0; i < 5; i++) {
      await store.append(inputOf({ slot: a, ctr0: i * 64, envelopes: Array.from({ length: 64 }, (_, j) => envelopeOf(i * 64 + j)) }));
      await store.append(inputOf({ slot: b, ctr0: i, envelopes: [envelopeOf(i)], account: bob, device: bobs }));
    }
    const rows = await store.rowsAfter(chat, 0, all, Infinity);
    expect(rows.filter((row) => row.seg === 0).length).toBe(limits.segmentEntriesMax);
    for (const seg of [0, 1]) for (const slot of [a, b]) {
      const clocks = rows.filter((row) => row.seg === seg && row.slot === slot).map((row) => row.clock);
      expect(clocks).toEqual(Array.from({ length: clocks.length }, (_, i) => i));
    }
    expect(await store.segment(chat, 0)).toEqual({ rows: rows.filter((row) => row.seg === 0), generation: 0, sealed: true });
    expect(await store.segment(chat, 1)).toEqual({ rows: rows.filter((row) => row.seg === 1), generation: 0, sealed: false });
    expect(await store.segment(chat, 2)).toBeUndefined();
    expect(await store.heads([chat])).toMatchObject([{ openSeg: 1, head: 325 }]);
  });

  contract('[SO7] segments close at 128 KiB', async (store) => {
    const { a } = await twoPeople(store);
    for (let ctr = 0; ctr < 20; ctr++) await store.append(inputOf({ slot: a, ctr0: ctr, envelopes: [envelopeOf(ctr, 16_000)] }));
    const rows = await store.rowsAfter(chat, 0, all, Infinity);
    const sizes = [0, 1, 2].map((seg) => rows.filter((row) => row.seg === seg).reduce((sum, row) => sum + row.envelope!.length, 0));
    expect(sizes).toEqual([128_000, 128_000, 64_000]);
  });

  contract('[SO8] one\'s own entry is purged: the ciphertext goes, the place stays, the generation moves', async (store) => {
    const { a } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0), envelopeOf(1), envelopeOf(2)] }));
    const purge = { slot: a, ctr: 1 };
    const sent = unwrap(await store.append(inputOf({ slot: a, ctr0: 3, envelopes: [{ bytes: envelopeOf(3), purge }] })), 'taken');
    expect(sent.purged).toEqual([{ seq: 2, slot: a, ctr: 1, requestSeq: 4 }]);
    const rows = await store.rowsAfter(chat, 0, all, Infinity);
    expect(rows.map((row) => row.envelope === undefined)).toEqual([false, true, false, false]);
    expect(rows[1]).toMatchObject({ seq: 2, seg: 0, slot: a, clock: 1, ctr: 1 });
    expect(await store.segment(chat, 0)).toMatchObject({ generation: 1 });
    expect(await store.purgedIn(chat, 1, 4)).toEqual(sent.purged);
    expect(await store.purgedIn(chat, 3, 4)).toEqual([]);
    const again = unwrap(await store.append(inputOf({ slot: a, ctr0: 4, envelopes: [{ bytes: envelopeOf(4), purge }] })), 'taken');
    expect(again.purged).toEqual([]);
    expect(await store.segment(chat, 0)).toMatchObject({ generation: 1 });
  });

  contract('[SO8] an entry may be purged by a later one of the same request', async (store) => {
    const { a } = await twoPeople(store);
    const sent = unwrap(await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0), { bytes: envelopeOf(1), purge: { slot: a, ctr: 0 } }] })), 'taken');
    expect(sent.rows.map((row) => row.envelope?.length)).toEqual([undefined, 64]);
    expect(sent.purged).toEqual([{ seq: 1, slot: a, ctr: 0, requestSeq: 2 }]);
  });

  contract('[SO8] another account\'s entry is purged by an admin only, and an unknown one by nobody', async (store) => {
    const { a, b } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0)] }));
    await store.append(inputOf({ slot: b, ctr0: 0, envelopes: [envelopeOf(0)], account: bob, device: bobs }));
    const byBob = await store.append(inputOf({ slot: b, ctr0: 1, envelopes: [{ bytes: envelopeOf(1), purge: { slot: a, ctr: 0 } }], account: bob, device: bobs }));
    expect(byBob).toEqual({ ok: false, error: { nack: 'READ_ONLY', nextCtr: 1 } });
    const unknown = (purge: Purge) => store.append(inputOf({ slot: a, ctr0: 1, envelopes: [{ bytes: envelopeOf(1), purge }] }));
    expect(await unknown({ slot: a, ctr: 1 })).toMatchObject({ error: { nack: 'SHAPE' } });
    expect(await unknown({ slot: 50, ctr: 0 })).toMatchObject({ error: { nack: 'SHAPE' } });
    const byAlice = await store.append(inputOf({ slot: a, ctr0: 1, envelopes: [{ bytes: envelopeOf(1), purge: { slot: b, ctr: 0 } }] }));
    expect(byAlice).toMatchObject({ ok: true, value: { purged: [{ slot: b, ctr: 0 }] } });
  });

  contract('[SO8] one\'s own account\'s entry is purged from another device', async (store) => {
    const { a } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: [envelopeOf(0)] }));
    const bobs2 = deviceOf(9);
    const b2 = (await store.slotOf(chat, bob, bobs2))!.slot;
    const b = (await store.slotOf(chat, bob, bobs))!.slot;
    await store.append(inputOf({ slot: b, ctr0: 0, envelopes: [envelopeOf(0)], account: bob, device: bobs }));
    expect(await store.append(inputOf({ slot: b2, ctr0: 0, envelopes: [{ bytes: envelopeOf(1), purge: { slot: b, ctr: 0 } }], account: bob, device: bobs2 }))).toMatchObject({ ok: true });
  });

  contract('[SO9] a slot stays its device\'s, is replaced once, and is never given out again', async (store) => {
    await makeChat(store, { [alice]: 'owner', [bob]: 'member' });
    const seen: number[] = [];
    const slot = async () => (await store.slotOf(chat, alice, phone))!.slot;
    const first = await slot();
    expect(first).toBeGreaterThanOrEqual(1);
    expect(await slot()).toBe(first);
    await store.append(inputOf({ slot: first, ctr0: 0, envelopes: [envelopeOf(0)] }));
    expect(await store.slotOf(chat, alice, phone)).toEqual({ slot: first, nextCtr: 1 });
    seen.push(first, (await store.slotOf(chat, alice, laptop))!.slot, (await store.slotOf(chat, bob, bobs))!.slot);
    const second = (await store.replaceSlot(chat, alice, phone, first))!;
    expect(second.nextCtr).toBe(0);
    expect(await store.replaceSlot(chat, alice, phone, first)).toEqual(second);
    expect(await slot()).toBe(second.slot);
    seen.push(second.slot);
    await nextEntry(store, 2, { epoch: 2, removes: true, members: { [alice]: 'owner' } });
    expect(await store.slotOf(chat, bob, bobs)).toBeUndefined();
    await nextEntry(store, 3, { epoch: 2, members: { [alice]: 'owner', [bob]: 'member' } });
    seen.push((await store.slotOf(chat, bob, bobs))!.slot);
    expect(new Set(seen).size).toBe(seen.length);
  });

  contract('[SO10] a renewed lineage is new, and next slots skip ahead in every conversation', async (store) => {
    await makeChat(store, { [alice]: 'owner' });
    const kept = (await store.slotOf(chat, alice, phone))!.slot;
    const before = await store.lineage();
    const after = await store.renewLineage();
    expect(after).not.toBe(before);
    expect(idToBytes(after).length).toBe(16);
    expect(await store.lineage()).toBe(after);
    expect((await store.slotOf(chat, alice, phone))!.slot).toBe(kept);
    expect((await store.slotOf(chat, alice, laptop))!.slot).toBe(kept + 1 + slotSkip);
    await makeChat(store, { [alice]: 'owner' }, conversationOf(2));
    expect((await store.slotOf(conversationOf(2), alice, phone))!.slot).toBe(slotSkip + 1);
  });

  contract('[SO11] pages end at their count or bytes, oldest first, one row at least', async (store) => {
    const { a } = await twoPeople(store);
    await store.append(inputOf({ slot: a, ctr0: 0, envelopes: Array.from({ length: 10 }, (_, i) => envelopeOf(i, 100)) }));
    const seqs = (rows: readonly { seq: number }[]) => rows.map((row) => row.seq);
    expect(seqs(await store.rowsAfter(chat, 4, 3, Infinity))).toEqual([5, 6, 7]);
    expect(seqs(await store.rowsAfter(chat, 4, 99, 250))).toEqual([5, 6]);
    expect(seqs(await store.rowsAfter(chat, 4, 99, 1))).toEqual([5]);
    expect(seqs(await store.rowsAfter(chat, 10, 99, Infinity))).toEqual([]);
    expect(seqs(await store.rowsBefore(chat, 8, 3, Infinity))).toEqual([5, 6, 7]);
    expect(seqs(await store.rowsBefore(chat, 8, 99, 250))).toEqual([6, 7]);
    expect(seqs(await store.rowsBefore(chat, 8, 99, 1))).toEqual([7]);
    expect(seqs(await store.rowsBefore(chat, 1, 99, Infinity))).toEqual([]);
    expect(seqs(await store.rowsBefore(chat, 999, 2, Infinity))).toEqual([9, 10]);
    expect(await store.rowsAfter(conversationOf(9), 0, 9, Infinity)).toEqual([]);
  });

  contract('[SO12] the greatest mark per slot wins', async (store) => {
    const { a, b } = await twoPeople(store);
    const mark = (slot: number, markCtr: number, rt: number) => store.putMark(chat, { slot, markCtr, rt, sealed: envelopeOf(markCtr) });
    expect(await mark(a, 5, 100)).toBe(true);
    expect(await mark(a, 5, 101)).toBe(false);
    expect(await mark(a, 4, 102)).toBe(false);
    expect(await mark(a, 6, 103)).toBe(true);
    expect(await mark(b, 0, 104)).toBe(true);
    expect((await store.marksSince(chat, 0)).map(({ slot, markCtr }) => [slot, markCtr])).toEqual([[a, 6], [b, 0]]);
    expect(await store.putMark(conversationOf(9), { slot: 1, markCtr: 1, rt: 1, sealed: envelopeOf(1) })).toBe(false);
  });

  contract('[SO12] marks of one millisecond, and of a clock that stepped back, are not missed', async (store) => {
    const { a, b } = await twoPeople(store);
    await store.putMark(chat, { slot: a, markCtr: 1, rt: 100, sealed: envelopeOf(1) });
    const cursor = Math.max(...(await store.marksSince(chat, 0)).map((mark) => mark.rt));
    await store.putMark(chat, { slot: b, markCtr: 1, rt: 100, sealed: envelopeOf(2) });
    await store.putMark(chat, { slot: a, markCtr: 2, rt: 50, sealed: envelopeOf(3) });
    expect((await store.marksSince(chat, cursor)).map((mark) => mark.slot)).toEqual([b, a]);
  });

  contract('[SO13] a group log grows by compare-and-set, and the roster moves with it', async (store) => {
    expect(await nextEntry(store, 2, { members: { [alice]: 'owner' } })).toEqual({ ok: false, error: { height: 0 } });
    expect(await nextEntry(store, 1, { members: { [alice]: 'owner', [bob]: 'member' }, now: 500 })).toEqual({ ok: true, value: { height: 1, rt: 500, joined: expect.arrayContaining([alice, bob]), left: [] } });
    expect(await nextEntry(store, 1, { members: { [carol]: 'owner' } })).toEqual({ ok: false, error: { height: 1 } });
    expect(await nextEntry(store, 3, { members: { [carol]: 'owner' } })).toEqual({ ok: false, error: { height: 1 } });
    expect(await store.conversationsOf(bob)).toEqual({ membershipVersion: 1, conversations: [{ conversation: chat, logHeight: 1 }] });
    expect(await nextEntry(store, 2, { epoch: 2, removes: true, members: { [alice]: 'owner', [carol]: 'admin' } })).toMatchObject({ ok: true, value: { joined: [carol], left: [bob] } });
    expect(await store.members(chat)).toEqual([{ account: alice, role: 'owner' }, { account: carol, role: 'admin' }]);
    expect(await store.conversationsOf(bob)).toEqual({ membershipVersion: 2, conversations: [] });
    expect(await store.conversationsOf(alice)).toEqual({ membershipVersion: 1, conversations: [{ conversation: chat, logHeight: 2 }] });
    expect(await store.conversationsOf(accountOf(50))).toEqual({ membershipVersion: 0, conversations: [] });
    const log = await store.groupLog(chat, 1, 10);
    expect(log).toEqual([{ height: 1, entry: textToBytes('entry 1'), rt: 500 }, { height: 2, entry: textToBytes('entry 2'), rt: 3_000 }]);
    expect((await store.groupLog(chat, 2, 10)).map((row) => row.height)).toEqual([2]);
    expect((await store.groupLog(chat, 1, 1)).map((row) => row.height)).toEqual([1]);
    expect(await store.roleOf(chat, carol)).toBe('admin');
    expect(await store.roleOf(chat, bob)).toBeUndefined();
    expect(await store.roleOf(conversationOf(9), carol)).toBeUndefined();
    expect(await store.membershipVersions([alice, accountOf(50), bob])).toEqual([{ account: alice, membershipVersion: 1 }, { account: bob, membershipVersion: 2 }]);
    expect(await store.crowded([alice, bob, carol], 1)).toEqual([alice, carol]);
    expect(await store.crowded([alice, bob, carol], 2)).toEqual([]);
  });

  contract('[SO13] of two appends at once one wins, and the other learns the height', async (store) => {
    await makeChat(store, { [alice]: 'owner', [bob]: 'admin' });
    const answers = await Promise.all([
      nextEntry(store, 2, { members: { [alice]: 'owner', [bob]: 'admin', [carol]: 'member' } }),
      nextEntry(store, 2, { epoch: 2, removes: true, members: { [alice]: 'owner' } }),
    ]);
    expect(answers.filter((answer) => answer.ok).length).toBe(1);
    expect(answers.find((answer) => !answer.ok)).toEqual({ ok: false, error: { height: 2 } });
    expect((await store.members(chat)).length).toBe(answers[0].ok ? 3 : 1);
  });

  contract('[SO14] each account reads its own newest wrap, and none after it left', async (store) => {
    await makeChat(store, { [alice]: 'owner', [bob]: 'member' });
    const wrap = (account: AccountId, number: number) => ({ account, uekGen: number, wrap: envelopeOf(number) });
    await nextEntry(store, 2, { epoch: 2, members: { [alice]: 'owner', [bob]: 'member' }, wraps: [wrap(alice, 1), wrap(bob, 2)] });
    await nextEntry(store, 3, { epoch: 3, members: { [alice]: 'owner', [bob]: 'member' }, wraps: [wrap(alice, 3)] });
    expect(await store.newestWrap(chat, alice)).toEqual({ epoch: 3, height: 3, uekGen: 3, wrap: envelopeOf(3) });
    expect(await store.newestWrap(chat, bob)).toEqual({ epoch: 2, height: 2, uekGen: 2, wrap: envelopeOf(2) });
    expect(await store.newestWrap(chat, carol)).toBeUndefined();
    await nextEntry(store, 4, { epoch: 4, removes: true, members: { [alice]: 'owner' } });
    expect(await store.newestWrap(chat, bob)).toBeUndefined();
  });

  const register = (store: Store, number: number, handle: string) => store.createAccount({
    account: accountOf(number), handle: handle as Handle, registrationRecord: `record ${number}`, recoveryProofHash: envelopeOf(number, 32),
    genesis: textToBytes(`genesis ${number}`), vault: textToBytes('vault 1'), uekWraps: [{ device: phone, gen: 1, wrap: textToBytes('wrap') }], now: 1,
  });

  contract('[SO15] of two who take one handle at once one wins; an account id is made once', async (store) => {
    const answers = await Promise.all([register(store, 1, 'ada'), register(store, 2, 'ada')]);
    expect(answers).toEqual([{ ok: true, value: undefined }, { ok: false, error: 'handle-taken' }]);
    expect(await register(store, 1, 'eve')).toEqual({ ok: false, error: 'account-exists' });
    const row = { account: alice, handle: 'ada', registrationRecord: 'record 1', recoveryProofHash: envelopeOf(1, 32), logHeight: 0 };
    expect(await store.accountByHandle('ada' as Handle)).toEqual(row);
    expect(await store.accountById(alice)).toEqual(row);
    expect(await store.accountByHandle('eve' as Handle)).toBeUndefined();
    expect(await store.accountById(bob)).toBeUndefined();
  });

  contract('[SO16] an account log grows by compare-and-set', async (store) => {
    await register(store, 1, 'ada');
    const entries = [textToBytes('one'), textToBytes('two')];
    expect(await store.appendAccountEntries(alice, 2, entries, [], 5)).toEqual({ ok: false, error: { height: 0 } });
    expect(await store.appendAccountEntries(alice, 1, entries, [{ device: laptop, gen: 1, wrap: textToBytes('w1') }, { device: laptop, gen: 2, wrap: textToBytes('w2') }], 5)).toEqual({ ok: true, value: undefined });
    expect(await store.appendAccountEntries(alice, 1, entries, [], 5)).toEqual({ ok: false, error: { height: 2 } });
    expect(await store.accountLog(alice, 0)).toEqual([textToBytes('genesis 1'), ...entries]);
    expect(await store.accountLog(alice, 2)).toEqual([textToBytes('two')]);
    expect((await store.accountById(alice))!.logHeight).toBe(2);
    expect(await store.uekWraps(alice, laptop)).toEqual([{ device: laptop, gen: 1, wrap: textToBytes('w1') }, { device: laptop, gen: 2, wrap: textToBytes('w2') }]);
    expect(await store.uekWraps(bob, laptop)).toEqual([]);
  });

  contract('[SO16] a vault moves one version at a time; a password moves with its vault or not at all', async (store) => {
    await register(store, 1, 'ada');
    expect(await store.vault(alice)).toEqual({ version: 1, vault: textToBytes('vault 1') });
    expect(await store.putVault(alice, 3, textToBytes('x'))).toEqual({ ok: false, error: { version: 1 } });
    const both = await Promise.all([store.putVault(alice, 2, textToBytes('a')), store.putVault(alice, 2, textToBytes('b'))]);
    expect(both).toEqual([{ ok: true, value: undefined }, { ok: false, error: { version: 2 } }]);
    expect(await store.changePassword(alice, 'new', 2, textToBytes('c'))).toEqual({ ok: false, error: { version: 2 } });
    expect((await store.accountById(alice))!.registrationRecord).toBe('record 1');
    expect(await store.changePassword(alice, 'new', 3, textToBytes('c'))).toEqual({ ok: true, value: undefined });
    expect((await store.accountById(alice))!.registrationRecord).toBe('new');
    expect(await store.vault(alice)).toEqual({ version: 3, vault: textToBytes('c') });
    expect(await store.vault(bob)).toBeUndefined();
  });

  contract('[SO17] the greatest profile version wins', async (store) => {
    await register(store, 1, 'ada');
    expect(await store.profile(alice)).toBeUndefined();
    expect(await store.putProfile(alice, 5, textToBytes('five'))).toBe(true);
    expect(await store.putProfile(alice, 5, textToBytes('again'))).toBe(false);
    expect(await store.putProfile(alice, 4, textToBytes('four'))).toBe(false);
    expect(await store.putProfile(bob, 4, textToBytes('nobody'))).toBe(false);
    expect(await store.profile(alice)).toEqual({ version: 5, sealed: textToBytes('five') });
  });

  contract('[SO18] sessions are found, bound, extended and ended', async (store) => {
    const session = (idHash: string, account: AccountId, expiresAt: number) => ({ idHash, account, device: undefined, expiresAt, createdAt: 1 });
    for (const [hash, account, expiresAt] of [['h1', alice, 100], ['h2', alice, 200], ['h3', bob, 300], ['h4', bob, 400]] as const) await store.putSession(session(hash, account, expiresAt));
    await store.bindSession('h1', phone);
    await store.extendSession('h1', 900);
    expect(await store.session('h1')).toEqual({ idHash: 'h1', account: alice, device: phone, expiresAt: 900, createdAt: 1 });
    expect((await store.sessionsOf(alice)).map((row) => row.idHash)).toEqual(['h1', 'h2']);
    expect(await store.deleteExpiredSessions(200)).toBe(1);
    await store.deleteSession('h3');
    expect(await store.session('h3')).toBeUndefined();
    expect((await store.sessionsOf(bob)).map((row) => row.idHash)).toEqual(['h4']);
    await store.deleteSessionsOf(alice);
    expect(await store.sessionsOf(alice)).toEqual([]);
    expect(await store.session('h4')).toBeDefined();
  });

  contract('[SO19] a server clock that steps back moves no receipt time back', async (store) => {
    const { a } = await twoPeople(store);
    const times = [5_000, 4_000, 4_500, 6_000];
    for (const [ctr, now] of times.entries()) await store.append(inputOf({ slot: a, ctr0: ctr, envelopes: [envelopeOf(ctr)], now }));
    expect((await store.rowsAfter(chat, 0, all, Infinity)).map((row) => row.rt)).toEqual([5_000, 5_000, 5_000, 6_000]);
    expect(await nextEntry(store, 2, { members: { [alice]: 'owner' }, removes: true, now: 10 })).toMatchObject({ ok: true, value: { rt: 6_000 } });
  });

  contract('[SO26] companions share a conversation', async (store) => {
    await makeChat(store, { [alice]: 'owner', [bob]: 'member' });
    await makeChat(store, { [alice]: 'owner', [bob]: 'member', [carol]: 'member' }, conversationOf(2));
    await makeChat(store, { [accountOf(4)]: 'owner' }, conversationOf(3));
    expect([...(await store.companions(alice, 10))].sort()).toEqual([bob, carol].sort());
    expect((await store.companions(alice, 1)).length).toBe(1);
    expect(await store.companions(accountOf(4), 10)).toEqual([]);
  });
}
