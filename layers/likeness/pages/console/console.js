// The operator's console: sign-in, navigation, and the state of the connection. The key stays in this tab
// (sessionStorage) and is sent in x-api-key only.

// In this order the bundle compresses best: modules that resemble each other follow each other.
import { BatchDialog, InviteDialog } from "./console_invites.js";
import { closeDialogs, EraseDialog, FreshDialog, listenToWithdraw, NewDialog, prepareDialogs } from "./console_dialogs.js";
import { Export } from "./console_export.js";
import { SessionView } from "./console_session.js";
import { Access } from "./console_access.js";
import { FIRST_PAGE, SESSION_ID, SessionList } from "./console_list.js";
import { isRefusal, Live } from "./console_live.js";
import { GENERATION_ID, Generations } from "./console_generations.js";
import { Numbers } from "./console_numbers.js";
import { announce, byId, clockText, problemText, setAttributes, zoneText } from "./console_parts.js";
import { call, serverNow } from "./api.js";
import { setText } from "./dom.js";

const STORED_KEY = "console.key";
const COUNT_AGAIN_MS = 5_000;
const TITLE = "Likeness console";
/** The views besides the sessions, by the fragments of their links. */
const VIEWS = ["generations", "numbers", "access"];

/** The console of one sign-in. `leave` ends its requests and clears its views. */
class Console {
  #ending = new AbortController();
  #live;
  #list;
  #session;
  #numbers;
  #access;
  #generations;
  #scroll = 0;
  #last = null;
  #latest = new Date(serverNow()).toISOString();
  #counting = 0;

