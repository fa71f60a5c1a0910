import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToHex, concatBytes, type Bytes } from '#lib/std/bytes.ts';
import { isPaddedSize, paddedSize } from '#lib/std/padding.ts';
import { envelopeAssociatedData, envelopeHeader, joinEnvelope, paddedBodySizeBytesMax, parseEnvelope, sealedOverheadSizeBytes, type EnvelopeFault } from './envelope.ts';
import { bytesToId, type ConversationId } from './ids.ts';
import { limits } from './limits.ts';
import { numberBytes, paddedNumberBytes } from '../../../tests/support/shape.ts';

const head = fc.record({
  epoch: fc.oneof(fc.nat(300), fc.constant(2 ** 32 - 1), fc.nat(2 ** 31 - 1)),
  purge: fc.option(fc.record({ slot: fc.integer({ min: 1, max: 2 ** 21 - 1 }), ctr: fc.oneof(fc.nat(300), fc.constant(2 ** 32 - 1)) }), { nil: undefined }),
});

function sealedOf(bodySize: number, fill = 0xab): Bytes {
  return new Uint8Array(sealedOverheadSizeBytes + paddedSize(bodySize)).fill(fill);
}

const nonce = new Uint8Array(12).fill(9);

test('[PR11] an envelope splits into what it was joined from', () => {
  fc.assert(fc.property(head, fc.integer({ min: 1, max: paddedBodySizeBytesMax }), fc.nat(255), (fields, bodySize, fill) => {
    const headerBytes = envelopeHeader(fields);
    const ciphertext = sealedOf(bodySize, fill);
    const envelope = joinEnvelope({ headerBytes, nonce, ciphertext });
    expect(envelope.length).toBeLessThanOrEqual(limits.envelopeSizeBytesMax);
    expect(parseEnvelope(envelope)).toEqual({ ok: true, value: { version: 1, ...fields, headerBytes, nonce, ciphertext } });
  }), { numRuns: 300 });
});

test('[PR12] an envelope in any form but its one is refused by its typed reason', () => {
  const rest = concatBytes(nonce, sealedOf(10));
  function refused(...first: readonly number[]): EnvelopeFault | 'accepted' {
    const parsed = parseEnvelope(concatBytes(Uint8Array.from(first), rest));
    return parsed.ok ? 'accepted' : parsed.error;
  }
  expect(refused(1, 0, 7)).toBe('accepted');
  expect(refused(1, 1, 7, 5, 9)).toBe('accepted');
  expect(refused(0, 0, 7)).toBe('VERSION');
  expect(refused(2, 0, 7)).toBe('VERSION');
  for (const flags of [2, 3, 4, 0x80, 0xff]) expect(refused(1, flags, 7)).toBe('FLAGS');
  expect(refused(1, 0, ...paddedNumberBytes(7))).toBe('VARINT_PADDED');
  expect(refused(1, 1, 7, ...paddedNumberBytes(5), 9)).toBe('VARINT_PADDED');
  expect(refused(1, 1, 7, 5, ...paddedNumberBytes(9))).toBe('VARINT_PADDED');
  expect(refused(1, 0, ...numberBytes(2 ** 32))).toBe('RANGE');
  expect(refused(1, 1, 7, 0, 9)).toBe('RANGE');
  expect(refused(1, 1, 7, ...numberBytes(2 ** 21), 9)).toBe('RANGE');
  expect(refused(1, 1, 7, 5, ...numberBytes(2 ** 32))).toBe('RANGE');
  expect(refused(1, 0, 7, 0)).toBe('PADDING');
  expect(parseEnvelope(new Uint8Array(limits.envelopeSizeBytesMin - 1).fill(1))).toEqual({ ok: false, error: 'SMALL' });
  expect(parseEnvelope(new Uint8Array(limits.envelopeSizeBytesMax + 1).fill(1))).toEqual({ ok: false, error: 'TOO_BIG' });
});

