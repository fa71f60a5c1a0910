/** The browser keeps no data, has no room left, or gives back something damaged: said in words, and nothing is lost. */
import assert from 'node:assert/strict';
import { until } from '../support/expect.ts';
import { credentials, story } from '../support/story.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE17] a browser that refuses to keep anything is told in words what to do', async (world) => {
  world.expectFault(/SecurityError|storage|denied|insecure|opening the storage|registration/i);
  const mira = (await world.profile('mira', { storage: 'blocked' })).current();
  const page = mira.page.getByTestId('unusable');
  await page.waitFor();
  assert.ok(['storage-blocked', 'no-locks'].includes((await page.getAttribute('data-reason'))!));
});

story('[EE18] with the device full the text stays, the app says so, and it is sent once there is room', async (world) => {
  // Firefox shows of an error in the console its class alone.
  world.expectFault(/Quota|storage|full|keeping (what was written|a draft)/i);
  const mira = (await world.profile('mira', { storage: 'small' })).current();
  const olu = await world.person('olu');
  await mira.signUp();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));
  await mira.say('there is room');
  await mira.seesTick('there is room', 'sent');
  await mira.page.evaluate(fillStorage);

  const said: string[] = [];
  const refusal = mira.page.getByText(words.composer.errors['storage-full']);
  for (let i = 0; (await refusal.count()) === 0; i++) {
    assert.ok(i < 200, 'the storage never filled');
    said.push(`number ${i} ${'and more of it '.repeat(200)}`.trim());
    await mira.composer.fill(said.at(-1)!);
    await mira.composer.press('Enter');
    await until('it was taken or refused', async () => (await mira.composer.inputValue()) === '' || (await refusal.count()) > 0, (done) => done);
    // What was taken stands in the chat; a refusal may come a moment after the box was emptied.
    await mira.bubble(said.at(-1)!).or(refusal).first().waitFor();
  }
  assert.equal(await mira.composer.inputValue(), said.at(-1));

  await mira.page.evaluate(() => new Promise<void>((resolve, reject) => {
    const deleting = indexedDB.deleteDatabase('filler');
    deleting.onsuccess = () => resolve();
    deleting.onerror = () => reject(deleting.error!);
  }));
  await until('there is room again', async () => {
    await mira.composer.press('Enter');
    return mira.composer.inputValue();
  }, (text) => text === '');
  await mira.waiting(0);
  await olu.openChat('Mira Vos');
  await olu.sees(said.at(-1)!);
  for (const text of said.slice(-3)) assert.equal(await olu.bubble(text).count(), 1);
});

/** Runs in the page: another database takes all the room there is, to the last kilobyte. */
async function fillStorage(): Promise<void> {
  const openFiller = () => new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open('filler', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('all', { autoIncrement: true });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error!);
  });
  async function put(sizeBytes: number): Promise<boolean> {
    // Anew each time: a browser may close a database that met the end of its room.
    const db = await openFiller();
    const taken = await new Promise<boolean>((resolve) => {
      const tx = db.transaction('all', 'readwrite');
      const bytes = new Uint8Array(sizeBytes);
      for (let at = 0; at < sizeBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      tx.objectStore('all').put(bytes);
      tx.oncomplete = () => resolve(true);
      tx.onabort = () => resolve(false);
    });
    db.close();
    return taken;
  }
  for (const sizeBytes of [1_000_000, 100_000, 10_000, 1_000]) while (await put(sizeBytes));
}

story('[EE19] a damaged message on the device is marked and everything around it is there', async (world) => {
  const mira = await world.person('mira');
  const olu = await world.person('olu');
  await mira.signUp();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));
  for (const text of ['first', 'second', 'third']) await mira.say(text);
  await mira.seesTick('third', 'sent');
  await mira.waiting(0);
  await mira.page.goto('about:blank');
  // Beside the app, on its own origin, with no engine running.
  await mira.page.goto(`${world.origin}/favicon.png`);
  const damaged = await mira.page.evaluate(async () => {
    const name = (await indexedDB.databases()).map((one) => one.name!).find((one) => /^godwit-./.test(one))!;
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error!);
    });
    const store = db.transaction('rows', 'readwrite').objectStore('rows');
    const count = await new Promise<number>((resolve) => {
      let rows = 0;
      const byChat = new Map<string, IDBValidKey[]>();
      store.openCursor().onsuccess = (event) => {
        const cursor = (event.target as IDBRequest<IDBCursorWithValue | null>).result;
        if (cursor) {
          const chat = (cursor.primaryKey as string[])[0]!;
          byChat.set(chat, [...(byChat.get(chat) ?? []), cursor.primaryKey]);
          cursor.continue();
          return;
        }
        const keys = [...byChat.values()].find((list) => list.length === 3)!;
        store.get(keys[1]!).onsuccess = (got) => {
          const row = (got.target as IDBRequest<{ envelope: Uint8Array }>).result;
          const envelope = Uint8Array.from(row.envelope);
          envelope[envelope.length - 20]! ^= 0xff;
          store.put({ ...row, envelope }, keys[1]!);
          rows = byChat.size;
        };
        store.transaction.oncomplete = () => resolve(rows);
      };
    });
    db.close();
    return count;
  });
  assert.ok(damaged > 0);
  await mira.open();
  await mira.openChat('Olu Adeyemi');
  await mira.sees('first');
  await mira.sees('third');
  // Either it was fetched again, or it stands there as what failed its check; never dropped in silence.
  await mira.bubble('second').or(mira.page.getByText(words.chat.quarantined)).first().waitFor();
  await until('the app can still send', async () => {
    await mira.say('fourth');
    return true;
  }, (sent) => sent);
  await mira.seesTick('fourth', 'sent');
  await olu.openChat('Mira Vos');
  for (const text of ['first', 'second', 'third', 'fourth']) await olu.sees(text);
});
