/**
 * An invitation is a handle with the first half of its genesis hash, in the fragment of an address,
 * which browsers do not send: whoever opens it knows which account was meant, and a server that hands out
 * another one is found out at once.
 */
import { parseHandle, type Handle } from '#lib/protocol/ids.ts';
import { base64urlToBytes, bytesToBase64url, equalBytes, type Bytes } from '#lib/std/bytes.ts';

export interface Invitation {
  readonly handle: Handle;
  readonly genesisPrefix: Bytes;
}

/** 128 bits: no second account can be made to fit. */
export const invitePrefixSizeBytes = 16;

/** `alice.AbCd…`, without the `#`. */
export function encodeInvite(handle: string, genesisHash: Uint8Array): string {
  return `${handle}.${bytesToBase64url(genesisHash.subarray(0, invitePrefixSizeBytes))}`;
}

/** Takes the fragment with or without `#`, or the whole address it stands in. */
export function parseInvite(text: string): Invitation | undefined {
  const fragment = text.trim().split('#').at(-1)!;
  const dot = fragment.indexOf('.');
  if (dot < 0) return undefined;
  const handle = parseHandle(fragment.slice(0, dot));
  const genesisPrefix = base64urlToBytes(fragment.slice(dot + 1));
  return handle && genesisPrefix?.length === invitePrefixSizeBytes ? { handle, genesisPrefix } : undefined;
}

export function inviteMatches(invitation: Invitation, genesisHash: Uint8Array): boolean {
  return equalBytes(invitation.genesisPrefix, genesisHash.subarray(0, invitePrefixSizeBytes));
}
