import { describe, expect, test } from 'vitest';
import { pad, sealAes, sha256, sign } from '#lib/crypto/primitives.ts';
import { envelopeAssociatedData, envelopeHeader, parseEnvelope } from '#lib/protocol/envelope.ts';
import type { EntryId } from '#lib/protocol/ids.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { chainStart, type EntryFault, type EntryProblem, type OpenContext } from './entry.ts';
import { encodeEvent } from './event-codec.ts';
import type { Event } from './event.ts';
import { chainsOf, createWorld, headAt, idOf, message, random, type Device, type World } from './fixtures/world.ts';
import { chainHash, encodeHeader, entrySignaturePurpose, parseInner } from './inner.ts';
import { advanceChain, openEntry, readChain, readInner, unsealBytes } from './open.ts';

const bad = (fault: EntryFault) => ({ ok: false, error: { type: 'bad', fault } satisfies EntryProblem });

/** What a member with the key can do: seal any inside as any entry. */
async function reseal(world: World, inside: Bytes, { slot, ctr, epoch = 2, purge }: EntryId & { readonly epoch?: number; readonly purge?: EntryId }): Promise<Bytes> {
  const headerBytes = envelopeHeader({ epoch, purge });
  const associated = envelopeAssociatedData({ conversation: world.conversation, slot, ctr, headerBytes });
  return concatBytes(headerBytes, await sealAes(world.keys.get(epoch)!, inside, associated, random));
}

async function insideOf(world: World, entry: EntryId & { readonly envelope: Bytes }): Promise<Bytes> {
  const parsed = parseEnvelope(entry.envelope);
  if (!parsed.ok) throw new Error('not an envelope');
  const inside = await unsealBytes(parsed.value, world.place(entry), world.conversation, world.keys.get(parsed.value.epoch)!);
  return inside!;
}

/** An entry as a dishonest member makes it: header as told, signed by `signer`. */
async function forge(world: World, signer: Device, claim: Partial<Parameters<typeof encodeHeader>[0]>, event: Event = message('forged'), outer: { epoch?: number; purge?: EntryId } = {}) {
  const body = encodeEvent(event);
  const header = encodeHeader({
    conversation: world.conversation, account: signer.account, device: signer.device, slot: signer.slot, ctr: signer.ctr, prev: signer.prev,
    epoch: 2, logHeight: 3, logHead: headAt(3), bodyHash: sha256(body), accountHeight: 5, ...claim,
  });
  const inside = concatBytes(header, await sign(signer.pair.privateKey, entrySignaturePurpose, chainHash(header)), pad(body));
  const place = { slot: claim.slot ?? signer.slot, ctr: claim.ctr ?? signer.ctr };
  return { ...place, envelope: await reseal(world, inside, { ...place, ...outer }) };
}

describe('an honest entry', () => {
  test('[CV5] opens to what was sealed, with its author, its heights and its place in the chain', async () => {
    const world = await createWorld([1, 1]);
    const [, bob] = world.devices as [Device, Device];
    const first = await world.seal(bob, message('one'));
    const second = await world.seal(bob, message('two'), { group: { height: 2, head: headAt(2) }, epoch: 1 });
    const row = world.place(first, 1_700_000_000_500);
    const opened = await openEntry(row, world.context());
    expect(opened).toEqual({ ok: true, value: {
      slot: bob.slot, ctr: 0, seq: row.seq, rt: row.rt, account: bob.account, device: bob.device, epoch: 2, logHeight: 3, accountHeight: 10,
      joinRt: 1_600_000_000_001, prev: chainStart, chain: first.chain, event: message('one'),
    } });
    if (!opened.ok) return;
    const chain = advanceChain(undefined, opened.value);
    const next = await openEntry(world.place(second), world.context({ chain: chainsOf([chain]) }));
    expect(next.ok && next.value).toMatchObject({ ctr: 1, epoch: 1, logHeight: 2, prev: first.chain });
  });

  test('[CV5] only its size bucket shows, and no two envelopes are alike', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const sizes = new Set<number>();
    for (const text of ['a', 'b'.repeat(200)]) sizes.add((await world.seal(device, message(text))).envelope.length);
    sizes.add((await world.seal(device, { kind: 'react', t: 1, l: 0, target: { slot: 1, ctr: 0 }, emoji: '👍' })).envelope.length);
    expect(sizes.size).toBe(1);
    const largest = await world.seal(device, message('x'.repeat(12 * 1024)));
    expect(largest.envelope.length).toBeLessThanOrEqual(16 * 1024);
    expect((await openEntry(world.place(largest), world.context())).ok).toBe(true);
  });

  test('[CV6] a delete names its target in the clear header and the hash of what it removes inside', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const first = await world.seal(device, message('oops'));
    const chain = await readChain(world.conversation, world.place(first), world.keys.get(2)!);
    expect(chain).toEqual(first.chain);
    const event: Event = { kind: 'delete', t: 1, l: 0, target: { slot: 1, ctr: 0 }, targetChain: chain! };
    const entry = await world.seal(device, event);
    const parsed = parseEnvelope(entry.envelope);
    expect(parsed.ok && parsed.value.purge).toEqual({ slot: 1, ctr: 0 });
    const opened = await openEntry(world.place(entry), world.context({ entryChain: () => first.chain }));
    expect(opened.ok && opened.value.event).toEqual(event);
  });
});

