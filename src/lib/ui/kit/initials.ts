/** One or two letters that stand for a name, in any script. */
export function initials(name: string): string {
  const parts = name.split(/[\s\-–—_]+/).filter((part) => /[\p{L}\p{N}]/u.test(part));
  const first = leading(parts[0]);
  // Scripts that write a name in one run, and names of one word, show one letter.
  const last = parts.length > 1 ? leading(parts.at(-1)) : '';
  return (first + last).toLocaleUpperCase() || '?';
}

function leading(part: string | undefined): string {
  return /[\p{L}\p{N}]/u.exec(part ?? '')?.[0] ?? '';
}
