import { api } from '#lib/protocol/api.ts';
import { answer, endpoint, readBody } from '#lib/server/http.ts';

/** OPAQUE login, first half. */
export const POST = endpoint(async (ask) => {
  const body = await readBody(ask, api.loginStart.request, 8_192);
  if (!body.ok) return body;
  const started = await ask.server.identity.loginStart({ ...body.value, address: ask.address });
  return started.ok ? answer(api.loginStart.answer, started.value) : started;
});
