/**
 * Going back to the list. When the list is where the person came from, the browser's own step back is
 * taken, so its back button never walks through the same chats twice.
 */
import { goto } from '$app/navigation';

interface Navigation {
  readonly from: { readonly url: URL } | null;
  readonly type: string;
}

let cameFromHome = false;

export function rememberNavigation({ from, type }: Navigation): void {
  cameFromHome = from?.url.pathname === '/' && (type === 'link' || type === 'goto');
}

export function leavePage(): void {
  if (cameFromHome) history.back();
  else void goto('/', { replaceState: true });
}
