/**
 * What the people of the seeded world are called and what they say. Text only: `seed.ts` says it.
 *
 * A line names its author, and may answer an earlier line of its chat, collect reactions, be changed
 * or taken back afterwards, or be written by somebody whose network is gone and who comes back later.
 */

export interface SeedPerson {
  readonly handle: string;
  readonly name: string;
}

export interface SeedLine {
  readonly by: string;
  readonly text: string;
  /** The place of the line it answers. */
  readonly answers?: number;
  readonly reactions?: readonly (readonly [by: string, emoji: string])[];
  readonly edited?: string;
  readonly deleted?: boolean;
  /** Written with no network; it arrives when the chat is over. */
  readonly offline?: boolean;
}

export interface SeedChat {
  /** A group's name; a chat of two has none. */
  readonly name?: string;
  /** The first makes the chat. */
  readonly people: readonly string[];
  readonly lines: readonly SeedLine[];
}

export const people: readonly SeedPerson[] = [
  { handle: 'mia', name: 'Mia Brandt' },
  { handle: 'sam', name: 'Sam Okafor' },
  { handle: 'olga', name: 'Ольга Смирнова' },
  { handle: 'wei', name: '陈伟' },
  { handle: 'haru', name: '佐藤 春' },
  { handle: 'layla', name: 'ليلى حداد' },
  { handle: 'noam', name: 'נועם לוי' },
  { handle: 'ines', name: 'Inês Duarte' },
];

export const chats: readonly SeedChat[] = [
  {
    name: 'Hut weekend 🏔️', people: ['mia', 'sam', 'ines', 'olga'],
    lines: [
      { by: 'mia', text: 'The hut is ours from Friday noon. Who drives?' },
      { by: 'sam', text: 'I can take three. Leaving at nine from the station.', answers: 0, reactions: [['mia', '👍'], ['ines', '🎉']] },
      { by: 'ines', text: 'I bring bread and cheese. Somebody bring coffee, please ☕' },
      { by: 'olga', text: 'Кофе и чай за мной!', answers: 2, reactions: [['ines', '❤️'], ['mia', '❤️'], ['sam', '😂']] },
      { by: 'mia', text: 'Map of the path: https://example.org/paths/42', edited: 'Map of the path, the shorter one: https://example.org/paths/43' },
      { by: 'sam', text: 'wrong chat, sorry', deleted: true },
      { by: 'ines', text: 'In the train, no signal in the tunnel. Arriving 11:40, platform 3.', offline: true },
      { by: 'mia', text: 'Rain on Saturday, sun on Sunday. Boots!' },
      { by: 'olga', text: 'Takes the long socks too 🧦', answers: 7, edited: 'Take the long socks too 🧦' },
    ],
  },
  {
    people: ['mia', 'sam'],
    lines: [
      { by: 'mia', text: 'Hast du die Skizzen schon gesehen?' },
      { by: 'sam', text: 'Not yet. Tonight, with a fresh head.' },
      { by: 'mia', text: 'Kein Stress. Die zweite Seite ist die wichtige.', answers: 1 },
      { by: 'sam', text: 'Looked at them now. The second page is lovely. Two small things:\n1. the door opens the wrong way\n2. more light on the stairs', reactions: [['mia', '🙏']] },
      { by: 'mia', text: 'Stimmt beides. Ich ändere es morgen früh.' },
      { by: 'sam', text: 'Written over the Atlantic, sent after landing ✈️', offline: true },
    ],
  },
  {
    people: ['wei', 'mia'],
    lines: [
      { by: 'wei', text: '你好！周末有空吗？' },
      { by: 'mia', text: 'Ja, Sonntag. 星期天可以 🙂', answers: 0 },
      { by: 'wei', text: '那我们去新开的面馆吧，听说手擀面很好吃。', reactions: [['mia', '🍜']] },
      { by: 'mia', text: 'Perfekt, 12 Uhr vor der Tür.' },
    ],
  },
  {
    people: ['haru', 'mia'],
    lines: [
      { by: 'haru', text: '写真を送るね。桜がもう咲いています。' },
      { by: 'mia', text: 'Wie schön! In welchem Park ist das?' },
      { by: 'haru', text: '川沿いの小さな公園です。来週も見られると思う 🌸', answers: 1, reactions: [['mia', '😍']] },
    ],
  },
  {
    people: ['layla', 'mia'],
    lines: [
      { by: 'layla', text: 'صباح الخير! هل وصلت الرسالة؟' },
      { by: 'mia', text: 'Ja, gestern. Danke dir!' },
      { by: 'layla', text: 'الحمد لله. نلتقي يوم الثلاثاء في المكتبة الساعة 5', answers: 1, reactions: [['mia', '👍']] },
      { by: 'mia', text: 'Dienstag passt, bis dann.', deleted: true },
      { by: 'mia', text: 'Dienstag passt, ich komme um 17:15.' },
    ],
  },
  {
    name: 'ארוחת ערב · Dinner', people: ['noam', 'layla', 'mia', 'sam', 'haru'],
    lines: [
      { by: 'noam', text: 'מי בא לארוחת ערב ביום חמישי?' },
      { by: 'layla', text: 'أنا! سأحضر الحلوى 🍰', answers: 0, reactions: [['noam', '🔥'], ['haru', '🔥'], ['mia', '🔥']] },
      { by: 'haru', text: '私も行きます' },
      { by: 'sam', text: 'Me too. Is there anything you do not eat?' },
      { by: 'noam', text: 'הכול טוב, רק בלי אגוזים בבקשה', answers: 3 },
      { by: 'mia', text: 'Ich bringe Salat und die gute Laune 👩🏽‍🍳' },
    ],
  },
  {
    people: ['olga', 'sam'],
    lines: [
      { by: 'olga', text: 'Привет! Ты уже дома?' },
      { by: 'sam', text: 'Just in. The last bus was late again.' },
      { by: 'olga', text: 'Главное, что доехал. Завтра созвонимся?', answers: 1 },
      { by: 'sam', text: 'Yes, after ten 🙌', reactions: [['olga', '👌']] },
    ],
  },
  { people: ['ines', 'noam'], lines: [{ by: 'ines', text: 'Trouxe os livros. Queres que os deixe no café?' }, { by: 'noam', text: 'כן, תודה רבה! ❤️', answers: 0 }] },
  {
    name: 'Choir, altos', people: ['ines', 'mia', 'olga', 'layla', 'wei'],
    lines: [
      { by: 'ines', text: 'Rehearsal moves to the small hall. Same time.' },
      { by: 'wei', text: '收到，谢谢通知。', reactions: [['ines', '👍']] },
      { by: 'olga', text: 'Ноты взять с собой?' },
      { by: 'ines', text: 'Yes please, pages 4 to 11.', answers: 2 },
      { by: 'layla', text: 'كنت في الطائرة، رأيت الرسالة الآن', offline: true },
    ],
  },
];

/** What fills a world up to the number of messages asked for. */
export const small: readonly string[] = [
  'On my way.', 'Bin gleich da.', 'Уже выхожу.', '马上到。', 'もうすぐ着きます。', 'في الطريق.', 'אני בדרך.', 'A caminho.', '🙂', '👍👍',
  'Did you read the long piece about the bridge?', 'Das erzähle ich dir lieber heute Abend in Ruhe.', 'Нашла твой зонт, лежит у меня.', '这个地方真不错，下次一起来。',
  '明日の天気はどうかな。', 'شكرا جزيلا على المساعدة', 'נדבר מחר בבוקר', 'Can you send me the address once more?', 'Ich hab den Schlüssel unter die Matte gelegt.', 'Done ✅',
];
