import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '#lib/crypto/primitives.ts';
import type { Row } from '#lib/protocol/row.ts';
import { chainUnknown, type SlotChain } from './entry.ts';
import type { Event } from './event.ts';
import { chainsOf, createWorld, headAt, message, type Device, type World } from './fixtures/world.ts';
import { openMany, type OpenedMany } from './open-many.ts';
import { advanceChain, openEntry, readChain } from './open.ts';

const verdicts = ({ rows }: Pick<OpenedMany, 'rows'>) => rows.map(({ check, fault }) => fault ?? check);

async function talk(world: World, count: number, pick: (i: number) => number = (i) => i % world.devices.length): Promise<Row[]> {
  const rows: Row[] = [];
  for (let i = 0; i < count; i++) rows.push(world.place(await world.seal(world.devices[pick(i)]!, message(`${i}`, 1_700_000_000_000 + i))));
  return rows;
}

const flipped = (row: Row, at = 300): Row => ({ ...row, envelope: row.envelope!.map((byte, i) => (i === at ? byte ^ 1 : byte)) });

/** The verdicts of `openEntry`, row by row, with the chains kept as openMany keeps them. */
async function oneByOne(world: World, rows: readonly Row[], fails: (epoch: number) => boolean = () => false): Promise<{ verdicts: string[]; chains: Map<number, SlotChain> }> {
  const chains = new Map<number, SlotChain>();
  const out: string[] = [];
  for (const row of rows) {
    const before = chains.get(row.slot);
    const skip = (chain = chainUnknown) => before && row.ctr > before.ctr && chains.set(row.slot, { ...before, ctr: row.ctr, chain });
    if (!row.envelope) {
      out.push('ok');
      skip();
      continue;
    }
    const opened = await openEntry(row, world.context({ chain: (slot) => chains.get(slot), contentKey: (epoch) => (fails(epoch) ? undefined : world.keys.get(epoch)) }));
    if (opened.ok) {
      out.push('ok');
      chains.set(row.slot, advanceChain(before, opened.value));
      continue;
    }
    // In bulk a row that was given before is named so before anything else about it.
    const replay = before && row.ctr <= before.ctr;
    out.push(replay ? 'replay' : opened.error.type === 'bad' ? opened.error.fault : 'pending');
    const authentic = opened.error.type === 'bad' && ['gap', 'equivocation', 'event', 'purge-mismatch'].includes(opened.error.fault);
    skip(authentic ? await readChain(world.conversation, row, world.keys.get(2)!) : chainUnknown);
  }
  return { verdicts: out, chains };
}

test('[CV15] bulk opens what one by one opens, and its chains end at the same hashes', async () => {
  const world = await createWorld([2, 1]);
  const rows = await talk(world, 60);
  const bulk = await openMany(rows, world.many({ fromStart: true }));
  const single = await oneByOne(world, rows);
  expect(verdicts(bulk)).toEqual(single.verdicts);
  expect(new Map(bulk.chains.map((chain) => [chain.slot, chain]))).toEqual(single.chains);
  expect(bulk.entries.map(({ event }) => event.kind === 'message' && event.text)).toEqual(rows.map((_, i) => `${i}`));
  expect(bulk.rows.map(({ kind, counts }) => [kind, counts])).toEqual(rows.map(({ slot }) => ['message', slot === 3])); // account 0 is me
  expect(bulk.alarms).toEqual([]);
  expect(bulk.needs).toEqual([]);
});

