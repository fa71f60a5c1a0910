import { api } from '#lib/protocol/api.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { answer, readBody, readFrom, readId, signedEndpoint } from '#lib/server/http.ts';

export const GET = signedEndpoint(async (ask) => {
  const id = readId<ConversationId>(ask, 'id');
  if (!id.ok) return id;
  const from = readFrom(ask);
  if (!from.ok) return from;
  const log = await ask.server.groups.log(ask.by, id.value, from.value);
  return log.ok ? answer(api.groupLog.answer, log.value) : log;
});

/** Compare-and-set on the height before. */
export const POST = signedEndpoint(async (ask) => {
  const id = readId<ConversationId>(ask, 'id');
  if (!id.ok) return id;
  const body = await readBody(ask, api.appendGroupLog.request);
  if (!body.ok) return body;
  const appended = await ask.server.groups.append(ask.by, id.value, body.value.entry, body.value.wraps);
  return appended.ok ? answer(api.appendGroupLog.answer, appended.value) : appended;
});
