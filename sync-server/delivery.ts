/**
 * Brings the rows of each conversation to one connection, in order and without gaps.
 *
 * `sent` is the newest seq this client was given; only `sent + 1` may follow [SY8]. Rows that come
 * over the bus in step go out at the end of the turn as one frame per conversation [SY10]; at a hole, or
 * when the client is behind, the store is read in pages. Nothing is read or queued for a client that
 * does not read its socket [SY11]: `resume` goes on where it stopped.
 */
import { encodeDownFrame } from '#lib/protocol/frame.ts';
import { varUintSize, writeVarUint } from '#lib/protocol/varuint.ts';
import { assert } from '#lib/std/assert.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { LogStore, MarkRow } from '#lib/server/store/port.ts';
import type { Fanout } from './fanout.ts';
import type { ConnectionLimits } from './types.ts';

/** One conversation on one connection. */
export interface Subscription {
  readonly h: number;
  readonly conversation: ConversationId;
  /** The newest seq known to exist. */
  head: number;
  /** The newest seq this client was given, or said it has. */
  sent: number;
  openSeg: number;
  logHeight: number;
  /** The slot the client seals for; its PUTs count for no other. */
  claimedSlot: number;
  /** The device's live slot; undefined until something asks for it. */
  slot: number | undefined;
  nextCtr: number;
  /** The newest mark given to this client. */
  marksRt: number;
  activeAt: number;
  /** Above 0 nothing is sent: the position or the membership is being settled. */
  holds: number;
  /** The membership check under way. */
  check: Promise<void> | undefined;
  isReading: boolean;
  isGone: boolean;
  /** PUTs and slot changes, running and waiting, and the last of them. */
  writes: number;
  lastWrite: Promise<void> | undefined;
  /** Stops listening to a large conversation's own channel. */
  stopListening: (() => void) | undefined;
  pendingRows: (readonly Row[])[] | undefined;
  pendingPurges: PurgeEntry[] | undefined;
  pendingMarks: Map<number, MarkRow> | undefined;
}

export interface PurgeEntry {
  readonly seq: number;
  readonly slot: number;
  readonly ctr: number;
  readonly requestSeq: number;
}

export interface Delivery {
  /** Rows up to `head` exist; some of them are here. */
  readonly rows: (sub: Subscription, head: number, rows: readonly Row[] | undefined) => void;
  readonly purges: (sub: Subscription, entries: readonly PurgeEntry[]) => void;
  readonly marks: (sub: Subscription, marks: readonly MarkRow[]) => void;
  /** A hold was taken off, or a position set: goes on from `sent`. */
  readonly proceed: (sub: Subscription) => void;
  /** The socket's queue has emptied. */
  readonly resume: () => void;
  readonly sendRows: (sub: Subscription, rows: readonly Row[]) => void;
}

export interface DeliveryDeps {
  readonly store: Pick<LogStore, 'rowsAfter'>;
  readonly fanout: Pick<Fanout, 'encodeRows'>;
  readonly send: (frame: Uint8Array) => void;
  readonly isCongested: () => boolean;
  readonly defer: (task: () => void) => void;
  /** Runs a task whose failure is a fault of ours. */
  readonly run: (doing: string, task: () => Promise<void>) => void;
  readonly limits: ConnectionLimits;
}

/** Marks of one frame: at most 512 sealed bytes and 20 of numbers each. */
const marksPerFrame = 200;
const purgesPerFrame = 64;

