/** What the group log says in the timeline: who made the chat, who came, who went, what it is called. */
import { orderText } from '#lib/conversation/clock.ts';
import type { GroupState } from '#lib/chains/group-state.ts';
import type { Groups, LogItem } from '#lib/groups/groups.ts';
import type { ConversationId } from '#lib/protocol/ids.ts';
import type { SystemEvent, TimelineItem } from './engine-api.ts';

/** Logs of this many lines are shown whole; of longer ones the newest. */
const linesMax = 2_000;

export async function systemLines(groups: Pick<Groups, 'log' | 'unsealMeta'>, conversation: ConversationId, group: GroupState): Promise<readonly TimelineItem[]> {
  const log = await groups.log(conversation, Math.max(1, group.height - linesMax));
  const lines: TimelineItem[] = [];
  for (const item of log) {
    const events = await eventsOf(groups, conversation, group, item);
    for (const [n, event] of events.entries()) {
      lines.push({
        type: 'system', id: `s${item.height}.${n}`, at: item.rt, event,
        // Slot 0 is nobody's, so a line stands before what was said in the same millisecond.
        order: orderText({ eff: item.rt, l: 0, slot: 0, ctr: item.height * 64 + n }),
      });
    }
  }
  return lines;
}

async function eventsOf(groups: Pick<Groups, 'unsealMeta'>, conversation: ConversationId, group: GroupState, { entry }: LogItem): Promise<readonly SystemEvent[]> {
  const events: SystemEvent[] = [];
  const creates = entry.ops.some((op) => op.type === 'create');
  for (const op of entry.ops) {
    if (op.type === 'create') events.push({ type: 'created', by: entry.actor, kind: group.kind });
    // The first members of a chat are part of its creation.
    if (op.type === 'add' && !creates) events.push({ type: 'added', by: entry.actor, who: op.account });
    if (op.type === 'remove') events.push({ type: 'removed', by: entry.actor, who: op.account });
    if (op.type === 'leave') events.push({ type: 'left', who: entry.actor });
    if (op.type === 'role') events.push({ type: 'role', by: entry.actor, who: op.account, role: op.role });
    if (op.type === 'meta' && !creates && group.kind === 'group') {
      const meta = await groups.unsealMeta(conversation, entry.epoch, op.sealed);
      if (meta) events.push({ type: 'meta', by: entry.actor, name: meta.name });
    }
  }
  return events.slice(0, 64);
}
