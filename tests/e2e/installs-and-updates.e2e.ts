/** The app as an app of its own: what a browser needs to install it, what it takes from others, and how a new version comes. */
import assert from 'node:assert/strict';
import { openFront } from '../support/front.ts';
import { Person } from '../support/person.ts';
import { story } from '../support/story.ts';
import { until } from '../support/expect.ts';
import { words } from '#lib/ui/words/en.ts';

story('[EE14] a browser finds nothing that keeps the app from being installed', async (world) => {
  // Only a profile on disk can install anything.
  const mira = (await world.profile('mira')).current();
  await mira.button(words.entry.create).waitFor();
  await mira.kept();
  const cdp = await mira.page.context().newCDPSession(mira.page);
  assert.deepEqual((await cdp.send('Page.getInstallabilityErrors')).installabilityErrors, []);
  const { errors, data } = await cdp.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data!) as { readonly display: string; readonly shortcuts: readonly unknown[]; readonly icons: readonly { readonly src: string }[] };
  assert.equal(manifest.display, 'standalone');
  assert.equal(manifest.shortcuts.length, 2);
  for (const { src } of manifest.icons) assert.equal((await mira.page.request.get(`${world.origin}${src}`)).status(), 200);
}, { only: 'chromium' });

story('[EE15] what another app shares waits in the box of the chosen chat, and a shortcut opens what it names', async (world) => {
  const mira = await world.person('mira');
  await mira.signUp();
  await mira.open('/share?title=Tides&text=High%20water%20at%2006%3A10&url=https%3A%2F%2Fexample.org%2Ftides');
  await mira.page.getByTestId('shared-text').waitFor();
  await mira.page.getByTestId('share-chats').getByRole('button', { name: words.list.self }).click();
  await mira.page.waitForURL(/\/chat\//);
  const text = await until('the text is in the box', () => mira.composer.inputValue(), (value) => value !== '');
  for (const part of ['Tides', 'High water at 06:10', 'https://example.org/tides']) assert.ok(text.includes(part), text);
  await mira.open('/new');
  await mira.page.getByRole('dialog', { name: words.newChat.title }).waitFor();
});

story('[EE16] a new version is offered when it has been fetched whole, and taken when the person agrees, in every tab', async (world) => {
  const front = await openFront(world.server().port);
  try {
    const window = await world.person('mira');
    world.allowOrigin(front.origin);
    const mira = new Person(window.page, window.who, front.origin);
    await mira.signUp();
    await mira.kept();
    await mira.page.reload();
    await mira.inApp();
    assert.equal(await mira.page.getByTestId('update').count(), 0);
    front.installNewBuild();
    await mira.page.evaluate(() => navigator.serviceWorker.getRegistration().then((registration) => registration!.update().then(() => undefined)));
    await mira.page.getByTestId('update').waitFor();
    const before = await mira.page.evaluate(() => performance.timeOrigin);
    await mira.page.getByTestId('update').getByRole('button', { name: words.update.action, exact: true }).click();
    await until('the page was loaded anew', () => mira.page.evaluate(() => performance.timeOrigin).catch(() => before), (origin) => origin !== before);
    await mira.inApp();
    await until('the new worker serves', () => mira.page.evaluate(async () => {
      const registration = await navigator.serviceWorker.getRegistration();
      return registration?.waiting === null && registration.active?.state === 'activated';
    }), (taken) => taken);
    assert.equal(await mira.page.getByTestId('update').count(), 0);
  } finally {
    await front.close();
  }
});
