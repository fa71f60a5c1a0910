/**
 * All chats over one socket: joins the connection, the conversations and the database.
 *
 * Reconnecting is one SUB for everything [SC4] and costs what changed. Each conversation does one thing
 * at a time and waits for no other. What arrives on a connection that has ended is dropped: the next one
 * says it again. Nothing here survives a crash and nothing needs to: the database knows where we are.
 */
import type { ConversationId, Lineage } from '#lib/protocol/ids.ts';
import type { DownFrame, DownFrameOf, UpFrame, UpFrameOf } from '#lib/protocol/frame.ts';
import { limits } from '#lib/protocol/limits.ts';
import { assert } from '#lib/std/assert.ts';
import { StorageError } from '#lib/storage/database.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import type { StoredConversation } from '#lib/storage/schema.ts';
import { createComparer } from './compare.ts';
import { createConnection } from './connection.ts';
import type { Context } from './context.ts';
import { createLive, newFetch, resetLive, type Live } from './live.ts';
import { enqueue, newConversation, readConversation, readUnacknowledged, refuse, replaceWaiting, retryRefused } from './outbox.ts';
import { createReceiver } from './receive.ts';
import { createSegments } from './segments.ts';
import { createSender } from './send.ts';
import type { ConnectionState, Sync, SyncDeps } from './types.ts';

/** Items of one SUB frame: what its list admits, and well inside a frame at 45 bytes each. */
export const itemsPerSubMax = 4_000;
/** Rows kept in memory for one conversation; beyond it they are dropped and asked for again. */
export const pendingRowsMax = 8_192;
/** A question without an answer is asked again; longer than any honest pause of a loaded server. */
export const answerTimeoutMs = 20_000;

