/**
 * `npm run seed`: makes a world to look at. People sign up, find each other, talk in seven scripts, answer,
 * change, take back and react; some write with no network and come back later. All of it goes through
 * the real protocol: the engine of the app in Node, against a server in this process.
 *
 *     npm run seed -- [--into <folder>] [--people <n>] [--chats <n>] [--messages <n>] [--days <n>]
 *
 * The world is spread over the last days: the server and every engine here share one clock, which starts
 * in the past and is moved on between messages. The folder must be new: a world is never mixed into another.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TimelineItem } from '#lib/app/engine-api.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { unwrap } from '#lib/std/result.ts';
import { createProfile, openNodeEngine, type NodeEngine, type Profile } from './node-engine.ts';
import { chats as script, people as cast, small, type SeedChat, type SeedLine, type SeedPerson } from './seed-script.ts';
import { hasAccounts, startSeedServer } from './seed-server.ts';

const { values } = parseArgs({
  options: {
    into: { type: 'string' }, people: { type: 'string', default: '8' }, chats: { type: 'string', default: '9' },
    messages: { type: 'string', default: '160' }, days: { type: 'string', default: '6' },
  },
});
const dataDir = resolve(values.into ?? process.env['DATA_DIR'] ?? 'data');
const buildDir = fileURLToPath(new URL('../build', import.meta.url));
const password = 'seven geese over the sea';
const hourMs = 3_600_000;
const patienceMs = 60_000;

if (!existsSync(join(buildDir, 'handler.js'))) leave('The app is not built yet. Run "npm run build" first.');
if (hasAccounts(dataDir)) leave(`There is already a world in ${dataDir}. Choose another folder: npm run seed -- --into <folder>`);

const peopleCount = readCount('people', Math.max(2, Number(values.people)));
const chatCount = readCount('chats', Number(values.chats));
const messageCount = readCount('messages', Number(values.messages));
const days = readCount('days', Number(values.days));

/** Repeatable choices: the same numbers give the same world, keys aside. */
let choice = 1;
const pick = <T>(list: readonly T[]): T => list[(choice = (choice * 48_271) % 2_147_483_647) % list.length]!;

let behindMs = days * 24 * hourMs;
const clock = { now: () => Math.floor(Date.now() - behindMs) };

interface Member extends SeedPerson {
  readonly profile: Profile;
  node: NodeEngine;
  account: AccountId;
}

interface Chat extends SeedChat {
  readonly id: ConversationId;
}

const server = await startSeedServer({ dataDir, buildDir, clock });
try {
  await makeWorld();
} finally {
  await server.stop();
}
process.exit(0); // the OPAQUE and Automerge modules hold the process

async function makeWorld(): Promise<void> {
  const members = new Map<string, Member>();
  for (let i = 0; i < peopleCount; i++) {
    const person = cast[i] ?? { handle: `guest${i + 1}`, name: `Guest ${i + 1}` };
    members.set(person.handle, await signUp(person));
    console.log(`${person.handle} is here`);
  }
  const plan = planChats([...members.keys()]);
  const chats: Chat[] = [];
  for (const chat of plan) chats.push({ ...chat, id: await openChat(members, chat) });
  for (const member of members.values()) {
    await waitFor(`${member.handle} has every chat`, async () => member.node.engine.desk()!.book.all().length >= chats.filter((chat) => chat.people.includes(member.handle)).length);
  }

  const total = chats.reduce((sum, chat) => sum + chat.lines.length, 0);
  const stepMs = behindMs / (total + chats.length + 1);
  for (const [i, chat] of chats.entries()) {
    const ids: string[] = [];
    const late: { readonly line: SeedLine; readonly place: number }[] = [];
    for (const [place, line] of chat.lines.entries()) {
      behindMs = Math.max(0, behindMs - stepMs);
      if (line.offline) late.push({ line, place });
      ids[place] = line.offline ? '' : await say(members, chat, line, line.answers === undefined ? undefined : chat.lines[line.answers]!);
      if (line.offline) await writeOffline(members.get(line.by)!, chat, line);
    }
    for (const { line } of late) await comeBack(members.get(line.by)!, chat, line);
    await touchUp(members, chat);
    console.log(`${i + 1}/${chats.length} ${chat.name ?? chat.people.join(' and ')}: ${chat.lines.length} messages`);
  }
  behindMs = 0;
  await readMost(members, chats);
  for (const member of members.values()) await member.node.close();
  console.log(`\n${dataDir} now holds ${members.size} people, ${chats.length} chats, ${total} messages over ${days} days.`);
  console.log(`Start it with: DATA_DIR=${dataDir} npm start`);
  console.log(`Sign in as ${[...members.keys()].join(', ')}; everybody's password is "${password}".`);
}

async function signUp({ handle, name }: SeedPerson): Promise<Member> {
  const profile = createProfile(server.address);
  const node = await openNodeEngine({ origin: server.address, profile, clock, name: `${name}'s computer` });
  unwrap(await node.api.signUp({ handle, password, displayName: name }), `${handle} signs up`);
  await node.api.confirmWords();
  await online(node, handle);
  return { handle, name, profile, node, account: node.engine.desk()!.me };
}

