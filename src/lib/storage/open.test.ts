import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { openDB } from 'idb';
import type { AccountId } from '#lib/protocol/ids.ts';
import type { StorageError } from './database.ts';
import { databaseContract } from './database.contract.ts';
import { toStorageError } from './faults.ts';
import { databaseVersion, migrations } from './migrations.ts';
import { accountDatabaseName, openAccountDatabase, openNamedDatabase } from './open.ts';
import { openRegistry } from './registry.ts';
import { storeNames } from './schema.ts';

let made = 0;
const newAccount = () => `account-${(made += 1)}` as AccountId;

databaseContract(() => openAccountDatabase(newAccount()));

test('[ST7] every old version opens as the newest, with its data', async () => {
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, i) => i + 1));
  for (let old = 1; old < databaseVersion; old++) {
    const account = newAccount();
    const before = await openNamedDatabase(accountDatabaseName(account), {}, old);
    await before.write(['kv'], (tx) => tx.put('kv', 'kept', `since ${old}`));
    before.close();
    const after = await openAccountDatabase(account, { expect: 'existing' });
    expect(await after.read(storeNames, async (tx) => Promise.all([tx.get('kv', 'kept'), ...storeNames.map((name) => tx.count(name))]))).toEqual([`since ${old}`, 1, ...storeNames.slice(1).map(() => 0)]);
    after.close();
  }
});

test('[ST7] a new database has every store of the schema and no other', async () => {
  const account = newAccount();
  (await openAccountDatabase(account)).close();
  const raw = await openDB(accountDatabaseName(account));
  expect([...raw.objectStoreNames].sort()).toEqual([...storeNames].sort());
  raw.close();
});

test('[ST8] a database of a newer version is refused as newer', async () => {
  const account = newAccount();
  (await openDB(accountDatabaseName(account), databaseVersion + 1)).close();
  await expect(openAccountDatabase(account)).rejects.toMatchObject({ reason: 'newer-version' });
});

test('[ST8] an open connection gives way to a newer version and says so', async () => {
  const account = newAccount();
  let told: string | undefined;
  const old = await openAccountDatabase(account, { onClosed: (reason) => { told = reason; } });
  (await openDB(accountDatabaseName(account), databaseVersion + 1)).close();
  expect(told).toBe('newer-version');
  await expect(old.read(['kv'], (tx) => tx.get('kv', 'n'))).rejects.toMatchObject({ reason: 'newer-version' });
});

test('[ST9] a database the browser threw away is told from one that is new', async () => {
  const account = newAccount();
  await expect(openAccountDatabase(account, { expect: 'existing' })).rejects.toMatchObject({ reason: 'evicted' });
  (await openAccountDatabase(newAccount(), { expect: 'any' })).close();
});

test('[ST9] each fault of the browser has its one reason', () => {
  const reason = (name: string, during: 'open' | 'use' = 'use', ended?: 'evicted' | 'newer-version') =>
    (toStorageError(new DOMException('', name), during, ended) as StorageError).reason;
  expect(reason('QuotaExceededError')).toBe('full');
  expect(reason('VersionError', 'open')).toBe('newer-version');
  expect(reason('InvalidStateError', 'open')).toBe('blocked');
  expect(reason('SecurityError', 'open')).toBe('blocked');
  expect(reason('NotFoundError')).toBe('evicted');
  expect(reason('InvalidStateError', 'use', 'evicted')).toBe('evicted');
  expect(reason('InvalidStateError')).toBe('closed');
  expect(reason('UnknownError')).toBe('failed');
  const ours = new Error('a bug');
  expect(toStorageError(ours, 'use')).toBe(ours);
});

test('[ST9] without IndexedDB opening says blocked', async () => {
  const real = globalThis.indexedDB;
  Reflect.deleteProperty(globalThis, 'indexedDB');
  try {
    await expect(openAccountDatabase(newAccount())).rejects.toMatchObject({ reason: 'blocked' });
    await expect(openRegistry()).rejects.toMatchObject({ reason: 'blocked' });
  } finally {
    globalThis.indexedDB = real;
  }
});

test('[ST9] a write for which there is no room says full and leaves nothing', async () => {
  const database = await openAccountDatabase(newAccount());
  const realPut = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function () { throw new DOMException('no room', 'QuotaExceededError'); };
  try {
    await expect(database.write(['kv'], (tx) => tx.put('kv', 'n', 1))).rejects.toMatchObject({ reason: 'full' });
  } finally {
    IDBObjectStore.prototype.put = realPut;
  }
  expect(await database.read(['kv'], (tx) => tx.count('kv'))).toBe(0);
  database.close();
});

test('[ST10] the registry remembers the account, and wiping leaves neither name nor data', async () => {
  const account = newAccount();
  const registry = await openRegistry();
  expect(await registry.current()).toBeUndefined();
  await registry.setCurrent(account);
  const database = await openAccountDatabase(account);
  await database.write(['kv'], (tx) => tx.put('kv', 'secret', 1));
  database.close();
  registry.close();

  const again = await openRegistry();
  expect(await again.current()).toBe(account);
  await again.wipe(account);
  expect(await again.current()).toBeUndefined();
  expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain(accountDatabaseName(account));
  await expect(openAccountDatabase(account, { expect: 'existing' })).rejects.toMatchObject({ reason: 'evicted' });
  again.close();
});

test('[ST10] wiping another account does not sign this one out', async () => {
  const registry = await openRegistry();
  const account = newAccount();
  await registry.setCurrent(account);
  await registry.wipe(newAccount());
  expect(await registry.current()).toBe(account);
  await registry.wipe(account);
  registry.close();
});
