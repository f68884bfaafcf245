// The person's page. The token is in the URL's fragment, which is not sent to a server, and is kept in this tab's
// storage, where the page finds it after the face check. The server's session decides what is shown, so a reload loses
// nothing.

import { ApiError, call, serverNow } from "./api.js";
import { h, setText } from "./dom.js";
import { FilesStep } from "./files.js";
import { element, frameWords, notice, showInApp, showPhone, showSteps } from "./frame.js";
import { consentQuery, isOpen, placeOf, pollDelay, stepOf, tokenIn } from "./state.js";
import { Memory, firstPath, sessionIn, takeToken } from "./token.js";
import {
  consentView,
  declinedView,
  explainIn,
  openView,
  readyView,
  retryView,
  sentenceView,
  spentView,
  waitingView,
  withdrawnView,
} from "./views.js";
import { LANGUAGES, firstWords, problemWords, wordsIn } from "./words.js";

const STATUSES = ["requires_input", "processing", "verified", "canceled", "redacted"];
const SOON_MS = 3000;
const OFFLINE_MS = 15_000;
const TOAST_MS = 6000;
/** How long a redirect may take before its button works again. */
const LEAVING_MS = 10_000;

/** The page of one invite link. */
class App {
  constructor(memory, key) {
    this.memory = memory;
    this.key = key;
    this.sessionId = sessionIn(key);
    this.onComputer = matchMedia("(pointer: fine) and (min-width: 60rem)").matches;
    this.session = null;
    this.view = null;
    this.shown = null;
    this.changedAt = Date.now();
    this.failures = 0;
    this.epoch = 0;
    this.texts = new Map();
    this.consentWhy = null;
    /** Whether a person who declined, or has withdrawn the consent, reads the text again. */
    this.reading = false;
    /** Whether a person keeps the consent that was given to earlier terms. */
    this.keeping = false;
    /** @type {FilesStep | null} */
    this.files = null;
  }

  // --- words

  /** Shows the page in a language, as soon as its texts have arrived. */
  async useLanguage(language) {
    this.wanted = language;
    if (this.shown?.place === "consent") this.consentText(language);
    const t = await wordsIn(language);
    if (language !== this.wanted) return; // the person has chosen another one
    this.t = t;
    frameWords(t);
    this.draw();
  }

  announce(text) {
    setText(element("announcer"), text);
  }

