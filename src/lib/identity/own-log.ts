/**
 * Judging what the server hands out of one's own account: the vault against the account log, and the
 * keys in it against the keys the log names.
 */
import { activeDevices, deviceValidAt, type AccountState } from '#lib/chains/account-state.ts';
import { label, u32 } from '#lib/crypto/encoding.ts';
import { openHpke, sealHpke } from '#lib/crypto/hpke.ts';
import type { KeyPair } from '#lib/crypto/primitives.ts';
import { idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { concatBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { isKeyPair } from '#lib/vault/private-key.ts';
import type { OpenedVault } from '#lib/vault/vault.ts';
import type { VaultContents } from '#lib/vault/vault-file.ts';
import type { TamperSign } from './faults.ts';

/**
 * `unpinned`: newer than the newest pin, as when a device was cut off between storing a vault and pinning
 * it. That is believable only with its writer's signature.
 */
export function judgeVault(state: AccountState, version: number, hash: Uint8Array): 'pinned' | 'unpinned' | 'vault-rolled-back' | 'vault-swapped' {
  const pin = state.vaultPin;
  if (!pin || version > pin.version) return 'unpinned';
  if (version < pin.version) return 'vault-rolled-back';
  return equalBytes(hash, pin.hash) ? 'pinned' : 'vault-swapped';
}

/** Everything an opened vault must be, measured at the account log; undefined when it is. */
export async function checkOpenedVault(state: AccountState, opened: OpenedVault): Promise<TamperSign | undefined> {
  if (!equalBytes(opened.genesisHash, state.genesisHash) || !equalBytes(opened.recovery.publicKey, state.recoveryPublicKey)) return 'account-swapped';
  const judged = judgeVault(state, opened.file.version, opened.hash);
  if (judged === 'vault-rolled-back' || judged === 'vault-swapped') return judged;
  const author = state.devices.get(opened.author);
  if (!author || !(await opened.verifyAuthor(author.signPublicKey))) return 'vault-forged';
  // A pinned vault may be the work of a device revoked since; an unpinned one has only its writer to speak for it.
  if (judged === 'unpinned' && !deviceValidAt(state, author.id, state.height)) return 'vault-forged';
  return (await keysOf(state, opened.contents.ueks)) ? undefined : 'vault-keys';
}

/**
 * The user encryption keys the log names, each proven to belong to its public key; undefined when one is
 * missing or another. A generation the log does not know yet is left out.
 */
export async function keysOf(state: AccountState, held: VaultContents['ueks']): Promise<VaultContents['ueks'] | undefined> {
  const keys: VaultContents['ueks'][number][] = [];
  for (const { gen, publicKey } of state.ueks) {
    const found = held.find((one) => one.gen === gen && equalBytes(one.key.publicKey, publicKey));
    if (!found || !(await isKeyPair(found.key))) return undefined;
    keys.push(found);
  }
  return keys;
}

const wrapInfo = label('app/uek-wrap/v1');

/** The private key of a generation for each of these devices. `state` names the generation. */
export async function wrapUek(state: AccountState, gen: number, pkcs8: Bytes, devices: readonly DeviceId[]) {
  return Promise.all(activeDevices(state).filter(({ id }) => devices.includes(id)).map(async ({ id, kemPublicKey }) => {
    const wrap = await sealHpke({ recipientPublicKey: kemPublicKey, info: wrapInfo, associated: wrapPlace(state, gen, id), plaintext: pkcs8 });
    assert(wrap, 'a device in the account log has a KEM key on the curve');
    return { device: id, gen, wrap };
  }));
}

/** The private key, once it opens for this device and belongs to the generation's public key. */
export async function unwrapUek(state: AccountState, gen: number, device: DeviceId, kem: KeyPair, wrap: Uint8Array): Promise<Bytes | undefined> {
  const uek = state.ueks.find((one) => one.gen === gen);
  if (!uek) return undefined;
  const pkcs8 = await openHpke({ recipientKey: kem, info: wrapInfo, associated: wrapPlace(state, gen, device), sealed: wrap });
  return pkcs8 && (await isKeyPair({ pkcs8, publicKey: uek.publicKey })) ? pkcs8 : undefined;
}

/** account | gen | device | chain hash of the entry that named the generation. */
function wrapPlace(state: AccountState, gen: number, device: DeviceId): Bytes {
  const uek = state.ueks.find((one) => one.gen === gen);
  assert(uek, 'the account log names the generation');
  return concatBytes(idToBytes(state.account), u32(gen), idToBytes(device), state.heads[uek.height]!);
}

/** What a device signs to take over a session (protocol/api.ts, bindDevice). */
export const sessionBindPurpose = 'app/session-device/v1';

export function sessionBindMessage(account: AccountId, device: DeviceId, challenge: Uint8Array): Bytes {
  return concatBytes(idToBytes(account), idToBytes(device), challenge);
}
