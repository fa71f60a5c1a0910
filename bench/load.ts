/**
 * `bench:load`: what opening the app with no network costs the engine, with 500 chats and 100,000 messages,
 * and with a tenth of that history.
 *
 * The engine is the app's own, in Node, on the memory database, with no server to be found. `listMs` is CPU
 * from opening it to the whole chat list; `openMs` from there to the newest stretch of one chat, the one
 * with a tenth of all messages. Both are medians over fresh engines. `openRatio` is opening that chat with
 * the whole history over opening it with a tenth: it is to stay below 1.5. What IndexedDB itself costs
 * is not in it; what copying values in and out costs is.
 *
 * The world is filled directly and is true all the same: account logs, group logs, epoch secrets, entries
 * signed and sealed by their authors, chains, and full segments in their canonical form. Only two things
 * are spared: rows are stored as verified without verifying them first, and the key that would open
 * further wraps is another one, since nothing here is wrapped anew.
 *
 *     node bench/load.ts [messages] [chats] [runs]
 */
import { seededRandom, type Person } from '#lib/chains/fixtures/people.ts';
import type { AccountState } from '#lib/chains/account-state.ts';
import type { EngineEvent } from '#lib/app/engine-api.ts';
import { readSeqKey } from '#lib/app/book.ts';
import { chainStart } from '#lib/conversation/entry.ts';
import { sealEntry } from '#lib/conversation/seal.ts';
import { exportPrivateKey, generateAesKey, generateKemPair, generateSigningPair } from '#lib/crypto/primitives.ts';
import { makeWorld, plainMeta } from '#lib/groups/fixtures/world.ts';
import { openGroups } from '#lib/groups/groups.ts';
import { saveIdentity } from '#lib/identity/records.ts';
import type { AccountId, ConversationId, Handle } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, unwrap } from '#lib/std/result.ts';
import { systemClock, systemRandom } from '#lib/std/system.ts';
import { openMemoryDatabase, type MemoryDatabase } from '#lib/storage/memory.ts';
import { compactRows, putRows, rowStores } from '#lib/storage/rows.ts';
import { createSealer } from '#lib/storage/seal.ts';
import type { StoredRow } from '#lib/storage/schema.ts';
import { openNodeEngine, type NodeEngine, type Profile } from '../tools/node-engine.ts';
import { cpuMsFor, median, printResult, round } from './harness.ts';

const messages = Number(process.argv[2] ?? 100_000);
const chats = Number(process.argv[3] ?? 500);
const runs = Number(process.argv[4] ?? 9);

const peopleCount = 24;
const membersBesideMe = 3;
const segmentRows = 256;
const words = ['sea', 'wind', 'Brücke', 'поезд', '你好', '明日', 'غدا', 'מחר', 'again', 'the', 'small', 'boat', 'arrives', 'tonight', '🙂', 'perhaps'];

interface Filled {
  readonly account: AccountId;
  readonly database: MemoryDatabase;
  /** The one with a tenth of all messages. */
  readonly long: ConversationId;
}

