import { createServer, type Server } from 'node:http';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import { closeCodes } from '#lib/protocol/codes.ts';
import { decodeDownFrame, encodeUpFrame, type DownFrame, type UpFrame } from '#lib/protocol/frame.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { unwrap } from '#lib/std/result.ts';
import { createGateway, type Gateway, type GatewayLimits } from './gateway.ts';
import { createWorld, envelope, hello, item, newId, type World } from './fixtures/world.ts';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { SyncNode } from './node.ts';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

async function listen(node: SyncNode, limits: Partial<GatewayLimits> = {}, origin?: string): Promise<{ readonly gateway: Gateway; readonly port: number; readonly server: Server }> {
  const gateway = createGateway({ node, origin, limits });
  const server = createServer().on('upgrade', gateway.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => (server.close(), server.closeAllConnections()));
  return { gateway, server, port: (server.address() as AddressInfo).port };
}

interface Wire {
  readonly ws: WebSocket;
  readonly frames: DownFrame[];
  readonly say: (...frames: UpFrame[]) => void;
  /** Resolves once the condition holds after some frame. */
  readonly until: (holds: () => boolean) => Promise<void>;
  readonly closed: Promise<number>;
  readonly opened: Promise<void>;
}

function dial(port: number, options: ClientOptions = {}): Wire {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/sync`, { perMessageDeflate: false, ...options });
  closers.push(() => ws.terminate());
  const frames: DownFrame[] = [];
  const watchers = new Set<() => void>();
  ws.on('message', (data: Buffer) => {
    frames.push(unwrap(decodeDownFrame(data), 'the server speaks well'));
    for (const watch of watchers) watch();
  });
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  const opened = new Promise<void>((resolve, reject) => ws.on('open', resolve).on('error', reject));
  opened.catch(() => {}); // only some tests ask
  return {
    ws, frames, closed, opened,
    say: (...list) => list.forEach((frame) => ws.send(encodeUpFrame(frame))),
    until: (holds) => new Promise((resolve) => {
      const watch = () => holds() && (watchers.delete(watch), resolve());
      watchers.add(watch);
      watch();
    }),
  };
}

async function join(world: World, port: number, account: AccountId): Promise<Wire & { readonly account: AccountId; readonly device: DeviceId }> {
  const wire = dial(port);
  await wire.opened;
  const who = { account, device: newId<DeviceId>() };
  wire.say(hello(who));
  await wire.until(() => wire.frames.length > 0);
  return { ...wire, ...who };
}

const has = (wire: Wire, type: DownFrame['type']) => wire.frames.some((frame) => frame.type === type);

test('[SY23] two people talk over real sockets', async () => {
  const world = createWorld();
  const { port, gateway } = await listen(world.syncNode());
  const [ann, bob] = [await join(world, port, await world.newAccount()), await join(world, port, await world.newAccount())];
  const conversation = await world.newConversation([ann.account, bob.account]);
  for (const wire of [ann, bob]) wire.say({ type: 'sub', items: [item(0, conversation)] });
  await Promise.all([ann, bob].map((wire) => wire.until(() => has(wire, 'state'))));
  ann.say({ type: 'put', h: 0, ctr0: 0, envelopes: [envelope(1)] });
  await Promise.all([bob.until(() => has(bob, 'rows')), ann.until(() => has(ann, 'ack') && has(ann, 'rows'))]);
  expect(gateway.connections()).toBe(2);
  ann.ws.close();
  await ann.closed;
});

test('[SY2] oversized, text, compressed and broken WebSocket messages close with listed codes, and nobody else notices', async () => {
  const world = createWorld();
  const { port } = await listen(world.syncNode());
  const bob = await join(world, port, await world.newAccount());
  const cases: [string, (wire: Wire, raw: Socket) => void, number][] = [
    ['one byte too long', ({ ws }) => ws.send(new Uint8Array(wireLimits.frameSizeBytesMax + 1)), closeCodes.tooBig.code],
    ['far too long', ({ ws }) => ws.send(new Uint8Array(wireLimits.frameSizeBytesMax * 8)), closeCodes.tooBig.code],
    ['text', ({ ws }) => ws.send('hello'), closeCodes.malformed.code],
    ['reserved bits', (_, raw) => raw.write(Uint8Array.of(0xc2, 0x81, 0, 0, 0, 0, 1)), closeCodes.malformed.code],
    ['unmasked', (_, raw) => raw.write(Uint8Array.of(0x82, 0x01, 1)), closeCodes.malformed.code],
    ['unknown opcode', (_, raw) => raw.write(Uint8Array.of(0x83, 0x81, 0, 0, 0, 0, 1)), closeCodes.malformed.code],
    ['a claim of 2^40 bytes', (_, raw) => raw.write(Uint8Array.of(0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)), closeCodes.tooBig.code],
    ['empty', ({ ws }) => ws.send(new Uint8Array(0)), closeCodes.malformed.code],
  ];
  for (const [name, send, code] of cases) {
    const wire = await join(world, port, await world.newAccount());
    send(wire, (wire.ws as unknown as { _socket: Socket })._socket);
    expect([name, await wire.closed]).toEqual([name, code]);
  }
  bob.say({ type: 'ping', nonce: 3 });
  await bob.until(() => has(bob, 'pong'));
  expect(world.faults).toEqual([]);
});

test('[SY23] other origins, too many sockets of one address and in all are refused before there is a socket', async () => {
  const world = createWorld();
  const { port } = await listen(world.syncNode(), { connectionsPerAddressMax: 2 });
  await expect(dial(port, { origin: 'https://elsewhere.example' }).opened).rejects.toThrow('403');
  await expect(dial(port, { origin: 'null' }).opened).rejects.toThrow('403');
  await dial(port, { origin: `http://127.0.0.1:${port}` }).opened;
  const second = dial(port);
  await second.opened;
  await expect(dial(port).opened).rejects.toThrow('429');
  second.ws.close();
  await second.closed;
  await dial(port).opened;

  const full = await listen(world.syncNode(), { connectionsMax: 1 });
  await dial(full.port).opened;
  await expect(dial(full.port).opened).rejects.toThrow('503');

  const behindProxy = await listen(world.syncNode(), { connectionsPerAddressMax: 1 }, 'https://chat.example');
  await expect(dial(behindProxy.port, { origin: `http://127.0.0.1:${behindProxy.port}` }).opened).rejects.toThrow('403');
  await dial(behindProxy.port, { origin: 'https://chat.example', headers: { 'x-forwarded-for': '9.9.9.9, 198.51.100.7' } }).opened;
  await dial(behindProxy.port, { origin: 'https://chat.example', headers: { 'x-forwarded-for': '198.51.100.8' } }).opened;
  await expect(dial(behindProxy.port, { origin: 'https://chat.example', headers: { 'x-forwarded-for': '198.51.100.8' } }).opened).rejects.toThrow('429');
});