test('[CV15] under random tampering bulk and one by one give the same verdicts', async () => {
  const world = await createWorld([2, 1]);
  const struck = new Set<string>();
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ at: fc.integer({ min: 3, max: 29 }), how: fc.constantFrom('flip', 'drop', 'repeat', 'purge', 'forge', 'equivocate', 'body') }), { maxLength: 6 }), fc.nat(29), async (attacks, cut) => {
    for (const device of world.devices) Object.assign(device, { ctr: 0, prev: new Uint8Array(32) });
    const rows: (Row | undefined)[] = await talk(world, 30);
    const repeats: Row[] = [];
    for (const { at, how } of attacks) {
      const row = rows[at];
      if (!row?.envelope) continue;
      const device = world.devices.find(({ slot }) => slot === row.slot)!;
      const liar = (signer: Device, prev: typeof device.prev) => world.seal({ ...signer, slot: row.slot, ctr: row.ctr, prev }, message('lie'));
      if (how === 'flip') rows[at] = flipped(row, row.envelope.length - 1);
      if (how === 'drop') rows[at] = undefined;
      if (how === 'repeat') repeats.push(row);
      if (how === 'purge') rows[at] = { ...row, envelope: undefined };
      if (how === 'forge') rows[at] = { ...row, envelope: (await liar({ ...device, pair: world.devices[(world.devices.indexOf(device) + 1) % 3]!.pair }, device.prev)).envelope };
      if (how === 'equivocate') rows[at] = { ...row, envelope: (await liar(device, sha256(Uint8Array.of(at)))).envelope };
      if (how === 'body') rows[at] = { ...row, envelope: (await liar(world.devices[(world.devices.indexOf(device) + 1) % 3]!, device.prev)).envelope };
    }
    const given = [...rows.flatMap((row) => row ?? []), ...repeats].map((row, i) => ({ ...row, seq: 10_000 + i }));
    const single = await oneByOne(world, given);
    single.verdicts.forEach((verdict) => struck.add(verdict));
    expect(verdicts(await openMany(given, world.many({ fromStart: true })))).toEqual(single.verdicts);
    // Cut anywhere into two batches: the same again.
    const first = await openMany(given.slice(0, cut), world.many({ fromStart: true }));
    const second = await openMany(given.slice(cut), world.many({ fromStart: true, chain: chainsOf(first.chains) }));
    expect([...verdicts(first), ...verdicts(second)]).toEqual(single.verdicts);
  }), { numRuns: 60 });
  expect([...struck].sort()).toEqual(['equivocation', 'gap', 'ok', 'replay', 'slot-stolen', 'tampered', 'wrong-signature']);
});

test('[CV16] when the newest signature fails, the culprit is found and all below it stands', async () => {
  const world = await createWorld([1, 1]);
  const [alice, bob] = world.devices as [Device, Device];
  const rows = await talk(world, 6, () => 0);
  const forged = world.place(await world.seal({ ...alice, pair: bob.pair }, message('forged')));
  const real = world.place({ ...await world.seal(alice, message('real')), ctr: 6 }); // alice's own seventh, at the forged place
  const after = world.place(await world.seal(alice, message('after')));
  const opened = await openMany([...rows, forged, after], world.many({ fromStart: true }));
  expect(verdicts(opened)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'wrong-signature', 'ok']);
  expect(opened.alarms).toEqual([{ slot: 1, ctr: 6, fault: 'wrong-signature' }]);
  expect(verdicts(await openMany([...rows, real, after], world.many({ fromStart: true })))).toEqual(Array(8).fill('ok'));
});

test('[CV17] it starts at the tail, and older rows join below by prev without a signature of their own', async () => {
  const world = await createWorld([2, 1]);
  const rows = await talk(world, 90);
  const tail = await openMany(rows.slice(60), world.many());
  expect(tail.rows.every(({ check }) => check === 'ok')).toBe(true);
  const middle = await openMany(rows.slice(30, 60), world.many({ mode: 'older', chain: chainsOf(tail.chains) }));
  const first = await openMany(rows.slice(0, 30), world.many({ mode: 'older', chain: chainsOf(middle.chains) }));
  expect([...verdicts(first), ...verdicts(middle)]).toEqual(Array(60).fill('ok'));
  const whole = await openMany(rows, world.many({ fromStart: true }));
  expect(first.chains).toEqual(expect.arrayContaining([...whole.chains]));
  expect([...first.alarms, ...middle.alarms]).toEqual([]);
});

