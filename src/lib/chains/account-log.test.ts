import fc from 'fast-check';
import { expect, test } from 'vitest';
import { u16, u32, u8 } from '#lib/crypto/encoding.ts';
import { generateKemPair, generateSigningPair, sign } from '#lib/crypto/primitives.ts';
import { bytesToId, type AccountId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex, concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import type { AccountBody } from './account-body.ts';
import { buildAddDevice, buildPinVault, buildRevocation, buildRevokeDevice, buildRotateUek, buildSetRecovery, proveDevicePossession } from './account-build.ts';
import { accountChainHash, accountSignPurpose, applyAccountEntry, decodeAccountEntry, encodeAccountCore, encodeAccountEntry, extendAccountLog, replayAccountLog, type EntrySigner } from './account-log.ts';
import { activeDevices, deviceValidAt, newestUek } from './account-state.ts';
import { addDevice, append, makeDevice, makePerson, recoverySigner, revokeDevice, rotateUek, seededRandom, type Person } from './fixtures/people.ts';

/** An entry with any body, signed by anybody, for what no builder makes. */
async function forge(person: Person, body: AccountBody, signers: readonly { signer: EntrySigner; key: CryptoKey }[], at: { account?: AccountId; height?: number; prev?: Bytes } = {}): Promise<Bytes> {
  const { state } = person;
  const core = encodeAccountCore(at.account ?? state.account, at.height ?? state.height + 1, at.prev ?? state.head, body);
  const signatures = await Promise.all(signers.map(async ({ signer, key }) => ({ signer, signature: await sign(key, accountSignPurpose, core) })));
  return encodeAccountEntry(core, signatures);
}

const byRecovery = (person: Person) => [{ signer: { type: 'recovery' } as const, key: person.recovery.privateKey }];
const byDevice = (person: Person, index = 0) => [{ signer: { type: 'device', id: person.devices[index]!.id } as const, key: person.devices[index]!.signKey }];

async function livedIn(seed: number): Promise<Person> {
  const random = seededRandom(seed);
  const person = await makePerson(random);
  await addDevice(person, random);
  const lost = await addDevice(person, random);
  await revokeDevice(person, lost);
  await rotateUek(person);
  await append(person, await buildPinVault(person.state, { version: 3, hash: random.bytes(32), signer: person.devices[1]!.signer }));
  const recovery = await generateSigningPair();
  await append(person, await buildSetRecovery(person.state, { recoveryPublicKey: recovery.publicKey, signers: [recoverySigner(person)] }));
  return { ...person, recovery };
}

test('[CH1] what is decoded is what was encoded, and every prefix and every extension is refused', async () => {
  const person = await livedIn(1);
  for (const bytes of person.entries) {
    const entry = unwrap(decodeAccountEntry(bytes), 'decodes');
    expect(encodeAccountEntry(encodeAccountCore(entry.account, entry.height, entry.prev, entry.body), entry.signatures)).toEqual(bytes);
    for (let size = 0; size < bytes.length; size++) expect(decodeAccountEntry(bytes.slice(0, size)).ok).toBe(false);
    expect(decodeAccountEntry(concatBytes(bytes, u8(0)))).toEqual({ ok: false, error: 'malformed' });
  }
});

test('[CH1] signatures stand in one order, nobody signs twice, and another suite is refused', async () => {
  const person = await makePerson(seededRandom(2));
  const { core, signatures } = unwrap(decodeAccountEntry(person.entries[0]!), 'decodes');
  expect(decodeAccountEntry(encodeAccountEntry(core, [...signatures].reverse()))).toEqual({ ok: false, error: 'malformed' });
  expect(decodeAccountEntry(encodeAccountEntry(core, [signatures[0]!, signatures[0]!]))).toEqual({ ok: false, error: 'malformed' });
  const otherSuite = concatBytes(core.slice(0, 52), u16(2), core.slice(54));
  expect(decodeAccountEntry(encodeAccountEntry(otherSuite, signatures))).toEqual({ ok: false, error: 'unknown-suite' });
});

test('[CH1] random bytes are refused, never thrown at', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
    expect(decodeAccountEntry(bytes).ok).toBe(false);
  }), { numRuns: 2_000 });
});

