/**
 * Starts a node: everything in one process by default, or the roles it is given, and takes it down
 * again without losing what it had begun.
 *
 * What stops a start is one clear line, a StartFault: a wrong setting, a folder that cannot be written or is in
 * use, a port that is taken, an app that is not built.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isHttps, type Environment } from '#lib/server/config.ts';
import { headersFor } from '#lib/server/headers.ts';
import { requestSizeBytesMax } from '#lib/server/http.ts';
import { openServer, readConfig, shareServer, StartFault, type Config, type GodwitServer } from '#lib/server/open.ts';
import { connectionLimits } from './connection.ts';
import { createGateway, gatewayLimits, type Gateway } from './gateway.ts';
import { createHttpServer, type KitHandler } from './http.ts';
import { lockFolder } from './lock.ts';
import { createSyncNode } from './node.ts';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RunningNode {
  /** Where people reach it. */
  readonly address: string;
  readonly config: Config;
  readonly server: GodwitServer;
  /** Leaves in order: nobody new, everybody told, what was begun is finished, everything closed. */
  readonly stop: () => Promise<void>;
}

export interface StartOptions {
  readonly environment: Environment;
  readonly workingDirectory: string;
  /** Where `vite build` put the app. */
  readonly buildDir?: string;
}

const roles = ['web', 'sync'] as const;
type Role = (typeof roles)[number];

/** How long requests under way may take once the node leaves. */
const requestsEndMs = 10_000;

/** Throws StartFault. */
export async function startNode({ environment, workingDirectory, buildDir = fileURLToPath(new URL('../build', import.meta.url)) }: StartOptions): Promise<RunningNode> {
  const config = readConfig(environment, workingDirectory);
  const myRoles = readRoles(environment['ROLES']);
  const closers: (() => Promise<void> | void)[] = [];
  let isLeaving = false;

  async function stop(): Promise<void> {
    isLeaving = true;
    for (const close of closers.splice(0).reverse()) await close();
  }

  try {
    if (myRoles.includes('web') && !existsSync(`${buildDir}/handler.js`)) {
      throw new StartFault('config', `the app is not built yet: run "npm run build" first (there is no ${buildDir}/handler.js)`);
    }
    const lock = lockFolder(config.dataDir);
    closers.push(lock.release);
    const server = await openServer(config);
    shareServer(server);
    closers.push(() => shareServer(undefined), server.close);

    const kit = myRoles.includes('web') ? await loadKit(config, buildDir) : undefined;
    const gateway = createNodeGateway(server, config);
    const http = createHttpServer({ gateway, kit, headersFor: (path) => headersFor(path, { https: isHttps(config) }), isBehindProxy: config.origin !== undefined, isReady });
    await listen(http, config);
    closers.push(() => endRequests(http), gateway.drain);

    async function isReady(): Promise<boolean> {
      return !isLeaving && server.store.lineage().then(() => true, () => false);
    }

    return { address: addressOf(http, config), config, server, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function createNodeGateway(server: GodwitServer, config: Config): Gateway {
  const isRelaxed = config.limits === 'relaxed';
  const node = createSyncNode(server, { schedule: setImmediate, limits: isRelaxed ? relaxed : {} });
  return createGateway({ node, origin: config.origin, limits: isRelaxed ? { connectionsPerAddressMax: gatewayLimits.connectionsMax } : {} });
}

/** For benches and tests, where one machine plays everybody. */
const relaxed = Object.fromEntries((['frames', 'entries', 'ephemerals'] as const).map((name) => {
  const { burst, perSecond } = connectionLimits[name];
  return [name, { burst: burst * 1_000, perSecond: perSecond * 1_000 }];
}));

/** The app as adapter-node built it. It reads these settings once, while it is imported. */
async function loadKit(config: Config, buildDir: string): Promise<KitHandler> {
  Object.assign(process.env, {
    // Without an ORIGIN the app is where the browser asked for it: localhost and 127.0.0.1 both work.
    ...(config.origin ? { ORIGIN: config.origin } : { PROTOCOL_HEADER: 'x-forwarded-proto' }),
    BODY_SIZE_LIMIT: String(requestSizeBytesMax),
  });
  const { handler } = (await import(pathToFileURL(`${buildDir}/handler.js`).href)) as { readonly handler: KitHandler };
  return handler;
}

function listen(http: Server, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => reject(portFault(error, host, port)));
    http.listen(port, host, resolve);
  });
}

function portFault(error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code) {
    case 'EADDRINUSE': return new StartFault('config', `port ${port} is taken by another program: stop it, or choose another with PORT=${port < 65_535 ? port + 1 : port - 1}`);
    case 'EACCES': return new StartFault('config', `port ${port} may not be used by this user: choose one above 1023 with PORT`);
    case 'EADDRNOTAVAIL': case 'ENOTFOUND': return new StartFault('config', `HOST "${host}" is no address of this machine`);
    default: return error;
  }
}

function addressOf(http: Server, { origin, host }: Config): string {
  const { port } = http.address() as AddressInfo;
  const isHere = ['127.0.0.1', '::1', '0.0.0.0', '::', 'localhost'].includes(host);
  return origin ?? `http://${isHere ? 'localhost' : host}:${port}`;
}

async function endRequests(http: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => http.close(() => resolve()));
  http.closeIdleConnections();
  const timer = setTimeout(() => http.closeAllConnections(), requestsEndMs);
  await closed;
  clearTimeout(timer);
}

function readRoles(text: string | undefined): readonly Role[] {
  const names = (text?.trim() || roles.join(',')).split(',').map((name) => name.trim());
  for (const name of names) if (!roles.includes(name as Role)) throw new StartFault('config', `ROLES must be of ${roles.join(', ')}, not "${name}"`);
  return names as Role[];
}
