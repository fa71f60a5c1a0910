/**
 * A verified group state as compact bytes, so opening the app replays no log and verifies no signature
 * again. It holds nothing the log beside it does not: bytes that do not decode are thrown away and the
 * stored entries replayed.
 */
import type { GroupState } from '#lib/chains/group-state.ts';
import { boolean, bytes, decode, encode, fixed, id, list, oneOf, optional, struct, text, varuint } from '#lib/protocol/codec.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes, type Bytes } from '#lib/std/bytes.ts';

const height = varuint(2 ** 32 - 1);
const role = oneOf('owner', 'admin', 'member');
const hashSizeBytes = 32;
/** Far above any log: 2^20 heights. */
const headsSizeBytesMax = 2 ** 25;
/** Everybody who ever was in; a bound for the decoder only. */
const accountsMax = 2 ** 20;

const codec = struct({
  form: varuint(1),
  conversation: id<ConversationId>(),
  kind: oneOf('self', 'direct', 'group'),
  heads: bytes(headsSizeBytesMax, hashSizeBytes),
  epochs: list(struct({ epoch: height, height }), accountsMax, 1),
  members: list(struct({ account: id<AccountId>(), role, uekGen: height, joinedHeight: height, joinedRt: varuint() }), limits.membersMax),
  roles: list(struct({ account: id<AccountId>(), spans: list(struct({ fromHeight: height, role: optional(role) }), accountsMax) }), accountsMax),
  sharesHistory: boolean,
  rotationDue: boolean,
  meta: optional(struct({ epoch: height, height, sealed: bytes(limits.groupEntrySizeBytesMax) })),
  pins: list(struct({ account: id<AccountId>(), accountHeight: height, accountHead: fixed(hashSizeBytes) }), accountsMax),
  /** The last ctr plus 1: -1 stands for nothing at all. */
  cuts: list(struct({ key: text(64), count: varuint(2 ** 32) }), accountsMax),
  creator: id<AccountId>(),
});

export function encodeGroupState(state: GroupState): Bytes {
  return encode(codec, {
    form: 1,
    conversation: state.conversation,
    kind: state.kind,
    heads: concatBytes(...state.heads),
    epochs: state.epochs,
    members: [...state.members.values()],
    roles: [...state.roles].map(([account, spans]) => ({ account, spans })),
    sharesHistory: state.sharesHistory,
    rotationDue: state.rotationDue,
    meta: state.meta,
    pins: [...state.pins].map(([account, pin]) => ({ account, ...pin })),
    cuts: [...state.cuts].map(([key, lastCtr]) => ({ key, count: lastCtr + 1 })),
    creator: state.creator,
  });
}

/** Undefined when the bytes are no snapshot of this form. */
export function decodeGroupState(snapshot: Uint8Array): GroupState | undefined {
  const decoded = decode(codec, snapshot);
  if (!decoded.ok || decoded.value.form !== 1 || decoded.value.heads.length % hashSizeBytes !== 0) return undefined;
  const { conversation, kind, epochs, sharesHistory, rotationDue, meta, creator, ...parts } = decoded.value;
  const heads: Bytes[] = [];
  for (let at = 0; at < parts.heads.length; at += hashSizeBytes) heads.push(parts.heads.slice(at, at + hashSizeBytes));
  return {
    conversation, kind, epochs, sharesHistory, rotationDue, meta, creator, heads,
    height: heads.length,
    head: heads[heads.length - 1]!,
    epoch: epochs[epochs.length - 1]!.epoch,
    members: new Map(parts.members.map((member) => [member.account, member])),
    roles: new Map(parts.roles.map(({ account, spans }) => [account, spans])),
    pins: new Map(parts.pins.map(({ account, accountHeight, accountHead }) => [account, { accountHeight, accountHead }])),
    cuts: new Map(parts.cuts.map(({ key, count }) => [key, count - 1])),
  };
}
