/**
 * What sync knows of one conversation while it runs. Everything here may be lost at any moment: what
 * must survive is in the database, and a new connection begins with an empty one of these.
 */
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import { createSerialQueue, type SerialQueue } from '#lib/std/queue.ts';
import type { Result } from '#lib/std/result.ts';

export interface Live {
  readonly conversation: ConversationId;
  /** One piece of work at a time, in the order frames came. Other conversations do not wait. */
  readonly queue: SerialQueue;
  isRemoved: boolean;
  /** Its number on this connection. */
  h: number | undefined;
  phase: 'down' | 'subscribing' | 'live' | 'comparing' | 'not-member';
  /** The connection the present piece of work belongs to. */
  session: number;
  /** STATE has come since the last SUB. */
  hasState: boolean;
  /** A SUB is on its way whose answer will tell where we stand. */
  isAsking: boolean;
  head: number;
  openSeg: number;
  cursor: number;
  /** Batches that came and wait to be ingested. */
  pending: (readonly Row[])[];
  pendingCount: number;
  /** The one PUT under way. */
  inFlight: { readonly ctr0: number; readonly count: number } | undefined;
  /** First ctr the server does not have; undefined: the first in the outbox without an ACK. */
  serverNext: number | undefined;
  /** Nothing is sent before the rows up to here are known: some of them may be our own. */
  sendAfter: number;
  /** Entries below it go one by one, so a refusal names the one it means. */
  singlesUntil: number;
  /** A back-off or missing keys hold the outbox. */
  hold: (() => void) | undefined;
  holdAttempt: number;
  forkStrikes: number;
  isSlotRequested: boolean;
  slotChange: { readonly slot: number; readonly nextCtr: number; readonly head: number } | undefined;
  needsNewSlot: boolean;
  compare: Compare | undefined;
  hasCompared: boolean;
  fetch: Fetch | undefined;
  check: { readonly seg: number; readonly firstSeq: number; readonly lastSeq: number; readonly digest: Uint8Array } | undefined;
  /** Something was written while we could not send. */
  wantsPump: boolean;
  makeMark: ((markCtr: number, slot: number) => Promise<Uint8Array<ArrayBuffer> | undefined>) | undefined;
  /** Something is expected from the server until then. */
  deadline: number | undefined;
  compactFrom: number;
}

/** What the server says it has, while we look for the last row we have in common. */
export interface Compare {
  head: number;
  readonly slot: number;
  readonly nextCtr: number;
  readonly isSure: boolean;
  top: number;
  count: number;
}

export type FetchAnswer = Result<{ readonly loaded: number; readonly low: number }, 'offline' | 'not-member'>;

export interface Fetch {
  readonly kind: 'older' | 'check';
  readonly count: number;
  from: number | undefined;
  readonly done: (answer: FetchAnswer) => void;
  readonly answer: Promise<FetchAnswer>;
}

export function newFetch(kind: Fetch['kind'], count: number): Fetch {
  let done!: Fetch['done'];
  const answer = new Promise<FetchAnswer>((resolve) => {
    done = resolve;
  });
  return { kind, count, from: undefined, done, answer };
}

export function createLive(conversation: ConversationId): Live {
  const live = { conversation, queue: createSerialQueue(), isRemoved: false, makeMark: undefined, fetch: undefined, hold: undefined, compactFrom: 0, session: 0, wantsPump: false } as unknown as Live;
  resetLive(live);
  return live;
}

/** Back to knowing nothing of the server. */
export function resetLive(live: Live): void {
  live.hold?.();
  live.fetch?.done({ ok: false, error: 'offline' });
  Object.assign(live, {
    h: undefined, phase: 'down', hasState: false, isAsking: false, head: 0, openSeg: 0, cursor: 0, pending: [], pendingCount: 0, inFlight: undefined, serverNext: undefined,
    sendAfter: 0, singlesUntil: 0, hold: undefined, holdAttempt: 0, forkStrikes: 0, isSlotRequested: false, slotChange: undefined, needsNewSlot: false,
    compare: undefined, hasCompared: false, fetch: undefined, check: undefined, deadline: undefined,
  } satisfies Partial<Live>);
}
