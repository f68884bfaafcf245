// The frame around the view: the language, the three steps, notices, and the QR code for the phone.

import { ApiError, call } from "./api.js";
import { h, icon, setHeading, setText, showPicture } from "./dom.js";

/**
 * Returns the element with that id.
 * @type {(id: string) => any} its type depends on the page
 */
export const element = (id) => document.getElementById(id);

/** Sets the texts around the view, and the language of the page. */
export function frameWords(t) {
  document.documentElement.lang = t.language;
  const { name } = element("operator").dataset;
  setText(element("brand"), name ?? t("title"));
  setText(element("operator-name"), t("asked_by", { name: name ?? t("operator") }));
  if (element("operator-privacy")) setText(element("operator-privacy"), t("privacy"));
  setText(element("language-label"), t("language"));
  element("language").value = t.language;
  if (element("loading")) setHeading(element("loading"), t("loading"));
  element("steps").setAttribute("aria-label", t("steps"));
  ["step_consent", "step_check", "step_files"].forEach((words, index) => {
    setHeading(element("steps").children[index].querySelector(".step-name"), t(words));
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

/** Browsers inside apps, of which many refuse the camera or lose the page on the way back from the face check. */
const IN_APP = new RegExp("MicroMessenger|Instagram|FBA[NV]|FB_IAB|\\bLine/|TikTok|musical_ly|BytedanceWebview|aweme|" +
  "Snapchat|Weibo|\\bQQ/|DingTalk|XiaoHongShu", "i");
/** The places before the face check is passed. */
const BEFORE_PASS = ["consent", "ready", "open", "retry"];

/**
 * Returns `in_app` in a browser inside an app, `no_camera` without a camera, or null. Browsers hide cameras on pages
 * without https, which says nothing about them.
 */
export function cameraTrouble({ userAgent, mediaDevices }, secure) {
  if (IN_APP.test(userAgent)) return "in_app";
  return secure && !mediaDevices ? "no_camera" : null;
}

/**
 * Returns a link that opens `link` in the browser of an Android phone, or null where that is not possible. The token
 * stays in the fragment: Android cuts at the last "#". WeChat and QQ open no such links.
 */
export function intentLink(link, userAgent) {
  if (!/Android/.test(userAgent) || /MicroMessenger|QQ\//.test(userAgent) || !link.startsWith("https://")) return null;
  const asked = "scheme=https;action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE";
  return `intent${link.slice("https".length)}#Intent;${asked};end`;
}

/** Says that the face check needs another browser, and offers the invite link. */
export function showInApp({ t, key }, place) {
  const note = element("in-app");
  const trouble = BEFORE_PASS.includes(place) ? cameraTrouble(navigator, isSecureContext) : null;
  note.hidden = !trouble;
  if (!trouble || note.lang === t.language) return;
  note.lang = t.language;
  const link = inviteLink(key);
  const said = h("p", { class: "detail", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      said.replaceChildren(t("copied"));
    } catch {
      said.replaceChildren(t("copy_this"), " ", h("code", {}, link));
    }
  };
  const intent = intentLink(link, navigator.userAgent);
  note.replaceChildren(icon("alert"), h("div", {}, h("p", {}, t(trouble)), h("div", { class: "actions" },
    intent && h("a", { class: "button second", href: intent }, t("open_browser")),
    h("button", { type: "button", class: "button second", onclick: copy }, t("copy_link"))), said));
}

const inviteLink = (key) => `${location.origin}${location.pathname}#${key}`;

/** Shows, on a computer, the invite link (never the H5 link) as a QR code for the phone. */
export function showPhone(app, place) {
  const aside = element("phone");
  const useful = app.onComputer && !["canceled", "declined", "redacted", "refused", "spent", "withdrawn"].includes(place);
  document.body.classList.toggle("beside", useful);
  if (!useful) return;
  const { t } = app;
  setHeading(element("phone-heading"), t("phone_heading"));
  setText(element("phone-lead"), t("phone_lead"));
  setText(element("phone-private"), t("phone_private"));
  element("phone-code").alt = t("phone_code");
  aside.hidden = false;
  if (place) app.phoneCode ??= showPhoneCode(app.key); // after the first view, which it would delay
}

/** Shows the QR code of the invite link, and retries temporary errors. The page works without it. */
async function showPhoneCode(key) {
  const link = inviteLink(key);
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
