/**
 * Makes entries of the account log. Each builder takes the present state and who signs, and answers
 * the entry's bytes; whether the log takes them is for `applyAccountEntry` to say.
 *
 * To build several for one append, apply each before building the next. `buildRevocation` does so.
 */
import { sign } from '#lib/crypto/primitives.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import type { AccountBody, DeviceKeys } from './account-body.ts';
import { accountSignPurpose, applyAccountEntry, compareSigners, encodeAccountCore, encodeAccountEntry, possessionPurpose, type AccountEntry } from './account-log.ts';
import { newestUek, type AccountState } from './account-state.ts';

export type AccountSigner =
  | { readonly type: 'device'; readonly id: DeviceId; readonly key: CryptoKey }
  | { readonly type: 'recovery'; readonly key: CryptoKey };

export function buildGenesis({ account, recovery, device, deviceKey, uekPublicKey }: {
  readonly account: AccountId;
  readonly recovery: { readonly privateKey: CryptoKey; readonly publicKey: Bytes };
  readonly device: DeviceKeys;
  readonly deviceKey: CryptoKey;
  readonly uekPublicKey: Bytes;
}): Promise<Bytes> {
  const body: AccountBody = { kind: 'genesis', recoveryPublicKey: recovery.publicKey, device, uekPublicKey };
  return signEntry(encodeAccountCore(account, 0, new Uint8Array(32), body),
    [{ type: 'recovery', key: recovery.privateKey }, { type: 'device', id: device.id, key: deviceKey }]);
}

/** What the new device signs to show it holds the key: give the bytes to `buildAddDevice`. */
export function proveDevicePossession(state: AccountState, device: DeviceKeys, deviceKey: CryptoKey): Promise<Bytes> {
  return sign(deviceKey, possessionPurpose, nextCore(state, { kind: 'add_device', device }));
}

/** `possession` is made by the new device (`proveDevicePossession`) at the same state. */
export function buildAddDevice(state: AccountState, { device, possession, signer }: {
  readonly device: DeviceKeys;
  readonly possession: Bytes;
  readonly signer: AccountSigner;
}): Promise<Bytes> {
  return signEntry(nextCore(state, { kind: 'add_device', device }), [signer], possession);
}

/** Its append must go on to `buildRotateUek`; `buildRevocation` makes both. */
export function buildRevokeDevice(state: AccountState, { device, signer }: { readonly device: DeviceId; readonly signer: AccountSigner }): Promise<Bytes> {
  return signEntry(nextCore(state, { kind: 'revoke_device', device }), [signer]);
}

export function buildRotateUek(state: AccountState, { uekPublicKey, signer }: { readonly uekPublicKey: Bytes; readonly signer: AccountSigner }): Promise<Bytes> {
  return signEntry(nextCore(state, { kind: 'rotate_uek', gen: newestUek(state).gen + 1, uekPublicKey }), [signer]);
}

/** One whole append: revokes, then the new user encryption key they ask for. The signer is none of the revoked. */
export async function buildRevocation(state: AccountState, { devices, uekPublicKey, signer }: {
  readonly devices: readonly DeviceId[];
  readonly uekPublicKey: Bytes;
  readonly signer: AccountSigner;
}): Promise<readonly Bytes[]> {
  const entries: Bytes[] = [];
  let now = state;
  for (const device of devices) {
    const entry = await buildRevokeDevice(now, { device, signer });
    now = unwrap(await applyAccountEntry(now, entry), 'broken promise: the device is there to revoke');
    entries.push(entry);
  }
  return [...entries, await buildRotateUek(now, { uekPublicKey, signer })];
}

/** Signed by the recovery key before it, or by two devices. */
export function buildSetRecovery(state: AccountState, { recoveryPublicKey, signers }: { readonly recoveryPublicKey: Bytes; readonly signers: readonly AccountSigner[] }): Promise<Bytes> {
  return signEntry(nextCore(state, { kind: 'set_recovery', recoveryPublicKey }), signers);
}

/** `hash` is SHA-256 of the vault as the server holds it. */
export function buildPinVault(state: AccountState, { version, hash, signer }: { readonly version: number; readonly hash: Bytes; readonly signer: AccountSigner }): Promise<Bytes> {
  return signEntry(nextCore(state, { kind: 'pin_vault', version, hash }), [signer]);
}

function nextCore(state: AccountState, body: AccountBody): Bytes {
  return encodeAccountCore(state.account, state.height + 1, state.head, body);
}

async function signEntry(core: Bytes, signers: readonly AccountSigner[], possession?: Bytes): Promise<Bytes> {
  const signatures: AccountEntry['signatures'][number][] = [];
  for (const signer of signers) {
    const signature = await sign(signer.key, accountSignPurpose, core);
    signatures.push({ signer: signer.type === 'device' ? { type: 'device', id: signer.id } : { type: 'recovery' }, signature });
  }
  if (possession) signatures.push({ signer: { type: 'possession' }, signature: possession });
  signatures.sort((a, b) => compareSigners(a.signer, b.signer));
  return encodeAccountEntry(core, signatures);
}
