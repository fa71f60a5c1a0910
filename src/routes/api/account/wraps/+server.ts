import { api } from '#lib/protocol/api.ts';
import { answer, signedEndpoint } from '#lib/server/http.ts';

/** The UEK wraps made for the session's device. */
export const GET = signedEndpoint(async ({ server, by }) => {
  const wraps = await server.accounts.uekWraps(by);
  return wraps.ok ? answer(api.uekWraps.answer, { wraps: wraps.value }) : wraps;
});
