/**
 * Makes everything between two events repeatable: WebCrypto answers one call at a time, in the order
 * of asking, and `settle` resolves when nothing is left to run.
 *
 * All else in the simulated world runs in microtasks, which are drained before the next macrotask, so
 * the answers of WebCrypto are the only thing whose order a busy machine could change. The four calls
 * that every message costs are carried out at once by the same OpenSSL, without its threads: they are
 * a third of the time a seed takes.
 */
import { createCipheriv, createDecipheriv, KeyObject, sign, verify } from 'node:crypto';

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

const keyObjects = new WeakMap<CryptoKey, KeyObject>();
function toKeyObject(key: CryptoKey): KeyObject {
  let found = keyObjects.get(key);
  if (!found) keyObjects.set(key, (found = KeyObject.from(key)));
  return found;
}

const toArrayBuffer = (...parts: readonly Uint8Array[]) => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out.buffer;
};
const tagSizeBytes = 16;

interface Gcm {
  readonly iv: Uint8Array;
  readonly additionalData: Uint8Array;
}

/** What `crypto.subtle` answers for AES-256-GCM and ES256, which is all the app asks of these four. */
const atOnce: Readonly<Record<string, (algorithm: never, key: CryptoKey, first: Uint8Array, second: Uint8Array) => unknown>> = {
  encrypt({ iv, additionalData }: Gcm, key, plaintext) {
    const cipher = createCipheriv('aes-256-gcm', toKeyObject(key), iv);
    if (additionalData) cipher.setAAD(additionalData);
    const sealed = [cipher.update(plaintext), cipher.final()];
    return toArrayBuffer(...sealed, cipher.getAuthTag());
  },
  decrypt({ iv, additionalData }: Gcm, key, sealed) {
    try {
      const decipher = createDecipheriv('aes-256-gcm', toKeyObject(key), iv);
      decipher.setAuthTag(sealed.subarray(-tagSizeBytes));
      if (additionalData) decipher.setAAD(additionalData);
      return toArrayBuffer(decipher.update(sealed.subarray(0, -tagSizeBytes)), decipher.final());
    } catch (error) {
      throw new DOMException((error as Error).message, 'OperationError');
    }
  },
  sign: (_, key, data) => toArrayBuffer(sign('sha256', data, { key: toKeyObject(key), dsaEncoding: 'ieee-p1363' })),
  verify: (_, key, signature, data) => verify('sha256', data, { key: toKeyObject(key), dsaEncoding: 'ieee-p1363' }, signature),
};

/** Keys and data of other kinds (inside HPKE) go the usual way. */
function isQuick([, key, ...data]: readonly unknown[]): boolean {
  const { name, length, namedCurve } = (key as CryptoKey).algorithm as { name: string; length?: number; namedCurve?: string };
  return (name === 'AES-GCM' ? length === 256 : name === 'ECDSA' && namedCurve === 'P-256') && data.every((part) => part instanceof Uint8Array);
}

/** Puts the order into this process; the answer takes it out again. */
export function orderWebCrypto(): () => void {
  const { subtle } = crypto;
  const calls = new Map<string | symbol, unknown>();
  const ordered = new Proxy(subtle, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      const quick = atOnce[name as string] as ((...args: readonly unknown[]) => unknown) | undefined;
      if (quick && !calls.has(name)) calls.set(name, async (...args: readonly unknown[]) => (isQuick(args) ? quick(...args) : inOrder(() => (found as (...all: readonly unknown[]) => Promise<unknown>).apply(subtle, [...args]))));
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
