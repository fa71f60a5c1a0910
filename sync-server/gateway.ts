/**
 * Admits sockets and looks after them until they close: origin, limits, the time to say HELLO, pings,
 * the bound on what is queued, and leaving in waves when the node stops.
 *
 * A WebSocket message that is not a frame, or longer than one, closes with a listed code like any
 * other fault [SY2]; what a client sends is read only as fast as it is answered.
 */
import { WebSocket, WebSocketServer } from 'ws';
import { closeCodes, type CloseName } from '#lib/protocol/codes.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { addressOf } from '#lib/server/origin.ts';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connection } from './connection.ts';
import type { SyncNode } from './node.ts';

export interface Gateway {
  /** For the `upgrade` event of an HTTP server. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly connections: () => number;
  /** Takes nobody new, asks everybody to return elsewhere in waves, resolves when all are gone. */
  readonly drain: () => Promise<void>;
}

export interface GatewayLimits {
  readonly connectionsMax: number;
  /** People behind one address share it: an office, a mobile network. */
  readonly connectionsPerAddressMax: number;
  /** Proxies cut idle connections at 30 to 75 s. */
  readonly pingIntervalMs: number;
  readonly helloTimeoutMs: number;
  /** A client that reads nothing is closed here. */
  readonly queuedBytesMax: number;
  /** Bytes received and not yet answered before the socket is no longer read. */
  readonly unansweredBytesMax: number;
  readonly unansweredFramesMax: number;
  /** How long a closing handshake may take. */
  readonly closeGraceMs: number;
  readonly drainMs: number;
  readonly drainWaves: number;
}

export const gatewayLimits: GatewayLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 500,
  pingIntervalMs: 25_000,
  helloTimeoutMs: 10_000,
  queuedBytesMax: wireLimits.queuedBytesMax,
  unansweredBytesMax: 1024 * 1024,
  unansweredFramesMax: 1_000,
  closeGraceMs: 5_000,
  drainMs: 2_000,
  drainWaves: 10,
};

export interface GatewayDeps {
  readonly node: SyncNode;
  /** Where people reach us behind a proxy; undefined takes the host they asked for. */
  readonly origin: string | undefined;
  readonly limits?: Partial<GatewayLimits>;
}

interface Peer {
  readonly ws: WebSocket;
  readonly address: string;
  readonly connection: Connection;
  /** Counts down sweeps: to HELLO, to the next ping, to the end of a closing handshake. */
  sweepsLeft: number;
  isClosing: boolean;
  isAnswering: boolean;
}

/** Sweeps per ping interval: pings spread over it, and no socket needs a timer of its own. */
const sweepsPerPing = 25;

