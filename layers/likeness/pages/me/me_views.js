// The views of the page of a personal link, and the sheet that it prints.

import { ApiError } from "./api.js";
import { h, icon, setHeading, setText, showPicture } from "./dom.js";
import { element } from "./frame.js";
import { Previews } from "./previews.js";
import { busyButton, errorSlot, explainIn, sentenceView } from "./views.js";

const heading = (level, text, more = {}) => setHeading(h(level, more), text);
const MOVING = ["uploaded", "submitting", "processing"];

/** Returns a part of the page with a heading. */
function part(t, name, ...children) {
  const id = `${name}-heading`;
  return h("section", { "aria-labelledby": id, "data-part": name, tabindex: "-1" },
    heading("h2", t(`${name}_heading`), { id }), ...children);
}

/** Everything that is kept, and what the person can do. */
export function homeView(me) {
  const { t, page } = me;
  return h("div", { class: "step" },
    heading("h1", t("heading"), { tabindex: "-1" }),
    h("p", { class: "lead" }, t(page.holder === "client" ? "lead_client" : "lead")),
    statusNote(me), agreedPart(me), keptPart(me), usesPart(me), linkPart(me),
    backPart(me), contactPart(me));
}

/** After the erasure: only its number and the ledger of uses are left. */
export function goneView(me) {
  const { t, session } = me;
  const at = session.erasure?.erased_at;
  const words = (key, values) => (key === "gone" ? t(at ? "gone" : "gone_soon", values) : t(key));
  const filled = Object.assign((key) => words(key, { date: at && t.date(at), id: session.id }), t);
  const { element: view } = sentenceView(filled, "gone", "good");
  view.append(usesPart(me));
  return view;
}

/** Returns the last day of a consent, as the terms name it: in UTC, and an end at midnight is the day before. */
function lastDay(t, iso) {
  const last = new Date(Date.parse(iso) - 1000);
  return new Intl.DateTimeFormat(t.language, { dateStyle: "long", timeZone: "UTC" }).format(last);
}

function statusWords({ t, session }) {
  const { consent, consent_status: status, consent_withdrawal: withdrawal } = session;
  if (status === "withdrawn") return t("status_withdrawn", { date: t.date(withdrawal.withdrawn_at) });
  if (status === "expired") return t("status_expired", { date: lastDay(t, consent.valid_until) });
  if (status === "missing") return t("status_missing");
  return consent?.valid_until ? t("status_given_until", { date: lastDay(t, consent.valid_until) }) : t("status_given");
}

function statusNote(me) {
  const { t, session } = me;
  const valid = session.consent_status === "given";
  const sent = session.consent_withdrawal?.in_flight.length;
  return h("div", { class: valid ? "note good" : "note calm", "data-status": session.consent_status },
    icon(valid ? "check" : "clock"),
    h("div", {}, h("p", {}, statusWords(me)), sent ? h("p", { class: "detail" }, t("in_flight", { count: sent })) : null));
}

function agreedWords({ t, page, session }) {
  const { consent } = session;
  if (!consent) return session.consent_status === "missing" ? t("agreed_nothing") : t("agreed_by_word");
  const values = { date: t.date(consent.given_at), version: consent.text_version };
  return t(page.agreed ? "agreed_on" : "agreed_client", values);
}

const sentences = ({ page }) =>
  page.terms.length ? h("div", { class: "said" }, ...page.terms.map((each) => h("p", {}, each))) : null;

function agreedPart(me) {
  const { t, page } = me;
  const { agreed } = page;
  const whole = agreed && h("details", {}, h("summary", {}, t("agreed_text")),
    h("article", { class: "consent-text", lang: agreed.language }, heading("h3", agreed.title),
      ...agreed.text.split(/\n\s*\n/).map((each) => h("p", {}, each.trim()))));
  return part(t, "agreed", sentences(me), h("p", { class: "detail" }, agreedWords(me)), whole);
}

