/**
 * The server's own keys, made at the first start and kept in files only their owner may read
 * (`dataDir/secrets`, mode 0600). They stand beside the database and not in it, so a copy of the
 * database alone signs no token and answers no password.
 *
 * Losing the OPAQUE setup voids every password, so a folder that has data and no keys does not start.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StartFault } from './start-fault.ts';

export interface Secrets {
  /** @serenity-kit/opaque's server setup. */
  readonly opaqueServerSetup: string;
  /** A private ES256 key as JWK text. */
  readonly syncTokenKey: string;
}

export interface SecretMakers {
  readonly makeOpaqueServerSetup: () => Promise<string>;
  readonly makeSyncTokenKey: () => Promise<string>;
}

export const databaseFile = 'godwit.db';

/** Throws StartFault. */
export async function openSecrets(dataDir: string, { makeOpaqueServerSetup, makeSyncTokenKey }: SecretMakers): Promise<Secrets> {
  const folder = join(dataDir, 'secrets');
  const hasData = existsSync(join(dataDir, databaseFile));
  inFolder(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));

  async function keep(name: string, make: () => Promise<string>): Promise<string> {
    const path = join(folder, name);
    if (existsSync(path)) return inFolder(folder, () => readFileSync(path, 'utf8'));
    if (hasData) throw new StartFault('secrets', `${path} is missing while there is data: restore it from the backup, or every password is void`);
    const secret = await make();
    inFolder(folder, () => writeDurably(path, secret));
    return secret;
  }

  return {
    opaqueServerSetup: await keep('opaque-server-setup', makeOpaqueServerSetup),
    syncTokenKey: await keep('sync-token-key.json', makeSyncTokenKey),
  };
}

/** Whole or not at all: a start that dies here finds nothing half written the next time. */
function writeDurably(path: string, text: string): void {
  const fresh = `${path}.new`;
  const file = openSync(fresh, 'w', 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(fresh, path);
}

function inFolder<T>(folder: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new StartFault('not-writable', `cannot read and write ${folder}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
  }
}
