/**
 * What this room keeps in the account's database: verified entries, the state they lead to, and epoch
 * secrets sealed under the device storage key. One transaction holds all three, so a state never stands
 * without its entries or its secrets.
 */
import { decodeGroupEntry, type GroupEntry } from '#lib/chains/group-entry.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import type { Database } from '#lib/storage/database.ts';
import type { Sealer } from '#lib/storage/seal.ts';
import { decodeGroupState, encodeGroupState } from './snapshot.ts';

export interface StoredEntry {
  readonly height: number;
  readonly entry: Bytes;
  readonly rt: number;
}

export interface LogItem {
  readonly height: number;
  readonly rt: number;
  readonly entry: GroupEntry;
}

export interface LogStore {
  /** `broken` when a snapshot is there that does not decode: the entries are to be replayed. */
  readonly state: (conversation: ConversationId) => Promise<GroupState | 'broken' | undefined>;
  readonly states: () => Promise<readonly GroupState[]>;
  readonly entries: (conversation: ConversationId, fromHeight: number, toHeight?: number) => Promise<readonly StoredEntry[]>;
  readonly items: (conversation: ConversationId, fromHeight: number, toHeight?: number) => Promise<readonly LogItem[]>;
  readonly secret: (conversation: ConversationId, epoch: number) => Promise<Bytes | undefined>;
  readonly saveSecrets: (conversation: ConversationId, secrets: ReadonlyMap<number, Bytes>) => Promise<void>;
  readonly save: (input: { readonly state: GroupState; readonly entries: readonly StoredEntry[]; readonly secrets: ReadonlyMap<number, Bytes> }) => Promise<void>;
}

export function createLogStore(database: Database, sealer: Sealer): LogStore {
  async function state(conversation: ConversationId): Promise<GroupState | 'broken' | undefined> {
    const stored = await database.read(['groupStates'], (tx) => tx.get('groupStates', conversation));
    if (!stored) return undefined;
    return decodeGroupState(stored.snapshot) ?? 'broken';
  }

  async function states(): Promise<readonly GroupState[]> {
    const stored = await database.read(['groupStates'], (tx) => tx.getAll('groupStates'));
    return stored.map(({ snapshot }) => decodeGroupState(snapshot)).filter((found): found is GroupState => found !== undefined);
  }

  async function entries(conversation: ConversationId, fromHeight: number, toHeight = Infinity): Promise<readonly StoredEntry[]> {
    const range = { from: [conversation, fromHeight] as [ConversationId, number], to: [conversation, toHeight] as [ConversationId, number] };
    const [rows, keys] = await database.read(['groupLog'], async (tx) => [await tx.getAll('groupLog', { range }), await tx.getAllKeys('groupLog', { range })] as const);
    return rows.map(({ entry, rt }, i) => ({ entry, rt, height: keys[i]![1] }));
  }

  async function items(conversation: ConversationId, fromHeight: number, toHeight?: number): Promise<readonly LogItem[]> {
    const out: LogItem[] = [];
    for (const { height, rt, entry } of await entries(conversation, fromHeight, toHeight)) {
      const decoded = decodeGroupEntry(entry);
      if (decoded.ok) out.push({ height, rt, entry: decoded.value }); // a row that rotted on disk is left out, never guessed at
    }
    return out;
  }

  async function secret(conversation: ConversationId, epoch: number): Promise<Bytes | undefined> {
    const stored = await database.read(['epochs'], (tx) => tx.get('epochs', [conversation, epoch]));
    if (!stored) return undefined;
    const unsealed = await sealer.unseal('epochs', [conversation, epoch], stored.sealedSecret);
    return unsealed.ok ? unsealed.value : undefined; // rotted on disk: as good as not there, the next sync brings it again
  }

  async function sealSecrets(conversation: ConversationId, secrets: ReadonlyMap<number, Bytes>): Promise<readonly (readonly [number, Bytes])[]> {
    const sealed: (readonly [number, Bytes])[] = [];
    for (const [epoch, plain] of secrets) sealed.push([epoch, await sealer.seal('epochs', [conversation, epoch], plain)]);
    return sealed;
  }

  async function saveSecrets(conversation: ConversationId, secrets: ReadonlyMap<number, Bytes>): Promise<void> {
    const sealed = await sealSecrets(conversation, secrets);
    await database.write(['epochs'], async (tx) => {
      for (const [epoch, sealedSecret] of sealed) await tx.put('epochs', [conversation, epoch], { sealedSecret });
    });
  }

  async function save({ state: next, entries: added, secrets }: Parameters<LogStore['save']>[0]): Promise<void> {
    const { conversation } = next;
    const sealed = await sealSecrets(conversation, secrets);
    const snapshot = encodeGroupState(next);
    await database.write(['groupLog', 'groupStates', 'epochs'], async (tx) => {
      for (const { height, entry, rt } of added) await tx.put('groupLog', [conversation, height], { entry, rt });
      for (const [epoch, sealedSecret] of sealed) await tx.put('epochs', [conversation, epoch], { sealedSecret });
      await tx.put('groupStates', conversation, { snapshot });
    });
  }

  return { state, states, entries, items, secret, save, saveSecrets };
}
