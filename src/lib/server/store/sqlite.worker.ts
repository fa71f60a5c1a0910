/**
 * The thread that owns the database. Reads answer at once; writes wait for the commit that takes all
 * that arrived while the one before ran, with at least `tickMs` between commits (infra.md §2.1:
 * smaller batches made more fsyncs and no better median).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '#lib/std/assert.ts';
import type { Result } from '#lib/std/result.ts';
import { systemRandom } from '#lib/std/system.ts';
import { StoreFault } from './fault.ts';
import { openSqliteCore, type SqliteCore, type SqliteOptions } from './sqlite-core.ts';
import { storeReads } from './sync-port.ts';
import type { StoreAnswer, StoreRequest } from './sqlite.ts';

const tickMs = 5;
/** Enough to make an fsync cheap, small enough to keep one commit short. */
const writesPerCommitMax = 1_024;

assert(parentPort, 'this file runs as a worker');
const port = parentPort;

function start(): SqliteCore | undefined {
  try {
    const core = openSqliteCore(workerData as SqliteOptions, systemRandom);
    port.postMessage([{ id: 0, ok: true, value: undefined }] satisfies StoreAnswer[]);
    return core;
  } catch (error) {
    const fault = error instanceof StoreFault ? error : new StoreFault('broken', String(error));
    port.postMessage([{ id: 0, ok: false, reason: fault.reason, message: fault.message }] satisfies StoreAnswer[]);
    return undefined;
  }
}

function serve(core: SqliteCore): void {
  let waiting: StoreRequest[] = [];
  let isDue = false;
  let lastCommit = 0;

  port.on('message', (message: readonly StoreRequest[] | 'close') => {
    if (message === 'close') {
      flush();
      core.close();
      port.postMessage('closed');
      port.close();
      return;
    }
    const answers: StoreAnswer[] = [];
    for (const request of message) {
      if (storeReads.has(request.call)) answers.push(toAnswer(request.id, core.read(request.call, request.args)));
      else waiting.push(request);
    }
    if (answers.length > 0) port.postMessage(answers);
    if (waiting.length > 0 && !isDue) {
      isDue = true;
      const rest = lastCommit + tickMs - performance.now();
      if (rest > 0) setTimeout(flush, rest);
      else setImmediate(flush);
    }
  });

  function flush(): void {
    isDue = false;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, writesPerCommitMax);
      waiting = waiting.slice(writesPerCommitMax);
      const results = core.commit(batch);
      port.postMessage(batch.map(({ id }, i) => toAnswer(id, results[i]!)));
    }
    lastCommit = performance.now();
  }
}

function toAnswer(id: number, result: Result<unknown, StoreFault>): StoreAnswer {
  return result.ok ? { id, ok: true, value: result.value } : { id, ok: false, reason: result.error.reason, message: result.error.message };
}

const core = start();
if (core) serve(core);
else port.close();
