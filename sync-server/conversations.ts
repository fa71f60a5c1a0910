/**
 * The conversations of one connection: which it follows, from where, and what it may ask about them.
 *
 * Membership is checked when a conversation is followed and again whenever its group log moves; while a
 * check runs nothing of it is sent, so somebody removed sees nothing that came after [SY17].
 */
import { sha256 } from '#lib/crypto/primitives.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { encodeSegment } from '#lib/protocol/segment.ts';
import { createDelivery, type Subscription } from './delivery.ts';
import { createWriting } from './writing.ts';
import type { CloseName, NackName } from '#lib/protocol/codes.ts';
import type { DownFrame, UpFrameOf } from '#lib/protocol/frame.ts';
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import type { BusMessage } from '#lib/server/bus/port.ts';
import type { ConversationHead, LogStore, MarkRow } from '#lib/server/store/port.ts';
import type { Roster } from './fanout.ts';
import type { ConnectionDeps, ConnectionLimits } from './types.ts';

export interface Conversations {
  readonly subscribe: (items: UpFrameOf<'sub'>['items']) => Promise<void>;
  readonly unsubscribe: (h: number) => void;
  readonly put: (frame: UpFrameOf<'put'>) => Promise<void>;
  readonly refusePut: (frame: UpFrameOf<'put'>, nack: NackName) => void;
  readonly newSlot: (frame: UpFrameOf<'newSlot'>) => Promise<void>;
  readonly fetch: (frame: UpFrameOf<'fetch'>) => Promise<void>;
  readonly segment: (frame: UpFrameOf<'seg'>) => Promise<void>;
  readonly mark: (frame: UpFrameOf<'mark'>) => Promise<void>;
  readonly ephemeral: (frame: UpFrameOf<'eph'>) => Promise<void>;
  readonly onBus: (message: ConversationMessage) => void;
  /** The account joined or left something: drops what it is no longer in. */
  readonly membershipMoved: () => void;
  /** Follows the store where the bus may have said nothing. */
  readonly compare: (withAllMarks: boolean) => ReturnType<LogStore['conversationsOf']>;
  readonly resume: () => void;
  readonly end: () => void;
}

export type ConversationMessage = Extract<BusMessage, { readonly conversation: ConversationId }>;

export interface ConversationsDeps extends Omit<ConnectionDeps, 'limits' | 'close' | 'bufferedBytes'> {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly limits: ConnectionLimits;
  readonly say: (frame: DownFrame) => void;
  readonly shut: (name: CloseName) => void;
  readonly run: (doing: string, task: () => Promise<void>) => Promise<void>;
  readonly onBus: (message: BusMessage) => void;
  readonly room: () => Promise<void>;
  readonly isCongested: () => boolean;
}

/** Items of one SUB settled at once, and rosters and marks read at once behind it. */
const settlesAtOnce = 64;
const followUpsAtOnce = 8;
/** The answer to FETCH stays in one frame: envelopes, and 40 bytes beside each at most. */
const fetchBytesMax = wireLimits.frameSizeBytesMax - wireLimits.fetchRowsMax * 40 - wireLimits.envelopeSizeBytesMax;

