/**
 * How much room there is and whether the browser promised to keep it. `navigator.storage` is handed
 * in, because Firefox's private windows and old browsers have parts of it only.
 */
export interface StorageManagerPort {
  readonly estimate?: () => Promise<{ readonly usage?: number; readonly quota?: number }>;
  readonly persisted?: () => Promise<boolean>;
  readonly persist?: () => Promise<boolean>;
}

export interface Quota {
  /** Undefined where the browser cannot say. */
  readonly persisted: boolean | undefined;
  readonly usedBytes: number | undefined;
  readonly quotaBytes: number | undefined;
}

export async function readQuota(port: StorageManagerPort | undefined): Promise<Quota> {
  const [persisted, estimate] = await Promise.all([ask(port?.persisted?.bind(port)), ask(port?.estimate?.bind(port))]);
  return { persisted, usedBytes: estimate?.usage, quotaBytes: estimate?.quota };
}

/** Asks the browser to keep the data; some ask the person. Answers what holds afterwards. */
export async function askPersistence(port: StorageManagerPort | undefined): Promise<Quota> {
  const granted = await ask(port?.persist?.bind(port));
  const quota = await readQuota(port);
  return { ...quota, persisted: quota.persisted ?? granted };
}

/** A browser that refuses to answer (TypeError in an opaque origin) is one that cannot say. */
async function ask<T>(question: (() => Promise<T>) | undefined): Promise<T | undefined> {
  if (!question) return undefined;
  try {
    return await question();
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return undefined;
    throw error;
  }
}
