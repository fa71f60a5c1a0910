import { expect, test } from 'vitest';
import fc from 'fast-check';
import { databaseContract } from './database.contract.ts';
import { compareKeys, type Key } from './keys.ts';
import { openMemoryDatabase } from './memory.ts';

databaseContract(async () => openMemoryDatabase());

test('[ST6] a snapshot holds committed transactions only, and a restored one goes on from there', async () => {
  let release: () => void = () => {};
  let hold = false;
  const database = openMemoryDatabase({ commit: () => (hold ? new Promise<void>((resolve) => { release = resolve; }) : Promise.resolve()) });
  await database.write(['kv'], (tx) => tx.put('kv', 'n', 1));
  hold = true;
  const late = database.write(['kv'], (tx) => tx.put('kv', 'n', 2));
  await new Promise(setImmediate);
  const crashed = database.snapshot();
  release();
  await late;
  expect(await database.read(['kv'], (tx) => tx.get('kv', 'n'))).toBe(2);
  const restarted = openMemoryDatabase({ from: crashed });
  expect(await restarted.read(['kv'], (tx) => tx.get('kv', 'n'))).toBe(1);
  database.restore(crashed);
  expect(await database.read(['kv'], (tx) => tx.get('kv', 'n'))).toBe(1);
});

test('[ST6] a commit that fails leaves nothing of its transaction', async () => {
  let full = false;
  const database = openMemoryDatabase({ commit: async () => { if (full) throw new Error('disk full'); } });
  await database.write(['kv'], (tx) => tx.put('kv', 'n', 1));
  full = true;
  await expect(database.write(['kv'], (tx) => tx.put('kv', 'n', 2))).rejects.toThrow('disk full');
  full = false;
  expect(await database.read(['kv'], (tx) => tx.get('kv', 'n'))).toBe(1);
});

test('[ST2] a transaction may use only the stores it names', async () => {
  const database = openMemoryDatabase();
  await expect(database.read(['kv'], (tx) => tx.get('outbox', ['A' as never, 1]))).rejects.toThrow('names the store');
});

test('[ST2] keys compare as in indexedDB.cmp', async () => {
  const { indexedDB } = await import('fake-indexeddb');
  const part = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.string({ maxLength: 3 }));
  const key: fc.Arbitrary<Key> = fc.oneof(part, fc.array(part, { maxLength: 3 }));
  fc.assert(fc.property(key, key, (x, y) => {
    expect(Math.sign(compareKeys(x, y))).toBe(indexedDB.cmp(x, y));
  }));
});