export function createGateway({ node, origin, limits: given }: GatewayDeps): Gateway {
  const limits = { ...gatewayLimits, ...given };
  const server = new WebSocketServer({
    noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: wireLimits.frameSizeBytesMax + 1, WebSocket: FrameSocket,
  });
  const peers = new Set<Peer>();
  const byAddress = new Map<string, number>();
  const sweepMs = limits.pingIntervalMs / sweepsPerPing;
  let isDraining = false;
  let sweeping: NodeJS.Timeout | undefined;
  let onEmpty: (() => void) | undefined;

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy()); // a peer that resets while it is admitted
    const address = addressOf({ get: (name) => String(request.headers[name] ?? '') || null }, request.socket.remoteAddress ?? '', origin !== undefined);
    if (isDraining) return refuse(socket, '503 Service Unavailable');
    if (!isSameOrigin(request, origin)) return refuse(socket, '403 Forbidden');
    if (peers.size >= limits.connectionsMax) return refuse(socket, '503 Service Unavailable');
    if ((byAddress.get(address) ?? 0) >= limits.connectionsPerAddressMax) return refuse(socket, '429 Too Many Requests');
    server.handleUpgrade(request, socket, head, (ws) => admit(ws, socket as Socket, address));
  }

  function admit(ws: WebSocket, socket: Socket, address: string): void {
    let isCorked = false;
    let unansweredBytes = 0;
    let unansweredFrames = 0;

    // Whatever leaves in one turn is one write.
    function send(frame: Uint8Array): void {
      if (ws.readyState !== WebSocket.OPEN) return;
      if (!isCorked) {
        isCorked = true;
        socket.cork();
        node.turn.write(() => {
          isCorked = false;
          socket.uncork();
        });
      }
      ws.send(frame, sendOptions);
      if (ws.bufferedAmount > limits.queuedBytesMax) end(peer, 'tooSlow');
    }

    const connection = node.connect({ send, close: (name) => end(peer, name), bufferedBytes: () => ws.bufferedAmount });
    const peer: Peer = { ws, address, connection, sweepsLeft: Math.ceil(limits.helloTimeoutMs / sweepMs), isClosing: false, isAnswering: true };
    enter(peer);

    ws.on('message', (data: Buffer, isBinary: boolean) => {
      if (peer.isClosing) return;
      peer.isAnswering = true;
      if (!isBinary) return end(peer, 'malformed');
      unansweredBytes += data.length;
      unansweredFrames += 1;
      if (unansweredBytes > limits.unansweredBytesMax || unansweredFrames > limits.unansweredFramesMax) ws.pause();
      void connection.receive(data).then(() => {
        unansweredBytes -= data.length;
        unansweredFrames -= 1;
        if (ws.isPaused && unansweredBytes <= limits.unansweredBytesMax && unansweredFrames <= limits.unansweredFramesMax) ws.resume();
      });
    });
    ws.on('pong', () => (peer.isAnswering = true));
    ws.on('error', () => {}); // the close that follows says all there is
    ws.on('close', () => leave(peer));
    socket.on('drain', connection.bufferDrained);
  }

  function enter(peer: Peer): void {
    peers.add(peer);
    byAddress.set(peer.address, (byAddress.get(peer.address) ?? 0) + 1);
    sweeping ??= setInterval(sweep, sweepMs).unref();
  }

  function leave(peer: Peer): void {
    if (!peers.delete(peer)) return;
    const left = (byAddress.get(peer.address) ?? 1) - 1;
    if (left > 0) byAddress.set(peer.address, left);
    else byAddress.delete(peer.address);
    peer.connection.closed();
    if (peers.size > 0) return;
    clearInterval(sweeping);
    sweeping = undefined;
    onEmpty?.();
  }

  function end(peer: Peer, name: CloseName): void {
    if (peer.isClosing) return;
    peer.isClosing = true;
    peer.sweepsLeft = Math.ceil(limits.closeGraceMs / sweepMs);
    peer.connection.closed();
    peer.ws.resume(); // so that the answer to the close is read
    peer.ws.close(closeCodes[name].code, name);
  }

  function sweep(): void {
    for (const peer of peers) {
      peer.sweepsLeft -= 1;
      if (peer.sweepsLeft <= 0) due(peer);
    }
  }

  function due(peer: Peer): void {
    if (peer.isClosing) return peer.ws.terminate();
    if (!peer.connection.isOpen()) return end(peer, 'helloTimeout');
    if (!peer.isAnswering) return end(peer, 'silent');
    peer.isAnswering = false;
    peer.sweepsLeft = sweepsPerPing;
    peer.ws.ping();
  }

  async function drain(): Promise<void> {
    isDraining = true;
    const leaving = [...peers];
    const perWave = Math.ceil(leaving.length / limits.drainWaves);
    for (let i = 0; i < leaving.length; i += perWave) {
      for (const peer of leaving.slice(i, i + perWave)) end(peer, 'restart');
      if (i + perWave < leaving.length) await new Promise((resolve) => setTimeout(resolve, limits.drainMs / limits.drainWaves));
    }
    if (peers.size > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
    await Promise.all(leaving.map((peer) => peer.connection.idle()));
  }

  return { upgrade, connections: () => peers.size, drain };
}

const sendOptions = { binary: true };

/** Faults the WebSocket layer finds by itself close with our codes too. */
class FrameSocket extends WebSocket {
  override close(code?: number, data?: string | Buffer): void {
    if (code === 1009) super.close(closeCodes.tooBig.code, 'tooBig');
    else if (code === 1002 || code === 1007 || code === 1003) super.close(closeCodes.malformed.code, 'malformed');
    else super.close(code, data);
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** A browser says where the page came from; other clients say nothing and hold no cookies of ours. */
function isSameOrigin({ headers }: IncomingMessage, origin: string | undefined): boolean {
  if (headers.origin === undefined) return true;
  if (origin !== undefined) return headers.origin === origin;
  return headers.origin === `http://${headers.host}` || headers.origin === `https://${headers.host}`;
}
