/**
 * Whether a request that changes something comes from our own pages, and where it comes from.
 *
 * A browser says so in `Sec-Fetch-Site`, and in `Origin`. A request with neither is no browser's
 * cross-site request: our bodies' content type makes those ask first, and we never say yes.
 */
import { addressKey } from './limits.ts';

export interface RequestHeaders {
  readonly get: (name: string) => string | null;
}

export function isOwnOrigin(headers: RequestHeaders, ownOrigin: string | undefined): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin') return false;
  const origin = headers.get('origin');
  if (origin === null) return true;
  if (ownOrigin !== undefined) return origin === ownOrigin;
  const host = headers.get('host');
  return host !== null && (origin === `http://${host}` || origin === `https://${host}`);
}

/** Who asks, as limits count it: the socket's peer, or whom the proxy in front names last. */
export function addressOf(headers: RequestHeaders, peer: string, hasProxy: boolean): string {
  const named = hasProxy ? headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined;
  return addressKey(named || peer);
}