test('[CV17] older rows that do not join what is held are found: dropped, reordered or another story', async () => {
  const world = await createWorld([1]);
  const device = world.devices[0]!;
  const rows = await talk(world, 6);
  const tail = await openMany(rows.slice(4), world.many());
  const older = async (given: readonly Row[]) => openMany(given, world.many({ mode: 'older', chain: chainsOf(tail.chains) }));
  const dropped = await older(rows.slice(0, 3));
  expect(dropped.alarms).toEqual([{ slot: 1, ctr: 3, fault: 'gap' }]);
  const story = await world.seal({ ...device, ctr: 3, prev: sha256(Uint8Array.of(3)) }, message('another story'));
  const told = await older([...rows.slice(0, 3), { ...rows[3]!, envelope: story.envelope }]);
  expect(verdicts(told)).toEqual(['ok', 'ok', 'ok', 'equivocation']);
  const swapped = await older([rows[1]!, rows[0]!, rows[2]!, rows[3]!].map((row, i) => ({ ...row, seq: i + 1 })));
  expect(verdicts(swapped)).toEqual(['ok', 'replay', 'ok', 'ok']);
  expect(verdicts(await older([rows[4]!]))).toEqual(['replay']);
});

test('[CV17] an older row that continues what is below it and not what is above it is another story', async () => {
  const world = await createWorld([1]);
  const device = world.devices[0]!;
  const rows = await talk(world, 6);
  const tail = await openMany(rows.slice(4), world.many());
  const prev = await readChain(world.conversation, rows[2]!, world.keys.get(2)!);
  const story = await world.seal({ ...device, ctr: 3, prev: prev! }, message('another story'));
  const told = await openMany([...rows.slice(0, 3), { ...rows[3]!, envelope: story.envelope }], world.many({ mode: 'older', chain: chainsOf(tail.chains) }));
  expect(verdicts(told)).toEqual(['ok', 'ok', 'ok', 'equivocation']);
  expect(told.alarms).toEqual([{ slot: 1, ctr: 3, fault: 'equivocation' }]);
});

test('[CV17] what stands right below the held rows is vouched for by its hash alone, never by its place', async () => {
  const world = await createWorld([1, 1]);
  const [alice, bob] = world.devices as [Device, Device];
  const rows = await talk(world, 6, () => 0);
  const tail = await openMany(rows.slice(4), world.many());
  // An insider has the content key and not alice's signing key; the two entries are linked well.
  const prev = await readChain(world.conversation, rows[1]!, world.keys.get(2)!);
  const forger = { ...alice, pair: bob.pair, ctr: 2, prev: prev! };
  const forged = [await world.seal(forger, message('never said')), await world.seal(forger, message('nor this'))];
  const given = [...rows.slice(0, 2), ...forged.map(({ envelope }, i) => ({ ...rows[2 + i]!, envelope }))];
  const opened = await openMany(given, world.many({ mode: 'older', chain: chainsOf(tail.chains) }));
  expect(verdicts(opened)).toEqual(['ok', 'ok', 'wrong-signature', 'wrong-signature']);
});

test('[CV12] a dropped or reordered entry is noticed at the next one of its device', async () => {
  const world = await createWorld([1, 1]);
  const rows = await talk(world, 10);
  const without = rows.filter((_, i) => i !== 4);
  const opened = await openMany(without, world.many({ fromStart: true }));
  expect(opened.alarms).toEqual([{ slot: 1, ctr: 3, fault: 'gap' }]);
  const firstDropped = await openMany(rows.slice(1), world.many({ fromStart: true }));
  expect(firstDropped.alarms).toEqual([{ slot: 1, ctr: 1, fault: 'gap' }]);
  const reordered = [rows[0]!, rows[1]!, rows[4]!, rows[3]!, rows[2]!, rows[5]!].map((row, i) => ({ ...row, seq: i + 1 }));
  expect(verdicts(await openMany(reordered, world.many({ fromStart: true })))).toEqual(['ok', 'ok', 'gap', 'ok', 'replay', 'ok']);
});

