import { api } from '#lib/protocol/api.ts';
import { answer, signedEndpoint } from '#lib/server/http.ts';

/** Everything the account is a member of. */
export const GET = signedEndpoint(async ({ server, by }) => answer(api.conversations.answer, await server.groups.list(by)));
