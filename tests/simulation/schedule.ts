/**
 * One heap of events, ordered by virtual time and then by when they were planned. Its clock is the only
 * time there is; its trace is the hash of everything that happened, in order.
 */
import { createHash } from 'node:crypto';

export interface Schedule {
  readonly now: () => number;
  readonly after: (ms: number, what: string, run: () => void) => () => void;
  /** Runs the next event; false when there is none. */
  readonly step: () => boolean;
  readonly note: (text: string) => void;
  readonly count: () => number;
  readonly hash: () => string;
}

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly what: string;
  readonly run: () => void;
  isCancelled: boolean;
}

export function createSchedule(start: number, trace?: (line: string) => void): Schedule {
  const heap: Planned[] = [];
  const digest = createHash('sha256');
  let now = start;
  let order = 0;
  let count = 0;

  const isBefore = (a: Planned, b: Planned) => a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(planned: Planned): void {
    let at = heap.length;
    heap.push(planned);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(planned, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = planned;
  }

  function pop(): Planned | undefined {
    const first = heap[0];
    const moved = heap.pop();
    if (!first || !moved || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return first;
  }

  function note(text: string): void {
    const line = `${now - start} ${text}\n`;
    digest.update(line);
    trace?.(line);
  }

  return {
    now: () => now,
    note,
    after(ms, what, run) {
      const planned: Planned = { at: now + Math.max(0, ms), order: order++, what, run, isCancelled: false };
      push(planned);
      return () => {
        planned.isCancelled = true;
      };
    },
    step() {
      for (;;) {
        const next = pop();
        if (!next) return false;
        if (next.isCancelled) continue;
        now = next.at;
        count += 1;
        note(next.what);
        next.run();
        return true;
      }
    },
    count: () => count,
    hash: () => digest.copy().digest('hex'),
  };
}
