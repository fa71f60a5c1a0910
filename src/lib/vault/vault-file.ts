/**
 * The vault's bytes: what the server keeps of an account's keys, and cannot open (crypto.md §4).
 *
 * slots       each holds VK, the one random vault key, sealed under a secret a person has
 * sealedRoot  AES-256-GCM under VK: recovery signing key, the vault's own KEM pair, genesis hash; set once
 * sealedState HPKE to the vault's KEM key: UEK private keys, profile key; new with every version
 *
 * Any device can write a new state, because writing needs only a public key; only a slot opens it. So no
 * device keeps VK or the recovery key at rest: whoever takes a device cannot take the account's root with it,
 * and what is written after its revocation stays closed to it. HPKE proves no writer, therefore the
 * state carries the signature of the device that wrote it over everything else in the file.
 */
import { bytes, decode, encode, fixed, id, list, struct, union, varuint, type CodecValue, type DecodeFault } from '#lib/protocol/codec.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { publicKeySizeBytes, signatureSizeBytes } from '#lib/crypto/primitives.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';

/** PKCS #8 of a P-256 key is 138 bytes in every browser; the bound leaves room for another curve. */
const pkcs8SizeBytesMax = 256;
export const vaultVersionMax = 2 ** 31 - 1;
/** One generation per revoked device and 90 days; a vault of this many is 230 KB. */
export const uekGenerationsMax = 1_024;
const sealedKeySizeBytes = 12 + 32 + 16;

const privateKey = struct({ pkcs8: bytes(pkcs8SizeBytesMax, 1), publicKey: fixed(publicKeySizeBytes) });
const sealedKey = fixed(sealedKeySizeBytes);

export const slotCodec = union({
  password: [1, struct({ sealedKey })],
  recovery: [2, struct({ sealedKey })],
  passkey: [3, struct({ credential: bytes(1_023, 1), sealedKey })],
  /** VK by HPKE to a device that is about to join. */
  device: [4, struct({ device: id<DeviceId>(), wrap: bytes(256, 1) })],
});
export const slotsCodec = list(slotCodec, 32, 1);

const vaultFileCodec = union({
  v1: [1, struct({
    account: id<AccountId>(),
    version: varuint(vaultVersionMax),
    slots: slotsCodec,
    sealedRoot: bytes(2_048, 1),
    sealedState: bytes(limits.vaultSizeBytesMax, 1),
  })],
});

export const rootCodec = struct({ recovery: privateKey, vault: privateKey, genesisHash: fixed(32) });

export const contentsCodec = struct({
  ueks: list(struct({ gen: varuint(vaultVersionMax), key: privateKey }), uekGenerationsMax, 1),
  profileKey: fixed(32),
  createdAt: varuint(),
});

export const stateCodec = struct({ contents: contentsCodec, author: id<DeviceId>(), signature: fixed(signatureSizeBytes) });

export type VaultSlot = CodecValue<typeof slotCodec>;
export type VaultFile = Omit<CodecValue<typeof vaultFileCodec>, 'type'>;
export type VaultRoot = CodecValue<typeof rootCodec>;
/** What the account keeps for all its devices. */
export type VaultContents = CodecValue<typeof contentsCodec>;
export type VaultPrivateKey = CodecValue<typeof privateKey>;

export function encodeVaultFile(file: VaultFile): Bytes {
  return encode(vaultFileCodec, { type: 'v1' as const, ...file });
}

export function decodeVaultFile(raw: Uint8Array): Result<VaultFile, DecodeFault> {
  if (raw.length > limits.vaultSizeBytesMax) return err('TOO_BIG');
  const file = decode(vaultFileCodec, raw);
  return file.ok ? ok(file.value) : file;
}
