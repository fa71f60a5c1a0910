/** From nothing to a conversation: two people sign up, find each other, and talk. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE1][EE2][EE3] two people sign up, find each other by handle and talk', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  const list = await mira.signUp();
  assert.equal(list.length, 24);
  await olu.signUp();

  await mira.chatWith(credentials('olu'));
  await mira.say('the tide is out');
  await mira.seesTick('the tide is out', 'sent');

  await olu.openChat('Mira Vos');
  await olu.sees('the tide is out');
  await olu.page.bringToFront();
  await mira.seesTick('the tide is out', 'read');

  await olu.composer.pressSequentially('coming');
  await mira.page.getByText(words.list.typing).first().waitFor();
  await olu.say('coming 🌊\nwith two lines, see https://example.org/a?b=c');
  await mira.page.bringToFront();
  await mira.page.getByRole('link', { name: 'https://example.org/a?b=c', exact: true }).waitFor();
  await olu.page.locator('article .tick.read').waitFor();

  await olu.act('the tide is out', words.menu.reply);
  await olu.page.getByText(words.composer.replying('Mira Vos')).waitFor();
  await olu.say('so it is');
  await mira.bubble('so it is').getByRole('button', { name: words.chat.jumpToReply(words.you, 'the tide is out') }).waitFor();

  await olu.edit('so it is', 'so it was');
  await mira.sees('so it was');
  await mira.bubble('so it was').getByText(words.chat.edited).waitFor();

  await mira.bubble('so it was').locator('.bubble').click({ button: 'right' });
  await mira.page.getByRole('menuitem', { name: words.menu.react('👍') }).click();
  await olu.bubble('so it was').getByRole('button', { name: words.chat.reaction('👍', 1, false, ['Mira Vos']) }).waitFor();

  await mira.remove('the tide is out');
  await olu.bubble('the tide is out').waitFor({ state: 'detached' });
  await until('both see it as deleted', () => olu.page.locator('article').filter({ hasText: words.chat.deleted }).count(), (n) => n === 1);
});

story('[EE4] a second browser has every chat and all history, by password and by words', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  const list = await mira.signUp();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));
  await mira.say('one');
  await olu.openChat('Mira Vos');
  await olu.say('two');
  await mira.sees('two');
  await mira.say('three');
  await mira.seesTick('three', 'read');
  // Nothing is asked of the first browser.
  await mira.page.context().close();

  const second = await world.again(mira);
  await second.signIn('not the password');
  await second.page.getByText(words.errors.entry({ type: 'wrong-credentials' })).waitFor();
  await second.signIn();
  await second.openChat('Olu Adeyemi');
  for (const text of ['one', 'two', 'three']) await second.sees(text);
  await second.say('four');
  await olu.sees('four');

  const third = await world.again(mira);
  await third.signInWithWords(list);
  await third.openChat('Olu Adeyemi');
  for (const text of ['one', 'two', 'three', 'four']) await third.sees(text);
  await third.say('five');
  await olu.sees('five');
  await second.sees('five');
});
