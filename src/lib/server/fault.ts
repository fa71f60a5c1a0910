/**
 * What an endpoint answers when it cannot do what was asked: one of protocol/codes.ts' names, the
 * rule behind it where there is one, and the number that goes with it. It never carries a secret.
 */
import type { ApiErrorName } from '#lib/protocol/codes.ts';
import { err } from '#lib/std/result.ts';

export interface ApiFault {
  readonly name: ApiErrorName;
  /** The broken rule's name; empty where the name says all. */
  readonly detail: string;
  /** The present height or version for `conflict`, seconds to wait for `too-many`, else 0. */
  readonly number: number;
}

export function fault(name: ApiErrorName, detail = '', number = 0): { readonly ok: false; readonly error: ApiFault } {
  return err({ name, detail, number });
}
