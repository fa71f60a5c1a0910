/**
 * The account log: who an account's devices and keys are, as a signed chain (crypto.md §5.2).
 *
 *     core  = account[16] | height u32 | prev[32] | suite u16 | lp(kind) | lp(body)
 *     chain = SHA-256("app/acct-chain/v1" | core)          the next entry's prev; the last one is the head
 *     sig   = Sign(signer, "app/acct/v1", core)
 *     wire  = lp(core) | count u8 | count × (0 recovery | 1 device[16] | 2 possession) sig[64]
 *
 * No hash covers a signature. Every entry is judged by the state just before it, never by "now", so
 * server and clients reach one answer from the same bytes. A list of entries is one or more whole
 * appends: a revoke is followed by its rotate_uek in the same append, or the list is refused [CH4].
 */
import { lp, u16, u32, u8 } from '#lib/crypto/encoding.ts';
import { sha256, signatureSizeBytes, verify } from '#lib/crypto/primitives.ts';
import { bytesToId, idSizeBytes, idToBytes, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { bytesToHex, concatBytes, equalBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { decodeAccountBody, encodeAccountBody, type AccountBody } from './account-body.ts';
import { activeDevices, newestUek, type AccountLogFault, type AccountState, type DeviceRecord } from './account-state.ts';
import { isPublicKey } from './public-key.ts';
import { createReader } from './reader.ts';

export const suite1 = 1;
const chainLabel = textToBytes('app/acct-chain/v1');
export const accountSignPurpose = 'app/acct/v1';
export const possessionPurpose = 'app/device-possession/v1';
const signaturesMax = 2;

export type EntrySigner = { readonly type: 'recovery' } | { readonly type: 'device'; readonly id: DeviceId } | { readonly type: 'possession' };

export interface AccountEntry {
  readonly account: AccountId;
  readonly height: number;
  readonly prev: Bytes;
  readonly body: AccountBody;
  /** The signed bytes. */
  readonly core: Bytes;
  readonly signatures: readonly { readonly signer: EntrySigner; readonly signature: Bytes }[];
}

export interface AccountLogRefusal {
  readonly fault: AccountLogFault;
  /** Of the entry that was refused; the number of entries when the end is missing. */
  readonly height: number;
}

/** Replays a log from genesis: one or more whole appends. */
export async function replayAccountLog(account: AccountId, entries: readonly Bytes[]): Promise<Result<AccountState, AccountLogRefusal>> {
  const [genesis, ...rest] = entries;
  if (!genesis) return err({ fault: 'not-genesis', height: 0 });
  const first = await applyAccountEntry(undefined, genesis);
  if (!first.ok) return err({ fault: first.error, height: 0 });
  if (first.value.account !== account) return err({ fault: 'wrong-account', height: 0 });
  return extendAccountLog(first.value, rest);
}

/** What follows a verified state: one or more whole appends. The server calls this for each append. */
export async function extendAccountLog(state: AccountState, entries: readonly Bytes[]): Promise<Result<AccountState, AccountLogRefusal>> {
  let now = state;
  for (const entry of entries) {
    const next = await applyAccountEntry(now, entry);
    if (!next.ok) return err({ fault: next.error, height: now.height + 1 });
    now = next.value;
  }
  return now.rotationOwed ? err({ fault: 'rotation-owed', height: now.height + 1 }) : ok(now);
}

/**
 * One entry after a state (undefined before genesis). The state may owe a rotation afterwards: use it
 * to build the rest of an append, and the two functions above to judge one.
 */
export async function applyAccountEntry(state: AccountState | undefined, bytes: Uint8Array): Promise<Result<AccountState, AccountLogFault>> {
  const decoded = decodeAccountEntry(bytes);
  if (!decoded.ok) return decoded;
  const entry = decoded.value;
  const placed = checkPlace(state, entry);
  if (placed) return err(placed);
  const signed = checkSigners(state, entry) ?? checkBody(state, entry.body) ?? (await checkKeys(entry.body)) ?? (await checkSignatures(state, entry));
  return signed ? err(signed) : ok(applyBody(state, entry));
}

/** The bytes as an entry, without judging it. */
export function decodeAccountEntry(bytes: Uint8Array): Result<AccountEntry, 'malformed' | 'unknown-suite'> {
  if (bytes.length > limits.accountEntrySizeBytesMax) return err('malformed');
  const outer = createReader(bytes);
  const core = outer.lp(limits.accountEntrySizeBytesMax);
  const signatures: { signer: EntrySigner; signature: Bytes }[] = [];
  const count = outer.u8();
  if (count < 1 || count > signaturesMax) return err('malformed');
  for (let i = 0; i < count; i++) {
    const type = outer.u8();
    if (type > 2) return err('malformed');
    const signer: EntrySigner = type === 0 ? { type: 'recovery' } : type === 1 ? { type: 'device', id: bytesToId(outer.bytes(idSizeBytes)) } : { type: 'possession' };
    signatures.push({ signer, signature: outer.bytes(signatureSizeBytes) });
  }
  if (!outer.done() || !ascending(signatures.map(({ signer }) => signer))) return err('malformed');

  const inner = createReader(core);
  const account = bytesToId<AccountId>(inner.bytes(idSizeBytes));
  const height = inner.u32();
  const prev = inner.bytes(32);
  const suite = inner.u16();
  if (inner.broken()) return err('malformed');
  if (suite !== suite1) return err('unknown-suite');
  const body = decodeAccountBody(inner.lp(32), inner.lp(limits.accountEntrySizeBytesMax));
  if (!inner.done() || !body) return err('malformed');
  return ok({ account, height, prev, body, core, signatures });
}

export function encodeAccountCore(account: AccountId, height: number, prev: Bytes, body: AccountBody): Bytes {
  const { kind, bytes } = encodeAccountBody(body);
  return concatBytes(idToBytes(account), u32(height), prev, u16(suite1), lp(textToBytes(kind)), lp(bytes));
}

export function encodeAccountEntry(core: Bytes, signatures: AccountEntry['signatures']): Bytes {
  return concatBytes(lp(core), u8(signatures.length), ...signatures.map(({ signer, signature }) => concatBytes(encodeSigner(signer), signature)));
}

export function accountChainHash(core: Uint8Array): Bytes {
  return sha256(chainLabel, core);
}

/** One order and no signer twice, so a set of signatures has one byte form. */
function ascending(signers: readonly EntrySigner[]): boolean {
  return signers.every((signer, i) => i === 0 || compareSigners(signers[i - 1]!, signer) < 0);
}

export function compareSigners(a: EntrySigner, b: EntrySigner): number {
  const left = bytesToHex(encodeSigner(a));
  const right = bytesToHex(encodeSigner(b));
  return left < right ? -1 : left > right ? 1 : 0;
}

function encodeSigner(signer: EntrySigner): Bytes {
  if (signer.type === 'device') return concatBytes(u8(1), idToBytes(signer.id));
  return u8(signer.type === 'recovery' ? 0 : 2);
}

function checkPlace(state: AccountState | undefined, { account, height, prev, body }: AccountEntry): AccountLogFault | undefined {
  if (!state) {
    if (body.kind !== 'genesis') return 'not-genesis';
    if (height !== 0) return 'wrong-height';
    return prev.every((byte) => byte === 0) ? undefined : 'wrong-prev';
  }
  if (account !== state.account) return 'wrong-account';
  if (height !== state.height + 1) return 'wrong-height';
  if (!equalBytes(prev, state.head)) return 'wrong-prev';
  if (height >= limits.accountLogEntriesMax) return 'log-full';
  if (body.kind === 'genesis') return 'genesis-again';
  if (state.rotationOwed && body.kind !== 'revoke_device' && body.kind !== 'rotate_uek') return 'rotation-owed';
  return undefined;
}

/** Whether exactly the signers this kind asks for have signed, each with authority before this entry. */
function checkSigners(state: AccountState | undefined, { body, signatures }: AccountEntry): AccountLogFault | undefined {
  const signers = signatures.map(({ signer }) => signer);
  const has = (type: EntrySigner['type']) => signers.some((signer) => signer.type === type);
  if (has('possession') && body.kind !== 'add_device') return 'not-allowed';
  if (!state) {
    if (body.kind !== 'genesis') return 'not-genesis';
    if (!has('recovery') || !has('device')) return 'missing-signature';
    return signers.some((signer) => signer.type === 'device' && signer.id !== body.device.id) ? 'unknown-signer' : undefined;
  }
  for (const signer of signers) {
    if (signer.type !== 'device') continue;
    const record = state.devices.get(signer.id);
    if (!record) return 'unknown-signer';
    // Nobody else may be at hand to make the new key when a device leaves by itself; what it makes it forgets.
    const leaves = body.kind === 'rotate_uek' && state.leaving === signer.id;
    if (record.revokedAt !== undefined && !leaves) return 'signer-revoked';
  }
  const devices = signers.filter((signer) => signer.type === 'device').length;
  switch (body.kind) {
    case 'genesis': return 'genesis-again';
    case 'add_device':
      if (!has('possession')) return 'no-possession';
      return signers.length === 2 ? undefined : 'missing-signature';
    case 'revoke_device':
    case 'rotate_uek':
      return signers.length === 1 ? undefined : 'not-allowed';
    case 'set_recovery':
      if (has('recovery')) return signers.length === 1 ? undefined : 'not-allowed';
      return devices === 2 ? undefined : 'missing-signature';
    case 'pin_vault':
      return signers.length === 1 && devices === 1 ? undefined : 'not-allowed';
  }
}

function checkBody(state: AccountState | undefined, body: AccountBody): AccountLogFault | undefined {
  if (!state) return undefined;
  switch (body.kind) {
    case 'add_device': {
      const known = [...state.devices.values()];
      if (known.some(({ id, signPublicKey }) => id === body.device.id || equalBytes(signPublicKey, body.device.signPublicKey))) return 'device-exists';
      return activeDevices(state).length >= limits.devicesPerAccountMax ? 'too-many-devices' : undefined;
    }
    case 'revoke_device': {
      const record = state.devices.get(body.device);
      if (!record) return 'device-unknown';
      return record.revokedAt === undefined ? undefined : 'device-already-revoked';
    }
    case 'rotate_uek':
      return body.gen === newestUek(state).gen + 1 ? undefined : 'wrong-generation';
    case 'pin_vault':
      return body.version > (state.vaultPin?.version ?? 0) ? undefined : 'vault-version';
    default:
      return undefined;
  }
}

/** A key that is no point of the curve would make every later seal to it fail, so it never enters. */
async function checkKeys(body: AccountBody): Promise<AccountLogFault | undefined> {
  const keys = body.kind === 'genesis' ? [body.recoveryPublicKey, body.device.signPublicKey, body.device.kemPublicKey, body.uekPublicKey]
    : body.kind === 'add_device' ? [body.device.signPublicKey, body.device.kemPublicKey]
    : body.kind === 'rotate_uek' ? [body.uekPublicKey]
    : body.kind === 'set_recovery' ? [body.recoveryPublicKey]
    : [];
  for (const key of keys) if (!(await isPublicKey(key))) return 'malformed';
  return undefined;
}

async function checkSignatures(state: AccountState | undefined, { body, core, signatures }: AccountEntry): Promise<AccountLogFault | undefined> {
  for (const { signer, signature } of signatures) {
    const purpose = signer.type === 'possession' ? possessionPurpose : accountSignPurpose;
    const key = signer.type === 'possession' ? (body.kind === 'add_device' ? body.device.signPublicKey : undefined)
      : signer.type === 'recovery' ? (body.kind === 'genesis' ? body.recoveryPublicKey : state?.recoveryPublicKey)
      : body.kind === 'genesis' ? body.device.signPublicKey : state?.devices.get(signer.id)?.signPublicKey;
    if (!key || !(await verify(key, purpose, core, signature))) return signer.type === 'possession' ? 'no-possession' : 'wrong-signature';
  }
  return undefined;
}

function applyBody(state: AccountState | undefined, { account, height, body, core, signatures }: AccountEntry): AccountState {
  const head = accountChainHash(core);
  if (body.kind === 'genesis') {
    return {
      account, height, head, heads: [head], genesisHash: head,
      recoveryPublicKey: body.recoveryPublicKey,
      genesisRecoveryPublicKey: body.recoveryPublicKey,
      devices: new Map([[body.device.id, { ...body.device, addedAt: 0, revokedAt: undefined }]]),
      ueks: [{ gen: 1, publicKey: body.uekPublicKey, height: 0 }],
      vaultPin: undefined,
      rotationOwed: false,
    };
  }
  const next = { ...state!, height, head, heads: [...state!.heads, head] };
  switch (body.kind) {
    case 'add_device':
      return { ...next, devices: withDevice(next, { ...body.device, addedAt: height, revokedAt: undefined }) };
    case 'revoke_device': {
      const leaves = signatures.some(({ signer }) => signer.type === 'device' && signer.id === body.device);
      return { ...next, devices: withDevice(next, { ...next.devices.get(body.device)!, revokedAt: height }), rotationOwed: true, leaving: leaves ? body.device : undefined };
    }
    case 'rotate_uek':
      return { ...next, ueks: [...next.ueks, { gen: body.gen, publicKey: body.uekPublicKey, height }], rotationOwed: false, leaving: undefined };
    case 'set_recovery':
      return { ...next, recoveryPublicKey: body.recoveryPublicKey };
    case 'pin_vault':
      return { ...next, vaultPin: { version: body.version, hash: body.hash } };
  }
}

function withDevice(state: AccountState, record: DeviceRecord): AccountState['devices'] {
  return new Map([...state.devices, [record.id, record]]);
}
