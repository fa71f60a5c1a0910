/**
 * The ways into an account: sign up, sign in with the password, sign in with the recovery words.
 *
 * Each makes this browser a device of its own: its keys are born here and cannot be exported. Signing in
 * opens the vault, and nothing in it counts before it agrees with the account log from genesis on [ID4]; then
 * the recovery key out of the vault signs this device in, and is forgotten. What comes back is stored by
 * `saveIdentity`. Load this module when somebody enters, not before: words and OPAQUE are only needed here.
 */
import { applyAccountEntry, extendAccountLog, replayAccountLog } from '#lib/chains/account-log.ts';
import { buildAddDevice, buildGenesis, buildPinVault, proveDevicePossession } from '#lib/chains/account-build.ts';
import type { DeviceKeys } from '#lib/chains/account-body.ts';
import { activeDevices, type AccountState } from '#lib/chains/account-state.ts';
import { exportPrivateKey, generateAesKey, generateKemPair, generateSigningPair } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, parseHandle, type AccountId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, unwrap, type Result } from '#lib/std/result.ts';
import { createRecoveryWords, deriveRecovery, parseRecoveryWords, recoveryProofHash } from '#lib/vault/recovery.ts';
import { createVault, openVaultWithPassword, openVaultWithWords, vaultHash, type OpenedVault, type VaultFault } from '#lib/vault/vault.ts';
import type { ApiClient } from './api-client.ts';
import { apiToEntryFault, tampered, type EntryFault } from './faults.ts';
import type { OpaqueService } from './opaque-service.ts';
import { checkOpenedVault, judgeVault, keysOf } from './own-log.ts';
import type { NewIdentity, StoredDevice } from './records.ts';

export interface EnterDeps {
  readonly api: ApiClient;
  readonly opaque: OpaqueService;
  readonly random: Random;
  readonly clock: Clock;
}

/** One class today; the log has room for more. */
const browserClass = 1;
/** Losing compare-and-set to another device this often in a row is no coincidence. */
export const conflictsMax = 4;

export async function signUp(deps: EnterDeps, input: { readonly handle: string; readonly password: string }): Promise<Result<NewIdentity, EntryFault>> {
  const { api, random, clock } = deps;
  const handle = parseHandle(input.handle);
  if (!handle) return err({ type: 'handle-invalid' });
  const password = checkPassword(input.password);
  if (!password.ok) return password;
  const registration = await registerPassword(deps, handle, password.value);
  if (!registration.ok) return registration;
  const { exportKey, registrationRecord, serverPublicKey } = registration.value;

  const account = bytesToId<AccountId>(random.bytes(idSizeBytes));
  const made = await makeDevice(random);
  const recovery = await generateSigningPair(true);
  const uek = await generateKemPair(true);
  const words = createRecoveryWords(random);
  const { slotSecret, proof } = deriveRecovery(words);
  const genesis = await buildGenesis({ account, recovery, device: made.keys, deviceKey: made.stored.sign.privateKey, uekPublicKey: uek.publicKey });
  const state = unwrap(await replayAccountLog(account, [genesis]), 'broken promise: our own genesis verifies');

  const contents = {
    ueks: [{ gen: 1, key: { pkcs8: await exportPrivateKey(uek.privateKey), publicKey: uek.publicKey } }],
    profileKey: random.bytes(32),
    createdAt: clock.now(),
  };
  const { sealed, vaultPublicKey } = await createVault({
    account, genesisHash: state.genesisHash, recovery, exportKey, slotSecret, contents, random,
    writer: { device: made.keys.id, signingKey: made.stored.sign.privateKey },
  });
  const registered = await api.register({
    handle, registrationRecord, genesis, recoveryProofHash: recoveryProofHash(proof), vault: sealed.bytes, uekWraps: [],
  });
  if (!registered.ok) return err(apiToEntryFault(registered.error));
  if (registered.value.account !== account) return err(tampered('account-swapped'));

  // The account exists from here on: a pin that does not get through now is owed, and `Account.sync` pays it.
  const pin = await buildPinVault(state, { ...sealed, signer: { type: 'device', id: made.keys.id, key: made.stored.sign.privateKey } });
  const pinned = await api.appendAccountLog({ height: 1, entries: [pin], uekWraps: [] });
  return ok({
    identity: {
      account, handle, device: made.keys.id, genesisHash: state.genesisHash, vaultPublicKey, serverPublicKey, createdAt: contents.createdAt,
    },
    device: made.stored,
    ueks: contents.ueks,
    profileKey: contents.profileKey,
    entries: pinned.ok ? [genesis, pin] : [genesis],
    pinOwed: pinned.ok ? undefined : { version: sealed.version, hash: sealed.hash },
    words,
  });
}

