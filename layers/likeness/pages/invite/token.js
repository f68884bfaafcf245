// The token of the invite link, and what the page keeps in this tab's storage.

import { tokenIn } from "./state.js";

/** Values stored for this tab. If the browser allows no storage, they last until a reload. */
export class Memory {
  constructor() {
    this.kept = new Map();
  }

  get(name, otherwise = null) {
    try {
      const text = sessionStorage.getItem(name);
      return text === null ? (this.kept.get(name) ?? otherwise) : JSON.parse(text);
    } catch {
      return this.kept.get(name) ?? otherwise;
    }
  }

  set(name, value) {
    this.kept.set(name, value);
    try {
      if (value === null) sessionStorage.removeItem(name);
      else sessionStorage.setItem(name, JSON.stringify(value));
    } catch {
      // The map above keeps the value in private windows and on full disks.
    }
  }
}

/** Returns the token in the page's URL, or null. */
export function givenToken() {
  // Some chat apps encode the "#", which makes the token a part of the path.
  const broken = location.hash.startsWith("#st_") ? location.hash.slice(1) : null;
  return tokenIn(location.hash) ?? tokenIn(location.pathname) ?? broken;
}

/** Returns the session's id in a token. */
export const sessionIn = (token) => token.slice(3).split(".")[0];

/** Returns the path of the first request: the session with the consent text, in a language that the person has chosen. */
export const firstPath = (token, language) => `sessions/${sessionIn(token)}?consent_text=${language ?? "session"}`;

/** Returns the token in the URL, else the kept one, or null. Moves it from the URL into the tab's storage. */
export function takeToken(memory) {
  const given = givenToken();
  if (given && given !== memory.get("token")) {
    for (const name of ["link", "replaced", "language"]) memory.set(name, null);
    memory.set("token", given);
  }
  const token = memory.get("token");
  // With a token, the session has the status. Neither of them stays in the URL.
  const path = location.pathname.replace(/[^/]*$/, "invite");
  if (token && (location.hash || location.search || path !== location.pathname)) history.replaceState(null, "", path);
  return token;
}
