/**
 * Sends the outbox from the service worker, with no page open: only when no tab hosts the engine,
 * under the same lock, with the same sealing and the same durable bytes.
 */
import { createApiClient } from '#lib/identity/api-client.ts';
import { openAccounts } from '#lib/identity/accounts.ts';
import { loadIdentity } from '#lib/identity/records.ts';
import { openGroupReader } from '#lib/groups/reader.ts';
import { err, ok } from '#lib/std/result.ts';
import { systemClock, systemRandom } from '#lib/std/system.ts';
import { StorageError } from '#lib/storage/database.ts';
import { openAccountDatabase } from '#lib/storage/open.ts';
import { openRegistry } from '#lib/storage/registry.ts';
import { flushOutboxByHttp } from '#lib/sync/flush.ts';
import { createSeal } from './sealing.ts';
import { engineLockName } from './wire.ts';

/** Rejects while something is left that a later wake-up may send: the browser then tries again. */
export async function flushFromServiceWorker(): Promise<void> {
  const left = await navigator.locks.request(engineLockName, { ifAvailable: true }, async (lock) => (lock ? flush() : 0));
  if (left > 0) throw new Error(`${left} messages still wait`);
}

async function flush(): Promise<number> {
  const registry = await openRegistry();
  const account = await registry.current();
  registry.close();
  if (!account) return 0;
  const database = await openAccountDatabase(account, { expect: 'existing' });
  try {
    const loaded = await loadIdentity(database, systemRandom);
    if (!loaded) return 0;
    const { identity, device, sealer } = loaded;
    const api = createApiClient({ fetch: (input, init) => fetch(input, init), origin: '' });
    const accounts = await openAccounts({ database, api, clock: systemClock });
    const groups = openGroupReader(database, sealer);
    const seal = createSeal({
      database, groups, sealer, random: systemRandom, now: () => systemClock.now(),
      signer: { account, device: identity.device, key: device.sign.privateKey },
      myAccount: () => accounts.get(account),
      // Changing a group is the engine's; what needs it waits for a page.
      rotate: () => {},
    });
    const { left, retry } = await flushOutboxByHttp({
      database,
      seal,
      async put(conversation, request) {
        const answer = await api.putEntries(conversation, request);
        if (answer.ok) return ok(answer.value);
        if (answer.error.type === 'offline') return err('offline');
        return err(answer.error.type === 'api' && answer.error.name === 'not-signed-in' ? 'signed-out' : 'refused');
      },
    });
    return retry ? left : 0;
  } catch (error) {
    // The page that opens next shows what is wrong with the storage; waking again would not help.
    if (error instanceof StorageError) return 0;
    throw error;
  } finally {
    database.close();
  }
}
