/** Time arrives as an argument, so a simulation can hand out its own. */
export interface Clock {
  /** Milliseconds since 1970, as this machine believes. */
  readonly now: () => number;
}

/** Timers, kept apart from the clock: most code only reads the time. */
export interface Timers {
  /** Runs `task` once after `ms`; the answer cancels it. */
  readonly after: (ms: number, task: () => void) => () => void;
}
