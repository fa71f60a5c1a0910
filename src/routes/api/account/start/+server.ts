import { api } from '#lib/protocol/api.ts';
import { answer, endpoint, readBody } from '#lib/server/http.ts';

/** OPAQUE registration, first half. */
export const POST = endpoint(async (ask) => {
  const body = await readBody(ask, api.registerStart.request, 8_192);
  if (!body.ok) return body;
  const started = await ask.server.identity.registerStart({ ...body.value, address: ask.address });
  return started.ok ? answer(api.registerStart.answer, started.value) : started;
});
