/**
 * Real servers for tests and benches: the process `npm start` runs, on a free port of 127.0.0.1, with a
 * data folder of its own, and worlds put into that folder before it starts.
 *
 * Rate limits are relaxed, because one machine plays everybody.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '#lib/server/config.ts';
import { openServer } from '#lib/server/open.ts';
import { unwrap } from '#lib/std/result.ts';
import { bytesToHex } from '#lib/std/bytes.ts';
import { systemClock, systemRandom } from '#lib/std/system.ts';
import { bytesToId, type AccountId, type ConversationId, type DeviceId, type Handle } from '#lib/protocol/ids.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface TestServer {
  /** `http://localhost:<port>` */
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** Everything it has printed. */
  readonly output: () => string;
  /** Sends the signal and resolves with the exit code once it has ended; null when a signal ended it. */
  readonly end: (signal?: 'SIGTERM' | 'SIGKILL' | 'SIGINT') => Promise<number | null>;
}

export interface ServerOptions {
  readonly dataDir: string;
  /** `sync` needs no built app. */
  readonly roles?: 'sync' | 'web,sync';
  /** 0 takes a free one. */
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Rejects with what it printed when it does not start. */
export async function startServer({ dataDir, roles = 'sync', port = 0, environment = {} }: ServerOptions): Promise<TestServer> {
  const child = spawn(nodePath(), [join(root, 'sync-server/main.ts')], {
    cwd: root,
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir, ROLES: roles, LIMITS: 'relaxed', LOG_LEVEL: 'warn', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const address = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const running = /^Godwit is running at (\S+)$/m.exec(output);
        if (running) resolve(running[1]!);
      });
    }
    void ended.then((code) => reject(new Error(`the server ended with ${code}: ${output}`)));
  });
  return {
    address, dataDir, port: Number(new URL(address).port), pid: child.pid!, output: () => output,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs a start that is expected to fail, and answers how it ended. */
export async function failToStart(environment: Readonly<Record<string, string>>): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(nodePath(), [join(root, 'sync-server/main.ts')], { cwd: root, env: { PATH: process.env['PATH'], ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/** The Node this project brings along, whichever one runs us. */
function nodePath(): string {
  const own = join(root, 'node_modules/node/bin/node');
  return existsSync(own) ? own : process.execPath;
}

export async function makeDataDir(): Promise<{ readonly dataDir: string; readonly remove: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'godwit-'));
  return { dataDir, remove: () => rm(dataDir, { recursive: true, force: true }) };
}

export interface SeededMember {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly conversation: ConversationId;
  /** For HELLO; good for five minutes. */
  readonly token: string;
}

/** Rooms full of signed-in people, written straight into the store of a folder no server runs on. */
export async function seedRooms(dataDir: string, { rooms, members }: { readonly rooms: number; readonly members: number }): Promise<readonly (readonly SeededMember[])[]> {
  const server = await openServer(readConfig({ DATA_DIR: dataDir, LIMITS: 'relaxed', LOG_LEVEL: 'silent' }, root));
  const { store } = server;
  const now = systemClock.now();

  async function seedMember(conversation: ConversationId): Promise<SeededMember> {
    const account = newId<AccountId>();
    const device = newId<DeviceId>();
    const handle = `p${bytesToHex(systemRandom.bytes(8))}` as Handle;
    unwrap(await store.createAccount({
      account, handle, registrationRecord: 'none', recoveryProofHash: new Uint8Array(32), genesis: new Uint8Array(64), vault: new Uint8Array(64),
      uekWraps: [], now,
    }), 'a new account is stored');
    const sessionHash = bytesToHex(systemRandom.bytes(32));
    await store.putSession({ idHash: sessionHash, account, device, createdAt: now, expiresAt: now + 3_600_000 });
    const { token } = unwrap(await server.identity.syncToken({ account, device, handle, sessionHash }), 'a session with a device gets a token');
    return { account, device, conversation, token };
  }

  async function seedRoom(): Promise<readonly SeededMember[]> {
    const conversation = newId<ConversationId>();
    const people = await Promise.all(Array.from({ length: members }, () => seedMember(conversation)));
    unwrap(await store.appendGroupEntry({
      conversation, height: 1, entry: new Uint8Array(64), epoch: 1, rotationDue: false, removes: false,
      members: people.map(({ account }, i) => ({ account, role: i === 0 ? 'owner' : 'member' })), wraps: [], now,
    }), 'a new conversation is stored');
    return people;
  }

  try {
    return await Promise.all(Array.from({ length: rooms }, seedRoom));
  } finally {
    await server.close();
  }
}

function newId<I extends AccountId | DeviceId | ConversationId>(): I {
  return bytesToId<I>(systemRandom.bytes(16));
}
