import { expect, test } from 'vitest';
import fc from 'fast-check';
import type { Random } from '#lib/std/random.ts';
import { createSealer } from './seal.ts';
import { askPersistence, readQuota } from './quota.ts';

const random: Random = { bytes: (size) => crypto.getRandomValues(new Uint8Array(size)), fraction: () => 0.5 };
const newKey = () => crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);

test('[ST11] what was sealed opens under its own store, key and device key only', async () => {
  const sealer = createSealer(await newKey(), random);
  const other = createSealer(await newKey(), random);
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (plaintext) => {
    const sealed = await sealer.seal('drafts', ['c', 1], plaintext);
    const opened = await sealer.unseal('drafts', ['c', 1], sealed);
    expect(opened.ok && [...opened.value]).toEqual([...plaintext]);
    for (const wrong of [
      await sealer.unseal('summaries', ['c', 1], sealed), await sealer.unseal('drafts', ['c', 2], sealed),
      await sealer.unseal('drafts', ['c', '1'], sealed), await other.unseal('drafts', ['c', 1], sealed),
    ]) expect(wrong).toEqual({ ok: false, error: 'unseal-failed' });
  }), { numRuns: 30 });
});

test('[ST11] any changed or missing byte is refused, and no two seals share bytes', async () => {
  const sealer = createSealer(await newKey(), random);
  const sealed = await sealer.seal('kv', 'x', Uint8Array.of(1, 2, 3));
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice();
    changed[i]! ^= 1;
    expect((await sealer.unseal('kv', 'x', changed)).ok).toBe(false);
  }
  for (let size = 0; size < sealed.length; size++) expect((await sealer.unseal('kv', 'x', sealed.subarray(0, size))).ok).toBe(false);
  expect(await sealer.seal('kv', 'x', Uint8Array.of(1, 2, 3))).not.toEqual(sealed);
});

test('[ST12] quota says what the browser says, and undefined where it cannot', async () => {
  expect(await readQuota(undefined)).toEqual({ persisted: undefined, usedBytes: undefined, quotaBytes: undefined });
  let kept = false;
  const port = { estimate: async () => ({ usage: 5, quota: 100 }), persisted: async () => kept, persist: async () => (kept = true) };
  expect(await readQuota(port)).toEqual({ persisted: false, usedBytes: 5, quotaBytes: 100 });
  expect(await askPersistence(port)).toEqual({ persisted: true, usedBytes: 5, quotaBytes: 100 });
  const refusing = { estimate: async () => { throw new TypeError('opaque origin'); }, persist: async () => false };
  expect(await askPersistence(refusing)).toEqual({ persisted: false, usedBytes: undefined, quotaBytes: undefined });
});
