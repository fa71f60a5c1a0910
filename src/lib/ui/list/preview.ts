/** The second line of a row in the chat list, as one of five kinds of line. */
import type { ChatSummary, Person } from '#lib/app/engine-api.ts';
import { words } from '../words/en.ts';

export interface Preview {
  readonly type: 'draft' | 'typing' | 'message' | 'deleted' | 'quiet';
  /** Stands before the text: "You:", an author, "Draft:". */
  readonly lead: string | undefined;
  readonly text: string;
}

export function previewOf(chat: ChatSummary, peer: Person | undefined, current: boolean): Preview {
  // The draft of the chat that is open stands in its composer already.
  if (chat.draft && !current) return { type: 'draft', lead: words.list.draft, text: flat(chat.draft) };
  if (chat.typing.length > 0) return { type: 'typing', lead: undefined, text: chat.kind === 'group' ? words.list.typingNames(chat.typing) : words.list.typing };
  const lead = chat.kind === 'group' ? (chat.lastMine ? words.list.you : chat.lastAuthor && `${chat.lastAuthor}:`) : undefined;
  if (chat.lastText !== '') return { type: 'message', lead: lead || undefined, text: flat(chat.lastText) };
  if (chat.lastMine || chat.lastAuthor) return { type: 'deleted', lead: lead || undefined, text: words.list.deleted };
  return { type: 'quiet', lead: undefined, text: chat.kind === 'group' ? words.chat.members(chat.memberCount) : chat.kind === 'self' ? words.list.selfHint : peer ? `@${peer.handle}` : '' };
}

function flat(text: string): string {
  return text.slice(0, 200).replace(/\s+/g, ' ');
}

/** Above it a badge says "999+": a row has no room for more. */
export function badgeText(unread: number): string {
  return unread > 999 ? '999+' : String(unread);
}