  toast(text) {
    notice(text);
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => notice(this.trouble ?? null), TOAST_MS);
  }

  explain(trouble, error) {
    if (!(error instanceof ApiError)) throw error;
    explainIn(this.t, trouble, error);
  }

  // --- the session

  path(rest = "") {
    return `sessions/${this.sessionId}${rest}`;
  }

  /** Gets the session, draws it, and schedules the next request. Never throws: it shows problems and retries. */
  async refresh() {
    clearTimeout(this.timer);
    if (this.asking) return this.asking;
    this.asking = this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  /** Gets the session; the first time with the consent text, in a request that early.js may have begun. */
  async get() {
    if (this.session) return call(this.key, "GET", this.path());
    const path = firstPath(this.key, this.memory.get("language"));
    const { early } = /** @type {any} */ (globalThis);
    const begun = early?.path === path ? early : null;
    if (begun) early.path = null;
    const { consent_text: text, ...session } = await call(this.key, "GET", path, null, { begun });
    if (text) this.texts.set(consentQuery(text.language, session.consent_terms), text);
    return session;
  }

  async ask() {
    const { epoch } = this;
    try {
      const session = await this.get();
      // A request that was sent before a change on this page may not include the change.
      if (epoch !== this.epoch) return this.ask();
      this.take(session);
      this.reportConnection(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if ([401, 403, 404].includes(error.status)) return this.refuse();
      this.reportConnection(error);
    }
    this.schedule();
  }

  take(session) {
    if (JSON.stringify(session) !== JSON.stringify(this.session)) this.changedAt = Date.now();
    const first = this.session === null;
    this.session = session;
    this.refused = false;
    if (first && !this.memory.get("language")) this.useLanguage(session.language);
    this.draw();
  }

  /** Records whether the server could be reached, and shows a problem. */
  reportConnection(error) {
    this.failures = error ? this.failures + 1 : 0;
    this.pauseMs = error ? Math.max((error.retryAfter ?? 0) * 1000, Math.min(30_000, 2500 * 2 ** this.failures)) : 0;
    const { text, detail } = error && this.t ? this.troubleWords(error) : {};
    this.trouble = error && (detail ? `${text} ${detail}` : text);
    notice(this.trouble);
  }

  troubleWords(error) {
    if (error.code === "offline") return { text: this.t("offline") };
    return { text: this.t("trouble"), detail: problemWords(this.t, error).detail };
  }

  refuse() {
    this.refused = true;
    this.draw();
  }

  schedule() {
    clearTimeout(this.timer);
    this.nextAt = Infinity;
    if (document.hidden || this.refused) return;
    const still = Date.now() - this.changedAt;
    const regular = this.session ? pollDelay(this.place(), this.session, this.sending, still) : 0;
    if (regular === null) return;
    const spread = 0.9 + Math.random() / 5; // jitter, so that pages do not all retry at the same time
    // Browsers do not report reliably that the connection is back, so requests continue.
    const wait = this.failures && !navigator.onLine ? OFFLINE_MS : this.failures ? this.pauseMs : regular;
    this.nextAt = Date.now() + wait * spread;
    this.timer = setTimeout(() => this.refresh(), wait * spread);
  }

  get sending() {
    return this.files?.sending ?? false;
  }

  /** Polls at the short interval again, because something changed on this page. */
  changed() {
    this.changedAt = Date.now();
    if (!this.asking && !this.failures && !(this.nextAt - Date.now() < SOON_MS)) this.schedule();
  }

  place() {
    const place = placeOf(this.session, serverNow());
    if (["declined", "withdrawn"].includes(place) && this.reading) return "consent";
    const asked = this.session.consent?.has_new_terms && !this.keeping;
    return asked && ["ready", "open", "retry", "files"].includes(place) && !this.sending ? "consent" : place;
  }

  /** Notifies the other tabs of this browser of a change. */
  notifyOtherTabs() {
    this.channel?.postMessage("changed");
  }

  // --- consent

  /**
   * Returns the consent text in a language with the session's terms, or null while it loads. The page is drawn again
   * afterwards.
   */
  consentText(language = this.t.language) {
    const query = consentQuery(language, this.session.consent_terms);
    if (!this.texts.has(query)) this.texts.set(query, this.fetchConsent(query));
    return this.texts.get(query) instanceof Promise ? null : this.texts.get(query);
  }

  async fetchConsent(query) {
    for (let wait = 2; ; wait = Math.min(30, wait * 2)) {
      try {
        this.texts.set(query, await call(null, "GET", `consent?${query}`));
        return this.draw();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.reportConnection(error);
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? wait)));
      }
    }
  }

  /** Stores the person's consent to a text. If the text has changed, the new one is shown instead. */
  async agree({ text_version, language, sha256 }) {
    try {
      const consent = await call(this.key, "POST", this.path("/consent"), { text_version, language, sha256 });
      this.epoch += 1;
      this.consentWhy = null;
      this.notifyOtherTabs();
      this.reading = false;
      this.take({ ...this.session, consent, consent_status: consent.status, consent_withdrawal: null, consent_declined_at: null });
    } catch (error) {
      if (error.code !== "consent_text_changed") throw error;
      this.consentWhy = "consent_changed";
      this.texts.clear();
      this.consentText();
    }
    this.refresh();
  }

  /** Records that the person does not agree. */
  async decline() {
    try {
      const declined = await call(this.key, "POST", this.path("/consent/decline"));
      this.epoch += 1;
      this.reading = false;
      this.consentWhy = null;
      this.notifyOtherTabs();
      this.take({ ...this.session, ...declined });
    } catch (error) {
      if (error.code !== "consent_given") throw error; // in another tab, after which this page continues
    }
    this.refresh();
  }

  /** Continues with the consent that was given to earlier terms. */
  keep() {
    this.keeping = true;
    this.draw();
  }

  readAgain() {
    this.reading = true;
    this.draw();
  }

  // --- the end

  /** Records that the person has no more files. */
  async finish() {
    const session = await call(this.key, "POST", this.path("/finish"));
    this.epoch += 1;
    this.notifyOtherTabs();
    this.take(session);
  }

  // --- the face check

  /**
   * Creates a link and opens it. Gets the session first: if another tab or device has started an attempt, the page
   * shows it instead of using up another one.
   */
  async start() {
    const seen = this.session.attempt?.number ?? 0;
    const link = await exclusively(`likeness ${this.sessionId}`, () => this.createLink(seen));
    if (!link) return;
    this.leaving = true;
    location.assign(link);
    await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
    this.cameBack();
  }

  async createLink(seen) {
    const now = await call(this.key, "GET", this.path());
    const startable = ["ready", "open", "retry"].includes(placeOf(now, serverNow()));
    if (!startable || (now.attempt?.number ?? 0) !== seen) {
      this.take(now);
      return null;
    }
    try {
      const session = await call(this.key, "POST", this.path("/attempts"));
      this.epoch += 1;
      this.session = session; // not drawn, because the browser is about to leave the page
      const { number, h5_link: link } = session.attempt;
      this.memory.set("link", { session: this.sessionId, number, link });
      this.notifyOtherTabs();
      return link;
    } catch (error) {
      if (["consent_required", "consent_declined", "consent_expired", "consent_withdrawn"].includes(error.code)) this.consentWhy = "consent_needed";
      // Another tab was faster, or no attempt is left. The session shows which.
      if (error.status === 409 || error.code === "too_many_attempts") await this.refresh();
      throw error;
    }
  }

  /** Returns the newest link if it was created in this tab and still works. */
  keptLink() {
    const kept = this.memory.get("link");
    const same = kept?.session === this.sessionId && kept.number === this.session.attempt?.number;
    return same && isOpen(this.session, serverNow()) ? kept.link : null;
  }

  cameBack() {
    this.leaving = false;
    this.draw();
    this.refresh();
  }

  // --- drawing

  draw() {
    if (this.leaving) return;
    if (!this.session && !this.refused) return;
    // The first view appears in the person's language at once.
    if (!this.shown && this.t?.language !== this.wanted) return;
    const place = this.refused ? "refused" : this.place();
    // The view is drawn only with its text, so that nothing moves while the person is about to press.
    if (place === "consent" && !this.consentText()) return this.disableConsent();
    const key = this.viewKey(place);
    if (key !== this.shown?.key) this.change(place, key);
    this.view.update();
  }

  /** Disables the consent form while another text loads, so that nobody agrees to the old one. */
  disableConsent() {
    if (this.shown?.place !== "consent") return;
    for (const each of element("view").querySelectorAll("#agree, button")) each.disabled = true;
    this.shown = { place: "consent", key: null };
  }

  /** Returns a key of everything that a view depends on. A view is drawn again if its key changes, else updated. */
  viewKey(place) {
    const parts = [place, this.t.language];
    if (place === "consent") parts.push(this.consentText().sha256, this.consentWhy);
    if (["ready", "open", "retry", "spent"].includes(place)) {
      const { attempt, attempts_left: left, last_error: error, consent } = this.session;
      parts.push(attempt?.number, attempt?.status, left, error?.code, Boolean(this.keptLink()), consent?.given_at);
    }
    return parts.join(" ");
  }

  change(place, key) {
    const before = this.shown;
    this.view = this.makeView(place);
    this.shown = { place, key };
    const card = element("view");
    const hadFocus = card.contains(document.activeElement);
    document.body.dataset.place = place;
    card.dataset.place = place;
    card.replaceChildren(this.view.element);
    card.removeAttribute("aria-busy");
    showSteps(this.t, stepOf(place));
    const heading = card.querySelector("h1");
    this.showTitle();
    showPhone(this, place);
    showInApp(this, place);
    if (!before || (before.place === place && !hadFocus && !this.view.focus)) return;
    if (before.place !== place) scrollTo({ top: 0 });
    (this.view.focus ?? heading).focus({ preventScroll: before.place !== place });
  }

  /** Shows the view's heading as the title of the tab. */
  showTitle() {
    const { textContent: heading } = element("view").querySelector("h1");
    if (heading) document.title = `${heading} · ${this.t("title")}`;
  }

  makeView(place) {
    const views = { consent: consentView, declined: declinedView, withdrawn: withdrawnView, ready: readyView, open: openView, retry: retryView, waiting: waitingView };
    if (Object.hasOwn(views, place)) return views[place](this);
    if (place === "spent") return spentView(this);
    if (place !== "files") return sentenceView(this.t, place, place === "refused" ? "bad" : "calm");
    this.files ??= new FilesStep(this);
    return { element: this.files.draw(), update: () => this.files.show() };
  }

  // --- events

  run() {
    this.t = firstWords();
    if (this.t) showPhone(this, null);
    this.useLanguage(this.memory.get("language") ?? this.t?.language ?? "en");
    element("language").addEventListener("change", (event) => {
      this.memory.set("language", event.target.value);
      this.useLanguage(event.target.value);
    });
    this.listen();
    this.refresh();
    // The countdown and expiry of a link need no response.
    setInterval(() => {
      if (this.shown?.place === "open" && !document.hidden) this.draw();
      else if (this.shown?.place === "waiting") this.view.update();
    }, 1000);
  }

  listen() {
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(this.timer) : this.refresh()));
    addEventListener("focus", () => this.refresh());
    addEventListener("online", () => this.refresh());
    addEventListener("offline", () => {
      clearTimeout(this.timer);
      this.reportConnection(new ApiError("offline", ""));
    });
    // After the face check, the browser may restore the page as it was, with its button still busy.
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.cameBack();
      this.join();
    });
    addEventListener("pagehide", () => {
      this.channel?.close(); // an open channel keeps the page out of the back/forward cache
      this.channel = null;
    });
    for (const name of ["dragover", "dragleave", "drop"]) {
      addEventListener(name, (event) => {
        if (this.shown?.place === "files") this.files.onDrag(event);
      });
    }
  }

  join() {
    if (this.channel || !globalThis.BroadcastChannel) return;
    this.channel = new BroadcastChannel(`likeness ${this.sessionId}`);
    this.channel.addEventListener("message", () => this.refresh());
  }
}

