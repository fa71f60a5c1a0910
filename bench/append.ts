/**
 * `bench:append`: what one durable append and one delivery cost the server.
 *
 * Two loads, each against a fresh server process with a folder of its own, driven from this process
 * over real sockets. `rooms`: 200 conversations of 5, every member keeps one entry under way. `crowd`: one
 * conversation of 500, eight members keep one under way each. CPU is that of the whole server process
 * (sockets, store thread, kernel time) from /proc, so this bench runs on Linux. An entry is the
 * smallest there is: 519 bytes, a padded short message.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { envelopeHeader, joinEnvelope, sealedOverheadSizeBytes } from '#lib/protocol/envelope.ts';
import { decodeDownFrame, encodeUpFrame, protocolVersion } from '#lib/protocol/frame.ts';
import { readVarUint } from '#lib/protocol/varuint.ts';
import { assert } from '#lib/std/assert.ts';
import { textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { systemRandom } from '#lib/std/system.ts';
import { makeDataDir, seedRooms, startServer, type SeededMember } from '../tests/support/server.ts';
import { cpuMsOf, printResult, quantile, round } from './harness.ts';

const seconds = Number(process.env['BENCH_SECONDS'] ?? 8);
const warmUpSeconds = 2;

const bodySize = 256;
const entrySize = joinEntry().length;

interface Counts {
  appended: number;
  delivered: number;
  rowFrames: number;
  readonly ackMs: number[];
}

function joinEntry(): Bytes {
  const ciphertext = systemRandom.bytes(sealedOverheadSizeBytes + bodySize);
  return joinEnvelope({ headerBytes: envelopeHeader({ epoch: 1, purge: undefined }), nonce: systemRandom.bytes(12), ciphertext });
}

/** Follows the member's room and answers how to make it write without a pause. */
async function joinRoom(member: SeededMember, port: number, counts: Counts): Promise<{ readonly write: () => void; readonly close: () => void }> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/sync`, { perMessageDeflate: false });
  ws.on('error', (error) => assert(false, `the server stays: ${error.message}`));
  await once(ws, 'open');
  ws.send(encodeUpFrame({ type: 'hello', proto: protocolVersion, token: textToBytes(member.token), flags: 0 }));
  ws.send(encodeUpFrame({ type: 'sub', items: [{ h: 0, conversation: member.conversation, cursor: undefined, logHeight: 0, slot: 0, nextCtr: 0, marksSince: 0 }] }));
  let sentAt = 0;
  let isWriting = false;
  let nextCtr = 0;
  let followed = () => {};
  const isFollowing = new Promise<void>((resolve) => (followed = resolve));

  function write(): void {
    isWriting = true;
    sentAt = performance.now();
    ws.send(encodeUpFrame({ type: 'put', h: 0, ctr0: nextCtr, envelopes: [joinEntry()] }));
  }

  ws.on('message', (data: Buffer) => {
    switch (data[0]) {
      case 0x83: { // ROWS: h, firstSeq, count; the driver reads no further
        counts.rowFrames += 1;
        const first = readVarUint(data, 2, 2 ** 32);
        const count = first.ok ? readVarUint(data, first.value.next, 512) : first;
        assert(count.ok, 'a ROWS frame says how many rows it has');
        counts.delivered += count.value.number;
        return;
      }
      case 0x84:
        counts.appended += 1;
        counts.ackMs.push(performance.now() - sentAt);
        nextCtr += 1;
        return isWriting ? write() : undefined;
      case 0x82: return followed();
      case 0x81: return;
      default: assert(false, `nothing is refused: ${JSON.stringify(decodeDownFrame(data))}`);
    }
  });
  await isFollowing;
  return { write, close: () => ws.terminate() };
}

async function run(rooms: number, members: number, writers: number): Promise<Readonly<Record<string, number>>> {
  const { dataDir, remove } = await makeDataDir();
  const seeded = await seedRooms(dataDir, { rooms, members });
  const server = await startServer({ dataDir });
  const counts: Counts = { appended: 0, delivered: 0, rowFrames: 0, ackMs: [] };
  const people = [];
  for (const member of seeded.flat()) people.push(await joinRoom(member, server.port, counts));
  people.slice(0, writers).forEach(({ write }) => write());
  await new Promise((resolve) => setTimeout(resolve, warmUpSeconds * 1_000));

  Object.assign(counts, { appended: 0, delivered: 0, rowFrames: 0 });
  counts.ackMs.length = 0;
  const [cpuFrom, from, ownFrom] = [cpuMsOf(server.pid), performance.now(), process.cpuUsage()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const cpuMs = cpuMsOf(server.pid) - cpuFrom;
  const wallMs = performance.now() - from;
  const own = process.cpuUsage(ownFrom);
  const { appended, delivered, rowFrames, ackMs } = { ...counts, ackMs: [...counts.ackMs] };
  people.forEach(({ close }) => close());
  await server.end();
  await remove();
  return {
    rooms, members, writers,
    appendsPerSecond: round((appended * 1_000) / wallMs, 0),
    deliveriesPerSecond: round((delivered * 1_000) / wallMs, 0),
    cpuUsPerAppend: round((cpuMs * 1_000) / appended),
    cpuUsPerDelivery: round((cpuMs * 1_000) / delivered, 2),
    rowsPerFrame: round(delivered / rowFrames, 2),
    ackMsP50: round(quantile(ackMs, 0.5)), ackMsP99: round(quantile(ackMs, 0.99)),
    serverCoreShare: round(cpuMs / wallMs, 2), driverCoreShare: round((own.user + own.system) / 1_000 / wallMs, 2),
  };
}

const inRooms = await run(200, 5, 1_000);
console.log(inRooms);
const inCrowd = await run(1, 500, 8);
console.log(inCrowd);
printResult('append', {
  cpuUsPerAppend: inRooms['cpuUsPerAppend'], cpuUsPerDelivery: inCrowd['cpuUsPerDelivery'], batch: inRooms['rowsPerFrame'], entryBytes: entrySize, seconds,
  inRooms, inCrowd,
});
