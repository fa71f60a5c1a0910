/** What the browser's tab and the app's icon say about unread messages. */
import type { ChatSummary } from '#lib/app/engine-api.ts';

/** Muted chats do not call. */
export function unreadTotal(chats: readonly ChatSummary[]): number {
  let total = 0;
  for (const chat of chats) if (!chat.muted && !chat.left) total += chat.unread;
  return total;
}

export function showOnIcon(unread: number): void {
  if (!('setAppBadge' in navigator)) return;
  // Browsers refuse it outside an installed app; that is no fault.
  void (unread > 0 ? navigator.setAppBadge(unread) : navigator.clearAppBadge()).catch(() => undefined);
}
