import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToHex, textToBytes } from '#lib/std/bytes.ts';
import { decodeEvent, decodeWaitingEvent, encodeEvent, encodeWaitingEvent, eventLimits, eventShape } from './event-codec.ts';
import type { Event } from './event.ts';

const target = (slotMin: number) => fc.record({ slot: fc.integer({ min: slotMin, max: 2 ** 21 - 1 }), ctr: fc.integer({ min: 0, max: 2 ** 32 - 1 }) });
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 });
const emoji = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }).filter((value) => textToBytes(value).length <= eventLimits.emojiBytesMax);
const anyBytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;

function anyEvent(slotMin: 0 | 1): fc.Arbitrary<Event> {
  const stamp = { t: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), l: fc.integer({ min: 0, max: eventLimits.logicalMax }) };
  const aimed = { ...stamp, target: target(slotMin) };
  return fc.oneof(
    fc.record({ kind: fc.constant('message' as const), ...stamp, text, replyTo: fc.option(target(slotMin), { nil: undefined }) }),
    fc.record({ kind: fc.constant('edit' as const), ...aimed, text }),
    fc.record({ kind: fc.constant('delete' as const), ...aimed, targetChain: anyBytes(32, 32) }),
    fc.record({ kind: fc.constantFrom('react' as const, 'unreact' as const), ...aimed, emoji }),
    fc.record({ kind: fc.constantFrom('pin' as const, 'unpin' as const), ...aimed }),
    fc.record({ kind: fc.constant('poll' as const), ...stamp, question: text, options: fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }), { minLength: 2, maxLength: 12 }) }),
    fc.record({ kind: fc.constant('vote' as const), ...aimed, choices: fc.uniqueArray(fc.integer({ min: 0, max: 11 })).map((values) => values.sort((a, b) => a - b)) }),
    fc.record({ kind: fc.constant('close-poll' as const), ...aimed }),
    fc.record({ kind: fc.constant('empty' as const), ...stamp }),
    fc.record({ kind: fc.constant('vault-change' as const), ...stamp, change: anyBytes(1, 300), heads: anyBytes(0, 64) }),
  ) as fc.Arbitrary<Event>;
}

test('[CV1] an event decodes to what was encoded, and has one byte form', () => {
  fc.assert(fc.property(anyEvent(1), (event) => {
    const bytes = encodeEvent(event);
    expect(decodeEvent(bytes)).toEqual({ ok: true, value: event });
    expect(encodeWaitingEvent(event)).toEqual(bytes);
  }), { numRuns: 2_000 });
});

test('[CV1] bytes that are no event get a typed refusal; what is accepted encodes to the same bytes', () => {
  const faults = new Set<string>();
  let accepted = 0;
  const look = (bytes: Uint8Array) => {
    const event = decodeEvent(bytes);
    if (!event.ok) faults.add(event.error);
    else {
      accepted += 1;
      expect(encodeEvent(event.value)).toEqual(Uint8Array.from(bytes));
    }
  };
  fc.assert(fc.property(anyEvent(1), fc.nat(), fc.nat(255), fc.integer({ min: 0, max: 3 }), (event, place, byte, how) => {
    const bytes = encodeEvent(event);
    const at = place % bytes.length;
    if (how === 0) look(bytes.subarray(0, at));
    else if (how === 1) look(Uint8Array.of(...bytes, byte));
    else look(bytes.map((old, i) => (i === at ? byte : old)));
  }), { numRuns: 5_000 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), look), { numRuns: 5_000 });
  expect([...faults].sort()).toEqual(expect.arrayContaining(['EOF', 'RANGE', 'TRAILING', 'UNKNOWN_KIND', 'VARINT_PADDED']));
  expect(accepted).toBeGreaterThan(100);
});

