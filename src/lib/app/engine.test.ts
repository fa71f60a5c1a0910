/** What the engine promises as a whole, over a whole server. */
import { expect, test } from 'vitest';
import { makeAppWorld, must, passwordOf } from './fixtures/world.ts';

test('[AP1] two people meet and talk, and what is written offline goes out by itself', async () => {
  const world = await makeAppWorld();
  const mira = await world.signUp('mira');
  const olu = await world.signUp('olu');
  const chat = await world.meet(mira, 'olu');
  must(await mira.api.sendText(chat, { text: 'hello' }));
  await olu.until('the chat is there', () => olu.chats().some((one) => one.conversation === chat && one.lastText === 'hello'));
  olu.goOffline();
  must(await olu.api.sendText(chat, { text: 'from the plane' }));
  expect((await olu.open(chat)).texts()).toEqual(['hello', 'from the plane']);
  await olu.goOnline();
  const seen = await mira.open(chat);
  await mira.until('it arrived', () => seen.texts().includes('from the plane'));
  expect(seen.texts()).toEqual(['hello', 'from the plane']);
});

test('[AP2] a device shut out by another is signed out and wiped once its own log says so', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  const laptop = await world.signIn('mira');
  const lost = (await phone.api.devices()).find((device) => device.current)!;
  must(await laptop.api.revokeDevice(lost.id));
  await phone.until('it is asked for the password', () => phone.connection().state === 'sign-in-needed' || phone.session().type === 'signed-out');
  if (phone.session().type !== 'signed-out') {
    expect(await phone.api.renewSession({ password: 'not the password at all' })).toEqual({ ok: false, error: { type: 'wrong-credentials' } });
    expect(await phone.api.renewSession({ password: passwordOf('mira') })).toEqual({ ok: false, error: { type: 'device-revoked' } });
  }
  await phone.until('it is signed out', () => phone.session().type === 'signed-out');
  expect(phone.session()).toEqual({ type: 'signed-out', why: 'removed' });
  expect(phone.profile.databases.size).toBe(0);
  expect(phone.profile.current).toBeUndefined();
  // The same browser enters again, as a new device.
  must(await phone.api.signIn({ handle: 'mira', password: passwordOf('mira') }));
  expect((await phone.api.devices()).filter((device) => !device.revoked)).toHaveLength(2);
});

test('[AP3] a device that was shut out shows what was not sent, also after a restart, before it is wiped', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  await world.signUp('olu');
  const chat = await world.meet(phone, 'olu');
  await phone.online();
  const laptop = await world.signIn('mira');
  phone.goOffline();
  must(await phone.api.sendText(chat, { text: 'written on the plane' }));
  await phone.api.saveDraft(chat, 'half a sentence');
  const lost = (await phone.api.devices()).find((device) => device.current)!;
  must(await laptop.api.revokeDevice(lost.id));
  await phone.goOnline();
  await phone.until('it is asked for the password', () => phone.connection().state === 'sign-in-needed');
  expect(await phone.api.renewSession({ password: passwordOf('mira') })).toEqual({ ok: false, error: { type: 'device-revoked' } });
  await phone.until('it ended', () => phone.session().type === 'ended');
  const shown = { type: 'ended', why: 'removed', unsent: [{ chat: 'olu', text: 'written on the plane' }, { chat: 'olu', text: 'half a sentence' }] };
  expect(phone.session()).toEqual(shown);
  await phone.close();
  const again = await world.open(phone.profile);
  await again.until('it is the same again', () => again.session().type === 'ended');
  expect(again.session()).toEqual(shown);
  must(await again.api.signOut({ force: true, everywhere: false }));
  expect(again.session()).toEqual({ type: 'signed-out' });
  expect(again.profile.databases.size).toBe(0);
});

test('[AP4] a server that only says so wipes nothing: the session is over, the device and its data stay', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  for (const row of await world.store.sessionsOf(phone.profile.current!)) await world.store.deleteSession(row.idHash);
  world.restart();
  await phone.until('it is asked for the password', () => phone.connection().state === 'sign-in-needed');
  // It takes the password and then refuses the device, though no signed entry shuts it out.
  phone.profile.refuse = (method, path) => (method === 'POST' && path === '/api/session/device' ? { name: 'refused', detail: 'device-unknown', number: 0 } : undefined);
  const answer = await phone.api.renewSession({ password: passwordOf('mira') });
  expect(answer).toEqual({ ok: false, error: { type: 'failed', detail: 'refused device-unknown' } });
  expect(phone.session()).toMatchObject({ type: 'signed-in', serverSession: 'expired' });
  expect(phone.profile.databases.size).toBe(1);
  phone.profile.refuse = () => undefined;
  must(await phone.api.renewSession({ password: passwordOf('mira') }));
  await phone.online();
});

test('[AP5] signing out takes the device out of the account, and what it said stays good', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  const olu = await world.signUp('olu');
  const chat = await world.meet(phone, 'olu');
  const laptop = await world.signIn('mira');
  must(await phone.api.sendText(chat, { text: 'goodbye' }));
  await phone.online();
  const left = (await phone.api.devices()).find((device) => device.current)!;
  must(await phone.api.signOut({ force: false, everywhere: false }));
  expect(phone.session()).toEqual({ type: 'signed-out' });
  await laptop.until('the list says so', async () => (await laptop.api.devices()).find(({ id }) => id === left.id)?.revoked === true);
  expect((await laptop.api.devices()).filter((device) => !device.revoked)).toHaveLength(1);
  const seen = await olu.open(chat);
  await olu.until('goodbye is there', () => seen.texts().includes('goodbye'));
  must(await olu.api.sendText(chat, { text: 'and back' }));
  const mine = await laptop.open(chat);
  await laptop.until('the other device reads on', () => mine.texts().includes('and back') && mine.texts().includes('goodbye'));
  expect(seen.items().filter((item) => item.type === 'quarantined')).toEqual([]);
  // The last device may leave too: the password opens the account again, with all there was.
  must(await laptop.api.signOut({ force: false, everywhere: false }));
  const back = await world.signIn('mira');
  const again = await back.open(chat);
  await back.until('history is back', () => again.texts().length === 2);
  expect(again.texts()).toEqual(['goodbye', 'and back']);
  expect((await back.api.devices()).filter((device) => !device.revoked)).toHaveLength(1);
});

test('[AP6] offline, signing out wipes the browser all the same and says that the device stays listed', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  phone.goOffline();
  must(await phone.api.signOut({ force: false, everywhere: false }));
  expect(phone.session()).toEqual({ type: 'signed-out', why: 'still-listed' });
  expect(phone.profile.databases.size).toBe(0);
  const back = await world.signIn('mira');
  expect((await back.api.devices()).filter((device) => !device.revoked)).toHaveLength(2);
});

test('[AP7] signing out everywhere ends the other sessions, which a password brings back, and wipes only here', async () => {
  const world = await makeAppWorld();
  const phone = await world.signUp('mira');
  const laptop = await world.signIn('mira');
  must(await phone.api.signOut({ force: false, everywhere: true }));
  await laptop.until('its session is over', () => laptop.connection().state === 'sign-in-needed');
  expect(laptop.session()).toMatchObject({ type: 'signed-in', serverSession: 'expired' });
  must(await laptop.api.renewSession({ password: passwordOf('mira') }));
  await laptop.until('it sees the other gone', async () => (await laptop.api.devices()).filter((device) => !device.revoked).length === 1);
});