test('[CH2] replayed at once or append by append, a log gives one state', async () => {
  const person = await livedIn(3);
  const whole = unwrap(await replayAccountLog(person.account, person.entries), 'replays');
  expect(whole).toEqual(person.state);
  expect(bytesToHex(whole.head)).toBe(bytesToHex(accountChainHash(unwrap(decodeAccountEntry(person.entries.at(-1)!), 'decodes').core)));
  expect(whole.heads).toHaveLength(person.entries.length);
  expect(whole.genesisHash).toEqual(whole.heads[0]);
  expect(activeDevices(whole).map(({ id }) => id)).toEqual(person.devices.slice(0, 2).map(({ id }) => id));
  expect(newestUek(whole).gen).toBe(3);
});

test('[CH2] a replayed, dropped, reordered or foreign entry is refused', async () => {
  const person = await livedIn(4);
  const { entries, account } = person;
  const fault = async (list: readonly Bytes[], owner = account) => {
    const result = await replayAccountLog(owner, list);
    return result.ok ? undefined : result.error;
  };
  expect(await fault([...entries, entries.at(-1)!])).toEqual({ fault: 'wrong-height', height: entries.length });
  expect(await fault([entries[0]!, ...entries.slice(2)])).toEqual({ fault: 'wrong-height', height: 1 });
  expect(await fault([entries[0]!, entries[2]!, entries[1]!, ...entries.slice(3)])).toEqual({ fault: 'wrong-height', height: 1 });
  expect(await fault(entries, bytesToId<AccountId>(new Uint8Array(16)))).toEqual({ fault: 'wrong-account', height: 0 });
  expect(await fault(entries.slice(1))).toEqual({ fault: 'not-genesis', height: 0 });
  expect(await fault([])).toEqual({ fault: 'not-genesis', height: 0 });
  const other = await livedIn(5);
  expect(await fault([entries[0]!, other.entries[1]!])).toEqual({ fault: 'wrong-account', height: 1 });
});

test('[CH2] an entry of the same height over another history is refused', async () => {
  const person = await makePerson(seededRandom(6));
  const vault = { kind: 'pin_vault', version: 1, hash: new Uint8Array(32) } as const;
  const moved = await forge(person, vault, byDevice(person), { prev: new Uint8Array(32).fill(7) });
  expect(await applyAccountEntry(person.state, moved)).toEqual({ ok: false, error: 'wrong-prev' });
  expect(await applyAccountEntry(person.state, person.entries[0]!)).toEqual({ ok: false, error: 'wrong-height' });
  const again = unwrap(decodeAccountEntry(person.entries[0]!), 'decodes').body;
  expect(await applyAccountEntry(person.state, await forge(person, again, [...byRecovery(person), ...byDevice(person)]))).toEqual({ ok: false, error: 'genesis-again' });
});

test('[CH3] a revoked device signs nothing after its height, and what it signed before still stands', async () => {
  const person = await livedIn(7);
  const lost = person.devices[2]!;
  const { revokedAt, addedAt } = person.state.devices.get(lost.id)!;
  expect(deviceValidAt(person.state, lost.id, addedAt - 1)).toBe(false);
  expect(deviceValidAt(person.state, lost.id, addedAt)).toBe(true);
  expect(deviceValidAt(person.state, lost.id, revokedAt! - 1)).toBe(true);
  expect(deviceValidAt(person.state, lost.id, revokedAt!)).toBe(false);
  expect(deviceValidAt(person.state, person.devices[0]!.id, person.state.height + 1)).toBe(false);
  const pin = await buildPinVault(person.state, { version: 9, hash: new Uint8Array(32), signer: lost.signer });
  expect(await applyAccountEntry(person.state, pin)).toEqual({ ok: false, error: 'signer-revoked' });
});

