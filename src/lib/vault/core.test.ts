import fc from 'fast-check';
import { expect, test } from 'vitest';
import { generateAesKey } from '#lib/crypto/primitives.ts';
import { bytesToId, type AccountId, type ConversationId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { openMemoryDatabase, type MemoryDatabase } from '#lib/storage/memory.ts';
import { createSealer } from '#lib/storage/seal.ts';
import { bytesToHex, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { openVaultCore, type VaultCore } from './core.ts';
import { createCoreService, type CoreService } from './core-service.ts';
import type { VaultMutation, VaultView } from './core-view.ts';

const random = systemRandom;
const peer = bytesToId<AccountId>(random.bytes(16));
const chat = bytesToId<ConversationId>(random.bytes(16));

interface Device {
  readonly core: VaultCore;
  readonly database: MemoryDatabase;
  readonly restart: (service?: CoreService) => Promise<Device>;
}

async function openDevice(service: CoreService = createCoreService(), from?: { database: MemoryDatabase; storageKey: CryptoKey; device: DeviceId }): Promise<Device> {
  const database = from?.database ?? openMemoryDatabase();
  const storageKey = from?.storageKey ?? (await generateAesKey());
  const device = from?.device ?? bytesToId<DeviceId>(random.bytes(16));
  const core = await openVaultCore({ database, sealer: createSealer(storageKey, random), device, service, failed: (error) => { throw error; } });
  return { core, database, restart: (next) => openDevice(next, { database, storageKey, device }) };
}

async function unsent(core: VaultCore) {
  const taken = await core.takeUnsent();
  if (!taken.ok) throw new Error(taken.error);
  return taken.value;
}

/** Carries everything both have not sent to the other. */
async function exchange(...devices: readonly Device[]): Promise<void> {
  const sent = await Promise.all(devices.map(async ({ core }) => unsent(core)));
  for (const [to, { core }] of devices.entries()) {
    for (const [from, changes] of sent.entries()) if (from !== to) await core.receive(changes.map(({ change }) => change));
    await core.settle();
    await core.markSent(sent[to]!.map(({ id }) => id));
  }
}

/** A view as comparable plain data. */
const plain = (view: VaultView) => ({
  ...view, contacts: [...view.contacts].sort(), chats: [...view.chats].sort(), settings: [...view.settings].sort(), deviceNames: [...view.deviceNames].sort(),
});

const broken: CoreService = { advance: () => Promise.reject(new Error('no wasm here')) };

test('[VA10] what was set is seen at once and survives a restart without Automerge', async () => {
  const device = await openDevice(broken);
  await device.core.set({ type: 'profile', displayName: 'Ada', picture: Uint8Array.of(1, 2, 3) });
  await device.core.set({ type: 'contact', account: peer, handle: 'bob', genesisHash: random.bytes(32), verified: true, nickname: 'Bobby' });
  await device.core.set({ type: 'chat', conversation: chat, pinned: true });
  await device.core.set({ type: 'setting', name: 'theme', value: 'dark' });
  await device.core.set({ type: 'words-confirmed' });
  const view = device.core.view();
  expect(view.profile).toEqual({ displayName: 'Ada', picture: Uint8Array.of(1, 2, 3) });
  expect(view.contacts.get(peer)).toMatchObject({ handle: 'bob', verified: true, nickname: 'Bobby' });
  expect(view.chats.get(chat)).toEqual({ pinned: true, muted: false });
  expect(view.settings.get('theme')).toBe('dark');
  expect(view.wordsConfirmed).toBe(true);
  expect(plain((await device.restart(broken)).core.view())).toEqual(plain(view));
});

test('[VA10] a write that does not reach the disk is not shown as done', async () => {
  const full: Database = { ...openMemoryDatabase(), write: () => Promise.reject(new StorageError('full')) };
  const core = await openVaultCore({ database: full, sealer: createSealer(await generateAesKey(), random), device: bytesToId(random.bytes(16)), service: broken, failed: () => undefined });
  await expect(core.set({ type: 'words-confirmed' })).rejects.toThrow('full');
  expect(core.view().wordsConfirmed).toBe(false);
  expect(core.hasUnsent()).toBe(false);
});

test('[VA11] two devices that changed the same contact offline end with both changes', async () => {
  const [phone, laptop] = [await openDevice(), await openDevice()];
  const genesisHash = random.bytes(32);
  await phone.core.set({ type: 'contact', account: peer, handle: 'bob', genesisHash });
  await exchange(phone, laptop);
  await phone.core.set({ type: 'contact', account: peer, verified: true });
  await phone.core.set({ type: 'chat', conversation: chat, muted: true });
  await laptop.core.set({ type: 'contact', account: peer, nickname: 'Bobby' });
  await laptop.core.set({ type: 'chat', conversation: chat, pinned: true });
  await exchange(phone, laptop);
  expect(plain(phone.core.view())).toEqual(plain(laptop.core.view()));
  expect(phone.core.heads()).toEqual(laptop.core.heads());
  expect(phone.core.view().contacts.get(peer)).toMatchObject({ handle: 'bob', verified: true, nickname: 'Bobby' });
  expect(phone.core.view().chats.get(chat)).toEqual({ pinned: true, muted: true });
});

test('[VA11] any wishes of three devices, exchanged in any order and twice, end in one state', async () => {
  const wish = fc.oneof(
    fc.record({ type: fc.constant('setting' as const), name: fc.constantFrom('a', 'b', 'c'), value: fc.oneof(fc.string({ maxLength: 20 }), fc.boolean(), fc.integer(), fc.constant(null)) }),
    fc.record({ type: fc.constant('chat' as const), conversation: fc.constant(chat), pinned: fc.boolean(), muted: fc.boolean() }),
    fc.record({ type: fc.constant('contact' as const), account: fc.constant(peer), nickname: fc.oneof(fc.constant(null), fc.string({ maxLength: 10 })) }),
  );
  const step = fc.record({ who: fc.nat(2), wishes: fc.array(wish, { maxLength: 3 }), deliverTo: fc.nat(2), order: fc.infiniteStream(fc.nat()) });
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 6 }), async (steps) => {
    const devices = [await openDevice(), await openDevice(), await openDevice()];
    const all: Bytes[] = [];
    for (const { who, wishes, deliverTo, order } of steps) {
      const { core } = devices[who]!;
      for (const one of wishes) await core.set(one as VaultMutation);
      const changes = await unsent(core);
      all.push(...changes.map(({ change }) => change));
      const mixed = all.map((change) => [order.next().value!, change] as const).sort(([a], [b]) => a - b).map(([, change]) => change);
      await devices[deliverTo]!.core.receive(mixed.slice(0, 1 + mixed.length / 2));
    }
    for (const { core } of devices) {
      await core.receive(all.toReversed());
      await core.receive(all);
      expect(await core.settle()).toMatchObject({ ok: true, value: { waiting: 0 } });
    }
    const [first, ...rest] = devices.map(({ core }) => plain(core.view()));
    for (const other of rest) expect(other).toEqual(first);
    expect(new Set(devices.map(({ core }) => bytesToHex(core.heads()))).size).toBe(1);
  }), { numRuns: 25 });
});

