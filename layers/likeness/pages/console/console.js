// The operator's console: who is in, what is shown, and how fresh it is. The key stays in this tab (sessionStorage) and
// travels in x-api-key alone.

import { call } from "./api.js";
import { closeDialogs, EraseDialog, FreshDialog, NewDialog, prepareDialogs } from "./console_dialogs.js";
import { SESSION_ID, SessionList } from "./console_list.js";
import { isRefusal, Live } from "./console_live.js";
import { Numbers } from "./console_numbers.js";
import { announce, byId, clockText, problemText, setAttributes } from "./console_parts.js";
import { SessionView } from "./console_session.js";
import { say } from "./dom.js";

const KEPT = "console.key";
const TITLE = "Likeness console";

/** Everything that lives while an operator is in. Ending it forgets all that was read. */
class Console {
  #leaving = new AbortController();
  #live;
  #list;
  #session;
  #numbers;
  #scroll = 0;
  #last = null;

  constructor(key, onRefused) {
    const signal = this.#leaving.signal;
    const api = this.#caller(key);
    this.#live = new Live(showHealth, onRefused);
    this.#session = new SessionView(api, this.#live);
    this.#list = new SessionList(api, this.#live, (session) => this.#session.seen(session));
    this.#numbers = new Numbers(api, this.#live, (counts, range) => this.#list.showCounts(counts, range));
    this.#list.listen(signal);
    this.#numbers.listen(signal);
    const changed = (session) => {
      this.#session.show(session);
      this.#list.now();
      this.#numbers.now();
    };
    const current = () => this.#session.session;
    new NewDialog(api, changed, signal);
    new FreshDialog(api, current, changed, signal);
    new EraseDialog(api, current, changed, signal);
    window.addEventListener("hashchange", () => this.route(), { signal });
    window.addEventListener("keydown", (event) => this.#onKey(event), { signal });
  }

  /** The API with the key; after the operator has left, answers reach nobody. */
  #caller(key) {
    return async (method, path, { body = null, headers = {} } = {}) => {
      const answer = await call(key, method, path, body, { headers });
      this.#leaving.signal.throwIfAborted();
      return answer;
    };
  }

  /** Shows what the address asks for. `moved` is false for the first time: the focus stays where it is. */
  route(moved = true) {
    const wanted = location.hash.slice(1);
    const id = SESSION_ID.test(wanted) ? wanted : null;
    const view = wanted === "numbers" ? "numbers" : id ? "session" : "sessions";
    const before = document.body.dataset.view;
    if (before === "sessions") this.#scroll = window.scrollY;
    showView(view);
    this.#numbers.visible = view === "numbers";
    if (id) this.#session.open(id, this.#list.known(id));
    else this.#session.close();
    this.#list.mark(id);
    document.title = { session: `…${wanted.slice(-8)} · `, numbers: "Numbers · ", sessions: "" }[view] + TITLE;
    window.scrollTo(0, view === "sessions" ? this.#scroll : 0);
    byId("detail").scrollTop = 0;
    if (moved) this.#focus(view);
    if (id) this.#last = id;
  }

  #focus(view) {
    if (view === "session") byId("session-title").focus({ preventScroll: true });
    else if (view === "numbers") byId("numbers-title").focus({ preventScroll: true });
    else if (!this.#last || !this.#list.focus(this.#last)) byId("reference").focus({ preventScroll: true });
  }

  #onKey(event) {
    const busy = document.querySelector("dialog[open]") || event.target.matches("input, select, textarea");
    if (event.key === "Escape" && !busy && this.#session.id) location.hash = "sessions";
  }

  leave() {
    this.#leaving.abort();
    this.#live.stop();
    this.#session.close();
    this.#numbers.forget();
    closeDialogs();
    byId("rows").replaceChildren();
    byId("reference").value = "";
  }
}

function showView(view) {
  document.body.dataset.view = view;
  byId("door").hidden = view !== "door";
  byId("sessions").hidden = view !== "sessions" && view !== "session";
  byId("numbers").hidden = view !== "numbers";
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".signed-in")))
    each.hidden = view === "door";
  setAttributes(byId("to-sessions"), { "aria-current": view === "sessions" || view === "session" ? "page" : null });
  setAttributes(byId("to-numbers"), { "aria-current": view === "numbers" ? "page" : null });
}

const HEALTH = { live: "Live", paused: "Paused", offline: "Offline", waiting: "Waiting", problem: "Trouble" };
let wellSince = 0;

/** The word in the bar, and the line below it when something is wrong. */
function showHealth({ state, error, until }) {
  if (state === "live") wellSince = Date.now();
  const before = byId("health").dataset.state;
  byId("health").dataset.state = state;
  say(byId("health-text"), HEALTH[state]);
  if (state === "paused") return;
  const text = healthText(state, error, until);
  byId("notice").hidden = !text;
  say(byId("notice"), text);
  if (state === "live" && before !== "live" && before !== "paused") announce("Up to date again");
}

function healthText(state, error, until) {
  if (state === "live") return "";
  const seen = wellSince ? ` What you see is from ${clockText(wellSince)}.` : "";
  if (state === "offline") return `There is no connection.${seen} We go on as soon as it is back.`;
  if (state === "problem") return `${problemText(error)}${seen} We keep trying.`;
  const { code, message, requestId } = error;
  return `${problemText({ code, message, requestId })} We go on at ${clockText(until)}.`;
}

// -- the door -----------------------------------------------------------------------------------------------------

let inside = null;

function enter(key) {
  inside = new Console(key, (error) => leave(refusalText(error)));
  inside.route(false);
}

function leave(text, kind = "") {
  keep(null);
  inside?.leave();
  inside = null;
  byId("notice").hidden = true;
  showView("door");
  document.title = TITLE;
  sayAtDoor(text, kind);
}

function sayAtDoor(text, kind = "") {
  say(byId("key-problem"), text);
  byId("key-problem").dataset.kind = kind;
  byId("key").focus();
}

/** Keeps the key for this tab, or forgets it. A browser that keeps nothing asks again after a reload. */
function keep(key) {
  try {
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Storage is forbidden here.
  }
}

function keptKey() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

const refusalText = (error) =>
  `The API does not accept this key (${error.code}). It may be mistyped, revoked, or of another stack.`;

/** What is wrong with a key at first sight. */
function keyProblem(key) {
  if (!key) return "Please enter a client key.";
  if (key.startsWith("st_")) {
    return "That is a person’s session token, out of an invite link. The console takes a client key.";
  }
  return /^[\x21-\x7e]+$/.test(key) ? "" : "That is no client key: it holds characters that no key has.";
}

async function knock(event) {
  event.preventDefault();
  const key = byId("key").value.trim();
  const problem = keyProblem(key);
  if (problem) {
    sayAtDoor(problem);
    return;
  }
  say(byId("key-problem"), "");
  byId("enter").disabled = true;
  try {
    await call(key, "GET", "sessions?limit=1");
    keep(key);
    byId("key").value = "";
    enter(key);
    byId("reference").focus();
  } catch (error) {
    sayAtDoor(isRefusal(error) ? refusalText(error) : problemText(error));
  } finally {
    byId("enter").disabled = false;
  }
}

byId("sign-in").addEventListener("submit", knock);
byId("sign-out").addEventListener("click", () => leave("Signed out. The key is forgotten.", "calm"));
prepareDialogs();
history.scrollRestoration = "manual";
const kept = keptKey();
if (kept) enter(kept);
else showView("door");