test('[CH3] a device that leaves by its own hand signs the new key it owes, and only that', async () => {
  const random = seededRandom(31);
  const person = await makePerson(random);
  const [first, second] = [person.devices[0]!, await addDevice(person, random)];
  const uekPublicKey = (await generateKemPair()).publicKey;
  const whole = await buildRevocation(person.state, { devices: [second.id], uekPublicKey, signer: second.signer });
  const left = unwrap(await extendAccountLog(person.state, whole), 'a device may leave');
  expect([...activeDevices(left)].map(({ id }) => id)).toEqual([first.id]);
  expect({ owed: left.rotationOwed, leaving: left.leaving, gen: newestUek(left).gen }).toEqual({ owed: false, leaving: undefined, gen: 2 });
  // Nothing else while it owes, and no second key once it has paid.
  const owing = unwrap(await applyAccountEntry(person.state, whole[0]!), 'the revoke by itself applies');
  const pin = await buildPinVault({ ...owing, rotationOwed: false }, { version: 1, hash: random.bytes(32), signer: second.signer });
  expect((await applyAccountEntry(owing, pin)).ok).toBe(false);
  const other = await buildRevokeDevice(owing, { device: first.id, signer: second.signer });
  expect(await applyAccountEntry(owing, other)).toEqual({ ok: false, error: 'signer-revoked' });
  const again = await buildRotateUek(left, { uekPublicKey, signer: second.signer });
  expect(await applyAccountEntry(left, again)).toEqual({ ok: false, error: 'signer-revoked' });
  // One that another shut out makes no key, not even within that append.
  const shutOut = unwrap(await applyAccountEntry(person.state, await buildRevokeDevice(person.state, { device: second.id, signer: first.signer })), 'the revoke applies');
  const byTheRevoked = await buildRotateUek(shutOut, { uekPublicKey, signer: second.signer });
  expect(await applyAccountEntry(shutOut, byTheRevoked)).toEqual({ ok: false, error: 'signer-revoked' });
});

test('[CH4] an append that revokes and does not rotate is refused, and so is a list that hides one', async () => {
  const random = seededRandom(8);
  const person = await makePerson(random);
  const device = await addDevice(person, random);
  const signer = person.devices[0]!.signer;
  const revoke = await buildRevokeDevice(person.state, { device: device.id, signer });
  expect(await extendAccountLog(person.state, [revoke])).toEqual({ ok: false, error: { fault: 'rotation-owed', height: 3 } });
  const owing = unwrap(await applyAccountEntry(person.state, revoke), 'a revoke by itself applies');
  expect(owing.rotationOwed).toBe(true);
  const pin = await buildPinVault(owing, { version: 1, hash: random.bytes(32), signer });
  expect(await extendAccountLog(person.state, [revoke, pin])).toEqual({ ok: false, error: { fault: 'rotation-owed', height: 3 } });
  const uek = await generateKemPair();
  const whole = await buildRevocation(person.state, { devices: [device.id], uekPublicKey: uek.publicKey, signer });
  expect(unwrap(await extendAccountLog(person.state, whole), 'whole').rotationOwed).toBe(false);
});

test('[CH4] several revokes share one rotation, and the words alone can take everything back', async () => {
  const random = seededRandom(9);
  const person = await makePerson(random);
  await addDevice(person, random);
  const uek = await generateKemPair();
  await append(person, ...(await buildRevocation(person.state, { devices: person.devices.map(({ id }) => id), uekPublicKey: uek.publicKey, signer: recoverySigner(person) })));
  expect(activeDevices(person.state)).toEqual([]);
  await addDevice(person, random);
  expect(activeDevices(person.state)).toHaveLength(1);
});

