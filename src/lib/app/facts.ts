/**
 * The facts of the wire a screen has to know: bounds to show before they are hit, and the shape of
 * a handle. Screens reach them here, so `ui` needs no other room.
 */
export { parseHandle, parseId } from '#lib/protocol/ids.ts';
export { limits } from '#lib/protocol/limits.ts';
