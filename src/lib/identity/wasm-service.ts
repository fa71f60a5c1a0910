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
 * way fail and the next one starts another: no state lives in it that its callers do not have. After a failed call
 * it is replaced too, because a module whose wasm did not load once (no network) fails for its worker's whole life.
 */
export function openWasmWorker(createWorker: () => WorkerPort): WasmWorker {
  interface Running {
    readonly port: WorkerPort;
    readonly waiting: Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>;
  }
  let running: Running | undefined;
  let lastId = 0;

  function start(): Running {
    const started: Running = { port: createWorker(), waiting: new Map() };
    started.port.onmessage = (event) => {
      const reply = event.data as Reply;
      const call = started.waiting.get(reply.id);
      started.waiting.delete(reply.id);
      if ('failed' in reply) {
        call?.reject(new Error(`wasm worker: ${reply.failed}`));
        if (running === started) running = undefined;
      } else call?.resolve(reply.value);
      if (running !== started && started.waiting.size === 0) started.port.terminate();
    };
    started.port.onerror = () => stop(started, 'it died');
    return started;
  }

  function stop(stopped: Running, reason: string): void {
    stopped.port.terminate();
    if (running === stopped) running = undefined;
    for (const { reject } of stopped.waiting.values()) reject(new Error(`wasm worker: ${reason}`));
    stopped.waiting.clear();
  }

  function ask(room: Call['room'], method: string, input: unknown): Promise<never> {
    running ??= start();
    const { port, waiting } = running;
    const call: Call = { id: ++lastId, room, method, input };
    const answer = new Promise<never>((resolve, reject) => waiting.set(call.id, { resolve: resolve as (value: unknown) => void, reject }));
    port.postMessage(call);
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
    close() {
      if (running) stop(running, 'it was closed');
    },
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
