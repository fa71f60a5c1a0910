import { expect, test } from 'vitest';
import { joinDraft, sharedText } from './shared-text.ts';

test('[UI14] what another app shares becomes one text in which nothing stands twice', () => {
  const shared = (query: string) => sharedText(new URLSearchParams(query));
  expect(shared('title=Tides&text=High+water&url=https://example.org/')).toBe('Tides\nHigh water\nhttps://example.org/');
  expect(shared('text=See+https://example.org/&url=https://example.org/')).toBe('See https://example.org/');
  expect(shared('title=Same&text=Same')).toBe('Same');
  expect(shared('title=++')).toBe('');
});

test('[UI14] a draft that is there already is kept above it', () => {
  expect(joinDraft(undefined, 'new')).toBe('new');
  expect(joinDraft('  ', 'new')).toBe('new');
  expect(joinDraft('half a sentence \n', 'new')).toBe('half a sentence\nnew');
});
