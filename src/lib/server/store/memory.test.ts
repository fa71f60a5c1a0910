import { expect, test } from 'vitest';
import { createMemoryStore } from './memory.ts';
import { accountOf, conversationOf, deviceOf, envelopeOf, inputOf, makeChat, storeContract } from './store.contract.ts';

const random = { bytes: (size: number) => crypto.getRandomValues(new Uint8Array(size)) };

storeContract('memory', { open: async () => createMemoryStore(random) });

test('[SO24] a restored snapshot is what was, and later writes do not reach into it', async () => {
  const store = createMemoryStore(random);
  await makeChat(store, { [accountOf(1)]: 'owner' });
  const { slot } = (await store.slotOf(conversationOf(1), accountOf(1), deviceOf(1)))!;
  await store.append(inputOf({ slot, ctr0: 0, envelopes: [envelopeOf(0)] }));
  const before = await store.rowsAfter(conversationOf(1), 0, 10, Infinity);
  const snapshot = store.snapshot();
  await store.append(inputOf({ slot, ctr0: 1, envelopes: [{ bytes: envelopeOf(1), purge: { slot, ctr: 0 } }] }));
  await store.replaceSlot(conversationOf(1), accountOf(1), deviceOf(1), slot);
  for (let i = 0; i < 2; i++) {
    store.restore(snapshot);
    expect(await store.rowsAfter(conversationOf(1), 0, 10, Infinity)).toEqual(before);
    expect(await store.slotOf(conversationOf(1), accountOf(1), deviceOf(1))).toEqual({ slot, nextCtr: 1 });
    await store.append(inputOf({ slot, ctr0: 1, envelopes: [envelopeOf(2)] }));
  }
});
