import { api } from '#lib/protocol/api.ts';
import { answer, readBody, signedEndpoint } from '#lib/server/http.ts';

/** Appends to one's own log; a session without a device is bound to the one the entries add. */
export const POST = signedEndpoint(async (ask) => {
  const body = await readBody(ask, api.appendAccountLog.request);
  if (!body.ok) return body;
  const { height, entries, uekWraps } = body.value;
  const appended = await ask.server.accounts.appendLog(ask.by, height, entries, uekWraps);
  if (!appended.ok) return appended;
  const { addedDevice } = appended.value;
  if (addedDevice && !ask.by.device) await ask.server.identity.bindDevice(ask.by, addedDevice);
  return answer(api.appendAccountLog.answer, { height: appended.value.height });
});