export function createConversations(deps: ConversationsDeps): Conversations {
  const { store, bus, clock, fanout, account, limits, say, run } = deps;
  const byHandle = new Map<number, Subscription>();
  const byConversation = new Map<ConversationId, Subscription>();
  const delivery = createDelivery({ ...deps, run: (doing, task) => void run(doing, task) });
  const writing = createWriting({ ...deps, delivery, drop, find: (h) => byHandle.get(h), followed });

  // ---- Following -----------------------------------------------------------------------------

  async function subscribe(items: UpFrameOf<'sub'>['items']): Promise<void> {
    const mine = new Set((await store.conversationsOf(account)).conversations.map((each) => each.conversation));
    const asked: { readonly item: (typeof items)[number]; readonly sub: Subscription; readonly again: boolean }[] = [];
    for (const item of items) {
      const known = byHandle.get(item.h);
      // One handle per conversation and one conversation per handle, or nobody knows what an answer is about.
      if (known !== byConversation.get(item.conversation)) return deps.shut('malformed');
      if (!mine.has(item.conversation)) {
        if (known) drop(known);
        else say({ type: 'notMember', h: item.h });
        continue;
      }
      const sub = known ?? follow(item.h, item.conversation);
      sub.holds += 1;
      sub.claimedSlot = item.slot;
      sub.nextCtr = item.nextCtr;
      sub.marksRt = item.marksSince;
      asked.push({ item, sub, again: known !== undefined });
    }
    const heads = new Map((await store.heads(asked.map(({ item }) => item.conversation))).map((head) => [head.conversation, head]));
    await inPool(asked, settlesAtOnce, async ({ item, sub }) => {
      const head = heads.get(item.conversation);
      if (sub.isGone) return;
      if (!head) return drop(sub);
      await settle(sub, item, head);
    });
    const live = asked.filter(({ sub }) => !sub.isGone);
    void run('reading who is there and their marks', () => inPool(live, followUpsAtOnce, ({ sub, again }) => followUp(sub, again)));
  }

  function follow(h: number, conversation: ConversationId): Subscription {
    const sub: Subscription = {
      h, conversation, head: 0, sent: 0, openSeg: 0, logHeight: 0, claimedSlot: 0, slot: undefined, nextCtr: 0, marksRt: 0, activeAt: 0,
      holds: 0, check: undefined, isReading: false, isGone: false, writes: 0, lastWrite: undefined, stopListening: undefined,
      pendingRows: undefined, pendingPurges: undefined, pendingMarks: undefined,
    };
    byHandle.set(h, sub);
    byConversation.set(conversation, sub);
    return sub;
  }

  /** Answers where something differs from what the client said; a quiet chat costs no frame [SY6]. */
  async function settle(sub: Subscription, item: UpFrameOf<'sub'>['items'][number], head: ConversationHead): Promise<void> {
    takeHead(sub, head);
    if (item.slot === 0 || item.cursor !== sub.head || item.logHeight !== sub.logHeight) {
      if (!(await writing.findSlot(sub))) return;
      if (item.slot === 0) sub.claimedSlot = sub.slot!;
      writing.sayState(sub);
    }
    sub.sent = Math.min(item.cursor ?? sub.head, sub.head);
    sub.holds -= 1;
    delivery.proceed(sub);
  }

  /** A large conversation has its own channel; a small one's marks come along, a large one's only to a repeated SUB [SY13]. */
  async function followUp(sub: Subscription, again: boolean): Promise<void> {
    if (sub.isGone) return;
    const roster = await fanout.roster(sub.conversation, sub.logHeight);
    await listen(sub, roster);
    if (sub.isGone || !(roster.intimate || again)) return;
    await readMarks(sub);
  }

  async function listen(sub: Subscription, roster: Roster): Promise<void> {
    if (sub.isGone || !roster.large || sub.stopListening) return;
    sub.stopListening = bus.subscribe(`c:${sub.conversation}`, deps.onBus);
    // What was said on the channel before is in the store.
    for (const head of await store.heads([sub.conversation])) catchUp(sub, head);
  }

  async function readMarks(sub: Subscription): Promise<void> {
    const marks = await store.marksSince(sub.conversation, sub.marksRt);
    if (!sub.isGone && marks.length > 0) delivery.marks(sub, marks);
  }

  function takeHead(sub: Subscription, head: ConversationHead): void {
    if (head.head > sub.head) sub.head = head.head;
    if (head.openSeg > sub.openSeg) sub.openSeg = head.openSeg;
    if (head.logHeight > sub.logHeight) sub.logHeight = head.logHeight;
  }

  function catchUp(sub: Subscription, head: ConversationHead): void {
    if (sub.isGone) return;
    takeHead(sub, head);
    delivery.proceed(sub);
  }

  function unsubscribe(h: number): void {
    const sub = byHandle.get(h);
    if (sub) leave(sub);
  }

  /** The account is not in it, or no longer. */
  function drop(sub: Subscription): void {
    if (sub.isGone) return;
    leave(sub);
    say({ type: 'notMember', h: sub.h });
  }

  function leave(sub: Subscription): void {
    sub.isGone = true;
    sub.stopListening?.();
    byHandle.delete(sub.h);
    byConversation.delete(sub.conversation);
  }

  /** The subscription a frame speaks of, once its membership is settled. One may end while its frame is on the way. */
  async function followed(h: number): Promise<Subscription | undefined> {
    const sub = byHandle.get(h);
    if (sub?.check) await sub.check;
    if (sub && !sub.isGone) return sub;
    if (byHandle.get(h) === undefined) say({ type: 'notMember', h });
    return undefined;
  }

  // ---- Reading -------------------------------------------------------------------------------

  async function fetch({ h, fromSeq, count, direction }: UpFrameOf<'fetch'>): Promise<void> {
    const sub = await followed(h);
    if (!sub) return;
    await deps.room();
    const rows = count === 0 ? [] : direction === 'forward'
      ? await store.rowsAfter(sub.conversation, Math.max(0, fromSeq - 1), count, fetchBytesMax)
      : await store.rowsBefore(sub.conversation, fromSeq + 1, count, fetchBytesMax);
    if (!sub.isGone) say({ type: 'rows', h, rows });
  }

  /** A segment that does not exist is answered as an empty one: no rows, firstSeq 0. */
  async function segment({ h, seg, want }: UpFrameOf<'seg'>): Promise<void> {
    const sub = await followed(h);
    if (!sub) return;
    await deps.room();
    const found = await store.segment(sub.conversation, seg);
    if (sub.isGone) return;
    const rows = found?.rows ?? [];
    const blob = encodeSegment(rows);
    say({
      type: 'seg', h, seg, generation: found?.generation ?? 0, firstSeq: rows[0]?.seq ?? 0, lastSeq: rows.at(-1)?.seq ?? 0,
      digest: sha256(blob), blob: want === 'blob' ? blob : undefined,
    });
  }

  // ---- Marks and typing ------------------------------------------------------------------------

  async function mark({ h, markCtr, sealed }: UpFrameOf<'mark'>): Promise<void> {
    const sub = await followed(h);
    if (!sub || (sub.slot === undefined && !(await writing.findSlot(sub)))) return;
    if (sub.slot !== sub.claimedSlot) return writing.sayState(sub);
    const row: MarkRow = { slot: sub.slot!, markCtr, rt: clock.now(), sealed };
    const roster = await fanout.roster(sub.conversation, sub.logHeight);
    if (!roster.has(account)) return drop(sub);
    const isNewest = await store.putMark(sub.conversation, row);
    if (sub.isGone) return;
    sub.activeAt = clock.now();
    // The sender hears its own mark back: that is how it knows that the server has it.
    if (!isNewest) return delivery.marks(sub, (await store.marksSince(sub.conversation, 0)).filter((each) => each.slot === row.slot));
    delivery.marks(sub, [row]);
    const message: BusMessage = { type: 'mark', conversation: sub.conversation, ...row };
    if (roster.intimate) fanout.publish(roster, message);
    else fanout.publishTo(account, message);
  }

  async function ephemeral({ h, sealed }: UpFrameOf<'eph'>): Promise<void> {
    const sub = await followed(h);
    if (!sub || (sub.slot === undefined && !(await writing.findSlot(sub)))) return;
    if (sub.slot !== sub.claimedSlot) return writing.sayState(sub);
    const roster = await fanout.roster(sub.conversation, sub.logHeight);
    if (!roster.has(account)) return drop(sub);
    if (roster.intimate) fanout.publish(roster, { type: 'eph', conversation: sub.conversation, slot: sub.slot!, sealed });
  }

  // ---- What others did -------------------------------------------------------------------------

  function onBus(message: ConversationMessage): void {
    const sub = byConversation.get(message.conversation);
    if (message.type === 'group') fanout.rosterMoved(message.conversation);
    if (!sub) return;
    switch (message.type) {
      case 'rows':
        sub.activeAt = clock.now();
        return delivery.rows(sub, message.head, message.rows);
      case 'purge': return delivery.purges(sub, message.entries);
      case 'mark':
        sub.activeAt = clock.now();
        return delivery.marks(sub, [message]);
      case 'eph':
        if (message.slot !== sub.slot && sub.holds === 0 && !deps.isCongested()) say({ type: 'eph', h: sub.h, slot: message.slot, sealed: message.sealed });
        return;
      case 'group': return groupMoved(sub, message.logHeight);
    }
  }

  function groupMoved(sub: Subscription, logHeight: number): void {
    if (logHeight <= sub.logHeight) return;
    sub.logHeight = logHeight;
    sub.holds += 1;
    const check = run('checking who is still a member', async () => {
      const roster = await fanout.roster(sub.conversation, logHeight);
      sub.holds -= 1;
      if (sub.check === check) sub.check = undefined;
      if (sub.isGone) return;
      if (!roster.has(account)) return drop(sub);
      say({ type: 'groupMoved', h: sub.h, logHeight });
      delivery.proceed(sub);
      await listen(sub, roster);
    });
    sub.check = check;
  }

  function membershipMoved(): void {
    if (byHandle.size > 0) void run('dropping what the account has left', async () => void (await keepMine()));
  }

  /** Drops what the account is no longer in. What is followed while the list is read is judged by its own reading. */
  async function keepMine(): Promise<Awaited<ReturnType<LogStore['conversationsOf']>>> {
    const before = [...byHandle.values()];
    const list = await store.conversationsOf(account);
    const mine = new Set(list.conversations.map((each) => each.conversation));
    for (const sub of before) if (!mine.has(sub.conversation)) drop(sub);
    return list;
  }

  async function compare(withAllMarks: boolean): Promise<Awaited<ReturnType<LogStore['conversationsOf']>>> {
    const list = await keepMine();
    for (const { conversation, logHeight } of list.conversations) {
      const sub = byConversation.get(conversation);
      if (!sub || logHeight <= sub.logHeight) continue;
      fanout.rosterMoved(conversation);
      groupMoved(sub, logHeight);
    }
    const subs = [...byConversation.values()];
    for (const head of await store.heads(subs.map((sub) => sub.conversation))) {
      const sub = byConversation.get(head.conversation);
      if (sub) catchUp(sub, { ...head, logHeight: sub.logHeight });
    }
    const since = clock.now() - limits.activeMs;
    await inPool(subs.filter((sub) => withAllMarks || sub.activeAt >= since), followUpsAtOnce, async (sub) => {
      const roster = await fanout.roster(sub.conversation, sub.logHeight);
      if (!sub.isGone && roster.intimate) await readMarks(sub);
    });
    return list;
  }

  function end(): void {
    for (const sub of [...byHandle.values()]) leave(sub);
  }

  return {
    subscribe, unsubscribe, put: writing.put, refusePut: writing.refuse, newSlot: writing.newSlot, fetch, segment, mark, ephemeral, onBus, membershipMoved, compare, resume: delivery.resume, end,
  };
}

/** Runs the task for every item, `atOnce` at a time. */
async function inPool<T>(items: readonly T[], atOnce: number, task: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  async function worker(): Promise<void> {
    for (const item of rest) await task(item);
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
