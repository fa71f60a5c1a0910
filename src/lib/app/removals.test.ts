/** Content goes only where somebody's delete says so; what a server takes away by itself is seen. */
import { expect, test } from 'vitest';
import type { ConversationId } from '#lib/protocol/ids.ts';
import { makeAppWorld, must, type Device } from './fixtures/world.ts';
import { createRemovalWatch, proofMsMax } from './removals.ts';
import { chatsWithUnproven } from './verifier.ts';

const judge = (device: Device, chat: ConversationId) => device.engine.desk()!.verifier.judgeRemovals(chat);

test('[AP11] a message the server emptied without a delete is shown as such, also after a restart', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  const olu = await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  await olu.online();
  olu.profile.frames = (frame) => (frame.type === 'rows' ? { ...frame, rows: frame.rows.map((row) => ({ ...row, envelope: undefined })) } : frame);
  must(await mira.api.sendText(chat, { text: 'you never see this' }));
  const database = olu.profile.databases.values().next().value!;
  await olu.until('an empty row is kept', async () => (await chatsWithUnproven(database)).includes(chat));
  olu.profile.frames = (frame) => frame;
  expect(await judge(olu, chat)).toBe(false);
  const seen = await olu.open(chat);
  const refused = seen.items().filter((item) => item.type === 'quarantined');
  expect(refused.map((item) => item.fault)).toEqual(['unproven-removal']);
  expect(seen.items().filter((item) => item.type === 'message')).toEqual([]);
  await olu.until('the list says so', () => olu.chats().find((one) => one.conversation === chat)?.alarm === 'bad-entry');
  await olu.close();
  const again = await world.open(olu.profile);
  await again.online();
  expect((await again.open(chat)).items().flatMap((item) => (item.type === 'quarantined' ? [item.fault] : []))).toEqual(['unproven-removal']);
});

test('[AP11] a message its author deleted is no alarm, whether the removal or the delete is seen first', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  const olu = await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  must(await mira.api.sendText(chat, { text: 'first' }));
  must(await mira.api.sendText(chat, { text: 'second' }));
  await olu.until('both are there', () => olu.chats().find((one) => one.conversation === chat)?.lastText === 'second');
  const writing = await mira.open(chat);
  await mira.until('both are on the server', () => writing.items().filter((item) => item.type === 'message' && item.tick !== 'waiting').length === 2);
  const first = writing.items().find((item) => item.type === 'message' && item.text === 'first')!;
  olu.goOffline();
  must(await mira.api.deleteMessage(chat, first.id));
  await mira.until('it is gone', () => !writing.texts().includes('first'));
  await olu.goOnline();
  const seen = await olu.open(chat);
  await olu.until('it is gone there', () => !seen.texts().includes('first'));
  // A browser that begins now is handed the emptied row, and its delete above it.
  const late = await world.signIn('olu');
  const read = await (async () => {
    await late.until('the chat is there', () => late.chats().some((one) => one.conversation === chat));
    return late.open(chat);
  })();
  await late.until('all rows are there', () => read.items().filter((item) => item.type === 'message').length === 2);
  for (const [device, view] of [[olu, seen], [late, read]] as const) {
    expect(await judge(device, chat)).toBe(false);
    expect(view.items().filter((item) => item.type === 'quarantined')).toEqual([]);
    expect(device.chats().find((one) => one.conversation === chat)?.alarm).toBeUndefined();
  }
});

test('[AP11] removals are judged a minute after they came, and not while something is being caught up with', async () => {
  const tasks: { ms: number; task: () => void }[] = [];
  const asked: string[] = [];
  let isOnline = false;
  let waits = true;
  const chat = 'a chat' as ConversationId;
  const watch = createRemovalWatch({
    timers: { after: (ms, task) => { const one = { ms, task }; tasks.push(one); return () => void tasks.splice(tasks.indexOf(one), 1); } },
    isOnline: () => isOnline, failed: (error) => { throw error; },
    judge: async (conversation) => { asked.push(conversation); return waits; },
  });
  const pass = async () => { tasks.shift()!.task(); await new Promise((done) => setTimeout(done)); };
  watch.expect(chat);
  watch.expect(chat);
  expect(tasks.map(({ ms }) => ms)).toEqual([proofMsMax]);
  await pass();
  expect([asked.length, tasks.length]).toEqual([0, 1]);
  isOnline = true;
  await pass();
  expect([asked.length, tasks.length]).toEqual([1, 1]);
  waits = false;
  await pass();
  expect([asked.length, tasks.length]).toEqual([2, 0]);
  watch.expect(chat);
  watch.close();
  expect(tasks).toEqual([]);
});
