/**
 * Gives a page its engine. Until the engine is joined here, only the development fake can be drawn.
 */
import type { EngineConnection } from './state.svelte.ts';

export async function connectEngine(): Promise<EngineConnection> {
  throw new Error('broken promise: the engine is joined before the app is served');
}
