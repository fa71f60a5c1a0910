/**
 * The Automerge side of the vault core: the only code that loads the library, and only when it is first
 * asked to do something. It runs in the wasm worker of a browser and directly in Node.
 *
 * A call brings the saved document along and takes the next one home, so the worker may die at any moment;
 * the document it worked on last is kept in memory, so nothing is loaded twice. Every register is a key of
 * the document's root map, which all documents share from birth: devices that never met can merge.
 */
import { sha256 } from '#lib/crypto/primitives.ts';
import { concatBytes, copyBytes, equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { RegisterValue, RegisterWrite } from './core-view.ts';

type Automerge = typeof import('@automerge/automerge');
type CoreDocument = import('@automerge/automerge').Doc<Record<string, unknown>>;

export interface CoreAdvance {
  /** As the last answer gave it; undefined for a new document. */
  readonly document: Bytes | undefined;
  /** This device's name in the document, 32 hex digits. */
  readonly actor: string;
  /** Each group becomes one change. */
  readonly writes: readonly (readonly RegisterWrite[])[];
  /** Changes of other devices, in any order, as often as they like. */
  readonly received: readonly Bytes[];
}

export interface CoreChange {
  readonly change: Bytes;
  /** The fingerprint of the whole state after this change: 32 bytes per head. */
  readonly heads: Bytes;
}

export interface CoreAdvanced {
  readonly document: Bytes;
  readonly changes: readonly CoreChange[];
  readonly registers: readonly RegisterWrite[];
  readonly heads: Bytes;
  /** Received changes whose predecessors have not come: kept inside the document until they do. */
  readonly waiting: number;
  /** Received bytes that are no change at all. */
  readonly refused: number;
}

export interface CoreService {
  readonly advance: (input: CoreAdvance) => Promise<CoreAdvanced>;
}

export function createCoreService(): CoreService {
  let held: { readonly saved: Bytes; readonly document: CoreDocument } | undefined;

  async function advance({ document, actor, writes, received }: CoreAdvance): Promise<CoreAdvanced> {
    const automerge = await import('@automerge/automerge');
    let current = document && held && equalBytes(held.saved, document) ? held.document
      : document ? automerge.load<Record<string, unknown>>(document, { actor })
        : automerge.init<Record<string, unknown>>({ actor });
    held = undefined; // a call that fails half way leaves nothing to build on

    const changes: CoreChange[] = [];
    for (const group of writes) {
      const next = automerge.change(current, { time: 0 }, (draft) => writeGroup(automerge, draft, group));
      const change = automerge.getLastLocalChange(next);
      // Writing what is already there makes no change, and then there is nothing to send.
      if (change && !equalHeads(automerge, current, next)) changes.push({ change: copyBytes(change), heads: headBytes(automerge, next) });
      current = next;
    }

    let refused = 0;
    const sound = received.filter((change) => isChange(automerge, change) || !++refused);
    if (sound.length > 0) [current] = automerge.applyChanges(current, sound);

    const saved = copyBytes(automerge.save(current));
    // A document that took changes in step by step can show another winner of a conflict than its own bytes do
    // (Automerge 3.5, about one in a hundred crowded merges); what is loaded is the same on every device.
    if (sound.length > 0) {
      automerge.free(current); // its memory is the wasm's, which nothing collects soon enough
      current = automerge.load<Record<string, unknown>>(saved, { actor });
    }
    held = { saved, document: current };
    return {
      document: saved,
      changes,
      registers: readRegisters(automerge, current),
      heads: headBytes(automerge, current),
      waiting: automerge.getMissingDeps(current, []).length,
      refused,
    };
  }

  // One call at a time: a document handle is used up by the step that follows it.
  let last: Promise<unknown> = Promise.resolve();
  return {
    advance(input) {
      const next = last.then(() => advance(input));
      last = next.catch(() => undefined); // the caller has the failure; the next call starts from its own document
      return next;
    },
  };
}

/** A name for a change, to recognise it by. */
export function changeId(change: Uint8Array): Bytes {
  return sha256(change);
}

function writeGroup(automerge: Automerge, draft: Record<string, unknown>, group: readonly RegisterWrite[]): void {
  for (const { path, to } of group) {
    if (to.type === 'gone') delete draft[path];
    else if (to.type === 'text') {
      // An immutable string is one register; a plain one would be a text that two devices merge letter by letter.
      if (String(draft[path]) !== to.value || !automerge.isImmutableString(draft[path])) draft[path] = new automerge.ImmutableString(to.value);
    } else if (to.type === 'number') {
      draft[path] = new automerge.Int(to.value);
    } else draft[path] = to.value;
  }
}

function readRegisters(automerge: Automerge, document: CoreDocument): readonly RegisterWrite[] {
  const registers: RegisterWrite[] = [];
  for (const path of Object.keys(document).sort()) {
    const to = readRegister(automerge, document[path]);
    if (to) registers.push({ path, to });
  }
  return registers;
}

/** Undefined for a kind of value this version does not know; it stays in the document. */
function readRegister(automerge: Automerge, value: unknown): RegisterValue | undefined {
  if (automerge.isImmutableString(value)) return { type: 'text', value: value.toString() };
  if (typeof value === 'boolean') return { type: 'flag', value };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { type: 'number', value };
  if (value instanceof Uint8Array) return { type: 'bytes', value: copyBytes(value) };
  return undefined;
}

function isChange(automerge: Automerge, bytes: Uint8Array): boolean {
  try {
    automerge.decodeChange(bytes);
    return true;
  } catch {
    return false; // the library says why in prose only; the count of refused changes is what we report
  }
}

function headBytes(automerge: Automerge, document: CoreDocument): Bytes {
  return concatBytes(...automerge.getHeads(document).toSorted().map((head) => Uint8Array.from(head.match(/../g)!, (pair) => parseInt(pair, 16))));
}

function equalHeads(automerge: Automerge, a: CoreDocument, b: CoreDocument): boolean {
  return equalBytes(headBytes(automerge, a), headBytes(automerge, b));
}