test.each<[string, Event, string]>([
  ['message', { kind: 'message', t: 1_700_000_000_000, l: 3, text: 'Grüße 🐦', replyTo: undefined }, '0080d095ffbc310300' + '0c' + '4772c3bcc39f6520f09f90a6'],
  ['reply', { kind: 'message', t: 1, l: 0, text: 'a', replyTo: { slot: 5, ctr: 300 } }, '0001000105ac020161'],
  ['edit', { kind: 'edit', t: 1, l: 0, target: { slot: 1, ctr: 2 }, text: 'b' }, '01010001020162'],
  ['delete', { kind: 'delete', t: 1, l: 0, target: { slot: 1, ctr: 2 }, targetChain: new Uint8Array(32).fill(7) }, '0201000102' + '07'.repeat(32)],
  ['react', { kind: 'react', t: 1, l: 0, target: { slot: 1, ctr: 2 }, emoji: '👍' }, '030100010204f09f918d'],
  ['unreact', { kind: 'unreact', t: 1, l: 0, target: { slot: 1, ctr: 2 }, emoji: '👍' }, '040100010204f09f918d'],
  ['pin', { kind: 'pin', t: 1, l: 0, target: { slot: 1, ctr: 2 } }, '0501000102'],
  ['unpin', { kind: 'unpin', t: 1, l: 0, target: { slot: 1, ctr: 2 } }, '0601000102'],
  ['poll', { kind: 'poll', t: 1, l: 0, question: 'q', options: ['a', 'b'] }, '070100' + '0171' + '02' + '0161' + '0162'],
  ['vote', { kind: 'vote', t: 1, l: 0, target: { slot: 1, ctr: 2 }, choices: [0, 11] }, '080100010202000b'],
  ['close-poll', { kind: 'close-poll', t: 1, l: 0, target: { slot: 1, ctr: 2 } }, '0901000102'],
  ['empty', { kind: 'empty', t: 1, l: 0 }, '0a0100'],
  ['vault-change', { kind: 'vault-change', t: 1, l: 0, change: Uint8Array.of(9), heads: Uint8Array.of() }, '0b0100010900'],
])('[CV2] the bytes of %s are pinned', (_, event, hex) => {
  const bytes = encodeEvent(event);
  expect(decodeEvent(bytes)).toEqual({ ok: true, value: event });
  expect(bytesToHex(bytes)).toBe(hex);
});

test('[CV2] the format in words is pinned: another one is another version', () => {
  expect(eventShape).toMatchInlineSnapshot(`"event{t:V<=9007199254740991,l:V<=2147483647}<0=message{replyTo:?(entry>=1),text:T12288+}|1=edit{target:entry>=1,text:T12288+}|2=delete{target:entry>=1,targetChain:[32]}|3=react{target:entry>=1,emoji:T64+}|4=unreact{target:entry>=1,emoji:T64+}|5=pin{target:entry>=1}|6=unpin{target:entry>=1}|7=poll{question:T1024+,options:2..12*(T256+)}|8=vote{target:entry>=1,choices:<(0..12*(V<=11))}|9=close-poll{target:entry>=1}|10=empty{}|11=vault-change{change:B1..12288,heads:B0..1024}>"`);
});

test('[CV3] text, emoji, polls and votes stay within their bounds, on both sides', () => {
  const stamp = { t: 1, l: 0 };
  const tooLong = { kind: 'message' as const, ...stamp, text: 'ü'.repeat(eventLimits.textBytesMax / 2 + 1), replyTo: undefined };
  expect(() => encodeEvent(tooLong)).toThrow('broken promise');
  expect(() => encodeEvent({ ...tooLong, text: '' })).toThrow('broken promise');
  expect(() => encodeEvent({ kind: 'react', ...stamp, target: { slot: 1, ctr: 0 }, emoji: 'x'.repeat(65) })).toThrow('broken promise');
  expect(() => encodeEvent({ kind: 'poll', ...stamp, question: 'q', options: ['one'] })).toThrow('broken promise');
  expect(() => encodeEvent({ kind: 'vote', ...stamp, target: { slot: 1, ctr: 0 }, choices: [1, 1] })).toThrow('broken promise');
  const hex = (text: string) => Uint8Array.from(text.match(/../g)!.map((byte) => Number.parseInt(byte, 16)));
  expect(decodeEvent(hex('0001000000'))).toEqual({ ok: false, error: 'SHAPE' }); // empty text
  expect(decodeEvent(hex('03010001024178'))).toEqual({ ok: false, error: 'TOO_BIG' }); // an emoji of 65 bytes
  expect(decodeEvent(hex('0701000171010161'))).toEqual({ ok: false, error: 'RANGE' }); // one option
  expect(decodeEvent(hex('0801000102020b00'))).toEqual({ ok: false, error: 'SHAPE' }); // choices descend
  expect(decodeEvent(hex('08010001020201' + '0c'))).toEqual({ ok: false, error: 'RANGE' }); // no such option
  expect(decodeEvent(hex('000100000280ff'))).toEqual({ ok: false, error: 'TEXT' });
});

test('[CV4] slot 0 is a name for the outbox only', () => {
  fc.assert(fc.property(anyEvent(0), (event) => {
    expect(decodeWaitingEvent(encodeWaitingEvent(event))).toEqual({ ok: true, value: event });
  }));
  const own: Event = { kind: 'pin', t: 1, l: 0, target: { slot: 0, ctr: 4 } };
  expect(() => encodeEvent(own)).toThrow('broken promise');
  expect(decodeEvent(encodeWaitingEvent(own))).toEqual({ ok: false, error: 'RANGE' });
});
