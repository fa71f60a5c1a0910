/**
 * One simulated device: the rooms of the app joined as `app/desk.ts` joins them, on a disk and a line
 * that the run can break. A life ends with a crash; the next one begins from what was committed.
 */
import { isAdmin, roleAt } from '#lib/chains/group-state.ts';
import { selfConversationId } from '#lib/chains/conversation-id.ts';
import type { Person, TestDevice } from '#lib/chains/fixtures/people.ts';
import { createMembership, type Membership } from '#lib/app/membership.ts';
import { createSeal } from '#lib/app/sealing.ts';
import { enqueueEvent, hybridClockKey, type EventToSend } from '#lib/app/enqueue.ts';
import { createVerifier, type Verifier } from '#lib/app/verifier.ts';
import { createHybridClock, effectiveTime, type ClockState } from '#lib/conversation/clock.ts';
import { encodeMark } from '#lib/conversation/marks.ts';
import type { OpenedEntry } from '#lib/conversation/entry.ts';
import { openGroups, type Groups } from '#lib/groups/groups.ts';
import type { AccountId, ConversationId, EntryId } from '#lib/protocol/ids.ts';
import { err, ok } from '#lib/std/result.ts';
import { openMemoryDatabase, type MemoryDatabase, type MemorySnapshot } from '#lib/storage/memory.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { readRows, rowStores } from '#lib/storage/rows.ts';
import { createSealer } from '#lib/storage/seal.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import { openSync } from '#lib/sync/sync.ts';
import type { Renumbering, Sync } from '#lib/sync/types.ts';
import { createTimeline } from '#lib/timeline/fold.ts';
import type { Timeline } from '#lib/timeline/item.ts';
import { cursorBeforeRows, type PlantedFault } from './faults.ts';
import type { Prng } from './prng.ts';
import type { Schedule } from './schedule.ts';
import { offline, signedIn, type Pipe, type Servers, type Weather } from './servers.ts';

export interface Actor {
  readonly name: string;
  readonly person: Person;
  readonly device: TestDevice;
  readonly storageKey: CryptoKey;
}

export interface DeviceDeps {
  readonly actor: Actor;
  readonly schedule: Schedule;
  readonly prng: Prng;
  readonly servers: Servers;
  readonly people: ReadonlyMap<AccountId, Person>;
  readonly weather: () => Weather;
  readonly skewMs: number;
  readonly disk: MemorySnapshot | undefined;
  readonly planted: PlantedFault | undefined;
  readonly on: DeviceEvents;
}

export interface DeviceEvents {
  readonly acked: (device: Device, conversation: ConversationId, slot: number, ctr: number) => void;
  readonly renumbered: (device: Device, change: Renumbering) => void;
  readonly refused: (device: Device, conversation: ConversationId, why: string) => void;
  readonly failed: (error: unknown) => void;
  readonly counted: (what: string) => void;
}

/** What one life of a device consists of. */
export interface Life {
  isDead: boolean;
  readonly database: MemoryDatabase;
  readonly sync: Sync;
  readonly groups: Groups;
  readonly verifier: Verifier;
  readonly membership: Membership;
  readonly timelines: Map<ConversationId, Timeline>;
  readonly send: (conversation: ConversationId, event: EventToSend) => Promise<EntryId>;
}

export interface Device {
  readonly actor: Actor;
  readonly life: () => Life | undefined;
  readonly boot: () => void;
  /** Back to the last committed transaction; or to an older copy, or to nothing. */
  readonly crash: (to?: 'older' | 'empty') => void;
  /** Remembers the disk as it is, for `crash('older')`. */
  readonly copyDisk: () => void;
  readonly cut: () => void;
  readonly silence: () => void;
  readonly goOffline: (ms: number) => void;
  readonly isOffline: () => boolean;
  /** It once lost what it had committed. */
  lostState: boolean;
}

const never = new Promise<never>(() => {});

