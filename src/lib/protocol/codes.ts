/** Every way the server says no, with the one thing a client does next. */

export type NextStep = 'retry' | 'wait' | 'sign-in' | 'update' | 'stop' | 'new-slot' | 'refresh-group';

/** WebSocket close codes. 44xx are permanent for a stock y-websocket provider. */
export const closeCodes = {
  restart: { code: 1012, next: 'retry', means: 'the node is shutting down' },
  tooSlow: { code: 4000, next: 'retry', means: 'the queue to this client passed its bound' },
  silent: { code: 4001, next: 'retry', means: 'no answer to a ping' },
  tooMany: { code: 4002, next: 'wait', means: 'too many frames or connections' },
  helloTimeout: { code: 4003, next: 'retry', means: 'no HELLO in time' },
  internal: { code: 4010, next: 'wait', means: 'a fault of ours; the log has it' },
  badToken: { code: 4401, next: 'sign-in', means: 'the sync token is missing, expired or not ours' },
  revoked: { code: 4402, next: 'sign-in', means: 'the session or device was ended' },
  refused: { code: 4403, next: 'stop', means: 'an update outside the one admitted shape' },
  malformed: { code: 4400, next: 'stop', means: 'a frame that does not decode' },
  tooBig: { code: 4413, next: 'stop', means: 'a frame over its bound' },
  tooOld: { code: 4426, next: 'update', means: 'a protocol version this server no longer speaks' },
} as const satisfies Record<string, { readonly code: number; readonly next: NextStep; readonly means: string }>;

export type CloseName = keyof typeof closeCodes;

/** Refusals of one PUT; the connection goes on. */
export const nackCodes = {
  GAP: { code: 1, next: 'retry', means: 'ctr0 is above the next counter' },
  FORK: { code: 2, next: 'new-slot', means: 'the same (slot, ctr) holds other bytes' },
  SIZE: { code: 3, next: 'stop', means: 'an envelope outside its bounds' },
  SHAPE: { code: 4, next: 'stop', means: 'the clear header does not parse' },
  EPOCH_STALE: { code: 5, next: 'refresh-group', means: 'sealed under an epoch that is over' },
  NOT_MEMBER: { code: 6, next: 'stop', means: 'the account is not in the conversation' },
  READ_ONLY: { code: 7, next: 'stop', means: 'the role may not write' },
  RATE: { code: 8, next: 'wait', means: 'too many entries in a short time' },
  NO_SLOT: { code: 9, next: 'new-slot', means: 'the slot is not this device\'s' },
  ROTATION_DUE: { code: 10, next: 'refresh-group', means: 'somebody left; the keys rotate first' },
} as const satisfies Record<string, { readonly code: number; readonly next: NextStep; readonly means: string }>;

export type NackName = keyof typeof nackCodes;

/** Errors of the HTTP API: the answer's body is `apiError` of api.ts. */
export const apiErrors = {
  malformed: { status: 400, next: 'stop' },
  'not-signed-in': { status: 401, next: 'sign-in' },
  /** Unknown account and wrong secret answer alike, in words and in cost. */
  'wrong-credentials': { status: 401, next: 'stop' },
  'no-device': { status: 403, next: 'sign-in' },
  forbidden: { status: 403, next: 'stop' },
  'wrong-origin': { status: 403, next: 'stop' },
  'not-found': { status: 404, next: 'stop' },
  'handle-taken': { status: 409, next: 'stop' },
  /** Compare-and-set lost; the answer names the height or version to build on. */
  conflict: { status: 409, next: 'retry' },
  'too-big': { status: 413, next: 'stop' },
  /** A log entry that does not follow the rules; `detail` names the rule. */
  refused: { status: 422, next: 'stop' },
  'too-many': { status: 429, next: 'wait' },
  internal: { status: 500, next: 'wait' },
} as const satisfies Record<string, { readonly status: number; readonly next: NextStep }>;

export type ApiErrorName = keyof typeof apiErrors;
