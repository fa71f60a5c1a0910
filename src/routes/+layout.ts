// Pages render only in the browser: the server we ship holds no code that can read a message.
export const ssr = false;
