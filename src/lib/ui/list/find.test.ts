import { expect, test } from 'vitest';
import type { ChatSummary, Person } from '#lib/app/engine-api.ts';
import { chatName, findChats, findPeople, foldText, handleToFind, listedChats, matchRank } from './find.ts';
import { badgeText, previewOf } from './preview.ts';

function person(handle: string, displayName: string): Person {
  return { account: handle as Person['account'], handle, displayName, picture: undefined, colour: 0, verified: false, identityChanged: false };
}

function chat(title: string, more: Partial<ChatSummary> = {}): ChatSummary {
  return {
    conversation: `c-${title}` as ChatSummary['conversation'], kind: 'direct', title, picture: undefined, colour: 0, peer: undefined, memberCount: 2, verified: false, lastText: 'hello', lastAuthor: undefined,
    lastMine: false, lastTick: undefined, lastAt: 1, unread: 0, draft: undefined, typing: [], muted: false, pinned: false, left: false, alarm: undefined, ...more,
  };
}

const mira = person('mira', 'Mira Okafor');
const ines = person('ines_c', 'Inês Carvalho');
const aiko = person('aiko', '高橋 愛子');
const people = new Map([mira, ines, aiko, person('me', 'Me')].map((one) => [one.account as string, one]));

test('[UI1] a name is found by its beginning, by a word, or by a part, whatever the case and accents', () => {
  expect(matchRank('Mira Okafor', 'mi')).toBe(0);
  expect(matchRank('Mira Okafor', 'OKA')).toBe(1);
  expect(matchRank('Mira Okafor', 'oka mir')).toBe(1);
  expect(matchRank('Mira Okafor', 'kaf')).toBe(2);
  expect(matchRank('Mira Okafor', 'mira x')).toBeUndefined();
  expect(matchRank('Inês Carvalho', 'ines')).toBe(0);
  expect(matchRank('高橋 愛子', '子')).toBe(2);
  expect(foldText('ＡÉß')).toBe('aeß');
});

test('[UI1] chats come best match first, then as the list has them; nothing typed is the whole list', () => {
  const chats = [chat('Carmira'), chat('Old Mira'), chat('Mira'), chat('Zoe', { peer: mira.account })];
  expect(findChats(chats, people, 'mira').map((one) => one.title)).toEqual(['Mira', 'Zoe', 'Old Mira', 'Carmira']);
  expect(findChats(chats, people, '@mira').map((one) => one.title)).toEqual(['Zoe']);
  expect(findChats(chats, people, '  ')).toBe(chats);
});

test('[UI1] people are offered once: not oneself, and not who has a chat already', () => {
  expect(findPeople(people, [chat('x', { peer: mira.account })], 'me', '').map((one) => one.handle)).toEqual(['ines_c', 'aiko']);
  expect(findPeople(people, [], 'me', '@ines').map((one) => one.handle)).toEqual(['ines_c']);
});

test('[UI2] a handle nobody here has is offered for finding, a name or a known handle is not', () => {
  expect(handleToFind(people, '@Olu')).toBe('olu');
  expect(handleToFind(people, 'mira')).toBeUndefined();
  expect(handleToFind(people, 'two words')).toBeUndefined();
});

test('[UI3] saved messages stand in the list once there is something in them', () => {
  const empty = chat('', { kind: 'self', lastText: '' });
  expect(listedChats([empty, chat('A')]).map(chatName)).toEqual(['A']);
  for (const more of [{ lastText: 'note' }, { draft: 'x' }, { pinned: true }]) expect(listedChats([{ ...empty, ...more }])).toHaveLength(1);
  expect(chatName(empty)).toBe('Saved messages');
});

test('[UI4] a row tells the draft before typing before the last message, and says whose it is in groups', () => {
  const busy = chat('A', { draft: 'so\n far', typing: ['Mira'] });
  expect(previewOf(busy, mira, false)).toEqual({ type: 'draft', lead: 'Draft:', text: 'so far' });
  expect(previewOf(busy, mira, true).type).toBe('typing');
  expect(previewOf(chat('A', { lastText: 'a\nb' }), mira, false)).toEqual({ type: 'message', lead: undefined, text: 'a b' });
  expect(previewOf(chat('G', { kind: 'group', lastAuthor: 'Mira' }), undefined, false).lead).toBe('Mira:');
  expect(previewOf(chat('G', { kind: 'group', lastMine: true }), undefined, false).lead).toBe('You:');
  expect(previewOf(chat('A', { lastText: '', lastMine: true }), mira, false).type).toBe('deleted');
  expect(previewOf(chat('A', { lastText: '' }), mira, false)).toEqual({ type: 'quiet', lead: undefined, text: '@mira' });
});

test('[UI4] a badge keeps its width', () => {
  expect([badgeText(1), badgeText(999), badgeText(1_000)]).toEqual(['1', '999', '999+']);
});
