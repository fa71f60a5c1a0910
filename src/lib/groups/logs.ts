/**
 * The group logs of this device: states, secrets and keys, each conversation's changes one at a time.
 */
import { verifyGroupEntries, verifyGroupEntry } from '#lib/chains/group-log.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { createSerialQueue, type SerialQueue } from '#lib/std/queue.ts';
import { ok, type Result } from '#lib/std/result.ts';
import type { Composed } from './compose.ts';
import { deriveEpochKeys, openLink, type EpochKeys } from './keys.ts';
import { createLogStore, type LogStore } from './log-store.ts';
import { createLookup } from './lookup.ts';
import { unsealMeta, type GroupMeta } from './meta.ts';
import type { GroupsDeps } from './ports.ts';
import { receive, type SyncError } from './receive.ts';

export interface Logs {
  readonly state: (conversation: ConversationId) => Promise<GroupState | undefined>;
  readonly load: () => Promise<ReadonlyMap<ConversationId, GroupState>>;
  readonly items: LogStore['items'];
  readonly sync: (conversation: ConversationId) => Promise<Result<GroupState, SyncError>>;
  readonly epochKeys: (conversation: ConversationId, epoch: number) => Promise<EpochKeys | undefined>;
  readonly secret: (conversation: ConversationId, epoch: number) => Promise<Bytes | undefined>;
  readonly meta: (conversation: ConversationId) => Promise<GroupMeta | undefined>;
  /** One change of a conversation at a time; inside, use `syncInside` and `settle`. */
  readonly alone: <T>(conversation: ConversationId, work: () => Promise<T>) => Promise<T>;
  readonly syncInside: (conversation: ConversationId) => Promise<Result<GroupState, SyncError>>;
  /** Takes in an entry of our own that the server accepted. */
  readonly settle: (composed: Composed, rt: number) => Promise<GroupState>;
  readonly close: () => Promise<void>;
}

/** Chats whose state stays in memory; the rest is read again from a few kilobytes. */
const statesMax = 1_024;
/** Epochs whose keys stay imported: every open chat's newest, and a scroll through old ones. */
const keysMax = 1_024;

