// The views of the page except the files: consent, the face check, and the final ones. Each function draws one view and
// returns `{ element, update() }`. `update` is called after each response, and every second.

import { serverNow } from "./api.js";
import { h, icon, setHeading, setText } from "./dom.js";
import { isUndecided, reasonOf, secondsLeft } from "./state.js";
import { problemWords } from "./words.js";

const FEW_ATTEMPTS = 3;
const LONG_MS = 30_000;

const heading = (text) => setHeading(h("h1", { tabindex: "-1" }), text);
const step = (...children) => h("div", { class: "step" }, ...children);
const still = (element) => ({ element, update() {} });

/** Returns a button that is busy and cannot be pressed again while `work` runs. `text` may be a function. */
export function busyButton(text, busyLabel, work, style = "button") {
  const label = () => (typeof text === "function" ? text() : text);
  const words = h("span", {}, label());
  const button = h("button", { type: "button", class: style }, words);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    busy(true);
    try {
      await work();
    } finally {
      busy(false);
    }
  });
  const busy = (on) => {
    // Not `disabled`, which would lose the keyboard focus.
    button.setAttribute("aria-disabled", String(on));
    button.classList.toggle("busy", on);
    setText(words, on ? busyLabel : label());
  };
  return { button, words, busy };
}

/** Returns an element for a button's error. */
export function errorSlot() {
  const element = h("div", { class: "slot", role: "alert" });
  return {
    element,
    clear: () => element.replaceChildren(),
    show(text, detail = null) {
      element.replaceChildren(
        h("div", { class: "note bad" }, icon("alert"),
          h("div", {}, h("p", {}, text), detail && h("p", { class: "detail" }, detail))),
      );
    },
  };
}

/** The consent text, an unchecked checkbox, and the button that stores the consent. */
export function consentView(app) {
  const { t } = app;
  const text = app.consentText();
  const given = app.session.consent_status === "given" && app.session.consent;
  const renewed = given ? "consent_new_terms" : app.session.consent_status === "expired" ? "consent_ended" : null;
  const reason = app.consentWhy ?? renewed;
  const why = reason && h("p", { class: "note warn", role: app.consentWhy ? "alert" : null, tabindex: "-1" },
    icon("alert"), h("span", {}, t(reason)));
  const box = h("input", { type: "checkbox", id: "agree", autocomplete: "off" });
  const trouble = errorSlot();
  const agree = busyButton(t("consent_continue"), t("consent_saving"), async () => {
    trouble.clear();
    try {
      await app.agree(text);
    } catch (error) {
      app.explain(trouble, error);
    }
  });
  const decline = busyButton(t("consent_decline"), t("consent_saving"), async () => {
    trouble.clear();
    try {
      await app.decline();
    } catch (error) {
      app.explain(trouble, error);
    }
  }, "button second");
  const keep = h("button", { type: "button", class: "button second", onclick: () => app.keep() }, t("consent_keep"));
  const allow = () => {
    agree.button.disabled = !box.checked;
  };
  box.addEventListener("change", allow);
  allow();
  const element = step(
    heading(t("consent_heading")), h("p", { class: "lead" }, t("consent_lead")), why,
    h("article", { class: "consent-text", lang: text.language }, setHeading(h("h2"), text.title), ...paragraphs(text.text)),
    text.terms?.length ? h("div", { class: "consent-terms", lang: text.language }, ...text.terms.map((each) => h("p", {}, each))) : null,
    h("p", { class: "detail" }, t("consent_version", { version: text.text_version })),
    h("label", { class: "tick", for: "agree" }, box, h("span", {}, t("consent_agree"))), agree.button,
    given ? keep : app.session.consent ? null : decline.button,
    trouble.element,
  );
  return { element, focus: app.consentWhy ? why : null, update() {} };
}

/** After the consent was withdrawn. The person can read the text again, and agree again. */
export function withdrawnView(app) {
  const { t } = app;
  const again = h("button", { type: "button", class: "button second", onclick: () => app.readAgain() }, t("declined_again"));
  return sentenceView(t, "withdrawn", "calm", h("p", {}, t("withdrawn_again")), again);
}

/** After the person declined. They can read the text again, and agree after all. */
export function declinedView(app) {
  const { t } = app;
  const again = h("button", { type: "button", class: "button second", onclick: () => app.readAgain() }, t("declined_again"));
  return sentenceView(t, "declined", "calm", h("p", {}, t("declined_contact")), again);
}

const paragraphs = (text) => text.split(/\n\s*\n/).map((each) => h("p", {}, each.trim()));

/** Returns a line with the date of the consent, or null. */
function consentLine({ t, session }) {
  const { consent } = session;
  if (!consent) return null;
  const words = consent.source === "client" ? "consent_on_record" : "consent_given";
  const values = { date: t.date(consent.given_at), version: consent.text_version };
  return h("p", { class: "given" }, icon("check"), h("span", {}, t(words, values)));
}