test('[PR12] an envelope cut short or longer by any number of bytes is refused', () => {
  const envelope = joinEnvelope({ headerBytes: envelopeHeader({ epoch: 300, purge: undefined }), nonce, ciphertext: sealedOf(600) });
  for (let size = 0; size < envelope.length; size++) {
    const parsed = parseEnvelope(envelope.subarray(0, size));
    // Cut to where a smaller body would end it is well formed, and AES-GCM refuses it.
    const smaller = isPaddedSize(size - 4 - 12 - sealedOverheadSizeBytes);
    expect([size, parsed.ok ? 'accepted' : parsed.error]).toEqual([size, smaller ? 'accepted' : size < 64 ? 'SMALL' : size <= 4 + 12 + sealedOverheadSizeBytes ? 'EOF' : 'PADDING']);
  }
  for (let extra = 1; extra < 300; extra++) expect(parseEnvelope(concatBytes(envelope, new Uint8Array(extra)))).toEqual({ ok: false, error: 'PADDING' });
});

test('[PR13] whatever envelope is accepted joins to the same bytes again', () => {
  const start = joinEnvelope({ headerBytes: envelopeHeader({ epoch: 300, purge: { slot: 200, ctr: 70_000 } }), nonce, ciphertext: sealedOf(10) });
  let accepted = 0;
  let refused = 0;
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(24), fc.nat(255), fc.constantFrom('set', 'insert', 'remove')), { minLength: 1, maxLength: 3 }), (changes) => {
    const mutated = [...start];
    for (const [at, byte, how] of changes) mutated.splice(at, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
    const parsed = parseEnvelope(Uint8Array.from(mutated));
    if (!parsed.ok) return void (refused += 1);
    accepted += 1;
    expect(envelopeHeader(parsed.value)).toEqual(parsed.value.headerBytes);
    expect(joinEnvelope(parsed.value)).toEqual(Uint8Array.from(mutated));
  }), { numRuns: 5_000 });
  expect(Math.min(accepted, refused)).toBeGreaterThan(500);
});

test('[PR14] the associated data of an envelope differs for another conversation, slot, counter or header', () => {
  const conversation = bytesToId<ConversationId>(Uint8Array.from({ length: 16 }, (_, i) => i));
  const place = { conversation, slot: 0x010203, ctr: 0x04050607, headerBytes: Uint8Array.of(1, 0, 7) };
  const bound = envelopeAssociatedData(place);
  expect(bytesToHex(bound)).toBe(`${Buffer.from('app/outer/v1').toString('hex')}000102030405060708090a0b0c0d0e0f` + '00010203' + '0000000004050607' + '010007');
  const others = [
    { ...place, conversation: bytesToId<ConversationId>(new Uint8Array(16)) },
    { ...place, slot: 1 },
    { ...place, ctr: 1 },
    { ...place, ctr: 0x04050607 + 2 ** 32 },
    { ...place, headerBytes: Uint8Array.of(1, 0, 8) },
  ];
  expect(new Set([place, ...others].map((other) => bytesToHex(envelopeAssociatedData(other)))).size).toBe(others.length + 1);
});

test('[PR15] an envelope that could not be parsed is never joined', () => {
  const headerBytes = envelopeHeader({ epoch: 1, purge: undefined });
  expect(() => joinEnvelope({ headerBytes, nonce: new Uint8Array(11), ciphertext: sealedOf(1) })).toThrow('12 bytes');
  expect(() => joinEnvelope({ headerBytes, nonce, ciphertext: new Uint8Array(300) })).toThrow('padded');
  expect(() => joinEnvelope({ headerBytes, nonce, ciphertext: sealedOf(paddedBodySizeBytesMax + 1) })).toThrow('16 KiB');
  expect(() => envelopeHeader({ epoch: -1, purge: undefined })).toThrow('epoch');
  expect(() => envelopeHeader({ epoch: 2 ** 32, purge: undefined })).toThrow('epoch');
  expect(() => envelopeHeader({ epoch: 1, purge: { slot: 0, ctr: 0 } })).toThrow('entry id');
});
