/**
 * Text as pieces to draw: words and links. Nothing here makes markup, so nothing in a message can
 * become any.
 */
import { tokenize } from 'linkifyjs';

export type Piece = { readonly type: 'text'; readonly text: string } | { readonly type: 'link'; readonly text: string; readonly href: string };

/** Drawing a link for every word of a pasted list of thousands would stall the screen. */
const linksPerMessageMax = 200;

const mayHoldLink = /[.:@]/;

export function textPieces(text: string): readonly Piece[] {
  if (!mayHoldLink.test(text)) return [{ type: 'text', text }];
  const pieces: Piece[] = [];
  let plain = '';
  let links = 0;
  for (const token of tokenize(text)) {
    const href = token.isLink && links < linksPerMessageMax ? safeHref(token.toHref('https')) : undefined;
    if (href === undefined) {
      plain += token.toString();
      continue;
    }
    if (plain) pieces.push({ type: 'text', text: plain });
    plain = '';
    pieces.push({ type: 'link', text: token.toString(), href });
    links++;
  }
  if (plain) pieces.push({ type: 'text', text: plain });
  return pieces;
}

/** Only addresses that open a page or a mail; never `javascript:` and the like. */
export function safeHref(href: string): string | undefined {
  const url = URL.parse?.(href) ?? tryUrl(href);
  if (!url || !['https:', 'http:', 'mailto:'].includes(url.protocol)) return undefined;
  // A name and password in an address dress one site up as another.
  if (url.username || url.password) return undefined;
  return url.href;
}

function tryUrl(href: string): URL | undefined {
  return URL.canParse(href) ? new URL(href) : undefined;
}

const emojiOnly = /^(?:(?:\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\u20e3)(?:[\u{1f3fb}-\u{1f3ff}]|\ufe0f|\u200d\p{Extended_Pictographic}|\u20e3|[\u{e0020}-\u{e007f}])*\s*)+$/u;

/** How many emoji the text is, when it is nothing else and at most three; else 0. */
export function bigEmojiCount(text: string): number {
  const trimmed = text.trim();
  // The longest three emoji are families and flags of about a dozen code units each.
  if (trimmed.length === 0 || trimmed.length > 48 || !emojiOnly.test(trimmed)) return 0;
  let n = 0;
  for (const part of new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(trimmed)) if (part.segment.trim() !== '') n++;
  return n <= 3 ? n : 0;
}

/** For one line of a list or a quote. */
export function oneLine(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300).replace(/\s+/g, ' ')}…` : text.replace(/\s+/g, ' ');
}

const encoder = new TextEncoder();

export function textSizeBytes(text: string): number {
  return encoder.encode(text).length;
}
