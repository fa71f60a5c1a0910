/** The ways in and out, and what happens when one is shut. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
}, { only: 'chromium' });

story('[EE13] a word that was typed is in no file and no log of the server', async (world) => {
  const canary = 'xylophonequasar';
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  const frames: Buffer[] = [];
  mira.page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => frames.push(Buffer.from(payload)));
    socket.on('framereceived', ({ payload }) => frames.push(Buffer.from(payload)));
  });
  mira.page.on('request', (request) => {
    const body = request.postDataBuffer();
    if (body) frames.push(body);
  });
  await mira.signUp();
  await olu.signUp();
  await mira.makeGroup(`group ${canary}`, [credentials('olu')]);
  await mira.say(`secret ${canary}`);
  await olu.openChat(`group ${canary}`);
  await olu.sees(`secret ${canary}`);
  await mira.seesTick(`secret ${canary}`, 'read');
  await world.server().end('SIGTERM');
  let bytes = 0;
  for (const file of await readdir(world.dataDir, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const content = await readFile(join(file.parentPath, file.name));
    bytes += content.length;
    assert.ok(!content.includes(canary) && !content.includes(Buffer.from(canary, 'utf16le')), `the canary is in ${file.name}`);
    // The positive control: what the server may know is there to be found.
    if (file.name === 'godwit.db') assert.ok(content.includes('mira') || content.includes('olu'));
  }
  assert.ok(bytes > 20_000);
  assert.ok(!world.server().output().includes(canary));
  assert.ok(frames.every((frame) => !frame.includes(canary)), 'no frame and no request carried the canary');
  await world.killServer();
}, { only: 'chromium' });
