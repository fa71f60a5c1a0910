/**
 * What sync's tests play against: virtual time, a wire that delivers when told, a server of a hundred
 * lines that keeps the protocol's promises, and a device with a toy cipher that notices replaced bytes.
 */
import { createHash } from 'node:crypto';
import { decodeUpFrame, encodeDownFrame, type DownFrame, type UpFrame, type UpFrameOf } from '#lib/protocol/frame.ts';
import { nackCodes, type NackName } from '#lib/protocol/codes.ts';
import type { ConversationId, EntryId, Lineage } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { encodeSegment } from '#lib/protocol/segment.ts';
import { bytesToHex, bytesToText, concatBytes, equalBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok } from '#lib/std/result.ts';
import type { Random } from '#lib/std/random.ts';
import { openMemoryDatabase, type MemoryDatabase, type MemoryDatabaseOptions } from '#lib/storage/memory.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import { ofConversation } from '#lib/storage/keys.ts';
import type { StoredOutbox, StoredRow } from '#lib/storage/schema.ts';
import { openSync } from './sync.ts';
import type { LinkHandlers, Seal, Sync, SyncDeps, SyncEvents } from './types.ts';

export const chatA = 'AAAAAAAAAAAAAAAAAAAAAA' as ConversationId;
export const chatB = 'BBBBBBBBBBBBBBBBBBBBBA' as ConversationId;
export const lineage1 = 'LLLLLLLLLLLLLLLLLLLLLA' as Lineage;
export const lineage2 = 'MMMMMMMMMMMMMMMMMMMMMA' as Lineage;
export const otherSlot = 900;

export const sha256 = (bytes: Uint8Array): Bytes => new Uint8Array(createHash('sha256').update(bytes).digest());

// ---- Time ------------------------------------------------------------------------------------

export function createTime() {
  let now = 1_700_000_000_000;
  let timers: { at: number; task: () => void }[] = [];
  return {
    clock: { now: () => now },
    timers: {
      after(ms: number, task: () => void) {
        const timer = { at: now + ms, task };
        timers.push(timer);
        return () => { timers = timers.filter((other) => other !== timer); };
      },
    },
    /** Runs what falls due on the way, letting everything settle in between. */
    async advance(ms: number, settle: () => Promise<void>) {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((other) => other !== next);
        now = Math.max(now, next.at);
        next.task();
      }
      now = end;
      await settle();
    },
    pending: () => timers.length,
  };
}

// ---- The toy cipher --------------------------------------------------------------------------

let sealings = 0;

/** No two sealings share bytes, as with real nonces and signatures. */
export function sealText(text: string, slot: number, ctr: number, chain: Uint8Array, epoch = 0): { envelope: Bytes; chain: Bytes } {
  const body = textToBytes(JSON.stringify({ slot, ctr, prev: bytesToHex(chain).slice(0, 8), text, epoch, n: (sealings += 1) }));
  return { envelope: concatBytes(body, new Uint8Array(Math.max(0, 96 - body.length)).fill(32)), chain: sha256(body) };
}

export function openEnvelope(envelope: Uint8Array): { slot: number; ctr: number; prev: string; text: string; epoch: number } {
  return JSON.parse(bytesToText(envelope)!.trimEnd());
}

// ---- The server ------------------------------------------------------------------------------

export interface ServerConversation {
  rows: Row[];
  slot: number;
  nextSlot: number;
  nextCtr: number;
  logHeight: number;
  perSegment: number;
  isMember: boolean;
}

