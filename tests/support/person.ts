/**
 * What a person does with the app, by what they see of it: labels come from the app's own words, so a
 * story says what somebody wants and not where on the page it is.
 */
import { expect } from './expect.ts';
import type { Locator, Page } from 'playwright-core';
import { words } from '#lib/ui/words/en.ts';
import type { Tick } from '#lib/app/engine-api.ts';

export interface Credentials {
  readonly name: string;
  readonly handle: string;
  readonly password: string;
}

/** How long a step of a story may take on a busy machine before the story has failed. */
export const patienceMs = 60_000;

const ticksInOrder: readonly Tick[] = ['waiting', 'sent', 'delivered', 'read'];

export class Person {
  readonly page: Page;
  readonly who: Credentials;
  readonly origin: string;

  constructor(page: Page, who: Credentials, origin: string) {
    this.page = page;
    this.who = who;
    this.origin = origin;
    page.setDefaultTimeout(patienceMs);
  }

  // ---- Getting in and out

  async open(path = '/'): Promise<void> {
    await this.page.goto(`${this.origin}${path}`);
  }

  /** Up to the recovery words; answers them. */
  async fillSignUp({ name, handle, password }: Credentials = this.who): Promise<void> {
    await this.button(words.entry.create).click();
    await this.page.getByLabel(words.entry.name, { exact: true }).fill(name);
    await this.page.getByLabel(words.entry.handle, { exact: true }).fill(handle);
    await this.page.getByLabel(words.entry.password, { exact: true }).fill(password);
    await this.button(words.entry.create).click();
  }

  async signUp(): Promise<readonly string[]> {
    await this.open();
    await this.fillSignUp();
    const list = this.page.getByTestId('recovery-word');
    await list.first().waitFor();
    const shown = (await list.allTextContents()).map((word) => word.trim());
    await this.button(words.recovery.written).click();
    const asked = this.page.getByRole('textbox', { name: /^Word \d+$/ });
    await asked.first().waitFor();
    for (const field of await asked.all()) {
      const label = await field.evaluate((input) => (input as HTMLInputElement).labels?.[0]?.textContent ?? '');
      await field.fill(shown[Number(/\d+/.exec(label)![0]) - 1]!);
    }
    await this.button(words.recovery.finish).click();
    await this.inApp();
    return shown;
  }

  async signIn(password = this.who.password): Promise<void> {
    await this.open();
    await this.button(words.entry.haveAccount).click();
    await this.page.getByLabel(words.entry.handle, { exact: true }).fill(this.who.handle);
    await this.page.getByLabel(words.entry.password, { exact: true }).fill(password);
    await this.button(words.entry.signIn).click();
  }

  async signInWithWords(list: readonly string[]): Promise<void> {
    await this.open();
    await this.button(words.entry.haveAccount).click();
    await this.button(words.entry.useWords).click();
    await this.page.getByLabel(words.entry.handle, { exact: true }).fill(this.who.handle);
    await this.page.getByLabel(words.entry.recoveryWords, { exact: true }).fill(list.join(' '));
    await this.button(words.entry.signIn).click();
  }

  async inApp(): Promise<void> {
    await this.list.waitFor();
  }

  async signOut({ force = false } = {}): Promise<void> {
    await this.open('/settings');
    await this.button(words.settings.signOutButton).click();
    const dialog = this.page.getByRole('dialog');
    await dialog.getByRole('button', { name: words.settings.signOut, exact: true }).click();
    if (force) await dialog.getByRole('button', { name: words.settings.signOutForce, exact: true }).click();
    await this.button(words.entry.create).waitFor();
  }

  // ---- The list

  get list(): Locator {
    return this.page.getByTestId('chat-list');
  }

  row(title: string): Locator {
    return this.page.getByTestId('chat-row').filter({ has: this.page.getByTestId('chat-title').getByText(title, { exact: true }) });
  }