describe('what is missing', () => {
  test('[CV7] an entry waits for its key or log, says which, and is not called bad', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const row = world.place(await world.seal(device, message('one')));
    const needs = async (change: Partial<OpenContext>) => openEntry(row, world.context(change));
    expect(await needs({ contentKey: () => undefined })).toEqual({ ok: false, error: { type: 'pending', needs: { type: 'epoch', epoch: 2 } } });
    expect(await needs({ group: undefined })).toEqual({ ok: false, error: { type: 'pending', needs: { type: 'group', height: 3 } } });
    expect(await needs({ account: () => undefined })).toEqual({ ok: false, error: { type: 'pending', needs: { type: 'account', account: device.account, height: 10 } } });
    expect((await needs({})).ok).toBe(true);
  });

  test('[CV7] a height above the newest the server has is bad once the logs are known to be the newest', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const beyondGroup = await forge(world, device, { logHeight: 4, logHead: headAt(4) });
    const beyondAccount = await forge(world, device, { accountHeight: 99 });
    expect(await openEntry(world.place(beyondGroup), world.context())).toEqual({ ok: false, error: { type: 'pending', needs: { type: 'group', height: 4 } } });
    expect(await openEntry(world.place(beyondGroup), world.context({ settled: true }))).toEqual(bad('fork'));
    expect(await openEntry(world.place(beyondAccount), world.context({ settled: true }))).toEqual(bad('device-invalid'));
  });
});

