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
import type { Result } from '#lib/std/result.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Seal } from './types.ts';

export type PutEntriesRequest = CodecValue<typeof api.putEntries.request>;
export type PutEntriesAnswer = CodecValue<typeof api.putEntries.answer>;

export interface FlushDeps {
  readonly database: Database;
  readonly seal: Seal;
  readonly put: (conversation: ConversationId, request: PutEntriesRequest) => Promise<Result<PutEntriesAnswer, 'offline' | 'signed-out' | 'refused'>>;
}

/** `left` counts entries still to send; `retry` says whether trying again later can help without the engine. */
export async function flushOutboxByHttp(deps: FlushDeps): Promise<{ readonly sent: number; readonly left: number; readonly retry: boolean }> {
  throw new Error(`broken promise: flush is built before it is used (${Object.keys(deps).length})`);
}