function tips(t) {
  const each = (sign, words) => h("li", {}, icon(sign), h("span", {}, t(words)));
  return h("ul", { class: "tips", "aria-label": t("tips") },
    each("light", "tip_light"), each("face", "tip_alone"), each("person", "tip_bare"));
}

/** Returns the button that creates a link and opens it. After too many requests it counts down. */
function startButton(app, label, style) {
  const { t } = app;
  const trouble = errorSlot();
  const made = busyButton(label, t("starting"), async () => {
    trouble.clear();
    try {
      await app.start();
    } catch (error) {
      app.explain(trouble, error);
      await countDown(made.words, t, Math.min(60, error.retryAfter ?? 0));
    }
  }, style);
  return { button: made.button, trouble: trouble.element };
}

async function countDown(words, t, seconds) {
  for (let left = Math.ceil(seconds); left > 0; left -= 1) {
    setText(words, t("start_wait", { seconds: String(left) }));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** Returns a sentence about the sign-in at the face check, if the operator announces it (FaceCheckSignIn). */
function signInNote(t) {
  if (document.body.dataset.signIn !== "on") return null;
  return h("p", { class: "note calm" }, icon("person"), h("span", {}, t("sign_in")));
}

/** Before the first attempt. */
export function readyView(app) {
  const { t } = app;
  const start = startButton(app, t(app.onComputer ? "start_here" : "start"));
  return still(step(
    heading(t("ready_heading")), h("p", { class: "lead" }, t("ready_lead")), tips(t), signInNote(t), start.button,
    h("p", { class: "detail centred" }, t("start_minutes")), attemptsLine(app), start.trouble, consentLine(app),
  ));
}

function attemptsLine({ t, session }) {
  const { attempts_left: count } = session;
  if (count > FEW_ATTEMPTS) return null;
  return h("p", { class: "left" }, count === 1 ? t("attempts_left_one") : t("attempts_left", { count }));
}

/** While a link is open: its countdown, a button back to it if this tab created it, and one for a new link. */
export function openView(app) {
  const { t, session } = app;
  const link = app.keptLink();
  const clock = h("p", { class: "clock", role: "timer", "aria-labelledby": "clock-label" });
  const bar = h("progress", { max: "120", value: "120", "aria-hidden": "true" });
  // A button, because scanners follow links, and only the person may open this one.
  const goThere = { type: "button", class: "button", onclick: () => location.assign(link) };
  const go = link && h("button", goThere, t("open_go"));
  const again = startButton(app, t(link ? "open_again" : "open_again_here"), "button second");
  const element = step(
    heading(t(link ? "open_heading_here" : "open_heading")),
    h("p", { class: "lead" }, t(link ? "open_here" : "open_elsewhere")),
    h("div", { class: "countdown" }, h("p", { class: "detail", id: "clock-label" }, t("open_left")), clock, bar),
    go, ...(session.attempts_left < 1 ? [] : [again.button,
      h("p", { class: "detail centred" }, t("open_costs")), attemptsLine(app), again.trouble]),
  );
  const update = () => {
    const left = Math.ceil(secondsLeft(app.session, serverNow()));
    setText(clock, `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`);
    bar.value = left;
  };
  update();
  return { element, update };
}

function undecidedNote(t, session) {
  if (!isUndecided(session)) return null;
  return h("p", { class: "note calm" }, icon("clock"), h("span", {}, t("link_undecided")));
}

/** After a failed attempt: the reason, tips, and a button. */
export function retryView(app) {
  const { t, session } = app;
  const code = t.has(`${reasonOf(session)}_heading`) ? reasonOf(session) : "attempt_failed";
  const start = startButton(app, t("retry"));
  return still(step(
    heading(t(`${code}_heading`)), h("p", { class: "lead" }, t(code)),
    undecidedNote(t, session),
    tips(t), start.button, h("p", { class: "detail centred" }, t("start_minutes")), attemptsLine(app), start.trouble,
  ));
}

/** After the callback, until the result arrives. */
export function waitingView(app) {
  const { t } = app;
  const began = Date.now();
  const words = h("p", { class: "lead" }, t("waiting"));
  const orbit = h("div", { class: "orbit", "aria-hidden": "true" }, icon("face"));
  const element = step(heading(t("waiting_heading")), orbit, words);
  const update = () => {
    if (Date.now() - began > LONG_MS) setText(words, t("waiting_long"));
  };
  return { element, update };
}

/** A view of a heading and a sentence, for the final states and for persons without an invite link. */
export function sentenceView(t, words, sign, ...more) {
  const drawn = icon({ good: "check", bad: "alert", calm: "clock" }[sign]);
  return still(step(
    h("div", { class: `sign ${sign}`, "aria-hidden": "true" }, drawn),
    heading(t(`${words}_heading`)), h("p", { class: "lead" }, t(words)), ...more,
  ));
}

/** No attempt is left. A person who is still taking the last one can finish it. */
export function spentView({ t, session }) {
  return sentenceView(t, "spent", "bad", undecidedNote(t, session));
}

/** Shows an error beside its button. */
export function explainIn(t, trouble, error) {
  const { text, detail } = problemWords(t, error);
  trouble.show(text, detail);
}
