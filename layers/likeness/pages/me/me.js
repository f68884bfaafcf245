// The page of a personal link: what there is of a person, and the way back. The receipt is in the URL's fragment, which is
// not sent to a server; it stays there, so that the page can be saved as a bookmark.

import { ApiError, call } from "./api.js";
import { h, setHeading, setText } from "./dom.js";
import { element } from "./frame.js";
import { drawSheet, goneView, homeView } from "./me_views.js";
import { busyButton, errorSlot, explainIn, sentenceView } from "./views.js";
import { LANGUAGES, firstWords, wordsIn } from "./words.js";

const RECEIPT = /rt_[\w-]{43}(?![\w-])/;

/** Returns the receipt in a part of a URL, or null. Some chat apps encode the "#". */
function receiptIn(text) {
  const decoded = text.replace(/%23/g, "#");
  return RECEIPT.exec(decoded)?.[0] ?? null;
}

/** The page of one receipt. */
class Me {
  constructor(key) {
    this.key = key;
    this.page = null;
    this.news = null;
  }

  get session() {
    return this.page.session;
  }

  get link() {
    return `${location.origin}${location.pathname}#${this.key}`;
  }

  path(rest = "") {
    return `sessions/${this.session.id}${rest}`;
  }

  call(method, path, body = null) {
    return call(this.key, method, path, body);
  }

  /** Shows the page in a language: its texts, and the terms that the server words. */
  async useLanguage(language) {
    this.wanted = language;
    const t = await wordsIn(language);
    if (language !== this.wanted) return; // the person has chosen another one
    this.t = t;
    this.drawFrame();
    await this.load();
  }

  drawFrame() {
    const { t } = this;
    document.documentElement.lang = t.language;
    const { name } = element("operator").dataset;
    setText(element("brand"), name ?? t("title"));
    setText(element("operator-name"), name ?? t("operator"));
    if (element("operator-privacy")) setText(element("operator-privacy"), t("privacy"));
    setText(element("language-label"), t("language"));
    element("language").value = t.language;
    if (element("loading")) setHeading(element("loading"), t("loading"));
  }

  /** Gets everything and draws it. Never throws: it shows problems. */
  async load() {
    const { wanted } = this;
    if (!this.key) return this.draw(sentenceView(this.t, "refused", "bad").element);
    try {
      const page = await this.call("GET", `receipt?language=${wanted}`);
      if (wanted !== this.wanted) return;
      this.page = page;
      this.show();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if ([401, 403, 404].includes(error.status)) this.draw(sentenceView(this.t, "refused", "bad").element);
      else this.drawTrouble(error);
    }
  }

  show() {
    const gone = this.session.status === "redacted";
    this.draw(gone ? goneView(this) : homeView(this));
    if (gone) element("sheet").replaceChildren();
    else drawSheet(this, element("sheet"));
    if (this.news) setText(element("announcer"), this.news);
    this.news = null;
  }

  drawTrouble(error) {
    const { t } = this;
    const trouble = errorSlot();
    explainIn(t, trouble, error);
    const again = busyButton(t("retry"), t("loading"), () => this.load());
    this.draw(h("div", { class: "step" },
      setHeading(h("h1", { tabindex: "-1" }), t("trouble_heading")), trouble.element, again.button));
  }

  draw(drawn) {
    const card = element("view");
    const first = card.hasAttribute("aria-busy");
    card.replaceChildren(drawn);
    card.removeAttribute("aria-busy");
    const heading = card.querySelector("h1");
    document.title = `${heading.textContent} · ${this.t("title")}`;
    if (!first && document.activeElement === document.body) heading.focus({ preventScroll: true });
  }

  // --- what the person can do

  async withdraw() {
    await this.call("POST", this.path("/consent/withdraw"));
    await this.load();
  }

  async erase() {
    await this.call("DELETE", this.path());
    await this.load();
    scrollTo({ top: 0 });
  }

  /** Gets another link, and opens it, which ends this one. A response that gets lost changes nothing. */
  async renew() {
    const { receipt_url: url } = await this.call("POST", this.path("/receipt"));
    const next = receiptIn(new URL(url).hash);
    this.page = await call(next, "GET", `receipt?language=${this.t.language}`);
    this.key = next;
    history.replaceState(null, "", `${location.pathname}#${next}`);
    this.news = this.t("renewed");
    this.show();
    element("view").querySelector("[data-part=link]").focus({ preventScroll: false });
  }

  async download() {
    const receipt = await this.call("GET", this.path("/receipt"));
    const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/ld+json" }));
    h("a", { href: url, download: `${this.session.id}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  run() {
    element("language").addEventListener("change", (event) => this.useLanguage(event.target.value));
    this.useLanguage(firstWords()?.language ?? "en");
  }
}

function main() {
  const options = Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name));
  element("language").replaceChildren(...options);
  const key = receiptIn(location.hash) ?? receiptIn(location.pathname);
  const path = location.pathname.replace(/[^/]*$/, "me");
  if (key && path !== location.pathname) history.replaceState(null, "", `${path}#${key}`);
  // Another link, pasted into the same tab, changes the fragment only.
  addEventListener("hashchange", () => location.reload());
  new Me(key).run();
}

main();
