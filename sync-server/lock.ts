/**
 * One Godwit per data folder. Two would hand out the same places of a conversation twice.
 *
 * The lock is an open transaction on an empty SQLite file: the system lets go of it when the process
 * ends, however it ends, so nothing is ever left behind that somebody must clean up.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartFault } from '#lib/server/start-fault.ts';

export interface FolderLock {
  readonly release: () => void;
}

/** SQLITE_BUSY */
const busy = 5;

/** Throws StartFault. */
export function lockFolder(dataDir: string): FolderLock {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dataDir, { recursive: true });
    database = new DatabaseSync(join(dataDir, 'lock'));
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw (error as { errcode?: number }).errcode === busy
      ? new StartFault('config', `another Godwit is running on the data folder ${dataDir}: stop it first, or name another folder in DATA_DIR`)
      : new StartFault('not-writable', `the data folder ${dataDir} cannot be written (${(error as NodeJS.ErrnoException).code}): check who owns it, or name another in DATA_DIR`);
  }
  const held = database;
  return { release: () => held.close() };
}