/** The written chats first, then pairs and small groups; then lines until there are enough. */
function planChats(handles: readonly string[]): SeedChat[] {
  const plan: SeedChat[] = script.filter((chat) => chat.people.every((handle) => handles.includes(handle))).slice(0, chatCount);
  const pairs = new Set(plan.filter((chat) => !chat.name).map((chat) => [...chat.people].sort().join()));
  for (let n = 1; plan.length < chatCount; n++) {
    const first = handles[n % handles.length]!;
    const second = handles[(n + 1 + Math.floor(n / handles.length)) % handles.length]!;
    const isPair = first !== second && !pairs.has([first, second].sort().join());
    if (isPair) pairs.add([first, second].sort().join());
    plan.push(isPair ? { people: [first, second], lines: [] } : { name: `Round ${n}`, people: [...new Set([first, second, pick(handles), pick(handles)])], lines: [] });
  }
  const lines = plan.map((chat) => [...chat.lines]);
  for (let said = lines.flat().length; said < messageCount; said++) {
    const at = said % plan.length;
    const here = plan[at]!.people.filter((handle) => !plan[at]!.lines.some((line) => line.offline && line.by === handle));
    lines[at]!.push({ by: pick(here), text: pick(small) });
  }
  return plan.map((chat, at) => ({ ...chat, lines: lines[at]! }));
}

async function openChat(members: ReadonlyMap<string, Member>, chat: SeedChat): Promise<ConversationId> {
  const [maker, ...others] = chat.people.map((handle) => members.get(handle)!);
  for (const other of others) unwrap(await maker!.node.api.findPerson(other.handle), `${other.handle} is found`);
  if (!chat.name) return unwrap(await maker!.node.api.startDirect(others[0]!.account), 'a chat of two starts');
  return unwrap(await maker!.node.api.createGroup({ name: chat.name, picture: undefined, members: others.map(({ account }) => account) }), `${chat.name} is made`);
}

async function say(members: ReadonlyMap<string, Member>, chat: Chat, line: SeedLine, answered: SeedLine | undefined): Promise<string> {
  const { api } = members.get(line.by)!.node;
  const target = answered && await find(members.get(line.by)!, chat, answered);
  const sent = await api.sendText(chat.id, { text: line.text, ...(target && { replyTo: target.id }) });
  await sentAll(members.get(line.by)!);
  return unwrap(sent, `${line.by} says something`).id;
}

/** The browser is closed and opened again with no network: what is written waits on its disk. */
async function writeOffline(member: Member, chat: Chat, line: SeedLine): Promise<void> {
  const { profile } = member;
  await member.node.close();
  const fetchBefore = profile.fetch;
  profile.fetch = async () => {
    throw new TypeError('no network');
  };
  member.node = await openNodeEngine({ origin: server.address, profile, clock, name: member.handle });
  await waitFor(`${member.handle} opens the app offline`, async () => member.node.engine.desk() !== undefined);
  unwrap(await member.node.api.sendText(chat.id, { text: line.text }), `${member.handle} writes offline`);
  await member.node.close();
  profile.fetch = fetchBefore;
}

async function comeBack(member: Member, chat: Chat, line: SeedLine): Promise<void> {
  await member.node.close();
  member.node = await openNodeEngine({ origin: server.address, profile: member.profile, clock, name: member.handle });
  await online(member.node, member.handle);
  await sentAll(member);
  await find(member, chat, line);
}

/** Changes, removals, reactions: after everybody has spoken. */
async function touchUp(members: ReadonlyMap<string, Member>, chat: Chat): Promise<void> {
  for (const line of chat.lines) {
    for (const [by, emoji] of line.reactions ?? []) {
      const member = members.get(by)!;
      unwrap(await member.node.api.react(chat.id, (await find(member, chat, line)).id, emoji, true), `${by} reacts`);
      await sentAll(member);
    }
    const author = members.get(line.by)!;
    if (line.edited !== undefined) unwrap(await author.node.api.editText(chat.id, (await find(author, chat, line)).id, line.edited), `${line.by} corrects a message`);
    if (line.deleted) unwrap(await author.node.api.deleteMessage(chat.id, (await find(author, chat, line)).id), `${line.by} takes a message back`);
    if (line.edited !== undefined || line.deleted) await sentAll(author);
  }
}

/** Everybody has read everything but the newest chat they are in. */
async function readMost(members: ReadonlyMap<string, Member>, chats: readonly Chat[]): Promise<void> {
  for (const member of members.values()) {
    const mine = chats.filter((chat) => chat.people.includes(member.handle));
    for (const chat of mine.slice(0, -1)) {
      const record = await member.node.engine.desk()!.database.read(['conversations'], (tx) => tx.get('conversations', chat.id));
      if (record) await member.node.api.markRead(chat.id, record.cursor);
    }
  }
  for (const member of members.values()) {
    await member.node.engine.desk()!.pushPrivateState();
    await sentAll(member);
  }
}

/** Leaves the chat open: only of an open chat are messages known by name. */
async function find(member: Member, chat: Chat, line: SeedLine): Promise<TimelineItem> {
  let found: TimelineItem | undefined;
  await waitFor(`${member.handle} sees "${line.text}"`, async () => {
    const view = await member.node.api.openChat(chat.id);
    found = view?.items.find((item) => item.type === 'message' && item.text === line.text && !item.deleted);
    return found !== undefined;
  });
  return found!;
}

async function sentAll(member: Member): Promise<void> {
  await waitFor(`everything of ${member.handle} is sent`, async () => (await member.node.engine.desk()!.sync.waiting()).total === 0);
}

async function online(node: NodeEngine, handle: string): Promise<void> {
  await waitFor(`${handle} is online`, async () => node.engine.desk()?.connection().state === 'online');
}

async function waitFor(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited too long until: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function readCount(name: string, value: number): number {
  return Number.isInteger(value) && value > 0 ? value : leave(`--${name} must be a whole number above 0`);
}

function leave(why: string): never {
  console.error(why);
  process.exit(1);
}