export function createServer() {
  const conversations = new Map<ConversationId, ServerConversation>();
  const received: UpFrame[] = [];
  let lineage = lineage1;
  let up: { handlers: LinkHandlers; handles: Map<number, { conversation: ConversationId; sent: number }> } | undefined;
  let wire: (() => void)[] = [];
  let isDead = false;
  let refusal: ((frame: UpFrameOf<'put'>, conversation: ConversationId) => NackName | 'silence' | undefined) | undefined;
  let filter: ((frame: DownFrame) => DownFrame | readonly DownFrame[] | undefined) | undefined;
  let rt = 1_700_000_000_000;
  let connects = 0;
  const marks: { slot: number; markCtr: number; rt: number; sealed: Bytes }[] = [];

  function of(conversation: ConversationId): ServerConversation {
    let found = conversations.get(conversation);
    if (!found) conversations.set(conversation, (found = { rows: [], slot: 0, nextSlot: 1, nextCtr: 0, logHeight: 0, perSegment: 256, isMember: true }));
    return found;
  }

  function say(frame: DownFrame): void {
    const mine = up;
    const answer = filter ? filter(frame) : frame;
    for (const each of answer === undefined ? [] : Array.isArray(answer) ? answer : [answer as DownFrame]) {
      wire.push(() => void (mine === up && !isDead && up?.handlers.onFrame(encodeDownFrame(each))));
    }
  }

  function place(chat: ServerConversation, slot: number, ctr: number, envelope: Bytes | undefined): Row {
    const seq = chat.rows.length + 1;
    const seg = Math.floor((seq - 1) / chat.perSegment);
    const clock = chat.rows.filter((row) => row.seg === seg && row.slot === slot).length;
    const row = { seq, seg, slot, clock, ctr, rt: (rt += 1), envelope };
    chat.rows.push(row);
    return row;
  }

  function deliver(conversation: ConversationId): void {
    for (const [h, sub] of up?.handles ?? []) {
      if (sub.conversation !== conversation) continue;
      const { rows } = of(conversation);
      while (sub.sent < rows.length) {
        const batch = rows.slice(sub.sent, sub.sent + 64);
        sub.sent += batch.length;
        say({ type: 'rows', h, rows: batch });
      }
    }
  }

  function state(h: number, chat: ServerConversation): void {
    say({ type: 'state', h, head: chat.rows.length, slot: chat.slot, nextCtr: chat.nextCtr, openSeg: chat.rows.at(-1)?.seg ?? 0, logHeight: chat.logHeight, serverTime: rt });
  }

  function on(frame: UpFrame): void {
    received.push(frame);
    switch (frame.type) {
      case 'hello': return say({ type: 'welcome', lineage, serverTime: rt, membershipVersion: 1, accountHeight: 0 });
      case 'sub':
        for (const item of frame.items) {
          const chat = of(item.conversation);
          if (!chat.isMember) { say({ type: 'notMember', h: item.h }); continue; }
          if (chat.slot === 0) chat.slot = chat.nextSlot++;
          const head = chat.rows.length;
          if (item.slot === 0 || item.cursor !== head || item.logHeight !== chat.logHeight) state(item.h, chat);
          up!.handles.set(item.h, { conversation: item.conversation, sent: Math.min(item.cursor ?? head, head) });
          claimed.set(item.conversation, item.slot || chat.slot);
          deliver(item.conversation);
        }
        return;
      case 'ping': return say({ type: 'pong', nonce: frame.nonce, serverTime: rt });
      default:
    }
    const sub = up!.handles.get('h' in frame ? frame.h : -1);
    if (!sub) return;
    const chat = of(sub.conversation);
    switch (frame.type) {
      case 'put': {
        const no = refusal?.(frame, sub.conversation);
        if (no === 'silence') return;
        const nack = (name: NackName) => say({ type: 'nack', h: frame.h, code: nackCodes[name].code, nextCtr: chat.nextCtr });
        if (no) return nack(no);
        if (claimed.get(sub.conversation) !== chat.slot) { state(frame.h, chat); return nack('NO_SLOT'); }
        if (frame.ctr0 > chat.nextCtr) return nack('GAP');
        const known = frame.envelopes.map((_, i) => chat.rows.find((row) => row.slot === chat.slot && row.ctr === frame.ctr0 + i));
        if (known.some((row, i) => row?.envelope && !equalBytes(row.envelope, frame.envelopes[i]!))) return nack('FORK');
        const places = frame.envelopes.map((envelope, i) => known[i] ?? place(chat, chat.slot, frame.ctr0 + i, envelope));
        chat.nextCtr = Math.max(chat.nextCtr, frame.ctr0 + frame.envelopes.length);
        say({ type: 'ack', h: frame.h, nextCtr: chat.nextCtr, firstSeq: places[0]!.seq, count: places.length, rt });
        return deliver(sub.conversation);
      }
      case 'newSlot':
        if (frame.from === chat.slot) { chat.slot = chat.nextSlot++; chat.nextCtr = 0; }
        claimed.set(sub.conversation, chat.slot);
        return state(frame.h, chat);
      case 'fetch': {
        const rows = frame.direction === 'backward' ? chat.rows.filter((row) => row.seq <= frame.fromSeq).slice(-frame.count) : chat.rows.filter((row) => row.seq >= frame.fromSeq).slice(0, frame.count);
        return say({ type: 'rows', h: frame.h, rows });
      }
      case 'mark': {
        const mark = { slot: chat.slot, markCtr: frame.markCtr, rt: (rt += 1), sealed: frame.sealed };
        const best = marks.find((other) => other.slot === mark.slot && other.markCtr >= mark.markCtr);
        if (!best) marks.push(mark);
        return say({ type: 'marks', h: frame.h, marks: [best ?? mark] });
      }
      case 'seg': {
        const rows = chat.rows.filter((row) => row.seg === frame.seg);
        return say({ type: 'seg', h: frame.h, seg: frame.seg, generation: 0, firstSeq: rows[0]?.seq ?? 0, lastSeq: rows.at(-1)?.seq ?? 0, digest: sha256(encodeSegment(rows)), blob: undefined });
      }
      case 'unsub': return void up!.handles.delete(frame.h);
      default:
    }
  }

  const claimed = new Map<ConversationId, number>();

  return {
    of, received, marks,
    link: {
      connect(handlers: LinkHandlers) {
        connects += 1;
        const mine = { handlers, handles: new Map() };
        up = mine;
        wire.push(() => {
          if (isDead) { if (mine === up) up = undefined; handlers.onClose(1006, ''); } else if (mine === up) handlers.onOpen();
        });
        return {
          send(bytes: Bytes) {
            const decoded = decodeUpFrame(bytes);
            if (!decoded.ok) throw new Error(`the device sent a bad frame: ${decoded.error}`);
            wire.push(() => void (mine === up && !isDead && on(decoded.value)));
          },
          close() { if (mine === up) up = undefined; },
        };
      },
    },
    connects: () => connects,
    isUp: () => up !== undefined,
    handleOf: (conversation: ConversationId) => [...(up?.handles ?? [])].find(([, sub]) => sub.conversation === conversation)?.[0],
    say,
    sayBytes(bytes: Uint8Array) { wire.push(() => void up?.handlers.onFrame(bytes)); },
    deliver,
    /** Everybody else writes. */
    post(conversation: ConversationId, ...texts: string[]) {
      const chat = of(conversation);
      for (const text of texts) place(chat, otherSlot, chat.rows.filter((row) => row.slot === otherSlot).length, sealText(text, otherSlot, 0, new Uint8Array(32)).envelope);
      deliver(conversation);
    },
    forge: (conversation: ConversationId, slot: number, ctr: number, envelope: Bytes) => { place(of(conversation), slot, ctr, envelope); deliver(conversation); },
    refuse(next: typeof refusal) { refusal = next; },
    tamper(next: typeof filter) { filter = next; },
    cut(code = 1006) {
      const { handlers } = up ?? {};
      up = undefined;
      wire = [];
      handlers?.onClose(code, '');
    },
    /** Sockets stay open and nothing gets through. */
    setDead(dead: boolean) { isDead = dead; },
    setLineage(next: Lineage) { lineage = next; },
    hasWork: () => wire.length > 0,
    step() { wire.shift()?.(); },
  };
}

