import { api } from '#lib/protocol/api.ts';
import { nackCodes } from '#lib/protocol/codes.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { fault } from '#lib/server/fault.ts';
import { answer, readBody, readId, signedEndpoint } from '#lib/server/http.ts';

/** A PUT for a service worker, which keeps no socket. */
export const POST = signedEndpoint(async (ask) => {
  const conversation = readId<ConversationId>(ask, 'id');
  if (!conversation.ok) return conversation;
  const { account, device } = ask.by;
  if (!device) return fault('no-device');
  const body = await readBody(ask, api.putEntries.request);
  if (!body.ok) return body;
  const put = await ask.server.entries.put({ account, device, conversation: conversation.value, ...body.value });
  if (!put.ok) return answer(api.putEntries.answer, { nack: nackCodes[put.error.nack].code, nextCtr: put.error.nextCtr, firstSeq: 0, rt: 0 });
  const { nextCtr, firstSeq, rt } = put.value;
  return answer(api.putEntries.answer, { nack: 0, nextCtr, firstSeq, rt });
});