test('[CV18] a purged row breaks no chain: the delete names its hash and the next entry agrees', async () => {
  const world = await createWorld([1, 1]);
  const rows = await talk(world, 8);
  const removed = rows[2]!; // slot 1, ctr 1
  const chain = await readChain(world.conversation, removed, world.keys.get(2)!);
  const deletion = async (targetChain: NonNullable<typeof chain>): Promise<Row> => {
    const event: Event = { kind: 'delete', t: 1, l: 0, target: { slot: 1, ctr: 1 }, targetChain };
    return world.place(await world.seal({ ...world.devices[0]! }, event));
  };
  const purged = rows.map((row) => (row === removed ? { ...row, envelope: undefined } : row));
  const right = await openMany([...purged, await deletion(chain!)], world.many({ fromStart: true }));
  expect(verdicts(right)).toEqual(Array(9).fill('ok'));
  expect(right.rows[2]!.kind).toBe('purged');
  expect(right.alarms).toEqual([]);
  const wrong = await openMany([...purged, await deletion(sha256(Uint8Array.of(1)))], world.many({ fromStart: true }));
  expect(wrong.alarms).toEqual([{ slot: 1, ctr: 1, fault: 'purge-mismatch' }]);
  const stillThere = await openMany([...rows, await deletion(sha256(Uint8Array.of(1)))], world.many({ fromStart: true }));
  expect(verdicts(stillThere)).toEqual([...Array<string>(8).fill('ok'), 'purge-mismatch']);
});

test('[CV18] a device whose every held entry is purged goes on without a gap, and a real gap behind it still shows', async () => {
  const world = await createWorld([1]);
  const [first, second, third] = await talk(world, 3) as [Row, Row, Row];
  const held = await openMany([{ ...first, envelope: undefined }], world.many({ fromStart: true }));
  expect(held.chains).toEqual([]);
  const goesOn = world.many({ fromStart: true, heldTo: (slot) => (slot === first.slot ? first.ctr : undefined) });
  expect(verdicts(await openMany([second, third], goesOn))).toEqual(['ok', 'ok']);
  expect(verdicts(await openMany([third], goesOn))).toEqual(['gap']);
});

test('[CV19] pending rows say what they need, hold nobody up, and open again once it is there', async () => {
  const world = await createWorld([1, 1]);
  const device = world.devices[0]!;
  const old = { epoch: 1, group: { height: 2, head: headAt(2) } };
  const rows = [
    world.place(await world.seal(device, message('a'))), world.place(await world.seal(device, message('b'), old)),
    world.place(await world.seal(device, message('c'), old)), world.place(await world.seal(device, message('d'))),
    world.place(await world.seal(world.devices[1]!, message('e'), old)),
  ];
  const waiting = await openMany(rows, world.many({ fromStart: true, contentKey: (epoch) => (epoch === 1 ? undefined : world.keys.get(epoch)) }));
  expect(verdicts(waiting)).toEqual(['ok', 'pending', 'pending', 'ok', 'pending']);
  expect(waiting.needs).toEqual([{ type: 'epoch', epoch: 1 }]);
  expect(waiting.alarms).toEqual([]);
  const held = chainsOf(waiting.chains);
  expect(held(2)).toBeUndefined();
  const again = await openMany([rows[0]!, rows[1]!, rows[2]!, rows[3]!, rows[4]!], world.many({ mode: 'again', chain: held }));
  expect(verdicts(again)).toEqual(Array(5).fill('ok'));
  expect(again.chains.map(({ slot }) => slot)).toEqual([2]); // slot 1 stands as it stood
  expect(again.chains.find(({ slot }) => slot === 2)).toMatchObject({ ctr: 0, firstCtr: 0 });
  const alone = await openMany([rows[1]!, rows[4]!], world.many({ mode: 'again', chain: held }));
  expect(verdicts(alone)).toEqual(['ok', 'ok']);
  const story = await world.seal({ ...device, ctr: 1, prev: sha256(Uint8Array.of(9)) }, message('another story'), old);
  const told = await openMany([rows[0]!, { ...rows[1]!, envelope: story.envelope }, rows[2]!, rows[3]!], world.many({ mode: 'again', chain: held }));
  expect(verdicts(told)).toEqual(['ok', 'equivocation', 'equivocation', 'ok']);
});

