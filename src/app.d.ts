/** What a page keeps in a step of the browser's history, and what builds say about themselves. */
/// <reference types="vite/client" />
declare global {
  namespace App {
    interface PageState {
      readonly info?: boolean;
    }
  }
}

export {};
