/**
 * The people a screen may name: handle from the directory, name and picture from their sealed profile,
 * verified and changed from what this account knows of them.
 */
import type { ApiClient } from '#lib/identity/api-client.ts';
import { fetchProfile, publishProfile, type Profile } from '#lib/identity/profile.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { bytesToBase64url, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import type { Random } from '#lib/std/random.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import type { VaultCore } from '#lib/vault/core.ts';
import type { Person } from './engine-api.ts';

export interface PeopleDeps {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly random: Random;
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly core: VaultCore;
  readonly me: { readonly account: AccountId; readonly handle: string; readonly profileKey: Bytes };
  readonly handleOf: (account: AccountId) => Promise<string | undefined>;
  readonly isChanged: (account: AccountId) => boolean;
  readonly tell: (people: readonly Person[]) => void;
}

export interface People {
  /** What is known now; the handle's place is taken by a few letters of the id until it is. */
  readonly now: (account: AccountId) => Person;
  readonly nameOf: (account: AccountId) => string;
  /** Reads these from disk where they are not in memory, and tells those that are new. */
  readonly ensure: (accounts: readonly AccountId[]) => Promise<void>;
  /** Everything known of one is read again and told. */
  readonly refresh: (account: AccountId) => Promise<void>;
  readonly all: () => readonly Person[];
  /** A mark brought a key (or a newer version) of somebody's profile. */
  readonly profileKnown: (account: AccountId, key: Bytes, version: number) => Promise<void>;
  /** Somebody's profile moved: fetch it if its key is here. */
  readonly profileMoved: (account: AccountId) => Promise<void>;
  /** Seals and stores one's own; answers false when offline (it is tried again at the next connection). */
  readonly publishOwn: () => Promise<boolean>;
  readonly ownProfileVersion: () => number;
}

interface Known {
  handle: string;
  profile: Profile | undefined;
  version: number;
}

const pictureTypes: readonly [magic: string, type: string][] = [['52494646', 'image/webp'], ['ffd8ff', 'image/jpeg'], ['89504e47', 'image/png']];
const ownVersionKey = 'profile/own-version';

export function createPeople(deps: PeopleDeps): People {
  const { database, sealer, core, me, api, random } = deps;
  const known = new Map<AccountId, Known>();
  let ownVersion = 0;

  function now(account: AccountId): Person {
    const found = known.get(account);
    const contact = core.view().contacts.get(account);
    const own = account === me.account ? core.view().profile : undefined;
    const handle = account === me.account ? me.handle : found?.handle ?? contact?.handle ?? account.slice(0, 6);
    const picture = own ? own.picture : found?.profile?.picture;
    return {
      account,
      handle,
      displayName: contact?.nickname ?? (own ? own.displayName : found?.profile?.displayName) ?? handle,
      picture: picture && pictureAddress(picture),
      colour: colourOf(account),
      verified: contact?.verified ?? false,
      identityChanged: deps.isChanged(account),
    };
  }

  async function read(account: AccountId): Promise<void> {
    const stored = await database.read(['profiles'], (tx) => tx.get('profiles', account));
    const opened = stored && await sealer.unseal('profiles', account, stored.sealedProfile);
    const profile = opened?.ok ? decodeStoredProfile(opened.value) : undefined;
    known.set(account, { handle: await deps.handleOf(account) ?? account.slice(0, 6), profile, version: stored?.version ?? 0 });
  }

  async function takeProfile(account: AccountId, key: Bytes): Promise<void> {
    const fetched = await fetchProfile(api, key, account);
    // Offline, none yet, or sealed under a newer key than ours: the next mark or hint asks again.
    if (!fetched.ok || fetched.value.version <= (known.get(account)?.version ?? 0)) return;
    const { version, ...profile } = fetched.value;
    const sealedProfile = await sealer.seal('profiles', account, encodeStoredProfile(profile));
    await database.write(['profiles'], (tx) => tx.put('profiles', account, { version, sealedProfile }));
    await read(account);
    deps.tell([now(account)]);
  }

  return {
    now,
    nameOf: (account) => now(account).displayName,
    all: () => [...new Set([me.account, ...known.keys()])].map(now),
    async ensure(accounts) {
      const fresh = accounts.filter((account) => !known.has(account));
      if (fresh.length === 0) return;
      await Promise.all(fresh.map(read));
      deps.tell(fresh.map(now));
    },
    async refresh(account) {
      await read(account);
      deps.tell([now(account)]);
    },
    async profileKnown(account, key, version) {
      if (account === me.account) return;
      const contact = core.view().contacts.get(account);
      if (!contact?.profileKey || bytesToBase64url(contact.profileKey) !== bytesToBase64url(key)) await core.set({ type: 'contact', account, profileKey: key });
      if (!known.has(account)) await read(account);
      const held = known.get(account);
      if (!held?.profile || held.version < version) await takeProfile(account, key);
    },
    async profileMoved(account) {
      const key = core.view().contacts.get(account)?.profileKey;
      if (key) await takeProfile(account, key);
    },
    async publishOwn() {
      const { displayName, picture } = core.view().profile;
      const stored = await database.read(['kv'], (tx) => tx.get('kv', ownVersionKey)) as { version: number; said: string } | undefined;
      const said = JSON.stringify([displayName, picture && bytesToBase64url(picture)]);
      ownVersion = stored?.version ?? 0;
      if (stored?.said === said) return true;
      // The greatest version wins, so the time makes a good one even where another device also publishes.
      const version = Math.max(ownVersion + 1, deps.clock.now());
      const put = await publishProfile({ api, key: me.profileKey, account: me.account, version, profile: { displayName: displayName ?? me.handle, picture }, random });
      if (!put.ok) return false;
      await database.write(['kv'], (tx) => tx.put('kv', ownVersionKey, { version, said }));
      ownVersion = version;
      return true;
    },
    ownProfileVersion: () => ownVersion,
  };
}

/** A `data:` address, or undefined for bytes that are no picture we know. */
export function pictureAddress(picture: Uint8Array): string | undefined {
  const head = Array.from(picture.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const type = pictureTypes.find(([magic]) => head.startsWith(magic))?.[1];
  return type && `data:${type};base64,${btoa(String.fromCharCode(...picture))}`;
}

/** 0 to 7, from the account's own bits. */
export function colourOf(id: string): number {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 8_191;
  return sum % 8;
}

/** On this device a profile rests as JSON under the device's key; it is no wire format. */
function encodeStoredProfile(profile: Profile): Bytes {
  return new TextEncoder().encode(JSON.stringify({ displayName: profile.displayName, picture: profile.picture && [...profile.picture] })) as Bytes;
}

function decodeStoredProfile(bytes: Bytes): Profile {
  const { displayName, picture } = JSON.parse(new TextDecoder().decode(bytes)) as { displayName: string; picture?: number[] };
  return { displayName, picture: picture && Uint8Array.from(picture) };
}
