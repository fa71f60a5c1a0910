/**
 * Headers every answer carries, and those of files served as they are. Pages get their own content
 * security policy from Kit, with the hashes of their scripts; workers are not covered by it and get
 * theirs here.
 */
export interface HeaderOptions {
  readonly https: boolean;
}

/** For every answer. */
export function securityHeaders({ https }: HeaderOptions): Readonly<Record<string, string>> {
  return {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    // What the app never asks for is off, for whatever might come to run in it too.
    'permissions-policy': 'accelerometer=(), browsing-topics=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), midi=(), payment=(), serial=(), usb=()',
    ...(https && { 'strict-transport-security': 'max-age=63072000; includeSubDomains' }),
  };
}

/** For a file at this path, `securityHeaders` included; how long it is kept is for whoever serves it. */
export function headersFor(path: string, options: HeaderOptions): Readonly<Record<string, string>> {
  const policy = workerPolicy(path);
  return { ...securityHeaders(options), ...(policy && { 'content-security-policy': policy }) };
}

/** Only the worker that runs OPAQUE may compile WebAssembly. */
function workerPolicy(path: string): string | undefined {
  const isWorker = path.startsWith('/_app/immutable/workers/');
  if (!isWorker && path !== '/service-worker.js') return undefined;
  const mayCompile = isWorker && path.includes('wasm.worker');
  return `default-src 'none'; script-src 'self'${mayCompile ? " 'wasm-unsafe-eval'" : ''}; connect-src 'self'; worker-src 'self'`;
}
