/**
 * One seed is one run: some minutes of people writing while everything around them breaks, then calm,
 * in which all must come to rest in agreement. Throws what is wrong; answers what happened.
 */
import { parseEnvelope } from '#lib/protocol/envelope.ts';
import type { ConversationId, EntryId } from '#lib/protocol/ids.ts';
import { equalBytes, type Bytes } from '#lib/std/bytes.ts';
import type { MemorySnapshot as StoreSnapshot } from '#lib/server/store/memory.ts';
import { chainToFill } from '#lib/app/sealing.ts';
import type { EventToSend } from '#lib/app/enqueue.ts';
import type { Device, Life } from './device.ts';
import type { PlantedFault } from './faults.ts';
import { behind, faultInSegments, faultInStore, gapIn, heldBy, lookAt, nameOf, storeRows } from './invariants.ts';
import { createPrng } from './prng.ts';
import { settle } from './stillness.ts';
import { calm, createWorld, firstDay, runUntil, type Foundation } from './world.ts';

export interface RunOptions {
  readonly foundation: Foundation;
  readonly seed: number;
  readonly planted?: PlantedFault;
  readonly trace?: (line: string) => void;
}

export interface Outcome {
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

const stormMs = 120_000;
const calmMsMax = 20 * 60_000;
const eventsMax = 60_000;
const emoji = ['+', '-', '!'];

export async function runSeed({ foundation, seed, planted, trace }: RunOptions): Promise<Outcome> {
  const prng = createPrng(seed, 'run');
  const counts: Record<string, number> = {};
  const count = (what: string) => void (counts[what] = (counts[what] ?? 0) + 1);
  const failures: unknown[] = [];
  const { group, direct } = foundation;

  const restores = prng.chance(0.12);
  const regroups = !restores && prng.chance(0.4);
  const loses = prng.chance(0.3);
  let restoredAt: number | undefined;

  /** What the server said it has, by conversation and entry. */
  const acked = new Map<string, { readonly conversation: ConversationId; readonly entry: EntryId; readonly bytes: Bytes }>();
  const written: { readonly device: Device; readonly conversation: ConversationId; readonly text: string }[] = [];
  const refusedBy = new Set<string>();
  const world = createWorld({
    seed, start: firstDay, actors: foundation.actors, people: foundation.people, foundation, planted, trace, skewMsMax: prng.chance(0.5) ? 3_600_000 : 2_000,
    on: {
      counted: count,
      failed: (error) => failures.push(error),
      acked(device, conversation, slot, ctr) {
        count('acked');
        const row = storeRows(world, conversation).find((each) => each.slot === slot && each.ctr === ctr);
        const sealed = sealedBytes(device.life(), conversation, ctr);
        if (!row && restoredAt === undefined) failures.push(new Error(`[1] ${slot}.${ctr} was acknowledged and is not stored`));
        else if (sealed && row?.envelope && !equalBytes(sealed, row.envelope)) failures.push(new Error(`[1] ${slot}.${ctr} is stored with other bytes`));
        else if (row?.envelope) acked.set(`${conversation} ${slot}.${ctr}`, { conversation, entry: { slot, ctr }, bytes: row.envelope });
      },
      renumbered(device, { fromSlot }) {
        count('renumbered');
        if (fromSlot !== 0 && !device.lostState && restoredAt === undefined && !wasOut.has(device)) failures.push(new Error(`[8] ${device.actor.name} gave up slot ${fromSlot} and lost nothing`));
      },
      refused(device, conversation) {
        count('refused');
        refusedBy.add(`${device.actor.name} ${conversation}`);
      },
    },
  });
  const { schedule, servers, devices } = world;
  const [anna] = devices as [Device];
  const dora = devices.at(-1)!;
  const cleo = devices.at(-2)!;
  /** Devices whose account was, or may have been, out of the group at some time. */
  const wasOut = new Set<Device>();

  // ---- What goes wrong, and when ----------------------------------------------------------------

  world.weather = {
    cutEveryMs: 10_000 + prng.below(60_000), halfOpen: prng.fraction() * 0.4, busLoss: 0.3, slowDisk: prng.chance(0.7) ? prng.fraction() * 0.3 : 0, lostAnswer: prng.fraction() * 0.2, repeats: prng.fraction() * 0.1,
  };
  const stormEnd = firstDay + stormMs;
  const isStorm = () => schedule.now() < stormEnd;
  const often = (everyMs: number, what: string, run: () => void) => {
    const plan = () => void schedule.after(prng.below(2 * everyMs), what, () => {
      if (!isStorm()) return;
      run();
      plan();
    });
    plan();
  };
  const down = new Set<Device>();
  /** Brought back from an older copy of their disk. */
  const wentBack = new Set<Device>();
  function crash(device: Device, to?: 'older' | 'empty'): void {
    if (down.has(device)) return;
    down.add(device);
    count(to ? 'losses' : 'crashes');
    device.crash(to);
    if (to === 'older') wentBack.add(device);
    if (to) for (let i = written.length - 1; i >= 0; i--) if (written[i]!.device === device) written.splice(i, 1);
    schedule.after(prng.below(20_000), `boot ${device.actor.name}`, () => {
      down.delete(device);
      device.boot();
    });
  }

  for (const device of devices) {
    schedule.after(prng.below(2_000), `boot ${device.actor.name}`, device.boot);
    often(world.weather.cutEveryMs, `cut ${device.actor.name}`, () => {
      count('cuts');
      if (prng.chance(world.weather.halfOpen)) device.silence();
      else device.cut();
    });
    if (prng.chance(0.6)) often(60_000, `offline ${device.actor.name}`, () => {
      count('offline');
      device.goOffline(prng.below(60_000));
    });
    if (prng.chance(0.5)) often(70_000, `crash ${device.actor.name}`, () => crash(device));
    if (loses && prng.chance(0.4)) {
      if (prng.chance(0.5)) schedule.after(prng.below(stormMs), `wipe ${device.actor.name}`, () => crash(device, 'empty'));
      else {
        const at = prng.below(stormMs);
        schedule.after(at, `copy ${device.actor.name}`, device.copyDisk);
        schedule.after(at + prng.below(stormMs - at), `back ${device.actor.name}`, () => crash(device, 'older'));
      }
    }
    often(12_000, `write ${device.actor.name}`, () => void write(device).catch((error: unknown) => failures.push(error)));
  }
  if (prng.chance(0.6)) often(80_000, 'server crash', () => {
    count('server crashes');
    servers.crash(prng.below(2), 500 + prng.below(20_000));
  });
  if (prng.chance(0.3)) often(90_000, 'bus split', () => servers.splitBus(prng.below(40_000)));
  if (restores) {
    let backup: StoreSnapshot | undefined;
    const at = prng.below(stormMs / 2);
    schedule.after(at, 'backup', () => (backup = world.store.snapshot()));
    schedule.after(at + prng.below(stormMs / 2), 'restore', () => {
      count('restores');
      restoredAt = schedule.now();
      acked.clear();
      servers.restoreBackup(backup!);
    });
  }
  if (regroups) {
    const member = prng.chance(0.5) ? cleo : dora;
    const at = prng.below(stormMs / 3);
    const steps = member === dora ? ['addMembers', 'removeMember'] as const : prng.chance(0.5) ? ['removeMember'] as const : ['removeMember', 'addMembers'] as const;
    for (const [i, step] of steps.entries()) schedule.after(at + i * prng.below(stormMs / 3), step, () => regroup(member, step));
    if (prng.chance(0.5)) schedule.after(prng.below(stormMs), 'rotate', () => regroup(anna, 'rotate'));
  }

  /** Asks again until it is done, as a person would. */
  function regroup(member: Device, step: 'addMembers' | 'removeMember' | 'rotate'): void {
    wasOut.add(dora);
    if (member !== anna) wasOut.add(member);
    const again = () => void schedule.after(3_000, `again ${step}`, () => regroup(member, step));
    const life = anna.life();
    if (!life) return again();
    const { account } = member.actor.person;
    const asked = step === 'rotate' ? life.groups.rotate(group) : step === 'addMembers' ? life.groups.addMembers(group, [account]) : life.groups.removeMember(group, account);
    const isOver = { now: false };
    schedule.after(90_000, `no answer ${step}`, () => void (!isOver.now && again()));
    asked.then((result) => {
      if (isOver.now) return;
      isOver.now = true;
      if (!result.ok) {
        if (result.error.type !== 'offline') count(`regroup ${result.error.type}`);
        return again();
      }
      count(step);
      life.sync.groupRefreshed(group);
    }, (error: unknown) => failures.push(error));
  }

  // ---- What people do ---------------------------------------------------------------------------

  let next = 0;
  async function write(device: Device): Promise<void> {
    const life = device.life();
    if (!life) return;
    const known = (await life.database.read(['conversations'], (tx) => tx.getAllKeys('conversations'))).filter((id) => id === group || id === direct);
    const chats: ConversationId[] = [];
    for (const id of known) if ((await life.groups.state(id))?.members.has(device.actor.person.account) && !life.membership.isLeft(id)) chats.push(id);
    if (chats.length === 0) return;
    const conversation = prng.pick(chats);
    const event = make(device, life, conversation);
    await life.send(conversation, event);
    if (life.isDead) return;
    count(event.kind);
    if (event.kind === 'message') written.push({ device, conversation, text: event.text });
  }

  function make(device: Device, life: Life, conversation: ConversationId): EventToSend {
    const items = life.timelines.get(conversation)?.items() ?? [];
    const target = items.length > 0 && prng.chance(0.4) ? prng.pick(items) : undefined;
    const text = `${device.actor.name} says ${next++}`;
    if (!target) return { kind: 'message', text, replyTo: undefined };
    const { slot, ctr } = target;
    if (target.mine && !target.deleted && prng.chance(0.3)) return { kind: 'delete', target: { slot, ctr }, targetChain: chainToFill };
    if (target.mine && !target.deleted && prng.chance(0.6)) return { kind: 'edit', target: { slot, ctr }, text: `edited ${text}` };
    if (prng.chance(0.4)) return { kind: 'message', text, replyTo: { slot, ctr } };
    return { kind: prng.chance(0.7) ? 'react' : 'unreact', target: { slot, ctr }, emoji: prng.pick(emoji) };
  }

  // ---- At every step ----------------------------------------------------------------------------

  const seen = new Map<Device, unknown>();
  function checkStep(): void {
    if (failures.length > 0) throw wrong(failures[0]);
    for (const device of devices) {
      const life = device.life();
      if (!life) continue;
      const disk = life.database.snapshot();
      const rows = disk.stores.get('rows');
      const places = disk.stores.get('conversations');
      const before = seen.get(device) as { rows: unknown; places: unknown } | undefined;
      if (before?.rows === rows && before?.places === places) continue;
      seen.set(device, { rows, places });
      const gap = gapIn(disk);
      if (gap) throw wrong(`[5] ${device.actor.name}: ${gap}`);
    }
  }

  function wrong(what: unknown): Error {
    const said = what instanceof Error ? what.message : String(what);
    return new Error(`seed ${seed} at ${schedule.now() - firstDay} ms: ${said}\n  npx node tools/simulate.ts --from ${seed} --seeds 1 --trace`, { cause: what });
  }

  // ---- The run ----------------------------------------------------------------------------------

  await runUntil(world, () => schedule.now() >= stormEnd, { eventsMax, each: checkStep });
  if (schedule.now() < stormEnd) throw wrong(`[7] ${eventsMax} events in the storm and no end`);
  world.weather = { ...calm, busLoss: 0.3 };
  for (const device of devices) if (!down.has(device)) device.boot();

  let look = stormEnd + 2_000; // a slow disk of the storm has written by then
  let why = '';
  const isAtRest = async () => {
    if (schedule.now() < look) return false;
    look = schedule.now() + 5_000;
    why = await notAtRest();
    return why === '' || schedule.now() > stormEnd + calmMsMax;
  };
  await runUntil(world, isAtRest, { eventsMax, each: checkStep });
  if (why !== '') throw wrong(`[2][6][7] not at rest after ${Math.round((schedule.now() - stormEnd) / 1_000)} s of calm: ${why}`);
  await checkEnd();
  const outcome = { hash: schedule.hash(), events: schedule.count(), virtualMs: schedule.now() - firstDay, counts };
  for (const device of devices) {
    const life = device.life();
    device.crash();
    life?.database.close();
  }
  await settle();
  return outcome;

  async function notAtRest(): Promise<string> {
    if (!servers.isUp()) return 'a node is down';
    for (const conversation of [group, direct]) {
      const rows = storeRows(world, conversation);
      for (const device of membersOf(conversation)) {
        const life = device.life();
        if (!life) return `${device.actor.name} is down`;
        if (device.isOffline()) return `${device.actor.name} is offline`;
        const held = await heldBy(life, conversation);
        // Somebody scrolls up: what a device new to a chat had not fetched when it was cut off comes now.
        if (held.place && held.place.low > 1 && held.place.cursor > 0) void life.sync.fetchOlder(conversation, 256).catch((error: unknown) => void (life.isDead || failures.push(error)));
        const reason = behind(held, rows, restores);
        if (reason) return `${device.actor.name} in ${conversation === group ? 'the group' : 'the chat of two'}: ${reason}`;
      }
    }
    return '';
  }

  function membersOf(conversation: ConversationId): readonly Device[] {
    const members = new Set(world.store.sync.members(conversation).map(({ account }) => account));
    return devices.filter((device) => members.has(device.actor.person.account));
  }

  async function checkEnd(): Promise<void> {
    for (const { conversation, entry, bytes } of acked.values()) {
      const rows = storeRows(world, conversation).filter((row) => row.slot === entry.slot && row.ctr === entry.ctr);
      if (rows.length !== 1) throw wrong(`[1] ${nameOf(entry)} was acknowledged and is stored ${rows.length} times`);
      if (rows[0]!.envelope && !equalBytes(rows[0]!.envelope, bytes)) throw wrong(`[1] ${nameOf(entry)} is stored with other bytes`);
    }
    for (const conversation of [group, direct]) {
      const rows = storeRows(world, conversation);
      const fault = faultInStore(rows) ?? faultInSegments(world, conversation);
      if (fault) throw wrong(`[1][6] ${fault}`);
      let first: string | undefined;
      // Whose a slot was is proved by its entries: where all are purged, who came later sees nothing in their place.
      const provable = new Set(rows.flatMap((row) => (row.envelope ? [row.slot] : [])));
      for (const device of membersOf(conversation)) {
        await device.life()!.verifier.judgeRemovals(conversation);
        const held = await heldBy(device.life()!, conversation);
        const unproven = held.rows.find((row) => row.fault === 'unproven-removal');
        if (unproven) throw wrong(`[7] ${device.actor.name} found no delete for row ${unproven.seq}, which the store removed`);
        const items = (await lookAt(device, conversation, held.rows)).filter((item) => provable.has(item.slot));
        const text = JSON.stringify(items);
        first ??= text;
        if (!restores && text !== first) throw wrong(`[2] ${device.actor.name} sees another timeline:\n${text}\n${first}`);
        const opened = await device.life()!.verifier.open(conversation, held.rows);
        const said = opened.flatMap(({ event }) => (event.kind === 'message' ? [event.text] : []));
        const twice = said.find((one, i) => said.indexOf(one) !== i && !mayRepeat(one));
        if (twice !== undefined) throw wrong(`[3] said twice: ${twice}`);
        for (const each of devices) if (!each.lostState && !restores) checkOrder(each, said);
        count('looks');
        if (!device.lostState && !restores && !wasOut.has(device) && !refusedBy.has(`${device.actor.name} ${conversation}`)) {
          const gone = rows.some((row) => !row.envelope);
          for (const message of written) {
            if (message.device === device && message.conversation === conversation && !gone && !said.includes(message.text)) throw wrong(`[1] "${message.text}" was written down and never arrived`);
          }
        }
      }
    }
    if (regroups) await checkRemoved();
  }

  /**
   * A disk from before an epoch began cannot open what it said in that epoch until the keys are here, and
   * by then it has taken a new slot and said again what waited in the copy.
   */
  function mayRepeat(text: string): boolean {
    return regroups && [...wentBack].some((device) => text.startsWith(`${device.actor.name} says `));
  }

  function checkOrder(device: Device, said: readonly string[]): void {
    const own = said.filter((text) => text.startsWith(`${device.actor.name} says `)).map((text) => Number(text.split(' ').at(-1)));
    if (own.some((n, i) => i > 0 && n < own[i - 1]!)) throw wrong(`[4] ${device.actor.name} said ${own.join(', ')}`);
  }

  /** Whoever is out opens nothing that was sealed since. */
  async function checkRemoved(): Promise<void> {
    const rows = storeRows(world, group);
    const inside = membersOf(group);
    const epochs = [...new Set(rows.flatMap((row) => {
      const parsed = row.envelope ? parseEnvelope(row.envelope) : undefined;
      return parsed?.ok ? [parsed.value.epoch] : [];
    }))];
    const state = (await anna.life()!.groups.state(group))!;
    const newest = state.epoch;
    for (const device of devices) {
      const life = device.life();
      if (!life || inside.includes(device)) continue;
      const keysOf = planted === 'keys-for-the-removed' ? anna.life()!.groups : life.groups;
      const lastEpoch = (await life.groups.state(group))?.epoch ?? 0;
      if (await keysOf.epochKeys(group, newest)) throw wrong(`[9] ${device.actor.name} is out and has the keys of epoch ${newest}`);
      for (const epoch of epochs) if (epoch > lastEpoch && await keysOf.epochKeys(group, epoch)) throw wrong(`[9] ${device.actor.name} is out and has the keys of epoch ${epoch}`);
      count('removed');
    }
  }
}

/** Of the entry as it waits on the disk. */
function sealedBytes(life: Life | undefined, conversation: ConversationId, ctr: number): Bytes | undefined {
  const found = life?.database.snapshot().stores.get('outbox')?.find(([key]) => (key as [string, number])[0] === conversation && (key as [string, number])[1] === ctr);
  return (found?.[1] as { envelope?: Bytes } | undefined)?.envelope;
}
