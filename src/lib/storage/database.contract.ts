/** One list of promises; memory and IndexedDB each run it in their own test file. */
import { expect, test } from 'vitest';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Database } from './database.ts';
import { ofConversation } from './keys.ts';
import type { StoredOutbox } from './schema.ts';

const a = 'AAAAAAAAAAAAAAAAAAAAAA' as ConversationId;
const b = 'BBBBBBBBBBBBBBBBBBBBBA' as ConversationId;

export function outboxEntry(conversation: ConversationId, ctr: number): StoredOutbox {
  return { conversation, ctr, sealedEvent: Uint8Array.of(ctr), envelope: undefined, chain: undefined, createdAt: 1, acknowledgedSeq: undefined, refused: undefined };
}

export function databaseContract(open: () => Promise<Database>): void {
  test('[ST1] what a transaction wrote is there once it resolved, and in it at once', async () => {
    const database = await open();
    await database.write(['kv', 'outbox'], async (tx) => {
      await tx.put('kv', 'one', { deep: [1, Uint8Array.of(2, 3)] });
      expect(await tx.get('kv', 'one')).toEqual({ deep: [1, Uint8Array.of(2, 3)] });
      await tx.put('outbox', [a, 1], outboxEntry(a, 1));
      expect(await tx.getAll('outbox')).toHaveLength(1);
    });
    expect(await database.read(['kv'], (tx) => tx.get('kv', 'one'))).toEqual({ deep: [1, Uint8Array.of(2, 3)] });
    expect(await database.read(['kv'], (tx) => tx.get('kv', 'none'))).toBeUndefined();
    database.close();
  });

  test('[ST1] a transaction whose work throws leaves nothing behind and passes the error on', async () => {
    const database = await open();
    await database.write(['kv'], (tx) => tx.put('kv', 'kept', 1));
    const failure = new Error('changed my mind');
    await expect(database.write(['kv', 'outbox'], async (tx) => {
      await tx.put('kv', 'kept', 2);
      await tx.put('outbox', [a, 1], outboxEntry(a, 1));
      throw failure;
    })).rejects.toBe(failure);
    expect(await database.read(['kv', 'outbox'], async (tx) => [await tx.get('kv', 'kept'), await tx.count('outbox')])).toEqual([1, 0]);
    database.close();
  });

  test('[ST1] a value that cannot be cloned fails its transaction whole', async () => {
    const database = await open();
    await expect(database.write(['kv'], async (tx) => {
      await tx.put('kv', 'before', 1);
      await tx.put('kv', 'bad', () => 1);
    })).rejects.toMatchObject({ name: 'DataCloneError' });
    expect(await database.read(['kv'], (tx) => tx.count('kv'))).toBe(0);
    database.close();
  });

  test('[ST2] keys order as IndexedDB compares them, ranges and limits count from either end', async () => {
    const database = await open();
    await database.write(['outbox'], async (tx) => {
      for (const ctr of [10, 2, 0, 33, 1]) await tx.put('outbox', [a, ctr], outboxEntry(a, ctr));
      await tx.put('outbox', [b, 5], outboxEntry(b, 5));
    });
    const ctrs = (options: Parameters<typeof get>[0]) => get(options);
    const get = (options: { from?: number; to?: number; fromOpen?: boolean; toOpen?: boolean; limit?: number; reverse?: boolean }) => database.read(['outbox'], async (tx) => {
      const { from, to, fromOpen, toOpen, limit, reverse } = options;
      const range = { ...ofConversation(a, from, to), ...(fromOpen !== undefined && { fromOpen }), ...(toOpen !== undefined && { toOpen }) };
      const query = { range, ...(limit !== undefined && { limit }), ...(reverse !== undefined && { reverse }) };
      const keys = await tx.getAllKeys('outbox', query);
      const values = await tx.getAll('outbox', query);
      expect(keys.map((key) => key[1])).toEqual(values.map((value) => value.ctr));
      return values.map((value) => value.ctr);
    });
    expect(await ctrs({})).toEqual([0, 1, 2, 10, 33]);
    expect(await ctrs({ reverse: true })).toEqual([33, 10, 2, 1, 0]);
    expect(await ctrs({ limit: 2 })).toEqual([0, 1]);
    expect(await ctrs({ limit: 2, reverse: true })).toEqual([33, 10]);
    expect(await ctrs({ limit: 0 })).toEqual([]);
    expect(await ctrs({ from: 1, to: 10 })).toEqual([1, 2, 10]);
    expect(await ctrs({ from: 1, to: 10, fromOpen: true, toOpen: true })).toEqual([2]);
    expect(await ctrs({ from: 3, to: 9 })).toEqual([]);
    expect(await database.read(['outbox'], (tx) => tx.count('outbox', ofConversation(a, 2)))).toBe(3);
    database.close();
  });

  test('[ST2] a range is seen with what its own transaction wrote and deleted', async () => {
    const database = await open();
    await database.write(['outbox'], async (tx) => {
      for (const ctr of [1, 2, 3, 4]) await tx.put('outbox', [a, ctr], outboxEntry(a, ctr));
    });
    const seen = await database.write(['outbox'], async (tx) => {
      await tx.delete('outbox', { range: ofConversation(a, 2, 3) });
      await tx.put('outbox', [a, 9], outboxEntry(a, 9));
      await tx.delete('outbox', [a, 1]);
      await tx.put('outbox', [a, 1], outboxEntry(a, 1));
      const keys = await tx.getAllKeys('outbox', { range: ofConversation(a), limit: 2, reverse: true });
      return { keys: keys.map((key) => key[1]), count: await tx.count('outbox') };
    });
    expect(seen).toEqual({ keys: [9, 4], count: 3 });
    expect(await database.read(['outbox'], (tx) => tx.getAllKeys('outbox'))).toEqual([[a, 1], [a, 4], [a, 9]]);
    database.close();
  });

  test('[ST3] values are copies: changing what was put or got changes nothing stored', async () => {
    const database = await open();
    const bytes = Uint8Array.of(1, 2, 3);
    await database.write(['kv'], (tx) => tx.put('kv', 'bytes', bytes));
    bytes[0] = 9;
    const got = (await database.read(['kv'], (tx) => tx.get('kv', 'bytes'))) as Uint8Array;
    expect([...got]).toEqual([1, 2, 3]);
    got[1] = 9;
    expect([...((await database.read(['kv'], (tx) => tx.get('kv', 'bytes'))) as Uint8Array)]).toEqual([1, 2, 3]);
    database.close();
  });

  test('[ST3] a non-extractable key is kept and still works', async () => {
    const database = await open();
    const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
    await database.write(['kv'], (tx) => tx.put('kv', 'dsk', key));
    const got = (await database.read(['kv'], (tx) => tx.get('kv', 'dsk'))) as CryptoKey;
    const iv = new Uint8Array(12);
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, Uint8Array.of(7));
    expect([...new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, got, sealed))]).toEqual([7]);
    database.close();
  });

  test('[ST4] writers take turns, and a reader started after a writer sees what it wrote', async () => {
    const database = await open();
    await database.write(['kv'], (tx) => tx.put('kv', 'n', 0));
    const add = () => database.write(['kv'], async (tx) => tx.put('kv', 'n', ((await tx.get('kv', 'n')) as number) + 1));
    const writes = Array.from({ length: 20 }, add);
    const seen = database.read(['kv'], (tx) => tx.get('kv', 'n'));
    await Promise.all(writes);
    expect(await seen).toBe(20);
    database.close();
  });

  test('[ST5] a closed database says so', async () => {
    const database = await open();
    database.close();
    await expect(database.read(['kv'], (tx) => tx.get('kv', 'n'))).rejects.toMatchObject({ reason: 'closed' });
    await expect(database.write(['kv'], (tx) => tx.put('kv', 'n', 1))).rejects.toMatchObject({ reason: 'closed' });
  });
}
