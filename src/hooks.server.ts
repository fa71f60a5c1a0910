/**
 * What happens around every request the Kit handler answers: who asks, whether a change comes from our
 * own pages, and the headers every answer carries.
 *
 * In production the server is open before this bundle is loaded; `vite dev` opens it here.
 */
import { building, dev } from '$app/environment';
import { isHttps } from '#lib/server/config.ts';
import { admit } from '#lib/server/http.ts';
import { securityHeaders } from '#lib/server/headers.ts';
import type { SignedIn } from '#lib/server/identity/identity.ts';
import type { GodwitServer } from '#lib/server/godwit-server.ts';
import { shareServer, sharedServer } from '#lib/server/shared.ts';
import { assert } from '#lib/std/assert.ts';
import type { Handle, HandleServerError, ServerInit } from '@sveltejs/kit';

declare global {
  namespace App {
    interface Locals {
      server: GodwitServer;
      by: SignedIn | undefined;
    }
  }
}

export const init: ServerInit = async () => {
  if (dev && !building && !sharedServer()) {
    const { openServer, readConfig } = await import('#lib/server/open.ts');
    shareServer(await openServer(readConfig(process.env, process.cwd())));
  }
};

export const handle: Handle = async ({ event, resolve }) => {
  if (building) return resolve(event);
  const server = sharedServer();
  assert(server, 'sync-server/main.ts opens the server before it loads this bundle');
  const response = event.url.pathname.startsWith('/api/')
    ? await admit(server, event.request, (by) => {
        event.locals.server = server;
        event.locals.by = by;
        return resolve(event);
      })
    : await resolve(event);
  for (const [name, value] of Object.entries(securityHeaders({ https: isHttps(server.config) }))) response.headers.set(name, value);
  return response;
};

export const handleError: HandleServerError = ({ error, status, message }) => {
  if (status >= 500) sharedServer()?.log.error({ err: error }, 'a page failed; the client shows an error');
  return { message };
};
