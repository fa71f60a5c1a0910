/**
 * The one way entries get into the store, for the socket's PUT and for the service worker's request:
 * read the clear header of each envelope, take from the limit, append, then publish. An answer of
 * `ok` means on disk. The bus hears of it afterwards, and a hint that is lost costs time only.
 */
import type { NackName } from '#lib/protocol/codes.ts';
import { parseEnvelope } from '#lib/protocol/envelope.ts';
import type { AccountId, ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { assert } from '#lib/std/assert.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import { err, type Result } from '#lib/std/result.ts';
import type { Bus } from './bus/port.ts';
import type { Fanout } from './fanout.ts';
import type { ServerLimits } from './limits.ts';
import type { Appended, AppendInput, LogStore } from './store/port.ts';

export interface EntriesInput {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly conversation: ConversationId;
  readonly slot: number;
  readonly ctr0: number;
  readonly envelopes: readonly Bytes[];
}

export type EntriesRefusal = { readonly nack: NackName; readonly nextCtr: number };

export interface Entries {
  /** Rejects with StoreFault when the store could not keep them; nothing is acknowledged then. */
  readonly put: (input: EntriesInput) => Promise<Result<Appended, EntriesRefusal>>;
}

export interface EntriesDeps {
  readonly store: Pick<LogStore, 'append'>;
  readonly bus: Bus;
  readonly fanout: Fanout;
  readonly limits: ServerLimits;
  readonly clock: Clock;
  /** A publish that failed is told here; the entries are stored all the same. */
  readonly report: (error: unknown) => void;
}

export function createEntries({ store, bus, fanout, limits, clock, report }: EntriesDeps): Entries {
  async function publish(conversation: ConversationId, appended: Appended): Promise<void> {
    try {
      const channels = await fanout.channelsOf(conversation);
      const last = appended.rows.at(-1);
      assert(last, 'only new rows are published');
      bus.publish(channels, { type: 'rows', conversation, head: last.seq, rows: appended.rows });
      if (appended.purged.length > 0) bus.publish(channels, { type: 'purge', conversation, entries: appended.purged });
    } catch (error) {
      report(error);
    }
  }

  return {
    async put({ account, device, conversation, slot, ctr0, envelopes }) {
      assert(envelopes.length >= 1 && envelopes.length <= wireLimits.entriesPerPutMax, 'a put holds 1 to 64 entries');
      const parsed: AppendInput['envelopes'][number][] = [];
      for (const bytes of envelopes) {
        const head = parseEnvelope(bytes);
        if (!head.ok) return refuse(head.error === 'SMALL' || head.error === 'TOO_BIG' ? 'SIZE' : 'SHAPE', ctr0);
        parsed.push({ bytes, epoch: head.value.epoch, purge: head.value.purge });
      }
      if (!(await limits.take('send', account, envelopes.length)).ok) return refuse('RATE', ctr0);
      const appended = await store.append({ conversation, account, device, slot, ctr0, envelopes: parsed, now: clock.now() });
      if (appended.ok && appended.value.rows.length > 0) void publish(conversation, appended.value);
      return appended;
    },
  };
}

/** Refused before the store was asked: the same entries may be sent again as they are. */
function refuse(nack: NackName, ctr0: number): Result<Appended, EntriesRefusal> {
  return err({ nack, nextCtr: ctr0 });
}
