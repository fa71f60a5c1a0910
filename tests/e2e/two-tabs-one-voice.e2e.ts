/** Several tabs of one browser: the one that hosts the engine goes, and another takes over. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';

story('[EE10] when the tab that hosts the engine closes, the other goes on and nothing is doubled', async (world) => {
  const first = await world.person('mira');
  const olu = await world.person('olu');
  await first.signUp();
  await olu.signUp();
  await first.chatWith(credentials('olu'));
  await first.say('from the first tab');
  const second = await world.tab(first);
  await second.open();
  await second.openChat('Olu Adeyemi');
  await second.sees('from the first tab');
  await second.say('from the second tab');
  await first.sees('from the second tab');

  await first.page.close();
  await second.say('after the first has gone');
  await olu.openChat('Mira Vos');
  await olu.sees('after the first has gone');
  await olu.say('i hear you');
  await second.sees('i hear you');
  const third = await world.tab(second);
  await third.open();
  await third.openChat('Olu Adeyemi');
  await third.sees('i hear you');
  const texts = await until('everything once', () => olu.texts(), (seen) => seen.length >= 4);
  assert.deepEqual(texts.filter((text) => text.startsWith('from') || text.startsWith('after')), ['from the first tab', 'from the second tab', 'after the first has gone']);
});
