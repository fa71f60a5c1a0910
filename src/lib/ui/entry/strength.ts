/**
 * A rough, honest guess at how hard a password is to guess, for a hint beside the field.
 *
 * It only advises; the one rule that refuses is the length. It errs towards "weaker".
 */
export type StrengthHint = 'common' | 'personal' | 'repeated' | 'short';

export interface Strength {
  /** 0 too short, 1 easy, 2 fair, 3 good, 4 strong. */
  readonly score: 0 | 1 | 2 | 3 | 4;
  readonly hint: StrengthHint | undefined;
}

/** The beginnings of what people choose most. */
const common = ['password', 'passwort', 'passw0rd', '12345678', '87654321', 'qwert', 'asdf', 'letmein', 'welcome', 'iloveyou', 'sunshine', 'princess', 'football', 'baseball', 'dragon', 'monkey', 'abc123', 'admin', 'superman', 'michael', 'charlie', 'starwars', 'whatever', 'trustno1', 'hallo', 'qazwsx', '11111111', '00000000', 'godwit'];

export function passwordStrength(password: string, personal: readonly string[], lengthMin: number): Strength {
  if ([...password].length < lengthMin) return { score: 0, hint: 'short' };
  const low = password.toLowerCase();
  // What is left once a common or personal part is taken out is what a guesser still has to find.
  const commonPart = common.find((part) => low.includes(part));
  const personalPart = personal.map((part) => part.trim().toLowerCase()).find((part) => part.length >= 3 && low.includes(part));
  const rest = low.replace(commonPart ?? '', '').replace(personalPart ?? '', '');
  const distinct = new Set(low).size;
  const bits = bitsOf(password, rest.length);
  const score = bits < 28 ? 1 : bits < 44 ? 2 : bits < 62 ? 3 : 4;
  if (commonPart) return { score: rest.length < 8 ? 1 : score, hint: rest.length < 8 ? 'common' : undefined };
  if (personalPart) return { score: rest.length < 8 ? 1 : score, hint: rest.length < 8 ? 'personal' : undefined };
  if (distinct <= 4) return { score: 1, hint: 'repeated' };
  return { score, hint: score < 3 ? 'short' : undefined };
}

/** Letters in words follow each other, so a character is worth less than its alphabet says. */
function bitsOf(password: string, length: number): number {
  let alphabet = 0;
  if (/[a-z]/.test(password)) alphabet += 26;
  if (/[A-Z]/.test(password)) alphabet += 26;
  if (/\d/.test(password)) alphabet += 10;
  if (/[^a-zA-Z\d]/.test(password)) alphabet += 20;
  const distinct = new Set(password).size;
  return length * Math.log2(Math.max(alphabet, 2)) * 0.6 * Math.min(1, distinct / 8);
}
