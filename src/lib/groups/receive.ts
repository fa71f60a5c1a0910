/**
 * Taking in what the server hands out of a group log: verify every entry, open the newest wrap, walk
 * the history links back, and check the tag of every entry whose epoch's secret is here.
 *
 * All of it or nothing is stored. A fault is an alarm: somebody handed out a log that is not the one
 * everybody else has, or keys that are not the ones its author vouched for.
 */
import { decodeGroupEntry, type GroupEntry } from '#lib/chains/group-entry.ts';
import { verifyGroupEntry, type VerifiedEntry } from '#lib/chains/group-log.ts';
import type { GroupLogFault, GroupState } from '#lib/chains/group-state.ts';
import { equalSecrets } from '#lib/crypto/primitives.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { confirmationTag, openLink } from './keys.ts';
import type { LogStore, StoredEntry } from './log-store.ts';
import { createLookup, fetchAccounts, mayBeStale } from './lookup.ts';
import type { FetchedWrap, GroupAlarm, GroupsDeps, TransportFault } from './ports.ts';
import { openWrap } from './wraps.ts';

export type SyncError =
  | { readonly type: 'offline' }
  | { readonly type: 'not-member' }
  | ({ readonly type: 'alarm' } & GroupAlarm)
  | { readonly type: 'failed'; readonly detail: string };

export interface Received {
  readonly state: GroupState;
  readonly entries: readonly StoredEntry[];
  /** Secrets that were not here before. */
  readonly secrets: ReadonlyMap<number, Bytes>;
}

/** Answers per sync: with 4,096 entries each, more than any log; a server that never ends is stopped. */
const pagesMax = 64;

export async function receive(deps: GroupsDeps, store: LogStore, conversation: ConversationId, known: GroupState | undefined): Promise<Result<Received, SyncError>> {
  const fetched = await fetchAll(deps, conversation, known);
  if (!fetched.ok) return fetched;
  const { entries, wrap } = fetched.value;
  const replayed = await replay(deps, conversation, known, entries);
  if (!replayed.ok) return replayed;
  const { state, verified } = replayed.value;
  if (!state) return err({ type: 'not-member' });

  const entryAt = createEntryLookup(store, conversation, verified);
  const secrets = await openSecrets(deps, store, state, wrap, entryAt);
  if (!secrets.ok) return secrets;
  const wrongTag = await checkTags(store, state, verified, secrets.value);
  if (wrongTag !== undefined) return alarm('wrong-tag', wrongTag);
  return ok({ state, entries, secrets: secrets.value });
}

/** Every entry above what is known, page by page. */
async function fetchAll(deps: GroupsDeps, conversation: ConversationId, known: GroupState | undefined): Promise<Result<{ entries: readonly StoredEntry[]; wrap: FetchedWrap | undefined }, SyncError>> {
  const entries: StoredEntry[] = [];
  const knownHeight = known?.height ?? 0;
  for (let page = 0; page < pagesMax; page++) {
    const from = knownHeight + entries.length + 1;
    const answer = await deps.transport.fetchGroupLog(conversation, from);
    if (!answer.ok) return err(toSyncError(answer.error));
    const { value } = answer;
    if (value.logHeight < knownHeight) return alarm('log-shorter', value.logHeight);
    if (value.entries.length > 0 && value.from !== from) return err({ type: 'failed', detail: 'the answer starts elsewhere' });
    value.entries.forEach(({ entry, rt }, i) => entries.push({ entry, rt, height: from + i }));
    if (knownHeight + entries.length >= value.logHeight) return ok({ entries, wrap: value.wrap });
    if (value.entries.length === 0) return err({ type: 'failed', detail: 'the answer is empty below its own height' });
  }
  return err({ type: 'failed', detail: 'the log does not end' });
}