export type FakeServer = ReturnType<typeof createServer>;

// ---- The device ------------------------------------------------------------------------------

const random: Random = { bytes: (size) => new Uint8Array(size), fraction: () => 0.5 };

export interface DeviceOptions {
  readonly server: FakeServer;
  readonly time: ReturnType<typeof createTime>;
  readonly database?: MemoryDatabase;
  readonly databaseOptions?: MemoryDatabaseOptions;
  readonly deps?: Partial<Omit<SyncDeps, 'events'>>;
  readonly events?: Partial<SyncEvents>;
  readonly token?: SyncDeps['token'];
}

export function createSeal(epoch: () => number = () => 0): Seal {
  return async (_conversation, records, { slot, ctr, chain }) => {
    let prev: Bytes = chain;
    return ok(records.map((record, i) => {
      const sealed = sealText(record.sealedEvent.length === 0 ? '(empty)' : bytesToText(record.sealedEvent)!, slot, ctr + i, prev, epoch());
      prev = sealed.chain;
      return sealed;
    }));
  };
}

export async function createDevice({ server, time, database = openMemoryDatabase(), deps, events, token }: DeviceOptions) {
  const told: [name: string, ...args: unknown[]][] = [];
  const allEvents = new Proxy({} as SyncEvents, {
    get: (_, name: string) => (...args: unknown[]) => {
      told.push([name, ...args]);
      (events as Record<string, ((...args: unknown[]) => void) | undefined> | undefined)?.[name]?.(...args);
    },
  });
  const ingested: Row[] = [];
  const sync: Sync = openSync({
    database, clock: time.clock, timers: time.timers, random, link: server.link, token: token ?? (async () => ok('token')),
    async ingest(_conversation, rows) {
      ingested.push(...rows);
      return { stored: rows.map((row): StoredRow => ({ ...row, check: 'ok' })) };
    },
    seal: createSeal(), digest: async (bytes) => sha256(bytes), ...deps, events: allEvents,
  });

  async function settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise(setImmediate);
      await sync.idle();
      if (server.hasWork()) {
        server.step();
        quiet = 0;
      } else quiet += 1;
    }
  }

  const device = {
    sync, database, told, ingested, settle,
    advance: (ms: number) => time.advance(ms, settle),
    write: (conversation: ConversationId, text: string, replaces?: EntryId) =>
      sync.enqueue(conversation, { sealedEvent: textToBytes(text), createdAt: time.clock.now(), ...(replaces && { replaces }) }),
    stored: (conversation: ConversationId) => database.read(['conversations'], (tx) => tx.get('conversations', conversation)).then((place) => place!),
    rows: (conversation: ConversationId) => database.read([...rowStores], (tx) => readRows(tx, conversation, 0, Infinity)),
    texts: async (conversation: ConversationId) => (await device.rows(conversation)).map((row) => (row.envelope ? openEnvelope(row.envelope).text : '(purged)')),
    outbox: (conversation: ConversationId): Promise<StoredOutbox[]> => database.read(['outbox'], (tx) => tx.getAll('outbox', { range: ofConversation(conversation) })),
    named: (name: keyof SyncEvents) => told.filter(([each]) => each === name).map(([, ...args]) => args),
  };
  return device;
}

