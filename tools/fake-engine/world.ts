/**
 * A lived-in world for drawing screens: people, chats in several languages, long histories, and one
 * of everything that can happen to a message.
 *
 * Made from a fixed seed and the time it is given, so two runs show the same screens.
 */
import type { AccountId, ChatInfo, ChatSummary, ConversationId, MemberInfo, Person, Reaction, Tick, TimelineItem } from './types.ts';

export interface FakeChat {
  summary: ChatSummary;
  info: ChatInfo;
  items: TimelineItem[];
  unreadFrom: string | undefined;
  /** The oldest part lies on the "server": not to be had offline. */
  remoteBelow: number;
}

export interface World {
  readonly me: AccountId;
  readonly people: Map<AccountId, Person>;
  readonly strangers: Map<string, Person>;
  readonly chats: Map<ConversationId, FakeChat>;
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export function makeWorld(now: number): World {
  const random = makeRandom(7);
  const people = new Map<AccountId, Person>();
  const addPerson = (handle: string, displayName: string, more: Partial<Person> = {}): AccountId => {
    const account = fakeId(`person-${handle}`) as AccountId;
    people.set(account, { account, handle, displayName, picture: undefined, colour: people.size % 8, verified: false, identityChanged: false, ...more });
    return account;
  };
  const me = addPerson('noor', 'Noor Haddad');
  const mira = addPerson('mira', 'Mira Okafor', { verified: true, picture: portrait('#d98b5f', '#5b3a2a') });
  const jonas = addPerson('jonas_w', 'Jonas Weber');
  const aiko = addPerson('aiko', '高橋 愛子', { picture: portrait('#7fa9b8', '#2f4750') });
  const layla = addPerson('layla', 'ليلى منصور');
  const tomasz = addPerson('tomasz', 'Tomasz Wiśniewski', { identityChanged: true });
  const ines = addPerson('ines', 'Inês Carvalho');
  const dmitri = addPerson('dmitri', 'Дмитрий Соколов');
  const priya = addPerson('priya', 'Priya Raman', { verified: true });
  const sam = addPerson('sam_the_ranger', 'Sam');
  const grandma = addPerson('elsbeth', 'Oma Elsbeth');
  const wei = addPerson('wei_l', '李伟');
  const yael = addPerson('yael', 'יעל ברק');
  const long = addPerson('bartholomew_featherstonehaugh', 'Bartholomew Featherstonehaugh-Cholmondeley the Third of Upper Nowhere');

  const chats = new Map<ConversationId, FakeChat>();
  const strangers = new Map<string, Person>();
  for (const [handle, displayName] of [['olu', 'Olu Adeyemi'], ['godwit', 'Godwit team']] as const) {
    strangers.set(handle, { account: fakeId(`person-${handle}`) as AccountId, handle, displayName, picture: undefined, colour: 5, verified: false, identityChanged: false });
  }

  function direct(peer: AccountId, build: (t: Talk) => void, more: Partial<ChatSummary> = {}): void {
    const person = people.get(peer)!;
    const talk = makeTalk(now, me);
    build(talk);
    addChat({ kind: 'direct', title: person.displayName, picture: person.picture, colour: person.colour, peer, verified: person.verified, members: [me, peer] }, talk, more);
  }
  function group(title: string, members: readonly AccountId[], build: (t: Talk) => void, more: Partial<ChatSummary> = {}, picture?: string): void {
    const talk = makeTalk(now, me);
    talk.system({ type: 'created', by: members[0]!, kind: 'group' });
    build(talk);
    addChat({ kind: 'group', title, picture, colour: title.length % 8, peer: undefined, verified: false, members }, talk, more);
  }
  function addChat(
    base: { kind: 'direct' | 'group' | 'self'; title: string; picture: string | undefined; colour: number; peer: AccountId | undefined; verified: boolean; members: readonly AccountId[] },
    talk: Talk, more: Partial<ChatSummary>,
  ): void {
    const conversation = fakeId(`chat-${base.title}`) as ConversationId;
    const unread = more.unread ?? 0;
    const others = talk.items.filter((item) => item.type === 'message' && !item.mine);
    const firstUnread = unread > 0 ? others[others.length - unread] : undefined;
    const members: MemberInfo[] = base.members.map((account, i) => ({ account, me: account === me, role: base.kind !== 'group' ? 'member' : i === 0 ? 'owner' : i === 1 ? 'admin' : 'member' }));
    const summary: ChatSummary = {
      conversation, kind: base.kind, title: base.title, picture: base.picture, colour: base.colour, peer: base.peer, memberCount: members.length, verified: base.verified,
      lastText: '', lastAuthor: undefined, lastMine: false, lastTick: undefined, lastAt: now - 400 * day, unread, draft: undefined, typing: [], muted: false, pinned: false, left: false, alarm: undefined, ...more,
    };
    const chat: FakeChat = {
      summary, items: talk.items, unreadFrom: firstUnread?.order, remoteBelow: Math.max(0, talk.items.length - 900),
      info: { conversation, kind: base.kind, title: base.title, picture: base.picture, description: base.kind === 'group' && base.title.includes('Wadden') ? 'Counts, tides and who brings the thermos. High water decides, not us.' : '', members, myRole: more.left ? undefined : members.find((member) => member.me)?.role, epoch: 3 },
    };
    chats.set(conversation, { ...chat, summary: summarise(chat, people) });
  }

  direct(mira, (t) => {
    longTalk(t, mira, random, now);
    t.at(now - 3 * hour).them(mira, 'Did you see the godwits this morning? 🐦 Hundreds of them on the mudflat.');
    t.at(now - 3 * hour + minute).them(mira, 'They leave for Alaska in about a week. Eleven thousand kilometres, no stop.');
    const facts = t.at(now - 2.9 * hour).mine('Eleven thousand. I complain about the ferry.', 'read');
    t.reactLast('😂', [mira], false, people);
    t.at(now - 2.8 * hour).them(mira, 'Read this when you have a moment: https://www.example.org/birds/bar-tailed-godwit?season=spring#migration and tell me what you think', { replyTo: facts });
    t.at(now - 2.7 * hour).mine('I will. Also:\n\n• the tide table for Friday\n• thermos\n• your good binoculars, please', 'read', { edited: true });
    t.at(now - 95 * minute).them(mira, '❤️');
    t.at(now - 94 * minute).them(mira, 'Written on the train, no signal until Leer. You will get this late.', { late: true, receivedAt: now - 20 * minute });
    t.at(now - 14 * minute).mine('Lovely. Half past six at the dyke?', 'read');
    t.at(now - 6 * minute).them(mira, 'Half past six. Bring the dog if he promises to be quiet.');
    t.reactLast('👍', [me], true, people);
    t.reactLast('🐕', [mira], false, people);
  }, { pinned: true });

  group('Wadden Sea counts', [mira, me, jonas, aiko, layla, priya, sam, ines], (t) => {
    t.system({ type: 'added', by: mira, who: me });
    t.system({ type: 'added', by: mira, who: sam });
    const authors = [mira, jonas, aiko, priya, sam, ines];
    const lines = ['412 bar-tailed godwits, sector C', 'Wind is turning, expect fog by nine.', 'Can somebody take sector D on Friday?', 'I can.', 'Photo comes when I have signal.', 'Two ringed birds, left leg white over red. Reported.', 'Who has the spare tripod?', 'Me. It is in the boat shed.', 'The gate code changed, ask the warden.', 'Thanks everyone, that was a good one.'];
    for (let i = 0; i < 160; i++) {
      t.at(now - 6 * day + i * 50 * minute);
      const text = lines[Math.floor(random() * lines.length)]!;
      if (random() < 0.18) t.mine(text, 'delivered');
      else t.them(authors[Math.floor(random() * authors.length)]!, text);
      if (random() < 0.1) t.reactLast('👍', [authors[i % authors.length]!, jonas], random() < 0.4, people);
    }
    t.at(now - 5 * hour);
    t.system({ type: 'meta', by: mira, name: 'Wadden Sea counts' });
    t.at(now - 4.5 * hour).them(jonas, 'Morning all. Sector A done: 1,204.');
    t.at(now - 4.5 * hour + 20_000).them(jonas, 'And one very confused flamingo 🦩');
    t.reactLast('😮', [aiko, priya], true, people);
    t.reactLast('🦩', [mira, sam, ines, layla], false, people);
    t.at(now - 4.2 * hour).them(aiko, '双眼鏡を忘れました。誰か貸してもらえますか？');
    t.at(now - 4.1 * hour).mine('I have a second pair, aiko. 8×42, a bit scratched.', 'read');
    t.at(now - 4 * hour).them(layla, 'هل يمكن لأحد أن يرسل لي جدول المد والجزر ليوم الجمعة؟');
    t.at(now - 70 * minute).them(sam, 'Deleted by mistake', { deleted: true });
    t.at(now - 50 * minute).them(priya, 'Numbers are in the sheet. The total for the week is 9,417, which is the best since we started counting, and the young birds are nearly a fifth of it. I checked it twice because I did not believe it either.');
    t.at(now - 42 * minute).them(ines, 'Que maravilha! 🎉');
    t.at(now - 41 * minute).them(ines, '🎉🎉🎉');
    t.at(now - 9 * minute).them(sam, 'Boat leaves 06:10 sharp. I will not wait. I will wait five minutes.');
  }, { unread: 4, typing: ['Jonas Weber'] }, portrait('#5d8a8a', '#1f3c40'));

  direct(jonas, (t) => {
    t.at(now - 26 * hour).them(jonas, 'Kannst du mir bitte die Fotos von gestern schicken?');
    t.at(now - 25.9 * hour).mine('Klar, heute Abend. Bin noch unterwegs.', 'read');
    t.at(now - 25 * minute).mine('Here comes the first one, more when I am home', 'sent');
    t.at(now - 24 * minute).mine('Und sag Lena liebe Grüße!', 'delivered');
  }, { draft: 'Ach ja, und wegen Freitag' });

  direct(aiko, (t) => {
    t.at(now - 2 * day).them(aiko, '明日の朝、六時に集合ですよね？');
    t.at(now - 2 * day + hour).mine('はい！駐車場で待っています。', 'read');
    t.at(now - 47 * minute).them(aiko, 'ありがとうございます。傘を持って行きますね ☔️');
  }, { unread: 1 });

  direct(layla, (t) => {
    t.at(now - 30 * hour).them(layla, 'مرحبا نور! كيف كانت الرحلة؟ سمعت أنكم رأيتم أكثر من ألف طائر.');
    t.at(now - 29 * hour).mine('كانت رائعة. التفاصيل هنا: https://example.org/رحلة', 'read');
    t.at(now - 5 * hour).them(layla, 'سأنضم إليكم يوم الجمعة إن شاء الله 🌅');
  });

  direct(tomasz, (t) => {
    t.at(now - 3 * day).them(tomasz, 'Zmieniłem telefon, daj znać, czy to dochodzi.');
    t.system({ type: 'identity-changed', who: tomasz });
    t.at(now - 8 * hour).quarantined('The signature on this entry does not fit the device that claims it.');
    t.at(now - 7 * hour).mine('Which of the two keys is yours?', 'waiting');
    t.at(now - 7 * hour + minute).mine('This one could not be sent.', 'failed', { failure: 'The server refused it: you were not in this chat at that moment.' });
  }, { alarm: 'identity-changed' });

  direct(priya, (t) => {
    t.at(now - 4 * day).them(priya, 'The paper got accepted!! 🎊');
    t.reactLast('🎉', [me], true, people);
    t.at(now - 4 * day + hour).mine('🥳', 'read');
    t.at(now - 3.8 * day).mine('Dinner on me.', 'read');
  }, { verified: true });

  direct(dmitri, (t) => {
    t.at(now - 5 * day).them(dmitri, 'Привет! Лодка будет готова к субботе.');
    t.at(now - 5 * day + 2 * hour).mine('Отлично, спасибо!', 'delivered');
  }, { muted: true });

  group('Familie 🌻', [grandma, ines, me, jonas], (t) => {
    t.at(now - 9 * day).them(grandma, 'Sonntag um drei gibt es Pflaumenkuchen.');
    t.at(now - 9 * day + hour).mine('Ich bringe Sahne mit.', 'read');
    t.at(now - 8 * day).them(ines, 'Eu levo o café ☕');
  }, { unread: 27, muted: true });

  direct(wei, (t) => {
    t.at(now - 12 * day).them(wei, '下周二的会议改到三点了，别忘了带上次的记录。');
  });
  direct(yael, (t) => {
    t.at(now - 20 * day).them(yael, 'שלום! קיבלת את המפתח של הסירה?');
    t.at(now - 19 * day).mine('כן, תודה 🙏', 'read');
  });
  direct(long, (t) => {
    t.at(now - 33 * day).them(long, `Supercalifragilisticexpialidocious${'ohno'.repeat(60)} and a line\nand another line`);
    t.at(now - 33 * day + minute).mine('x'.repeat(600), 'read');
  });
  group('Kitchen renovation', [jonas, priya, sam], (t) => {
    t.at(now - 61 * day).them(jonas, 'The tiles arrived. They are green. We ordered blue.');
    t.system({ type: 'removed', by: jonas, who: me });
  }, { left: true });
  direct(sam, (t) => {
    t.at(now - 370 * day).them(sam, 'Last year today: four degrees and horizontal rain.');
  });
  const notes = makeTalk(now, me);
  notes.at(now - 15 * day).mine('Ferry 07:40, platform 2, seat by the window', 'sent');
  addChat({ kind: 'self', title: 'Notes to self', picture: undefined, colour: 4, peer: undefined, verified: false, members: [me] }, notes, {});
  return { me, people, strangers, chats };
}

/** The row of the list, from the chat's newest item. */
export function summarise(chat: FakeChat, people: ReadonlyMap<AccountId, Person>): ChatSummary {
  const last = [...chat.items].reverse().find((item) => item.type === 'message');
  if (!last || last.type !== 'message') return { ...chat.summary, lastAt: chat.items.at(-1)?.at ?? chat.summary.lastAt };
  return {
    ...chat.summary,
    lastText: last.deleted ? '' : last.text.replaceAll('\n', ' '),
    lastAuthor: chat.summary.kind === 'group' && !last.mine ? people.get(last.author)?.displayName : undefined,
    lastMine: last.mine, lastTick: last.tick, lastAt: chat.items.at(-1)!.at,
  };
}

type Message = Extract<TimelineItem, { type: 'message' }>;
type SystemEvent = Extract<TimelineItem, { type: 'system' }>['event'];

interface Talk {
  readonly items: TimelineItem[];
  readonly at: (ms: number) => Talk;
  readonly them: (author: AccountId, text: string, more?: Partial<Omit<Message, 'replyTo'>> & { replyTo?: Message }) => Message;
  readonly mine: (text: string, tick: Tick, more?: Partial<Omit<Message, 'replyTo'>> & { replyTo?: Message }) => Message;
  readonly reactLast: (emoji: string, by: readonly AccountId[], mine: boolean, people: ReadonlyMap<AccountId, Person>) => void;
  readonly system: (event: SystemEvent) => void;
  readonly quarantined: (fault: string) => void;
}

function makeTalk(now: number, me: AccountId): Talk {
  const items: TimelineItem[] = [];
  let at = now - 40 * day;
  const base = (id: string) => ({ id, at, order: orderAt(at, items.length) });
  const message = (author: AccountId, text: string, tick: Tick | undefined, more: Partial<Omit<Message, 'replyTo'>> & { replyTo?: Message } = {}): Message => {
    const { replyTo, ...rest } = more;
    const item: Message = {
      ...base(`${author === me ? 1 : 2}.${items.length}`), type: 'message', author, mine: author === me, text, deleted: false, edited: false, reactions: [], tick, late: false, receivedAt: undefined,
      seq: tick === 'waiting' || tick === 'failed' ? undefined : items.length + 1, failure: undefined,
      replyTo: replyTo && { id: replyTo.id, author: replyTo.author, preview: replyTo.text.slice(0, 120), missing: false }, ...rest,
    };
    items.push(item);
    at += 1_000;
    return item;
  };
  const talk: Talk = {
    items,
    at(ms) {
      at = ms;
      return talk;
    },
    them: (author, text, more) => message(author, text, undefined, more),
    mine: (text, tick, more) => message(me, text, tick, more),
    reactLast(emoji, by, mine, people) {
      const last = items.at(-1);
      if (last?.type !== 'message') return;
      const names = by.map((account) => people.get(account)?.displayName ?? '?');
      const reaction: Reaction = { emoji, count: by.length + (mine && !by.includes(me) ? 1 : 0), mine, names };
      items[items.length - 1] = { ...last, reactions: [...last.reactions, reaction] };
    },
    system(event) {
      items.push({ ...base(`s${items.length}.0`), type: 'system', event });
    },
    quarantined(fault) {
      items.push({ ...base(`3.${items.length}`), type: 'quarantined', fault });
    },
  };
  return talk;
}

/** Two thousand messages over a year, in bursts like people write. */
function longTalk(t: Talk, peer: AccountId, random: () => number, now: number): void {
  const lines = ['Are you coming on Saturday?', 'Yes!', 'ok', 'Let me look at the tide table first, the last time we stood up to our knees in the mud and you lost a boot.', 'Ha, fair.', 'Good night 🌙', 'The ferry is late again.', 'Did you eat?', 'Soup. Twice.', 'I found your scarf.', 'Where??', 'In the boat, under the decoys.', 'Typical.', 'Look at this sky. I wish you could see it. The whole west is orange and the flats are like a mirror, and there is not one soul out here but me and ten thousand birds.', 'I am jealous.', 'See you at six.', 'Running late, ten minutes.', 'No hurry, I have tea.', '👍', 'Thank you for today.', 'Any time.\nReally.', 'What was the name of that place with the smoked eel?', 'Spiekeroog, I think. Or the one after it.'];
  for (let burst = 0; burst < 400; burst++) {
    let at = now - 380 * day + burst * 22 * hour + random() * 8 * hour;
    if (at > now - 6 * hour) return;
    for (let i = 0; i < 5; i++) {
      t.at(at);
      const text = lines[Math.floor(random() * lines.length)]!;
      if (random() < 0.5) t.mine(text, 'read');
      else t.them(peer, text);
      at += random() * 4 * minute;
    }
  }
}

export function orderAt(at: number, n: number): string {
  return `${Math.round(at).toString(36).padStart(10, '0')}.${n.toString(36).padStart(6, '0')}`;
}

/** 22 letters that look like an id. */
export function fakeId(name: string): string {
  let hash = 2166136261;
  let out = '';
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  for (let i = 0; out.length < 21; i++) {
    for (let j = 0; j < name.length; j++) hash = Math.imul(hash ^ (name.charCodeAt(j) + i), 16777619) >>> 0;
    out += letters[hash % letters.length];
  }
  return `${out}A`;
}

function portrait(back: string, front: string): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96"><rect width="96" height="96" fill="${back}"/><circle cx="48" cy="40" r="17" fill="${front}"/><path d="M12 104c4-30 20-40 36-40s32 10 36 40z" fill="${front}"/></svg>`;
  return `data:image/svg+xml;base64,${btoa(svg)}`;
}

function makeRandom(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
