import { expect, test } from 'vitest';
import { createSerialQueue } from './queue.ts';

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

test('[SD1] tasks of a serial queue run one at a time, in order', async () => {
  const queue = createSerialQueue();
  const seen: string[] = [];
  const first = gate();
  const a = queue.run(async () => {
    seen.push('a starts');
    await first.opened;
    seen.push('a ends');
    return 1;
  });
  const b = queue.run(() => {
    seen.push('b');
    return 2;
  });
  const c = queue.run(async () => {
    await Promise.resolve();
    seen.push('c');
    return 3;
  });
  await Promise.resolve();
  await Promise.resolve();
  expect(seen).toEqual(['a starts']);
  first.open();
  expect(await Promise.all([a, b, c])).toEqual([1, 2, 3]);
  expect(seen).toEqual(['a starts', 'a ends', 'b', 'c']);
});

test('[SD2] a task that fails rejects its own promise and the next one still runs', async () => {
  const queue = createSerialQueue();
  const thrown = queue.run(() => {
    throw new Error('sync');
  });
  const rejected = queue.run(() => Promise.reject(new Error('async')));
  const fine = queue.run(() => 'fine');
  await expect(thrown).rejects.toThrow('sync');
  await expect(rejected).rejects.toThrow('async');
  expect(await fine).toBe('fine');
  await queue.idle();
});

test('[SD3] idle resolves only when nothing runs and nothing waits, also what was given meanwhile', async () => {
  const queue = createSerialQueue();
  await queue.idle();
  const seen: string[] = [];
  const first = gate();
  const a = queue.run(async () => {
    await first.opened;
    seen.push('a');
    void queue.run(() => void seen.push('given by a'));
  });
  const idle = queue.idle().then(() => seen.push('idle'));
  first.open();
  await a;
  await idle;
  expect(seen).toEqual(['a', 'given by a', 'idle']);
});

test('[SD4] a serial queue over its bound says so at once', async () => {
  const queue = createSerialQueue({ tasksMax: 2 });
  const first = gate();
  const a = queue.run(() => first.opened);
  const b = queue.run(() => 2);
  expect(() => queue.run(() => 3)).toThrow('at most 2 tasks');
  first.open();
  await Promise.all([a, b]);
  expect(await queue.run(() => 4)).toBe(4);
});
