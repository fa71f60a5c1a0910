/** What the built app is served with: policies that leave a script from elsewhere nothing to start from. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { story } from '../support/story.ts';

const workersDir = fileURLToPath(new URL('../../build/client/_app/immutable/workers', import.meta.url));

function directives(policy: string | null): ReadonlyMap<string, readonly string[]> {
  return new Map((policy ?? '').split(';').map((one) => one.trim().split(/\s+/)).map(([name = '', ...values]) => [name, values]));
}

story('[EE21] pages run their own scripts by hash and nothing else; only the worker of OPAQUE compiles WebAssembly', async (world) => {
  for (const path of ['/', '/new', '/settings', '/invite', '/share', '/chat/AAAAAAAAAAAAAAAAAAAAAA', '/nothing/here']) {
    const { headers } = await fetch(world.origin + path);
    const policy = directives(headers.get('content-security-policy'));
    const is = (name: string, ...values: readonly string[]) => assert.deepEqual(policy.get(name), values, `${name} of ${path}`);
    is('default-src', "'none'");
    is('connect-src', "'self'");
    is('worker-src', "'self'");
    is('base-uri', "'none'");
    is('frame-ancestors', "'none'");
    is('require-trusted-types-for', "'script'");
    is('trusted-types', 'svelte-trusted-html', 'godwit');
    const [own, ...hashes] = policy.get('script-src') ?? [];
    assert.equal(own, "'self'", path);
    assert.ok(hashes.length > 0 && hashes.every((hash) => /^'sha256-[\w+/]{43}='$/.test(hash)), `${path} allows ${hashes.join(' ')}`);
    for (const name of ['cross-origin-opener-policy', 'cross-origin-resource-policy']) assert.equal(headers.get(name), 'same-origin', `${name} of ${path}`);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  }
  const workers = (await readdir(workersDir)).filter((name) => name.endsWith('.js')).map((name) => `/_app/immutable/workers/${name}`);
  const compiling: string[] = [];
  for (const path of [...workers, '/service-worker.js']) {
    const { status, headers } = await fetch(world.origin + path);
    const policy = directives(headers.get('content-security-policy'));
    assert.equal(status, 200, path);
    assert.deepEqual(policy.get('default-src'), ["'none'"], path);
    const [own, ...more] = policy.get('script-src') ?? [];
    assert.equal(own, "'self'", path);
    if (more.length > 0) compiling.push(path);
    assert.deepEqual(more.filter((value) => value !== "'wasm-unsafe-eval'"), [], path);
  }
  assert.equal(compiling.length, 1);
  assert.match(compiling[0]!, /\/wasm\.worker-[\w-]+\.js$/);

  // The browser agrees: nothing of this runs in the page.
  world.expectFault(/policy broken|Content.Security.Policy|Trusted ?(?:Type|Script)|Refused to|blocked/i);
  const { page } = await world.person('mira');
  await page.goto(world.origin);
  const ran = await page.evaluate(async () => {
    const marks = globalThis as unknown as { ran?: string };
    const attempts: Readonly<Record<string, () => unknown>> = {
      eval: () => (0, eval)('1'),
      function: () => new Function('return 1')(),
      inline() {
        const script = document.createElement('script');
        script.append('globalThis.ran = "inline"');
        document.head.append(script);
        if (marks.ran !== 'inline') throw new Error('did not run');
      },
      wasm: () => WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
    };
    // What a debugger evaluates may use eval whatever the policy says; what a timer of the page goes on with may not.
    await new Promise((resolve) => setTimeout(resolve));
    const done: string[] = [];
    for (const [name, attempt] of Object.entries(attempts)) {
      try {
        await attempt();
        done.push(name);
      } catch {
        // refused, as it should be
      }
    }
    return done;
  });
  assert.deepEqual(ran, []);
});