test('[CH5] each kind is signed by exactly those who may sign it', async () => {
  const random = seededRandom(10);
  const person = await makePerson(random);
  const second = await addDevice(person, random);
  const stranger = await makeDevice(random);
  const uek = await generateKemPair();
  const rotate = { kind: 'rotate_uek', gen: 2, uekPublicKey: uek.publicKey } as const;
  const vault = { kind: 'pin_vault', version: 1, hash: random.bytes(32) } as const;
  const recovery = { kind: 'set_recovery', recoveryPublicKey: (await generateSigningPair()).publicKey } as const;
  const asStranger = [{ signer: { type: 'device', id: stranger.id } as const, key: stranger.signKey }];
  const asSecondWithWrongKey = [{ signer: { type: 'device', id: second.id } as const, key: stranger.signKey }];
  const bothDevices = [...byDevice(person, 0), ...byDevice(person, 1)].sort((a, b) => (bytesToHex(idBytes(a)) < bytesToHex(idBytes(b)) ? -1 : 1));
  const outcome = async (body: AccountBody, signers: Parameters<typeof forge>[2]) => {
    const result = await applyAccountEntry(person.state, await forge(person, body, signers));
    return result.ok ? 'taken' : result.error;
  };
  expect(await outcome(rotate, asStranger)).toBe('unknown-signer');
  expect(await outcome(rotate, asSecondWithWrongKey)).toBe('wrong-signature');
  expect(await outcome(rotate, byDevice(person))).toBe('taken');
  expect(await outcome(rotate, byRecovery(person))).toBe('taken');
  expect(await outcome(rotate, bothDevices)).toBe('not-allowed');
  expect(await outcome(vault, byRecovery(person))).toBe('not-allowed');
  expect(await outcome(vault, byDevice(person, 1))).toBe('taken');
  expect(await outcome(recovery, byDevice(person))).toBe('missing-signature');
  expect(await outcome(recovery, bothDevices)).toBe('taken');
  expect(await outcome(recovery, byRecovery(person))).toBe('taken');
  expect(await outcome(vault, [{ signer: { type: 'possession' }, key: person.devices[0]!.signKey }])).toBe('not-allowed');
});

test('[CH5] genesis is signed by the recovery key and by its own device', async () => {
  const random = seededRandom(11);
  const person = await makePerson(random);
  const genesis = unwrap(decodeAccountEntry(person.entries[0]!), 'decodes');
  const stranger = await makeDevice(random);
  const at = { height: 0, prev: new Uint8Array(32) };
  const fault = async (signers: Parameters<typeof forge>[2], where: Parameters<typeof forge>[3] = at) => {
    const result = await applyAccountEntry(undefined, await forge(person, genesis.body, signers, where));
    return result.ok ? undefined : result.error;
  };
  expect(await fault(byRecovery(person))).toBe('missing-signature');
  expect(await fault(byDevice(person))).toBe('missing-signature');
  expect(await fault([...byRecovery(person), { signer: { type: 'device', id: stranger.id }, key: stranger.signKey }])).toBe('unknown-signer');
  expect(await fault([{ signer: { type: 'recovery' }, key: stranger.signKey }, ...byDevice(person)])).toBe('wrong-signature');
  expect(await fault([...byRecovery(person), ...byDevice(person)], { height: 1, prev: new Uint8Array(32) })).toBe('wrong-height');
  expect(await fault([...byRecovery(person), ...byDevice(person)], { height: 0, prev: new Uint8Array(32).fill(1) })).toBe('wrong-prev');
  expect(await fault([...byRecovery(person), ...byDevice(person)])).toBeUndefined();
});

test('[CH6] a device enters only with proof that it holds its key, for this account at this height', async () => {
  const random = seededRandom(12);
  const person = await makePerson(random);
  const other = await makePerson(random);
  const device = await makeDevice(random);
  const { signer } = person.devices[0]!;
  const add = async (possession: Bytes) => applyAccountEntry(person.state, await buildAddDevice(person.state, { device: device.keys, possession, signer }));
  expect((await add(await proveDevicePossession(person.state, device.keys, device.signKey))).ok).toBe(true);
  expect(await add(await proveDevicePossession(other.state, device.keys, device.signKey))).toEqual({ ok: false, error: 'no-possession' });
  expect(await add(await proveDevicePossession(person.state, device.keys, person.devices[0]!.signKey))).toEqual({ ok: false, error: 'no-possession' });
  const early = await proveDevicePossession(person.state, device.keys, device.signKey);
  await rotateUek(person);
  expect(await add(early)).toEqual({ ok: false, error: 'no-possession' });
  const without = await forge(person, { kind: 'add_device', device: device.keys }, byDevice(person));
  expect(await applyAccountEntry(person.state, without)).toEqual({ ok: false, error: 'no-possession' });
});