function keptPart(me) {
  const { t, session } = me;
  const kept = session.assets.filter((each) => each.status !== "redacted");
  /** @type {Previews} */
  const previews = new Previews(me.key, session.id, (row) => row.draw());
  const rows = kept.map((asset) => fileRow(me, previews, asset));
  return part(t, "kept",
    rows.length ? h("ul", { class: "files" }, ...rows) : h("p", {}, t("kept_none")),
    h("dl", { class: "facts" }, fact(t("kept_session"), session.id),
      session.group_id ? fact(t("kept_group"), session.group_id) : null));
}

/**
 * Returns a name and a value; `made` is the value's element.
 * @type {(name: string, value: string, made?: "code" | "span") => HTMLElement}
 */
const fact = (name, value, made = "code") => h("div", {}, h("dt", {}, name), h("dd", {}, h(made, {}, value)));

function fileState({ t, session }, { status }) {
  if (status === "active") return t(session.consent_status === "given" ? "file_active" : "file_inactive");
  if (status === "failed") return t("file_failed");
  return t(MOVING.includes(status) ? "file_progress" : "file_waiting");
}

function fileRow(me, previews, asset) {
  const { t } = me;
  const thumb = h("div", { class: "thumb" }, icon(asset.asset_type));
  const row = h("li", { class: "file" }, thumb, h("div", { class: "file-body" },
    h("p", { class: "file-name" }, asset.name),
    h("p", { class: "file-hint" }, `${t(`kind_${asset.asset_type}`)} · ${fileState(me, asset)}`),
    asset.crun_asset_id ? h("p", { class: "detail" }, t("file_number", { id: asset.crun_asset_id })) : null));
  const model = {
    element: row,
    draw() {
      const url = previews.of(asset, model);
      if (!url) return;
      const image = h("img", { src: url, alt: "" });
      // The file may have been deleted since: then the icon stays.
      image.addEventListener("load", () => thumb.replaceChildren(image), { once: true });
    },
  };
  model.draw();
  return row;
}

/** Returns what the likeness was used for, newest first. It is requested now, page by page. */
function usesPart(me) {
  const { t } = me;
  const list = h("ul", { class: "files" });
  const note = h("p", {}, t("loading"));
  const trouble = errorSlot();
  let cursor = null;
  let left = true;
  async function load() {
    await tried(me, trouble, async () => {
      const page = await me.call("GET", me.path(cursor ? `/uses?limit=20&cursor=${encodeURIComponent(cursor)}` : "/uses?limit=5"));
      const rows = page.uses.map((use) => useRow(me, use));
      const first = list.childElementCount === 0;
      list.append(...rows);
      cursor = page.next_cursor;
      left = Boolean(cursor);
      setText(note, t("uses_none"));
      if (!first) rows[0]?.focus();
    });
    list.hidden = list.childElementCount === 0;
    note.hidden = left || !list.hidden;
    setText(more.words, label());
    more.button.hidden = !left;
  }
  const label = () => t(list.hidden ? "retry" : "uses_more");
  const more = busyButton(label, t("loading"), load, "button second");
  list.hidden = more.button.hidden = true;
  load();
  return part(t, "uses", note, list, trouble.element, more.button);
}

function useRow({ t, page }, { time, purpose, model, outcome, asset_ids: files }) {
  const at = new Intl.DateTimeFormat(t.language, { dateStyle: "long", timeStyle: "short" }).format(new Date(time));
  const what = purpose ? (page.purposes?.[purpose] ?? purpose.replaceAll("_", " ")) : t("use_any");
  return h("li", { class: "use", tabindex: "-1" },
    h("p", { class: "file-name" }, at),
    h("p", { class: "use-purpose" }, what),
    h("p", {}, t(`use_${outcome ?? "running"}`)),
    h("p", { class: "detail" }, `${model} · ${t("use_files", { count: files.length })}`));
}

