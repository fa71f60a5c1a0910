/** Randomness arrives as an argument, so a simulation can hand out its own. */
export interface Random {
  /** `size` bytes that nobody can guess. */
  readonly bytes: (size: number) => Uint8Array<ArrayBuffer>;
  /** A number from 0 up to, never reaching, 1; for jitter only, never for secrets. */
  readonly fraction: () => number;
}
