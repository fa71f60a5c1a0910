/** Two people, one of them on a plane: the server is dead, the browser is closed and opened, and nothing is lost. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';

story('[EE5][EE6] with the server dead a person opens the app, reads, writes, edits, deletes, restarts; all of it goes out once, in order', async (world) => {
  const plane = await world.profile('mira');
  const ground = await world.person('olu');
  const other = await world.person('ana');
  await plane.current().signUp();
  await ground.signUp();
  await other.signUp();
  await plane.current().chatWith(credentials('ana'));
  await plane.current().say('hello ana');
  await plane.current().seesTick('hello ana', 'sent');
  await plane.current().chatWith(credentials('olu'));
  for (const text of ['before one', 'before two', 'before three']) await plane.current().say(text);
  await plane.current().seesTick('before three', 'sent');
  await ground.openChat('Mira Vos');
  await ground.say('have a good flight');
  await plane.current().sees('have a good flight');
  await plane.current().kept();

  await world.killServer();
  await plane.quit();
  let mira = await plane.reopen();
  await mira.inApp();
  await mira.notConnected();
  await mira.openChat('Olu Adeyemi');
  for (const text of ['before one', 'before two', 'before three', 'have a good flight']) await mira.sees(text);
  await mira.say('written above the clouds');
  await mira.say('a mistake');
  await mira.edit('a mistake', 'no mistake');
  await mira.say('never mind this');
  await mira.remove('never mind this');
  await mira.edit('before two', 'before two, corrected');
  await mira.seesTick('written above the clouds', 'waiting');
  await mira.page.goto(`${world.origin}/`);
  await mira.openChat('Ana Sousa');
  await mira.say('to ana from the plane');
  await mira.seesTick('to ana from the plane', 'waiting');

  await plane.quit();
  mira = await plane.reopen();
  await mira.openChat('Olu Adeyemi');
  await mira.sees('written above the clouds');
  await mira.sees('no mistake');
  await mira.say('after the second start');

  await world.startServer();
  for (const text of ['written above the clouds', 'no mistake', 'after the second start', 'before two, corrected']) await ground.sees(text);
  await until('all of it is there once and in order', () => ground.texts(), (texts) => {
    const mine = texts.filter((text) => ['written above the clouds', 'no mistake', 'after the second start'].includes(text));
    return mine.join('|') === 'written above the clouds|no mistake|after the second start';
  });
  assert.equal(await ground.bubble('never mind this').count(), 0);
  await other.openChat('Mira Vos');
  await other.sees('to ana from the plane');
  await mira.waiting(0);
});

// Background Sync is Chromium's: Firefox has none, and sends what waits when a page is open again, as the story above tells.
story('[EE7] what was written with the network off goes out by itself when it is back, with no page open', async (world) => {
  const plane = await world.profile('mira');
  const ground = await world.person('olu');
  await plane.current().signUp();
  await ground.signUp();
  await plane.current().chatWith(credentials('olu'));
  await plane.current().say('before');
  await plane.current().seesTick('before', 'sent');
  await ground.openChat('Mira Vos');
  await ground.sees('before');
  await plane.current().kept();
  const mira = plane.current();
  // The first load is not the worker's; from the second on it is.
  await mira.page.reload();
  await mira.sees('before');
  await plane.context().setOffline(true);
  await mira.say('sent by the worker');
  await mira.seesTick('sent by the worker', 'waiting');
  await mira.waiting(1);
  await until('the browser was asked to wake the worker', () => mira.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    return (registration as unknown as { sync: { getTags: () => Promise<string[]> } }).sync.getTags();
  }), (tags) => tags.some((tag) => tag.startsWith('outbox-')));
  await mira.page.goto('about:blank');
  await plane.context().setOffline(false);
  await ground.sees('sent by the worker');
  await mira.open();
  await mira.openChat('Olu Adeyemi');
  await mira.bubble('sent by the worker').locator('[data-tick=sent],[data-tick=delivered],[data-tick=read]').waitFor();
  assert.equal(await ground.bubble('sent by the worker').count(), 1);
}, { only: 'chromium' });
