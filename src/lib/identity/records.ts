/**
 * What a signed-in browser keeps of its account, in the `kv` store of the account's database:
 *
 *     identity              StoredIdentity: ids, names and public keys
 *     identity/device       the device's keys as CryptoKey objects that cannot be exported
 *     identity/uek/<gen>    one user encryption key: usable CryptoKey, and PKCS #8 sealed under the DSK for the vault
 *     identity/profile-key  sealed under the DSK
 *     identity/words        the recovery words, sealed under the DSK, until the person confirmed them
 *     identity/pin-owed     a vault this device wrote that the account log does not pin yet
 *
 * The own account log lies in `accounts` with everybody else's. VK and the recovery key are never stored.
 */
import { importKemKey, type KeyPair } from '#lib/crypto/primitives.ts';
import type { AccountId, DeviceId, Handle } from '#lib/protocol/ids.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import { createSealer, type Sealer } from '#lib/storage/seal.ts';
import { bytesToText, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Random } from '#lib/std/random.ts';
import type { VaultContents } from '#lib/vault/vault-file.ts';

export interface StoredIdentity {
  readonly account: AccountId;
  readonly handle: Handle;
  readonly device: DeviceId;
  readonly genesisHash: Bytes;
  /** Every vault state is sealed to it. */
  readonly vaultPublicKey: Bytes;
  /** OPAQUE's, as the first sign-in with a password here gave it. */
  readonly serverPublicKey: string | undefined;
  /** When the account was made, by the vault. */
  readonly createdAt: number;
}

export interface StoredDevice {
  readonly sign: KeyPair;
  readonly kem: KeyPair;
  /** DSK: AES-GCM, not extractable. */
  readonly storageKey: CryptoKey;
}

export interface StoredUek {
  readonly gen: number;
  readonly key: CryptoKey;
  readonly publicKey: Bytes;
  readonly sealedPkcs8: Bytes;
}

export interface PinOwed {
  readonly version: number;
  readonly hash: Bytes;
}

/** A new identity as entering made it, with its secrets; `saveIdentity` is the only place for it. */
export interface NewIdentity {
  readonly identity: StoredIdentity;
  readonly device: StoredDevice;
  readonly ueks: VaultContents['ueks'];
  readonly profileKey: Bytes;
  /** The own account log, verified. */
  readonly entries: readonly Bytes[];
  readonly pinOwed: PinOwed | undefined;
  /** Of a new account: kept until confirmed, so a closed tab does not lose them. */
  readonly words: readonly string[] | undefined;
}

export interface LoadedIdentity {
  readonly identity: StoredIdentity;
  readonly device: StoredDevice;
  readonly sealer: Sealer;
  readonly profileKey: Bytes;
}

export const identityKeys = {
  identity: 'identity',
  device: 'identity/device',
  uek: (gen: number) => `identity/uek/${gen}`,
  profileKey: 'identity/profile-key',
  words: 'identity/words',
  pinOwed: 'identity/pin-owed',
} as const;

/** In one transaction: there is a whole identity afterwards, or none. */
export async function saveIdentity(database: Database, made: NewIdentity, random: Random, now: number): Promise<void> {
  const sealer = createSealer(made.device.storageKey, random);
  const ueks = await Promise.all(made.ueks.map(({ gen, key }) => sealUek(sealer, gen, key.pkcs8, key.publicKey)));
  const sealedProfileKey = await sealer.seal('kv', identityKeys.profileKey, made.profileKey);
  const sealedWords = made.words && (await sealer.seal('kv', identityKeys.words, textToBytes(made.words.join(' '))));
  await database.write(['kv', 'accounts'], async (tx) => {
    for (const uek of ueks) await tx.put('kv', identityKeys.uek(uek.gen), uek);
    await tx.put('kv', identityKeys.device, made.device);
    await tx.put('kv', identityKeys.profileKey, sealedProfileKey);
    if (sealedWords) await tx.put('kv', identityKeys.words, sealedWords);
    if (made.pinOwed) await tx.put('kv', identityKeys.pinOwed, made.pinOwed);
    await tx.put('accounts', made.identity.account,
      { account: made.identity.account, handle: made.identity.handle, entries: made.entries, checkedAt: now });
    await tx.put('kv', identityKeys.identity, made.identity);
  });
}

/** Undefined when nobody signed in here. Throws StorageError 'corrupt' when the parts do not fit together. */
export async function loadIdentity(database: Database, random: Random): Promise<LoadedIdentity | undefined> {
  const [identity, device, sealedProfileKey] = await database.read(['kv'], (tx) => Promise.all([
    tx.get('kv', identityKeys.identity), tx.get('kv', identityKeys.device), tx.get('kv', identityKeys.profileKey),
  ]));
  if (identity === undefined) return undefined;
  if (device === undefined || !(sealedProfileKey instanceof Uint8Array)) throw new StorageError('corrupt');
  const sealer = createSealer((device as StoredDevice).storageKey, random);
  const profileKey = await sealer.unseal('kv', identityKeys.profileKey, sealedProfileKey);
  if (!profileKey.ok) throw new StorageError('corrupt');
  return { identity: identity as StoredIdentity, device: device as StoredDevice, sealer, profileKey: profileKey.value };
}

/** The words while they are unconfirmed, to show them again. */
export async function readWords(database: Database, sealer: Sealer): Promise<readonly string[] | undefined> {
  const sealed = await database.read(['kv'], (tx) => tx.get('kv', identityKeys.words));
  if (!(sealed instanceof Uint8Array)) return undefined;
  const plaintext = await sealer.unseal('kv', identityKeys.words, sealed);
  return plaintext.ok ? bytesToText(plaintext.value)?.split(' ') : undefined;
}

export function forgetWords(database: Database): Promise<void> {
  return database.write(['kv'], (tx) => tx.delete('kv', identityKeys.words));
}

export async function readUek(database: Database, gen: number): Promise<StoredUek | undefined> {
  return (await database.read(['kv'], (tx) => tx.get('kv', identityKeys.uek(gen)))) as StoredUek | undefined;
}

export async function sealUek(sealer: Sealer, gen: number, pkcs8: Bytes, publicKey: Bytes): Promise<StoredUek> {
  return { gen, key: await importKemKey(pkcs8), publicKey, sealedPkcs8: await sealer.seal('kv', identityKeys.uek(gen), pkcs8) };
}
