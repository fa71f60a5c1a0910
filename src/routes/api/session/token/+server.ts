import { api } from '#lib/protocol/api.ts';
import { answer, signedEndpoint } from '#lib/server/http.ts';

/** A token for the sync socket. */
export const POST = signedEndpoint(async ({ server, by }) => {
  const issued = await server.identity.syncToken(by);
  return issued.ok ? answer(api.syncToken.answer, issued.value) : issued;
});
