/**
 * The signed-in account on this device: its keys for other rooms, and what changes it at the server.
 *
 * Every change that touches the vault goes the same way: store the new vault, then append to the account log
 * what pins it. A device cut off between the two owes the pin and pays it at its next `sync`; until then
 * the vault is believed for its writer's signature. Whoever loses a compare-and-set starts again from what is there.
 */
import { applyAccountEntry, extendAccountLog } from '#lib/chains/account-log.ts';
import { buildPinVault, buildRevocation, type AccountSigner } from '#lib/chains/account-build.ts';
import { activeDevices, newestUek, type AccountState, type DeviceRecord } from '#lib/chains/account-state.ts';
import { exportPrivateKey, generateKemPair, sign } from '#lib/crypto/primitives.ts';
import type { AccountId, DeviceId, Handle } from '#lib/protocol/ids.ts';
import { StorageError, type Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, unwrap, type Result } from '#lib/std/result.ts';
import { decodeVaultFile, type VaultContents, type VaultFile, type VaultSlot } from '#lib/vault/vault-file.ts';
import { openVaultWithPassword, renewVault, vaultHash, type SealedVault } from '#lib/vault/vault.ts';
import type { Accounts } from './accounts.ts';
import type { ApiClient, ApiFailure } from './api-client.ts';
import { checkPassword, conflictsMax, provePassword, registerPassword, type EnterDeps } from './enter.ts';
import { apiToEntryFault, tampered, type EntryFault } from './faults.ts';
import { checkOpenedVault, judgeVault, sessionBindMessage, sessionBindPurpose, unwrapUek, wrapUek } from './own-log.ts';
import { identityKeys, readUek, sealUek, type LoadedIdentity, type PinOwed, type StoredUek } from './records.ts';

export interface Account {
  readonly account: AccountId;
  readonly handle: Handle;
  readonly device: DeviceId;
  /** Signs entries of every log. */
  readonly signKey: CryptoKey;
  readonly signPublicKey: Bytes;
  readonly profileKey: Bytes;
  readonly sealer: Sealer;
  /** The own account log as known here. */
  readonly state: () => Promise<AccountState>;
  /** The private half of a generation: from disk, or out of the wrap another device made for this one. */
  readonly uekPrivate: (gen: number) => Promise<{ readonly key: CryptoKey; readonly publicKey: Bytes } | undefined>;
  /** Learns what the account's other devices did, takes new keys in, and pays an owed pin. `failed` with `not-signed-in` asks for `renewSession`. */
  readonly sync: () => Promise<Result<SyncReport, EntryFault>>;
  /** A new server session for this same device; `device-revoked` when the signed log says another device shut it out. */
  readonly renewSession: (input: { readonly password: string }) => Promise<Result<void, EntryFault>>;
  readonly devices: () => Promise<readonly (DeviceRecord & { readonly current: boolean })[]>;
  /** Shuts another device out and renews the user encryption key, in one append. Groups then rotate as they see it. */
  readonly revokeDevice: (device: DeviceId) => Promise<Result<void, EntryFault>>;
  /** This device's own end: revokes itself and leaves a new user encryption key to the others and to the vault. Only signing out may follow. */
  readonly leave: () => Promise<Result<void, EntryFault>>;
  readonly changePassword: (input: { readonly oldPassword: string; readonly newPassword: string }) => Promise<Result<void, EntryFault>>;
  /** Whether the server still has the vault the account log pins. */
  readonly checkVault: () => Promise<Result<void, EntryFault>>;
}

export interface SyncReport {
  readonly state: AccountState;
  /** This device was shut out by another: nothing it signs counts any more. */
  readonly revoked: boolean;
  /** Devices that entered since the last time; tell the person. */
  readonly newDevices: readonly DeviceId[];
}

export interface AccountDeps extends Pick<EnterDeps, 'api' | 'opaque' | 'random'> {
  readonly database: Database;
  readonly loaded: LoadedIdentity;
  readonly accounts: Accounts;
}