export async function signIn(deps: EnterDeps, input: { readonly handle: string; readonly password: string }): Promise<Result<NewIdentity, EntryFault>> {
  const { api, random } = deps;
  const handle = parseHandle(input.handle);
  if (!handle) return err({ type: 'handle-invalid' });
  const proof = await provePassword(deps, handle, input.password);
  if (!proof.ok) return proof;
  const { loginId, loginFinish, exportKey, serverPublicKey } = proof.value;
  const session = await api.loginFinish({ loginId, loginFinish });
  if (!session.ok) return err(apiToEntryFault(session.error));
  const { account } = session.value;
  return joinAccount(deps, { handle, account, serverPublicKey, open: (vault) => openVaultWithPassword(vault, account, exportKey, random) });
}

export async function signInWithWords(deps: EnterDeps, input: { readonly handle: string; readonly words: string }): Promise<Result<NewIdentity, EntryFault>> {
  const { api, random } = deps;
  const handle = parseHandle(input.handle);
  if (!handle) return err({ type: 'handle-invalid' });
  const words = parseRecoveryWords(input.words);
  if (!words.ok) return err({ type: 'words-invalid', reason: words.error });
  const { slotSecret, proof } = deriveRecovery(words.value);
  const session = await api.loginRecovery({ handle, recoveryProof: proof });
  if (!session.ok) return err(apiToEntryFault(session.error));
  const { account } = session.value;
  return joinAccount(deps, { handle, account, serverPublicKey: undefined, open: (vault) => openVaultWithWords(vault, account, slotSecret, random) });
}

/** The same password on every keyboard, within its bounds. */
export function checkPassword(typed: string): Result<string, EntryFault> {
  const password = typed.normalize('NFKC');
  if (password.length < limits.passwordLengthMin) return err({ type: 'password-short' });
  return password.length > limits.passwordLengthMax ? err({ type: 'password-long' }) : ok(password);
}

/** OPAQUE registration of a password, for a new account or in place of the one before. */
export async function registerPassword({ api, opaque }: Pick<EnterDeps, 'api' | 'opaque'>, handle: Handle, password: string):
Promise<Result<{ readonly registrationRecord: string; readonly exportKey: Bytes; readonly serverPublicKey: string }, EntryFault>> {
  const { state, registrationRequest } = await opaque.startRegistration({ password });
  const started = await api.registerStart({ handle, registrationRequest });
  if (!started.ok) return err(apiToEntryFault(started.error));
  const finished = await opaque.finishRegistration({ password, handle, state, registrationResponse: started.value.registrationResponse });
  if (!finished) return err({ type: 'failed', detail: 'opaque-answer' });
  return finished.serverPublicKey === started.value.serverPublicKey ? ok(finished) : err(tampered('server-key'));
}

export interface PasswordProof {
  readonly loginId: Bytes;
  /** Give it to the server and there is a session. */
  readonly loginFinish: string;
  readonly exportKey: Bytes;
  readonly serverPublicKey: string;
}

/** OPAQUE login up to the point where this side knows that the password is right. */
export async function provePassword({ api, opaque }: Pick<EnterDeps, 'api' | 'opaque'>, handle: Handle, typed: string): Promise<Result<PasswordProof, EntryFault>> {
  const password = checkPassword(typed);
  if (!password.ok) return err({ type: 'wrong-credentials' }); // no account has such a password
  const { state, loginRequest } = await opaque.startLogin({ password: password.value });
  const started = await api.loginStart({ handle, loginRequest });
  if (!started.ok) return err(apiToEntryFault(started.error));
  const finished = await opaque.finishLogin({ password: password.value, handle, state, loginResponse: started.value.loginResponse });
  return finished ? ok({ loginId: started.value.loginId, ...finished }) : err({ type: 'wrong-credentials' });
}