async function replay(deps: GroupsDeps, conversation: ConversationId, known: GroupState | undefined, entries: readonly StoredEntry[]): Promise<Result<{ state: GroupState | undefined; verified: readonly VerifiedEntry[] }, SyncError>> {
  const accountState = createLookup(deps.accounts);
  const decoded = entries.map(({ entry }) => decodeGroupEntry(entry)).filter((entry) => entry.ok).map(({ value }) => value);
  await fetchAccounts(deps.accounts, decoded, 'get');
  const verified: VerifiedEntry[] = [];
  let state = known;
  for (const { entry, rt, height } of entries) {
    let next = await verifyGroupEntry(state, entry, { rt, conversation, accountState });
    if (!next.ok && mayBeStale(next.error)) {
      const again = decodeGroupEntry(entry);
      if (again.ok) await fetchAccounts(deps.accounts, [again.value], 'refresh');
      next = await verifyGroupEntry(state, entry, { rt, conversation, accountState });
    }
    if (!next.ok) return alarm(next.error, height);
    state = next.value.state;
    verified.push(next.value);
  }
  return ok({ state, verified });
}

type EntryAt = (height: number) => Promise<GroupEntry | undefined>;

function createEntryLookup(store: LogStore, conversation: ConversationId, verified: readonly VerifiedEntry[]): EntryAt {
  const fresh = new Map(verified.map(({ entry }) => [entry.height, entry]));
  return async (height) => fresh.get(height) ?? (await store.items(conversation, height, height))[0]?.entry;
}

/** The newest epoch's secret by its wrap, then those before it by their links, down to what is here. */
async function openSecrets(deps: GroupsDeps, store: LogStore, state: GroupState, wrap: FetchedWrap | undefined, entryAt: EntryAt): Promise<Result<ReadonlyMap<number, Bytes>, SyncError>> {
  const { conversation } = state;
  const opened = new Map<number, Bytes>();
  if (!state.members.has(deps.me.account)) return ok(opened);
  let secret = await store.secret(conversation, state.epoch);
  if (!secret) {
    if (wrap?.epoch !== state.epoch) return ok(opened); // the keys are not to be had yet; the next sync asks again
    const key = await deps.uekPrivate(wrap.uekGen);
    if (!key) return ok(opened);
    const entry = await entryAt(wrap.height);
    if (entry?.epoch !== wrap.epoch) return alarm('wrong-wrap', wrap.height);
    secret = await openWrap(wrap.wrap, key, { conversation, epoch: wrap.epoch, commitment: entry.commitment, account: deps.me.account, uekGen: wrap.uekGen });
    if (!secret) return alarm('wrong-wrap', wrap.height);
    opened.set(state.epoch, secret);
  }
  for (let i = state.epochs.length - 1; i > 0; i--) {
    const { epoch, height } = state.epochs[i]!;
    const entry = await entryAt(height);
    if (!entry || entry.link.length === 0) break; // newcomers may not read what was before
    const here = await store.secret(conversation, epoch - 1);
    if (here && opened.size === 0) break; // nothing new above: all below was walked before
    const previous = await openLink(secret, entry.link, conversation, epoch);
    if (!previous || (here && !equalSecrets(here, previous))) return alarm('wrong-link', height);
    if (here) break;
    opened.set(epoch - 1, previous);
    secret = previous;
  }
  return ok(opened);
}

/** The height of the first entry whose tag is wrong under its epoch's secret; undefined when all are right. */
async function checkTags(store: LogStore, state: GroupState, verified: readonly VerifiedEntry[], opened: ReadonlyMap<number, Bytes>): Promise<number | undefined> {
  const { conversation } = state;
  const entries = new Map<number, GroupEntry>();
  for (const epoch of opened.keys()) { // entries taken in before their secret was here
    const at = state.epochs.findIndex((made) => made.epoch === epoch);
    const last = (state.epochs[at + 1]?.height ?? state.height + 1) - 1;
    for (const { height, entry } of await store.items(conversation, state.epochs[at]!.height, last)) entries.set(height, entry);
  }
  for (const { entry } of verified) entries.set(entry.height, entry);
  const secrets = new Map<number, Bytes | undefined>(opened);
  for (const entry of entries.values()) {
    if (!secrets.has(entry.epoch)) secrets.set(entry.epoch, await store.secret(conversation, entry.epoch));
    const secret = secrets.get(entry.epoch);
    if (secret && !equalSecrets(entry.tag, confirmationTag(secret, entry.commitment))) return entry.height;
  }
  return undefined;
}

export function toSyncError(fault: TransportFault): SyncError {
  return fault;
}

function alarm(fault: GroupLogFault | 'log-shorter', height: number): { readonly ok: false; readonly error: SyncError } {
  return err({ type: 'alarm', fault, height });
}
