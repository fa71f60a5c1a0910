import { api } from '#lib/protocol/api.ts';
import { answer, endpoint, readBody } from '#lib/server/http.ts';

/** Makes the account, signs in, binds the session to genesis' device. */
export const POST = endpoint(async (ask) => {
  const body = await readBody(ask, api.register.request);
  if (!body.ok) return body;
  const made = await ask.server.accounts.register(body.value, ask.address);
  if (!made.ok) return made;
  const { account, device } = made.value;
  return answer(api.register.answer, { account }, await ask.server.identity.signIn(account, device, ask.by));
});
