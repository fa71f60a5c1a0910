import { createServer } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { closeCodes } from '#lib/protocol/codes.ts';
import { encodeUpFrame, protocolVersion } from '#lib/protocol/frame.ts';
import { textToBytes } from '#lib/std/bytes.ts';
import { failToStart, makeDataDir, seedRooms, startServer } from '../tests/support/server.ts';
import { lockFolder } from './lock.ts';
import { startNode, type RunningNode } from './start.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const { dataDir, remove } = await makeDataDir();
  closers.push(remove);
  return dataDir;
}

async function start(environment: Record<string, string>, buildDir?: string): Promise<RunningNode> {
  const node = await startNode({
    environment: { PORT: '0', LOG_LEVEL: 'silent', ROLES: 'sync', ...environment }, workingDirectory: '/', ...(buildDir !== undefined && { buildDir }),
  });
  closers.push(node.stop);
  return node;
}

/** `localhost` may mean ::1 first; the node listens on 127.0.0.1. */
const at = (node: RunningNode, path: string) => `http://127.0.0.1:${new URL(node.address).port}${path}`;

test('[SY25] the process ends with 2 and one clear line when it cannot start', async () => {
  const dataDir = await folder();
  const taken = createServer().listen(0, '127.0.0.1');
  closers.push(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const base = { DATA_DIR: dataDir, PORT: '0', ROLES: 'sync' };
  const cases: [Record<string, string>, RegExp][] = [
    [{ ...base, PORT: String(port) }, new RegExp(`^Godwit does not start: port ${port} is taken .*PORT=${port + 1}\n$`)],
    [{ ...base, PORT: 'many' }, /^Godwit does not start: PORT must be a number .*\n$/],
    [{ ...base, DATA_DIR: '/dev/null/data' }, /^Godwit does not start: the data folder \/dev\/null\/data cannot be written .*\n$/],
  ];
  for (const [environment, line] of cases) {
    const { code, output } = await failToStart(environment);
    expect(output).toMatch(line);
    expect(code).toBe(2);
  }
});

test('[SY25] an unknown role, an address of another machine and an app that is not built are named', async () => {
  const dataDir = await folder();
  await expect(start({ DATA_DIR: dataDir, ROLES: 'king' })).rejects.toThrow('ROLES must be of web, sync, not "king"');
  await expect(start({ DATA_DIR: dataDir, HOST: '192.0.2.77' })).rejects.toThrow('HOST "192.0.2.77" is no address of this machine');
  await expect(start({ DATA_DIR: dataDir, ROLES: 'web' }, join(dataDir, 'nothing'))).rejects.toThrow('run "npm run build" first');
  await start({ DATA_DIR: dataDir }); // what failed has let go of the folder
});

test('[SY30] a second start on the same folder is refused, and the folder is free again at once when the first ends', async () => {
  const dataDir = await folder();
  const node = await start({ DATA_DIR: dataDir });
  await expect(start({ DATA_DIR: dataDir })).rejects.toThrow(`another Godwit is running on the data folder ${dataDir}`);
  await node.stop();
  const first = await startServer({ dataDir });
  closers.push(() => first.end('SIGKILL'));
  expect(() => lockFolder(dataDir)).toThrow('another Godwit is running');
  await first.end('SIGKILL');
  lockFolder(dataDir).release();
});

test('[SY29] health, the socket\'s address and unknown ones answer plainly', async () => {
  const node = await start({ DATA_DIR: await folder() });
  const get = async (path: string) => {
    const response = await fetch(at(node, path));
    return [response.status, await response.text()];
  };
  expect(await get('/livez')).toEqual([200, 'alive\n']);
  expect(await get('/readyz?x=1')).toEqual([200, 'ready\n']);
  expect(await get('/sync')).toEqual([426, 'this address speaks WebSocket\n']);
  expect(await get('/')).toEqual([404, 'not found\n']);
  const elsewhere = new WebSocket(at(node, '/other').replace('http', 'ws'));
  const [error] = (await once(elsewhere, 'error')) as [Error];
  expect(error.message).toContain('404');
});

test('[SY29] the built app is served, and believes no header that a proxy did not write', async () => {
  const dataDir = await folder();
  const buildDir = join(dataDir, 'build');
  await mkdir(buildDir);
  const echo = `export const handler = (request, response) => response.end(JSON.stringify([process.env.ORIGIN, process.env.PROTOCOL_HEADER,
    request.headers['x-forwarded-proto'], request.headers.host]));`;
  await writeFile(join(buildDir, 'handler.js'), echo);
  const node = await start({ DATA_DIR: dataDir, ROLES: 'web,sync' }, buildDir);
  const response = await fetch(at(node, '/any'), { headers: { 'x-forwarded-proto': 'https' } });
  expect(await response.json()).toEqual([null, 'x-forwarded-proto', 'http', new URL(at(node, '/')).host]);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  await node.stop();

  const proxied = await start({ DATA_DIR: dataDir, ROLES: 'web,sync', ORIGIN: 'https://chat.example' }, buildDir);
  closers.push(() => delete process.env['ORIGIN']);
  expect(proxied.address).toBe('https://chat.example');
});

test('[SY24] SIGTERM: sockets are asked to come back, the process ends with 0, and what was written is there', async () => {
  const dataDir = await folder();
  const [member] = (await seedRooms(dataDir, { rooms: 1, members: 1 })).flat();
  const server = await startServer({ dataDir });
  closers.push(() => server.end('SIGKILL'));
  const ws = new WebSocket(`ws://127.0.0.1:${server.port}/sync`);
  await once(ws, 'open');
  ws.send(encodeUpFrame({ type: 'hello', proto: protocolVersion, token: textToBytes(member!.token), flags: 0 }));
  await once(ws, 'message');
  const closed = once(ws, 'close');
  expect(await server.end('SIGTERM')).toBe(0);
  expect((await closed)[0]).toBe(closeCodes.restart.code);
  expect(server.output()).toContain('everybody connected is asked to come back');
});
