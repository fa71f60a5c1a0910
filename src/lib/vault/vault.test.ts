import { beforeAll, expect, test } from 'vitest';
import { label, lp, u32 } from '#lib/crypto/encoding.ts';
import { openHpke, sealHpke } from '#lib/crypto/hpke.ts';
import { deriveBytes, exportPrivateKey, generateKemPair, generateSigningPair, importAesKey, importKemKey, sha256, unsealAes,
  type KeyPair } from '#lib/crypto/primitives.ts';
import { decode, encode } from '#lib/protocol/codec.ts';
import { bytesToId, idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { bytesToHex, concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { createVault, openVaultWithPassword, openVaultWithWords, renewVault, vaultHash, type OpenedVault, type SealedVault, type VaultFault } from './vault.ts';
import { decodeVaultFile, encodeVaultFile, rootCodec, slotsCodec, stateCodec, type VaultContents, type VaultFile } from './vault-file.ts';
import { isKeyPair } from './private-key.ts';

const random = systemRandom;
const account = bytesToId<AccountId>(random.bytes(16));
const device = bytesToId<DeviceId>(random.bytes(16));
const exportKey = random.bytes(64);
const slotSecret = random.bytes(32);
const genesisHash = random.bytes(32);

let signing: KeyPair;
let recovery: KeyPair;
let contents: VaultContents;
let first: SealedVault;
let vaultPublicKey: Bytes;

beforeAll(async () => {
  signing = await generateSigningPair();
  recovery = await generateSigningPair(true);
  contents = { ueks: [await makeUek(1)], profileKey: random.bytes(32), createdAt: 1_700_000_000_000 };
  ({ sealed: first, vaultPublicKey } = await createVault({
    account, genesisHash, recovery, exportKey, slotSecret, contents, random, writer: { device, signingKey: signing.privateKey },
  }));
});

async function makeUek(gen: number): Promise<VaultContents['ueks'][number]> {
  const pair = await generateKemPair(true);
  return { gen, key: { pkcs8: await exportPrivateKey(pair.privateKey), publicKey: pair.publicKey } };
}

async function opened(raw: Bytes, key: Bytes = exportKey): Promise<OpenedVault> {
  const vault = await openVaultWithPassword(raw, account, key, random);
  if (!vault.ok) throw new Error(vault.error);
  return vault.value;
}

function fileOf(raw: Bytes): VaultFile {
  const file = decodeVaultFile(raw);
  if (!file.ok) throw new Error(file.error);
  return file.value;
}

async function believed(raw: Bytes): Promise<VaultFault | 'forged' | 'believed'> {
  const vault = await openVaultWithPassword(raw, account, exportKey, random);
  if (!vault.ok) return vault.error;
  return (await vault.value.verifyAuthor(signing.publicKey)) ? 'believed' : 'forged';
}

test('[VA4] the vault opens with the password and with the words, and gives back what was sealed', async () => {
  for (const vault of [await openVaultWithPassword(first.bytes, account, exportKey, random), await openVaultWithWords(first.bytes, account, slotSecret, random)]) {
    if (!vault.ok) throw new Error(vault.error);
    expect(vault.value.contents).toEqual(contents);
    expect(vault.value.genesisHash).toEqual(genesisHash);
    expect(vault.value.recovery.publicKey).toEqual(recovery.publicKey);
    expect(vault.value.vaultPublicKey).toEqual(vaultPublicKey);
    expect(vault.value.author).toBe(device);
    expect(await vault.value.verifyAuthor(signing.publicKey)).toBe(true);
    expect(vault.value.recovery.privateKey.extractable).toBe(false);
  }
  expect(first.hash).toEqual(sha256(first.bytes));
  expect(first.hash).toEqual(vaultHash(first.bytes));
});

test('[VA4] another password, other words and another account are refused with their reasons', async () => {
  expect(await openVaultWithPassword(first.bytes, account, random.bytes(64), random)).toEqual({ ok: false, error: 'wrong-secret' });
  expect(await openVaultWithWords(first.bytes, account, random.bytes(32), random)).toEqual({ ok: false, error: 'wrong-secret' });
  expect(await openVaultWithWords(first.bytes, account, exportKey.slice(0, 32), random)).toEqual({ ok: false, error: 'wrong-secret' });
  expect(await openVaultWithPassword(first.bytes, bytesToId(random.bytes(16)), exportKey, random)).toEqual({ ok: false, error: 'wrong-account' });
  const file = fileOf(first.bytes);
  const wordsOnly = encodeVaultFile({ ...file, slots: file.slots.filter(({ type }) => type === 'recovery') });
  expect(await openVaultWithPassword(wordsOnly, account, exportKey, random)).toEqual({ ok: false, error: 'no-slot' });
  expect(await openVaultWithPassword(new Uint8Array(), account, exportKey, random)).toEqual({ ok: false, error: 'malformed' });
});

test('[VA5] a vault with any bit changed is not believed, wherever the bit lies', async () => {
  expect(await believed(first.bytes)).toBe('believed');
  const seen = new Set<string>();
  const offsets = Array.from({ length: 60 }, (_, i) => Math.floor((i * (first.bytes.length - 1)) / 59));
  for (const at of offsets) {
    const bent = first.bytes.slice();
    bent[at]! ^= 1 << (at % 8);
    const verdict = await believed(bent);
    expect(verdict, `offset ${at}`).not.toBe('believed');
    seen.add(verdict);
  }
  expect(seen).toContain('wrong-secret');
  expect(seen).toContain('tampered');
});

test('[VA5] a vault cut short or continued is malformed', async () => {
  expect(await believed(first.bytes.slice(0, -1))).toBe('malformed');
  expect(await believed(Uint8Array.from([...first.bytes, 0]))).toBe('malformed');
});

test('[VA6] a device without any slot secret writes the next version, and every slot opens it', async () => {
  const more = { ...contents, ueks: [...contents.ueks, await makeUek(2)] };
  const second = await renewVault({ before: fileOf(first.bytes), vaultPublicKey, contents: more, writer: { device, signingKey: signing.privateKey } });
  expect(second.version).toBe(2);
  expect((await opened(second.bytes)).contents).toEqual(more);
  const byWords = await openVaultWithWords(second.bytes, account, slotSecret, random);
  expect(byWords.ok && byWords.value.contents).toEqual(more);
  expect(byWords.ok && byWords.value.recovery.publicKey).toEqual(recovery.publicKey);
});

test('[VA7] a new password replaces the old one and leaves the words alone', async () => {
  const other = random.bytes(64);
  const slots = await (await opened(first.bytes)).slotsWithPassword(other);
  const second = await renewVault({ before: fileOf(first.bytes), slots, vaultPublicKey, contents, writer: { device, signingKey: signing.privateKey } });
  expect((await opened(second.bytes, other)).contents).toEqual(contents);
  expect(await openVaultWithPassword(second.bytes, account, exportKey, random)).toEqual({ ok: false, error: 'wrong-secret' });
  expect((await openVaultWithWords(second.bytes, account, slotSecret, random)).ok).toBe(true);
});

test('[VA8] parts of two genuine vaults do not make a third', async () => {
  const writer = { device, signingKey: signing.privateKey };
  const second = await renewVault({ before: fileOf(first.bytes), vaultPublicKey, contents, writer });
  const [one, two] = [fileOf(first.bytes), fileOf(second.bytes)];
  expect(await believed(encodeVaultFile({ ...two, sealedState: one.sealedState }))).toBe('tampered');
  expect(await believed(encodeVaultFile({ ...one, version: 2 }))).toBe('tampered');
  expect(await believed(encodeVaultFile({ ...one, slots: one.slots.toReversed() }))).toBe('tampered');
  const stranger = await createVault({ account, genesisHash, recovery, exportKey, slotSecret, contents, random, writer });
  expect(await believed(encodeVaultFile({ ...one, sealedRoot: fileOf(stranger.sealed.bytes).sealedRoot }))).toBe('tampered');
});

test('[VA8] a state written with the public key alone is found out by its missing author', async () => {
  const thief = await generateSigningPair();
  const forged = await renewVault({ before: fileOf(first.bytes), vaultPublicKey, contents: { ...contents, profileKey: new Uint8Array(32) }, writer: { device, signingKey: thief.privateKey } });
  expect(await believed(forged.bytes)).toBe('forged');
});

test('[VA8] a signature taken from one state does not speak for other contents in the same place', async () => {
  const file = fileOf(first.bytes);
  const slot = file.slots.find(({ type }) => type === 'password');
  if (slot?.type !== 'password') throw new Error('there is a password slot');
  const account16 = idToBytes(account);
  // Whoever opened the vault once: the key out of the slot, the root behind it, the state with its signature.
  const vaultKey = (await unsealAes(await importAesKey(deriveBytes(exportKey, label('app/vault-slot/password/v1'))), slot.sealedKey,
    concatBytes(lp(label('app/vault-slot/v1')), lp(label('password')), account16)))!;
  const root = decode(rootCodec, (await unsealAes(await importAesKey(vaultKey), file.sealedRoot, concatBytes(lp(label('app/vault-root/v1')), account16)))!);
  if (!root.ok) throw new Error(root.error);
  const info = label('app/vault-state/v1');
  const associated = concatBytes(account16, u32(file.version), sha256(lp(encode(slotsCodec, file.slots)), lp(file.sealedRoot)));
  const recipientKey = { privateKey: await importKemKey(root.value.vault.pkcs8), publicKey: root.value.vault.publicKey };
  const state = decode(stateCodec, (await openHpke({ recipientKey, info, associated, sealed: file.sealedState }))!);
  if (!state.ok) throw new Error(state.error);

  const reseal = async (inside: typeof state.value) => encodeVaultFile({ ...file,
    sealedState: (await sealHpke({ recipientPublicKey: vaultPublicKey, info, associated, plaintext: encode(stateCodec, inside) }))! });
  expect(await believed(await reseal(state.value))).toBe('believed'); // the forger's tools work
  expect(await believed(await reseal({ ...state.value, contents: { ...contents, profileKey: new Uint8Array(32) } }))).toBe('forged');
});

test('[VA9] no secret stands in the bytes of a vault', async () => {
  const hex = bytesToHex(first.bytes);
  const secrets = [exportKey, slotSecret, contents.profileKey, contents.ueks[0]!.key.pkcs8.slice(36, 68), (await exportPrivateKey(recovery.privateKey)).slice(36, 68)];
  for (const secret of secrets) expect(hex).not.toContain(bytesToHex(secret));
  expect(hex).toContain(bytesToHex(fileOf(first.bytes).sealedRoot)); // the search finds what is there
});

test('[VA17] a private key counts only beside its own public key', async () => {
  const [one, two] = [await makeUek(1), await makeUek(1)];
  expect(await isKeyPair(one.key)).toBe(true);
  expect(await isKeyPair({ pkcs8: one.key.pkcs8, publicKey: two.key.publicKey })).toBe(false);
  expect(await isKeyPair({ pkcs8: random.bytes(138), publicKey: one.key.publicKey })).toBe(false);
});
