import { expect, test } from 'vitest';
import { faultsOf, indexOf, namelessOf, numbersOf, rulesOf, type SourceText } from './rules.ts';

const rules: SourceText = { path: 'docs/rules/outbox.md', text: '# Rules\n\n- **OB1** An entry stays.\n- **OB2** It leaves.\n' };
/** Examples say <OB1>, so that they are not taken for tests of this project. */
function source(path: string, text: string): SourceText {
  return { path, text: text.replaceAll('<', '[').replaceAll('>', ']').replaceAll('=]', '=>') };
}

const tests = source('a.test.ts', "test('<OB1> an entry stays', () => {});\ntest.skipIf(x)('<OB2><OB1> both', () => {});\n");

test('[HO1] a rule without a test and a test without a rule are both found', () => {
  expect(faultsOf([rules], [tests])).toEqual([]);
  expect(faultsOf([rules], [source('a.test.ts', "test('<OB1> one', () => {});")])).toEqual(['no test carries OB2 of docs/rules/outbox.md']);
  expect(faultsOf([rules], [tests, source('b.test.ts', "test('<OB3> no such rule', () => {});")])).toEqual(['no rule OB3, which a test in b.test.ts carries']);
  expect(faultsOf([rules], [tests, source('b.test.ts', "  test('no number', () => {});")])).toEqual(['a test without a rule in b.test.ts: no number']);
  expect(faultsOf([rules, { path: 'docs/rules/b.md', text: '- **OB7** Other.\n' }], [tests])).toContain('the letters OB belong to both docs/rules/outbox.md and docs/rules/b.md');
  expect(faultsOf([{ ...rules, text: `${rules.text}- **OB1** Again.\n- a stray line\n` }], [tests])).toEqual(['docs/rules/outbox.md has a line that is no rule: - a stray line', 'OB1 is stated twice in docs/rules/outbox.md']);
});

test('[HO1] numbers are read from every way a test is declared, names without one are told', () => {
  expect(rulesOf(rules).map(({ number }) => number)).toEqual(['OB1', 'OB2']);
  expect(numbersOf(source('', 'story("<AB1> x"); promise(`<CD22> <EF3> y`); const notOne = "[5] z"; const alsoNot = "[AB]";'))).toEqual(['AB1', 'CD22', 'EF3']);
  expect(namelessOf(source('', "test(\n  'on its own line', f);\nit.each(x)('row', f);\ntest(`${title} (sqlite)`, f);\ntest('<AB1> fine', f);"))).toEqual(['on its own line']);
});

test('[HO1] the index names every file of rules with its letters', () => {
  expect(indexOf([rules])).toContain('- [outbox](rules/outbox.md): OB\n');
});
