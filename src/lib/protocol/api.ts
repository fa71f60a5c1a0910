/**
 * Bodies of the HTTP API, in the same strict binary form as the frames.
 *
 * Every request and answer is `application/octet-stream` under one codec below; an answer outside
 * 2xx is `apiError`. Requests that change something are refused unless they come from our own origin.
 */
import { bytes, fixed, id, list, oneOf, optional, struct, text, varuint } from './codec.ts';
import type { AccountId, ConversationId, DeviceId, Lineage } from './ids.ts';
import { limits } from './limits.ts';
import type { ApiErrorName } from './codes.ts';

const opaqueText = text(4_096); // OPAQUE messages as base64url text, as the library gives them
const handleText = text(limits.handleLengthMax);
const accountEntry = bytes(limits.accountEntrySizeBytesMax);
const uekWrap = struct({ device: id<DeviceId>(), gen: varuint(2 ** 31 - 1), wrap: bytes(512) });
const epochWrap = struct({ account: id<AccountId>(), uekGen: varuint(2 ** 31 - 1), wrap: bytes(256) });
const envelope = bytes(limits.envelopeSizeBytesMax, limits.envelopeSizeBytesMin);

const errorNames: readonly ApiErrorName[] = ['malformed', 'not-signed-in', 'wrong-credentials', 'no-device', 'forbidden', 'wrong-origin',
  'not-found', 'handle-taken', 'conflict', 'too-big', 'refused', 'too-many', 'internal'];

export const apiError = struct({
  name: oneOf(...(errorNames as [ApiErrorName, ...ApiErrorName[]])),
  detail: text(256),
  /** For conflict: the height or version that is there now. For too-many: seconds to wait. Else 0. */
  number: varuint(),
});

