import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openWasmWorker, serveWasm, createWasmService, type WasmService, type WorkerPort, type WorkerScope } from './wasm-service.ts';

/** Both ends of a worker over a real structured-clone channel, in one thread. */
function channel(service: WasmService) {
  const made: { port: WorkerPort; inside: MessagePort; terminated: boolean }[] = [];
  return {
    made,
    create(): WorkerPort {
      const { port1, port2 } = new MessageChannel();
      const scope: WorkerScope = { postMessage: (message) => port2.postMessage(message), onmessage: null };
      serveWasm(service, scope);
      port2.on('message', (data) => scope.onmessage!({ data } as MessageEvent));
      const port: WorkerPort = { postMessage: (message) => port1.postMessage(message), terminate: () => { port1.close(); worker.terminated = true; }, onmessage: null, onerror: null };
      port1.on('message', (data) => port.onmessage!({ data } as MessageEvent));
      const worker = { port, inside: port2, terminated: false };
      made.push(worker);
      return port;
    },
  };
}

const change = { document: undefined, actor: '11'.repeat(16), writes: [[{ path: 'a', to: { type: 'flag' as const, value: true } }]], received: [] };

test('[ID16] through a worker the answers are those of the service itself, and it starts with the first call', async () => {
  const { made, create } = channel(createWasmService());
  const worker = openWasmWorker(create);
  expect(made).toHaveLength(0);
  expect(await worker.core.advance(change)).toEqual(await createWasmService().core.advance(change));
  const { state, registrationRequest } = await worker.opaque.startRegistration({ password: 'correct horse 7' });
  expect(state.length).toBeGreaterThan(0);
  expect(registrationRequest.length).toBeGreaterThan(0);
  expect(await worker.opaque.finishRegistration({ password: 'x', handle: 'ada', state, registrationResponse: 'nonsense' })).toBeUndefined();
  expect(await worker.opaque.finishLogin({ password: 'x', handle: 'ada', state, loginResponse: 'nonsense' })).toBeUndefined();
  expect(made).toHaveLength(1);
  worker.close();
  expect(made[0]!.terminated).toBe(true);
});

test('[ID16] when the worker dies its calls fail and the next call starts another', async () => {
  const silent: WasmService = { ...createWasmService(), core: { advance: () => new Promise(() => undefined) } };
  const { made, create } = channel(silent);
  const worker = openWasmWorker(create);
  const lost = [worker.core.advance(change), worker.core.advance(change)];
  made[0]!.port.onerror!({} as ErrorEvent);
  for (const call of lost) await expect(call).rejects.toThrow('it died');
  expect((await worker.opaque.startLogin({ password: 'correct horse 7' })).loginRequest.length).toBeGreaterThan(0);
  expect(made).toHaveLength(2);
  worker.close();
});

test('[ID16] a failure inside tells its kind and repeats nothing it was given, and the next call has another worker', async () => {
  const failing: WasmService = { ...createWasmService(), core: { advance: () => Promise.reject(new RangeError('secret 1234')) } };
  const { made, create } = channel(failing);
  const worker = openWasmWorker(create);
  const beside = worker.opaque.startLogin({ password: 'correct horse 7' });
  await expect(worker.core.advance(change)).rejects.toThrow(/^wasm worker: RangeError$/);
  // What failed once may fail for that worker's life, as wasm that did not load: the next call has another.
  const after = worker.opaque.startLogin({ password: 'correct horse 7' });
  for (const call of [beside, after]) expect((await call).loginRequest.length).toBeGreaterThan(0);
  expect(made.map(({ terminated }) => terminated)).toEqual([true, false]);
  worker.close();
});
