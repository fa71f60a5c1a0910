/**
 * Sends what waits over plain HTTP, for a service worker that is woken while no page is open.
 *
 * It shares the outbox's logic with the engine: envelopes are durable before they leave, and the
 * engine meeting the same entries later sends the same bytes. What needs a decision (a fork, a newer
 * epoch, a refusal) is left for the engine.
 */
import type { CodecValue } from '#lib/protocol/codec.ts';
import type { api } from '#lib/protocol/api.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { nackCodes } from '#lib/protocol/codes.ts';
import type { Result } from '#lib/std/result.ts';
import type { Database } from '#lib/storage/database.ts';
import { acknowledge, readUnacknowledged, sealEntries, toPut } from './outbox.ts';
import type { Seal } from './types.ts';

export type PutEntriesRequest = CodecValue<typeof api.putEntries.request>;
export type PutEntriesAnswer = CodecValue<typeof api.putEntries.answer>;

export interface FlushDeps {
  readonly database: Database;
  readonly seal: Seal;
  readonly put: (conversation: ConversationId, request: PutEntriesRequest) => Promise<Result<PutEntriesAnswer, 'offline' | 'signed-out' | 'refused'>>;
}

/** One flush is short: a browser ends a worker that is busy for long, and calls again. */
export const roundsPerConversationMax = 32;

/** `left` counts entries still to send; `retry` says whether trying again later can help without the engine. */
export async function flushOutboxByHttp({ database, seal, put }: FlushDeps): Promise<{ readonly sent: number; readonly left: number; readonly retry: boolean }> {
  const conversations = await database.read(['outbox'], async (tx) => new Set((await tx.getAllKeys('outbox')).map(([conversation]) => conversation)));
  let sent = 0;
  let retry = false;
  for (const conversation of conversations) {
    const outcome = await flushOne(conversation);
    sent += outcome.sent;
    retry ||= outcome.end === 'later';
    if (outcome.end === 'stop') break;
  }
  const left = await database.read(['outbox'], async (tx) => (await tx.getAll('outbox')).filter((entry) => entry.acknowledgedSeq === undefined).length);
  return { sent, left, retry: retry && left > 0 };

  async function flushOne(conversation: ConversationId): Promise<{ readonly sent: number; readonly end: 'done' | 'engine' | 'later' | 'stop' }> {
    let count = 0;
    for (let round = 0; round < roundsPerConversationMax; round++) {
      const { stored, entries } = await database.read(['conversations', 'outbox'], async (tx) => ({
        stored: await tx.get('conversations', conversation), entries: await readUnacknowledged(tx, conversation, 0),
      }));
      const first = entries[0];
      if (!first) return { sent: count, end: 'done' };
      if (!stored || stored.slot === 0) return { sent: count, end: 'engine' }; // a slot is given over the socket
      const envelopes = toPut(entries);
      if (envelopes.length === 0) {
        const outcome = await sealEntries(database, seal, stored, entries);
        if (!outcome.ok) return { sent: count, end: 'engine' };
        continue;
      }
      const answer = await put(conversation, { slot: stored.slot, ctr0: first.ctr, envelopes });
      if (!answer.ok) {
        if (answer.error === 'refused') return { sent: count, end: 'engine' };
        retry ||= answer.error === 'offline';
        return { sent: count, end: 'stop' };
      }
      const { nack, nextCtr, firstSeq } = answer.value;
      if (nack === nackCodes.RATE.code) return { sent: count, end: 'later' };
      if (nack !== 0 || nextCtr < first.ctr + envelopes.length) return { sent: count, end: 'engine' };
      await acknowledge(database, conversation, { ctr0: first.ctr, count: envelopes.length }, firstSeq);
      count += envelopes.length;
    }
    return { sent: count, end: 'later' };
  }
}
