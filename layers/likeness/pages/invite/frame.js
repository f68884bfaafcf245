// The frame around the view: the language, the three steps, notices, and the QR code for the phone.

import { ApiError, call } from "./api.js";
import { setText, showPicture } from "./dom.js";

/**
 * Returns the element with that id.
 * @type {(id: string) => any} its type depends on the page
 */
export const element = (id) => document.getElementById(id);

/** Sets the texts around the view, and the language of the page. */
export function frameWords(t) {
  document.documentElement.lang = t.language;
  setText(element("brand"), t("title"));
  setText(element("language-label"), t("language"));
  element("language").value = t.language;
  if (element("loading")) setText(element("loading"), t("loading"));
  element("steps").setAttribute("aria-label", t("steps"));
  ["step_consent", "step_check", "step_files"].forEach((words, index) => {
    setText(element("steps").children[index].querySelector(".step-name"), t(words));
  });
}

/** Shows which of the three steps is current: counted from 0, or null for none. */
export function showSteps(t, current) {
  const steps = element("steps");
  steps.classList.toggle("over", current === null);
  [...steps.children].forEach((each, index) => {
    const done = current !== null && index < current;
    each.classList.toggle("done", done);
    if (index === current) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
    setText(each.querySelector(".visually-hidden"), done ? t("step_done") : "");
  });
}

/** Shows a notice at the foot of the page; null hides it. */
export function notice(text) {
  element("notice").classList.toggle("shown", Boolean(text));
  if (text) setText(element("notice-words"), text);
}

/** Shows, on a computer, the invite link (never the H5 link) as a QR code for the phone. */
export function showPhone(app, place) {
  const aside = element("phone");
  const useful = app.onComputer && !["canceled", "declined", "redacted", "refused", "spent"].includes(place);
  document.body.classList.toggle("beside", useful);
  if (!useful) return;
  const { t } = app;
  setText(element("phone-heading"), t("phone_heading"));
  setText(element("phone-lead"), t("phone_lead"));
  setText(element("phone-private"), t("phone_private"));
  element("phone-code").alt = t("phone_code");
  aside.hidden = false;
  app.phoneCode ??= showPhoneCode(app.key);
}

/** Shows the QR code of the invite link, and retries temporary errors. The page works without it. */
async function showPhoneCode(key) {
  const link = `${location.origin}${location.pathname}#${key}`;
  for (let wait = 2; ; wait = Math.min(30, wait * 2)) {
    try {
      return showPicture(element("phone-code"), await call(key, "POST", "qr-codes", link));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if ([400, 401, 403, 404].includes(error.status)) return;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? wait)));
    }
  }
}
