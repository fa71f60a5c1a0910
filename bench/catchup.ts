/**
 * `bench:catchup`: a device that follows 500 chats comes back after 50 of them changed.
 *
 * The client is the app's own `sync` room over a real WebSocket, on the memory database; the server is the
 * real process on its own folder. Everything that crosses the socket from the first frame to the last
 * cursor is counted, both ways. `byteRatio` is all of it over the bytes of the entries that were missed,
 * and is to stay at or below 1.25. An entry is a short padded message, 519 bytes: the smallest there
 * is, so the worst case for the ratio. Entries are stored as they come; what verifying costs is in `bench:verify`.
 *
 *     node bench/catchup.ts [chats] [changed] [entries per changed chat]
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { readConfig } from '#lib/server/config.ts';
import { openServer } from '#lib/server/open.ts';
import { socketLink, type SocketMaker } from '#lib/app/socket-link.ts';
import { envelopeHeader, joinEnvelope, sealedOverheadSizeBytes } from '#lib/protocol/envelope.ts';
import { decodeDownFrame, encodeUpFrame, protocolVersion } from '#lib/protocol/frame.ts';
import { bytesToId, type AccountId, type ConversationId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';
import { bytesToHex, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, unwrap } from '#lib/std/result.ts';
import { systemClock, systemRandom, systemTimers } from '#lib/std/system.ts';
import { openMemoryDatabase, type MemoryDatabase } from '#lib/storage/memory.ts';
import { openSync } from '#lib/sync/sync.ts';
import type { Link, SyncEvents } from '#lib/sync/types.ts';
import { makeDataDir, startServer } from '../tests/support/server.ts';
import { cpuMsFor, cpuMsOf, printResult, round } from './harness.ts';

const chats = Number(process.argv[2] ?? 500);
const changed = Number(process.argv[3] ?? 50);
const entriesEach = Number(process.argv[4] ?? 4);
const patienceMs = 60_000;

interface Somebody {
  readonly account: AccountId;
  readonly token: string;
}

/** Two people who share all chats, put into the store before the server starts. */
async function seed(dataDir: string): Promise<{ readonly reader: Somebody; readonly writer: Somebody; readonly conversations: readonly ConversationId[] }> {
  const server = await openServer(readConfig({ DATA_DIR: dataDir, LIMITS: 'relaxed', LOG_LEVEL: 'silent' }, dataDir));
  const { store } = server;
  const now = systemClock.now();
  async function settle(): Promise<Somebody> {
    const account = bytesToId<AccountId>(systemRandom.bytes(16));
    const device = bytesToId<DeviceId>(systemRandom.bytes(16));
    const handle = `p${bytesToHex(systemRandom.bytes(8))}` as Handle;
    unwrap(await store.createAccount({
      account, handle, registrationRecord: 'none', recoveryProofHash: new Uint8Array(32), genesis: new Uint8Array(64), vault: new Uint8Array(64), uekWraps: [], now,
    }), 'an account is stored');
    const sessionHash = bytesToHex(systemRandom.bytes(32));
    await store.putSession({ idHash: sessionHash, account, device, createdAt: now, expiresAt: now + 3_600_000 });
    const { token } = unwrap(await server.identity.syncToken({ account, device, handle, sessionHash }), 'a token is issued');
    return { account, token };
  }
  try {
    const [reader, writer] = [await settle(), await settle()];
    const conversations = Array.from({ length: chats }, () => bytesToId<ConversationId>(systemRandom.bytes(16)));
    await Promise.all(conversations.map(async (conversation) => unwrap(await store.appendGroupEntry({
      conversation, height: 1, entry: new Uint8Array(64), epoch: 1, rotationDue: false, removes: false,
      members: [{ account: writer.account, role: 'owner' }, { account: reader.account, role: 'member' }], wraps: [], now,
    }), 'a conversation is stored')));
    return { reader, writer, conversations };
  } finally {
    await server.close();
  }
}

function makeEntry(): Bytes {
  return joinEnvelope({ headerBytes: envelopeHeader({ epoch: 1, purge: undefined }), nonce: systemRandom.bytes(12), ciphertext: systemRandom.bytes(sealedOverheadSizeBytes + 256) });
}

