import { afterEach, expect, test, vi } from 'vitest';
import { initials } from './initials.ts';
import { isPutOff, putOff } from './put-off.ts';
import { readTheme, setTheme } from './theme.ts';
import { clockTime, dayKey, dayLabel, daysBetween, listTime, sizeText, timeBeside } from './times.ts';

const berlin = { locale: 'en-GB', timeZone: 'Europe/Berlin' };
const at = (text: string) => Date.parse(text);
const now = at('2026-11-24T10:00:00Z');

afterEach(() => vi.unstubAllGlobals());

function fakeStore(): Map<string, string> {
  const kept = new Map<string, string>();
  vi.stubGlobal('localStorage', { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value), removeItem: (key: string) => void kept.delete(key) });
  return kept;
}

test('[UI5] a time is said as people say it: the clock today, the weekday this week, else the date', () => {
  expect(listTime(at('2026-11-24T06:05:00Z'), now, 'Yesterday', berlin)).toBe('07:05');
  expect(listTime(at('2026-11-23T22:59:00Z'), now, 'Yesterday', berlin)).toBe('Yesterday');
  expect(listTime(at('2026-11-20T12:00:00Z'), now, 'Yesterday', berlin)).toBe('Fri');
  expect(listTime(at('2026-11-02T12:00:00Z'), now, 'Yesterday', berlin)).toBe('2 Nov');
  expect(listTime(at('2025-11-02T12:00:00Z'), now, 'Yesterday', berlin)).toBe('02/11/25');
  // A clock ahead of ours: a message from tomorrow shows its clock.
  expect(listTime(at('2026-11-25T12:00:00Z'), now, 'Yesterday', berlin)).toBe('13:00');
});

test('[UI5] days are counted by the calendar of the place, also where a clock changes', () => {
  expect(dayKey(at('2026-11-23T23:30:00Z'), berlin)).toBe('2026-11-24');
  expect(daysBetween(at('2026-10-24T22:30:00Z'), at('2026-10-25T22:30:00Z'), berlin)).toBe(0);
  expect(daysBetween(at('2026-10-24T21:30:00Z'), at('2026-10-25T22:59:00Z'), berlin)).toBe(1);
  const names = { today: 'Today', yesterday: 'Yesterday' };
  expect(dayLabel(now, now, names, berlin)).toBe('Today');
  expect(dayLabel(at('2026-11-20T12:00:00Z'), now, names, berlin)).toBe('Friday');
  expect(dayLabel(at('2025-03-01T12:00:00Z'), now, names, berlin)).toBe('1 March 2025');
  expect(timeBeside(at('2026-11-24T08:00:00Z'), now, berlin)).toBe(clockTime(at('2026-11-24T08:00:00Z'), berlin));
  expect(timeBeside(at('2026-11-22T08:00:00Z'), now, berlin)).toMatch(/22 Nov 2026/);
});

test('[UI6] a face without a picture shows one or two letters of the name, in any script', () => {
  expect(['Mira Okafor', 'Дмитрий Соколов', '李伟', 'sam', 'Anna-Lena', '🌻 Familie', '  ', '🌻'].map(initials)).toEqual(['MO', 'ДС', '李', 'S', 'AL', 'F', '?', '?']);
});

test('[UI7] a dismissed hint stays away for a month and then may come back', () => {
  fakeStore();
  const day = 86_400_000;
  expect(isPutOff('install', now)).toBe(false);
  putOff('install', now);
  expect(isPutOff('install', now + 29 * day)).toBe(true);
  expect(isPutOff('install', now + 31 * day)).toBe(false);
  expect(isPutOff('storage', now)).toBe(false);
  // A clock that was set back does not hide it for years.
  expect(isPutOff('install', now - 400 * day)).toBe(false);
});

test('[UI8] the chosen theme is kept in this browser, and a browser without storage follows the system', () => {
  const kept = fakeStore();
  const root = { dataset: {} as Record<string, string> };
  const metas = [{ media: '(prefers-color-scheme: light)', content: '' }, { media: '(prefers-color-scheme: dark)', content: '' }];
  vi.stubGlobal('document', { documentElement: root, querySelectorAll: () => metas });
  setTheme('dark');
  expect(readTheme()).toBe('dark');
  expect(root.dataset['theme']).toBe('dark');
  expect(metas[0]!.content).toBe(metas[1]!.content);
  setTheme('system');
  expect(kept.size).toBe(0);
  expect(root.dataset['theme']).toBeUndefined();
  expect(metas[0]!.content).not.toBe(metas[1]!.content);
  vi.stubGlobal('localStorage', undefined);
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => { throw new DOMException('denied', 'SecurityError'); } });
  expect(readTheme()).toBe('system');
});

test('[UI9] sizes are said in units people know', () => {
  expect([0, 999, 1_500, 41_200_000, 2_100_000_000, 250e9].map(sizeText)).toEqual(['0 B', '999 B', '1.5 kB', '41.2 MB', '2.1 GB', '250 GB']);
});