export function createDevice(deps: DeviceDeps): Device {
  const { actor, schedule, prng, servers, people, weather, planted, on } = deps;
  const { name, person } = actor;
  const me = person.account;
  let disk = deps.disk;
  let older: MemorySnapshot | undefined;
  let life: Life | undefined;
  let pipe: Pipe | undefined;
  let offlineUntil = 0;
  const clock = { now: () => schedule.now() + deps.skewMs };
  const isOffline = () => schedule.now() < offlineUntil;

  async function boot(): Promise<void> {
    if (life) return;
    const timelines = new Map<ConversationId, Timeline>();
    const self = { isDead: false, timelines } as unknown as { -readonly [K in keyof Life]: Life[K] };
    life = self;
    const isUntrue = planted === 'send-before-persist';
    const memory = openMemoryDatabase({
      ...(disk && { from: disk }),
      async commit() {
        if (self.isDead) await never;
        if (isUntrue || !prng.chance(weather().slowDisk)) return;
        await new Promise<void>((resolve) => schedule.after(1 + prng.below(400), `saved ${name}`, resolve));
        if (self.isDead) await never;
      },
      ...(isUntrue && { onCommitted: () => schedule.after(prng.below(20_000), `really saved ${name}`, () => void (!self.isDead && (disk = memory.snapshot()))) }),
    });
    const database: Database = planted === 'cursor-before-rows' ? cursorBeforeRows(memory) : memory;
    self.database = memory;
    const guarded = <A extends readonly unknown[]>(work: (...args: A) => void | Promise<void>) => (...args: A) => {
      if (self.isDead) return;
      void (async () => work(...args))().catch(failed);
    };
    function failed(error: unknown): void {
      if (!self.isDead && !(error instanceof StorageError && error.reason === 'closed')) on.failed(error);
    }
    /** The way to the server and back; a lost answer looks like being offline. */
    async function ask<T>(what: string, work: () => Promise<T>): Promise<T | typeof offline> {
      await new Promise<void>((resolve) => schedule.after(5 + prng.below(60), `ask ${name} ${what}`, resolve));
      if (self.isDead) return never;
      if (isOffline() || !servers.groups()) return offline;
      // Whoever answers may crash meanwhile.
      const answer = await Promise.race([work(), new Promise<typeof offline>((resolve) => schedule.after(30_000, `give up ${name} ${what}`, () => resolve(offline)))]);
      await new Promise<void>((resolve) => schedule.after(5 + prng.below(60), `answer ${name} ${what}`, resolve));
      if (self.isDead) return never;
      return isOffline() || prng.chance(weather().lostAnswer) ? offline : answer;
    }
    const by = signedIn(me, actor.device.id);
    const timers = { after: (ms: number, task: () => void) => schedule.after(ms, `timer ${name}`, () => void (!self.isDead && task())) };
    const random = { bytes: prng.bytes, fraction: prng.fraction };
    const sealer = createSealer(actor.storageKey, random);
    const accounts = {
      known: async (account: AccountId) => { const state = people.get(account)?.state; return state && { account, handle: account as string, state }; },
      get: async (account: AccountId) => people.get(account)?.state,
      refresh: async (account: AccountId) => people.get(account)?.state,
    };
    const savedClock = await database.read(['kv'], (tx) => tx.get('kv', hybridClockKey)) as ClockState | undefined;
    const hybrid = createHybridClock({ clock, ...(savedClock && { state: savedClock }) });

    const groups = openGroups({
      database, sealer, random, clock, accounts,
      transport: {
        async fetchGroupLog(conversation, from) {
          const answer = await ask('log', () => servers.groups()!.log(by, conversation, from));
          if (answer.ok) return answer;
          if ('type' in answer.error) return err(answer.error);
          return answer.error.name === 'not-found' ? err({ type: 'not-member' as const }) : err({ type: 'failed' as const, detail: answer.error.name });
        },
        async appendGroupLog(conversation, entry, wraps) {
          const answer = await ask('append log', () => servers.groups()!.append(by, conversation, entry, wraps));
          if (answer.ok) return answer;
          if ('type' in answer.error) return err(answer.error);
          const { name: why, number, detail } = answer.error;
          if (why === 'conflict') return err({ type: 'conflict' as const, height: number });
          if (why === 'refused') return err({ type: 'refused' as const, detail });
          return why === 'not-found' ? err({ type: 'not-member' as const }) : err({ type: 'failed' as const, detail: why });
        },
      },
      me: { account: me, device: actor.device.id, signKey: actor.device.signKey },
      async uekPrivate(gen) {
        const pair = person.ueks.get(gen);
        return pair && { key: pair.privateKey, publicKey: pair.publicKey };
      },
      lastSeen: async (conversation, who) => [...(await verifier.slotOwners(conversation)).values()]
        .filter((chain) => chain.account === who).map((chain) => ({ device: chain.device as never, slot: chain.slot, lastCtr: chain.ctr })),
      changed: guarded((conversation: ConversationId) => verifier.recheck(conversation, false)),
      alarmed: (_, alarm) => failed(new Error(`alarm: ${alarm.fault} at ${alarm.height}`)),
    });

    const verifier = createVerifier({
      database, sealer, me, groups, failed,
      accounts: { known: accounts.get, refresh: accounts.refresh },
      checked: guarded(async (conversation: ConversationId, { rows, entries, from }: { rows: readonly StoredRow[]; entries: readonly OpenedEntry[]; from: string }) => {
        for (const entry of entries) hybrid.receive(effectiveTime({ t: entry.event.t, rt: entry.rt, joinRt: entry.joinRt }), entry.event.l);
        await fold(conversation, rows, entries);
        if (from === 'live') sync.mark(conversation, async (markCtr, slot) => {
          const record = await database.read(['conversations'], (tx) => tx.get('conversations', conversation));
          return groups.sealMark(conversation, slot, markCtr, encodeMark({ account: me, deliveredSeq: record?.cursor ?? 0, readSeq: 0, profileKey: new Uint8Array(32), profileVersion: 0 }));
        });
      }),
    });

    async function fold(conversation: ConversationId, rows: readonly StoredRow[], entries: readonly OpenedEntry[]): Promise<void> {
      if (!(await groups.state(conversation))) return; // opened again once the group is known
      const timeline = timelines.get(conversation) ?? await newTimeline(groups, me, conversation);
      timelines.set(conversation, timeline);
      await foldRows(timeline, verifier, conversation, rows, entries);
    }

    const sync = openSync({
      database, clock, timers, random, ingest: verifier.ingest,
      link: { connect: (handlers) => servers.connect(name, {
        onOpen: () => void (!self.isDead && handlers.onOpen()),
        onFrame: (bytes) => void (!self.isDead && handlers.onFrame(bytes)),
        onClose: (code, reason) => void (!self.isDead && handlers.onClose(code, reason)),
      }, (opened) => (pipe = opened), () => !isOffline() && !self.isDead) },
      digest: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)),
      seal: createSeal({
        database, groups, sealer, random, now: hybrid.now,
        signer: { account: me, device: actor.device.id, key: actor.device.signKey },
        myAccount: async () => person.state,
        rotate: (conversation) => membership.rotate(conversation),
      }),
      token: async () => (isOffline() ? err('offline') : ok(`${me}.${actor.device.id}`)),
      events: {
        connection: ({ state }) => {
          if (planted === 'retry-under-a-new-id' && state === 'offline' && !self.isDead) void sayAgain().catch(failed);
        },
        clockOffset: (ms) => hybrid.learn(clock.now() + ms),
        welcome: guarded((welcome: Parameters<Membership['welcome']>[0]) => membership.welcome(welcome)),
        moved: () => {}, delivered: () => {}, purged: () => {}, marks: () => {}, ephemeral: () => {}, profileMoved: () => {},
        acked: guarded(async (conversation: ConversationId, from: number, to: number) => {
          const slot = (await database.read(['conversations'], (tx) => tx.get('conversations', conversation)))!.slot;
          for (let ctr = from; ctr <= to; ctr++) on.acked(device, conversation, slot, ctr);
        }),
        groupMoved: guarded((conversation: ConversationId, logHeight: number | undefined) => membership.groupMoved(conversation, logHeight)),
        groupStale: guarded((conversation: ConversationId, nack: Parameters<Membership['groupStale']>[1]) => membership.groupStale(conversation, nack)),
        accountMoved: guarded((account: AccountId, height: number) => membership.accountMoved(account, height)),
        membershipMoved: guarded((version: number) => membership.listMoved(version)),
        notMember: guarded((conversation: ConversationId) => membership.notMember(conversation)),
        lineageChanged: () => on.counted('lineages'),
        lost: () => on.counted('lost'),
        forked: () => on.counted('forks'),
        renumbered: (_, change) => on.renumbered(device, change),
        refused: (conversation, _, why) => on.refused(device, conversation, why),
        segmentDiffers: (_, seg, seqs) => failed(new Error(`segment ${seg} differs in ${seqs.join(',')}`)),
        storageFault: (error) => failed(error), failed,
      },
    });

    const said = new Set<string>();
    async function sayAgain(): Promise<void> {
      for (const entry of await database.read(['outbox'], (tx) => tx.getAll('outbox'))) {
        const id = `${entry.conversation}${entry.ctr}`;
        if (!entry.envelope || said.has(id)) continue;
        said.add(id);
        await sync.enqueue(entry.conversation, { sealedEvent: entry.sealedEvent, createdAt: entry.createdAt });
      }
    }

    const membership = createMembership({
      database, groups, sync, verifier, me, self: selfConversationId(me), timers, failed,
      accounts: accounts as never,
      account: { sync: async () => ok({ state: person.state, revoked: false, newDevices: [] }) } as never,
      api: { conversations: () => ask('list', async () => ok(await servers.groups()!.list(by))) } as never,
      notices: { add: () => {}, withdraw: () => {} } as never,
      touch: () => {}, newChat: () => {}, repaint: async () => {}, pushPrivateState: async () => {},
    });

    Object.assign(self, {
      sync, groups, verifier, membership,
      send: (conversation: ConversationId, event: EventToSend) => enqueueEvent({ clock: hybrid, sealer, sync }, conversation, event),
    } satisfies Partial<Life>);
    const records = await database.read(['conversations'], (tx) => tx.getAll('conversations'));
    for (const { conversation, low, cursor } of records) {
      if (!(await groups.state(conversation))) continue;
      const rows = await database.read(rowStores, (tx) => readRows(tx, conversation, low, cursor));
      await fold(conversation, rows, await verifier.open(conversation, rows));
    }
    await sync.addConversations(records.map(({ conversation }) => conversation));
    sync.start();
    booted = true;
  }

  let booted = false;
  const device: Device = {
    actor,
    life: () => (booted ? life : undefined),
    boot: () => void boot().catch(on.failed),
    crash(to) {
      if (!life) return;
      life.isDead = true;
      if (planted !== 'send-before-persist') disk = life.database.snapshot();
      if (to === 'empty') disk = undefined;
      if (to === 'older' && older) disk = older;
      if (to) {
        device.lostState = true;
        older = undefined;
      }
      life = undefined;
      booted = false;
      pipe?.cut();
      pipe = undefined;
    },
    copyDisk() {
      if (life) older = life.database.snapshot();
    },
    cut: () => pipe?.cut(),
    silence: () => pipe?.silence(),
    goOffline(ms) {
      offlineUntil = Math.max(offlineUntil, schedule.now() + ms);
      if (prng.chance(0.5)) pipe?.cut();
    },
    isOffline,
    lostState: false,
  };
  return device;
}

/** Rights are judged in the group as it stands when the timeline is made: enough for heights up to it. */
export async function newTimeline(groups: Groups, me: AccountId, conversation: ConversationId): Promise<Timeline> {
  const group = (await groups.state(conversation))!;
  return createTimeline({ me, kind: group.kind, isAdminAt: (account, height) => isAdmin(roleAt(group, account, height)) });
}

export async function foldRows(timeline: Timeline, verifier: Verifier, conversation: ConversationId, rows: readonly StoredRow[], entries: readonly OpenedEntry[]): Promise<void> {
  timeline.apply(entries);
  const purged = rows.filter((row) => row.envelope === undefined);
  if (purged.length === 0) return;
  const owners = await verifier.slotOwners(conversation);
  timeline.applyPurged(purged.map((row) => ({ slot: row.slot, ctr: row.ctr, seq: row.seq, rt: row.rt, account: owners.get(row.slot)?.account })));
}