export type Device = Awaited<ReturnType<typeof createDevice>>;

export const offline: SyncDeps['token'] = async () => err('offline');

/** A device in these chats, connected and settled. */
export async function createWorld(options: Partial<DeviceOptions> & { readonly chats?: readonly ConversationId[] } = {}) {
  const time = options.time ?? createTime();
  const server = options.server ?? createServer();
  const device = await createDevice({ ...options, server, time });
  await device.sync.addConversations(options.chats ?? [chatA]);
  device.sync.start();
  await device.settle();
  return { time, server, device };
}

/** The same device after a crash: what was committed, and nothing else. */
export async function restart(device: Device, options: Omit<DeviceOptions, 'database'> & { readonly chats?: readonly ConversationId[] }): Promise<Device> {
  const snapshot = device.database.snapshot();
  void device.sync.stop();
  options.server.cut();
  const next = await createDevice({ ...options, database: openMemoryDatabase({ from: snapshot }) });
  await next.sync.addConversations(options.chats ?? [chatA]);
  next.sync.start();
  await next.settle();
  return next;
}

/** Texts the server keeps, in order. */
export function serverTexts(server: FakeServer, conversation: ConversationId): string[] {
  return server.of(conversation).rows.map((row) => (row.envelope ? openEnvelope(row.envelope).text : '(purged)'));
}
