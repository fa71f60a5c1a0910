import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aheadMsMax, boundStamp, compareOrder, createHybridClock, effectiveTime, isLate, orderText, type OrderKey } from './clock.ts';
import { eventLimits } from './event-codec.ts';

const day = 86_400_000;
const start = 1_700_000_000_000;

/** Honest devices with clocks up to a year off, all of which have heard the server once, and one liar. */
const steps = fc.array(fc.record({
  who: fc.nat(3),
  wait: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 100_000 })),
  lie: fc.oneof(fc.integer({ min: -11 * day, max: 31 * 365 * day }), fc.constantFrom(aheadMsMax, aheadMsMax - 1, aheadMsMax + 1, 0)),
  lieL: fc.oneof(fc.constantFrom(0, 1, eventLimits.logicalMax), fc.nat(eventLimits.logicalMax)),
  travel: fc.integer({ min: 1, max: 400 }),
  hears: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
}), { minLength: 1, maxLength: 40 });

test('[CV20] a liar about the time drags honest clocks a minute at most, honest entries are never bounded, causes come before effects', () => {
  let lies = 0;
  fc.assert(fc.property(steps, fc.array(fc.integer({ min: -365 * day, max: 365 * day }), { minLength: 3, maxLength: 3 }), (script, skews) => {
    let now = start;
    const clocks = skews.map((skew) => createHybridClock({ clock: { now: () => now + skew } }));
    for (const clock of clocks) clock.learn(now);
    const heard: OrderKey[][] = [[], [], []];
    script.forEach(({ who, wait, lie, lieL, travel, hears }, i) => {
      now += wait;
      const clock = clocks[who];
      const stamp = clock ? clock.stamp() : { t: Math.max(0, now + travel + lie), l: lieL };
      if (clock) expect(stamp.t - now).toBeLessThanOrEqual(aheadMsMax);
      else lies += 1;
      now += travel;
      const rt = now;
      const eff = effectiveTime({ t: stamp.t, rt, joinRt: start - day });
      const key = { eff, l: stamp.l, slot: who + 1, ctr: i };
      if (clock) {
        expect(eff).toBe(stamp.t);
        for (const cause of heard[who]!) expect(compareOrder(cause, key)).toBeLessThan(0);
        heard[who]!.push(key);
      }
      now += 1;
      hears.forEach((does, device) => {
        if (!does) return;
        clocks[device]!.receive(eff, stamp.l);
        heard[device]!.push(key);
      });
    });
  }), { numRuns: 5_000 });
  expect(lies).toBeGreaterThan(1_000);
});

test('[CV21] a clock that ran ahead comes back once the server is heard, and what it stamped is bounded before sealing', () => {
  let now = start + 365 * day;
  const clock = createHybridClock({ clock: { now: () => now } });
  const written = clock.stamp();
  expect(written.t).toBe(start + 365 * day);
  clock.learn(start);
  expect(clock.now()).toBe(start);
  const next = clock.stamp();
  expect(next.t).toBe(start + aheadMsMax);
  const event = boundStamp({ kind: 'empty' as const, ...written }, clock.now());
  expect(event).toEqual({ kind: 'empty', t: start + aheadMsMax, l: 0 });
  expect(compareOrder({ eff: event.t, l: event.l, slot: 1, ctr: 0 }, { eff: next.t, l: next.l, slot: 1, ctr: 1 })).toBeLessThan(0);
  expect(boundStamp(event, clock.now())).toBe(event);
  now += 2 * aheadMsMax;
  expect(clock.stamp()).toEqual({ t: start + 2 * aheadMsMax, l: 0 });
});

test('[CV21] stamps go on from the state on disk, also when the clock of the machine jumped back', () => {
  let now = start;
  const before = createHybridClock({ clock: { now: () => now } });
  before.learn(start + 5_000);
  const last = before.stamp();
  now -= day;
  const after = createHybridClock({ clock: { now: () => now }, state: before.state() });
  expect(after.stamp()).toEqual({ t: last.t, l: last.l + 1 });
  const full = createHybridClock({ clock: { now: () => now }, state: { t: start, l: eventLimits.logicalMax, offset: 0 } });
  expect(full.stamp()).toEqual({ t: start + 1, l: 0 });
});

test('[CV22] the order text sorts with < as the order sorts, and the order is total', () => {
  const key = fc.record({
    eff: fc.oneof(fc.nat(3), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })), l: fc.oneof(fc.nat(2), fc.nat(eventLimits.logicalMax)),
    slot: fc.oneof(fc.nat(2), fc.nat(2 ** 21 - 1)), ctr: fc.oneof(fc.nat(2), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  });
  fc.assert(fc.property(key, key, (a, b) => {
    const [x, y] = [orderText(a), orderText(b)];
    expect(x < y ? -1 : x > y ? 1 : 0).toBe(Math.sign(compareOrder(a, b)));
    expect(compareOrder(a, b) === 0).toBe(JSON.stringify(a) === JSON.stringify(b));
    expect(x).toHaveLength(30);
  }), { numRuns: 3_000 });
});

test('[CV22] an entry is late from two minutes on', () => {
  expect(isLate({ t: start, rt: start + 120_000 })).toBe(false);
  expect(isLate({ t: start, rt: start + 120_001 })).toBe(true);
});
