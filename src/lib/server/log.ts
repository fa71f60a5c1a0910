/**
 * The log: JSON lines that say what we were doing, to which id, and what happens next. Ids are
 * shortened, and names, texts, keys, tokens, cookies and addresses never reach it.
 */
import { pino, type Logger } from 'pino';
import type { AnyId } from '#lib/protocol/ids.ts';
import type { LogLevel } from './config.ts';

export type Log = Logger;

/** Fields that may carry a secret or a person: taken out wherever a line nests them. */
const forbidden = ['cookie', 'authorization', 'token', 'password', 'handle', 'address', 'ip', 'remoteAddress', 'headers', 'body', 'envelope', 'entry', 'vault', 'wrap', 'sealed', 'record', 'key'];
const redact = { paths: forbidden.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[out]' };

export interface LogDestination {
  readonly write: (line: string) => void;
}

export function createLog(level: LogLevel, destination?: LogDestination): Log {
  const options = {
    level, redact, base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: serializeError },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Enough of an id to follow it through the log, too little to look anybody up by. */
export function short(id: AnyId | string): string {
  return id.slice(0, 6);
}

/** The kind, the reason and where it was thrown; other fields of an error may hold what people sent. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { reason } = error as { reason?: unknown };
  return { type: error.name, message: error.message, ...(typeof reason === 'string' && { reason }), stack: error.stack?.split('\n').slice(1, 9).map((line) => line.trim()) };
}
