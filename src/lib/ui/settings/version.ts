/** A version as people read it: builds are named by their moment unless somebody gave them another name. */
import { fullTime, type Place } from '../kit/times.ts';

export function versionText(version: string, place: Place = {}): string {
  return /^1\d{12}$/.test(version) ? fullTime(Number(version), place) : version;
}
