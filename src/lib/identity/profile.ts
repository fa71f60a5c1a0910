/**
 * A profile is the name and small picture a person shows: sealed under the account's profile key, which
 * only those have whom the person talks with. The server keeps the newest version and learns its padded size.
 */
import { label, lp, u64 } from '#lib/crypto/encoding.ts';
import { importAesKey, sealAes, unsealAes } from '#lib/crypto/primitives.ts';
import { bytes, decode, encode, optional, struct, text } from '#lib/protocol/codec.ts';
import { idToBytes, type AccountId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { pad, unpad } from '#lib/std/padding.ts';
import type { Random } from '#lib/std/random.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { ApiClient, ApiFailure } from './api-client.ts';

export interface Profile {
  readonly displayName: string;
  /** A small encoded image, at most `limits.pictureSizeBytesMax`. */
  readonly picture: Bytes | undefined;
}

export interface VersionedProfile extends Profile {
  readonly version: number;
}

export type ProfileFault = { readonly type: 'name-invalid' | 'picture-too-big' };

/** In UTF-8: 64 characters of four bytes. */
const displayNameSizeBytesMax = limits.displayNameLengthMax * 4;
const profileCodec = struct({ displayName: text(displayNameSizeBytesMax), picture: optional(bytes(limits.pictureSizeBytesMax, 1)) });

/** Trims; 1 to 64 characters as people count them, none of them a line break or another control. */
export function parseDisplayName(typed: string): string | undefined {
  const name = typed.normalize('NFC').trim();
  const length = [...name].length;
  return length >= 1 && length <= limits.displayNameLengthMax && !/\p{Cc}/u.test(name) ? name : undefined;
}

export function checkProfile(profile: Profile): Result<Profile, ProfileFault> {
  const displayName = parseDisplayName(profile.displayName);
  if (displayName === undefined || textToBytes(displayName).length > displayNameSizeBytesMax) return err({ type: 'name-invalid' });
  if (profile.picture && (profile.picture.length === 0 || profile.picture.length > limits.pictureSizeBytesMax)) return err({ type: 'picture-too-big' });
  return ok({ displayName, picture: profile.picture });
}

/** Of a profile that `checkProfile` accepted. */
export async function sealProfile(key: Bytes, account: AccountId, version: number, profile: Profile, random: Random): Promise<Bytes> {
  return sealAes(await importAesKey(key), pad(encode(profileCodec, { displayName: profile.displayName, picture: profile.picture })), place(account, version), random);
}

/** Undefined when this key did not seal it for this account and version. */
export async function openProfile(key: Bytes, account: AccountId, version: number, sealed: Uint8Array): Promise<Profile | undefined> {
  const padded = await unsealAes(await importAesKey(key), sealed, place(account, version));
  const plaintext = padded && unpad(padded);
  const profile = plaintext && decode(profileCodec, plaintext);
  return profile?.ok ? profile.value : undefined;
}

/** Puts a newer version; the time in milliseconds makes a good version, since the greatest wins. */
export async function publishProfile(input: {
  readonly api: ApiClient; readonly key: Bytes; readonly account: AccountId; readonly version: number; readonly profile: Profile; readonly random: Random;
}): Promise<Result<void, ApiFailure>> {
  const { api, key, account, version, profile, random } = input;
  return api.putProfile({ version, sealed: await sealProfile(key, account, version, profile, random) });
}

/** `unreadable`: not sealed under this key, or moved here from another account or version. */
export async function fetchProfile(api: ApiClient, key: Bytes, account: AccountId): Promise<Result<VersionedProfile, ApiFailure | { readonly type: 'unreadable' }>> {
  const answer = await api.profile(account);
  if (!answer.ok) return answer;
  const profile = await openProfile(key, account, answer.value.version, answer.value.sealed);
  return profile ? ok({ ...profile, version: answer.value.version }) : err({ type: 'unreadable' });
}

function place(account: AccountId, version: number): Bytes {
  return concatBytes(lp(label('app/profile/v1')), idToBytes(account), u64(version));
}
