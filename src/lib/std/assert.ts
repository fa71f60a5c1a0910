/** A broken promise of our own stops here; the message is the promise. */
export function assert(condition: unknown, promise: string): asserts condition {
  if (!condition) throw new Error(`broken promise: ${promise}`);
}

/** Marks the branch no value can reach, so a new case of a union fails to compile. */
export function unreachable(value: never): never {
  throw new Error(`broken promise: no case for ${JSON.stringify(value)}`);
}
