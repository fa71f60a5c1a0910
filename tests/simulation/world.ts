/**
 * A world of devices, servers and weather over one schedule, and the foundation all worlds stand on:
 * people, keys and conversations, made once per process, because making keys is slow.
 */
import { addDevice, makePerson, seededRandom, type Person } from '#lib/chains/fixtures/people.ts';
import { generateAesKey } from '#lib/crypto/primitives.ts';
import type { AccountId, ConversationId, Handle } from '#lib/protocol/ids.ts';
import { createMemoryStore, type MemorySnapshot as StoreSnapshot, type MemoryStore } from '#lib/server/store/memory.ts';
import { assert } from '#lib/std/assert.ts';
import { unwrap } from '#lib/std/result.ts';
import type { MemorySnapshot as DiskSnapshot } from '#lib/storage/memory.ts';
import { createDevice, type Actor, type Device, type DeviceEvents } from './device.ts';
import type { PlantedFault } from './faults.ts';
import { createPrng, type Prng } from './prng.ts';
import { createSchedule, type Schedule } from './schedule.ts';
import { createServers, type Servers, type Weather } from './servers.ts';
import { settle } from './stillness.ts';

export const calm: Weather = { cutEveryMs: 0, halfOpen: 0, busLoss: 0, slowDisk: 0, lostAnswer: 0, repeats: 0 };

export interface World {
  readonly schedule: Schedule;
  readonly prng: Prng;
  readonly store: MemoryStore;
  readonly servers: Servers;
  readonly devices: readonly Device[];
  weather: Weather;
}

export interface Foundation {
  readonly actors: readonly Actor[];
  readonly people: ReadonlyMap<AccountId, Person>;
  readonly store: StoreSnapshot;
  readonly disks: ReadonlyMap<string, DiskSnapshot>;
  /** Anna, Ben and Cleo; Dora is added in some seeds. */
  readonly group: ConversationId;
  readonly direct: ConversationId;
}

const beginning = 1_700_000_000_000;
const dayMs = 86_400_000;

export interface WorldOptions {
  readonly seed: number;
  readonly start: number;
  readonly actors: readonly Actor[];
  readonly people: ReadonlyMap<AccountId, Person>;
  readonly foundation?: Foundation;
  readonly skewMsMax: number;
  readonly planted?: PlantedFault | undefined;
  readonly on: DeviceEvents;
  readonly trace?: ((line: string) => void) | undefined;
}

export function createWorld({ seed, start, actors, people, foundation, skewMsMax, planted, on, trace }: WorldOptions): World {
  const schedule = createSchedule(start, trace);
  const prng = createPrng(seed, 'world');
  const store = createMemoryStore(createPrng(seed, 'store'));
  if (foundation) store.restore(foundation.store);
  const world: World & { servers: Servers; devices: Device[] } = { schedule, prng, store, weather: calm, servers: undefined as never, devices: [] };
  const weather = () => world.weather;
  world.servers = createServers({ schedule, prng: createPrng(seed, 'servers'), store, weather, planted, failed: on.failed, accountState: (account) => people.get(account)?.state });
  world.devices = actors.map((actor) => createDevice({
    actor, schedule, servers: world.servers, people, weather, planted, on,
    prng: createPrng(seed, actor.name), disk: foundation?.disks.get(actor.name),
    skewMs: Math.floor((prng.fraction() * 2 - 1) * skewMsMax),
  }));
  return world;
}

/** Runs events until it is so; `each` sees the world after every event. */
export async function runUntil(world: World, isSo: () => boolean | Promise<boolean>, { eventsMax, each }: { eventsMax: number; each?: () => void }): Promise<boolean> {
  await settle();
  for (let events = 0; events < eventsMax; events++) {
    if (await isSo()) return true;
    if (!world.schedule.step()) return isSo();
    await settle();
    each?.();
  }
  return false;
}

export async function makeFoundation(): Promise<Foundation> {
  const random = seededRandom(1);
  const people = new Map<AccountId, Person>();
  const actors: Actor[] = [];
  for (const [name, devices] of [['anna', 2], ['ben', 1], ['cleo', 1], ['dora', 1]] as const) {
    const person = await makePerson(random);
    people.set(person.account, person);
    for (let i = 0; i < devices; i++) {
      const device = i === 0 ? person.devices[0]! : await addDevice(person, random);
      actors.push({ name: `${name}${i}`, person, device, storageKey: await generateAesKey() });
    }
  }
  const failures: unknown[] = [];
  const quiet: DeviceEvents = { acked: () => {}, renumbered: () => {}, refused: () => {}, counted: () => {}, failed: (error) => failures.push(error) };
  const world = createWorld({ seed: 0, start: beginning, actors, people, skewMsMax: 0, on: quiet });
  for (const [account, person] of people) {
    unwrap(world.store.sync.createAccount({
      account, handle: `p${actors.findIndex((actor) => actor.person === person)}___` as Handle, registrationRecord: '', recoveryProofHash: new Uint8Array(32),
      genesis: person.entries[0]!, vault: new Uint8Array(1), uekWraps: [], now: beginning,
    }), 'an account is made');
    if (person.entries.length > 1) unwrap(world.store.sync.appendAccountEntries(account, 1, person.entries.slice(1), [], beginning), 'devices are added');
    for (const device of person.devices) {
      world.store.sync.putSession({ idHash: device.id, account, device: device.id, expiresAt: beginning + 1_000 * dayMs, createdAt: beginning });
    }
  }
  const run = async (isSo: () => boolean | Promise<boolean>, what: string) => {
    const isDone = await runUntil(world, isSo, { eventsMax: 20_000 });
    if (failures.length > 0) throw failures[0] as Error;
    assert(isDone, `the foundation is laid: ${what}`);
  };
  for (const device of world.devices) device.boot();
  await run(() => world.devices.every((device) => device.life()?.sync.connection().state === 'online'), 'all online');
  const later = world.schedule.now() + 10_000;
  await run(() => world.schedule.now() > later, 'own conversations');
  const [anna, , ben, cleo] = world.devices as [Device, Device, Device, Device];
  const made: ConversationId[] = [];
  const keep = (result: { readonly ok: boolean; readonly value?: ConversationId }) => void (assert(result.ok, 'a conversation is made'), made.push(result.value!));
  void anna.life()!.groups.createGroup({ meta: { name: 'walkers', description: '', picture: undefined }, members: [ben.actor.person.account, cleo.actor.person.account] }).then(keep);
  await run(() => made.length === 1, 'the group');
  void anna.life()!.groups.createDirect(ben.actor.person.account).then(keep);
  await run(() => made.length === 2, 'the chat of two');
  const [group, direct] = made as [ConversationId, ConversationId];
  for (const conversation of made) await anna.life()!.membership.added(conversation);
  const settled = world.schedule.now() + 60_000;
  await run(() => world.schedule.now() > settled, 'everybody knows');
  for (const device of world.devices) {
    const isIn = device.actor.person !== world.devices[4]!.actor.person;
    if (isIn) void device.life()!.send(group, { kind: 'message', text: `hello from ${device.actor.name}`, replyTo: undefined });
  }
  const said = world.schedule.now() + 60_000;
  await run(() => world.schedule.now() > said, 'everybody said hello');
  assert(world.store.sync.heads([group])[0]!.head === 4, 'everybody said hello');
  return {
    actors, people, group, direct, store: world.store.snapshot(),
    disks: new Map(world.devices.map((device) => [device.actor.name, device.life()!.database.snapshot()])),
  };
}

export const firstDay = beginning + dayMs;