describe('attacks', () => {
  test('[CV8] one changed byte anywhere is refused: 20 places in an envelope', async () => {
    const world = await createWorld([1]);
    const entry = await world.seal(world.devices[0]!, message('one'));
    const faults = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      const envelope = entry.envelope.slice();
      const at = Math.floor((i * (envelope.length - 1)) / 19);
      envelope[at]! ^= 1 << (i % 8);
      const opened = await openEntry(world.place({ ...entry, envelope }), world.context());
      expect(opened.ok, `byte ${at}`).toBe(false);
      if (!opened.ok) faults.add(opened.error.type === 'bad' ? opened.error.fault : opened.error.type);
    }
    expect(faults).toEqual(new Set(['envelope', 'tampered']));
    expect((await openEntry(world.place(entry), world.context())).ok).toBe(true);
  });

  test('[CV8] an entry moved to another conversation, slot or ctr does not open', async () => {
    const world = await createWorld([1]);
    const entry = await world.seal(world.devices[0]!, message('one'));
    const elsewhere = { conversation: idOf<typeof world.conversation>('another conversation') };
    expect(await openEntry(world.place(entry), world.context(elsewhere))).toEqual(bad('tampered'));
    expect(await openEntry(world.place({ ...entry, slot: 9 }), world.context())).toEqual(bad('tampered'));
    expect(await openEntry(world.place({ ...entry, ctr: 5 }), world.context())).toEqual(bad('tampered'));
  });

  test('[CV8] an insider who seals another\'s entry again under another place or epoch is refused', async () => {
    const world = await createWorld([1]);
    const entry = await world.seal(world.devices[0]!, message('one'));
    const inside = await insideOf(world, entry);
    const at = async (place: EntryId & { epoch?: number }) => openEntry(world.place({ ...place, envelope: await reseal(world, inside, place) }), world.context());
    expect(await at({ slot: 2, ctr: 0 })).toEqual(bad('wrong-place'));
    expect(await at({ slot: 1, ctr: 1 })).toEqual(bad('wrong-place'));
    expect(await at({ slot: 1, ctr: 0, epoch: 1 })).toEqual(bad('wrong-epoch'));
    const foreign = await forge(world, world.devices[0]!, { conversation: idOf('another conversation') });
    expect(await openEntry(world.place(foreign), world.context())).toEqual(bad('wrong-conversation'));
    expect(await at({ slot: 1, ctr: 0 })).toMatchObject({ ok: true });
  });

  test('[CV8] an insider who changes the body, the header or the signature inside is refused', async () => {
    const world = await createWorld([1]);
    const entry = await world.seal(world.devices[0]!, message('one'));
    const inside = await insideOf(world, entry);
    const changed = async (at: number) => {
      const other = inside.slice();
      other[at]! ^= 1;
      return openEntry(world.place({ ...entry, envelope: await reseal(world, other, entry) }), world.context());
    };
    expect(await changed(168 + 64 + 12)).toEqual(bad('wrong-body'));
    expect(await changed(168 + 64 + 200)).toEqual(bad('inner')); // padding that is not zeros
    expect(await changed(168 + 3)).toEqual(bad('wrong-signature'));
    expect(await changed(61)).toEqual(bad('wrong-signature')); // prev
    expect(await changed(101)).toEqual(bad('fork')); // log head
    expect(await changed(132)).toEqual(bad('wrong-body')); // body hash
    const short = await reseal(world, inside.subarray(0, 168 + 64 + 256 - 1), entry).then((envelope) => openEntry(world.place({ ...entry, envelope }), world.context()));
    expect(short).toEqual(bad('envelope'));
  });

  test('[CV9] nobody writes as another account or another device', async () => {
    const world = await createWorld([1, 2]);
    const [alice, bob] = world.devices as [Device, Device, Device];
    const asBob = await forge(world, alice, { account: bob.account, device: bob.device });
    expect(await openEntry(world.place(asBob), world.context())).toEqual(bad('wrong-signature'));
    const ownDeviceForBob = await forge(world, alice, { account: bob.account });
    expect(await openEntry(world.place(ownDeviceForBob), world.context())).toEqual(bad('device-invalid'));
    const stranger = await forge(world, alice, { device: idOf('a device nobody added') });
    expect(await openEntry(world.place(stranger), world.context())).toEqual(bad('device-invalid'));
  });

  test('[CV10] a device signs nothing before it is added and nothing from its revocation on', async () => {
    const world = await createWorld([2]);
    const device = world.devices[1]!;
    const at = async (accountHeight: number) => openEntry(world.place(await forge(world, device, { accountHeight })), world.context());
    const account = world.accounts.get(device.account)!;
    const record = account.devices.get(device.device)!;
    world.accounts.set(device.account, { ...account, devices: new Map(account.devices).set(device.device, { ...record, revokedAt: 6 }) });
    expect(await at(0)).toEqual(bad('device-invalid'));
    expect(await at(1)).toMatchObject({ ok: true });
    expect(await at(5)).toMatchObject({ ok: true });
    expect(await at(6)).toEqual(bad('device-invalid'));
    expect(await at(7)).toEqual(bad('device-invalid'));
  });

  test('[CV10] who is not a member at the height they name writes nothing, whoever they are now', async () => {
    const world = await createWorld([1, 1]);
    const bob = world.devices[1]!;
    const roles = new Map(world.group.roles).set(bob.account, [{ fromHeight: 2, role: 'member' as const }, { fromHeight: 3, role: undefined }]);
    const at = async (height: number) => openEntry(world.place(await forge(world, bob, { logHeight: height, logHead: headAt(height), epoch: height < 3 ? 1 : 2 }, message('x'), { epoch: height < 3 ? 1 : 2 })),
      world.context({ group: { ...world.group, roles } }));
    expect(await at(1)).toEqual(bad('not-member'));
    expect(await at(2)).toMatchObject({ ok: true });
    expect(await at(3)).toEqual(bad('not-member'));
    expect(await at(0)).toEqual(bad('fork'));
  });

  test('[CV10] a removed or revoked device writes nothing into the past: beyond its cut is refused', async () => {
    const world = await createWorld([1, 1]);
    const bob = world.devices[1]!;
    const early = await world.seal(bob, message('before the cut'), { group: { height: 2, head: headAt(2) }, epoch: 1 });
    const backdated = await world.seal(bob, message('written later, dated earlier'), { group: { height: 2, head: headAt(2) }, epoch: 1 });
    const group = { ...world.group, cuts: new Map([[`${bob.device}:${bob.slot}`, 0], [`${bob.device}:*`, 0]]) };
    expect(await openEntry(world.place(early), world.context({ group }))).toMatchObject({ ok: true });
    expect(await openEntry(world.place(backdated), world.context({ group }))).toEqual(bad('beyond-cut'));
    expect(await openEntry(world.place(backdated), world.context())).toMatchObject({ ok: true });
  });

  test('[CV11] two group logs shown to two people meet as a fork', async () => {
    const world = await createWorld([1]);
    const entry = await world.seal(world.devices[0]!, message('one'), { group: { height: 3, head: headAt(3, 'other') } });
    expect(await openEntry(world.place(entry), world.context())).toEqual(bad('fork'));
  });

  test('[CV11] an entry is sealed under the epoch of the height it names', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const oldHeight = await world.seal(device, message('one'), { group: { height: 2, head: headAt(2) } });
    expect(await openEntry(world.place(oldHeight), world.context())).toEqual(bad('wrong-epoch'));
    const oldEpoch = await world.seal(device, message('one'), { epoch: 1 });
    expect(await openEntry(world.place(oldEpoch), world.context())).toEqual(bad('wrong-epoch'));
  });

  test('[CV12] replay, gap and another story of the same device are told apart', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const opened = await openEntry(world.place(await world.seal(device, message('one'))), world.context());
    if (!opened.ok) throw new Error('honest');
    const chain = chainsOf([advanceChain(undefined, opened.value)]);
    const second = await world.seal(device, message('two'));
    const third = await world.seal(device, message('three'));
    const otherStory = await forge(world, { ...device, ctr: 1, prev: sha256(Uint8Array.of(1)) }, {});
    const again = await forge(world, { ...device, ctr: 0, prev: chainStart }, {});
    expect(await openEntry(world.place(third), world.context({ chain }))).toEqual(bad('gap'));
    expect(await openEntry(world.place(again), world.context({ chain }))).toEqual(bad('replay'));
    expect(await openEntry(world.place(otherStory), world.context({ chain }))).toEqual(bad('equivocation'));
    expect(await openEntry(world.place(second), world.context({ chain }))).toMatchObject({ ok: true });
    const pastBeforeFirst = await forge(world, { ...device, ctr: 0, prev: sha256(Uint8Array.of(1)) }, {});
    expect(await openEntry(world.place(pastBeforeFirst), world.context())).toEqual(bad('equivocation'));
  });

  test('[CV13] a slot speaks for one device: the first that is verified', async () => {
    const world = await createWorld([1, 1]);
    const [alice, bob] = world.devices as [Device, Device];
    const opened = await openEntry(world.place(await world.seal(alice, message('one'))), world.context());
    if (!opened.ok) throw new Error('honest');
    const stolen = await forge(world, bob, { slot: alice.slot, ctr: 1, prev: opened.value.chain });
    expect(await openEntry(world.place(stolen), world.context({ chain: chainsOf([advanceChain(undefined, opened.value)]) }))).toEqual(bad('slot-stolen'));
  });

  test('[CV6] a purge target that is not what the event deletes is refused, both ways', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const event: Event = { kind: 'delete', t: 1, l: 0, target: { slot: 1, ctr: 7 }, targetChain: sha256(Uint8Array.of(7)) };
    const open = async (entry: EntryId & { envelope: Bytes }, change: Partial<OpenContext> = {}) => openEntry(world.place(entry), world.context(change));
    expect(await open(await forge(world, device, {}, event))).toEqual(bad('purge-mismatch'));
    expect(await open(await forge(world, device, {}, event, { purge: { slot: 1, ctr: 8 } }))).toEqual(bad('purge-mismatch'));
    expect(await open(await forge(world, device, {}, message('x'), { purge: { slot: 1, ctr: 7 } }))).toEqual(bad('purge-mismatch'));
    const right = await forge(world, device, {}, event, { purge: event.target });
    expect(await open(right)).toMatchObject({ ok: true });
    expect(await open(right, { entryChain: () => sha256(Uint8Array.of(8)) })).toEqual(bad('purge-mismatch'));
    expect(await open(right, { entryChain: () => event.targetChain })).toMatchObject({ ok: true });
  });

  test('[CV14] an authentic entry whose event does not decode is bad and keeps its place in the chain', async () => {
    const world = await createWorld([1]);
    const device = world.devices[0]!;
    const body = Uint8Array.of(99, 1, 2);
    const header = encodeHeader({
      conversation: world.conversation, account: device.account, device: device.device, slot: 1, ctr: 0, prev: chainStart, epoch: 2, logHeight: 3,
      logHead: headAt(3), bodyHash: sha256(body), accountHeight: 5,
    });
    const chain = chainHash(header);
    const envelope = await reseal(world, concatBytes(header, await sign(device.pair.privateKey, entrySignaturePurpose, chain), pad(body)), { slot: 1, ctr: 0 });
    expect(await openEntry(world.place({ slot: 1, ctr: 0, envelope }), world.context())).toEqual(bad('event'));
    expect(readInner(concatBytes(header, new Uint8Array(64), pad(body)))).toMatchObject({ ok: true, value: { chain, event: undefined, bodyFits: true } });
    expect(parseInner(header)).toBeUndefined();
  });
});
