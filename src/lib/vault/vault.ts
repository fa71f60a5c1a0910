/**
 * Making, opening and renewing the vault (vault-file.ts has its form and the reasons for it).
 *
 * An opened vault is genuine in two halves: the root is, because VK opened it; the state is once
 * `verifyAuthor` said so with the signing key the account log names for `author`. Whether it is also the
 * newest one only the account log knows, which pins version and hash: `identity` compares them.
 */
import { label, lp, u32 } from '#lib/crypto/encoding.ts';
import { openHpke, sealHpke } from '#lib/crypto/hpke.ts';
import { deriveBytes, exportPrivateKey, generateKemPair, importAesKey, importKemKey, importSigningKey, sealAes, sha256, sign, unsealAes, verify,
  type KeyPair } from '#lib/crypto/primitives.ts';
import { decode, encode } from '#lib/protocol/codec.ts';
import { idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { contentsCodec, decodeVaultFile, encodeVaultFile, rootCodec, slotsCodec, stateCodec, type VaultContents, type VaultFile,
  type VaultPrivateKey, type VaultRoot, type VaultSlot } from './vault-file.ts';

/** Who writes a version: its signature makes the state believable. */
export interface VaultWriter {
  readonly device: DeviceId;
  readonly signingKey: CryptoKey;
}

export interface SealedVault {
  readonly version: number;
  readonly bytes: Bytes;
  /** SHA-256 of the bytes: what the account log pins. */
  readonly hash: Bytes;
}

export interface OpenedVault {
  readonly file: VaultFile;
  readonly hash: Bytes;
  readonly genesisHash: Bytes;
  /** The recovery signing key, for the moment only: nothing of it is stored. */
  readonly recovery: KeyPair;
  /** To this public key every later state is sealed. */
  readonly vaultPublicKey: Bytes;
  readonly contents: VaultContents;
  readonly author: DeviceId;
  readonly verifyAuthor: (signPublicKey: Uint8Array) => Promise<boolean>;
  /** The slots with another password in them. */
  readonly slotsWithPassword: (exportKey: Uint8Array) => Promise<readonly VaultSlot[]>;
}

/** `wrong-secret`: the slot is there and this secret does not open it. `tampered`: what lies behind it is not what was sealed. */
export type VaultFault = 'malformed' | 'wrong-account' | 'no-slot' | 'wrong-secret' | 'tampered';

export interface CreateVault {
  readonly account: AccountId;
  readonly genesisHash: Bytes;
  /** Extractable. */
  readonly recovery: KeyPair;
  /** OPAQUE's export key. */
  readonly exportKey: Uint8Array;
  /** Of recovery.ts. */
  readonly slotSecret: Bytes;
  readonly contents: VaultContents;
  readonly writer: VaultWriter;
  readonly random: Random;
}

/** The first version, with a slot for the password and one for the words. */
export async function createVault(input: CreateVault): Promise<{ readonly sealed: SealedVault; readonly vaultPublicKey: Bytes }> {
  const { account, random } = input;
  const vaultPair = await generateKemPair(true);
  const root: VaultRoot = { recovery: await exportPair(input.recovery), vault: await exportPair(vaultPair), genesisHash: input.genesisHash };
  const vaultKey = random.bytes(32);
  const sealedRoot = await sealAes(await importAesKey(vaultKey), encode(rootCodec, root), rootPlace(account), random);
  const slots: readonly VaultSlot[] = [
    { type: 'password', sealedKey: await sealSlot('password', passwordSecret(input.exportKey), account, vaultKey, random) },
    { type: 'recovery', sealedKey: await sealSlot('recovery', input.slotSecret, account, vaultKey, random) },
  ];
  const sealed = await sealState({ account, version: 1, slots, sealedRoot, vaultPublicKey: vaultPair.publicKey, contents: input.contents, writer: input.writer });
  return { sealed, vaultPublicKey: vaultPair.publicKey };
}

/**
 * The next version: other contents, or other slots, behind the same root. `before` must be a version that was
 * checked against the account log, since its slots are carried on as they are.
 */
export function renewVault(input: {
  readonly before: VaultFile;
  readonly slots?: readonly VaultSlot[];
  readonly vaultPublicKey: Bytes;
  readonly contents: VaultContents;
  readonly writer: VaultWriter;
}): Promise<SealedVault> {
  const { before, slots = before.slots, vaultPublicKey, contents, writer } = input;
  return sealState({ account: before.account, version: before.version + 1, slots, sealedRoot: before.sealedRoot, vaultPublicKey, contents, writer });
}

export function openVaultWithPassword(raw: Uint8Array, account: AccountId, exportKey: Uint8Array, random: Random): Promise<Result<OpenedVault, VaultFault>> {
  return openVault(raw, account, 'password', passwordSecret(exportKey), random);
}

export function openVaultWithWords(raw: Uint8Array, account: AccountId, slotSecret: Bytes, random: Random): Promise<Result<OpenedVault, VaultFault>> {
  return openVault(raw, account, 'recovery', slotSecret, random);
}

/** What the account log pins. */
export function vaultHash(raw: Uint8Array): Bytes {
  return sha256(raw);
}

async function openVault(
  raw: Uint8Array, account: AccountId, slotType: 'password' | 'recovery', secret: Bytes, random: Random,
): Promise<Result<OpenedVault, VaultFault>> {
  const decoded = decodeVaultFile(raw);
  if (!decoded.ok) return err('malformed');
  const file = decoded.value;
  if (file.account !== account) return err('wrong-account');
  const slot = file.slots.find((one) => one.type === slotType);
  if (!slot || !('sealedKey' in slot)) return err('no-slot');
  const vaultKey = await unsealAes(await importAesKey(secret), slot.sealedKey, slotPlace(account, slotType));
  if (!vaultKey) return err('wrong-secret');

  const rootBytes = await unsealAes(await importAesKey(vaultKey), file.sealedRoot, rootPlace(account));
  const root = rootBytes && decode(rootCodec, rootBytes);
  if (!root?.ok) return err('tampered');
  const { vault, recovery, genesisHash } = root.value;
  const stateBytes = await openHpke({
    recipientKey: { privateKey: await importKemKey(vault.pkcs8), publicKey: vault.publicKey },
    info: stateInfo, associated: statePlace(file), sealed: file.sealedState,
  });
  const state = stateBytes && decode(stateCodec, stateBytes);
  if (!state?.ok) return err('tampered');
  const { contents, author, signature } = state.value;

  return ok({
    file,
    hash: vaultHash(raw),
    genesisHash,
    recovery: { privateKey: await importSigningKey(recovery.pkcs8), publicKey: recovery.publicKey },
    vaultPublicKey: vault.publicKey,
    contents,
    author,
    verifyAuthor: (signPublicKey) => verify(signPublicKey, authorLabel, authorMessage(file, contents), signature),
    async slotsWithPassword(exportKey) {
      const sealedKey = await sealSlot('password', passwordSecret(exportKey), account, vaultKey, random);
      return [{ type: 'password', sealedKey } as const, ...file.slots.filter((one) => one.type !== 'password')];
    },
  });
}

const stateInfo = label('app/vault-state/v1');
const authorLabel = 'app/vault-author/v1';

async function sealState(input: Omit<VaultFile, 'sealedState'> & {
  readonly vaultPublicKey: Bytes; readonly contents: VaultContents; readonly writer: VaultWriter;
}): Promise<SealedVault> {
  const { account, version, slots, sealedRoot, vaultPublicKey, contents, writer } = input;
  const place = { account, version, slots, sealedRoot };
  const signature = await sign(writer.signingKey, authorLabel, authorMessage(place, contents));
  const sealedState = await sealHpke({
    recipientPublicKey: vaultPublicKey, info: stateInfo, associated: statePlace(place),
    plaintext: encode(stateCodec, { contents, author: writer.device, signature }),
  });
  assert(sealedState, 'the vault public key is a point of the curve: this account made it');
  const raw = encodeVaultFile({ ...place, sealedState });
  return { version, bytes: raw, hash: vaultHash(raw) };
}

/** Everything of the file a state belongs to, so none of it can be exchanged under a state. */
function statePlace(file: Omit<VaultFile, 'sealedState'>): Bytes {
  return concatBytes(idToBytes(file.account), u32(file.version), sha256(lp(encode(slotsCodec, file.slots)), lp(file.sealedRoot)));
}

function authorMessage(file: Omit<VaultFile, 'sealedState'>, contents: VaultContents): Bytes {
  return concatBytes(statePlace(file), sha256(encode(contentsCodec, contents)));
}

function rootPlace(account: AccountId): Bytes {
  return concatBytes(lp(label('app/vault-root/v1')), idToBytes(account));
}

function slotPlace(account: AccountId, type: VaultSlot['type']): Bytes {
  return concatBytes(lp(label('app/vault-slot/v1')), lp(label(type)), idToBytes(account));
}

function passwordSecret(exportKey: Uint8Array): Bytes {
  return deriveBytes(exportKey, label('app/vault-slot/password/v1'));
}

async function sealSlot(type: VaultSlot['type'], secret: Bytes, account: AccountId, vaultKey: Bytes, random: Random): Promise<Bytes> {
  return sealAes(await importAesKey(secret), vaultKey, slotPlace(account, type), random);
}

async function exportPair(pair: KeyPair): Promise<VaultPrivateKey> {
  return { pkcs8: await exportPrivateKey(pair.privateKey), publicKey: pair.publicKey };
}