test('[CV19] a pending newest entry leaves its place open in the chain, and opening it fills the place', async () => {
  const world = await createWorld([1]);
  const device = world.devices[0]!;
  const rows = [world.place(await world.seal(device, message('a'))), world.place(await world.seal(device, message('b')))];
  const first = await openMany(rows.slice(0, 1), world.many({ fromStart: true }));
  const waiting = await openMany(rows.slice(1), world.many({ fromStart: true, chain: chainsOf(first.chains), contentKey: () => undefined }));
  expect(waiting.chains).toEqual([{ ...first.chains[0]!, ctr: 1, chain: chainUnknown }]);
  const again = await openMany(rows.slice(1), world.many({ mode: 'again', chain: chainsOf(waiting.chains) }));
  expect(again.chains).toEqual([{ ...first.chains[0]!, ctr: 1, chain: device.prev }]);
});

test('[CV13] in bulk too a slot speaks for the first device verified in it', async () => {
  const world = await createWorld([1, 1]);
  const [alice, bob] = world.devices as [Device, Device];
  const rows = await talk(world, 3, () => 0);
  const stolen = world.place(await world.seal({ ...bob, slot: alice.slot, ctr: 3, prev: alice.prev }, message('mine now')));
  const opened = await openMany([...rows, stolen], world.many({ fromStart: true }));
  expect(verdicts(opened)).toEqual(['ok', 'ok', 'ok', 'slot-stolen']);
  expect(opened.chains).toMatchObject([{ slot: 1, account: alice.account, device: alice.device, ctr: 3, chain: chainUnknown }]);
});

test('[CV19] opened again, a row that was good needs no second signature check and one that was bad stays bad', async () => {
  const world = await createWorld([1, 1]);
  const rows = await talk(world, 6, () => 0);
  const dropped = rows.filter((_, i) => i !== 2);
  const opened = await openMany(dropped, world.many({ fromStart: true }));
  expect(verdicts(opened)).toEqual(['ok', 'ok', 'gap', 'ok', 'ok']);
  const again = await openMany(opened.rows, world.many({ mode: 'again', chain: chainsOf(opened.chains) }));
  expect(again.rows).toEqual(opened.rows);
  expect(again.chains).toEqual([]);
  // With no device key at hand that could verify anything, what was verified opens; what was not does not.
  const account = world.accounts.get(world.devices[0]!.account)!;
  const record = account.devices.get(world.devices[0]!.device)!;
  world.accounts.set(account.account, { ...account, devices: new Map([[record.id, { ...record, signPublicKey: world.devices[1]!.pair.publicKey }]]) });
  expect(verdicts(await openMany(opened.rows, world.many({ mode: 'again', chain: chainsOf(opened.chains) })))).toEqual(['ok', 'ok', 'gap', 'ok', 'ok']);
  expect(verdicts(await openMany(dropped.slice(0, 2), world.many({ mode: 'again' })))).toEqual(['wrong-signature', 'wrong-signature']);
  // A row spoilt on the disk is found all the same.
  const spoilt = opened.rows.map((row, i) => (i === 1 ? { ...row, envelope: flipped(row).envelope } : row));
  expect(verdicts(await openMany(spoilt, world.many({ mode: 'again', chain: chainsOf(opened.chains) })))).toEqual(['ok', 'tampered', 'gap', 'ok', 'ok']);
});
