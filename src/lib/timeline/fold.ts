/**
 * The timeline of one conversation, as far as it is loaded.
 *
 * Entries may come in any order, more than once, one by one or by the thousand: the timeline is the
 * same, on every device. Rights are judged at the height of the group log an entry names.
 */
import { createFold } from './fold-core.ts';
import type { Timeline, TimelineOptions } from './item.ts';

export function createTimeline(options: TimelineOptions): Timeline {
  return createFold(options);
}
