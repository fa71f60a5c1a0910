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
  world.expectFault(/Quota|storage|full/i);
  const profile = await world.profile('mira');
  const mira = profile.current();
  const olu = await world.person('olu');
  await mira.signUp();
  await olu.signUp();
  await mira.chatWith(credentials('olu'));
  await mira.say('there is room');
  await mira.seesTick('there is room', 'sent');
  const cdp = await mira.page.context().newCDPSession(mira.page);
  await cdp.send('Storage.overrideQuotaForOrigin', { origin: world.origin, quotaSize: 1_000 });
  await mira.composer.fill('no room for this');
  await mira.composer.press('Enter');
  await mira.page.getByText(words.composer.errors['storage-full']).waitFor();
  assert.equal(await mira.composer.inputValue(), 'no room for this');
  await cdp.send('Storage.overrideQuotaForOrigin', { origin: world.origin });
  await mira.composer.press('Enter');
  await mira.seesTick('no room for this', 'sent');
  await olu.openChat('Mira Vos');
  await olu.sees('no room for this');
  assert.equal(await olu.bubble('no room for this').count(), 1);
}, { only: 'chromium' });

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
  await mira.page.goto(`${world.origin}/manifest.webmanifest`);
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
