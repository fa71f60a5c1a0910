/**
 * The SQLite store as the rest of the server sees it: calls travel to the thread that owns the
 * database, so an fsync never stops a socket. Calls made in one turn travel as one message.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StoreFault, type StoreFaultReason } from './fault.ts';
import type { Store } from './port.ts';
import type { SqliteOptions } from './sqlite-core.ts';
import { storeCalls, type StoreCall } from './sync-port.ts';

export interface StoreRequest {
  readonly id: number;
  readonly call: StoreCall;
  readonly args: readonly unknown[];
}

export type StoreAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly reason: StoreFaultReason; readonly message: string };

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (fault: StoreFault) => void;
}

/** Calls under way at once; above it a call is refused, so that a stalled disk cannot fill the memory. */
const callsMax = 50_000;

/** Rejects with StoreFault when the file cannot be opened or was written by a newer Godwit. */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  try {
    mkdirSync(dirname(options.path), { recursive: true });
  } catch (error) {
    throw new StoreFault('not-writable', (error as Error).message);
  }
  const worker = new Worker(new URL('./sqlite.worker.ts', import.meta.url), { workerData: options, name: 'store' });
  const waiters = new Map<number, Waiter>();
  let nextId = 1;
  let outgoing: StoreRequest[] = [];
  let ended: StoreFault | undefined;
  let onClosed: (() => void) | undefined;

  worker.on('message', (message: readonly StoreAnswer[] | 'closed') => {
    if (message === 'closed') return onClosed?.();
    for (const answer of message) {
      const waiter = waiters.get(answer.id);
      waiters.delete(answer.id);
      if (answer.ok) waiter?.resolve(answer.value);
      else waiter?.reject(new StoreFault(answer.reason, answer.message));
    }
  });
  worker.on('error', (error: Error) => end(new StoreFault('closed', `the store's thread failed: ${error.message}`)));
  worker.on('exit', () => {
    end(new StoreFault('closed', 'the store is closed'));
    onClosed?.();
  });

  function end(fault: StoreFault): void {
    ended ??= fault;
    for (const waiter of waiters.values()) waiter.reject(ended);
    waiters.clear();
  }

  function ask(call: StoreCall, args: readonly unknown[]): Promise<unknown> {
    if (ended) return Promise.reject(ended);
    if (waiters.size >= callsMax) return Promise.reject(new StoreFault('io', `${callsMax} calls are waiting for the disk`));
    const id = nextId++;
    if (outgoing.length === 0) queueMicrotask(send);
    outgoing.push({ id, call, args });
    return new Promise((resolve, reject) => waiters.set(id, { resolve, reject }));
  }

  function send(): void {
    worker.postMessage(outgoing);
    outgoing = [];
  }

  await new Promise((resolve, reject) => waiters.set(0, { resolve, reject }));

  const calls = Object.fromEntries(storeCalls.map((call) => [call, (...args: readonly unknown[]) => ask(call, args)])) as unknown as Omit<Store, 'close'>;
  return {
    ...calls,
    async close() {
      if (ended) return;
      const closed = new Promise<void>((resolve) => (onClosed = resolve));
      if (outgoing.length > 0) send();
      ended = new StoreFault('closed', 'the store is closed');
      worker.postMessage('close');
      await closed;
      await worker.terminate();
    },
  };
}