export function openSync(deps: SyncDeps): Sync {
  const { database, clock, timers, events } = deps;
  const lives = new Map<ConversationId, Live>();
  let byHandle: (Live | undefined)[] = [];
  /** Moves with every connection. */
  let session = 0;
  let lineage = '' as Lineage;
  let isStopped = false;
  let shown: ConnectionState = { state: 'offline', retryAt: undefined };
  let cancelWatch: (() => void) | undefined;
  /** Conversations that are not yet where the server is. */
  const behind = new Set<Live>();
  /** Work under way, beside the conversations' queues. */
  let active = 0;
  const idlers: (() => void)[] = [];

  const connection = createConnection(deps, {
    onWelcome: (frame) => welcome(frame),
    onFrame: (frame) => dispatch(frame),
    onDown: () => down(),
    onState: () => changed(),
  });
  const context: Context = {
    deps, task, send: connection.send, lineage: () => lineage, isCurrent: (live) => live.session === session && live.h !== undefined && connection.isUp() && !live.isRemoved,
    subscribe: (live) => void run(() => subscribe([live])), expect, changed,
  };
  const comparer = createComparer(context);
  const sender = createSender(context, comparer.start);
  const segments = createSegments(context, (live, entries, requestSeq) => receiver.purge(live, entries, requestSeq));
  const receiver = createReceiver(context, { sender, comparer, onCheckRows: segments.onCheckRows, segmentEnded: segments.ended });

  // ---- Work ------------------------------------------------------------------------------------

  /** Counts what is under way; a fault costs the connection, never what is stored. */
  async function run(work: () => Promise<void>): Promise<void> {
    active += 1;
    try {
      await work();
    } catch (error) {
      fault(error);
    } finally {
      active -= 1;
      if (active === 0) for (const wake of idlers.splice(0)) wake();
    }
  }

  function fault(error: unknown): void {
    if (isStopped && error instanceof StorageError && error.reason === 'closed') return;
    if (error instanceof StorageError) events.storageFault(error);
    else events.failed(error);
    connection.reset();
  }

  function task(live: Live, work: () => Promise<void>): void {
    const mine = session;
    void run(() => live.queue.run(() => {
      if (mine !== session || live.isRemoved || isStopped) return;
      live.session = mine;
      return work();
    }));
  }

  async function idle(): Promise<void> {
    while (active > 0) await new Promise<void>((resolve) => idlers.push(resolve));
  }

  // ---- The connection --------------------------------------------------------------------------

  function welcome(frame: DownFrameOf<'welcome'>): void {
    session += 1;
    byHandle = [];
    lineage = frame.lineage;
    for (const live of lives.values()) resetLive(live);
    behind.clear();
    events.welcome({ lineage, membershipVersion: frame.membershipVersion, accountHeight: frame.accountHeight });
    void run(() => subscribe([...lives.values()]));
  }

  function down(): void {
    session += 1;
    byHandle = [];
    cancelWatch?.();
    cancelWatch = undefined;
    for (const live of lives.values()) resetLive(live);
    behind.clear();
  }

  /** One frame for all of them; then a ping whose answer says that every STATE has come. */
  async function subscribe(some: readonly Live[]): Promise<void> {
    const mine = session;
    const wanted = new Set(some.filter((live) => !live.isRemoved));
    if (wanted.size === 0) return changed();
    for (const live of wanted) live.isAsking = true;
    const { stored, firsts } = await readPlaces([...wanted]);
    if (mine !== session || !connection.isUp()) return;
    const items: UpFrameOf<'sub'>['items'][number][] = [];
    for (const live of wanted) {
      const place = stored.get(live.conversation);
      if (!place || live.isRemoved) continue;
      items.push(toItem(live, place, firsts.get(live.conversation)));
    }
    const changedLineages = new Set([...stored.values()].map((place) => place.lineage).filter((old) => old !== '' && old !== lineage));
    for (const old of changedLineages) events.lineageChanged(old, lineage);
    for (let i = 0; i < items.length; i += itemsPerSubMax) connection.send({ type: 'sub', items: items.slice(i, i + itemsPerSubMax) });
    const quiet = (live: Live) => {
      const place = stored.get(live.conversation);
      return place !== undefined && place.slot !== 0 && place.lineage === lineage && !place.markUnsent && !firsts.has(live.conversation);
    };
    if (items.length > 0) connection.barrier(() => void (mine === session && settle([...wanted], quiet)));
    changed();
  }

  async function readPlaces(some: readonly Live[]): Promise<{ stored: Map<ConversationId, StoredConversation>; firsts: Map<ConversationId, number> }> {
    return database.read(['conversations', 'outbox'], async (tx) => {
      const stored = new Map<ConversationId, StoredConversation>();
      const firsts = new Map<ConversationId, number>();
      if (some.length === 1) {
        const { conversation } = some[0]!;
        const place = await tx.get('conversations', conversation);
        if (place) stored.set(conversation, place);
        const [first] = await tx.getAllKeys('outbox', { range: ofConversation(conversation), limit: 1 });
        if (first) firsts.set(conversation, first[1]);
        return { stored, firsts };
      }
      for (const place of await tx.getAll('conversations')) stored.set(place.conversation, place);
      for (const [conversation, ctr] of await tx.getAllKeys('outbox')) if (!firsts.has(conversation)) firsts.set(conversation, ctr);
      return { stored, firsts };
    });
  }

  function toItem(live: Live, place: StoredConversation, firstWaiting: number | undefined): UpFrameOf<'sub'>['items'][number] {
    if (live.h === undefined) {
      live.h = byHandle.length;
      byHandle.push(live);
    }
    live.phase = 'subscribing';
    live.hasState = false;
    behind.add(live);
    // Rows of another history would not follow on ours: first we look for what both have.
    const isKnown = place.lineage === lineage;
    live.cursor = isKnown ? place.cursor : 0;
    if (!isKnown) live.head = 0;
    expect(live);
    return {
      h: live.h, conversation: live.conversation, cursor: isKnown ? place.cursor : undefined, logHeight: isKnown ? place.logHeight : 0, slot: place.slot,
      nextCtr: firstWaiting ?? place.nextCtr, marksSince: place.marksSince,
    };
  }

  /** Whoever got no STATE is where the server is; with nothing to send it needs no look at the database. */
  function settle(some: readonly Live[], isQuiet: (live: Live) => boolean): void {
    for (const live of some) {
      live.isAsking = false;
      if (live.phase === 'subscribing' && !live.hasState && !live.slotChange && !live.wantsPump && !live.makeMark && !live.fetch && live.pending.length === 0 && isQuiet(live)) {
        live.phase = 'live';
        live.deadline = undefined;
        behind.delete(live);
        continue;
      }
      task(live, async () => {
        if (live.phase === 'subscribing') {
          const stored = await readConversation(database, live.conversation);
          // Without a slot or a place there is nothing to go on; STATE must come.
          if (!stored || stored.slot === 0 || stored.lineage !== lineage) return;
          live.phase = 'live';
        }
        await goOn(live);
      });
    }
    changed();
  }

  async function goOn(live: Live): Promise<void> {
    if (live.cursor >= live.head && !live.isAsking && !live.inFlight && !live.isSlotRequested && live.phase === 'live') live.deadline = undefined;
    if (live.phase !== 'live') return changed(live);
    live.wantsPump = false;
    await sender.changeSlot(live);
    await sender.pump(live);
    await receiver.pumpMark(live);
    sendFetch(live);
    changed(live);
  }

  // ---- Frames ----------------------------------------------------------------------------------

  function dispatch(frame: DownFrame): void {
    switch (frame.type) {
      case 'accountMoved': return events.accountMoved(frame.account, frame.height);
      case 'membershipMoved': return events.membershipMoved(frame.membershipVersion);
      case 'profileMoved': return events.profileMoved(frame.account);
      case 'welcome':
      case 'pong': return;
      default: {
        const live = byHandle[frame.h];
        if (live && !live.isRemoved) ofLive(live, frame);
      }
    }
  }

  function ofLive(live: Live, frame: Extract<DownFrame, { readonly h: number }>): void {
    if (live.deadline !== undefined) live.deadline = clock.now() + answerTimeoutMs;
    switch (frame.type) {
      case 'eph': return events.ephemeral(live.conversation, frame.slot, frame.sealed);
      case 'groupMoved': return events.groupMoved(live.conversation, frame.logHeight);
      case 'rows': return rows(live, frame);
      case 'state':
        live.hasState = true;
        return task(live, () => onState(live, frame));
      case 'ack': return task(live, () => sender.onAck(live, frame));
      case 'nack': return task(live, () => sender.onNack(live, frame));
      case 'marks': return task(live, () => receiver.onMarks(live, frame.marks));
      case 'purge': return task(live, () => receiver.onPurge(live, frame));
      case 'seg': return task(live, () => segments.onSeg(live, frame));
      case 'notMember': return task(live, async () => {
        live.phase = 'not-member';
        live.deadline = undefined;
        live.fetch?.done({ ok: false, error: 'not-member' });
        live.fetch = undefined;
        events.notMember(live.conversation);
        changed(live);
      });
    }
  }

  function rows(live: Live, frame: DownFrameOf<'rows'>): void {
    const isFirst = live.pending.length === 0;
    if (live.pendingCount + frame.rows.length > pendingRowsMax) return; // a hole, asked for when the rest is saved
    live.pending.push(frame.rows);
    live.pendingCount += frame.rows.length;
    if (isFirst) task(live, () => receiver.onRows(live));
  }

  async function onState(live: Live, frame: DownFrameOf<'state'>): Promise<void> {
    const { conversation } = live;
    const before = await database.read(['conversations', 'outbox'], async (tx) => ({
      stored: await tx.get('conversations', conversation),
      waiting: (await readUnacknowledged(tx, conversation, 0, 1))[0]?.ctr,
    }));
    if (!before.stored || !context.isCurrent(live)) return;
    live.isAsking = false;
    live.openSeg = Math.max(live.openSeg, frame.openSeg);
    // Of another history the same height says nothing.
    if (before.stored.lineage !== lineage && before.stored.lineage !== '') events.groupMoved(conversation, undefined);
    else if (frame.logHeight !== before.stored.logHeight) events.groupMoved(conversation, frame.logHeight);
    if (live.phase === 'comparing') return;
    const stored = before.stored.lineage === '' ? await begin(live, frame) : before.stored;
    if (!stored || !context.isCurrent(live)) return;
    const unacknowledged = before.waiting ?? stored.nextCtr;
    const isOurSlot = frame.slot === stored.slot;
    // The server has less than it had. One answer may be older than what we heard since, so we look before we believe.
    const isBehind = frame.head < stored.cursor || (isOurSlot && frame.nextCtr < unacknowledged && !live.hasCompared && !live.inFlight);
    if (stored.lineage !== lineage || (isBehind && !(live.hasCompared && frame.head < live.head))) return comparer.start(live, frame, false);
    live.phase = 'live';
    live.cursor = stored.cursor;
    live.head = Math.max(live.head, frame.head);
    if (live.cursor < live.head) expect(live);
    // Slots only grow: a lower one is an answer from before.
    if (frame.slot !== 0 && frame.slot >= stored.slot) await onSlot(live, stored, frame, unacknowledged);
    await goOn(live);
  }

  /** A conversation new on this device begins at the head; older rows are fetched when somebody looks. */
  async function begin(live: Live, frame: DownFrameOf<'state'>): Promise<StoredConversation | undefined> {
    return database.write(['conversations'], async (tx) => {
      const stored = await tx.get('conversations', live.conversation);
      if (!stored) return undefined;
      const begun = { ...stored, cursor: frame.head, low: frame.head + 1, lineage };
      await tx.put('conversations', live.conversation, begun);
      return begun;
    });
  }

  async function onSlot(live: Live, stored: StoredConversation, { slot, nextCtr, head }: DownFrameOf<'state'>, unacknowledged: number): Promise<void> {
    if (stored.slot === 0) {
      // Entries in a slot that is new to us: this device was here before and lost what it knew.
      if (nextCtr > 0) return sender.requestSlot(live, slot);
      await database.write(['conversations'], async (tx) => {
        const now = await tx.get('conversations', live.conversation);
        if (now?.slot === 0) await tx.put('conversations', live.conversation, { ...now, slot, firstSlot: now.firstSlot ?? slot });
      });
      live.isSlotRequested = false;
    } else if (slot !== stored.slot) {
      live.slotChange = { slot, nextCtr, head };
    } else if (nextCtr > stored.sealedCtr) {
      events.forked(live.conversation, { slot, ctr: stored.sealedCtr });
      sender.requestSlot(live, slot);
    } else {
      // An ACK was lost: the rows tell which of our entries are there.
      if (nextCtr > unacknowledged) live.sendAfter = head;
      if (live.isSlotRequested && !live.slotChange) sender.requestSlot(live, slot);
    }
  }

  // ---- Unanswered questions --------------------------------------------------------------------

  function expect(live: Live): void {
    live.deadline = clock.now() + answerTimeoutMs;
    cancelWatch ??= timers.after(answerTimeoutMs, watch);
  }

  function watch(): void {
    cancelWatch = undefined;
    const now = clock.now();
    const late: Live[] = [];
    let next = Infinity;
    for (const live of lives.values()) {
      if (live.deadline === undefined || live.h === undefined || live.phase === 'not-member') continue;
      const isOpen = live.phase !== 'live' || live.isAsking || live.inFlight || live.isSlotRequested || live.slotChange || live.fetch || live.cursor < live.head;
      if (!isOpen) live.deadline = undefined;
      else if (live.deadline <= now) late.push(live);
      else next = Math.min(next, live.deadline);
    }
    // An answer names no PUT: coming late it would be taken for that of the next, so none may come.
    if (late.some((live) => live.inFlight)) return connection.redial();
    for (const live of late) {
      live.isAsking = false;
      live.needsNewSlot ||= live.isSlotRequested && !live.slotChange;
      live.isSlotRequested = false;
      if (live.phase === 'comparing') live.phase = 'subscribing';
      live.compare = undefined;
      live.hasCompared = false;
      if (live.fetch) live.fetch.from = undefined;
    }
    if (late.length > 0) {
      next = Math.min(next, now + answerTimeoutMs);
      void run(() => subscribe(late));
    }
    if (next < Infinity) cancelWatch ??= timers.after(Math.max(0, next - now), watch);
  }

  // ---- What is shown ---------------------------------------------------------------------------

  function changed(live?: Live): void {
    if (live && isBehind(live) && !live.isRemoved) behind.add(live);
    else if (live) behind.delete(live);
    const { state, retryAt } = connection.state();
    const next: ConnectionState = { state: state === 'online' && behind.size > 0 ? 'catching-up' : state, retryAt };
    if (next.state === shown.state && next.retryAt === shown.retryAt) return;
    shown = next;
    events.connection(next);
  }

  // ---- What the app asks -----------------------------------------------------------------------

  function sendFetch(live: Live): void {
    const { fetch } = live;
    if (!fetch || fetch.kind !== 'older' || fetch.from !== undefined || live.phase !== 'live') return;
    task(live, async () => {
      const stored = await readConversation(database, live.conversation);
      if (!stored || live.fetch !== fetch || live.h === undefined) return;
      if (stored.low <= 1) {
        live.fetch = undefined;
        return fetch.done({ ok: true, value: { loaded: 0, low: 1 } });
      }
      fetch.from = stored.low - 1;
      connection.send({ type: 'fetch', h: live.h, fromSeq: fetch.from, count: Math.min(fetch.count, limits.fetchRowsMax, fetch.from), direction: 'backward' });
      expect(live);
    });
  }

  function pumpSoon(conversation: ConversationId): void {
    const live = lives.get(conversation);
    if (!live) return;
    live.wantsPump = true;
    task(live, () => goOn(live));
  }

  return {
    start: connection.start,
    async stop() {
      isStopped = true;
      connection.stop();
      segments.stop();
      await idle();
    },
    poke() {
      for (const live of lives.values()) if (live.hold) sender.release(live);
      connection.poke();
    },
    async addConversations(ids) {
      const fresh = ids.filter((id) => !lives.has(id) || lives.get(id)!.phase === 'not-member');
      if (fresh.length === 0) return;
      await database.write(['conversations'], async (tx) => {
        for (const id of fresh) if (!(await tx.get('conversations', id))) await tx.put('conversations', id, newConversation(id));
      });
      const added: Live[] = [];
      for (const id of fresh) {
        const live = lives.get(id) ?? createLive(id);
        lives.set(id, live);
        added.push(live);
      }
      if (connection.isUp()) await run(() => subscribe(added));
    },
    async removeConversation(id) {
      const live = lives.get(id);
      if (!live) return;
      live.isRemoved = true;
      lives.delete(id);
      if (live.h !== undefined) connection.send({ type: 'unsub', h: live.h } satisfies UpFrame);
      if (live.h !== undefined) byHandle[live.h] = undefined;
      resetLive(live);
      changed(live);
      await live.queue.idle();
    },
    async enqueue(conversation, input, extra) {
      const entry = await enqueue(database, conversation, input, extra);
      pumpSoon(conversation);
      return entry;
    },
    replaceWaiting: (conversation, ctr, sealedEvent, extra) => replaceWaiting(database, conversation, ctr, sealedEvent, extra),
    withdraw: (conversation, ctr, emptyEvent, extra) => replaceWaiting(database, conversation, ctr, emptyEvent, extra),
    async retry(conversation, refused, extra) {
      const entry = await retryRefused(database, conversation, refused, extra);
      pumpSoon(conversation);
      return entry;
    },
    dropRefused: (conversation, { slot, ctr }) => database.write(['refused'], (tx) => tx.delete('refused', [conversation, slot, ctr])),
    async refuseWaiting(conversation, why) {
      const ctrs = await database.read(['outbox'], async (tx) =>
        (await tx.getAll('outbox', { range: ofConversation(conversation) })).filter((entry) => entry.acknowledgedSeq === undefined && entry.sealedEvent.length > 0).map((entry) => entry.ctr));
      if (ctrs.length === 0 || (await refuse(database, conversation, ctrs, why)) === 'stuck') return;
      for (const ctr of ctrs) events.refused(conversation, ctr, why);
    },
    groupRefreshed(conversation) {
      const live = lives.get(conversation);
      if (live) sender.release(live);
    },
    async groupFollowed(heights) {
      await database.write(['conversations'], async (tx) => {
        for (const [conversation, logHeight] of heights) {
          const stored = await tx.get('conversations', conversation);
          if (stored && stored.logHeight !== logHeight) await tx.put('conversations', conversation, { ...stored, logHeight });
        }
      });
    },
    async fetchOlder(conversation, count) {
      const live = lives.get(conversation);
      assert(live && count > 0, 'older rows are fetched of a conversation that is added');
      if (!connection.isUp()) return { ok: false, error: 'offline' };
      if (live.phase === 'not-member') return { ok: false, error: 'not-member' };
      if (live.fetch?.kind === 'check') {
        live.fetch = undefined;
        live.check = undefined;
      }
      live.fetch ??= newFetch('older', count);
      const { answer } = live.fetch;
      sendFetch(live);
      return answer;
    },
    mark(conversation, make) {
      const live = lives.get(conversation);
      if (!live) return;
      live.makeMark = make;
      task(live, () => receiver.pumpMark(live));
    },
    sendEphemeral(conversation, sealed) {
      const live = lives.get(conversation);
      if (live?.phase === 'live' && live.h !== undefined) connection.send({ type: 'eph', h: live.h, sealed });
    },
    async waiting() {
      const byConversation = new Map<ConversationId, number>();
      const keys = await database.read(['outbox'], (tx) => tx.getAllKeys('outbox'));
      for (const [conversation] of keys) byConversation.set(conversation, (byConversation.get(conversation) ?? 0) + 1);
      return { total: keys.length, byConversation };
    },
    connection: () => shown,
    async compact(conversation) {
      const live = lives.get(conversation);
      if (live) await run(() => live.queue.run(async () => void (await segments.compact(live))));
    },
    idle,
  };
}

function isBehind(live: Live): boolean {
  return live.phase === 'subscribing' || live.phase === 'comparing' || (live.phase === 'live' && live.cursor < live.head);
}
