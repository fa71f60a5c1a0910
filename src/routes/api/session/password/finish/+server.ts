import { api } from '#lib/protocol/api.ts';
import { answer, endpoint, readBody } from '#lib/server/http.ts';

/** OPAQUE login, second half: signs in. */
export const POST = endpoint(async (ask) => {
  const body = await readBody(ask, api.loginFinish.request, 8_192);
  if (!body.ok) return body;
  const finished = await ask.server.identity.loginFinish(body.value);
  if (!finished.ok) return finished;
  return answer(api.loginFinish.answer, finished.value, await ask.server.identity.signIn(finished.value.account, undefined, ask.by));
});
