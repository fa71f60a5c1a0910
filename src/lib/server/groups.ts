/**
 * The server's half of group logs: every entry is replayed against the state before it with the code
 * of `chains`, and only then appended by compare-and-set. Reads are for members; to everybody else a
 * conversation does not exist.
 */
import { decodeGroupEntry } from '#lib/chains/group-entry.ts';
import { accountsOf, verifyGroupEntries, verifyGroupEntry, wrapsMatch } from '#lib/chains/group-log.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { AccountId, ConversationId, Lineage } from '#lib/protocol/ids.ts';
import { limits as wireLimits } from '#lib/protocol/limits.ts';
import { assert } from '#lib/std/assert.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { Clock } from '#lib/std/clock.ts';
import { ok, type Result } from '#lib/std/result.ts';
import type { Accounts } from './accounts.ts';
import type { Bus } from './bus/port.ts';
import { createCache } from './cache.ts';
import { channelsFor, type Fanout } from './fanout.ts';
import { fault, type ApiFault } from './fault.ts';
import type { SignedIn } from './identity/sessions.ts';
import type { ServerLimits } from './limits.ts';
import type { GroupEntryRow, LogStore } from './store/port.ts';

export interface Groups {
  readonly list: (by: SignedIn) => Promise<{
    readonly lineage: Lineage; readonly membershipVersion: number; readonly conversations: readonly { readonly conversation: ConversationId; readonly logHeight: number }[];
  }>;
  readonly log: (by: SignedIn, conversation: ConversationId, from: number) => Promise<Result<GroupLogAnswer, ApiFault>>;
  readonly append: (by: SignedIn, conversation: ConversationId, entry: Bytes, wraps: readonly EpochWrapInput[]) =>
    Promise<Result<{ readonly height: number; readonly rt: number }, ApiFault>>;
}

export interface EpochWrapInput {
  readonly account: AccountId;
  readonly uekGen: number;
  readonly wrap: Bytes;
}

export interface GroupLogAnswer {
  readonly from: number;
  readonly logHeight: number;
  readonly entries: readonly GroupEntryRow[];
  readonly wrap: { readonly epoch: number; readonly height: number; readonly uekGen: number; readonly wrap: Bytes } | undefined;
}

export interface GroupsDeps {
  readonly store: LogStore;
  readonly accounts: Pick<Accounts, 'state' | 'lookup'>;
  readonly bus: Bus;
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly limits: ServerLimits;
  /** A publish that failed is told here; the entry is stored all the same. */
  readonly report: (error: unknown) => void;
}

/** Members and heads over all replayed conversations kept in memory; each some 200 bytes. */
const stateWeightMax = 500_000;
/** Entries read from the store at once, and bytes in one answer: the rest is asked for with the next `from`. */
const entriesPerRead = 64;
const answerSizeBytesMax = 1024 * 1024;

