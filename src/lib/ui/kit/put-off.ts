/** A hint that was dismissed stays away for a month, in this browser. */
import { localStore } from './theme.ts';

const quietMs = 30 * 86_400_000;
const keyOf = (name: string) => `godwit-later-${name}`;

export function isPutOff(name: string, now: number): boolean {
  const until = Number(localStore()?.getItem(keyOf(name)));
  return until > now && until <= now + quietMs;
}

export function putOff(name: string, now: number): void {
  localStore()?.setItem(keyOf(name), String(now + quietMs));
}
