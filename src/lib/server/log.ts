/**
 * The log: JSON lines that say what we were doing, to which id, and what happens next. Ids are
 * shortened, and names, texts, keys, tokens, cookies and addresses never reach it.
 */
import type { Logger } from 'pino';

export type Log = Logger;
