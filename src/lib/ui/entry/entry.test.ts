import { expect, test } from 'vitest';
import { countWords, pickPlaces, sameWord } from './pick.ts';
import { passwordStrength } from './strength.ts';

function bytesFrom(...bytes: number[]): { bytes: (size: number) => Uint8Array<ArrayBuffer>; fraction: () => number } {
  let i = 0;
  return { bytes: (size) => Uint8Array.from({ length: size }, () => bytes[i++ % bytes.length]!), fraction: () => 0 };
}

test('[UI10] two different recovery words are asked for, at places nobody can foresee', () => {
  expect(pickPlaces(2, 24, bytesFrom(5, 5, 29, 3))).toEqual([3, 5]);
  // 240 and above would favour the first places of 24.
  expect(pickPlaces(2, 24, bytesFrom(255, 240, 239, 0))).toEqual([0, 23]);
  expect(pickPlaces(5, 3, bytesFrom(0, 1, 2))).toEqual([0, 1, 2]);
});

test('[UI10] a word counts as typed whatever its case and stray spaces', () => {
  expect(sameWord(' Orbit ', 'orbit')).toBe(true);
  expect(sameWord('orbits', 'orbit')).toBe(false);
  expect([countWords(''), countWords(' one  two\nthree ')]).toEqual([0, 3]);
});

test('[UI11] the hint beside a password says too short, guessable or strong, and never refuses but for the length', () => {
  const strength = (password: string) => passwordStrength(password, ['Noor Haddad', 'noor'], 8);
  expect(strength('short')).toEqual({ score: 0, hint: 'short' });
  expect(strength('password1')).toEqual({ score: 1, hint: 'common' });
  expect(strength('noor1999')).toEqual({ score: 1, hint: 'personal' });
  expect(strength('aaaaaaaaaaaa')).toEqual({ score: 1, hint: 'repeated' });
  expect(strength('seven tame herons nap').score).toBe(4);
  expect(strength('herons nap').score).toBeLessThan(strength('seven tame herons nap').score);
});
