/**
 * Which dialog of the app is open. One at a time: a dialog that leads to another gives way to it, and
 * focus returns in the end to where the first was opened from.
 */
import { tick } from 'svelte';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';

export type DialogRequest =
  | { readonly type: 'jump' | 'renew' | 'new-group' | 'invitation' | 'sign-out' }
  | { readonly type: 'new-chat'; readonly handle?: string }
  | { readonly type: 'safety'; readonly account: AccountId }
  | { readonly type: 'edit-group' | 'add-members'; readonly conversation: ConversationId };

class Dialogs {
  current = $state.raw<DialogRequest | undefined>(undefined);
  #opener: Element | null = null;

  open(request: DialogRequest): void {
    // A menu that opens a dialog gives focus back to its button first.
    if (this.current === undefined) void tick().then(() => (this.#opener = document.activeElement));
    this.current = request;
  }

  close(): void {
    this.current = undefined;
    void tick().then(() => {
      if (document.activeElement === document.body && this.#opener instanceof HTMLElement && this.#opener.isConnected) this.#opener.focus({ preventScroll: true });
    });
  }
}

export const dialogs = new Dialogs();