  async openChat(title: string): Promise<void> {
    await this.row(title).click();
    await this.page.waitForURL(/\/chat\//);
    await this.page.getByRole('region', { name: words.chat.label(title) }).waitFor();
  }

  async menu(item: string): Promise<void> {
    await this.button(words.list.menu).click();
    await this.page.getByRole('menuitem', { name: item, exact: true }).click();
  }

  /** Starts a chat with the person of exactly this handle. */
  async chatWith({ handle, name }: Credentials): Promise<void> {
    await this.menu(words.list.newChat);
    await this.page.getByLabel(words.newChat.handle, { exact: true }).fill(handle);
    await this.button(words.newChat.find).click();
    // Until a person's sealed profile is known they are called by their handle.
    const either = new RegExp(`^Chat with (${name}|${handle})$`);
    await this.page.getByRole('dialog').getByRole('button', { name: either }).click();
    await this.page.getByRole('region', { name: either }).waitFor();
    await this.composer.waitFor();
  }

  async makeGroup(name: string, members: readonly Credentials[], picture?: string): Promise<void> {
    await this.menu(words.list.newGroup);
    const form = this.page.getByTestId('new-group');
    await form.getByLabel(words.newGroup.name, { exact: true }).fill(name);
    if (picture !== undefined) {
      await form.locator('input[type=file]').setInputFiles(picture);
      await form.getByRole('button', { name: words.picture.remove }).waitFor();
    }
    for (const member of members) {
      await form.getByLabel(words.newGroup.search, { exact: true }).fill(member.handle);
      const known = form.getByRole('checkbox', { name: new RegExp(member.handle) });
      const find = form.getByRole('button', { name: words.list.findHandle(member.handle) });
      await known.or(find).first().click();
      await form.getByRole('button', { name: new RegExp(`^Take (${member.name}|${member.handle}) out again$`) }).waitFor();
      await form.getByLabel(words.newGroup.search, { exact: true }).fill('');
    }
    await this.page.getByRole('dialog').getByRole('button', { name: words.newGroup.create, exact: true }).click();
    await this.page.waitForURL(/\/chat\//);
    await this.composer.waitFor();
  }

  // ---- The open chat

  get composer(): Locator {
    return this.page.getByRole('textbox', { name: words.composer.label, exact: true });
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press('Enter');
    await this.bubble(text).waitFor();
  }

  /** The message with exactly this text. */
  bubble(text: string): Locator {
    return this.page.locator('article[data-id]').filter({ has: this.page.locator('.text').getByText(text, { exact: true }) });
  }

  async sees(text: string): Promise<void> {
    await this.bubble(text).first().waitFor();
  }

  /** This tick or one that comes after it: a quick other side does not wait for us to look. */
  async seesTick(text: string, tick: Tick): Promise<void> {
    const later = ticksInOrder.slice(ticksInOrder.indexOf(tick));
    const enough = tick === 'waiting' ? [tick] : later;
    await this.bubble(text).locator(enough.map((one) => `[data-tick=${one}]`).join(',')).waitFor();
  }

  /** Every text on the screen from top to bottom; the list keeps a screen and a half of them. */
  async texts(): Promise<readonly string[]> {
    return (await this.page.locator('article[data-id] .text').allTextContents()).map((text) => text.trim());
  }

  async act(text: string, item: string): Promise<void> {
    await this.bubble(text).locator('.bubble').click({ button: 'right' });
    await this.page.getByRole('menuitem', { name: item, exact: true }).click();
  }

  async remove(text: string): Promise<void> {
    await this.bubble(text).locator('.bubble').click({ button: 'right' });
    await this.page.getByRole('menuitem', { name: new RegExp(`^(${words.menu.remove}|${words.menu.withdraw})$`) }).click();
    await this.page.getByRole('dialog').getByRole('button', { name: words.deleteMessage.action, exact: true }).click();
    await this.bubble(text).waitFor({ state: 'detached' });
  }

  async edit(text: string, into: string): Promise<void> {
    await this.act(text, words.menu.edit);
    await expect(this.composer, (value) => value === text, 'the text to edit stands in the box', (box) => box.inputValue());
    await this.composer.fill(into);
    await this.composer.press('Enter');
    await this.bubble(into).waitFor();
  }

  async openInfo(): Promise<Locator> {
    await this.page.getByRole('main').getByRole('button', { name: words.common.more, exact: true }).click();
    await this.page.getByRole('menuitem', { name: words.chat.info, exact: true }).click();
    const info = this.page.getByTestId('chat-info');
    await info.waitFor();
    return info;
  }

  // ---- The connection

  async connection(state: string): Promise<void> {
    await this.page.locator(`[data-testid=connection][data-state=${state}]`).waitFor({ state: 'attached' });
  }

  /** Resolves when exactly so many entries wait to be sent. */
  async waiting(count: number): Promise<void> {
    await this.page.locator(`[data-testid=connection][data-waiting="${count}"]`).waitFor({ state: 'attached' });
  }

  async notConnected(): Promise<void> {
    await this.page.locator('[data-testid=connection]:is([data-state=offline],[data-state=connecting])').waitFor({ state: 'attached' });
  }

  /** The app is on this device whole: it opens with no network from now on. */
  async kept(): Promise<void> {
    await this.page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }
}
