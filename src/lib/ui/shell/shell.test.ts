import { expect, test } from 'vitest';
import type { ChatSummary, Connection, SessionState } from '#lib/app/engine-api.ts';
import { versionText } from '../settings/version.ts';
import { words } from '../words/en.ts';
import { isPassing, lineConnection } from './connection-line.ts';
import { unreadTotal } from './title.ts';

const connection = (state: Connection['state'], waiting = 0): Connection => ({ state, waiting, retryAt: undefined });
const session = (serverSession: 'ok' | 'expired') => ({ type: 'signed-in', serverSession }) as SessionState;

test('[UI15] the line about the network says what is and what waits, and nothing when all is well', () => {
  expect(words.connection.line(connection('online', 3))).toBeUndefined();
  expect(words.connection.line(connection('offline'))).toBe('Offline.');
  expect(words.connection.line(connection('offline', 1))).toBe('Offline. 1 message waits and goes out by itself.');
  expect(words.connection.line(connection('connecting', 2))).toBe('Connecting… 2 messages wait and go out by themselves.');
  expect([connection('connecting'), connection('catching-up'), connection('offline'), connection('online')].map(isPassing)).toEqual([true, true, false, false]);
});

test('[UI15] an ended session is said to be why it does not connect, but no network is said first', () => {
  expect(lineConnection(connection('connecting'), session('expired')).state).toBe('sign-in-needed');
  expect(lineConnection(connection('online'), session('expired')).state).toBe('sign-in-needed');
  expect(lineConnection(connection('offline'), session('expired')).state).toBe('offline');
  expect(lineConnection(connection('connecting'), session('ok')).state).toBe('connecting');
});

test('[UI16] the title and the icon count what calls: not muted chats, not groups one left', () => {
  const chat = (unread: number, more: Partial<ChatSummary> = {}) => ({ unread, muted: false, left: false, ...more }) as ChatSummary;
  expect(unreadTotal([chat(2), chat(3, { muted: true }), chat(4, { left: true }), chat(1)])).toBe(3);
  expect(words.titleWithUnread(3)).toBe('(3) Godwit');
  expect(words.titleWithUnread(0)).toBe('Godwit');
});

test('[UI17] a build named by its moment is shown as that moment, any other name as it is', () => {
  expect(versionText('1795504685480', { locale: 'en-GB', timeZone: 'UTC' })).toMatch(/24 Nov 2026/);
  expect(versionText('0.1.0')).toBe('0.1.0');
});
