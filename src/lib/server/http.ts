/**
 * Between an endpoint and its room: bodies are read within a bound and decoded once, answers and
 * faults are encoded, and whatever goes wrong inside is logged and answered as `internal`.
 */
import { apiError } from '#lib/protocol/api.ts';
import { decode, encode, type Codec } from '#lib/protocol/codec.ts';
import { apiErrors } from '#lib/protocol/codes.ts';
import { parseId, type AnyId } from '#lib/protocol/ids.ts';
import { concatBytes } from '#lib/std/bytes.ts';
import { ok, type Result } from '#lib/std/result.ts';
import { fault, type ApiFault } from './fault.ts';
import type { CookieHeader, SignedIn } from './identity/identity.ts';
import type { GodwitServer } from './godwit-server.ts';
import { addressOf, isOwnOrigin } from './origin.ts';

/** What an endpoint needs of Kit's event. */
export interface EndpointEvent {
  readonly request: Request;
  readonly url: URL;
  readonly params: Readonly<Partial<Record<string, string>>>;
  readonly locals: { readonly server: GodwitServer; readonly by: SignedIn | undefined };
  readonly getClientAddress: () => string;
}

export interface Ask {
  readonly server: GodwitServer;
  /** Who asks, when somebody is signed in. */
  readonly by: SignedIn | undefined;
  readonly address: string;
  readonly event: EndpointEvent;
}

export interface SignedAsk extends Ask {
  readonly by: SignedIn;
}

type Answer = Promise<Result<Response, ApiFault>>;

export const contentType = 'application/octet-stream';
/** The longest body any endpoint takes: a group entry of 256 KiB with 5,000 wraps. */
export const requestSizeBytesMax = 2 * 1024 * 1024;

/**
 * Finds out who asks and lets the request go on, unless it would change something and comes from
 * somebody else's page. A session that was extended travels back in its cookie.
 */
export async function admit(server: GodwitServer, request: Request, goOn: (by: SignedIn | undefined) => Response | Promise<Response>): Promise<Response> {
  const changes = request.method !== 'GET' && request.method !== 'HEAD';
  if (changes && !isOwnOrigin(request.headers, server.config.origin)) return failed(fault('wrong-origin').error);
  let found: Awaited<ReturnType<GodwitServer['identity']['whoIs']>>;
  try {
    found = await server.identity.whoIs(request.headers.get('cookie'));
  } catch (error) {
    server.log.error({ err: error }, 'a session could not be read; the client is told to wait');
    return failed(fault('internal').error);
  }
  const response = await goOn(found.by);
  if (found.cookie && !response.headers.has('set-cookie')) response.headers.append('set-cookie', found.cookie);
  return response;
}

/** For everybody. */
export function endpoint(run: (ask: Ask) => Answer): (event: EndpointEvent) => Promise<Response> {
  return async (event) => {
    const { server, by } = event.locals;
    try {
      const address = addressOf(event.request.headers, event.getClientAddress(), server.config.origin !== undefined);
      const answered = await run({ server, by, address, event });
      return answered.ok ? answered.value : failed(answered.error);
    } catch (error) {
      server.log.error({ err: error, method: event.request.method }, 'an endpoint failed; the client is told to wait');
      return failed({ name: 'internal', detail: '', number: 0 });
    }
  };
}

/** For those who are signed in. */
export function signedEndpoint(run: (ask: SignedAsk) => Answer): (event: EndpointEvent) => Promise<Response> {
  return endpoint(async ({ by, ...ask }) => (by ? run({ ...ask, by }) : fault('not-signed-in')));
}

/** The body as this format, or why not. */
export async function readBody<T>({ event }: Ask, codec: Codec<T>, sizeBytesMax: number = requestSizeBytesMax): Promise<Result<T, ApiFault>> {
  const { request } = event;
  if (request.headers.get('content-type') !== contentType) return fault('malformed', 'content-type');
  if (Number(request.headers.get('content-length') ?? 0) > sizeBytesMax) return fault('too-big');
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > sizeBytesMax) return fault('too-big'); // leaving the loop cancels the stream
    parts.push(part);
  }
  const decoded = decode(codec, concatBytes(...parts));
  return decoded.ok ? decoded : fault('malformed', decoded.error);
}

export function readId<I extends AnyId>({ event }: Ask, name: string): Result<I, ApiFault> {
  const id = parseId<I>(event.params[name] ?? '');
  return id ? ok(id) : fault('malformed', name);
}

/** `?from=` as a height; 0 when it is absent. */
export function readFrom({ event }: Ask): Result<number, ApiFault> {
  const text = event.url.searchParams.get('from') ?? '0';
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 ? ok(Number(text)) : fault('malformed', 'from');
}

export function answer<T>(codec: Codec<T>, value: T, cookie?: CookieHeader): Result<Response, never> {
  return ok(new Response(encode(codec, value), { headers: headersWith(cookie, { 'content-type': contentType }) }));
}

/** Done, with nothing to say. */
export function done(cookie?: CookieHeader): Result<Response, never> {
  return ok(new Response(null, { status: 204, headers: headersWith(cookie, {}) }));
}

export function failed({ name, detail, number }: ApiFault): Response {
  const headers = headersWith(undefined, { 'content-type': contentType, ...(name === 'too-many' && { 'retry-after': String(number) }) });
  return new Response(encode(apiError, { name, detail, number }), { status: apiErrors[name].status, headers });
}

function headersWith(cookie: CookieHeader | undefined, headers: Record<string, string>): Headers {
  return new Headers({ ...headers, 'cache-control': 'no-store', ...(cookie && { 'set-cookie': cookie }) });
}

