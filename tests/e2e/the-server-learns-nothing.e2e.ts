/** The curious server: everything it is given is kept by a proxy in front of it, and searched for what people typed. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFront } from '../support/front.ts';
import { Person, type Credentials } from '../support/person.ts';
import { credentials, story } from '../support/story.ts';
import { until } from '../support/expect.ts';
import { words } from '#lib/ui/words/en.ts';

const canary = 'xylophonequasar';
/** As it is, as UTF-16, as base64 at each of its three alignments, and as hex. */
const forms: readonly (readonly [string, Buffer])[] = [
  ['plain', Buffer.from(canary)],
  ['utf16', Buffer.from(canary, 'utf16le')],
  ['hex', Buffer.from(Buffer.from(canary).toString('hex'))],
  ...[0, 1, 2].map((shift) => [`base64 at ${shift}`, Buffer.from(Buffer.from('x'.repeat(shift) + canary).toString('base64').slice(shift === 0 ? 0 : 4, -4))] as const),
];
const formOf = (bytes: Buffer) => forms.find(([, form]) => bytes.includes(form))?.[0];

story('[EE13] a word that was typed is in no frame, no request, no file and no log of the server', async (world) => {
  const front = await openFront(world.server().port);
  world.allowOrigin(front.origin);
  const at = async (handle: string): Promise<Person> => {
    const window = await world.person(handle);
    const who: Credentials = { ...credentials(handle), name: `${credentials(handle).name} ${canary}`, password: `${canary} rows past nine islands` };
    return new Person(window.page, who, front.origin);
  };
  try {
    const mira = await at('mira');
    const olu = await at('olu');
    const list = await mira.signUp();
    await olu.signUp();
    await mira.makeGroup(`group ${canary}`, [olu.who]);
    await mira.say(`secret ${canary}`);
    await olu.openChat(`group ${canary}`);
    await olu.sees(`secret ${canary}`);
    await olu.page.bringToFront();
    await mira.seesTick(`secret ${canary}`, 'read');
    await mira.edit(`secret ${canary}`, `edited ${canary}`);
    await olu.sees(`edited ${canary}`);
    await olu.act(`edited ${canary}`, words.menu.reply);
    await olu.say(`reply ${canary}`);
    await mira.sees(`reply ${canary}`);
    await mira.composer.fill(`draft ${canary}`);
    await mira.waiting(0);

    assert.ok(front.framesUp() > 5, 'frames passed the proxy');
    assert.ok(front.seen.some((bytes) => bytes.includes('/api/account')), 'requests passed the proxy');
    assert.deepEqual(front.seen.map(formOf).filter((form) => form !== undefined), [], 'no frame and no request carries it');
    assert.ok(!front.seen.some((bytes) => bytes.includes(list.join(' '))), 'the recovery words stay in the browser');
  } finally {
    await front.close();
  }
  await world.stopServer();
  let sizeBytes = 0;
  let known = false;
  for (const file of await readdir(world.dataDir, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const content = await readFile(join(file.parentPath, file.name));
    sizeBytes += content.length;
    assert.equal(formOf(content), undefined, `it is in ${file.name}`);
    // What the server may know is there to be found, so the search looks in the right place.
    known ||= content.includes('mira');
  }
  assert.ok(known && sizeBytes > 20_000);
  const log = world.server().output();
  await until('the log says something', () => log.length, (length) => length > 100);
  assert.equal(formOf(Buffer.from(log)), undefined, 'it is in the log');
}, { environment: { LOG_LEVEL: 'debug' } });
