/**
 * The server's side of a simulated world: one store behind two nodes, a bus between them that loses
 * messages, and the pipes that devices open to a node. The nodes run the real connection code.
 *
 * A write waits for its node's next commit; a node that crashes takes what was not committed with it.
 */
import { createEntries } from '#lib/server/entries.ts';
import { createFanout } from '#lib/server/fanout.ts';
import { createGroups, type Groups as ServerGroups } from '#lib/server/groups.ts';
import type { Bus, BusChannel, BusMessage } from '#lib/server/bus/port.ts';
import type { SignedIn } from '#lib/server/identity/sessions.ts';
import type { MemorySnapshot, MemoryStore } from '#lib/server/store/memory.ts';
import { storeCalls, storeReads, type SyncStore } from '#lib/server/store/sync-port.ts';
import type { Store } from '#lib/server/store/port.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import { closeCodes } from '#lib/protocol/codes.ts';
import { decodeDownFrame, decodeUpFrame } from '#lib/protocol/frame.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import { err, ok } from '#lib/std/result.ts';
import type { LinkConnection, LinkHandlers } from '#lib/sync/types.ts';
import { createSyncNode, type SyncNode } from '../../sync-server/node.ts';
import type { Connection } from '../../sync-server/connection.ts';
import { forgetfulSlots, noDeduplication, type PlantedFault } from './faults.ts';
import type { Prng } from './prng.ts';
import type { Schedule } from './schedule.ts';

/** Chances and lengths of one seed; all zero when calm. */
export interface Weather {
  readonly cutEveryMs: number;
  readonly halfOpen: number;
  readonly busLoss: number;
  readonly slowDisk: number;
  readonly lostAnswer: number;
  /** Entries that reach the store twice. */
  readonly repeats: number;
}

export interface ServersDeps {
  readonly schedule: Schedule;
  readonly prng: Prng;
  readonly store: MemoryStore;
  readonly weather: () => Weather;
  readonly accountState: (account: AccountId) => AccountState | undefined;
  readonly planted: PlantedFault | undefined;
  readonly failed: (error: unknown) => void;
}

export interface Pipe {
  readonly cut: () => void;
  readonly silence: () => void;
}

export interface Servers {
  /** Dials some node. `isReachable` is asked again for every frame. */
  readonly connect: (name: string, handlers: LinkHandlers, opened: (pipe: Pipe) => void, isReachable: () => boolean) => LinkConnection;
  /** Of a node that is up, if any is. */
  readonly groups: () => ServerGroups | undefined;
  readonly crash: (node: number, downMs: number) => void;
  /** The bus reaches no other node until it is over. */
  readonly splitBus: (ms: number) => void;
  /** Every node stops, the store goes back, a new lineage begins. */
  readonly restoreBackup: (backup: MemorySnapshot) => void;
  readonly isUp: () => boolean;
}

interface Node {
  readonly index: number;
  isDead: boolean;
  readonly queue: { readonly run: () => void; readonly answer: () => void }[];
  isCommitPlanned: boolean;
  readonly listeners: Map<BusChannel, Set<{ readonly listener: (message: BusMessage) => void }>>;
  readonly gaps: Set<() => void>;
  readonly pipes: Set<Pipe>;
  groups: ServerGroups;
  sync: SyncNode;
}

const never = new Promise<never>(() => {});
const readToken = (token: string) => {
  const [account, device] = token.split('.');
  return { account: account as AccountId, device: device as DeviceId };
};

export const signedIn = (account: AccountId, device: DeviceId): SignedIn => ({ account, device, handle: account as never, sessionHash: device });

