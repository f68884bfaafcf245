// What stands around the view: the language, the three steps, a word in passing, and the code for the phone.

import { say } from "./dom.js";

/**
 * The element of that id.
 * @type {(id: string) => any} of whichever kind the page has there
 */
export const element = (id) => document.getElementById(id);

/** The words around the view, and the language of the whole page. */
export function frameWords(t) {
  document.documentElement.lang = t.language;
  say(element("brand"), t("title"));
  say(element("language-label"), t("language"));
  element("language").value = t.language;
  if (element("loading")) say(element("loading"), t("loading"));
  element("steps").setAttribute("aria-label", t("steps"));
  ["step_consent", "step_check", "step_files"].forEach((words, index) => {
    say(element("steps").children[index].querySelector(".step-name"), t(words));
  });
}

/** Which of the three steps is under way: counted from 0, or null when there is none. */
export function showSteps(t, current) {
  const steps = element("steps");
  steps.classList.toggle("over", current === null);
  [...steps.children].forEach((each, index) => {
    const done = current !== null && index < current;
    each.classList.toggle("done", done);
    if (index === current) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
    say(each.querySelector(".visually-hidden"), done ? t("step_done") : "");
  });
}

/** What is said in passing, over the foot of the page; null takes it away. */
export function notice(text) {
  element("notice").classList.toggle("shown", Boolean(text));
  if (text) say(element("notice-words"), text);
}

/** On a computer: the invite link, never the H5 link, as a code for the phone. */
export async function showPhone(app, place) {
  const aside = element("phone");
  const useful = app.onComputer && !["canceled", "redacted", "refused", "spent"].includes(place);
  document.body.classList.toggle("beside", useful);
  if (!useful) return;
  const { t } = app;
  say(element("phone-heading"), t("phone_heading"));
  say(element("phone-lead"), t("phone_lead"));
  say(element("phone-private"), t("phone_private"));
  element("phone-code").setAttribute("aria-label", t("phone_code"));
  aside.hidden = false;
  if (app.drawn) return;
  app.drawn = true;
  const { generate } = await import("./qr.js");
  const link = `${location.origin}${location.pathname}#${app.key}`;
  generate(link).toCanvas(element("phone-code"), { on: [20, 28, 38, 255], off: [255, 255, 255, 255] });
}
