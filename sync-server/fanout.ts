/**
 * What all connections of one node share about reaching people: who is in a conversation, which bus
 * channels reach them, and the bytes of rows that go to many receivers.
 *
 * A member list is good for the group-log height it was read at or above; a caller names the height
 * it knows, so a list is read anew exactly when the roster moved [SY18]. Rows are encoded once per
 * turn and conversation, not once per receiver.
 */
import { encode } from '#lib/protocol/codec.ts';
import { rowsCodec } from '#lib/protocol/frame.ts';
import { limits } from '#lib/protocol/limits.ts';
import { channelsFor, membersPerUserChannelMax } from '#lib/server/fanout.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import type { Row } from '#lib/protocol/row.ts';
import type { Bus, BusChannel, BusMessage } from '#lib/server/bus/port.ts';
import type { LogStore } from '#lib/server/store/port.ts';
import type { Bytes } from '#lib/std/bytes.ts';

export interface Roster {
  readonly has: (account: AccountId) => boolean;
  readonly count: number;
  /** Reached by its own channel, no longer by one per member. */
  readonly large: boolean;
  /** Small enough for marks to fan out and for typing (documents.md §9). */
  readonly intimate: boolean;
  readonly channels: readonly BusChannel[];
}

export interface Fanout {
  /** The members as of `logHeight` or later. */
  readonly roster: (conversation: ConversationId, logHeight: number) => Promise<Roster>;
  /** To everybody in the conversation. */
  readonly publish: (roster: Roster, message: BusMessage) => void;
  /** To one account's own connections. */
  readonly publishTo: (account: AccountId, message: BusMessage) => void;
  /** The rows as they stand inside a ROWS frame, encoded once a turn. */
  readonly encodeRows: (conversation: ConversationId, rows: readonly Row[]) => Bytes;
  /** After a group log moved: whoever else keeps its members reads them anew. */
  readonly rosterMoved: (conversation: ConversationId) => void;
}

export interface FanoutDeps {
  readonly store: Pick<LogStore, 'members'>;
  readonly bus: Bus;
  /** Runs a task at the end of the turn. */
  readonly defer: (task: () => void) => void;
  readonly rosterMoved?: (conversation: ConversationId) => void;
}

/** Names kept over all lists, about 60 bytes each; the longest unused list goes first. */
export const rosterMembersKeptMax = 500_000;

export function createFanout({ store, bus, defer, rosterMoved = () => {} }: FanoutDeps): Fanout {
  const rosters = new Map<ConversationId, { readonly logHeight: number; readonly roster: Promise<Roster> }>();
  const counts = new Map<ConversationId, number>();
  let kept = 0;
  let bodies: Map<string, Bytes> | undefined;

  function forget(conversation: ConversationId): void {
    rosters.delete(conversation);
    kept -= counts.get(conversation) ?? 0;
    counts.delete(conversation);
  }

  async function read(conversation: ConversationId, logHeight: number): Promise<Roster> {
    const roster = rosterOf(conversation, (await store.members(conversation)).map((member) => member.account));
    if (rosters.get(conversation)?.logHeight !== logHeight) return roster; // a newer reading took its place
    kept += roster.count - (counts.get(conversation) ?? 0);
    counts.set(conversation, roster.count);
    for (const oldest of rosters.keys()) {
      if (kept <= rosterMembersKeptMax || oldest === conversation) break;
      forget(oldest);
    }
    return roster;
  }

  function roster(conversation: ConversationId, logHeight: number): Promise<Roster> {
    const known = rosters.get(conversation);
    if (known && known.logHeight >= logHeight) {
      rosters.delete(conversation);
      rosters.set(conversation, known);
      return known.roster;
    }
    forget(conversation);
    const reading = read(conversation, logHeight);
    rosters.set(conversation, { logHeight, roster: reading });
    // A failed read is told to everybody who waits for it, and is not kept.
    reading.catch(() => rosters.get(conversation)?.roster === reading && forget(conversation));
    return reading;
  }

  function encodeRows(conversation: ConversationId, rows: readonly Row[]): Bytes {
    if (!bodies) {
      bodies = new Map();
      defer(() => (bodies = undefined));
    }
    const key = `${conversation}${rows[0]?.seq}:${rows.length}`;
    let body = bodies.get(key);
    if (!body) bodies.set(key, (body = encode(rowsCodec, rows)));
    return body;
  }

  return {
    roster,
    publish: (to, message) => bus.publish(to.channels, message),
    publishTo: (account, message) => bus.publish([`u:${account}`], message),
    encodeRows,
    rosterMoved,
  };
}

function rosterOf(conversation: ConversationId, accounts: readonly AccountId[]): Roster {
  const members = new Set(accounts);
  return {
    has: (account) => members.has(account),
    count: members.size,
    large: members.size > membersPerUserChannelMax,
    intimate: members.size <= limits.membersFanOutMax,
    channels: channelsFor(conversation, accounts),
  };
}
