import { api } from '#lib/protocol/api.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { answer, readId, signedEndpoint } from '#lib/server/http.ts';

export const GET = signedEndpoint(async (ask) => {
  const id = readId<AccountId>(ask, 'id');
  if (!id.ok) return id;
  const profile = await ask.server.accounts.profile(ask.by, id.value, ask.address);
  return profile.ok ? answer(api.profile.answer, profile.value) : profile;
});