interface Joining {
  readonly handle: Handle;
  readonly account: AccountId;
  readonly serverPublicKey: string | undefined;
  readonly open: (vault: Bytes) => Promise<Result<OpenedVault, VaultFault>>;
}

/** With a session: open the vault, check it, and enter this device in the account log. A session that led nowhere is ended. */
async function joinAccount(deps: EnterDeps, joining: Joining): Promise<Result<NewIdentity, EntryFault>> {
  for (let attempt = 0; attempt < conflictsMax; attempt++) {
    const joined = await tryToJoin(deps, joining);
    if (joined === 'conflict') continue;
    if (!joined.ok) await deps.api.endSession();
    return joined;
  }
  await deps.api.endSession();
  return err({ type: 'failed', detail: 'conflict' });
}

async function tryToJoin({ api, random }: EnterDeps, { handle, account, serverPublicKey, open }: Joining): Promise<Result<NewIdentity, EntryFault> | 'conflict'> {
  const log = await api.accountLog(account, 0);
  if (!log.ok) return err(apiToEntryFault(log.error));
  const replayed = await replayAccountLog(account, log.value.entries);
  if (!replayed.ok) return err(tampered('account-log'));
  const state = replayed.value;

  const stored = await api.vault();
  if (!stored.ok) return err(apiToEntryFault(stored.error));
  const opened = await open(stored.value.vault);
  if (!opened.ok) {
    // Before blaming its bytes: an older vault may lack what opens it today.
    const judged = judgeVault(state, stored.value.version, vaultHash(stored.value.vault));
    return err(tampered(judged === 'vault-rolled-back' ? judged : 'vault-damaged'));
  }
  const vault = opened.value;
  if (vault.file.version !== stored.value.version) return err(tampered('vault-swapped'));
  const wrong = await checkOpenedVault(state, vault);
  if (wrong) return err(tampered(wrong));
  const ueks = (await keysOf(state, vault.contents.ueks))!;

  if (activeDevices(state).length >= limits.devicesPerAccountMax) return err({ type: 'too-many-devices' });
  const made = await makeDevice(random);
  const entries = await entriesToJoin(state, made, vault);
  const appended = await api.appendAccountLog({ height: state.height + 1, entries, uekWraps: [] });
  if (!appended.ok) {
    if (appended.error.type === 'api' && appended.error.name === 'conflict') return 'conflict';
    return err(apiToEntryFault(appended.error));
  }
  return ok({
    identity: {
      account, handle, device: made.keys.id, genesisHash: state.genesisHash, vaultPublicKey: vault.vaultPublicKey, serverPublicKey,
      createdAt: vault.contents.createdAt,
    },
    device: made.stored,
    ueks,
    profileKey: vault.contents.profileKey,
    entries: [...log.value.entries, ...entries],
    pinOwed: undefined,
    words: undefined,
  });
}

/** This device, signed in by the recovery key; and the pin of a vault whose writer was cut off before pinning it. */
async function entriesToJoin(state: AccountState, made: MadeDevice, vault: OpenedVault): Promise<readonly Bytes[]> {
  const possession = await proveDevicePossession(state, made.keys, made.stored.sign.privateKey);
  const added = await buildAddDevice(state, { device: made.keys, possession, signer: { type: 'recovery', key: vault.recovery.privateKey } });
  const { version } = vault.file;
  if (judgeVault(state, version, vault.hash) === 'pinned') return [added];
  const joined = unwrap(await applyAccountEntry(state, added), 'broken promise: our own entry verifies');
  const pin = await buildPinVault(joined, { version, hash: vault.hash, signer: { type: 'device', id: made.keys.id, key: made.stored.sign.privateKey } });
  unwrap(await extendAccountLog(state, [added, pin]), 'broken promise: our own append verifies');
  return [added, pin];
}

interface MadeDevice {
  readonly keys: DeviceKeys;
  readonly stored: StoredDevice;
}

async function makeDevice(random: Random): Promise<MadeDevice> {
  const sign = await generateSigningPair();
  const kem = await generateKemPair();
  const id = bytesToId<DeviceId>(random.bytes(idSizeBytes));
  return {
    keys: { id, signPublicKey: sign.publicKey, kemPublicKey: kem.publicKey, deviceClass: browserClass, sealedName: new Uint8Array() },
    stored: { sign, kem, storageKey: await generateAesKey() },
  };
}
