// The map of the house: each room and the rooms whose values it may import.
// docs/ARCHITECTURE.md draws the same picture; change both in one commit.
const rooms = {
  std: [],
  protocol: ['std'],
  crypto: ['std'],
  storage: ['std', 'protocol'],
  chains: ['std', 'protocol', 'crypto'],
  conversation: ['std', 'protocol', 'crypto', 'chains'],
  timeline: ['std', 'protocol', 'conversation'],
  search: ['std', 'storage', 'timeline'],
  sync: ['std', 'protocol', 'storage'],
  vault: ['std', 'protocol', 'crypto', 'storage'],
  identity: ['std', 'protocol', 'crypto', 'chains', 'storage', 'vault'],
  groups: ['std', 'protocol', 'crypto', 'chains', 'storage', 'vault', 'identity'],
  media: ['std', 'protocol', 'crypto', 'storage', 'conversation'],
  push: ['std', 'protocol', 'crypto', 'vault', 'conversation'],
  app: ['std', 'protocol', 'crypto', 'chains', 'storage', 'conversation', 'timeline', 'search', 'sync', 'vault', 'identity', 'groups', 'media', 'push'],
  ui: ['std', 'app'],
  server: ['std', 'protocol', 'crypto', 'chains'],
};

// Every outside package has one home; nothing else imports it.
const homes = {
  yjs: 'src/lib/conversation',
  'y-indexeddb': 'src/lib/conversation',
  'y-websocket': 'src/lib/sync',
  idb: 'src/lib/storage',
  lib0: 'src/lib/(protocol|conversation)',
  '@hpke': 'src/lib/crypto',
  '@noble/hashes': 'src/lib/crypto',
  '@scure/bip39': 'src/lib/vault',
  '@automerge/automerge': 'src/lib/vault',
  '@serenity-kit/opaque': 'src/lib/(identity|server/identity)',
  comlink: 'src/lib/app',
  flexsearch: 'src/lib/search',
  'workbox-window': 'src/lib/app',
  virtua: 'src/lib/ui',
  linkifyjs: 'src/lib/ui',
  uqr: 'src/lib/ui',
  lucia: 'src/lib/server/identity',
  jose: 'src/lib/server/identity',
  'rate-limiter-flexible': 'src/lib/server',
  pino: 'src/lib/server',
  redis: 'src/lib/server/bus',
  'web-push': 'src/lib/server/push',
  ws: 'sync-server',
};

const tests = '(\\.(test|contract)\\.ts$|/fixtures/)'; // fixtures are for tests only
const workshop = '^(tests|bench|tools)/';
const serverSide = '^(src/lib/server/|src/hooks\\.server\\.ts|src/routes/.*\\+(server|page\\.server|layout\\.server)\\.ts|sync-server/)';
const rule = (name, from, to, comment = name) => ({ name, comment, severity: 'error', from, to });

export default {
  forbidden: [
    rule('no-cycles', {}, { circular: true }),
    rule('no-lost-imports', {}, { couldNotResolve: true, pathNot: '^(\\$(app|env|service-worker)|vite/client)' }),
    ...Object.entries(rooms).map(([room, may]) =>
      rule(`room-${room}`, { path: `^src/lib/${room}/`, pathNot: tests },
        { path: '^(src|sync-server|tests|bench|tools)/', pathNot: `^src/lib/(${[room, ...may].join('|')})/`,
          ...(room === 'ui' && { dependencyTypesNot: ['type-only'] }) },
        `${room} may import: ${may.join(', ') || 'nothing'}`)),
    rule('rooms-are-listed', { path: '^src/lib/', pathNot: `^src/lib/(${Object.keys(rooms).join('|')})/` }, { path: '.' }, 'add the new room to the map first'),
    rule('insides-are-private', { pathNot: `^src/lib/|${workshop}` }, { path: '^src/lib/(?!ui/|server/)[^/]+/[^/]+/|^src/lib/(ui|server)/[^/]+/[^/]+/' }),
    rule('insides-are-private-between-rooms', { path: '^src/lib/([^/]+)/', pathNot: tests }, { path: '^src/lib/(?!ui/|server/)[^/]+/[^/]+/', pathNot: '^src/lib/$1/' }),
    rule('server-wall', { pathNot: `${serverSide}|${tests}|${workshop}` }, { path: '^(src/lib/server|sync-server)/' }),
    rule('plaintext-wall', { path: serverSide, pathNot: tests }, { path: '^src/lib/(?!std/|protocol/|crypto/|chains/|server/)' }, 'the server holds no code that can read a message'),
    rule('browser-has-no-node', { path: '^src/', pathNot: `${serverSide}|${tests}` }, { dependencyTypes: ['core'] }),
    rule('pages-are-thin', { path: '^src/routes/.*(\\.svelte|\\+(page|layout)\\.ts)$' }, { path: '^src/lib/', pathNot: '^src/lib/(ui|app)/', dependencyTypesNot: ['type-only'] }),
    ...Object.entries(homes).map(([name, home]) =>
      rule(`home-of-${name.replace(/[^a-z0-9-]/g, '_')}`, { path: '^(src|sync-server)/', pathNot: `^${home}/|${tests}` }, { path: `^node_modules/${name}/` })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'svelte', 'node', 'default'] },
  },
};