test('[VA11] a new device learns everything from the changes alone, in any order', async () => {
  const old = await openDevice();
  const changes: Bytes[] = [];
  for (let i = 0; i < 5; i++) {
    await old.core.set({ type: 'setting', name: `s${i}`, value: i });
    await old.core.set({ type: 'profile', displayName: `Ada ${i}` });
    changes.push(...(await unsent(old.core)).map(({ change }) => change));
  }
  const fresh = await openDevice();
  await fresh.core.receive(changes.toReversed());
  await fresh.core.settle();
  expect(plain(fresh.core.view())).toEqual(plain(old.core.view()));
});

test('[VA12] a change stays unsent until it is marked, across restarts', async () => {
  const device = await openDevice();
  await device.core.set({ type: 'words-confirmed' });
  const [change, ...none] = await unsent(device.core);
  expect(none).toEqual([]);
  expect(change!.heads).toEqual(device.core.heads());
  const again = await device.restart();
  expect(again.core.hasUnsent()).toBe(true);
  expect(await unsent(again.core)).toEqual([change]);
  await again.core.markSent([change!.id]);
  const last = await again.restart();
  expect(last.core.hasUnsent()).toBe(false);
  expect(await unsent(last.core)).toEqual([]);
});

test('[VA12] every change fits an envelope', async () => {
  const device = await openDevice();
  await device.core.set({ type: 'profile', displayName: 'x'.repeat(64), picture: random.bytes(limits.pictureSizeBytesMax) });
  await device.core.set({ type: 'profile', picture: random.bytes(limits.pictureSizeBytesMax) });
  for (let i = 0; i < 40; i++) {
    await device.core.set({ type: 'contact', account: bytesToId(random.bytes(16)), handle: 'h'.repeat(32), genesisHash: random.bytes(32), verified: true, nickname: '😀'.repeat(64), profileKey: random.bytes(32) });
  }
  const changes = await unsent(device.core);
  for (const { change } of changes) expect(change.length).toBeLessThan(12 * 1024);
  expect(changes.length).toBeLessThan(10); // and small ones travel together
});

