/** The contract the fake keeps, gathered for its two files. */
export type * from '#lib/app/engine-api.ts';
export type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
