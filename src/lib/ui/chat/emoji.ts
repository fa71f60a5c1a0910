/** A small set of common emoji with the words people look for them by. */
export type EmojiGroup = 'faces' | 'gestures' | 'nature' | 'food' | 'things' | 'symbols';

const lists: Record<EmojiGroup, string> = {
  faces: '😀 grin,😃 happy,😄 smile,😁 beam,😆 laugh,😅 sweat relief,😂 tears joy,🤣 rolling laughing,😊 blush,😇 angel,🙂 slight smile,🙃 upside down,😉 wink,😌 relieved,😍 heart eyes love,🥰 hearts love,😘 kiss,😋 yum,😛 tongue,😜 wink tongue,🤪 zany,🤔 thinking,🤨 eyebrow doubt,😐 neutral,😑 expressionless,😏 smirk,🙄 eye roll,😬 grimace,😴 sleeping,😪 sleepy,😷 mask,🤒 ill fever,🤕 hurt,🤢 nausea,🤯 mind blown,🥳 party,😎 cool sunglasses,🤓 nerd,😕 confused,😟 worried,🙁 frown,😮 wow surprised,😲 astonished,😳 flushed,🥺 pleading,😢 cry sad,😭 sobbing,😱 scream,😤 huff,😡 angry,🤬 swearing,😈 devil,💀 skull,🤡 clown,👻 ghost,🤖 robot',
  gestures: '👍 thumbs up yes,👎 thumbs down no,👌 ok,✌️ peace,🤞 fingers crossed luck,🤟 love you,🤘 rock,👋 wave hello bye,🤚 hand,✋ stop,👏 clap,🙌 raised hands,🤝 handshake,🙏 thanks please pray,💪 strong,👀 eyes look,🫶 heart hands,☝️ up,👇 down,👉 right,👈 left,✍️ writing,🤷 shrug,🤦 facepalm,💃 dance,🏃 run,🚶 walk,👶 baby,👩 woman,👨 man,👪 family,🧑‍💻 coder',
  nature: '🐶 dog,🐱 cat,🐭 mouse,🐰 rabbit,🦊 fox,🐻 bear,🐼 panda,🐨 koala,🦁 lion,🐮 cow,🐷 pig,🐸 frog,🐵 monkey,🐔 chicken,🐧 penguin,🐦 bird,🦆 duck,🦉 owl,🐝 bee,🦋 butterfly,🐢 turtle,🐙 octopus,🐬 dolphin,🐳 whale,🌵 cactus,🌲 tree,🌴 palm,🌱 seedling,🌿 herb,🍀 clover luck,🍁 autumn leaf,🌸 blossom,🌹 rose,🌻 sunflower,🌍 earth,🌙 moon,⭐ star,☀️ sun,⛅ cloud,🌧️ rain,⛈️ storm,❄️ snow,🌈 rainbow,🔥 fire,🌊 wave sea',
  food: '🍏 apple,🍌 banana,🍇 grapes,🍓 strawberry,🍒 cherry,🍑 peach,🍍 pineapple,🥑 avocado,🍅 tomato,🥕 carrot,🌽 corn,🍞 bread,🥐 croissant,🧀 cheese,🥚 egg,🍳 cooking,🥞 pancakes,🍔 burger,🍟 fries,🍕 pizza,🌮 taco,🥗 salad,🍝 pasta,🍜 noodles,🍣 sushi,🍦 ice cream,🍰 cake,🎂 birthday cake,🍫 chocolate,🍿 popcorn,☕ coffee,🍵 tea,🍺 beer,🍷 wine,🥂 cheers',
  things: '🏠 home,🏢 office,🏥 hospital,🏫 school,⛺ tent,🏖️ beach,⛰️ mountain,🚗 car,🚲 bicycle,🚌 bus,🚆 train,✈️ plane,🚀 rocket,⛵ boat,⚽ football,🏀 basketball,🎮 game,🎲 dice,🎨 art,🎵 music,🎸 guitar,🎬 film,📷 camera,📱 phone,💻 laptop,⌚ watch,💡 idea,🔑 key,🔒 lock,📚 books,✏️ pencil,📎 clip,📅 calendar,⏰ alarm clock,🎁 gift,🎈 balloon,🎉 party tada,🏆 trophy,💰 money,🛒 shopping,🧳 luggage,☂️ umbrella',
  symbols: '❤️ red heart love,🧡 orange heart,💛 yellow heart,💚 green heart,💙 blue heart,💜 purple heart,🖤 black heart,🤍 white heart,💔 broken heart,💕 hearts,💯 hundred,✅ check yes done,❌ cross no,❓ question,❗ exclamation,⚠️ warning,🚫 forbidden,💤 sleep,💬 speech,💭 thought,➕ plus,➖ minus,♻️ recycle,🔔 bell,🔕 muted bell,⬆️ up,⬇️ down,➡️ right,⬅️ left,🆗 ok,🆕 new,🏁 finish flag,🏳️‍🌈 rainbow flag',
};

export interface Emoji {
  readonly emoji: string;
  readonly name: string;
  readonly group: EmojiGroup;
}

export const allEmoji: readonly Emoji[] = (Object.entries(lists) as [EmojiGroup, string][]).flatMap(([group, list]) =>
  list.split(',').map((entry) => {
    const at = entry.indexOf(' ');
    return { emoji: entry.slice(0, at), name: entry.slice(at + 1), group };
  }));

export function findEmoji(query: string): readonly Emoji[] {
  const parts = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return parts.length === 0 ? allEmoji : allEmoji.filter(({ name }) => parts.every((part) => name.includes(part)));
}
