/**
 * The operator's command after a restore from a backup: `node tools/new-lineage.ts [data folder]`, with
 * the server stopped. Clients then know that what they saw last may be gone, read anew, and send again
 * what is theirs; and no slot given out since the backup is given out a second time.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { databaseFile } from '#lib/server/secrets.ts';
import { StartFault } from '#lib/server/start-fault.ts';
import { StoreFault } from '#lib/server/store/fault.ts';
import { openSqliteStore } from '#lib/server/store/sqlite.ts';
import { lockFolder } from '../sync-server/lock.ts';

const path = join(resolve(process.argv[2] ?? process.env['DATA_DIR'] ?? 'data'), databaseFile);

async function main(): Promise<number> {
  if (!existsSync(path)) {
    console.error(`There is no database at ${path}.`);
    return 1;
  }
  try {
    const lock = lockFolder(dirname(path));
    const store = await openSqliteStore({ path });
    const lineage = await store.renewLineage();
    await store.close();
    lock.release();
    console.log(`${path} has a new lineage (${lineage.slice(0, 6)}…). Start the server; clients reconcile by themselves.`);
    return 0;
  } catch (error) {
    if (!(error instanceof StoreFault || error instanceof StartFault)) throw error;
    console.error(`Cannot open ${path}: ${error.message}`);
    return 1;
  }
}

process.exitCode = await main();