export function createServers({ schedule, prng, store, weather, accountState, planted, failed }: ServersDeps): Servers {
  const nodes: (Node | undefined)[] = [];
  let splitUntil = 0;
  const clock = { now: schedule.now };
  let sync: SyncStore = store.sync;
  if (planted === 'no-deduplication') sync = noDeduplication(sync);
  if (planted === 'forgetful-slots') sync = forgetfulSlots(sync, () => weather().busLoss > 0 && prng.chance(0.05));
  /** What a crash of an untrue store goes back to. */
  let committed = planted === 'ack-before-commit' ? store.snapshot() : undefined;

  function storeOf(node: Node): Store {
    const call = (name: keyof SyncStore, args: readonly unknown[]) => (sync[name] as (...all: readonly unknown[]) => unknown)(...args);
    function write(name: keyof SyncStore, args: readonly unknown[]): Promise<unknown> {
      if (node.isDead) return never;
      return new Promise((resolve, reject) => {
        let answer = () => {};
        const run = () => {
          try {
            const value = call(name, args);
            if (name === 'append' && prng.chance(weather().repeats)) {
              // The service worker's request brings the same entries again, later.
              schedule.after(prng.below(2_000), 'the same entries again', () => void call(name, args));
            }
            answer = () => resolve(value);
          } catch (error) {
            answer = () => reject(error as Error);
          }
        };
        node.queue.push({ run, answer: () => answer() });
        if (planted === 'ack-before-commit') {
          const { run: now, answer: say } = node.queue.at(-1)!;
          now();
          say();
        }
        planCommit(node);
      });
    }
    return Object.fromEntries([['close', async () => {}], ...storeCalls.map((name) => [name,
      storeReads.has(name) ? async (...args: readonly unknown[]) => (node.isDead ? never : call(name, args)) : (...args: readonly unknown[]) => write(name, args)])]) as unknown as Store;
  }

  function planCommit(node: Node): void {
    if (node.isCommitPlanned) return;
    node.isCommitPlanned = true;
    const delay = committed || prng.chance(weather().slowDisk) ? 20 + prng.below(600) : 1 + prng.below(4);
    schedule.after(delay, `commit n${node.index}`, () => {
      if (node.isDead) return;
      node.isCommitPlanned = false;
      const batch = node.queue.splice(0);
      if (committed) committed = store.snapshot();
      else {
        for (const each of batch) each.run();
        for (const each of batch) each.answer();
      }
    });
  }

  function busOf(node: Node): Bus {
    return {
      publish(channels, message) {
        if (node.isDead) return;
        for (const other of nodes) {
          const isSplit = other !== node && schedule.now() < splitUntil;
          if (!other || isSplit || prng.chance(weather().busLoss)) continue;
          schedule.after(1 + prng.below(25), `bus n${other.index} ${message.type}`, () => {
            if (other.isDead) return;
            const reached = new Set<(message: BusMessage) => void>();
            for (const channel of channels) for (const { listener } of other.listeners.get(channel) ?? []) reached.add(listener);
            for (const listener of reached) listener(message);
          });
        }
      },
      subscribe(channel, listener) {
        const own = { listener };
        const here = node.listeners.get(channel) ?? new Set();
        node.listeners.set(channel, here.add(own));
        return () => void here.delete(own);
      },
      onGap(listener) {
        node.gaps.add(listener);
        return () => void node.gaps.delete(listener);
      },
      close: async () => {},
    };
  }

  function start(index: number): void {
    const node = { index, isDead: false, queue: [], isCommitPlanned: false, listeners: new Map(), gaps: new Set(), pipes: new Set() } as unknown as Node;
    const nodeStore = storeOf(node);
    const bus = busOf(node);
    const limits = { take: async () => ok(undefined) };
    const fanout = createFanout(nodeStore);
    const entries = createEntries({ store: nodeStore, bus, fanout, limits, clock, report: failed });
    node.groups = createGroups({
      store: nodeStore, bus, fanout, clock, limits, report: failed,
      accounts: { state: async (account) => accountState(account), lookup: (account) => accountState(account) },
    });
    const identity = { verifySyncToken: async (token: string) => {
      const { account, device } = readToken(token);
      return ok({ account, device, sessionHash: device as string });
    } };
    node.sync = createSyncNode({
      store: nodeStore, bus, clock, entries, fanout, identity: identity as never,
      log: { error: (_: object, message: string) => failed(new Error(message, { cause: (_ as { err?: unknown }).err })) } as never,
    }, { schedule: queueMicrotask, ...(planted === 'bus-only' && { limits: { refreshIntervalMs: Infinity, refreshOverdueMs: Infinity } }) });
    nodes[index] = node;
  }

  function stop(index: number): void {
    const node = nodes[index];
    if (!node) return;
    node.isDead = true;
    nodes[index] = undefined;
    if (committed) store.restore(committed);
    else if (prng.chance(0.5)) for (const each of node.queue) each.run(); // committed, and nobody was told
    for (const pipe of [...node.pipes]) pipe.cut();
  }

  function connect(name: string, handlers: LinkHandlers, opened: (pipe: Pipe) => void, isReachable: () => boolean): LinkConnection {
    let connection: Connection | undefined;
    let isCut = false;
    let isSilent = false;
    let isTold = false;
    let inFlight = 0;
    let upAt = 0;
    let downAt = 0;
    const node = nodes[prng.below(2)];
    const latency = 2 + prng.below(60);
    const later = (from: number) => Math.max(from, schedule.now() + latency + prng.below(8));

    function tell(code: number): void {
      schedule.after(1 + prng.below(30), `close ${name} ${code}`, () => {
        if (isTold) return;
        isTold = true;
        handlers.onClose(code, '');
      });
    }
    function end(): void {
      isCut = true;
      node?.pipes.delete(pipe);
      connection?.closed();
    }
    const pipe: Pipe = {
      cut() {
        if (isCut) return;
        end();
        if (!isSilent) tell(1006);
      },
      silence() {
        if (isCut) return;
        isSilent = true;
        schedule.after(30_000 + prng.below(90_000), `server forgets ${name}`, pipe.cut);
      },
    };

    schedule.after(latency, `dial ${name} n${node?.index ?? '-'}`, () => {
      if (isTold || isCut) return;
      if (!node || node.isDead || !isReachable()) return tell(1006);
      connection = node.sync.connect({
        bufferedBytes: () => inFlight,
        send(frame) {
          if (isCut || isSilent) return;
          inFlight += frame.length;
          downAt = later(downAt);
          schedule.after(downAt - schedule.now(), `down ${name} ${describe(decodeDownFrame(frame))}`, () => {
            if (isCut || isSilent || isTold) return;
            if (!isReachable()) return pipe.silence();
            inFlight -= frame.length;
            handlers.onFrame(frame);
            if (inFlight === 0) connection?.bufferDrained();
          });
        },
        close(reason) {
          if (isCut) return;
          isCut = true;
          node.pipes.delete(pipe);
          if (!isSilent) tell(closeCodes[reason].code);
        },
      });
      node.pipes.add(pipe);
      opened(pipe);
      handlers.onOpen();
    });

    return {
      send(frame) {
        if (isCut || isSilent) return;
        upAt = later(upAt);
        schedule.after(upAt - schedule.now(), `up ${name} ${describe(decodeUpFrame(frame))}`, () => {
          if (isCut || isSilent) return;
          if (!isReachable()) return pipe.silence();
          void connection?.receive(frame);
        });
      },
      close() {
        isTold = true;
        schedule.after(latency, `hang up ${name}`, () => void (!isCut && !isSilent && end()));
      },
    };
  }

  start(0);
  start(1);
  return {
    connect,
    groups: () => nodes.find((node) => node !== undefined)?.groups,
    crash(index, downMs) {
      if (!nodes[index]) return;
      stop(index);
      schedule.after(downMs, `start n${index}`, () => void (nodes[index] ?? start(index)));
    },
    splitBus(ms) {
      splitUntil = Math.max(splitUntil, schedule.now() + ms);
      schedule.after(ms, 'bus whole', () => { for (const node of nodes) for (const gap of node?.gaps ?? []) gap(); });
    },
    restoreBackup(backup) {
      for (const index of [0, 1]) stop(index);
      store.restore(backup);
      store.sync.renewLineage();
      if (committed) committed = store.snapshot();
      for (const index of [0, 1]) schedule.after(500, `start n${index}`, () => void (nodes[index] ?? start(index)));
    },
    isUp: () => nodes.every((node) => node !== undefined),
  };
}

/** A frame for the trace: all of it but the bytes that are random. */
function describe(decoded: { readonly ok: boolean; readonly value?: unknown }): string {
  if (!decoded.ok) return 'undecodable';
  return JSON.stringify(decoded.value, (key, value: unknown) => (value instanceof Uint8Array ? value.length : key === 'token' ? '' : value));
}

export const offline = err({ type: 'offline' as const });
