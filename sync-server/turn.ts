/**
 * The end of an event-loop turn, where what arrived together leaves together.
 *
 * Frames cost, not entries: a group commit answers many writers in one turn, and each receiver gets
 * what came of it as one frame per conversation and one write to its socket. Deliveries run first,
 * writes after them, so a delivery's frames are in the same write.
 */

export interface Turn {
  /** Runs `task` when everything that arrived in this turn has been handled. */
  readonly deliver: (task: () => void) => void;
  /** Runs `task` after all deliveries of this turn. */
  readonly write: (task: () => void) => void;
}

export function createTurn(schedule: (task: () => void) => void): Turn {
  let deliveries: (() => void)[] = [];
  let writes: (() => void)[] = [];
  let scheduled = false;

  function plan(): void {
    if (scheduled) return;
    scheduled = true;
    schedule(end);
  }

  function end(): void {
    scheduled = false;
    const delivering = deliveries;
    deliveries = [];
    for (const task of delivering) task();
    const writing = writes;
    writes = [];
    for (const task of writing) task();
  }

  return {
    deliver(task) {
      deliveries.push(task);
      plan();
    },
    write(task) {
      writes.push(task);
      plan();
    },
  };
}
