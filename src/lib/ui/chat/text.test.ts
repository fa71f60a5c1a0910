import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bigEmojiCount, oneLine, safeHref, textPieces } from './text.ts';

const links = (text: string) => textPieces(text).flatMap((piece) => (piece.type === 'link' ? [piece.href] : []));

test('[UI18] addresses in a message become links, and only such as open a page or a mail', () => {
  expect(links('see https://example.org/a?b=c#d, and www.example.org. or me@example.org')).toEqual(['https://example.org/a?b=c#d', 'https://www.example.org/', 'mailto:me@example.org']);
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:https://example.org/x', 'https://bank.example@evil.example/', 'no address']) expect(safeHref(bad), bad).toBeUndefined();
  expect(links('javascript:alert(1) https://bank.example@evil.example/').filter((href) => !/^(https?:\/\/(evil|bank)\.example\/|mailto:)/.test(href))).toEqual([]);
});

test('[UI18] pieces put together are the text that was written, for any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => textPieces(text).map((piece) => piece.text).join('') === text));
  fc.assert(fc.property(fc.array(fc.webUrl(), { maxLength: 5 }), (urls) => textPieces(urls.join(' ')).map((piece) => piece.text).join('') === urls.join(' ')));
});

test('[UI18] a list of thousands of addresses does not become thousands of links', () => {
  expect(links('https://example.org/ '.repeat(2_000)).length).toBe(200);
});

test('[UI19] up to three emoji alone are drawn big, however many code points one has', () => {
  expect(['❤️', '👍🏽', '👨‍👩‍👧‍👦', '🇳🇱 🇩🇪', '🎉🎉🎉', '🎉🎉🎉🎉', 'hi 👍', '12', ''].map(bigEmojiCount)).toEqual([1, 1, 1, 2, 3, 0, 0, 0, 0]);
});

test('[UI19] a quote is one line of bounded length', () => {
  expect(oneLine('a\n\n b\tc')).toBe('a b c');
  expect(oneLine('x'.repeat(400))).toHaveLength(301);
});
