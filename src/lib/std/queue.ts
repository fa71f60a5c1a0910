/**
 * A serial queue runs one task at a time, in the order they were given.
 *
 * A task that fails rejects its own promise and nobody else's; the next one still runs. The queue is
 * bounded: a caller who gives tasks faster than they end has broken a promise and hears of it at once.
 */
import { assert } from './assert.ts';

export interface SerialQueue {
  /** Resolves or rejects as the task does, once its turn came. */
  readonly run: <T>(task: () => T | Promise<T>) => Promise<T>;
  /** Resolves when nothing runs and nothing waits, also counting what was given meanwhile. */
  readonly idle: () => Promise<void>;
}

/** Enough for every conversation of an account to wait at once; beyond it somebody forgot to await. */
export const queuedTasksMax = 20_000;

export function createSerialQueue({ tasksMax = queuedTasksMax }: { readonly tasksMax?: number } = {}): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  let open = 0; // running and waiting

  async function afterLast<T>(before: Promise<unknown>, task: () => T | Promise<T>): Promise<T> {
    await before;
    try {
      return await task();
    } finally {
      open -= 1;
    }
  }

  function run<T>(task: () => T | Promise<T>): Promise<T> {
    assert(open < tasksMax, `at most ${tasksMax} tasks wait in a serial queue`);
    open += 1;
    const done = afterLast(last, task);
    last = done.then(nothing, nothing); // the failure reaches the caller through `done`
    return done;
  }

  async function idle(): Promise<void> {
    while (open > 0) await last;
  }

  return { run, idle };
}

function nothing(): void {}
