/**
 * Runs when no page is open: serves the built app from its own cache, so it opens with no network,
 * and sends what waits in the outbox when the browser says the network is back.
 *
 * The cache holds one build. A new build is fetched whole before it is offered, and takes over only
 * when a person agrees, so a page never gets half of it.
 */
import { build, files, version } from '$service-worker';
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';
import { flushFromServiceWorker } from '#lib/app/flush.ts';
import { outboxTagPrefix } from '#lib/app/background-sync.ts';

declare const self: ServiceWorkerGlobalScope;

interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
  readonly lastChance: boolean;
}

const shell = '/';

precacheAndRoute([
  // Addresses of the build carry their own hash.
  ...build.map((url) => ({ url, revision: null })),
  ...files.filter((url) => !url.endsWith('robots.txt')).map((url) => ({ url, revision: version })),
  { url: shell, revision: version },
]);
cleanupOutdatedCaches();
// Every address of the app is the same shell; only the API and the sync socket are the server's.
registerRoute(new NavigationRoute(createHandlerBoundToURL(shell), { denylist: [/^\/api\//, /^\/sync/] }));

self.addEventListener('message', (event) => {
  if ((event.data as { type?: string } | null)?.type === 'SKIP_WAITING') void self.skipWaiting();
});

self.addEventListener('activate', (event) => {
  // The very first visit is served offline too, without a reload.
  event.waitUntil(self.clients.claim());
});

self.addEventListener('sync', (event) => {
  const sync = event as SyncEvent;
  if (sync.tag.startsWith(outboxTagPrefix)) sync.waitUntil(flushFromServiceWorker());
});
