import { done, signedEndpoint } from '#lib/server/http.ts';

/** Ends every session of the account; with `?others` the asking one stays. */
export const DELETE = signedEndpoint(async ({ server, by, event }) => {
  if (!event.url.searchParams.has('others')) return done(await server.identity.signOutEverywhere(by));
  await server.identity.endOthers(by);
  return done();
});
