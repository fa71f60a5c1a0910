/**
 * The two libraries that are WebAssembly, OPAQUE and Automerge, behind one interface with two ways to run:
 * `createWasmService` in this very thread (Node: tests, tools, the simulation), and `openWasmWorker` in a worker
 * of its own (browsers), so only that one script needs `wasm-unsafe-eval` and no long computation stands
 * in the engine's way.
 */
import { createCoreService, type CoreService } from '#lib/vault/core-service.ts';
import { createOpaqueService, type OpaqueService } from './opaque-service.ts';

export interface WasmService {
  readonly opaque: OpaqueService;
  readonly core: CoreService;
}

export interface WasmWorker extends WasmService {
  /** Calls under way fail. */
  readonly close: () => void;
}

/** Nothing is loaded before it is used. */
export function createWasmService(): WasmService {
  return { opaque: createOpaqueService(), core: createCoreService() };
}

/** The part of a Worker this needs. */
export interface WorkerPort {
  readonly postMessage: (message: unknown) => void;
  readonly terminate: () => void;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onerror: ((event: ErrorEvent) => unknown) | null;
}

/** The part of a worker's global scope this needs. */
export interface WorkerScope {
  readonly postMessage: (message: unknown) => void;
  onmessage: ((event: MessageEvent) => unknown) | null;
}

interface Call { readonly id: number; readonly room: 'opaque' | 'core'; readonly method: string; readonly input: unknown }
type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly failed: string };

/**
 * The same interface through a worker that starts with the first call. When the worker dies, the calls under
 * way fail and the next one starts another: no state lives in it that its callers do not have.
 */
export function openWasmWorker(createWorker: () => WorkerPort): WasmWorker {
  let worker: WorkerPort | undefined;
  let lastId = 0;
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();

  function start(): WorkerPort {
    const started = createWorker();
    started.onmessage = (event) => {
      const reply = event.data as Reply;
      const call = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ('failed' in reply) call?.reject(new Error(`wasm worker: ${reply.failed}`));
      else call?.resolve(reply.value);
    };
    started.onerror = () => stop('it died');
    return started;
  }

  function stop(reason: string): void {
    worker?.terminate();
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new Error(`wasm worker: ${reason}`));
    waiting.clear();
  }

  function ask(room: Call['room'], method: string, input: unknown): Promise<never> {
    worker ??= start();
    const call: Call = { id: ++lastId, room, method, input };
    const answer = new Promise<never>((resolve, reject) => waiting.set(call.id, { resolve: resolve as (value: unknown) => void, reject }));
    worker.postMessage(call);
    return answer;
  }

  return {
    opaque: {
      startRegistration: (input) => ask('opaque', 'startRegistration', input),
      finishRegistration: (input) => ask('opaque', 'finishRegistration', input),
      startLogin: (input) => ask('opaque', 'startLogin', input),
      finishLogin: (input) => ask('opaque', 'finishLogin', input),
    },
    core: { advance: (input) => ask('core', 'advance', input) },
    close: () => stop('it was closed'),
  };
}

/** The worker's side: answers each call with the service's answer or with the kind of its failure. */
export function serveWasm(service: WasmService, scope: WorkerScope): void {
  scope.onmessage = async (event) => {
    const { id, room, method, input } = event.data as Call;
    try {
      const methods = service[room] as unknown as Record<string, (input: unknown) => Promise<unknown>>;
      scope.postMessage({ id, value: await methods[method]!(input) } satisfies Reply);
    } catch (error) {
      // Only the kind travels: a library's words could repeat what it was given.
      scope.postMessage({ id, failed: error instanceof Error ? error.name : 'unknown' } satisfies Reply);
    }
  };
}
