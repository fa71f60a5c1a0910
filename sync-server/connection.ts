/**
 * One socket's side of the server: frames in, frames out.
 *
 * It is sans-IO: no socket, timer, clock or randomness of its own, so the simulation drives the very code
 * a node runs. HELLO comes first; then every frame is begun in the order it came, and one conversation's
 * writes run one after another. Whatever does not follow the protocol closes this connection with a listed
 * code [SY2], and nobody else notices. Bus messages are hints: what one says is checked against `sent`, and a lost one
 * heals at the next message or the client's next ping [SY15].
 */
import type { CloseName } from '#lib/protocol/codes.ts';
import { decodeUpFrame, encodeDownFrame, protocolVersion, type DownFrame, type UpFrame, type UpFrameOf } from '#lib/protocol/frame.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { unreachable } from '#lib/std/assert.ts';
import { bytesToText } from '#lib/std/bytes.ts';
import { createBucket } from './bucket.ts';
import { createConversations, type Conversations } from './conversations.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { BusMessage } from '#lib/server/bus/port.ts';
import type { Claims, Connection, ConnectionDeps, ConnectionLimits } from './types.ts';

export type { Claims, Connection, ConnectionDeps, ConnectionLimits } from './types.ts';

export const connectionLimits: ConnectionLimits = {
  queuedBytesPause: 1024 * 1024,
  rowsPerFrame: 128,
  rowBytesPerFrame: 64 * 1024,
  readsAtOnce: 4,
  writesQueuedMax: 4,
  framesQueuedMax: 2_000,
  refreshIntervalMs: 30_000,
  // Our client pings every 25 s; whoever does not still learns what the bus lost.
  refreshOverdueMs: 90_000,
  activeMs: 10 * 60_000,
  // A phone back from a flight writes into every chat it has: one PUT and one mark each, at once.
  frames: { burst: 4_000, perSecond: 200 },
  // What was written offline in weeks; the account's own limit stands behind it.
  entries: { burst: 4_000, perSecond: 100 },
  ephemerals: { burst: 40, perSecond: 10 },
};

