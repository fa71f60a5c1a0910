/**
 * What an operator may choose, read from the environment once, at start. A wrong value stops the
 * start with one line that names it.
 */

export interface Config {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Everything Godwit keeps is below this folder. */
  readonly dataDir: string;
  /** Where people reach us, when a proxy stands in front: `https://chat.example`. Else what they asked for counts. */
  readonly origin: string | undefined;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}
