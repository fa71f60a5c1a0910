/**
 * What an operator may choose, read from the environment once, at start. A wrong value stops the
 * start with one line that names it. Nothing here is secret: keys live in files below `dataDir`.
 */
import { resolve } from 'node:path';
import { StartFault } from './start-fault.ts';

export interface Config {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Everything Godwit keeps is below this folder. */
  readonly dataDir: string;
  /**
   * Where people reach us when a proxy stands in front: `https://chat.example`. Else what they asked
   * for counts. The proxy is then believed about who asks (the last of `X-Forwarded-For`).
   */
  readonly origin: string | undefined;
  readonly logLevel: LogLevel;
  /** `relaxed` multiplies every rate limit by a thousand: for tests, benches and seeding. */
  readonly limits: 'normal' | 'relaxed';
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws StartFault. */
export function readConfig(environment: Environment, workingDirectory: string): Config {
  const value = (name: string) => environment[name]?.trim() || undefined;
  return {
    host: value('HOST') ?? '127.0.0.1',
    port: readPort(value('PORT') ?? '3000'),
    dataDir: resolve(workingDirectory, value('DATA_DIR') ?? 'data'),
    origin: readOrigin(value('ORIGIN')),
    logLevel: oneOf('LOG_LEVEL', logLevels, value('LOG_LEVEL') ?? 'info'),
    limits: oneOf('LIMITS', ['normal', 'relaxed'] as const, value('LIMITS') ?? 'normal'),
  };
}

export function isHttps(config: Config): boolean {
  return config.origin?.startsWith('https://') ?? false;
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new StartFault('config', `PORT must be a number from 0 to 65535, not "${text}"`);
  return port;
}

function readOrigin(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.origin !== text.replace(/\/$/, '')) {
    throw new StartFault('config', `ORIGIN must be like https://chat.example, not "${text}"`);
  }
  return url.origin;
}

function oneOf<const W extends readonly string[]>(name: string, words: W, text: string): W[number] {
  if (!words.includes(text)) throw new StartFault('config', `${name} must be one of ${words.join(', ')}, not "${text}"`);
  return text;
}
