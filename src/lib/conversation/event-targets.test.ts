import { expect, test } from 'vitest';
import { resolveOwnTargets, targetOf } from './event-targets.ts';
import type { Event } from './event.ts';

const stamp = { t: 1, l: 0 };

test('[CV4] what waits with slot 0 is sealed with the real slot, and moved entries are followed', () => {
  const reply: Event = { kind: 'message', ...stamp, text: 'a', replyTo: { slot: 0, ctr: 3 } };
  expect(resolveOwnTargets(reply, 7)).toEqual({ ...reply, replyTo: { slot: 7, ctr: 3 } });
  const edit: Event = { kind: 'edit', ...stamp, target: { slot: 5, ctr: 11 }, text: 'b' };
  expect(resolveOwnTargets(edit, 7)).toEqual(edit);
  // Slot 5 was given up: its entries from 10 on moved to slot 7.
  const moved = ({ slot, ctr }: { slot: number; ctr: number }) => (slot === 5 && ctr >= 10 ? { slot: 7, ctr: ctr - 10 } : { slot, ctr });
  expect(resolveOwnTargets(edit, 7, moved)).toEqual({ ...edit, target: { slot: 7, ctr: 1 } });
  const plain: Event = { kind: 'message', ...stamp, text: 'a', replyTo: undefined };
  expect(resolveOwnTargets(plain, 7)).toBe(plain);
});

test('[CV4] an event names its target or what it replies to', () => {
  expect(targetOf({ kind: 'pin', ...stamp, target: { slot: 1, ctr: 2 } })).toEqual({ slot: 1, ctr: 2 });
  expect(targetOf({ kind: 'message', ...stamp, text: 'a', replyTo: { slot: 1, ctr: 3 } })).toEqual({ slot: 1, ctr: 3 });
  expect(targetOf({ kind: 'empty', ...stamp })).toBeUndefined();
});
