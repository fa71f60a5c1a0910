import { api } from '#lib/protocol/api.ts';
import { answer, done, readBody, signedEndpoint } from '#lib/server/http.ts';

export const GET = signedEndpoint(async ({ server, by }) => {
  const vault = await server.accounts.vault(by);
  return vault.ok ? answer(api.vault.answer, vault.value) : vault;
});

/** Compare-and-set on the version before. */
export const PUT = signedEndpoint(async (ask) => {
  const body = await readBody(ask, api.vault.request);
  if (!body.ok) return body;
  const put = await ask.server.accounts.putVault(ask.by, body.value.version, body.value.vault);
  return put.ok ? done() : put;
});
