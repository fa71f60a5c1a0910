/** Comparing a safety number somebody sent: spaces and line ends do not matter, digits do. */
export type Comparison = 'empty' | 'short' | 'same' | 'different';

export function compareNumber(typed: string, groups: readonly string[]): Comparison {
  const digits = typed.replace(/\D/g, '');
  const own = groups.join('');
  if (digits === '') return 'empty';
  // A wrong digit is told as soon as it is there, not after all sixty.
  if (!own.startsWith(digits)) return 'different';
  return digits.length === own.length ? 'same' : 'short';
}
