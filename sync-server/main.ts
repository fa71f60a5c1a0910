/**
 * `npm start`: one node with everything, on http://localhost:3000 unless told otherwise.
 *
 * Nothing is imported before the version is known, because an older Node cannot load the rest.
 */
const nodeMajorMin = 24;

if (Number(process.versions.node.split('.')[0]) < nodeMajorMin) {
  console.error(`Godwit needs Node ${nodeMajorMin} or newer and this is ${process.versions.node}: start it with "npm start", which brings its own.`);
  process.exit(2);
}

const { startNode } = await import('./start.ts');
const { StartFault } = await import('#lib/server/start-fault.ts');

try {
  const node = await startNode({ environment: process.env, workingDirectory: process.cwd() });
  console.log(`Godwit is running at ${node.address}\nIts data is in ${node.config.dataDir}. Ctrl+C stops it.`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => leave(node.stop));
} catch (error) {
  if (!(error instanceof StartFault)) throw error;
  console.error(`Godwit does not start: ${error.message}`);
  process.exit(2);
}

/** A second signal ends it at once: its first handler is gone by then. */
function leave(stop: () => Promise<void>): void {
  console.log('Godwit is stopping: everybody connected is asked to come back.');
  void stop().then(() => process.exit(0));
}

export {};
