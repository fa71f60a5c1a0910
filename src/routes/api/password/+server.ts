import { api } from '#lib/protocol/api.ts';
import { done, readBody, signedEndpoint } from '#lib/server/http.ts';

/** A new OPAQUE record together with the vault its export key opens; the session gets a new id. */
export const PUT = signedEndpoint(async (ask) => {
  const body = await readBody(ask, api.changePassword.request);
  if (!body.ok) return body;
  const { registrationRecord, vaultVersion, vault } = body.value;
  const changed = await ask.server.accounts.changePassword(ask.by, registrationRecord, vaultVersion, vault);
  return changed.ok ? done(await ask.server.identity.renew(ask.by)) : changed;
});
