/** The real process under traffic, killed where it stands, twenty times over one data folder. */
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeDownFrame, encodeUpFrame, protocolVersion, type DownFrame, type UpFrame } from '#lib/protocol/frame.ts';
import { databaseFile } from '#lib/server/secrets.ts';
import { openSqliteStore } from '#lib/server/store/sqlite.ts';
import { equalBytes, textToBytes, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import { join } from 'node:path';
import type { Row } from '#lib/protocol/row.ts';
import { makeDataDir, seedRooms, startServer, type SeededMember, type TestServer } from '../tests/support/server.ts';
import { envelope, item } from './fixtures/world.ts';

const kills = 20;
const removals: (() => Promise<void>)[] = [];
let running: TestServer | undefined;
afterAll(async () => {
  await running?.end('SIGKILL');
  for (const remove of removals) await remove();
});

/** One device that writes without a pause, and remembers what it sent and what it was promised. */
interface Writer {
  readonly member: SeededMember;
  readonly sent: Bytes[];
  acked: number;
  readonly seen: Row[];
  slot: number;
  readonly faults: string[];
  readonly connect: (port: number, onAck: () => void) => void;
  readonly disconnect: () => void;
}

let seed = 1;

function createWriter(member: SeededMember): Writer {
  let socket: WebSocket | undefined;
  const writer: Writer = {
    member, sent: [], acked: 0, seen: [], slot: 0, faults: [],
    connect(port, onAck) {
      const ws = (socket = new WebSocket(`ws://127.0.0.1:${port}/sync`, { perMessageDeflate: false }));
      const say = (frame: UpFrame) => ws.send(encodeUpFrame(frame));
      ws.on('error', () => {}); // the server is killed on purpose
      ws.on('open', () => {
        say({ type: 'hello', proto: protocolVersion, token: textToBytes(member.token), flags: 0 });
        // A log height of 0 asks for STATE whatever else is the same.
        say({ type: 'sub', items: [item(0, member.conversation, { cursor: writer.seen.length, slot: writer.slot, nextCtr: writer.sent.length })] });
      });
      ws.on('message', (data: Buffer) => {
        if (ws === socket) handle(unwrap(decodeDownFrame(data), 'the server speaks well'), say, onAck);
      });
    },
    disconnect() {
      socket?.terminate();
      socket = undefined;
    },
  };

  function handle(frame: DownFrame, say: (frame: UpFrame) => void, onAck: () => void): void {
    switch (frame.type) {
      case 'state':
        if (writer.slot !== 0 && frame.slot !== writer.slot) writer.faults.push(`slot ${writer.slot} became ${frame.slot}`);
        if (frame.nextCtr < writer.acked) writer.faults.push(`acknowledged up to ${writer.acked}, the server has ${frame.nextCtr}`);
        writer.slot = frame.slot;
        return put(frame.nextCtr, say);
      case 'ack':
        writer.acked = frame.nextCtr;
        onAck();
        return put(frame.nextCtr, say);
      case 'nack': return void writer.faults.push(`refused with ${frame.code}`);
      case 'rows':
        for (const row of frame.rows) {
          if (row.seq !== writer.seen.length + 1) writer.faults.push(`row ${row.seq} after ${writer.seen.length}`);
          writer.seen.push(row);
        }
        return;
      default:
    }
  }

  function put(ctr0: number, say: (frame: UpFrame) => void): void {
    const count = 1 + (seed % 3);
    while (writer.sent.length < ctr0 + count) writer.sent.push(envelope(seed++));
    say({ type: 'put', h: 0, ctr0, envelopes: writer.sent.slice(ctr0, ctr0 + count) });
  }

  return writer;
}

test('[SY26] kill -9 twenty times under traffic: nothing acknowledged is lost, nothing is there twice, numbers are dense', async () => {
  const { dataDir, remove } = await makeDataDir();
  removals.push(remove);
  const rooms = await seedRooms(dataDir, { rooms: 3, members: 3 });
  const writers = rooms.flat().map(createWriter);
  for (let round = 0; round < kills; round++) {
    running = await startServer({ dataDir });
    let acks = 0;
    const enough = 60 + 13 * (round % 7);
    await new Promise<void>((resolve) => {
      for (const writer of writers) writer.connect(running!.port, () => ++acks >= enough && resolve());
    });
    await running.end('SIGKILL');
    running = undefined;
    for (const writer of writers) writer.disconnect();
  }
  expect(writers.flatMap((writer) => writer.faults)).toEqual([]);

  const store = await openSqliteStore({ path: join(dataDir, databaseFile) });
  for (const members of rooms) {
    const { conversation } = members[0]!;
    const here = writers.filter((writer) => writer.member.conversation === conversation);
    const rows: Row[] = [];
    for (let page = await store.rowsAfter(conversation, 0, 500, 1e7); page.length > 0; page = await store.rowsAfter(conversation, rows.length, 500, 1e7)) rows.push(...page);
    expect(rows.map((row) => row.seq)).toEqual(rows.map((_, i) => i + 1));
    for (const writer of here) {
      const mine = rows.filter((row) => row.slot === writer.slot);
      expect(mine.map((row) => row.ctr)).toEqual(mine.map((_, i) => i));
      expect(mine.length).toBeGreaterThanOrEqual(writer.acked);
      expect(writer.acked).toBeGreaterThan(kills);
      expect(mine.every((row) => equalBytes(row.envelope!, writer.sent[row.ctr]!))).toBe(true);
      // What anybody was shown is what the disk has, at the same place.
      expect(writer.seen.every((row, i) => row.ctr === rows[i]!.ctr && row.slot === rows[i]!.slot && equalBytes(row.envelope!, rows[i]!.envelope!))).toBe(true);
    }
    expect(rows.length).toBe(here.reduce((sum, writer) => sum + rows.filter((row) => row.slot === writer.slot).length, 0));
  }
  await store.close();
}, 600_000); // twenty starts of a process: half a minute on a quiet machine
