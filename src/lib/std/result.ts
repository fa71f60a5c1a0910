/** Expected outcomes are values the compiler makes you handle. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** Takes the value out where an error would be a broken promise of our own. */
export function unwrap<T, E>(result: Result<T, E>, promise: string): T {
  if (result.ok) return result.value;
  throw new Error(`${promise}: ${JSON.stringify(result.error)}`);
}
