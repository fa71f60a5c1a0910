import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { bytesToId, type AccountId, type DeviceId } from '#lib/protocol/ids.ts';
import { readConfig } from './config.ts';
import { openServer, sharedServer, shareServer } from './open.ts';
import { databaseFile, openSecrets } from './secrets.ts';
import { StartFault } from './start-fault.ts';

const folder = mkdtempSync(join(tmpdir(), 'godwit-open-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(folder, String(folders++));
const config = (dataDir: string) => readConfig({ DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent' }, '/');

test('[SV3] defaults and chosen values', () => {
  expect(readConfig({}, '/srv/godwit')).toEqual({ host: '127.0.0.1', port: 3000, dataDir: '/srv/godwit/data', origin: undefined, logLevel: 'info', limits: 'normal' });
  expect(readConfig({ HOST: '0.0.0.0', PORT: '8080', DATA_DIR: '/var/godwit', ORIGIN: 'https://chat.example/', LOG_LEVEL: 'debug', LIMITS: 'relaxed' }, '/')).toEqual(
    { host: '0.0.0.0', port: 8080, dataDir: '/var/godwit', origin: 'https://chat.example', logLevel: 'debug', limits: 'relaxed' });
});

test('[SV3] a wrong value is named in one line', () => {
  for (const [name, values] of Object.entries({ PORT: ['x', '-1', '70000', '3.5'], ORIGIN: ['chat.example', 'ftp://x', 'https://chat.example/path'], LOG_LEVEL: ['loud'], LIMITS: ['none'] })) {
    for (const value of values) {
      const attempt = () => readConfig({ [name]: value }, '/');
      expect(attempt).toThrow(StartFault);
      expect(attempt).toThrow(new RegExp(`^${name} must be [^\\n]*"${value}"$`));
    }
  }
});

test('[SV4] keys are made once, readable by their owner alone', async () => {
  const dataDir = fresh();
  let made = 0;
  const makers = { makeOpaqueServerSetup: async () => `setup ${++made}`, makeSyncTokenKey: async () => `key ${++made}` };
  const first = await openSecrets(dataDir, makers);
  expect(await openSecrets(dataDir, makers)).toEqual(first);
  expect(made).toBe(2);
  for (const name of ['opaque-server-setup', 'sync-token-key.json']) expect(statSync(join(dataDir, 'secrets', name)).mode & 0o777).toBe(0o600);
  expect(statSync(join(dataDir, 'secrets')).mode & 0o777).toBe(0o700);

  writeFileSync(join(dataDir, databaseFile), '');
  rmSync(join(dataDir, 'secrets', 'opaque-server-setup'));
  await expect(openSecrets(dataDir, makers)).rejects.toMatchObject({ name: 'StartFault', reason: 'secrets', message: expect.stringMatching(/opaque-server-setup is missing while there is data/) });
});

test('[SV4] a folder that cannot be, damaged keys and a damaged database stop the start with one line', async () => {
  const file = fresh();
  writeFileSync(file, 'a file where the folder should be');
  await expect(openServer(config(join(file, 'data')))).rejects.toMatchObject({ name: 'StartFault', reason: 'not-writable', message: expect.stringMatching(/^cannot read and write [^\n]+$/) });

  const dataDir = fresh();
  await (await openServer(config(dataDir))).close();
  const key = join(dataDir, 'secrets', 'sync-token-key.json');
  const right = readFileSync(key, 'utf8');
  writeFileSync(key, '{"kty":"EC","d":"canary"}');
  await expect(openServer(config(dataDir))).rejects.toMatchObject({ reason: 'secrets', message: expect.not.stringContaining('canary') });
  writeFileSync(key, right);
  writeFileSync(join(dataDir, databaseFile), 'no database. '.repeat(1_000));
  await expect(openServer(config(dataDir))).rejects.toMatchObject({ name: 'StartFault', reason: 'store', message: expect.stringMatching(/^cannot open [^\n]+$/) });
  chmodSync(key, 0o600);
});

test('[SV30] what was there at a close is there after the next start, keys included', async () => {
  const dataDir = fresh();
  const first = await openServer(config(dataDir));
  const account = bytesToId<AccountId>(new Uint8Array(16).fill(1));
  const device = bytesToId<DeviceId>(new Uint8Array(16).fill(2));
  const by = { account, handle: 'ada' as never, device, sessionHash: 'hash' };
  await first.store.putSession({ idHash: 'hash', account, device, expiresAt: Date.now() + 1e6, createdAt: 1 });
  const issued = await first.identity.syncToken(by);
  const lineage = await first.store.lineage();
  await first.close();

  const second = await openServer(config(dataDir));
  expect(await second.store.lineage()).toBe(lineage);
  expect(issued.ok && (await second.identity.verifySyncToken(issued.value.token))).toMatchObject({ ok: true, value: { account, device } });
  shareServer(second);
  expect(sharedServer()).toBe(second);
  shareServer(undefined);
  await second.close();
});

test('[SV30] the operator\'s command gives the data a new lineage, and says so', async () => {
  const dataDir = fresh();
  const tool = fileURLToPath(new URL('../../../tools/new-lineage.ts', import.meta.url));
  const run = (...args: string[]) => execFileSync(process.execPath, [tool, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  expect(() => run(dataDir)).toThrow(/There is no database/);
  const first = await openServer(config(dataDir));
  const before = await first.store.lineage();
  await first.close();
  expect(run(dataDir)).toMatch(/has a new lineage/);
  const second = await openServer(config(dataDir));
  expect(await second.store.lineage()).not.toBe(before);
  await second.close();
});
