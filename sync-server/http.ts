/**
 * The HTTP side of a node: health, the built app, and the socket at `/sync`.
 *
 * `/livez` says that the process runs, `/readyz` that it takes work: it turns to 503 as soon as the node
 * begins to leave, so that a load balancer sends nobody new.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Gateway } from './gateway.ts';

export type KitHandler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

export interface HttpDeps {
  readonly gateway: Gateway;
  /** The built app; undefined on a node that only syncs. */
  readonly kit: KitHandler | undefined;
  /** What every answer at this path carries. */
  readonly headersFor: (path: string) => Readonly<Record<string, string>>;
  readonly isBehindProxy: boolean;
  readonly isReady: () => Promise<boolean>;
}

export const syncPath = '/sync';

export function createHttpServer({ gateway, kit, headersFor, isBehindProxy, isReady }: HttpDeps): Server {
  const listener: RequestListener = (request, response) => {
    const path = pathOf(request);
    for (const [name, value] of Object.entries(headersFor(path))) response.setHeader(name, value);
    // The built app learns from it how it was asked for; only a proxy that we stand behind may say so.
    if (!isBehindProxy) request.headers['x-forwarded-proto'] = 'http';
    switch (path) {
      case '/livez': return answer(response, 200, 'alive');
      case '/readyz': return void isReady().then((ready) => answer(response, ready ? 200 : 503, ready ? 'ready' : 'not ready'));
      case syncPath: return answer(response, 426, 'this address speaks WebSocket', { upgrade: 'websocket' });
      default: return kit ? kit(request, response, () => answer(response, 404, 'not found')) : answer(response, 404, 'not found');
    }
  };
  const server = createServer({ keepAliveTimeout: 75_000 }, listener); // longer than a proxy keeps an idle connection
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request) === syncPath) return gateway.upgrade(request, socket, head);
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  return server;
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]!;
}

function answer(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers }).end(`${text}\n`);
}
