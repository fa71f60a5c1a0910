/**
 * Makes everything between two events repeatable: WebCrypto answers one call at a time, in the order
 * of asking, and `settle` resolves when nothing is left to run.
 *
 * All else in the simulated world runs in microtasks, which are drained before the next macrotask, so
 * the answers of WebCrypto are the only thing whose order a busy machine could change.
 */
let asked = 0;
let last: Promise<unknown> = Promise.resolve();

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function inOrder(work: () => Promise<unknown>): Promise<unknown> {
  asked += 1;
  const answer = work();
  answer.catch(() => {}); // told below, in its turn
  const before = last;
  const mine = (async () => {
    await before;
    await answer.catch(() => {});
    // Whoever was answered before has run on as far as it can.
    await turn();
    asked -= 1;
  })();
  last = mine;
  return mine.then(() => answer);
}

/** Puts the order into this process; the answer takes it out again. */
export function orderWebCrypto(): () => void {
  const { subtle } = crypto;
  const calls = new Map<string | symbol, unknown>();
  const ordered = new Proxy(subtle, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      if (!calls.has(name)) calls.set(name, (...args: unknown[]) => inOrder(() => (found as (...all: unknown[]) => Promise<unknown>).apply(subtle, args)));
      return calls.get(name);
    },
  });
  Object.defineProperty(crypto, 'subtle', { value: ordered, configurable: true });
  return () => void Object.defineProperty(crypto, 'subtle', { value: subtle, configurable: true });
}

/** Resolves when nothing runs any more: what is left waits for an event. */
export async function settle(): Promise<void> {
  do await turn();
  while (asked > 0);
}
