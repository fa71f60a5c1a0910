import { api } from '#lib/protocol/api.ts';
import { answer, done, signedEndpoint } from '#lib/server/http.ts';

export const GET = signedEndpoint(async ({ by }) => answer(api.session.answer, { account: by.account, handle: by.handle, device: by.device }));

/** Ends this session. */
export const DELETE = signedEndpoint(async ({ server, by }) => done(await server.identity.signOut(by)));