async function fill(total: number): Promise<Filled> {
  const world = makeWorld(7);
  const me = await world.addPerson();
  const others: Person[] = [];
  for (let i = 0; i < peopleCount; i++) others.push(await world.addPerson());
  const database = openMemoryDatabase();
  const storageKey = await generateAesKey();
  const sealer = createSealer(storageKey, systemRandom);
  await settleIn(database, storageKey, me, others);

  const groups = openGroups({
    database, sealer, random: systemRandom, clock: systemClock,
    me: { account: me.account, device: me.devices[0]!.id, signKey: me.devices[0]!.signKey },
    accounts: { get: async (account) => stateOf(account), refresh: async (account) => stateOf(account) },
    transport: {
      async fetchGroupLog(conversation, from) {
        const answer = world.answer(conversation, from, me.account);
        return answer ? ok(answer) : err({ type: 'not-member' });
      },
      appendGroupLog: (conversation, entry, wraps) => world.append(conversation, entry, wraps),
    },
    uekPrivate: async (gen) => {
      const pair = me.ueks.get(gen);
      return pair && { key: pair.privateKey, publicKey: pair.publicKey };
    },
    lastSeen: async () => [], changed: () => {}, alarmed: () => {},
  });
  function stateOf(account: AccountId): AccountState | undefined {
    return world.people.get(account)?.state;
  }

  const inLong = Math.floor(total / 10);
  const inOthers = Math.floor((total - inLong) / (chats - 1));
  let long: ConversationId | undefined;
  for (let i = 0; i < chats; i++) {
    const members = Array.from({ length: membersBesideMe }, (_, n) => others[(i * 5 + n) % peopleCount]!);
    const conversation = unwrap(await groups.createGroup({ meta: plainMeta(`chat ${i}`), members: members.map(({ account }) => account) }), 'a group is made');
    long ??= conversation;
    const group = (await groups.state(conversation))!;
    const keys = (await groups.epochKeys(conversation, group.epoch))!;
    await talk({ database, conversation, group, contentKey: keys.content, authors: [me, ...members], count: i === 0 ? inLong : inOthers });
  }
  await groups.close();
  await makeSummaries(database, me.account);
  return { account: me.account, database, long: long! };
}

/** This browser's identity, and everybody's account log as verified. */
async function settleIn(database: MemoryDatabase, storageKey: CryptoKey, me: Person, others: readonly Person[]): Promise<void> {
  const uek = await generateKemPair(true);
  await saveIdentity(database, {
    identity: {
      account: me.account, handle: 'bench' as Handle, device: me.devices[0]!.id, genesisHash: me.state.genesisHash, vaultPublicKey: uek.publicKey,
      serverPublicKey: undefined, createdAt: systemClock.now(),
    },
    device: { sign: { ...(await generateSigningPair()), privateKey: me.devices[0]!.signKey }, kem: await generateKemPair(), storageKey },
    ueks: [{ gen: 1, key: { pkcs8: await exportPrivateKey(uek.privateKey), publicKey: uek.publicKey } }],
    profileKey: systemRandom.bytes(32), entries: me.entries, pinOwed: undefined, words: undefined,
  }, systemRandom, systemClock.now());
  await database.write(['accounts'], async (tx) => {
    for (const [i, { account, entries }] of others.entries()) await tx.put('accounts', account, { account, handle: `person${i}`, entries, checkedAt: systemClock.now() });
  });
}

interface Talk {
  readonly database: MemoryDatabase;
  readonly conversation: ConversationId;
  readonly group: { readonly epoch: number; readonly height: number; readonly head: Bytes };
  readonly contentKey: CryptoKey;
  readonly authors: readonly Person[];
  readonly count: number;
}