/** Writes into each of these chats, and resolves when all of it is on the server's disk. */
async function write(port: number, token: string, conversations: readonly ConversationId[], ctr0: number, count: number): Promise<void> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/sync`, { perMessageDeflate: false });
  await once(ws, 'open');
  let acknowledged = 0;
  const done = new Promise<void>((resolve, reject) => ws.on('message', (data: Buffer) => {
    const frame = decodeDownFrame(new Uint8Array(data));
    if (!frame.ok || frame.value.type === 'nack') return reject(new Error(JSON.stringify(frame)));
    if (frame.value.type === 'state') put();
    if (frame.value.type === 'ack' && ++acknowledged === conversations.length) resolve();
  }));
  let isPut = false;
  function put(): void {
    if (isPut) return;
    isPut = true;
    conversations.forEach((_, h) => ws.send(encodeUpFrame({ type: 'put', h, ctr0, envelopes: Array.from({ length: count }, makeEntry) })));
  }
  ws.send(encodeUpFrame({ type: 'hello', proto: protocolVersion, token: textToBytes(token), flags: 0 }));
  ws.send(encodeUpFrame({
    type: 'sub', items: conversations.map((conversation, h) => ({ h, conversation, cursor: undefined, logHeight: 0, slot: 0, nextCtr: 0, marksSince: 0 })),
  }));
  await done;
  ws.terminate();
}

interface Traffic {
  framesUp: number;
  framesDown: number;
  bytesUp: number;
  bytesDown: number;
}

function counting(link: Link, traffic: Traffic): Link {
  return {
    connect(handlers) {
      const connection = link.connect({
        ...handlers,
        onFrame(bytes) {
          traffic.framesDown += 1;
          traffic.bytesDown += bytes.length;
          handlers.onFrame(bytes);
        },
      });
      return {
        close: connection.close,
        send(bytes) {
          traffic.framesUp += 1;
          traffic.bytesUp += bytes.length;
          connection.send(bytes);
        },
      };
    },
  };
}

class PlainSocket extends WebSocket {
  constructor(url: string) {
    super(url, { perMessageDeflate: false });
  }
}

/** Every chat has a place in the log of this server. */
async function isSettled(database: MemoryDatabase): Promise<boolean> {
  const records = await database.read(['conversations'], (tx) => tx.getAll('conversations'));
  return records.every((record) => record.lineage !== '' && record.slot !== 0 && record.logHeight > 0);
}

/** Connects until every chat stands at its end, and answers what that took. */
async function catchUp(port: number, token: string, database: MemoryDatabase, conversations: readonly ConversationId[], rowsExpected: number): Promise<Traffic & { readonly cpuMs: number }> {
  const traffic: Traffic = { framesUp: 0, framesDown: 0, bytesUp: 0, bytesDown: 0 };
  let rows = 0;
  let looked = () => {};
  const look = () => looked();
  const events: SyncEvents = {
    connection: look, moved: look, clockOffset: look, welcome: look, acked: look, delivered: look, purged: look, marks: look, ephemeral: look,
    groupMoved: (conversation, logHeight) => void (logHeight !== undefined && sync.groupFollowed(new Map([[conversation, logHeight]])).then(look, fail)),
    groupStale: look, accountMoved: look, membershipMoved: look, profileMoved: look, notMember: look, lineageChanged: look, lost: look, forked: look,
    renumbered: look, refused: look, segmentDiffers: look, storageFault: fail, failed: fail,
  };
  function fail(error: unknown): void {
    throw error;
  }
  const sync = openSync({
    database, clock: systemClock, timers: systemTimers, random: systemRandom,
    link: counting(socketLink(`ws://127.0.0.1:${port}/sync`, PlainSocket as unknown as SocketMaker), traffic),
    token: async () => ok(token),
    ingest: async (_, given) => ({ stored: given.map((row) => ({ ...row, check: 'ok' as const })), after: () => {
      rows += given.length;
    } }),
    seal: async () => err({ type: 'not-now', why: 'nothing is written here' }),
    digest: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Bytes)),
    events,
  });
  await sync.addConversations(conversations);
  const cpuMs = await cpuMsFor(async () => {
    const arrived = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${rows} of ${rowsExpected} rows came, ${JSON.stringify(sync.connection())} ${JSON.stringify(traffic)}`)), patienceMs);
      looked = () => {
        if (rows < rowsExpected || sync.connection().state !== 'online') return;
        clearTimeout(timer);
        resolve();
      };
    });
    sync.start();
    await arrived;
    while (rowsExpected === 0 && !(await isSettled(database))) await new Promise((resolve) => setTimeout(resolve, 20));
    await sync.idle();
  });
  await sync.stop();
  return { ...traffic, cpuMs };
}

const { dataDir, remove } = await makeDataDir();
const { reader, writer, conversations } = await seed(dataDir);
const server = await startServer({ dataDir });
const database = openMemoryDatabase();
await write(server.port, writer.token, conversations, 0, 1);
// A device that is new to a chat starts at its end; what lies above is fetched when somebody looks.
const first = await catchUp(server.port, reader.token, database, conversations, 0);
await write(server.port, writer.token, conversations.filter((_, i) => i % Math.ceil(chats / changed) === 0).slice(0, changed), 1, entriesEach);

const serverFrom = cpuMsOf(server.pid);
const again = await catchUp(server.port, reader.token, database, conversations, changed * entriesEach);
const serverCpuMs = cpuMsOf(server.pid) - serverFrom;
await server.end();
await remove();

const payloadBytes = changed * entriesEach * makeEntry().length;
const bytes = again.bytesUp + again.bytesDown;
printResult('catchup', {
  chats, changed, entriesEach, payloadBytes, framesUp: again.framesUp, framesDown: again.framesDown, bytesUp: again.bytesUp, bytesDown: again.bytesDown,
  byteRatio: round(bytes / payloadBytes, 3), downRatio: round(again.bytesDown / payloadBytes, 3), clientCpuMs: round(again.cpuMs), serverCpuMs: round(serverCpuMs),
  firstSync: { framesUp: first.framesUp, framesDown: first.framesDown },
});
process.exit(0);
