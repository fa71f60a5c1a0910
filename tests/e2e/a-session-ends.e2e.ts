/** The server forgets who is signed in, in the middle of writing. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { credentials, story } from '../support/story.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE20] when the server ends the session in the middle of writing, the app goes on, asks for the password, and loses nothing', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  await mira.signUp();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));
  await mira.say('before');
  await olu.openChat('Mira Vos');
  await olu.sees('before');
  await mira.composer.fill('half a sentence');
  await world.killServer();
  const db = new DatabaseSync(join(world.dataDir, 'godwit.db'));
  const account = db.prepare('SELECT account FROM account WHERE handle = ?').get('mira') as { readonly account: string };
  db.prepare('DELETE FROM session WHERE account = ?').run(account.account);
  db.close();
  await world.startServer();

  await mira.connection('sign-in-needed');
  assert.equal(await mira.composer.inputValue(), 'half a sentence');
  await mira.say('half a sentence and the rest');
  await mira.seesTick('half a sentence and the rest', 'waiting');
  await mira.page.getByTestId('connection').getByRole('button', { name: words.connection.signIn, exact: true }).click();
  const dialog = mira.page.getByRole('dialog', { name: words.renew.title });
  await dialog.getByLabel(words.entry.password, { exact: true }).fill('not the password');
  await dialog.getByRole('button', { name: words.renew.action, exact: true }).click();
  await dialog.getByText(words.errors.entry({ type: 'wrong-credentials' })).waitFor();
  await dialog.getByLabel(words.entry.password, { exact: true }).fill(mira.who.password);
  await dialog.getByRole('button', { name: words.renew.action, exact: true }).click();
  await mira.connection('online');
  await olu.sees('half a sentence and the rest');
  await mira.waiting(0);
  assert.deepEqual(await olu.texts(), ['before', 'half a sentence and the rest']);
});
