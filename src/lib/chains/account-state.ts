/**
 * What replaying an account log gives (crypto.md §5.2). Server and clients replay the same code.
 *
 * Authority is never judged by "now": a device is valid at a height of this log, so everybody reaches
 * the same answer from the same bytes.
 */
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';

export interface DeviceRecord {
  readonly id: DeviceId;
  readonly signPublicKey: Bytes;
  readonly kemPublicKey: Bytes;
  /** `browser` today; room for more. */
  readonly deviceClass: number;
  /** The device's name, sealed for its own account; empty when it has none. */
  readonly sealedName?: Bytes;
  /** The height of the entry that added it; genesis' device has 0. */
  readonly addedAt: number;
  readonly revokedAt: number | undefined;
}

export interface UekRecord {
  /** 1, 2, 3 … */
  readonly gen: number;
  readonly publicKey: Bytes;
  readonly height: number;
}

export interface AccountState {
  readonly account: AccountId;
  /** Height of the newest entry; genesis is 0. */
  readonly height: number;
  /** chain hash of the newest entry. */
  readonly head: Bytes;
  /** chain hash by height, so a stated head can be compared at any height. */
  readonly heads: readonly Bytes[];
  readonly genesisHash: Bytes;
  readonly recoveryPublicKey: Bytes;
  /** Genesis' recovery key: safety numbers do not move when recovery is renewed. */
  readonly genesisRecoveryPublicKey: Bytes;
  readonly devices: ReadonlyMap<DeviceId, DeviceRecord>;
  readonly ueks: readonly UekRecord[];
  readonly vaultPin: { readonly version: number; readonly hash: Bytes } | undefined;
  /** A revoke without its rotate_uek yet: only inside one append. */
  readonly rotationOwed: boolean;
  /** The device that revoked itself and owes that rotate_uek: it signs this one entry more. Only inside one append. */
  readonly leaving?: DeviceId | undefined;
}

export type AccountLogFault =
  | 'malformed' | 'wrong-account' | 'wrong-height' | 'wrong-prev' | 'unknown-suite' | 'not-genesis' | 'genesis-again'
  | 'unknown-signer' | 'signer-revoked' | 'wrong-signature' | 'missing-signature' | 'no-possession' | 'device-exists'
  | 'device-unknown' | 'device-already-revoked' | 'too-many-devices' | 'wrong-generation' | 'rotation-owed' | 'not-allowed'
  | 'vault-version' | 'log-full';

/** Added at or below `height`, and not revoked at or below it. */
export function deviceValidAt(state: AccountState, device: DeviceId, height: number): boolean {
  const record = state.devices.get(device);
  return record !== undefined && height <= state.height && record.addedAt <= height && (record.revokedAt === undefined || height < record.revokedAt);
}

export function newestUek(state: AccountState): UekRecord {
  return state.ueks[state.ueks.length - 1]!;
}

export function activeDevices(state: AccountState): readonly DeviceRecord[] {
  return [...state.devices.values()].filter((device) => device.revokedAt === undefined);
}