  /** `first`: the first page of the list, if the sign-in has requested it. */
  constructor(key, onRefused, first = null) {
    const signal = this.#ending.signal;
    const api = this.#caller(key, first);
    this.#live = new Live(showHealth, onRefused);
    this.#session = new SessionView(api, this.#live, signal);
    this.#list = new SessionList(api, this.#live, (session) => this.#seen(session));
    this.#numbers = new Numbers(api, this.#live, (counts, range) => this.#list.showCounts(counts, range));
    this.#access = new Access(api, this.#live);
    this.#generations = new Generations(api, this.#live, signal);
    this.#list.listen(signal);
    this.#numbers.listen(signal);
    const changed = (session) => {
      this.#session.show(session);
      this.#list.now();
      this.#numbers.now();
    };
    const current = () => this.#session.session;
    new Export(api, () => this.#list.filter, signal);
    new NewDialog(api, changed, signal);
    new FreshDialog(api, current, changed, signal);
    listenToWithdraw(api, current, changed, signal);
    new EraseDialog(api, current, changed, signal);
    new InviteDialog(api, current, changed, signal);
    new BatchDialog(api, () => this.#list.now(), signal);
    window.addEventListener("hashchange", () => this.route(), { signal });
    window.addEventListener("keydown", (event) => this.#onKey(event), { signal });
  }

  /** The API with the key. Responses that arrive after the sign-out are dropped. */
  #caller(key, first) {
    return async (method, path, { body = null, headers = {} } = {}) => {
      if (first && method === "GET" && path === FIRST_PAGE) {
        const page = first;
        first = null;
        return page;
      }
      const answer = await call(key, method, path, body, { headers });
      this.#ending.signal.throwIfAborted();
      return answer;
    };
  }

  /** Takes a session from the list. A newer one or a change leads to new counts, soon. */
  #seen(session) {
    this.#session.seen(session);
    if (session.updated_at <= this.#latest) return;
    this.#latest = session.updated_at;
    if (this.#counting) return;
    this.#counting = setTimeout(() => {
      this.#counting = 0;
      if (!this.#ending.signal.aborted) this.#numbers.now();
    }, COUNT_AGAIN_MS);
  }

  /** Shows the view that the URL names. `moved` is false the first time, when the focus does not change. */
  route(moved = true) {
    const wanted = location.hash.slice(1).split("?")[0];
    const id = SESSION_ID.test(wanted) ? wanted : null;
    const generation = GENERATION_ID.test(wanted) ? wanted : null;
    const view = VIEWS.includes(wanted) ? wanted : id ? "session" : generation ? "generation" : "sessions";
    const before = document.body.dataset.view;
    if (before === "sessions") this.#scroll = window.scrollY;
    showView(view);
    this.#list.route();
    this.#numbers.visible = view === "numbers";
    this.#access.visible = view === "access";
    this.#generations.visible = partOf(view) === "generations";
    this.#generations.open(generation);
    if (id) this.#session.open(id, this.#list.known(id));
    else this.#session.close();
    this.#list.mark(id);
    const name = VIEWS.includes(view) ? wanted[0].toUpperCase() + wanted.slice(1) : id || generation ? `…${wanted.slice(-8)}` : "";
    document.title = (name && `${name} · `) + TITLE;
    window.scrollTo(0, view === "sessions" ? this.#scroll : 0);
    byId("detail").scrollTop = 0;
    if (moved) this.#focus(view);
    if (id || generation) this.#last = wanted;
  }

  #focus(view) {
    if (view === "generations" && this.#generations.focus(this.#last)) return;
    if (view !== "sessions") byId(`${view}-title`).focus({ preventScroll: true });
    else if (!this.#last || !this.#list.focus(this.#last)) byId("reference").focus({ preventScroll: true });
  }

  #onKey(event) {
    const busy = document.querySelector("dialog[open]") || event.target.matches("input, select, textarea");
    if (event.key !== "Escape" || busy) return;
    if (this.#session.id) byId("back").click();
    if (this.#generations.id) byId("generation-back").click();
  }

  leave() {
    this.#ending.abort();
    this.#live.stop();
    this.#session.close();
    this.#numbers.forget();
    this.#access.forget();
    this.#generations.forget();
    closeDialogs();
    byId("rows").replaceChildren();
    byId("welcome").hidden = true;
    byId("search").reset();
  }
}

/** Returns the part of the page that has the view: one of a list is beside it. */
const partOf = (view) => ({ session: "sessions", generation: "generations" })[view] ?? view;

function showView(view) {
  document.body.dataset.view = view;
  byId("sign-in").hidden = view !== "sign-in";
  const part = partOf(view);
  for (const each of ["sessions", ...VIEWS]) {
    byId(each).hidden = part !== each;
    setAttributes(byId(`to-${each}`), { "aria-current": part === each ? "page" : null });
  }
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".signed-in")))
    each.hidden = view === "sign-in";
}

const HEALTH = { live: "Live", paused: "Paused", offline: "Offline", waiting: "Waiting", problem: "Problem" };
let upToDateAt = 0;

/** Shows the state in the bar, and a problem below it. */
function showHealth({ state, error, until }) {
  if (state === "live") upToDateAt = Date.now();
  const before = byId("health").dataset.state;
  byId("health").dataset.state = state;
  setText(byId("health-text"), HEALTH[state]);
  if (state === "paused") return;
  const text = healthText(state, error, until);
  byId("notice").hidden = !text;
  setText(byId("notice"), text);
  if (state === "live" && before !== "live" && before !== "paused") announce("Up to date again");
}

function healthText(state, error, until) {
  if (state === "live") return "";
  const age = upToDateAt ? ` The data is from ${clockText(upToDateAt)}.` : "";
  if (state === "offline") return `There is no connection.${age} Updates resume when it is back.`;
  if (state === "problem") return `${problemText(error)}${age} Retrying.`;
  const { code, message, requestId } = error;
  return `${problemText({ code, message, requestId })} Updates resume at ${clockText(until)}.`;
}

// -- signing in and out -------------------------------------------------------------------------------------------

let current = null;

function openConsole(key, first = null) {
  current = new Console(key, (error) => signOut(refusalText(error)), first);
  current.route(false);
}

function signOut(text, kind = "") {
  storeKey(null);
  current?.leave();
  current = null;
  byId("notice").hidden = true;
  showView("sign-in");
  document.title = TITLE;
  showSignInMessage(text, kind);
}

function showSignInMessage(text, kind = "") {
  setText(byId("key-problem"), text);
  byId("key-problem").dataset.kind = kind;
  byId("key").focus();
}

/** Stores the key for this tab, or removes it. Without storage, a reload asks for the key again. */
function storeKey(key) {
  try {
    if (key) sessionStorage.setItem(STORED_KEY, key);
    else sessionStorage.removeItem(STORED_KEY);
  } catch {
    // This browser allows no storage.
  }
}

function storedKey() {
  try {
    return sessionStorage.getItem(STORED_KEY);
  } catch {
    return null;
  }
}

const refusalText = (error) =>
  `The API does not accept this key (${error.code}). It may be mistyped, revoked, or from another stack.`;

/** Returns why a text cannot be a client key, or "". */
function keyProblem(key) {
  if (!key) return "Please enter a client key.";
  if (key.startsWith("st_")) {
    return "This is a person’s session token from an invite link. Enter a client key.";
  }
  return /^[\x21-\x7e]+$/.test(key) ? "" : "This is not a client key: it contains characters that keys do not have.";
}

async function signIn(event) {
  event.preventDefault();
  const key = byId("key").value.trim();
  const problem = keyProblem(key);
  if (problem) {
    showSignInMessage(problem);
    return;
  }
  setText(byId("key-problem"), "");
  byId("sign-in-button").disabled = true;
  try {
    // The check of the key is the list's first request, unless a link has a filter, which may not be valid.
    const filtered = location.hash.includes("?");
    const page = await call(key, "GET", filtered ? "sessions?limit=1" : FIRST_PAGE);
    storeKey(key);
    byId("key").value = "";
    openConsole(key, filtered ? null : page);
    byId("reference").focus();
  } catch (error) {
    showSignInMessage(isRefusal(error) ? refusalText(error) : problemText(error));
  } finally {
    byId("sign-in-button").disabled = false;
  }
}

byId("sign-in-form").addEventListener("submit", signIn);
byId("sign-out").addEventListener("click", () => signOut("Signed out. The key was removed from this tab.", "calm"));
prepareDialogs();
setText(byId("zone"), zoneText());
history.scrollRestoration = "manual";
const stored = storedKey();
if (stored) openConsole(stored);
else showView("sign-in");
