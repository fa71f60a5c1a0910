/**
 * The account's private state as people mean it: contacts, chat flags, settings, the own profile.
 *
 * Underneath it is a flat map of registers, `path → value`, one register per field. Two devices that change
 * different fields of one contact while offline therefore never undo each other, and for one field
 * every device ends with the same winner. No field holds a list, so nothing needs an order.
 */
import { boolean, bytes, decode, encode, list, struct, text, union, varint, type CodecValue, type DecodeFault } from '#lib/protocol/codec.ts';
import { parseId, type AccountId, type ConversationId, type DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { base64urlToBytes, bytesToBase64url, type Bytes } from '#lib/std/bytes.ts';
import type { Result } from '#lib/std/result.ts';

export interface Contact {
  readonly handle: string | undefined;
  /** The genesis this account is known by: another one is another person until accepted. */
  readonly genesisHash: Bytes | undefined;
  /** True only for the genesis above: taking a new identity ends it on every device. */
  readonly verified: boolean;
  readonly nickname: string | undefined;
  /** Opens this person's sealed profile. */
  readonly profileKey: Bytes | undefined;
}

export interface ChatFlags {
  readonly pinned: boolean;
  readonly muted: boolean;
}

export type SettingValue = string | number | boolean;

export interface VaultView {
  readonly profile: { readonly displayName: string | undefined; readonly picture: Bytes | undefined };
  readonly wordsConfirmed: boolean;
  readonly contacts: ReadonlyMap<AccountId, Contact>;
  readonly chats: ReadonlyMap<ConversationId, ChatFlags>;
  readonly settings: ReadonlyMap<string, SettingValue>;
  readonly deviceNames: ReadonlyMap<DeviceId, string>;
}

/** One wish; a field left out stays as it is, null takes it away. */
export type VaultMutation =
  | { readonly type: 'profile'; readonly displayName?: string; readonly picture?: Bytes | null }
  | {
    readonly type: 'contact'; readonly account: AccountId; readonly handle?: string; readonly genesisHash?: Bytes;
    /** True verifies the genesis known then, or the one given here. */
    readonly verified?: boolean; readonly nickname?: string | null; readonly profileKey?: Bytes;
  }
  | { readonly type: 'chat'; readonly conversation: ConversationId; readonly pinned?: boolean; readonly muted?: boolean }
  | { readonly type: 'setting'; readonly name: string; readonly value: SettingValue | null }
  | { readonly type: 'words-confirmed' }
  | { readonly type: 'device-name'; readonly device: DeviceId; readonly name: string };

const registerTextSizeBytesMax = 4_096;
const pathSizeBytesMax = 128;
/** 10,000 chats with both flags, 10,000 contacts with every field, and room. */
export const registersMax = 100_000;

const registerValue = union({
  text: [1, struct({ value: text(registerTextSizeBytesMax) })],
  flag: [2, struct({ value: boolean })],
  number: [3, struct({ value: varint })],
  bytes: [4, struct({ value: bytes(limits.pictureSizeBytesMax) })],
  gone: [5, struct({})],
});
const writesCodec = list(struct({ path: text(pathSizeBytesMax), to: registerValue }), registersMax);

export type RegisterValue = CodecValue<typeof registerValue>;
export type RegisterWrite = { readonly path: string; readonly to: RegisterValue };
export type Registers = ReadonlyMap<string, RegisterValue>;

export function encodeWrites(writes: readonly RegisterWrite[]): Bytes {
  return encode(writesCodec, writes);
}

export function decodeWrites(raw: Uint8Array): Result<readonly RegisterWrite[], DecodeFault> {
  return decode(writesCodec, raw);
}

export function applyWrites(registers: Registers, writes: readonly RegisterWrite[]): Registers {
  const next = new Map(registers);
  for (const { path, to } of writes) {
    if (to.type === 'gone') next.delete(path);
    else next.set(path, to);
  }
  return next;
}

/** The writes a wish comes to, over the registers as they are. */
export function mutationToWrites(mutation: VaultMutation, registers: Registers): readonly RegisterWrite[] {
  const writes: RegisterWrite[] = [];
  const write = (path: string, value: SettingValue | Bytes | null | undefined): void => {
    if (value !== undefined) writes.push({ path, to: toRegister(value) });
  };
  switch (mutation.type) {
    case 'profile':
      write('profile/displayName', mutation.displayName);
      write('profile/picture', mutation.picture);
      break;
    case 'contact': {
      const at = `contact/${mutation.account}`;
      const genesis = mutation.genesisHash ? bytesToBase64url(mutation.genesisHash) : readText(registers, `${at}/genesis`);
      write(`${at}/handle`, mutation.handle);
      if (mutation.genesisHash) write(`${at}/genesis`, genesis);
      if (mutation.verified !== undefined) write(`${at}/verified`, mutation.verified ? (genesis ?? null) : null);
      write(`${at}/nickname`, mutation.nickname);
      write(`${at}/profileKey`, mutation.profileKey);
      break;
    }
    case 'chat':
      write(`chat/${mutation.conversation}/pinned`, mutation.pinned);
      write(`chat/${mutation.conversation}/muted`, mutation.muted);
      break;
    case 'setting':
      write(`setting/${mutation.name}`, mutation.value);
      break;
    case 'words-confirmed':
      write('words/confirmed', true);
      break;
    case 'device-name':
      write(`device/${mutation.device}/name`, mutation.name);
      break;
  }
  return writes;
}

/** Registers as people mean them. A path no version of ours wrote is kept in the registers and not shown. */
export function registersToView(registers: Registers): VaultView {
  const contacts = new Map<AccountId, Contact>();
  const chats = new Map<ConversationId, ChatFlags>();
  const settings = new Map<string, SettingValue>();
  const deviceNames = new Map<DeviceId, string>();
  for (const [path, value] of registers) {
    const slash = path.indexOf('/');
    const kind = path.slice(0, slash);
    const rest = path.slice(slash + 1);
    if (kind === 'setting') {
      if (value.type !== 'bytes' && value.type !== 'gone') settings.set(rest, value.value);
      continue;
    }
    const name = rest.slice(0, rest.indexOf('/'));
    if (kind === 'contact') {
      const account = parseId<AccountId>(name);
      if (account && !contacts.has(account)) contacts.set(account, readContact(registers, account));
    } else if (kind === 'chat') {
      const conversation = parseId<ConversationId>(name);
      if (conversation && !chats.has(conversation)) {
        chats.set(conversation, { pinned: readFlag(registers, `chat/${name}/pinned`), muted: readFlag(registers, `chat/${name}/muted`) });
      }
    } else if (kind === 'device') {
      const device = parseId<DeviceId>(name);
      if (device && value.type === 'text') deviceNames.set(device, value.value);
    }
  }
  return {
    profile: { displayName: readText(registers, 'profile/displayName'), picture: readBytes(registers, 'profile/picture') },
    wordsConfirmed: readFlag(registers, 'words/confirmed'),
    contacts, chats, settings, deviceNames,
  };
}

function readContact(registers: Registers, account: AccountId): Contact {
  const at = `contact/${account}`;
  const genesis = readText(registers, `${at}/genesis`);
  return {
    handle: readText(registers, `${at}/handle`),
    genesisHash: genesis === undefined ? undefined : base64urlToBytes(genesis),
    verified: genesis !== undefined && readText(registers, `${at}/verified`) === genesis,
    nickname: readText(registers, `${at}/nickname`),
    profileKey: readBytes(registers, `${at}/profileKey`),
  };
}

function toRegister(value: SettingValue | Bytes | null): RegisterValue {
  if (value === null) return { type: 'gone' };
  if (typeof value === 'string') return { type: 'text', value };
  if (typeof value === 'boolean') return { type: 'flag', value };
  if (typeof value === 'number') return { type: 'number', value };
  return { type: 'bytes', value };
}

function readText(registers: Registers, path: string): string | undefined {
  const register = registers.get(path);
  return register?.type === 'text' ? register.value : undefined;
}

function readFlag(registers: Registers, path: string): boolean {
  const register = registers.get(path);
  return register?.type === 'flag' && register.value;
}

function readBytes(registers: Registers, path: string): Bytes | undefined {
  const register = registers.get(path);
  return register?.type === 'bytes' ? register.value : undefined;
}
