/**
 * The account's private state on this device: read at once from a plain view, changed at once, merged with
 * the account's other devices when the Automerge service has time.
 *
 * `set` and `receive` return once their work is on disk [VA10], and neither waits for Automerge. Writes wait as
 * plain register writes until `takeUnsent` turns them into changes; changes wait until `markSent`; what other
 * devices sent waits until it is merged. Each step is one transaction, so a tab closed at any moment repeats a
 * step at worst, and repeating is harmless: a change is known by its hash.
 */
import { bytes, decode, encode, fixed, list, struct } from '#lib/protocol/codec.ts';
import type { DeviceId } from '#lib/protocol/ids.ts';
import { idToBytes } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Database } from '#lib/storage/database.ts';
import { StorageError } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import { bytesToBase64url, bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { changeId, type CoreService } from './core-service.ts';
import { applyWrites, decodeWrites, encodeWrites, mutationToWrites, registersToView, type Registers, type RegisterWrite, type VaultMutation,
  type VaultView } from './core-view.ts';

export interface UnsentChange {
  readonly id: string;
  /** The `vault-change` event of the self conversation carries both. */
  readonly change: Bytes;
  readonly heads: Bytes;
}

export interface VaultCore {
  readonly view: () => VaultView;
  /** The fingerprint of what is merged: equal on two devices that hold the same changes. */
  readonly heads: () => Bytes;
  /** Resolves once on disk; the view has it from then on. */
  readonly set: (mutation: VaultMutation) => Promise<void>;
  /** Everything to send, oldest first, the same again until it is marked. Fails only when the service cannot be loaded. */
  readonly takeUnsent: () => Promise<Result<readonly UnsentChange[], 'service-unavailable'>>;
  readonly markSent: (ids: readonly string[]) => Promise<void>;
  /** Changes of other devices, in any order; resolves once on disk and merges in the background. */
  readonly receive: (changes: readonly Bytes[]) => Promise<void>;
  /** Merges what waits. Fails only when the service cannot be loaded: then it stays waiting. */
  readonly settle: () => Promise<Result<{ readonly waiting: number; readonly refused: number }, 'service-unavailable'>>;
  /** Whether anything is to be sent. */
  readonly hasUnsent: () => boolean;
  readonly subscribe: (listener: (view: VaultView) => void) => () => void;
  /** Waits for what is under way. */
  readonly close: () => Promise<void>;
}

export interface VaultCoreDeps {
  readonly database: Database;
  /** Under the device storage key. */
  readonly sealer: Sealer;
  readonly device: DeviceId;
  /** Loaded when first needed. */
  readonly service: CoreService;
  /** Told when a merge in the background could not be stored; what it was to merge is still waiting. */
  readonly failed: (error: unknown) => void;
}

/** Small writes share a change up to this, so that every change fits an envelope; a picture is a change of its own. */
const changeSizeBytesMax = 4 * 1024;
/** More than a year of devices that were offline; `receive` merges before it takes more. */
const inboxMax = 20_000;
/** Own changes come back with the conversation; this many are recognised without loading Automerge. */
const ownChangesMax = 1_024;

const writeGroups = list(bytes(limits.vaultSizeBytesMax), 100_000);
const changeList = list(bytes(64 * 1024), inboxMax * 2);
const unsentCodec = list(struct({ change: bytes(64 * 1024), heads: bytes(32 * 64) }), 100_000);
const idList = list(fixed(32), ownChangesMax * 2);
const documentCodec = struct({ document: bytes(64 * 1024 * 1024), heads: bytes(32 * 64) });

export async function openVaultCore({ database, sealer, device, service, failed }: VaultCoreDeps): Promise<VaultCore> {
  let registers: Registers = new Map();
  let document: { readonly document: Bytes; readonly heads: Bytes } | undefined;
  let pending: readonly (readonly RegisterWrite[])[] = [];
  let inbox: readonly Bytes[] = [];
  let unsent: readonly { readonly change: Bytes; readonly heads: Bytes }[] = [];
  let own: readonly Bytes[] = [];
  let view: VaultView;
  /** Groups of `pending` that a merge has taken: later writes start their own. */
  let frozen = 0;
  const listeners = new Set<(view: VaultView) => void>();
  const actor = bytesToHex(idToBytes(device));

  const load = await readAll(['registers', 'document', 'pending', 'inbox', 'unsent', 'own']);
  if (load.registers) registers = applyWrites(registers, sound(decodeWrites(load.registers)));
  if (load.document) document = sound(decode(documentCodec, load.document));
  if (load.pending) pending = sound(decode(writeGroups, load.pending)).map((raw) => sound(decodeWrites(raw)));
  if (load.inbox) inbox = sound(decode(changeList, load.inbox));
  if (load.unsent) unsent = sound(decode(unsentCodec, load.unsent));
  if (load.own) own = sound(decode(idList, load.own));
  view = registersToView(registers);

  // One step on the stored state at a time; none of them waits for Automerge.
  let step: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = step.then(work);
    step = next.catch(() => undefined); // the caller has the failure
    return next;
  }

  // One merge at a time, beside the steps.
  let merging: Promise<unknown> = Promise.resolve();
  function settle(): ReturnType<VaultCore['settle']> {
    const next = merging.then(merge);
    merging = next.catch(() => undefined); // the caller has the failure
    return next;
  }

  async function merge(): Promise<Result<{ readonly waiting: number; readonly refused: number }, 'service-unavailable'>> {
    const taken = await inTurn(async () => {
      frozen = pending.length;
      return { pending, inbox, document };
    });
    if (taken.pending.length === 0 && taken.inbox.length === 0) return ok({ waiting: 0, refused: 0 });
    let advanced;
    try {
      advanced = await service.advance({
        document: taken.document?.document, actor, writes: taken.pending, received: taken.inbox,
      });
    } catch {
      frozen = 0;
      return err('service-unavailable'); // its wasm did not load or its worker died; nothing was taken from disk
    }
    return inTurn(async () => {
      const stillPending = pending.slice(taken.pending.length);
      const merged = applyWrites(new Map(), advanced.registers);
      await writeAll({
        registers: applyWrites(merged, stillPending.flat()),
        document: { document: advanced.document, heads: advanced.heads },
        pending: stillPending,
        inbox: inbox.slice(taken.inbox.length),
        unsent: [...unsent, ...advanced.changes],
        own: [...own, ...advanced.changes.map(({ change }) => changeId(change))].slice(-ownChangesMax),
      });
      frozen = 0;
      return ok({ waiting: advanced.waiting, refused: advanced.refused });
    });
  }

  interface State {
    registers: Registers; document: typeof document; pending: typeof pending; inbox: typeof inbox; unsent: typeof unsent; own: typeof own;
  }

  /** Seals, stores in one transaction, and only then takes the new state over. */
  async function writeAll(next: Partial<State>): Promise<void> {
    const parts: [CorePart, Bytes][] = [];
    if (next.registers) parts.push(['registers', encodeWrites([...next.registers].map(([path, to]) => ({ path, to })))]);
    if (next.document) parts.push(['document', encode(documentCodec, next.document)]);
    if (next.pending) parts.push(['pending', encode(writeGroups, next.pending.map(encodeWrites))]);
    if (next.inbox) parts.push(['inbox', encode(changeList, next.inbox)]);
    if (next.unsent) parts.push(['unsent', encode(unsentCodec, next.unsent)]);
    if (next.own) parts.push(['own', encode(idList, next.own)]);
    const sealed = await Promise.all(parts.map(async ([part, plaintext]) => [coreKey(part), await sealer.seal('kv', coreKey(part), plaintext)] as const));
    await database.write(['kv'], async (tx) => {
      for (const [key, value] of sealed) await tx.put('kv', key, value);
    });
    ({ registers, document, pending, inbox, unsent, own } = { registers, document, pending, inbox, unsent, own, ...next });
    if (next.registers) {
      view = registersToView(registers);
      for (const listener of listeners) listener(view);
    }
  }

  async function readAll<P extends CorePart>(parts: readonly P[]): Promise<{ [K in P]?: Bytes }> {
    const stored = await database.read(['kv'], (tx) => Promise.all(parts.map((part) => tx.get('kv', coreKey(part)))));
    const out: { [K in P]?: Bytes } = {};
    for (const [i, part] of parts.entries()) {
      const sealed = stored[i];
      if (sealed === undefined) continue;
      if (!(sealed instanceof Uint8Array)) throw new StorageError('corrupt');
      out[part] = sound(await sealer.unseal('kv', coreKey(part), sealed));
    }
    return out;
  }

  return {
    view: () => view,
    heads: () => document?.heads ?? new Uint8Array(),
    set: (mutation) => inTurn(async () => {
      const writes = mutationToWrites(mutation, registers);
      if (writes.length === 0) return;
      await writeAll({ registers: applyWrites(registers, writes), pending: [...pending.slice(0, frozen), ...groupWrites(pending.slice(frozen), writes)] });
    }),
    async takeUnsent() {
      const settled = await settle();
      if (!settled.ok) return settled;
      return inTurn(async () => ok(unsent.map(({ change, heads }) => ({ id: bytesToBase64url(changeId(change)), change, heads }))));
    },
    markSent: (ids) => inTurn(() => writeAll({ unsent: unsent.filter(({ change }) => !ids.includes(bytesToBase64url(changeId(change)))) })),
    async receive(changes) {
      await inTurn(async () => {
        const known = new Set(own.map(bytesToBase64url));
        const news = changes.filter((change) => !known.has(bytesToBase64url(changeId(change))));
        if (news.length > 0) await writeAll({ inbox: [...inbox, ...news] });
      });
      if (inbox.length >= inboxMax) await settle();
      else if (inbox.length > 0) settle().catch(failed);
    },
    settle,
    hasUnsent: () => pending.length > 0 || unsent.length > 0,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      await merging;
      await step;
      listeners.clear();
    },
  };
}

type CorePart = 'registers' | 'document' | 'pending' | 'inbox' | 'unsent' | 'own';

function coreKey(part: CorePart): string {
  return `vault/${part}`;
}

function groupWrites(pending: readonly (readonly RegisterWrite[])[], writes: readonly RegisterWrite[]): readonly (readonly RegisterWrite[])[] {
  const together = [...(pending.at(-1) ?? []), ...writes];
  return pending.length > 0 && encodeWrites(together).length <= changeSizeBytesMax ? [...pending.slice(0, -1), together] : [...pending, writes];
}

/** What this device sealed itself decodes, or the disk lies. */
function sound<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new StorageError('corrupt');
  return result.value;
}