export function openAccount({ api, opaque, random, database, loaded, accounts }: AccountDeps): Account {
  const { identity, device: keys, sealer, profileKey } = loaded;
  const { account, handle, device } = identity;
  const signer: AccountSigner = { type: 'device', id: device, key: keys.sign.privateKey };
  const writer = { device, signingKey: keys.sign.privateKey };

  async function state(): Promise<AccountState> {
    const known = await accounts.known(account);
    if (!known) throw new StorageError('corrupt'); // saved together with the identity
    return known.state;
  }

  /** Everything to put into a vault. Undefined while a generation is not here, for want of its wrap. */
  async function contents(now: AccountState): Promise<VaultContents | undefined> {
    const ueks: VaultContents['ueks'][number][] = [];
    for (const { gen } of now.ueks) {
      const uek = await uekStored(now, gen);
      const pkcs8 = uek && (await sealer.unseal('kv', identityKeys.uek(gen), uek.sealedPkcs8));
      if (!uek || !pkcs8?.ok) return undefined;
      ueks.push({ gen, key: { pkcs8: pkcs8.value, publicKey: uek.publicKey } });
    }
    return { ueks, profileKey, createdAt: identity.createdAt };
  }

  async function uekStored(now: AccountState, gen: number): Promise<StoredUek | undefined> {
    const here = await readUek(database, gen);
    if (here || !now.ueks.some((uek) => uek.gen === gen)) return here;
    const answer = await api.uekWraps();
    if (!answer.ok) return undefined;
    for (const wrap of answer.value.wraps) {
      if (wrap.gen !== gen || wrap.device !== device) continue;
      const pkcs8 = await unwrapUek(now, gen, device, keys.kem, wrap.wrap);
      if (pkcs8) return keepUek(gen, pkcs8, now.ueks.find((uek) => uek.gen === gen)!.publicKey);
    }
    return undefined;
  }

  async function keepUek(gen: number, pkcs8: Bytes, publicKey: Bytes): Promise<StoredUek> {
    const uek = await sealUek(sealer, gen, pkcs8, publicKey);
    await database.write(['kv'], (tx) => tx.put('kv', identityKeys.uek(gen), uek));
    return uek;
  }

  /** The own log as the server has it; what contradicts the known one is tampering. */
  async function freshState(): Promise<Result<AccountState, EntryFault>> {
    const checked = await accounts.check(account);
    if (checked.ok) return ok(checked.value.state);
    const { error } = checked;
    switch (error.type) {
      case 'too-many': return err(error);
      case 'offline': return err({ type: 'offline' });
      case 'identity-changed': return err(tampered(error.change === 'rollback' ? 'account-rolled-back' : 'account-swapped'));
      case 'log-refused': return err(tampered('account-log'));
      case 'failed': return err(error);
      default: return err({ type: 'failed', detail: error.type });
    }
  }

  async function storedVault(now: AccountState): Promise<Result<{ readonly file: VaultFile; readonly raw: Bytes }, EntryFault>> {
    const answer = await api.vault();
    if (!answer.ok) return err(apiToEntryFault(answer.error));
    const { version, vault: raw } = answer.value;
    const judged = judgeVault(now, version, vaultHash(raw));
    if (judged === 'vault-rolled-back' || judged === 'vault-swapped') return err(tampered(judged));
    const file = decodeVaultFile(raw);
    if (!file.ok || file.value.account !== account) return err(tampered('vault-damaged'));
    return file.value.version === version ? ok({ file: file.value, raw }) : err(tampered('vault-swapped'));
  }

  async function owePin({ version, hash }: SealedVault): Promise<void> {
    const owed: PinOwed = { version, hash };
    await database.write(['kv'], (tx) => tx.put('kv', identityKeys.pinOwed, owed));
  }

  /** Appends to the own log and keeps what was appended. */
  async function append(now: AccountState, entries: readonly Bytes[], uekWraps: Parameters<ApiClient['appendAccountLog']>[0]['uekWraps'] = []): Promise<Result<void, ApiFailure>> {
    unwrap(await extendAccountLog(now, entries), 'broken promise: our own append verifies');
    const appended = await api.appendAccountLog({ height: now.height + 1, entries, uekWraps });
    if (!appended.ok) return appended;
    await accounts.addOwn(account, entries);
    return ok(undefined);
  }

  /** Pins a vault this device wrote, unless a newer one was pinned meanwhile or the server has another by now. */
  async function payPin(): Promise<Result<void, EntryFault>> {
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      const owed = (await database.read(['kv'], (tx) => tx.get('kv', identityKeys.pinOwed))) as PinOwed | undefined;
      if (!owed) return ok(undefined);
      const fresh = attempt === 0 ? ok(await state()) : await freshState();
      if (!fresh.ok) return fresh;
      const now = fresh.value;
      const stored = judgeVault(now, owed.version, owed.hash) === 'unpinned' ? await api.vault() : undefined;
      if (stored && !stored.ok) return err(apiToEntryFault(stored.error));
      if (stored?.value.version === owed.version && equalBytes(vaultHash(stored.value.vault), owed.hash)) {
        const appended = await append(now, [await buildPinVault(now, { ...owed, signer })]);
        if (!appended.ok && appended.error.type === 'api' && appended.error.name === 'conflict') continue;
        if (!appended.ok) return err(apiToEntryFault(appended.error));
      }
      await database.write(['kv'], (tx) => tx.delete('kv', identityKeys.pinOwed));
      return ok(undefined);
    }
    return err({ type: 'failed', detail: 'conflict' });
  }

  async function sync(): Promise<Result<SyncReport, EntryFault>> {
    const before = await state();
    const fresh = await freshState();
    if (!fresh.ok) return fresh;
    const now = fresh.value;
    const revoked = !activeDevices(now).some(({ id }) => id === device);
    const newDevices = [...now.devices.values()].filter(({ id }) => !before.devices.has(id)).map(({ id }) => id);
    if (!revoked) {
      await uekStored(now, newestUek(now).gen);
      const paid = await payPin();
      if (!paid.ok) return paid;
    }
    return ok({ state: await state(), revoked, newDevices });
  }

  async function renewSession({ password }: { readonly password: string }): Promise<Result<void, EntryFault>> {
    const proof = await provePassword({ api, opaque }, handle, password);
    if (!proof.ok) return proof;
    if (identity.serverPublicKey !== undefined && proof.value.serverPublicKey !== identity.serverPublicKey) return err(tampered('server-key'));
    const session = await api.loginFinish({ loginId: proof.value.loginId, loginFinish: proof.value.loginFinish });
    if (!session.ok) return err(apiToEntryFault(session.error));
    if (session.value.account !== account) return err(tampered('account-swapped'));
    const challenged = await api.bindChallenge();
    if (!challenged.ok) return err(apiToEntryFault(challenged.error));
    const signature = await sign(keys.sign.privateKey, sessionBindPurpose, sessionBindMessage(account, device, challenged.value.challenge));
    const bound = await api.bindDevice({ device, signature });
    if (bound.ok) return bound;
    // The signature is our own, so what is refused is the device. What counts is not the refusal but the signed log.
    const fresh = bound.error.type === 'api' && bound.error.name === 'refused' ? await freshState() : undefined;
    const revoked = fresh?.ok && fresh.value.devices.get(device)?.revokedAt !== undefined;
    await api.endSession(); // it would stand for no device
    return err(revoked ? { type: 'device-revoked' } : apiToEntryFault(bound.error));
  }

  async function revokeDevice(target: DeviceId): Promise<Result<void, EntryFault>> {
    if (target === device) return err({ type: 'failed', detail: 'this-device' }); // its own end is `leave`
    return revoke(target);
  }

  async function revoke(target: DeviceId): Promise<Result<void, EntryFault>> {
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      const fresh = await freshState();
      if (!fresh.ok) return fresh;
      const revoked = await tryToRevoke(fresh.value, target);
      if (revoked !== 'conflict') return revoked;
    }
    return err({ type: 'failed', detail: 'conflict' });
  }

  async function tryToRevoke(now: AccountState, target: DeviceId): Promise<Result<void, EntryFault> | 'conflict'> {
    const record = now.devices.get(target);
    if (!record) return err({ type: 'failed', detail: 'device-unknown' });
    if (record.revokedAt !== undefined) return ok(undefined);
    const held = await contents(now);
    if (!held) return err({ type: 'failed', detail: 'keys-missing' });
    const before = await storedVault(now);
    if (!before.ok) return before;

    const pair = await generateKemPair(true);
    const uek = { gen: newestUek(now).gen + 1, key: { pkcs8: await exportPrivateKey(pair.privateKey), publicKey: pair.publicKey } };
    const sealed = await renewVault({
      before: before.value.file, vaultPublicKey: identity.vaultPublicKey, contents: { ...held, ueks: [...held.ueks, uek] }, writer,
    });
    await owePin(sealed);
    const put = await api.putVault({ version: sealed.version, vault: sealed.bytes });
    if (!put.ok) return conflictOr(put.error);

    const { entries, after } = await revocation(now, target, pair.publicKey, sealed);
    // Unless it leaves, one wrap is for this device: cut off right after the append it finds its key there.
    const wraps = await wrapUek(after, uek.gen, uek.key.pkcs8, activeDevices(after).map(({ id }) => id));
    const appended = await append(now, entries, wraps);
    if (!appended.ok) return conflictOr(appended.error);
    if (target === device) return ok(undefined);
    await keepUek(uek.gen, uek.key.pkcs8, uek.key.publicKey);
    await database.write(['kv'], (tx) => tx.delete('kv', identityKeys.pinOwed));
    return ok(undefined);
  }

  /** Revocation, new key and pin of the vault in one append; a device that leaves pins first, while its word still counts. */
  async function revocation(now: AccountState, target: DeviceId, uekPublicKey: Bytes, sealed: SealedVault): Promise<{ readonly entries: readonly Bytes[]; readonly after: AccountState }> {
    const pinAfter = async (state: AccountState) => {
      const pin = await buildPinVault(state, { ...sealed, signer });
      return { pin, pinned: unwrap(await applyAccountEntry(state, pin), 'broken promise: our own pin verifies') };
    };
    const shutOutAfter = async (state: AccountState) => {
      const shutOut = await buildRevocation(state, { devices: [target], uekPublicKey, signer });
      return { shutOut, out: unwrap(await extendAccountLog(state, shutOut), 'broken promise: our own revocation verifies') };
    };
    if (target === device) {
      const { pin, pinned } = await pinAfter(now);
      const { shutOut, out } = await shutOutAfter(pinned);
      return { entries: [pin, ...shutOut], after: out };
    }
    const { shutOut, out } = await shutOutAfter(now);
    const { pin, pinned } = await pinAfter(out);
    return { entries: [...shutOut, pin], after: pinned };
  }

  async function changePassword({ oldPassword, newPassword }: { readonly oldPassword: string; readonly newPassword: string }): Promise<Result<void, EntryFault>> {
    const checked = checkPassword(newPassword);
    if (!checked.ok) return checked;
    // Only up to where this side knows: the session stays the one this device is bound to.
    const proof = await provePassword({ api, opaque }, handle, oldPassword);
    if (!proof.ok) return proof;
    const registration = await registerPassword({ api, opaque }, handle, checked.value);
    if (!registration.ok) return registration;
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      const changed = await tryToChangePassword(proof.value.exportKey, registration.value);
      if (changed === 'conflict') continue;
      return changed.ok ? payPin() : changed;
    }
    return err({ type: 'failed', detail: 'conflict' });
  }

  async function tryToChangePassword(oldExportKey: Bytes, registration: { readonly registrationRecord: string; readonly exportKey: Bytes }): Promise<Result<void, EntryFault> | 'conflict'> {
    const fresh = await freshState();
    if (!fresh.ok) return fresh;
    const held = await contents(fresh.value);
    if (!held) return err({ type: 'failed', detail: 'keys-missing' });
    const before = await storedVault(fresh.value);
    if (!before.ok) return before;
    const opened = await openVaultWithPassword(before.value.raw, account, oldExportKey, random);
    if (!opened.ok) return err(tampered('vault-damaged'));
    const wrong = await checkOpenedVault(fresh.value, opened.value);
    if (wrong) return err(tampered(wrong));
    const slots: readonly VaultSlot[] = await opened.value.slotsWithPassword(registration.exportKey);
    const sealed = await renewVault({ before: before.value.file, slots, vaultPublicKey: identity.vaultPublicKey, contents: held, writer });
    await owePin(sealed);
    const put = await api.changePassword({ registrationRecord: registration.registrationRecord, vaultVersion: sealed.version, vault: sealed.bytes });
    return put.ok ? ok(undefined) : conflictOr(put.error);
  }

  return {
    account, handle, device, profileKey, sealer, state, sync, renewSession, revokeDevice, changePassword,
    leave: () => revoke(device),
    signKey: keys.sign.privateKey,
    signPublicKey: keys.sign.publicKey,
    async uekPrivate(gen) {
      const uek = await uekStored(await state(), gen);
      return uek && { key: uek.key, publicKey: uek.publicKey };
    },
    devices: async () => [...(await state()).devices.values()].map((record) => ({ ...record, current: record.id === device })),
    async checkVault() {
      const fresh = await freshState();
      if (!fresh.ok) return fresh;
      const vault = await storedVault(fresh.value);
      return vault.ok ? ok(undefined) : vault;
    },
  };
}

function conflictOr(failure: ApiFailure): Result<never, EntryFault> | 'conflict' {
  return failure.type === 'api' && failure.name === 'conflict' ? 'conflict' : err(apiToEntryFault(failure));
}
