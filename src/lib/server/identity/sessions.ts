/**
 * Signed-in browsers. The id of a session is only in its cookie; the store keeps its SHA-256, so a
 * copy of the database opens no session.
 */
import type { AccountId, DeviceId, Handle } from '#lib/protocol/ids.ts';

/** Who is asking, as the session cookie proves. */
export interface SignedIn {
  readonly account: AccountId;
  readonly handle: Handle;
  /** Undefined until the browser's device stands in the account log. */
  readonly device: DeviceId | undefined;
  readonly sessionHash: string;
}
