import { api } from '#lib/protocol/api.ts';
import { answer, done, readBody, signedEndpoint } from '#lib/server/http.ts';

/** What a device signs to take over this session. */
export const GET = signedEndpoint(async ({ server, by }) => answer(api.bindDevice.answer, { challenge: server.identity.bindChallenge(by) }));

export const POST = signedEndpoint(async (ask) => {
  const body = await readBody(ask, api.bindDevice.request, 1_024);
  if (!body.ok) return body;
  const taken = await ask.server.identity.takeOver(ask.by, body.value.device, body.value.signature);
  return taken.ok ? done() : taken;
});