test('[CH6] neither an id nor a key enters twice', async () => {
  const random = seededRandom(13);
  const person = await makePerson(random);
  const device = await addDevice(person, random);
  await revokeDevice(person, device);
  const { signer } = person.devices[0]!;
  for (const keys of [device.keys, { ...device.keys, id: (await makeDevice(random)).id }, { ...(await makeDevice(random)).keys, id: device.id }]) {
    const entry = await buildAddDevice(person.state, { device: keys, possession: await proveDevicePossession(person.state, keys, device.signKey), signer });
    expect(await applyAccountEntry(person.state, entry)).toEqual({ ok: false, error: 'device-exists' });
  }
});

test('[CH7] a byte changed anywhere in an entry is refused', async () => {
  const person = await livedIn(14);
  for (const [height, bytes] of person.entries.entries()) {
    const before = height === 0 ? undefined : unwrap(await replayPart(person, height), 'the part replays');
    for (let i = 0; i < 20; i++) {
      const at = Math.floor((i * bytes.length) / 20);
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ 0x21;
      expect((await applyAccountEntry(before, changed)).ok, `height ${height}, byte ${at}`).toBe(false);
    }
    expect((await applyAccountEntry(before, bytes)).ok).toBe(true);
  }
});

test('[CH8] generations rise by one, pinned vault versions only rise, and devices have a bound', async () => {
  const random = seededRandom(15);
  const person = await makePerson(random);
  const uek = (await generateKemPair()).publicKey;
  const fault = async (body: AccountBody) => {
    const result = await applyAccountEntry(person.state, await forge(person, body, byDevice(person)));
    return result.ok ? undefined : result.error;
  };
  expect(await fault({ kind: 'rotate_uek', gen: 1, uekPublicKey: uek })).toBe('wrong-generation');
  expect(await fault({ kind: 'rotate_uek', gen: 3, uekPublicKey: uek })).toBe('wrong-generation');
  expect(await fault({ kind: 'rotate_uek', gen: 2, uekPublicKey: new Uint8Array(65).fill(4) })).toBe('malformed');
  await append(person, await buildPinVault(person.state, { version: 5, hash: random.bytes(32), signer: person.devices[0]!.signer }));
  expect(await fault({ kind: 'pin_vault', version: 5, hash: random.bytes(32) })).toBe('vault-version');
  expect(await fault({ kind: 'pin_vault', version: 4, hash: random.bytes(32) })).toBe('vault-version');
  expect(await fault({ kind: 'revoke_device', device: (await makeDevice(random)).id })).toBe('device-unknown');
  while (activeDevices(person.state).length < limits.devicesPerAccountMax) await addDevice(person, random);
  const device = await makeDevice(random);
  const tooMany = await buildAddDevice(person.state, { device: device.keys, possession: await proveDevicePossession(person.state, device.keys, device.signKey), signer: person.devices[0]!.signer });
  expect(await applyAccountEntry(person.state, tooMany)).toEqual({ ok: false, error: 'too-many-devices' });
  await revokeDevice(person, person.devices[3]!);
  expect(await fault({ kind: 'revoke_device', device: person.devices[3]!.id })).toBe('device-already-revoked');
  await addDevice(person, random);
});

test('[CH8] a log has an end', async () => {
  const person = await makePerson(seededRandom(16));
  const full = { ...person.state, height: limits.accountLogEntriesMax - 1 };
  const entry = await buildRotateUek(full, { uekPublicKey: (await generateKemPair()).publicKey, signer: person.devices[0]!.signer });
  expect(await applyAccountEntry(full, entry)).toEqual({ ok: false, error: 'log-full' });
  expect((await applyAccountEntry({ ...full, height: full.height - 1 }, await buildRotateUek({ ...full, height: full.height - 1 }, { uekPublicKey: (await generateKemPair()).publicKey, signer: person.devices[0]!.signer }))).ok).toBe(true);
});

/** The state before `height`, which may owe a rotation. */
async function replayPart(person: Person, height: number) {
  let state = await applyAccountEntry(undefined, person.entries[0]!);
  for (const entry of person.entries.slice(1, height)) if (state.ok) state = await applyAccountEntry(state.value, entry);
  return state;
}

function idBytes({ signer }: { signer: EntrySigner }): Bytes {
  if (signer.type !== 'device') return u32(0);
  return Uint8Array.from(Buffer.from(signer.id, 'base64url'));
}
