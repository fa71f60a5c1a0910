/** The device takes no more, loses what it had, or keeps nothing: said plainly, and what was written stays. */
import { expect, test } from 'vitest';
import { makeAppWorld, must, passwordOf } from './fixtures/world.ts';

test('[AP8] on a full disk a message is refused by name, the draft stays, and all of it works again with room', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  const olu = await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  await mira.online();
  await mira.api.saveDraft(chat, 'the words');
  mira.profile.disk = 'full';
  expect(await mira.api.sendText(chat, { text: 'the words' })).toEqual({ ok: false, error: { type: 'storage-full' } });
  expect(mira.notices().map(({ type }) => type)).toContain('storage-full');
  // Typing on is no fault, and what is typed is still known.
  await mira.api.saveDraft(chat, 'the words and more');
  const view = await mira.open(chat);
  expect(view.view.draft).toBe('the words and more');
  expect(view.texts()).toEqual([]);
  mira.profile.disk = undefined;
  must(await mira.api.sendText(chat, { text: 'the words and more' }));
  await mira.until('the notice is gone', () => !mira.notices().some(({ type }) => type === 'storage-full'));
  const seen = await olu.open(chat);
  await olu.until('it arrived', () => seen.texts().includes('the words and more'));
  expect(seen.texts()).toEqual(['the words and more']);
});

test('[AP8] a change of a message that waits is refused by name on a full disk and on a broken one, and the message stays', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  await mira.online();
  mira.goOffline();
  const view = await mira.open(chat);
  const { id } = must(await mira.api.sendText(chat, { text: 'as it was' }));
  mira.profile.disk = 'full';
  expect(await mira.api.editText(chat, id, 'as it should be')).toEqual({ ok: false, error: { type: 'storage-full' } });
  mira.profile.disk = 'failed';
  expect(await mira.api.deleteMessage(chat, id)).toEqual({ ok: false, error: { type: 'storage-failed' } });
  expect(await mira.api.sendText(chat, { text: 'another' })).toEqual({ ok: false, error: { type: 'storage-failed' } });
  expect(view.texts()).toEqual(['as it was']);
  mira.profile.disk = undefined;
  must(await mira.api.editText(chat, id, 'as it should be'));
  await mira.goOnline();
  await mira.online();
  expect(view.texts()).toEqual(['as it should be']);
});

test('[AP9] when the browser throws the data away under the app, it says so, shows what was not sent, and all else comes back', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  must(await mira.api.sendText(chat, { text: 'sent' }));
  await mira.online();
  await mira.open(chat);
  mira.goOffline();
  must(await mira.api.sendText(chat, { text: 'not sent' }));
  await mira.api.saveDraft(chat, 'half');
  mira.evict();
  await mira.until('it ended', () => mira.session().type === 'ended');
  expect(mira.session()).toEqual({ type: 'ended', why: 'evicted', unsent: [{ chat: 'olu', text: 'not sent' }, { chat: 'olu', text: 'half' }] });
  must(await mira.api.signOut({ force: true, everywhere: false }));
  mira.profile.online = true;
  must(await mira.api.signIn({ handle: 'mira', password: passwordOf('mira') }));
  const again = await mira.open(chat);
  await mira.until('history is back', () => again.texts().includes('sent'));
  expect(again.texts()).toEqual(['sent']);
});

test('[AP9] data thrown away while the app was closed is said at the next start', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  await mira.close();
  mira.profile.databases.clear();
  const again = await world.open(mira.profile);
  await again.until('it says so', () => again.session().type === 'signed-out');
  expect(again.session()).toEqual({ type: 'signed-out', why: 'evicted' });
});

test('[AP10] a browser that keeps nothing is told so, and nothing is begun in it', async () => {
  const world = await makeAppWorld();
  const profile = world.browser();
  profile.blocked = true;
  const device = await world.open(profile);
  await device.until('it says so', () => device.session().type === 'unusable');
  expect(device.session()).toEqual({ type: 'unusable', reason: 'storage-blocked' });
});