export function createLogs(deps: GroupsDeps): Logs {
  const store = createLogStore(deps.database, deps.sealer);
  const states = createCache<GroupState>(statesMax);
  const keys = createCache<EpochKeys>(keysMax);
  /** A queue lives only while something of its chat runs. */
  const queues = new Map<ConversationId, { readonly queue: SerialQueue; users: number }>();
  let closed = false;

  async function state(conversation: ConversationId): Promise<GroupState | undefined> {
    const cached = states.get(conversation);
    if (cached) return cached;
    const stored = await store.state(conversation);
    const found = stored === 'broken' ? await rebuild(conversation) : stored;
    const newer = states.get(conversation); // a change may have ended while the disk was read
    if (newer) return newer;
    if (found) states.set(conversation, found);
    return found;
  }

  /** From the stored entries, when the snapshot rotted; undefined when they do not replay either. */
  async function rebuild(conversation: ConversationId): Promise<GroupState | undefined> {
    const entries = await store.entries(conversation, 1);
    const replayed = await verifyGroupEntries(undefined, entries, { conversation, accountState: createLookup(deps.accounts) });
    const rebuilt = replayed.ok ? replayed.value.state : undefined;
    if (rebuilt) await store.save({ state: rebuilt, entries: [], secrets: new Map() });
    return rebuilt;
  }

  async function load(): Promise<ReadonlyMap<ConversationId, GroupState>> {
    const all = new Map<ConversationId, GroupState>();
    for (const found of await store.states()) all.set(found.conversation, states.get(found.conversation) ?? found);
    return all;
  }

  async function secret(conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
    const stored = await store.secret(conversation, epoch);
    if (stored) return stored;
    return walkBack(conversation, epoch);
  }

  /** From the nearest later secret that is here, down the history links: heals a secret that rotted. */
  async function walkBack(conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
    const now = await state(conversation);
    const at = now?.epochs.findIndex((made) => made.epoch === epoch) ?? -1;
    if (!now || at < 0) return undefined;
    let above = at + 1;
    let found: Bytes | undefined;
    while (above < now.epochs.length && !(found = await store.secret(conversation, now.epochs[above]!.epoch))) above += 1;
    const healed = new Map<number, Bytes>();
    for (; found && above > at; above--) {
      const made = now.epochs[above]!;
      const [item] = await store.items(conversation, made.height, made.height);
      found = item && item.entry.link.length > 0 ? await openLink(found, item.entry.link, conversation, made.epoch) : undefined;
      if (found) healed.set(made.epoch - 1, found);
    }
    if (healed.size > 0) await store.saveSecrets(conversation, healed);
    return found;
  }

  async function epochKeys(conversation: ConversationId, epoch: number): Promise<EpochKeys | undefined> {
    const name = `${conversation}.${epoch}`;
    const cached = keys.get(name);
    if (cached) return cached;
    const found = await secret(conversation, epoch);
    if (!found) return undefined;
    const derived = await deriveEpochKeys(found, conversation);
    keys.set(name, derived);
    return derived;
  }

  async function meta(conversation: ConversationId): Promise<GroupMeta | undefined> {
    const newest = (await state(conversation))?.meta;
    const held = newest && (await epochKeys(conversation, newest.epoch));
    return held && unsealMeta(held.meta, newest.sealed, conversation, newest.epoch);
  }

  async function syncInside(conversation: ConversationId): Promise<Result<GroupState, SyncError>> {
    const received = await receive(deps, store, conversation, await state(conversation));
    if (!received.ok) {
      if (received.error.type === 'alarm') deps.alarmed?.(conversation, { fault: received.error.fault, height: received.error.height });
      return received;
    }
    const { value } = received;
    if (value.entries.length > 0 || value.secrets.size > 0) {
      await store.save(value);
      keep(value.state);
    }
    return ok(value.state);
  }

  async function settle({ built, secret: made }: Composed, rt: number): Promise<GroupState> {
    const { conversation, height } = built.entry;
    const verified = await verifyGroupEntry(await state(conversation), built.bytes, { rt, conversation, accountState: createLookup(deps.accounts) });
    assert(verified.ok, 'an entry of our own verifies');
    const { state: next } = verified.value;
    await store.save({ state: next, entries: [{ height, entry: built.bytes, rt }], secrets: built.makesEpoch ? new Map([[next.epoch, made]]) : new Map() });
    keep(next);
    return next;
  }

  function keep(next: GroupState): void {
    states.set(next.conversation, next);
    deps.changed?.(next.conversation, next);
  }

  async function alone<T>(conversation: ConversationId, work: () => Promise<T>): Promise<T> {
    assert(!closed, 'nothing changes after groups closed');
    const held = queues.get(conversation) ?? { queue: createSerialQueue(), users: 0 };
    queues.set(conversation, held);
    held.users += 1;
    try {
      return await held.queue.run(work);
    } finally {
      held.users -= 1;
      if (held.users === 0) queues.delete(conversation);
    }
  }

  return {
    state, load, items: store.items, epochKeys, secret, meta, alone, syncInside, settle,
    sync: (conversation) => alone(conversation, () => syncInside(conversation)),
    async close() {
      closed = true;
      await Promise.all([...queues.values()].map(({ queue }) => queue.idle()));
    },
  };
}

interface Cache<V> {
  readonly get: (key: string) => V | undefined;
  readonly set: (key: string, value: V) => void;
}

/** Keeps what was used last. */
function createCache<V>(max: number): Cache<V> {
  const held = new Map<string, V>();
  return {
    get(key) {
      const value = held.get(key);
      if (value === undefined) return undefined;
      held.delete(key);
      held.set(key, value);
      return value;
    },
    set(key, value) {
      held.delete(key);
      held.set(key, value);
      if (held.size > max) held.delete(held.keys().next().value!);
    },
  };
}
