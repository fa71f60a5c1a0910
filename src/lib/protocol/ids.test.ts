import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToBase64url } from '#lib/std/bytes.ts';
import { bytesToId, entryKey, idToBytes, keyToEntry, parseHandle, parseId, type AccountId } from './ids.ts';

test('[PR29] an id is 16 bytes and one text, and nothing else is taken for one', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
    const id = bytesToId<AccountId>(bytes);
    expect([...idToBytes(id)]).toEqual([...bytes]);
    expect(parseId(id)).toBe(id);
  }));
  const good = bytesToBase64url(new Uint8Array(16));
  for (const wrong of ['', good.slice(1), `${good}A`, `${good.slice(1)}=`, `${good.slice(1)}+`, `${good.slice(1)}B`, ` ${good.slice(1)}`]) expect([wrong, parseId(wrong)]).toEqual([wrong, undefined]);
  expect(() => bytesToId(new Uint8Array(15))).toThrow('16 bytes');
  expect(() => idToBytes('short' as AccountId)).toThrow('16 bytes');
});

test('[PR30] an entry id is one number and back, at both ends', () => {
  fc.assert(fc.property(fc.nat(2 ** 21 - 1), fc.nat(2 ** 31 - 1), fc.boolean(), (slot, half, high) => {
    const entry = { slot, ctr: high ? half + 2 ** 31 : half };
    expect(Number.isSafeInteger(entryKey(entry))).toBe(true);
    expect(keyToEntry(entryKey(entry))).toEqual(entry);
  }));
  expect(keyToEntry(entryKey({ slot: 2 ** 21 - 1, ctr: 2 ** 32 - 1 }))).toEqual({ slot: 2 ** 21 - 1, ctr: 2 ** 32 - 1 });
});

test('[PR31] a handle has one form: 3 to 32 of a-z, 0-9 and _, a letter first', () => {
  expect(parseHandle(' @Ada_1 ')).toBe('ada_1');
  expect(parseHandle('a'.repeat(32))).toBe('a'.repeat(32));
  for (const wrong of ['', 'ab', 'a'.repeat(33), '1ada', '_ada', 'a da', 'ädä', 'ada-b', '@@ada', 'ada\n\u0000', 'аda']) expect([wrong, parseHandle(wrong)]).toEqual([wrong, undefined]);
});
