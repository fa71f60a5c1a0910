import { api } from '#lib/protocol/api.ts';
import { answer, signedEndpoint } from '#lib/server/http.ts';

/** The whole log of whoever has exactly this handle. */
export const GET = signedEndpoint(async (ask) => {
  const log = await ask.server.accounts.logByHandle(ask.by, ask.event.params['handle'] ?? '', ask.address);
  return log.ok ? answer(api.accountLog.answer, log.value) : log;
});