export const api = {
  /**
   * POST /api/account/start: OPAQUE registration, first half. Also asked before PUT /api/password, so it answers for
   * taken handles too; POST /api/account is the one to say `handle-taken`.
   */
  registerStart: {
    request: struct({ handle: handleText, registrationRequest: opaqueText }),
    answer: struct({ registrationResponse: opaqueText, serverPublicKey: opaqueText }),
  },
  /** POST /api/account: makes the account, signs in, binds the session to genesis' device. */
  register: {
    request: struct({
      handle: handleText,
      registrationRecord: opaqueText,
      genesis: accountEntry,
      /** SHA-256 of the recovery proof (vault/recovery.ts); the words themselves stay with the person. */
      recoveryProofHash: fixed(32),
      vault: bytes(limits.vaultSizeBytesMax),
      uekWraps: list(uekWrap, limits.devicesPerAccountMax),
    }),
    answer: struct({ account: id<AccountId>() }),
  },
  /** POST /api/session/password/start and /finish: OPAQUE login. */
  loginStart: {
    request: struct({ handle: handleText, loginRequest: opaqueText }),
    answer: struct({ loginId: fixed(16), loginResponse: opaqueText }),
  },
  loginFinish: {
    request: struct({ loginId: fixed(16), loginFinish: opaqueText }),
    answer: struct({ account: id<AccountId>() }),
  },
  /** POST /api/session/recovery: signs in by proof of the 24 words. */
  loginRecovery: {
    request: struct({ handle: handleText, recoveryProof: fixed(32) }),
    answer: struct({ account: id<AccountId>() }),
  },
  /** GET /api/session (401 when there is none); DELETE ends it; DELETE /api/sessions ends all of the account's, with `?others` all but this one. */
  session: { answer: struct({ account: id<AccountId>(), handle: handleText, device: optional(id<DeviceId>()) }) },
  /**
   * A device of the account takes over a session that has none yet, as after signing in again on the same
   * browser. GET /api/session/device: `challenge` is SHA-256("app/session-challenge/v1" | hash of the session id), so the
   * server keeps nothing. POST /api/session/device: the device signs `account | device | challenge` under "app/session-device/v1";
   * `refused` unless it is an unrevoked device of the session's account and the signature is right.
   */
  bindDevice: {
    request: struct({ device: id<DeviceId>(), signature: fixed(64) }),
    answer: struct({ challenge: fixed(32) }),
  },
  /** POST /api/session/token: a 5-minute ES256 JWT for the sync socket. */
  syncToken: { answer: struct({ token: text(2_048), expiresAt: varuint() }) },
  /** PUT /api/password: a new OPAQUE record, with the vault whose password slot goes with it. */
  changePassword: {
    request: struct({ registrationRecord: opaqueText, vaultVersion: varuint(2 ** 31 - 1), vault: bytes(limits.vaultSizeBytesMax) }),
  },
  /** GET, PUT /api/vault: compare-and-set on version = current + 1. */
  vault: {
    request: struct({ version: varuint(2 ** 31 - 1), vault: bytes(limits.vaultSizeBytesMax) }),
    answer: struct({ version: varuint(2 ** 31 - 1), vault: bytes(limits.vaultSizeBytesMax) }),
  },
  /**
   * GET /api/accounts/<id>/log?from=<height> and GET /api/accounts/handle/<handle>: entries from that
   * height on (0 is genesis). POST /api/account/log appends to one's own; when an entry adds the
   * caller's device, the session is bound to it. `height` is the one the first of the entries takes.
   */
  accountLog: {
    answer: struct({ account: id<AccountId>(), handle: handleText, from: varuint(), entries: list(accountEntry, limits.accountLogEntriesMax) }),
  },
  appendAccountLog: {
    request: struct({ height: varuint(2 ** 31 - 1), entries: list(accountEntry, 64, 1), uekWraps: list(uekWrap, 1_024) }),
    answer: struct({ height: varuint(2 ** 31 - 1) }),
  },
  /** GET /api/account/wraps: the UEK wraps made for the session's device. */
  uekWraps: { answer: struct({ wraps: list(uekWrap, 1_024) }) },
  /** GET /api/accounts/<id>/profile, PUT /api/profile: sealed under the profile key, greatest version wins. */
  profile: {
    request: struct({ version: varuint(), sealed: bytes(limits.profileSizeBytesMax) }),
    answer: struct({ version: varuint(), sealed: bytes(limits.profileSizeBytesMax) }),
  },
  /** GET /api/conversations: everything the account is a member of. */
  conversations: {
    answer: struct({
      lineage: id<Lineage>(),
      membershipVersion: varuint(),
      conversations: list(struct({ conversation: id<ConversationId>(), logHeight: varuint(2 ** 32 - 1) }), limits.conversationsPerAccountMax),
    }),
  },
  /**
   * GET /api/conversations/<id>/log?from=<height>: entries with the server's receipt times, and the
   * caller's wrap of the newest epoch. `logHeight` is the newest height; heights start at 1.
   */
  groupLog: {
    answer: struct({
      from: varuint(),
      logHeight: varuint(2 ** 32 - 1),
      entries: list(struct({ entry: bytes(limits.groupEntrySizeBytesMax), rt: varuint() }), 4_096),
      wrap: optional(struct({ epoch: varuint(2 ** 32 - 1), height: varuint(2 ** 32 - 1), uekGen: varuint(2 ** 31 - 1), wrap: bytes(256) })),
    }),
  },
  /** POST /api/conversations/<id>/log: compare-and-set; height = current + 1 and prev = current head. */
  appendGroupLog: {
    request: struct({ entry: bytes(limits.groupEntrySizeBytesMax), wraps: list(epochWrap, limits.membersMax) }),
    answer: struct({ height: varuint(2 ** 32 - 1), rt: varuint() }),
  },
  /** POST /api/conversations/<id>/entries: a PUT for a service worker, which keeps no socket. */
  putEntries: {
    request: struct({ slot: varuint(2 ** 21 - 1), ctr0: varuint(2 ** 32 - 1), envelopes: list(envelope, limits.entriesPerPutMax, 1) }),
    answer: struct({
      /** 0 is accepted; else one of nackCodes. */
      nack: varuint(255),
      nextCtr: varuint(2 ** 32 - 1),
      firstSeq: varuint(2 ** 32 - 1),
      rt: varuint(),
    }),
  },
} as const;

export const apiShapes = Object.entries(api)
  .map(([name, ends]) => `${name}(${'request' in ends ? ends.request.shape : ''})${'answer' in ends ? ends.answer.shape : ''}`)
  .join(';') + apiError.shape;
