/**
 * Times as people say them. Pure: the moment, the language and the zone arrive as arguments, and an
 * undefined language or zone means the browser's own.
 */
export interface Place {
  readonly locale?: string | undefined;
  readonly timeZone?: string | undefined;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter costs far more than using it; a list of chats uses it hundreds of times. */
function formatter(name: string, options: Intl.DateTimeFormatOptions, place: Place): Intl.DateTimeFormat {
  const key = `${name}|${place.locale ?? ''}|${place.timeZone ?? ''}`;
  const known = formatters.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat(place.locale, { ...options, ...(place.timeZone && { timeZone: place.timeZone }) });
  formatters.set(key, made);
  return made;
}

export function clockTime(at: number, place: Place = {}): string {
  return formatter('clock', { hour: '2-digit', minute: '2-digit' }, place).format(at);
}

/** `2026-03-09` in the given zone: equal for two moments of one day. */
export function dayKey(at: number, place: Place = {}): string {
  return formatter('day', { year: 'numeric', month: '2-digit', day: '2-digit' }, { locale: 'en-CA', timeZone: place.timeZone }).format(at);
}

/** Whole days from one moment's day to the other's, by the calendar and not by 24 hours. */
export function daysBetween(earlier: number, later: number, place: Place = {}): number {
  return Math.round((Date.parse(dayKey(later, place)) - Date.parse(dayKey(earlier, place))) / 86_400_000);
}

/** For a row of the list: the clock today, the weekday within a week, else the date. */
export function listTime(at: number, now: number, yesterday: string, place: Place = {}): string {
  const days = daysBetween(at, now, place);
  if (days <= 0) return clockTime(at, place);
  if (days === 1) return yesterday;
  if (days < 7) return formatter('weekday', { weekday: 'short' }, place).format(at);
  return dayKey(at, place).slice(0, 4) === dayKey(now, place).slice(0, 4)
    ? formatter('short', { day: 'numeric', month: 'short' }, place).format(at)
    : formatter('year', { day: '2-digit', month: '2-digit', year: '2-digit' }, place).format(at);
}

/** For the line between two days of a chat. */
export function dayLabel(at: number, now: number, names: { readonly today: string; readonly yesterday: string }, place: Place = {}): string {
  const days = daysBetween(at, now, place);
  if (days === 0) return names.today;
  if (days === 1) return names.yesterday;
  if (days > 1 && days < 7) return formatter('weekday-long', { weekday: 'long' }, place).format(at);
  return dayKey(at, place).slice(0, 4) === dayKey(now, place).slice(0, 4)
    ? formatter('long', { day: 'numeric', month: 'long' }, place).format(at)
    : formatter('long-year', { day: 'numeric', month: 'long', year: 'numeric' }, place).format(at);
}

/** Day and clock, where both matter. */
export function fullTime(at: number, place: Place = {}): string {
  return formatter('full', { dateStyle: 'medium', timeStyle: 'short' }, place).format(at);
}

/** The clock when it is the same day as `beside`, else day and clock. */
export function timeBeside(at: number, beside: number, place: Place = {}): string {
  return dayKey(at, place) === dayKey(beside, place) ? clockTime(at, place) : fullTime(at, place);
}

export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
