/**
 * Registers the service worker and offers a new version when one waits.
 *
 * A new build is fetched in the background; the old one keeps serving until the person agrees, so a
 * page never finds half of it changed under its feet.
 */
import { Workbox } from 'workbox-window';
import type { AppState } from './state.svelte.ts';
import { trustedScriptUrl } from './trusted.ts';

/** How often a long-lived page asks whether there is a new version. */
const lookEveryMs = 60 * 60_000;

export function followUpdates(app: AppState): void {
  if (!('serviceWorker' in navigator)) return;
  const workbox = new Workbox(trustedScriptUrl('/service-worker.js'), import.meta.env.DEV ? { type: 'module' } : {});
  let agreed = false;
  workbox.addEventListener('waiting', () => app.update.offer(() => {
    agreed = true;
    workbox.messageSkipWaiting();
  }));
  workbox.addEventListener('controlling', (event) => {
    // Also fires in other tabs of the old version: they reload with the one where the person agreed.
    if (agreed || event.isUpdate) location.reload();
  });
  workbox.register().then(
    () => setInterval(() => void workbox.update(), lookEveryMs),
    // Refused by a setting of the browser: the app then needs the network to open. Worth a line for whoever looks.
    (error: unknown) => console.info('the service worker was refused', error),
  );
}
