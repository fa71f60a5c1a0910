import adapter from '@sveltejs/adapter-node';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** @type {import('@sveltejs/kit').Config} */
export default {
  preprocess: vitePreprocess(),
  compilerOptions: {
    runes: ({ filename }) => (filename.includes('node_modules') ? undefined : true),
  },
  kit: {
    adapter: adapter({ precompress: true }),
    // The cached shell is served for every address, so its scripts need absolute addresses.
    paths: { relative: false },
    // `workbox-window` registers the worker, so the app can offer updates.
    serviceWorker: { register: false },
    files: { serviceWorker: 'src/service-worker/index.ts' },
    csp: {
      mode: 'hash',
      directives: {
        'default-src': ['none'],
        'script-src': ['self'],
        'style-src': ['self', 'unsafe-inline'],
        'img-src': ['self', 'blob:', 'data:'],
        'font-src': ['self'],
        'connect-src': ['self'],
        'worker-src': ['self'],
        'manifest-src': ['self'],
        'base-uri': ['none'],
        'form-action': ['self'],
        'frame-ancestors': ['none'],
        'require-trusted-types-for': ['script'],
        'trusted-types': ['svelte-trusted-html', 'godwit'],
      },
    },
    typescript: {
      config: (config) => {
        config.include.push('../sync-server/**/*.ts', '../tools/**/*.ts', '../bench/**/*.ts', '../tests/**/*.ts');
        config.exclude = [...(config.exclude ?? []), '../src/service-worker/**'];
        return config;
      },
    },
  },
};
