/** Starts the wasm worker: the one script whose Content-Security-Policy allows `wasm-unsafe-eval`. */
import { createWasmService, serveWasm, type WorkerScope } from './wasm-service.ts';

serveWasm(createWasmService(), self as unknown as WorkerScope);
