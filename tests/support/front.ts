/**
 * A proxy in front of a server, as an operator would run one, that keeps what passes: every request, every frame a
 * browser sends and is sent, in the clear of the wire. It can also pretend that a newer build was installed.
 */
import { createServer, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Front {
  readonly origin: string;
  /** Requests and answers with their heads, and the payloads of WebSocket frames. */
  readonly seen: readonly Buffer[];
  readonly framesUp: () => number;
  /** From now on the service worker that is served differs, as after an upgrade. */
  readonly installNewBuild: () => void;
  readonly close: () => Promise<void>;
}

const workerPath = '/service-worker.js';

export async function openFront(serverPort: number): Promise<Front> {
  const seen: Buffer[] = [];
  const sockets = new Set<Duplex>();
  let framesUp = 0;
  let build = '';

  const server = createServer((from, answer) => {
    // Plain and whole, so that it can be read and changed on its way.
    const { 'accept-encoding': _encoding, 'if-none-match': _etag, 'if-modified-since': _since, ...headers } = from.headers;
    const to = request({ host: '127.0.0.1', port: serverPort, method: from.method, path: from.url, headers });
    seen.push(Buffer.from(`${from.method} ${from.url} ${JSON.stringify(from.headers)}`));
    from.on('data', (chunk: Buffer) => seen.push(chunk)).pipe(to);
    // The server is away: so is this.
    to.on('error', () => answer.destroy());
    to.on('response', (back) => {
      if (from.url === workerPath && build !== '') {
        const { 'content-length': _size, etag: _oldEtag, ...kept } = back.headers;
        answer.writeHead(back.statusCode!, kept);
        back.on('end', () => answer.end(`\n// ${build}\n`)).pipe(answer, { end: false });
        return;
      }
      answer.writeHead(back.statusCode!, back.headers);
      back.on('data', (chunk: Buffer) => from.url?.startsWith('/api/') && seen.push(chunk)).pipe(answer);
    });
  });

  server.on('upgrade', (from: IncomingMessage, near: Duplex, head: Buffer) => {
    const far = connect(serverPort, '127.0.0.1');
    const lines = [`${from.method} ${from.url} HTTP/1.1`];
    for (let i = 0; i < from.rawHeaders.length; i += 2) lines.push(`${from.rawHeaders[i]}: ${from.rawHeaders[i + 1]}`);
    far.write(`${lines.join('\r\n')}\r\n\r\n`);
    far.write(head);
    const up = tap(seen, () => framesUp++);
    const down = tap(seen);
    near.on('data', (chunk: Buffer) => up.write(chunk));
    far.once('data', (first: Buffer) => {
      const end = first.indexOf('\r\n\r\n') + 4;
      seen.push(first.subarray(0, end));
      down.write(first.subarray(end));
      far.on('data', (chunk: Buffer) => down.write(chunk));
    });
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };

  return {
    origin: `http://localhost:${port}`, seen,
    framesUp: () => framesUp,
    installNewBuild: () => (build = 'a newer build'),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Takes the payloads out of one direction of a WebSocket; frames of browsers are unmasked. Nothing compresses here. */
function tap(seen: Buffer[], count?: () => void): { readonly write: (chunk: Buffer) => void } {
  let held = Buffer.alloc(0);
  return {
    write(chunk) {
      held = Buffer.concat([held, chunk]);
      for (let frame = takeFrame(held); frame; frame = takeFrame(held)) {
        held = held.subarray(frame.sizeBytes);
        seen.push(frame.payload);
        count?.();
      }
    },
  };
}

function takeFrame(bytes: Buffer): { readonly payload: Buffer; readonly sizeBytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const isMasked = (bytes[1]! & 0x80) !== 0;
  const short = bytes[1]! & 0x7f;
  const lengthEnd = short === 126 ? 4 : short === 127 ? 10 : 2;
  const start = lengthEnd + (isMasked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return undefined;
  const payload = Buffer.from(bytes.subarray(start, start + length));
  if (isMasked) for (let i = 0; i < length; i++) payload[i]! ^= bytes[lengthEnd + (i % 4)]!;
  return { payload, sizeBytes: start + length };
}
