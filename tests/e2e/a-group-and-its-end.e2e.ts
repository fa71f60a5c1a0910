/** A group with name and picture, safety numbers, an invitation, and somebody who is removed. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE8][EE9] a removed member reads nothing written after; safety numbers are equal on both sides; an invitation opens a chat', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  const ana = await world.person('ana');
  for (const person of [mira, olu, ana]) await person.signUp();

  // An invitation: the address says who, and proves it.
  await mira.menu(words.list.invite);
  const link = await until('the invitation is there', async () => {
    const field = mira.page.getByTestId('invite-link');
    return (await field.inputValue().catch(() => field.textContent())) ?? '';
  }, (text) => text.includes('/invite#'));
  await mira.page.keyboard.press('Escape');
  await olu.open(new URL(link).pathname + new URL(link).hash);
  await olu.page.getByTestId('invite').getByRole('button', { name: words.invite.accept, exact: true }).click();
  await olu.composer.waitFor();
  await olu.say('you invited me');
  await mira.row('Olu Adeyemi').waitFor();
  await mira.openChat('Olu Adeyemi');
  await mira.sees('you invited me');

  const numbers: string[] = [];
  for (const person of [mira, olu]) {
    const info = await person.openInfo();
    await info.getByTestId('open-safety').click();
    const number = person.page.getByTestId('safety-number');
    numbers.push((await until('the number is there', () => number.innerText(), (text) => text.replace(/\D/g, '').length === 60)).replace(/\D/g, ''));
    if (person === mira) await person.button(words.safety.verify).click();
    await person.page.keyboard.press('Escape');
  }
  assert.equal(numbers[0], numbers[1]);
  await mira.page.locator('section header .verified').waitFor();

  await mira.open();
  await mira.makeGroup('Tide watchers', [credentials('olu'), credentials('ana')]);
  await mira.say('welcome all');
  for (const person of [olu, ana]) {
    await person.open();
    await person.openChat('Tide watchers');
    await person.sees('welcome all');
  }
  await ana.say('ana was here');
  await mira.sees('ana was here');

  const info = await mira.openInfo();
  await info.getByRole('button', { name: words.info.memberActions('Ana Sousa') }).click();
  await mira.page.getByRole('menuitem', { name: words.info.removeMember }).click();
  await mira.page.getByRole('dialog').getByRole('button', { name: words.common.remove, exact: true }).click();
  await ana.page.getByText(words.composer.readOnly.removed).or(ana.page.getByText(words.composer.readOnly.left)).first().waitFor();
  await mira.open();
  await mira.openChat('Tide watchers');
  await mira.say('without ana');
  await olu.sees('without ana');
  assert.equal(await ana.bubble('without ana').count(), 0);
  await ana.page.reload();
  await ana.sees('ana was here');
  assert.equal(await ana.bubble('without ana').count(), 0);
  // In Firefox the address of the new group was once not seen within a minute, which is not understood yet.
}, { only: 'chromium' });
