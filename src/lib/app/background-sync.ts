/**
 * Asks the browser to wake the service worker when the network returns, while messages wait.
 *
 * A tag that failed once waits minutes before it is tried again, and asking for the same tag does not
 * shorten that; a new tag fires at once. So every ask has a tag of its own. Browsers without
 * Background Sync send from the page alone.
 */
import type { EngineEvent } from './engine-api.ts';

export const outboxTagPrefix = 'outbox-';
/** One ask per this many milliseconds is plenty: any of them flushes everything. */
const askEveryMs = 5_000;

interface SyncManager {
  readonly register: (tag: string) => Promise<void>;
}

export function followOutbox(): (event: EngineEvent) => void {
  let asked = 0;
  let waiting = 0;
  return (event) => {
    if (event.type !== 'connection') return;
    const more = event.connection.waiting > waiting;
    waiting = event.connection.waiting;
    if (waiting === 0 || event.connection.state === 'online') return;
    const now = Date.now();
    if (!more && now - asked < askEveryMs) return;
    asked = now;
    void ask(`${outboxTagPrefix}${now}`);
  };
}

async function ask(tag: string): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration();
  const sync = (registration as unknown as { sync?: SyncManager } | undefined)?.sync;
  if (!registration?.active || !sync) return;
  try {
    await sync.register(tag);
  } catch (error) {
    // Refused by a setting of the browser: pages still send. Worth a line for whoever looks.
    console.info('background sync was refused', error);
  }
}
