/** The theme a person chose, kept in this browser; `system` follows the system. */
export type Theme = 'system' | 'light' | 'dark';

const key = 'godwit-theme';
/** The colour of the bar around an installed app: `--surface` of each theme in app.css. */
const barColours = { light: '#fffdfa', dark: '#211d19' } as const;

export function readTheme(): Theme {
  const kept = localStore()?.getItem(key);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export function setTheme(theme: Theme): void {
  if (theme === 'system') localStore()?.removeItem(key);
  else localStore()?.setItem(key, theme);
  showTheme(theme);
}

export function showTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset['theme'];
  else root.dataset['theme'] = theme;
  // Two tags stand in the page, one per system theme; a chosen theme makes both say the same.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = meta.media.includes('dark') ? 'dark' : 'light';
    meta.content = barColours[theme === 'system' ? own : theme];
  }
}

/** A browser that blocks storage throws already on naming it. */
export function localStore(): Storage | undefined {
  try {
    return localStorage;
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}
