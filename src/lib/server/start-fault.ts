/** Why the server does not start, as one clear line for the person who started it. */
export type StartFaultReason = 'config' | 'not-writable' | 'secrets' | 'store';

export class StartFault extends Error {
  readonly reason: StartFaultReason;
  constructor(reason: StartFaultReason, message: string) {
    super(message);
    this.name = 'StartFault';
    this.reason = reason;
  }
}
