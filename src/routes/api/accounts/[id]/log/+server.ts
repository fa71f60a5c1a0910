import { api } from '#lib/protocol/api.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { answer, readFrom, readId, signedEndpoint } from '#lib/server/http.ts';

export const GET = signedEndpoint(async (ask) => {
  const id = readId<AccountId>(ask, 'id');
  if (!id.ok) return id;
  const from = readFrom(ask);
  if (!from.ok) return from;
  const log = await ask.server.accounts.logById(ask.by, id.value, from.value, ask.address);
  return log.ok ? answer(api.accountLog.answer, log.value) : log;
});
