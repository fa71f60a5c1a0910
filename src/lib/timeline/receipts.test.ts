import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '#lib/protocol/ids.ts';
import { people } from './fixtures/chatter.ts';
import { createReceipts } from './receipts.ts';

const [me, bob, carol] = people as [AccountId, AccountId, AccountId];
const marks = fc.array(fc.record({ account: fc.constantFrom(...people), deliveredSeq: fc.nat(20), readSeq: fc.nat(20) }), { maxLength: 20 });

test('[TL10] ticks only rise, whatever the order of marks, and say how far somebody else got', () => {
  fc.assert(fc.property(marks, fc.nat(1_000), (given, turn) => {
    const receipts = createReceipts({ me });
    const other = createReceipts({ me });
    const ticks = () => Array.from({ length: 21 }, (_, seq) => receipts.tick(seq));
    for (const mark of given) {
      const before = ticks();
      const range = receipts.apply(mark);
      const moved = ticks().flatMap((tick, seq) => (tick === before[seq] ? [] : [seq]));
      for (const seq of moved) expect(range && seq > range.from && seq <= range.to).toBe(true);
    }
    const turned = given.length === 0 ? [] : [...given.slice(turn % given.length), ...given.slice(0, turn % given.length), ...given];
    turned.forEach((mark) => other.apply(mark));
    const others = given.filter(({ account }) => account !== me);
    for (let seq = 1; seq <= 20; seq++) {
      const read = others.some(({ readSeq }) => readSeq >= seq);
      const delivered = others.some(({ deliveredSeq }) => deliveredSeq >= seq);
      expect(receipts.tick(seq)).toBe(read ? 'read' : delivered ? 'delivered' : 'sent');
      expect(other.tick(seq)).toBe(receipts.tick(seq));
      expect(new Map(other.seenBy(seq).map((one) => [one.account, one]))).toEqual(new Map(receipts.seenBy(seq).map((one) => [one.account, one])));
    }
  }));
});

test('[TL10] own marks of other devices tell how far I have read, and give no tick', () => {
  const receipts = createReceipts({ me });
  expect(receipts.apply({ account: me, deliveredSeq: 9, readSeq: 9 })).toBeUndefined();
  expect(receipts.tick(5)).toBe('sent');
  expect(receipts.ownReadSeq()).toBe(9);
  expect(receipts.apply({ account: bob, deliveredSeq: 5, readSeq: 2 })).toEqual({ from: 0, to: 5 });
  expect(receipts.apply({ account: carol, deliveredSeq: 3, readSeq: 3 })).toEqual({ from: 2, to: 3 });
  expect(receipts.apply({ account: carol, deliveredSeq: 1, readSeq: 1 })).toBeUndefined();
  expect(receipts.seenBy(4)).toEqual([{ account: bob, delivered: true, read: false }, { account: carol, delivered: false, read: false }]);
});
