import { api } from '#lib/protocol/api.ts';
import { done, readBody, signedEndpoint } from '#lib/server/http.ts';

/** One's own sealed profile. */
export const PUT = signedEndpoint(async (ask) => {
  const body = await readBody(ask, api.profile.request, 16 * 1_024);
  if (!body.ok) return body;
  const put = await ask.server.accounts.putProfile(ask.by, body.value.version, body.value.sealed);
  return put.ok ? done() : put;
});
