/** The ways in and out, and what happens when one is shut. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE11][EE12] a taken handle is said, a too long text stays in the box, and signing out wipes the browser', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  await mira.signUp();
  await olu.open();
  await olu.fillSignUp({ ...credentials('olu'), handle: 'mira' });
  await olu.page.getByText(words.errors.entry({ type: 'handle-taken' })).waitFor();
  await olu.page.reload();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));

  await mira.composer.fill('long '.repeat(13_000));
  await mira.composer.press('Enter');
  await mira.page.getByText(/too long/).first().waitFor();
  assert.equal((await mira.composer.inputValue()).length, 65_000);
  await mira.composer.fill('short');
  await mira.composer.press('Enter');
  await mira.seesTick('short', 'sent');

  await mira.signOut();
  const left = await until('its databases are gone', () => mira.page.evaluate(async () => (await indexedDB.databases()).map((one) => one.name ?? '')), (names) => !names.some((name) => name.startsWith('godwit-')));
  assert.deepEqual(left.filter((name) => name.startsWith('godwit-')), []);
  await mira.signIn();
  await mira.openChat('Olu Adeyemi');
  await mira.sees('short');
});