function linkPart(me) {
  const { t } = me;
  const code = h("img", { class: "link-code", alt: t("link_code") });
  const trouble = errorSlot();
  const download = busyButton(t("download"), t("downloading"), () => tried(me, trouble, () => me.download()), "button second");
  const print = h("button", { type: "button", class: "button", onclick: () => globalThis.print() }, t("print"));
  me.codes = [code];
  return part(t, "link", h("p", {}, t("link_lead")), code, print, download.button, trouble.element,
    asked(me, "renew", "button second", [h("p", {}, t("renew_lead"))], t("renew"), t("renewing"), () => me.renew()));
}

function backPart(me) {
  const { t, session } = me;
  const open = session.consent_status !== "withdrawn" && session.status !== "canceled";
  const list = ["erase_files", "erase_use", "erase_left", "erase_upstream"].map((each) => h("li", {}, t(each)));
  return part(t, "withdraw",
    open ? asked(me, "withdraw", "button", [h("p", {}, t("withdraw_lead"))], t("withdraw"), t("withdrawing"), () => me.withdraw()) : null,
    asked(me, "erase", "button danger", [h("ul", {}, ...list), h("p", {}, h("strong", {}, t("erase_final")))], t("erase_sure"),
      t("erasing"), () => me.erase()));
}

function contactPart({ t }) {
  const known = contact();
  const shown = known && h("p", {}, known.cloneNode(true));
  return part(t, "contact", h("p", {}, t(known ? "contact" : "contact_sender")), shown);
}

/** Returns the operator's contact at the foot of the page, a link or a text, or null. */
const contact = () => element("operator").querySelector(":scope > :not([id])");

async function tried(me, trouble, work) {
  trouble.clear();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    explainIn(me.t, trouble, error);
  }
}

/** Returns a button that first asks. `name` has the texts, `words` explain, `sure` and `busy` are the second button's. */
function asked(me, name, style, words, sure, busy, work) {
  const { t } = me;
  const trouble = errorSlot();
  const question = heading("h3", t(t.has(`${name}_ask`) ? `${name}_ask` : `${name}_heading`), { tabindex: "-1" });
  const yes = busyButton(sure, busy, () => tried(me, trouble, work), style.includes("danger") ? `${style} sure` : "button");
  const first = h("button", { type: "button", class: style, "aria-expanded": "false" }, t(name));
  const no = h("button", { type: "button", class: "button second" }, t("keep"));
  const panel = h("div", { class: "ask", hidden: true }, question, ...words, h("div", { class: "actions" }, yes.button, no),
    trouble.element);
  const open = (on) => {
    panel.hidden = !on;
    first.hidden = on;
    trouble.clear();
    (on ? question : first).focus();
  };
  first.addEventListener("click", () => open(true));
  no.addEventListener("click", () => open(false));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && yes.button.getAttribute("aria-disabled") !== "true") open(false);
  });
  return h("div", {}, first, panel);
}

/** Fills the sheet that is printed in place of the page, and gets the QR code of the link. */
export function drawSheet(me, sheet) {
  const { t, session, page } = me;
  const { consent } = session;
  const code = h("img", { alt: "" });
  const operator = element("operator");
  const name = operator.dataset.name ?? t("operator");
  sheet.replaceChildren(heading("h2", t("sheet_heading")), sentences(me) ?? "", h("p", {}, agreedWords(me)),
    h("dl", { class: "facts" },
      fact(t("sheet_to"), [name, contact()?.textContent].filter(Boolean).join(", "), "span"), fact(t("kept_session"), session.id),
      consent && fact(t("sheet_at"), t.date(consent.given_at), "span"),
      consent && fact(t("sheet_version"), consent.text_version, "span"),
      fact(t("sheet_status"), `${t.date(new Date().toISOString())}: ${statusWords(me)}`, "span"),
      page.agreed && fact(t("sheet_digest"), page.agreed.sha256)),
    h("div", { class: "way" }, code, h("div", {}, h("p", {}, t("sheet_way")), h("p", {}, h("code", {}, me.link)))));
  me.codes.push(code);
  drawCodes(me, me.codes);
}

/** Draws the QR code of the link. The page works without it. */
async function drawCodes(me, images) {
  try {
    const picture = await me.call("POST", "qr-codes", me.link);
    for (const image of images) showPicture(image, picture);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}
