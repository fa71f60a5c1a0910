/**
 * Cuts: the last counter a device may have reached in a slot, once it was removed or revoked, so nobody
 * writes into the past with keys they still hold (crypto.md §5.3).
 *
 * A cut silences, so it is fenced by who sets it (group-roster.ts). An account that is added again
 * starts clean: its older cuts go on counting, but only for entries that name a height below that add.
 *
 * Keys: `device:slot`; `device:*` for every slot without its own; with `<height` at the end once the
 * account came back at that height.
 */
import type { DeviceId } from '#lib/protocol/ids.ts';
import type { Cut, GroupState } from './group-state.ts';

/** Whether a cut refuses this entry: `ctr` in `slot`, naming `logHeight` of the group log. */
export function isCut(state: Pick<GroupState, 'cuts'>, entry: { readonly device: DeviceId; readonly slot: number; readonly ctr: number; readonly logHeight: number }): boolean {
  if (state.cuts.size === 0) return false;
  const own = `${entry.device}:${entry.slot}`;
  const any = `${entry.device}:*`;
  const present = state.cuts.get(own) ?? state.cuts.get(any);
  if (present !== undefined && entry.ctr > present) return true;
  for (const [key, lastCtr] of state.cuts) {
    const [place, height] = key.split('<');
    if (height === undefined || entry.logHeight >= Number(height)) continue;
    if (place === own ? entry.ctr > lastCtr : place === any && !state.cuts.has(`${own}<${height}`) && entry.ctr > lastCtr) return true;
  }
  return false;
}

export function cutKey({ device, slot }: Pick<Cut, 'device' | 'slot'>): string {
  return `${device}:${slot === 0 ? '*' : slot}`;
}

/**
 * Adds cuts in place; false when one is not allowed. `allowed` says what each may do given the cut
 * that is there already.
 */
export function mergeCuts(cuts: Map<string, number>, added: readonly Cut[], allowed: (cut: Cut, present: number | undefined) => boolean): boolean {
  const seen = new Set<string>();
  for (const cut of added) {
    const key = cutKey(cut);
    if (seen.has(key) || !allowed(cut, cuts.get(key))) return false;
    seen.add(key);
    cuts.set(key, cut.lastCtr);
  }
  return true;
}

/** The account of these devices comes back at `height`. */
export function expireCuts(cuts: Map<string, number>, devices: Iterable<DeviceId>, height: number): void {
  const back = new Set(devices);
  for (const [key, lastCtr] of [...cuts]) {
    if (key.includes('<') || !back.has(key.split(':')[0] as DeviceId)) continue;
    cuts.delete(key);
    cuts.set(`${key}<${height}`, lastCtr);
  }
}
