/**
 * The one Trusted Types policy of our own: a script address is trusted when this build made it.
 * Where the browser has no Trusted Types the address passes as it is.
 */
interface Policy {
  readonly createScriptURL: (url: string) => unknown;
}
interface PolicyFactory {
  readonly createPolicy: (name: string, rules: { createScriptURL: (url: string) => string }) => Policy;
}

let policy: Policy | undefined;

/** Throws for an address that is not one of our own scripts. */
export function trustedScriptUrl(url: string): string {
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  if (!factory) return check(url);
  policy ??= factory.createPolicy('godwit', { createScriptURL: check });
  // The DOM's own types name only strings here; the browser wants the trusted object.
  return policy.createScriptURL(url) as string;
}

function check(url: string): string {
  const target = new URL(url, location.origin);
  const ours = target.origin === location.origin && /^\/(_app\/|service-worker\.js$|src\/|@fs\/|node_modules\/)/.test(target.pathname);
  if (!ours) throw new TypeError('broken promise: workers start from our own build only');
  return url;
}
