/** What another app shared, as one text for a message. */

/** Title, text and address on lines of their own; apps often repeat one inside another, which is said once. */
export function sharedText(params: URLSearchParams): string {
  const parts = ['title', 'text', 'url'].map((name) => params.get(name)?.trim() ?? '').filter((part) => part !== '');
  return parts.filter((part, i) => !parts.some((other, j) => j !== i && other.includes(part) && (other.length > part.length || j < i))).join('\n');
}

/** Nothing already written is lost: what was shared stands below it. */
export function joinDraft(draft: string | undefined, text: string): string {
  return draft?.trim() ? `${draft.trimEnd()}\n${text}` : text;
}
