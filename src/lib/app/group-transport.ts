/** The HTTP API as `groups` wants it. */
import type { GroupTransport, TransportFault } from '#lib/groups/ports.ts';
import type { ApiClient, ApiFailure } from '#lib/identity/api-client.ts';
import { err, ok } from '#lib/std/result.ts';

export function groupTransport(api: Pick<ApiClient, 'groupLog' | 'appendGroupLog'>): GroupTransport {
  return {
    async fetchGroupLog(conversation, from) {
      const answer = await api.groupLog(conversation, from);
      return answer.ok ? ok(answer.value) : err(toFault(answer.error));
    },
    async appendGroupLog(conversation, entry, wraps) {
      const answer = await api.appendGroupLog(conversation, { entry, wraps });
      if (answer.ok) return ok(answer.value);
      const failure = answer.error;
      if (failure.type === 'api' && failure.name === 'conflict') return err({ type: 'conflict', height: failure.number });
      if (failure.type === 'api' && failure.name === 'refused') return err({ type: 'refused', detail: failure.detail });
      return err(toFault(failure));
    },
  };
}

function toFault(failure: ApiFailure): TransportFault {
  if (failure.type === 'offline') return { type: 'offline' };
  if (failure.type === 'bad-answer') return { type: 'failed', detail: `bad-answer ${failure.fault}` };
  if (failure.name === 'not-found' || failure.name === 'forbidden') return { type: 'not-member' };
  return { type: 'failed', detail: failure.name };
}
