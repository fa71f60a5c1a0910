// What the compiler cannot see: promises nobody waits for, unions with a case left out, and globals that
// would make the core depend on this machine's clock, luck or network.
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

/** Rooms whose clock, randomness, timers and network arrive as arguments (HOUSE.md). */
const core = ['std', 'protocol', 'crypto', 'chains', 'conversation', 'timeline', 'sync', 'groups', 'vault', 'identity', 'storage', 'search'];
const coreFiles = core.map((room) => `src/lib/${room}/**/*.ts`);
const tests = ['**/*.test.ts', '**/*.contract.ts', '**/fixtures/**', 'tests/**/*.ts'];

const use = (instead) => `In the core this arrives as an argument: ${instead}.`;
const coreGlobals = [
  ['setTimeout', 'Timers of std/clock.ts'],
  ['setInterval', 'Timers of std/clock.ts'],
  ['setImmediate', 'Timers of std/clock.ts'],
  ['requestIdleCallback', 'Timers of std/clock.ts'],
  ['requestAnimationFrame', 'Timers of std/clock.ts'],
  ['fetch', 'a function the composition hands in'],
  ['WebSocket', 'a function the composition hands in'],
  ['localStorage', 'the room storage'],
].map(([name, instead]) => ({ name, message: use(instead) }));
const coreProperties = [
  ['Date', 'now', 'Clock of std/clock.ts'],
  ['performance', 'now', 'Clock of std/clock.ts'],
  ['Math', 'random', 'Random of std/random.ts'],
  ['crypto', 'getRandomValues', 'Random of std/random.ts'],
  ['crypto', 'randomUUID', 'Random of std/random.ts'],
  ['globalThis', 'setTimeout', 'Timers of std/clock.ts'],
  ['globalThis', 'setInterval', 'Timers of std/clock.ts'],
  ['self', 'setTimeout', 'Timers of std/clock.ts'],
].map(([object, property, instead]) => ({ object, property, message: use(instead) }));

const correctness = {
  'no-restricted-syntax': ['error',
    { selector: 'TSEnumDeclaration', message: 'Node erases our types: use a union.' },
    { selector: 'TSParameterProperty', message: 'Node erases our types: use a field.' },
    { selector: 'ExportDefaultDeclaration', message: 'Exports have names.' }],
  'no-debugger': 'error',
  'no-console': 'off',
  eqeqeq: ['error', 'always'],
  'no-empty': ['error', { allowEmptyCatch: false }],
  'no-constant-condition': ['error', { checkLoops: false }],
  'no-self-compare': 'error',
  'no-unreachable': 'error',
  'prefer-const': 'error',
  '@typescript-eslint/no-unused-vars': ['error', { args: 'after-used', argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_', ignoreRestSiblings: true }],
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
};

const withTypes = {
  '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
  '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false, arguments: false, properties: false } }],
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
};

export default ts.config(
  { ignores: ['**/*tmp.ts', 'node_modules/', '.svelte-kit/', 'build/', 'data/', 'static/', 'test-results/', 'screenshots/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: ts.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
      globals: { ...globals.browser, ...globals.node },
    },
    plugins: { '@typescript-eslint': ts.plugin },
    rules: { ...correctness, ...withTypes },
  },
  { files: ['**/*.js'], languageOptions: { globals: globals.node }, rules: { eqeqeq: 'error', 'prefer-const': 'error' } },
  {
    files: coreFiles,
    ignores: [...tests, 'src/lib/std/system.ts', '**/*.worker.ts'],
    rules: {
      'no-restricted-globals': ['error', ...coreGlobals],
      'no-restricted-properties': ['error', ...coreProperties],
      'no-restricted-syntax': [...correctness['no-restricted-syntax'],
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: use('Clock of std/clock.ts') },
        { selector: 'CallExpression[callee.name="Date"]', message: use('Clock of std/clock.ts') }],
    },
  },
  // Tools, benches and entries are run by name; vite and svelte read a default export.
  { files: ['*.config.ts', 'src/routes/**/*.ts', 'src/hooks*.ts'], rules: { 'no-restricted-syntax': 'off' } },
  ...svelte.configs.recommended,
  // The app lives at the root of its origin: a plain path is already resolved.
  // Addresses here are plain paths; sets and maps that no screen reads need not be reactive.
  { rules: { 'svelte/no-navigation-without-resolve': 'off', 'svelte/prefer-svelte-reactivity': 'off', 'svelte/prefer-writable-derived': 'off' } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      parserOptions: { parser: ts.parser, svelteConfig, extraFileExtensions: ['.svelte'] },
      globals: globals.browser,
    },
    plugins: { '@typescript-eslint': ts.plugin },
    rules: { ...correctness, 'prefer-const': 'off', 'svelte/prefer-const': ['error', { destructuring: 'all' }], 'svelte/no-at-html-tags': 'error', 'svelte/no-unused-svelte-ignore': 'off' },
  },
);
