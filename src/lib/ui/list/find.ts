/**
 * Finding a chat or a person by a few letters of a name, in any script, with or without accents.
 *
 * Everything is on the device, so this is a plain walk over the list: names that begin with what was
 * typed come first, then names with a word that does, then the rest; equals keep the order of the list.
 */
import { parseHandle } from '#lib/app/facts.ts';
import type { ChatSummary, Person } from '#lib/app/engine-api.ts';
import { words } from '../words/en.ts';

type People = ReadonlyMap<string, Person>;

/** The name a chat goes by on the screen. */
export function chatName(chat: ChatSummary): string {
  return chat.kind === 'self' ? words.list.self : chat.title;
}

/** Letters as they compare: no case, no accents, no compatibility forms. */
export function foldText(text: string): string {
  return text.normalize('NFKD').replace(/\p{Mn}/gu, '').toLocaleLowerCase();
}

/** 0 begins with it, 1 a word begins with it, 2 contains it, undefined does not match. All words typed must match. */
export function matchRank(name: string, query: string): 0 | 1 | 2 | undefined {
  const folded = foldText(name);
  const wanted = foldText(query).trim();
  if (folded.startsWith(wanted)) return 0;
  const parts = wanted.split(/\s+/);
  const starts = folded.split(/[\s\-–—_.,()]+/);
  if (parts.every((part) => starts.some((word) => word.startsWith(part)))) return 1;
  // Scripts without spaces between words match anywhere.
  return parts.every((part) => folded.includes(part)) ? 2 : undefined;
}

function best(ranks: readonly (number | undefined)[]): number | undefined {
  return ranks.reduce<number | undefined>((least, rank) => (rank === undefined || (least !== undefined && least <= rank) ? least : rank), undefined);
}

function rankBy<T>(list: readonly T[], rank: (one: T) => number | undefined): readonly T[] {
  const hits: { one: T; rank: number; at: number }[] = [];
  list.forEach((one, at) => {
    const found = rank(one);
    if (found !== undefined) hits.push({ one, rank: found, at });
  });
  return hits.sort((a, b) => a.rank - b.rank || a.at - b.at).map((hit) => hit.one);
}

function personRank(person: Person, query: string): number | undefined {
  return best([matchRank(person.displayName, query), matchRank(person.handle, query.replace(/^@/, ''))]);
}

/** An empty query is every chat, in the order of the list. */
export function findChats(chats: readonly ChatSummary[], people: People, query: string): readonly ChatSummary[] {
  if (query.trim() === '') return chats;
  return rankBy(chats, (chat) => {
    const peer = chat.peer && people.get(chat.peer);
    return best([matchRank(chatName(chat), query), peer ? matchRank(peer.handle, query.replace(/^@/, '')) : undefined]);
  });
}

/** People one knows but has no chat of two with. An empty query is all of them, by name. */
export function findPeople(people: People, chats: readonly ChatSummary[], me: string | undefined, query: string): readonly Person[] {
  const known = new Set(chats.map((chat) => chat.peer));
  return matchPeople([...people.values()].filter((person) => person.account !== me && !known.has(person.account)), query);
}

export function matchPeople(people: readonly Person[], query: string): readonly Person[] {
  const sorted = [...people].sort((a, b) => a.displayName.localeCompare(b.displayName));
  return query.trim() === '' ? sorted : rankBy(sorted, (person) => personRank(person, query));
}

/** What was typed, when it may be the handle of somebody not known yet. */
export function handleToFind(people: People, query: string): string | undefined {
  const handle = parseHandle(query);
  if (!handle) return undefined;
  for (const person of people.values()) if (person.handle === handle) return undefined;
  return handle;
}

/** The list shows the notes to oneself only once something is in them; the menu always leads there. */
export function listedChats(chats: readonly ChatSummary[]): readonly ChatSummary[] {
  return chats.filter((chat) => chat.kind !== 'self' || chat.lastText !== '' || chat.draft !== undefined || chat.pinned);
}
