import { api } from '#lib/protocol/api.ts';
import { answer, endpoint, readBody } from '#lib/server/http.ts';

/** Signs in by proof of the recovery words. */
export const POST = endpoint(async (ask) => {
  const body = await readBody(ask, api.loginRecovery.request, 1_024);
  if (!body.ok) return body;
  const proved = await ask.server.identity.loginRecovery({ ...body.value, address: ask.address });
  if (!proved.ok) return proved;
  return answer(api.loginRecovery.answer, proved.value, await ask.server.identity.signIn(proved.value.account, undefined, ask.by));
});
