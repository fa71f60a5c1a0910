/** The theme a person chose, kept in this browser; `system` follows the system. */
export type Theme = 'system' | 'light' | 'dark';

const key = 'godwit-theme';

export function readTheme(): Theme {
  const kept = store()?.getItem(key);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export function setTheme(theme: Theme): void {
  if (theme === 'system') store()?.removeItem(key);
  else store()?.setItem(key, theme);
  showTheme(theme);
}

export function showTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset['theme'];
  else root.dataset['theme'] = theme;
}

/** A browser that blocks storage throws already on naming it. */
function store(): Storage | undefined {
  try {
    return localStorage;
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}
