import { done, signedEndpoint } from '#lib/server/http.ts';

/** Ends every session of the account. */
export const DELETE = signedEndpoint(async ({ server, by }) => done(await server.identity.signOutEverywhere(by)));
