/** Turns what IndexedDB throws into the few faults the app has words for. */
import { StorageError, type StorageFault } from './database.ts';

const reasonByName: Readonly<Record<string, StorageFault>> = {
  QuotaExceededError: 'full',
  VersionError: 'newer-version',
  /** A store or the whole database is gone under an open connection. */
  NotFoundError: 'evicted',
  /** The connection is closed or closing; at opening, a private window without storage. */
  InvalidStateError: 'closed',
  SecurityError: 'blocked',
  DataError: 'corrupt',
  NotReadableError: 'corrupt',
};

/** Our own broken promises (a callback that throws, a value that cannot be cloned) pass as they are. */
export function toStorageError(error: unknown, during: 'open' | 'use', ended?: StorageFault): unknown {
  if (error instanceof StorageError || !isDomException(error)) return error;
  if (error.name === 'DataCloneError') return error;
  if (during === 'open' && error.name === 'InvalidStateError') return new StorageError('blocked', { cause: error });
  if (ended && (error.name === 'InvalidStateError' || error.name === 'AbortError')) return new StorageError(ended, { cause: error });
  return new StorageError(reasonByName[error.name] ?? 'failed', { cause: error });
}

/** Some browsers give quota faults as an own kind of object, so the name decides. */
function isDomException(error: unknown): error is { readonly name: string } {
  return error instanceof DOMException || (error instanceof Error && error.name in reasonByName);
}
