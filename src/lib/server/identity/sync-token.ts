/**
 * Sync tokens admit a socket: ES256 JWTs of five minutes, audience `sync`, for one account, device
 * and session.
 */
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';

export interface SyncTokenClaims {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly sessionHash: string;
}