test('[VA13] a wish made while a merge runs is neither lost nor delayed', async () => {
  const real = createCoreService();
  let begun = (): void => undefined;
  let release = (): void => undefined;
  const hasBegun = new Promise<void>((resolve) => { begun = resolve; });
  const gate = new Promise<void>((resolve) => { release = resolve; });
  const slow: CoreService = { async advance(input) { begun(); await gate; return real.advance(input); } };
  const device = await openDevice(slow);
  await device.core.set({ type: 'setting', name: 'a', value: 1 });
  const taking = device.core.takeUnsent();
  await hasBegun;
  await device.core.set({ type: 'setting', name: 'b', value: 2 }); // returns although the merge stands still
  expect(device.core.view().settings.get('b')).toBe(2);
  release();
  await taking;
  expect(device.core.view().settings).toEqual(new Map([['a', 1], ['b', 2]]));
  const other = await openDevice();
  await other.core.receive((await unsent(device.core)).map(({ change }) => change));
  await other.core.settle();
  expect(other.core.view().settings).toEqual(new Map([['a', 1], ['b', 2]]));
});

test('[VA14] when Automerge cannot be loaded nothing is lost, and it is tried again', async () => {
  const source = await openDevice();
  await source.core.set({ type: 'setting', name: 'from', value: 'afar' });
  const changes = (await unsent(source.core)).map(({ change }) => change);

  let loads = false;
  const real = createCoreService();
  const device = await openDevice({ advance: (input) => (loads ? real.advance(input) : broken.advance(input)) });
  await device.core.set({ type: 'words-confirmed' });
  await device.core.receive(changes);
  expect(await device.core.takeUnsent()).toEqual({ ok: false, error: 'service-unavailable' });
  expect(device.core.view().wordsConfirmed).toBe(true);
  loads = true;
  expect(await unsent(device.core)).toHaveLength(1);
  expect(device.core.view().settings.get('from')).toBe('afar');
});

test('[VA14] bytes that are no change are counted and harm nothing', async () => {
  const device = await openDevice();
  await device.core.set({ type: 'words-confirmed' });
  await device.core.settle();
  await device.core.receive([random.bytes(100), new Uint8Array()]);
  const settled = await device.core.settle();
  expect(device.core.view().wordsConfirmed).toBe(true);
  expect(settled.ok).toBe(true);
  expect(await device.core.settle()).toEqual({ ok: true, value: { waiting: 0, refused: 0 } }); // nothing waits for ever
});

test('[VA15] a new identity of a contact is not verified, also when another device verified the old one', async () => {
  const [phone, laptop] = [await openDevice(), await openDevice()];
  const [before, after] = [random.bytes(32), random.bytes(32)];
  await phone.core.set({ type: 'contact', account: peer, genesisHash: before });
  await exchange(phone, laptop);
  await phone.core.set({ type: 'contact', account: peer, verified: true });
  await laptop.core.set({ type: 'contact', account: peer, genesisHash: after });
  await exchange(phone, laptop);
  for (const { core } of [phone, laptop]) expect(core.view().contacts.get(peer)).toMatchObject({ genesisHash: after, verified: false });
});

test('[VA16] nothing of the private state lies readable on the disk, and a bent record is found out', async () => {
  const device = await openDevice();
  const canary = 'canary-7f3a9c';
  await device.core.set({ type: 'profile', displayName: canary });
  await device.core.settle();
  await device.core.set({ type: 'setting', name: canary, value: canary });
  await device.core.receive([textToBytes(canary)]);
  const stored = await device.database.read(['kv'], (tx) => tx.getAll('kv'));
  expect(stored.length).toBeGreaterThan(3);
  const hex = stored.map((value) => bytesToHex(value as Bytes)).join('|');
  expect(hex).not.toContain(bytesToHex(textToBytes(canary)));

  const key = 'vault/registers';
  const sealed = (await device.database.read(['kv'], (tx) => tx.get('kv', key))) as Bytes;
  const bent = sealed.slice();
  bent[20]! ^= 1;
  await device.database.write(['kv'], (tx) => tx.put('kv', key, bent));
  await expect(device.restart()).rejects.toThrow('corrupt');
});

test('[VA18] subscribers are told what the state is after every change', async () => {
  const device = await openDevice();
  const seen: (string | undefined)[] = [];
  const stop = device.core.subscribe((view) => seen.push(view.profile.displayName));
  await device.core.set({ type: 'profile', displayName: 'Ada' });
  const other = await openDevice();
  await other.core.set({ type: 'profile', displayName: 'Grace' });
  await device.core.settle();
  await other.core.receive((await unsent(device.core)).map(({ change }) => change));
  await other.core.settle();
  await other.core.set({ type: 'profile', displayName: 'Grace' });
  await device.core.receive((await unsent(other.core)).map(({ change }) => change));
  await device.core.settle();
  stop();
  await device.core.set({ type: 'profile', displayName: 'Joan' });
  expect(seen[0]).toBe('Ada');
  expect(seen.at(-1)).toBe('Grace');
});