export function createGroups({ store, accounts, bus, fanout, clock, limits, report }: GroupsDeps): Groups {
  const states = createCache<ConversationId, GroupState>({ weightMax: stateWeightMax, weigh: (state) => state.members.size + state.roles.size + state.heads.length });

  /** The state at the newest height, replayed from what is stored; undefined before the first entry. */
  async function stateOf(conversation: ConversationId): Promise<GroupState | undefined> {
    const [head] = await store.heads([conversation]);
    let state = states.get(conversation);
    while (head && (state?.height ?? 0) < head.logHeight) {
      const rows = await store.groupLog(conversation, (state?.height ?? 0) + 1, entriesPerRead);
      const replayed = await verifyGroupEntries(state, rows, { conversation, accountState: accounts.lookup });
      assert(replayed.ok && replayed.value.state && rows.length > 0, 'a stored group log replays');
      state = replayed.value.state;
    }
    if (state) states.set(conversation, state);
    return state;
  }

  async function publish(conversation: ConversationId, state: GroupState, joined: readonly AccountId[], left: readonly AccountId[]): Promise<void> {
    try {
      fanout.forget(conversation);
      // Those who left, and those who listened to members' channels before, hear it too.
      const channels = new Set([...channelsFor(conversation, [...state.members.keys()]), ...left.map((account) => `u:${account}` as const), `c:${conversation}` as const]);
      bus.publish([...channels], { type: 'group', conversation, logHeight: state.height });
      for (const { account, membershipVersion } of await store.membershipVersions([...joined, ...left])) bus.publish([`u:${account}`], { type: 'membership', account, membershipVersion });
    } catch (error) {
      report(error);
    }
  }

  return {
    async list(by) {
      const [lineage, mine] = await Promise.all([store.lineage(), store.conversationsOf(by.account)]);
      return { lineage, ...mine };
    },

    async log(by, conversation, from) {
      if (!(await store.roleOf(conversation, by.account))) return fault('not-found');
      const entries: GroupEntryRow[] = [];
      let size = 0;
      for (let next = Math.max(1, from); ; ) {
        const rows = await store.groupLog(conversation, next, entriesPerRead);
        for (const row of rows) {
          size += row.entry.length;
          if (entries.length > 0 && size > answerSizeBytesMax) break;
          entries.push(row);
        }
        next += rows.length;
        if (rows.length < entriesPerRead || size > answerSizeBytesMax) break;
      }
      const [[head], wrap] = await Promise.all([store.heads([conversation]), store.newestWrap(conversation, by.account)]);
      return ok({ from: Math.max(1, from), logHeight: head?.logHeight ?? 0, entries, wrap });
    },

    async append(by, conversation, entry, wraps) {
      if (!by.device) return fault('no-device');
      const decoded = decodeGroupEntry(entry);
      const allowed = await limits.take('groupAppend', by.account, decoded.ok ? costOf(accountsOf(decoded.value).length) : 1);
      if (!allowed.ok) return fault('too-many', '', allowed.error.seconds);
      if (!decoded.ok) return fault('refused', decoded.error);
      const { actor, device, height } = decoded.value;
      if (actor !== by.account || device !== by.device) return fault('forbidden', 'author');

      const [stored] = await store.groupLog(conversation, height, 1);
      // Sent again because the answer was lost: it stands, also when it was the sender's own leave.
      if (stored?.height === height && equalBytes(stored.entry, entry)) return ok({ height, rt: stored.rt });
      const before = await stateOf(conversation);
      if (before && !before.members.has(by.account)) return fault('not-found');
      if (height !== (before?.height ?? 0) + 1) return fault('conflict', '', before?.height ?? 0);
      // A device is judged at the height its entry names; whether it may speak today is judged here.
      const author = (await accounts.state(by.account))?.devices.get(device);
      if (!author || author.revokedAt !== undefined) return fault('forbidden', 'device');

      const now = clock.now();
      const verified = await verifyGroupEntry(before, entry, { rt: now, conversation, accountState: accounts.lookup });
      if (!verified.ok) return fault('refused', verified.error);
      const { state, removes } = verified.value;
      if (!wrapsMatch(verified.value.wraps, wraps)) return fault('refused', 'wrong-wrap');
      const joining = [...state.members.keys()].filter((account) => !before?.members.has(account));
      const [crowded] = joining.length > 0 ? await store.crowded(joining, wireLimits.conversationsPerAccountMax) : [];
      if (crowded) return fault('refused', 'too-many-conversations');

      const appended = await store.appendGroupEntry({
        conversation, height, entry, epoch: state.epoch, rotationDue: state.rotationDue, removes, wraps, now,
        members: [...state.members.values()].map(({ account, role }) => ({ account, role })),
      });
      if (!appended.ok) return fault('conflict', '', appended.error.height);
      const { rt, joined, left } = appended.value;
      if (rt === now) states.set(conversation, state);
      void publish(conversation, state, joined, left);
      return ok({ height, rt });
    },
  };
}

/** An entry that names many accounts has that many logs replayed. */
function costOf(accounts: number): number {
  return 1 + Math.floor(accounts / 50);
}
