/** The identity room's faults in the words of the engine's API. */
import type { EntryFault } from '#lib/identity/faults.ts';
import type { EntryError } from './engine-api.ts';

export function toEntryError(fault: EntryFault): EntryError {
  return fault.type === 'words-invalid' ? { type: 'words-invalid' } : fault;
}