/** Runs `work` in one tab at a time, if the browser supports locks. */
function exclusively(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

/** Shows the status of `?status=` to a person without a token, for example after a callback in another browser. */
function showStatus() {
  const status = new URLSearchParams(location.search).get("status");
  const known = STATUSES.includes(status);
  const words = !known ? "no_token" : ["canceled", "redacted"].includes(status) ? status : `status_${status}`;
  const sign = { processing: "good", verified: "good" }[status] ?? "calm";
  let wanted = null;
  const draw = async (language) => {
    wanted = language;
    const t = await wordsIn(language);
    if (language !== wanted) return;
    frameWords(t);
    showSteps(t, null);
    const view = sentenceView(t, words, sign);
    document.body.dataset.place = words;
    element("view").replaceChildren(view.element);
    element("view").removeAttribute("aria-busy");
    document.title = `${view.element.querySelector("h1").textContent} · ${t("title")}`;
  };
  element("language").addEventListener("change", (event) => draw(event.target.value));
  draw(firstWords()?.language ?? "en");
}

function main() {
  const options = Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name));
  element("language").replaceChildren(...options);
  const memory = new Memory();
  const token = takeToken(memory);
  // Another invite link, pasted into the same tab, changes the fragment only.
  addEventListener("hashchange", () => {
    if (tokenIn(location.hash)) location.reload();
  });
  if (token) new App(memory, token).run();
  else showStatus();
}

main();