export function createDelivery({ store, fanout, send, isCongested, defer, run, limits }: DeliveryDeps): Delivery {
  const dirty = new Set<Subscription>();
  /** Behind the store's head, in the order they are served. */
  const behind = new Set<Subscription>();
  const marksHeldBack = new Set<Subscription>();
  let reads = 0;
  let isPlanned = false;

  function touch(sub: Subscription): void {
    dirty.add(sub);
    if (isPlanned) return;
    isPlanned = true;
    defer(flush);
  }

  function flush(): void {
    isPlanned = false;
    const now = [...dirty];
    dirty.clear();
    for (const sub of now) flushOne(sub);
    readOn();
  }

  function flushOne(sub: Subscription): void {
    const batches = sub.pendingRows;
    sub.pendingRows = undefined;
    if (sub.isGone || sub.holds > 0) return;
    if (batches && !sub.isReading && !isCongested()) sendInStep(sub, batches);
    if (sub.sent < sub.head) behind.add(sub);
    flushPurges(sub);
    flushMarks(sub);
  }

  function sendInStep(sub: Subscription, batches: (readonly Row[])[]): void {
    const inStep = joinBatches(batches, sub.sent + 1);
    if (inStep.length > 0) sendRows(sub, inStep);
    const last = inStep.at(-1);
    if (last) sub.sent = last.seq;
  }

  /** A purge always comes with the later row that asked for it, so these frames may be left out [SY14]. */
  function flushPurges(sub: Subscription): void {
    const purges = sub.pendingPurges;
    sub.pendingPurges = undefined;
    if (!purges || isCongested()) return;
    for (const [requestSeq, entries] of Map.groupBy(purges, (purge) => purge.requestSeq)) {
      for (let i = 0; i < entries.length; i += purgesPerFrame) {
        send(encodeDownFrame({ type: 'purge', h: sub.h, entries: entries.slice(i, i + purgesPerFrame), requestSeq }));
      }
    }
  }

  /** While the socket is not read from they wait, the newest of each slot only. */
  function flushMarks(sub: Subscription): void {
    if (!sub.pendingMarks) return;
    if (isCongested()) return void marksHeldBack.add(sub);
    const marks = [...sub.pendingMarks.values()];
    sub.pendingMarks = undefined;
    for (let i = 0; i < marks.length; i += marksPerFrame) send(encodeDownFrame({ type: 'marks', h: sub.h, marks: marks.slice(i, i + marksPerFrame) }));
    for (const mark of marks) if (mark.rt > sub.marksRt) sub.marksRt = mark.rt;
  }

  function readOn(): void {
    while (reads < limits.readsAtOnce && behind.size > 0 && !isCongested()) {
      const sub = behind.values().next().value!;
      behind.delete(sub);
      if (sub.isGone || sub.isReading || sub.holds > 0 || sub.sent >= sub.head) continue;
      reads += 1;
      sub.isReading = true;
      run('reading rows for a client that is behind', () => readPage(sub));
    }
  }

  async function readPage(sub: Subscription): Promise<void> {
    const from = sub.sent;
    let page: readonly Row[];
    try {
      page = await store.rowsAfter(sub.conversation, from, limits.rowsPerFrame, limits.rowBytesPerFrame);
    } finally {
      reads -= 1;
      sub.isReading = false;
    }
    // Meanwhile the client may have left or taken another position: then this page is not its next.
    if (!sub.isGone && sub.holds === 0 && sub.sent === from) {
      if (page.length === 0) sub.head = from; // the hint ran ahead of the store; the next one corrects it
      else sendRows(sub, page);
      sub.sent = page.at(-1)?.seq ?? from;
    }
    if (!sub.isGone && sub.sent < sub.head) behind.add(sub);
    readOn();
  }

  function sendRows(sub: Subscription, rows: readonly Row[]): void {
    for (const chunk of chunkRows(rows, limits)) send(rowsFrame(sub.h, fanout.encodeRows(sub.conversation, chunk)));
  }

  return {
    rows(sub, head, rows) {
      if (head > sub.head) sub.head = head;
      if (rows && rows.length > 0) (sub.pendingRows ??= []).push(rows);
      touch(sub);
    },
    purges(sub, entries) {
      (sub.pendingPurges ??= []).push(...entries);
      touch(sub);
    },
    marks(sub, marks) {
      const pending = (sub.pendingMarks ??= new Map());
      for (const mark of marks) {
        const known = pending.get(mark.slot);
        if (!known || known.markCtr < mark.markCtr) pending.set(mark.slot, mark);
      }
      touch(sub);
    },
    proceed: touch,
    resume() {
      for (const sub of marksHeldBack) touch(sub);
      marksHeldBack.clear();
      readOn();
    },
    sendRows,
  };
}

/** The rows that follow on from `next` without a hole, out of batches in any order that may overlap. */
function joinBatches(batches: (readonly Row[])[], next: number): readonly Row[] {
  if (batches.length === 1 && batches[0]![0]!.seq === next) return batches[0]!;
  batches.sort((a, b) => a[0]!.seq - b[0]!.seq);
  const out: Row[] = [];
  for (const batch of batches) {
    const first = batch[0]!.seq;
    const wanted = next + out.length;
    if (first > wanted) break;
    for (let i = wanted - first; i < batch.length; i++) out.push(batch[i]!);
  }
  return out;
}

/** Runs of rows within the bounds of one frame. */
function* chunkRows(rows: readonly Row[], { rowsPerFrame, rowBytesPerFrame }: ConnectionLimits): Generator<readonly Row[]> {
  let from = 0;
  let size = 0;
  for (let i = 0; i < rows.length; i++) {
    assert(i === 0 || rows[i]!.seq === rows[i - 1]!.seq + 1, 'rows leave without a gap');
    const rowSize = rows[i]!.envelope?.length ?? 0;
    if (i > from && (i - from >= rowsPerFrame || size + rowSize > rowBytesPerFrame)) {
      yield rows.slice(from, i);
      from = i;
      size = 0;
    }
    size += rowSize;
  }
  if (from < rows.length) yield from === 0 ? rows : rows.slice(from);
}

const rowsType = 0x83;

/** `encodeDownFrame({ type: 'rows', … })` with the rows' bytes already made; a test holds the two equal. */
export function rowsFrame(h: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + varUintSize(h) + body.length);
  frame[0] = rowsType;
  frame.set(body, writeVarUint(frame, 1, h));
  return frame;
}
