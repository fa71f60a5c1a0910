/**
 * What an entry of the account log says, and its one byte form.
 *
 *     device        = id[16] | sig_pk[65] | kem_pk[65] | class u8 | lp(sealed name)
 *     genesis       = recovery_pk[65] | device | uek_pk[65]
 *     add_device    = device
 *     revoke_device = id[16]
 *     rotate_uek    = gen u32 | uek_pk[65]
 *     set_recovery  = recovery_pk[65]
 *     pin_vault     = version u32 | SHA-256(vault ciphertext)[32]
 */
import { lp, u32, u8 } from '#lib/crypto/encoding.ts';
import { publicKeySizeBytes } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, idToBytes, type DeviceId } from '#lib/protocol/ids.ts';
import { bytesToText, concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { createReader, type Reader } from './reader.ts';

/** A device's name, sealed for its own account: 64 characters and the seal's overhead fit. */
export const sealedNameSizeBytesMax = 320;

export interface DeviceKeys {
  readonly id: DeviceId;
  readonly signPublicKey: Bytes;
  readonly kemPublicKey: Bytes;
  readonly deviceClass: number;
  /** Sealed for the account itself; empty when it has no name. */
  readonly sealedName: Bytes;
}

export type AccountBody =
  | { readonly kind: 'genesis'; readonly recoveryPublicKey: Bytes; readonly device: DeviceKeys; readonly uekPublicKey: Bytes }
  | { readonly kind: 'add_device'; readonly device: DeviceKeys }
  | { readonly kind: 'revoke_device'; readonly device: DeviceId }
  | { readonly kind: 'rotate_uek'; readonly gen: number; readonly uekPublicKey: Bytes }
  | { readonly kind: 'set_recovery'; readonly recoveryPublicKey: Bytes }
  | { readonly kind: 'pin_vault'; readonly version: number; readonly hash: Bytes };

export function encodeAccountBody(body: AccountBody): { readonly kind: string; readonly bytes: Bytes } {
  switch (body.kind) {
    case 'genesis': return { kind: body.kind, bytes: concatBytes(body.recoveryPublicKey, encodeDevice(body.device), body.uekPublicKey) };
    case 'add_device': return { kind: body.kind, bytes: encodeDevice(body.device) };
    case 'revoke_device': return { kind: body.kind, bytes: idToBytes(body.device) };
    case 'rotate_uek': return { kind: body.kind, bytes: concatBytes(u32(body.gen), body.uekPublicKey) };
    case 'set_recovery': return { kind: body.kind, bytes: body.recoveryPublicKey };
    case 'pin_vault': return { kind: body.kind, bytes: concatBytes(u32(body.version), body.hash) };
  }
}

/** Undefined for an unknown kind and for bytes that are not exactly one body. */
export function decodeAccountBody(kind: Uint8Array, bytes: Uint8Array): AccountBody | undefined {
  const reader = createReader(bytes);
  const body = readBody(bytesToText(kind), reader);
  return reader.done() ? body : undefined;
}

function readBody(kind: string | undefined, reader: Reader): AccountBody | undefined {
  switch (kind) {
    case 'genesis': return { kind, recoveryPublicKey: reader.bytes(publicKeySizeBytes), device: readDevice(reader), uekPublicKey: reader.bytes(publicKeySizeBytes) };
    case 'add_device': return { kind, device: readDevice(reader) };
    case 'revoke_device': return { kind, device: bytesToId(reader.bytes(idSizeBytes)) };
    case 'rotate_uek': return { kind, gen: reader.u32(), uekPublicKey: reader.bytes(publicKeySizeBytes) };
    case 'set_recovery': return { kind, recoveryPublicKey: reader.bytes(publicKeySizeBytes) };
    case 'pin_vault': return { kind, version: reader.u32(), hash: reader.bytes(32) };
    default: return undefined;
  }
}

function encodeDevice({ id, signPublicKey, kemPublicKey, deviceClass, sealedName }: DeviceKeys): Bytes {
  return concatBytes(idToBytes(id), signPublicKey, kemPublicKey, u8(deviceClass), lp(sealedName));
}

function readDevice(reader: Reader): DeviceKeys {
  return {
    id: bytesToId(reader.bytes(idSizeBytes)),
    signPublicKey: reader.bytes(publicKeySizeBytes),
    kemPublicKey: reader.bytes(publicKeySizeBytes),
    deviceClass: reader.u8(),
    sealedName: reader.lp(sealedNameSizeBytesMax),
  };
}