export function createConnection(deps: ConnectionDeps): Connection {
  const { store, bus, clock, send, close, bufferedBytes } = deps;
  const limits = { ...connectionLimits, ...deps.limits };
  const frames = createBucket(clock, limits.frames);
  const entries = createBucket(clock, limits.entries);
  const ephemerals = createBucket(clock, limits.ephemerals);
  /** Frames behind a HELLO or SUB that is being answered. */
  const waiting: { readonly data: Uint8Array; readonly done: () => void }[] = [];
  const stops: (() => void)[] = [];
  let isClosed = false;
  let isBlocked = false;
  let claims: Claims | undefined;
  let conversations: Conversations | undefined;
  /** What the client was last told, so that a refresh tells only news. */
  let toldMembership = 0;
  let toldAccountHeight = 0;
  let refreshedAt = clock.now();
  let refreshing: Promise<void> | undefined;
  /** Tasks under way, and who waits for none. */
  let active = 0;
  let idlers: (() => void)[] = [];
  let drainWaiters: (() => void)[] = [];

  function receive(data: Uint8Array): Promise<void> {
    if (isClosed) return Promise.resolve();
    if (!isBlocked) return run('answering a frame', () => handle(data));
    if (waiting.length >= limits.framesQueuedMax) {
      shut('tooMany');
      return Promise.resolve();
    }
    return new Promise((done) => waiting.push({ data, done }));
  }

  async function handle(data: Uint8Array): Promise<void> {
    const decoded = decodeUpFrame(data);
    if (!decoded.ok) return shut(data.length > wireLimits.frameSizeBytesMax ? 'tooBig' : 'malformed');
    const frame = decoded.value;
    if (!frames.take(costOf(frame))) return shut('tooMany');
    if (frame.type === 'hello') return claims ? shut('malformed') : blocking(() => greet(frame));
    if (!conversations) return shut('malformed'); // too early
    if (clock.now() - refreshedAt >= limits.refreshOverdueMs) void refresh(false);
    switch (frame.type) {
      case 'sub': return blocking(() => conversations!.subscribe(frame.items));
      case 'unsub': return conversations.unsubscribe(frame.h);
      case 'put': return entries.take(frame.envelopes.length) ? conversations.put(frame) : conversations.refusePut(frame, 'RATE');
      case 'newSlot': return conversations.newSlot(frame);
      case 'fetch': return conversations.fetch(frame);
      case 'seg': return conversations.segment(frame);
      case 'mark': return conversations.mark(frame);
      case 'eph': return ephemerals.take() ? conversations.ephemeral(frame) : undefined; // typing is worth no answer
      case 'ping': return ping(frame);
      default: return unreachable(frame);
    }
  }

  /** The frames behind this one wait for it, because they build on its answer. */
  async function blocking(task: () => Promise<void>): Promise<void> {
    isBlocked = true;
    try {
      await task();
    } finally {
      isBlocked = false;
      while (!isBlocked && waiting.length > 0) {
        const { data, done } = waiting.shift()!;
        void (isClosed ? Promise.resolve() : run('answering a frame', () => handle(data))).then(done);
      }
    }
  }

  async function greet({ proto, token }: UpFrameOf<'hello'>): Promise<void> {
    if (proto !== protocolVersion) return shut('tooOld');
    const text = bytesToText(token);
    const verified = text === undefined ? undefined : await deps.verifyToken(text);
    if (isClosed) return;
    if (!verified?.ok) return shut('badToken');
    const { account, device } = (claims = verified.value);
    // Listening starts before anything is read, so that nothing falls between.
    stops.push(bus.subscribe(`u:${account}`, onBus), bus.onGap(() => void refresh(true)));
    const [lineage, list, row, isAdmitted] = await Promise.all([
      store.lineage(), store.conversationsOf(account), store.accountById(account), deps.stillAdmitted(claims),
    ]);
    if (isClosed) return;
    if (!row || !isAdmitted) return shut('badToken');
    conversations = createConversations({ ...deps, account, device, limits, say, shut, run, defer, onBus, room, isCongested });
    toldMembership = Math.max(toldMembership, list.membershipVersion);
    toldAccountHeight = Math.max(toldAccountHeight, row.logHeight);
    say({ type: 'welcome', lineage, serverTime: clock.now(), membershipVersion: toldMembership, accountHeight: toldAccountHeight });
  }

  function ping({ nonce }: UpFrameOf<'ping'>): Promise<void> | undefined {
    say({ type: 'pong', nonce, serverTime: clock.now() });
    return clock.now() - refreshedAt >= limits.refreshIntervalMs ? refresh(false) : undefined;
  }

  /** Compares everything the bus should have told with the store [SY15]. */
  function refresh(withAllMarks: boolean): Promise<void> {
    refreshing ??= run('comparing positions with the store', async () => {
      try {
        await compare(withAllMarks);
      } finally {
        refreshing = undefined;
      }
    });
    return refreshing;
  }

  async function compare(withAllMarks: boolean): Promise<void> {
    if (!claims || !conversations) return;
    refreshedAt = clock.now();
    const { account } = claims;
    const [row, isAdmitted] = await Promise.all([store.accountById(account), deps.stillAdmitted(claims)]);
    if (isClosed) return;
    if (!row || !isAdmitted) return shut('revoked');
    tellAccount(row.account, row.logHeight);
    const { membershipVersion } = await conversations.compare(withAllMarks);
    tellMembership(membershipVersion);
  }

  function onBus(message: BusMessage): void {
    if (isClosed || !claims) return;
    switch (message.type) {
      case 'revoked':
        if (message.account === claims.account && (message.device === undefined || message.device === claims.device)) shut('revoked');
        return;
      case 'membership':
        if (message.account !== claims.account) return;
        tellMembership(message.membershipVersion);
        return conversations?.membershipMoved();
      case 'account': return tellAccount(message.account, message.height);
      case 'profile': return tell({ type: 'profileMoved', account: message.account });
      default: return conversations?.onBus(message);
    }
  }

  function tellMembership(membershipVersion: number): void {
    if (membershipVersion <= toldMembership) return;
    toldMembership = membershipVersion;
    tell({ type: 'membershipMoved', membershipVersion });
  }

  function tellAccount(account: AccountId, height: number): void {
    if (account === claims?.account) {
      if (height <= toldAccountHeight) return;
      toldAccountHeight = height;
    }
    tell({ type: 'accountMoved', account, height });
  }

  /** News beside the logs; before WELCOME there is nobody to tell. */
  function tell(frame: DownFrame): void {
    if (conversations) say(frame);
  }

  function say(frame: DownFrame): void {
    if (!isClosed) send(encodeDownFrame(frame));
  }

  function shut(name: CloseName): void {
    if (isClosed) return;
    end();
    close(name);
  }

  function end(): void {
    if (isClosed) return;
    isClosed = true;
    for (const stop of stops) stop();
    conversations?.end();
    for (const { done } of waiting.splice(0)) done();
    bufferDrained();
  }

  /** Counts what is under way. A failure here is a fault of ours: it is reported, and only this socket ends. */
  async function run(doing: string, task: () => Promise<void> | void): Promise<void> {
    active += 1;
    try {
      await task();
    } catch (error) {
      if (!isClosed) deps.report(doing, error);
      shut('internal');
    } finally {
      settle();
    }
  }

  function defer(task: () => void): void {
    active += 1;
    deps.defer(() => {
      try {
        if (!isClosed) task();
      } catch (error) {
        deps.report('delivering at the end of a turn', error);
        shut('internal');
      } finally {
        settle();
      }
    });
  }

  function settle(): void {
    active -= 1;
    if (active > 0) return;
    const now = idlers;
    idlers = [];
    for (const wake of now) wake();
  }

  async function idle(): Promise<void> {
    while (active > 0) await new Promise<void>((resolve) => idlers.push(resolve));
  }

  function isCongested(): boolean {
    return bufferedBytes() > limits.queuedBytesPause;
  }

  /** Resolves when the socket has room for an answer. */
  async function room(): Promise<void> {
    while (!isClosed && isCongested()) await new Promise<void>((resolve) => drainWaiters.push(resolve));
  }

  function bufferDrained(): void {
    const now = drainWaiters;
    drainWaiters = [];
    for (const wake of now) wake();
    if (!isClosed) conversations?.resume();
  }

  return { receive, bufferDrained, closed: end, idle, isOpen: () => conversations !== undefined && !isClosed };
}

/** What a frame takes from the bucket: one, and more where it asks for much. */
function costOf(frame: UpFrame): number {
  switch (frame.type) {
    case 'sub': return 1 + frame.items.length / 100;
    case 'fetch': return 1 + frame.count / 64;
    case 'seg': return 4;
    default: return 1;
  }
}