async function talk({ database, conversation, group, contentKey, authors, count }: Talk): Promise<void> {
  const random = seededRandom(count);
  const chains = authors.map((person, i) => ({ person, slot: i + 1, ctr: 0, chain: chainStart, clock: 0, seg: -1 }));
  const start = systemClock.now() - count * 60_000;
  const rows: StoredRow[] = [];
  for (let seq = 1; seq <= count; seq++) {
    const author = chains[Math.floor(random.fraction() * chains.length)]!;
    const seg = Math.floor((seq - 1) / segmentRows);
    if (author.seg !== seg) Object.assign(author, { seg, clock: 0 });
    const t = start + seq * 60_000;
    const text = Array.from({ length: 2 + Math.floor(random.fraction() * 14) }, () => words[Math.floor(random.fraction() * words.length)]).join(' ');
    const device = author.person.devices[0]!;
    const sealed = await sealEntry({
      conversation, slot: author.slot, ctr: author.ctr, prev: author.chain, event: { kind: 'message', t, l: 0, text, replyTo: undefined }, epoch: group.epoch, contentKey,
      signer: { account: author.person.account, device: device.id, key: device.signKey }, group, accountHeight: author.person.state.height, random: systemRandom,
    });
    rows.push({ seq, seg, slot: author.slot, clock: author.clock, ctr: author.ctr, rt: t + 40, envelope: sealed.envelope, check: 'ok', kind: 'message', counts: author !== chains[0] });
    Object.assign(author, { ctr: author.ctr + 1, clock: author.clock + 1, chain: sealed.chain });
  }
  await database.write([...rowStores, 'conversations', 'chains', 'kv'], async (tx) => {
    await putRows(tx, conversation, rows);
    for (let from = 0; from + segmentRows <= rows.length; from += segmentRows) await compactRows(tx, conversation, rows.slice(from, from + segmentRows));
    for (const { person, slot, ctr, chain } of chains) {
      if (ctr > 0) await tx.put('chains', [conversation, slot], { slot, account: person.account, device: person.devices[0]!.id, ctr: ctr - 1, chain, firstCtr: 0, firstPrev: chainStart });
    }
    await tx.put('conversations', conversation, {
      conversation, cursor: count, low: 1, lineage: 'bench', slot: 1, nextCtr: chains[0]!.ctr, sealedCtr: chains[0]!.ctr, chain: chains[0]!.chain,
      marksSince: 0, markCtr: 0, readSeq: 0, deliveredSeq: 0, logHeight: group.height,
    });
    await tx.put('kv', readSeqKey(conversation), Math.max(0, count - 3));
  });
}

/** The list's facts rest in the database, as after any use of the app. */
async function makeSummaries(database: MemoryDatabase, account: AccountId): Promise<void> {
  const node = await openOffline(database, account);
  await node.until('every chat is summed up', hasEveryChat, 600_000);
  await node.engine.desk()!.book.idle();
  await node.close();
}

function openOffline(database: MemoryDatabase, account: AccountId): Promise<NodeEngine> {
  const profile: Profile = {
    databases: new Map([[account, database]]), current: account,
    fetch: async () => {
      throw new TypeError('no network');
    },
  };
  return openNodeEngine({ origin: 'http://127.0.0.1:9', profile, name: 'bench' });
}

function hasEveryChat(events: readonly EngineEvent[]): boolean {
  const seen = new Set(events.flatMap((event) => (event.type === 'chats' ? event.upsert.map((chat) => chat.conversation) : [])));
  return seen.size >= chats;
}

async function measure({ account, database, long }: Filled): Promise<{ readonly listMs: number; readonly openMs: number; readonly items: number }> {
  let node: NodeEngine | undefined;
  let items = 0;
  const listMs = await cpuMsFor(async () => {
    node = await openOffline(database, account);
    await node.until('the whole list', hasEveryChat);
  });
  const openMs = await cpuMsFor(async () => {
    items = (await node!.api.openChat(long))!.items.filter((item) => item.type === 'message').length;
  });
  await node!.close();
  return { listMs, openMs, items };
}

async function figures(filled: Filled): Promise<{ readonly listMs: number; readonly openMs: number; readonly items: number }> {
  await measure(filled); // warm
  const all = [];
  for (let run = 0; run < runs; run++) all.push(await measure(filled));
  return { listMs: round(median(all.map(({ listMs }) => listMs))), openMs: round(median(all.map(({ openMs }) => openMs))), items: all[0]!.items };
}

const little = await fill(messages / 10);
console.log('a tenth of the history is there');
const whole = await fill(messages);
console.log('the whole history is there');
const small = await figures(little);
const large = await figures(whole);
console.log({ small, large });
printResult('load', {
  chats, messages, runs, listMs: large.listMs, openMs: large.openMs, openRatio: round(large.openMs / small.openMs, 2),
  listMsTenth: small.listMs, openMsTenth: small.openMs, listRatio: round(large.listMs / small.listMs, 2), itemsOpened: large.items,
});
process.exit(0);
