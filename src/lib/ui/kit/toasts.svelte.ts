/** Short words at the foot of the screen that go by themselves. One at a time: a newer one replaces it. */
import { getApp } from '#lib/app/state.svelte.ts';

const shownMs = 4_000;

class Toasts {
  current = $state<{ readonly text: string; readonly bad: boolean } | undefined>(undefined);
  #cancel: (() => void) | undefined;

  say(text: string, bad = false): void {
    this.#cancel?.();
    this.current = { text, bad };
    this.#cancel = getApp().timers.after(bad ? shownMs * 2 : shownMs, () => (this.current = undefined));
  }
}

export const toasts = new Toasts();
