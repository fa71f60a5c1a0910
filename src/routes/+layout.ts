/**
 * Pages render only in the browser: the server we ship holds no code that can read a message.
 *
 * This module is the first of the app to run, so the chosen theme is there before anything is drawn.
 */
import { readTheme, showTheme } from '#lib/ui/kit/theme.ts';

export const ssr = false;

if (typeof document !== 'undefined') showTheme(readTheme());