test('[SY23] who says no HELLO, and who answers no ping, is closed by name; who answers stays', async () => {
  const world = createWorld();
  const { port } = await listen(world.syncNode(), { helloTimeoutMs: 40, pingIntervalMs: 50 });
  const mute = dial(port);
  expect(await mute.closed).toBe(closeCodes.helloTimeout.code);
  const silent = dial(port, { autoPong: false });
  const alive = await join(world, port, await world.newAccount());
  await silent.opened;
  silent.say(hello({ account: alive.account, device: newId() }));
  expect(await silent.closed).toBe(closeCodes.silent.code);
  let pings = 0;
  await new Promise<void>((resolve) => alive.ws.on('ping', () => ++pings >= 4 && resolve()));
  expect(alive.ws.readyState).toBe(WebSocket.OPEN);
});

test('[SY11] a client that reads nothing is closed at the bound, and meanwhile others are served', async () => {
  const world = createWorld();
  const inner = world.syncNode({ frames: { burst: 1e6, perSecond: 1e6 } });
  let ended = () => {};
  const hungUp = new Promise<void>((resolve) => (ended = resolve));
  const node: SyncNode = { ...inner, connect(link) {
    const connection = inner.connect(link);
    return { ...connection, closed: () => (ended(), connection.closed()) };
  } };
  const { port } = await listen(node, { queuedBytesMax: 256 * 1024 });
  const account = await world.newAccount();
  const conversation = await world.newConversation([account]);
  const greedy = await join(world, port, account);
  greedy.say({ type: 'sub', items: [item(0, conversation)] });
  for (let ctr = 0; ctr < 4; ctr++) greedy.say({ type: 'put', h: 0, ctr0: ctr, envelopes: [envelope(ctr, { bodySize: 7 * 2048 })] });
  await greedy.until(() => greedy.frames.filter((frame) => frame.type === 'ack').length === 4);
  greedy.ws.pause();
  // The kernel's buffers take some megabytes first; then the queue grows and the node hangs up.
  const asking = setInterval(() => {
    for (let i = 0; i < 50; i++) greedy.say({ type: 'fetch', h: 0, fromSeq: 1, count: 30, direction: 'forward' });
  }, 1);
  const bob = await join(world, port, await world.newAccount());
  await hungUp;
  clearInterval(asking);
  bob.say({ type: 'ping', nonce: 1 });
  await bob.until(() => has(bob, 'pong'));
  greedy.ws.resume();
  expect(await greedy.closed).toBe(closeCodes.tooSlow.code);
});

test('[SY24] draining takes nobody new, asks everybody to come back elsewhere, and ends', async () => {
  const world = createWorld();
  const { port, gateway } = await listen(world.syncNode(), { drainMs: 20, drainWaves: 4, closeGraceMs: 100, pingIntervalMs: 250 });
  const wires = await Promise.all(Array.from({ length: 9 }, async () => join(world, port, await world.newAccount())));
  const raw = connectTcp(port, '127.0.0.1'); // a socket that never answers a close
  closers.push(() => raw.destroy());
  raw.write('GET /sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
  await new Promise((resolve) => raw.once('data', resolve));
  expect(gateway.connections()).toBe(10);
  const drained = gateway.drain();
  await expect(dial(port).opened).rejects.toThrow('503');
  expect(await Promise.all(wires.map((wire) => wire.closed))).toEqual(wires.map(() => closeCodes.restart.code));
  await drained;
  expect(gateway.connections()).toBe(0);
});
