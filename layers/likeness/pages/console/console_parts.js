// Shared parts of the console: elements, wording, times (local, with UTC beside them as in the API and the logs), copy
// buttons, and the live region for screen readers.

import { h, setText } from "./dom.js";

/**
 * Returns the element with that id.
 * @type {(id: string) => any} its type depends on the page
 */
export const byId = (id) => document.getElementById(id);

/** Sets or removes attributes that differ. */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value === true ? "" : value)) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
}

/** Gives `parent` one child per item, in order. Children that stay are not touched, so they keep focus and scroll. */
export function keepList(parent, items, keyOf, create, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const child = present.get(key) ?? create(item);
    child.dataset.key = key;
    present.delete(key);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const gone of present.values()) gone.remove();
}

/** Announces a text to screen readers, even if it is the same as before. */
export function announce(text) {
  const region = byId("announce");
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}

/** The API's words that are not plain ones. */
const PLAIN = { redacted: "erased", lapsed: "expired", lost: "result lost", awaiting_upload: "waiting for the file" };

/** "requires_input" → "requires input", "redacted" → "erased". */
export const words = (code) => PLAIN[code] ?? code.replaceAll("_", " ");

/** Shows a status as a coloured word. */
export function showBadge(badge, status) {
  setText(badge, words(status));
  const wanted = `badge is-${status}`;
  if (badge.className !== wanted) badge.className = wanted;
}

/** The end of an id, which is enough to recognize it. */
export const shortId = (id) => h("code", {}, `…${id.slice(-8)}`);

/** A link to the view of a session or generation. */
export const shortLink = (id) => h("a", { href: `#${id}` }, shortId(id));

/** Returns the row of a session or generation in its list. */
export const makeRow = ({ id, created_at: created }) =>
  h(
    "li",
    {},
    h(
      "a",
      { class: "row", href: `#${id}` },
      h("span", { class: "name" }),
      h("span", { class: "badge" }),
      shortId(id),
      h("time", { datetime: created, title: utcText(created) }, `${localDayText(created)} ${clockText(created).slice(0, 5)}`),
      h("span", { class: "what" }),
      h("span", { class: "why" }),
    ),
  );

/** Shows what may change in a row. `erased` says whether a reference is gone; `problem` has a code, or is null. */
export function showRow(row, { reference, status }, erased, what, problem) {
  const [name, badge, , , itsWhat, why] = row.firstChild.children;
  setText(name, reference ?? (erased ? "erased" : "no reference"));
  name.classList.toggle("none", !reference);
  showBadge(badge, status);
  setText(itsWhat, what);
  setText(why, words(problem?.code ?? ""));
}

/** Shows the article of a view, or a note in its place. */
export function showOne(view, note = "") {
  byId(view).hidden = Boolean(note);
  setText(byId(`${view}-note`), note);
  byId(`${view}-note`).hidden = !note;
}

const two = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A UTC day: "25 Nov", with the year when it is not this one. */
export function dayText(time) {
  const at = new Date(time);
  const year = at.getUTCFullYear() === new Date().getUTCFullYear() ? "" : ` ${at.getUTCFullYear()}`;
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}${year}`;
}

/** A local day: "25 Nov", with the year when it is not this one. */
export function localDayText(time) {
  const at = new Date(time);
  const year = at.getFullYear() === new Date().getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${MONTHS[at.getMonth()]}${year}`;
}

/** A local time of day: "15:36:49". */
export function clockText(time) {
  const at = new Date(time);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A local time: "25 Nov 15:36:49". */
export const momentText = (time) => `${localDayText(time)} ${clockText(time)}`;

/** The same time in UTC, for comparison with the API and the logs: "2026-11-25 07:36:49 UTC". */
export const utcText = (time) => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** The name of the local time zone and its offset now: "Asia/Shanghai, UTC+8", or "UTC". */
export function zoneText() {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const ahead = -new Date().getTimezoneOffset();
  const minutes = Math.abs(ahead) % 60;
  const offset = `UTC${ahead < 0 ? "−" : "+"}${Math.floor(Math.abs(ahead) / 60)}${minutes ? `:${two(minutes)}` : ""}`;
  return ahead === 0 && /^(UTC|Etc\/UTC)?$/.test(name ?? "") ? "UTC" : `${name}, ${offset}`;
}

/** The same time in UTC for the place beside a local one, with the day only where it is another one. */
export function besideText(time) {
  const [day, clock] = utcText(time).split(" ");
  return localDayText(time) === localDayText(`${day}T12:00:00`) ? `${clock} UTC` : `${dayText(time)} ${clock} UTC`;
}

/** A `time` element in local time, with UTC below it. */
export const moment = (iso) =>
  h("time", { datetime: iso, title: utcText(iso) }, momentText(iso), h("small", { class: "utc" }, besideText(iso)));

/** Returns a term and its value. `more` are elements that follow, such as a copy button. */
export const fact = (term, text, ...more) => h("div", {}, h("dt", {}, term), h("dd", {}, text, ...more));
export const timeFact = (term, iso) => fact(term, moment(iso));
/** A time, and how long after another one it was. */
export const laterFact = (term, iso, before) =>
  fact(term, moment(iso), h("small", {}, `after ${durationText((Date.parse(iso) - Date.parse(before)) / 1_000)}`));

/** A term and an id with a copy button. `what` names it for screen readers. */
export const idFact = (term, id, what) => fact(term, ...copied(id, what));

/** Returns an id and its copy button. */
export const copied = (id, what) => [h("code", {}, id), " ", copyButton(what, () => id)];

/** Gives the element with an id of the open view its copy button. */
export function copyBeside(id, what) {
  byId(id).nextElementSibling?.remove();
  byId(id).after(" ", copyButton(what, () => byId(id).textContent));
}

/** Returns the buttons of a filter by status: all, and each one. `count()` returns what else is in a button. */
export const chipsOf = (statuses, pick, count = () => []) =>
  ["", ...statuses].map((status) =>
    h(
      "button",
      { class: "chip", type: "button", "data-status": status, onclick: () => pick(status) },
      h("span", {}, status ? words(status) : "all"),
      ...count(),
    ),
  );

/** Shows which status the buttons of a filter have chosen. */
export function press(chips, status) {
  for (const chip of chips.children) setAttributes(chip, { "aria-pressed": String(chip.dataset.status === status) });
}

const drawn = new WeakMap();

/** Gives an element the children that `draw()` returns, if `data` differs from the last time: others keep their focus. */
export function redraw(element, data, draw) {
  const text = JSON.stringify(data);
  if (drawn.get(element) === text) return;
  drawn.set(element, text);
  element.replaceChildren(...draw());
}

const NARROW = "\u00a0"; // a non-breaking space
/** @type {[number, string, number, string][]} */
const UNITS = [
  [86_400, "d", 3_600, "h"],
  [3_600, "h", 60, "min"],
  [60, "min", 1, "s"],
];

/** Formats seconds with at most two units: "0.4 s", "12 s", "3 min 20 s", "2 d 4 h". No line breaks before a unit. */
export function durationText(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)}${NARROW}s`;
  const whole = Math.round(seconds);
  for (const [size, unit, smaller, smallerUnit] of UNITS) {
    if (whole < size) continue;
    const rest = Math.floor((whole % size) / smaller);
    return `${Math.floor(whole / size)}${NARROW}${unit}${rest ? ` ${rest}${NARROW}${smallerUnit}` : ""}`;
  }
  return `${whole}${NARROW}s`;
}

/** Formats bytes: "812 B", "41 kB", "3.2 MB". */
export function sizeText(bytes) {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Returns a problem's text: its message, its code, and what to do. An error without a code is a bug of this page. */
export function problemText(error) {
  if (!error.code) return "Something went wrong in this page (page_error). Please reload it.";
  const wait = error.retryAfter ? ` Try again in ${Math.ceil(error.retryAfter)} s.` : "";
  const request = error.requestId ? ` Request ${error.requestId}.` : "";
  return `${error.message.replace(/[.\s]+$/, "")} (${error.code}).${wait}${request}`;
}

/** Returns why something has failed, as the API says it: "The face check was not passed. (attempt_failed)". */
export function reasonText({ message, code, upstream_code: upstream }) {
  return `${message} (${code}${upstream ? `, crun code ${upstream}` : ""})`;
}

/** Copies with the clipboard API, or with execCommand if there is none (plain http, old browsers). */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyWithCommand(text);
  }
}

function copyWithCommand(text) {
  const before = /** @type {HTMLElement} */ (document.activeElement);
  const area = h("textarea", { class: "visually-hidden", readonly: true, "aria-hidden": "true", tabindex: "-1" });
  area.value = text;
  // Elements outside of an open dialog are inert and cannot be selected.
  (before?.closest("dialog") ?? document.body).append(area);
  area.select();
  let copied = false;
  try {
    copied = document.execCommand("copy");
  } catch {
    // The browser does not support the command. The caller reports it.
  }
  area.remove();
  before?.focus();
  return copied;
}

const COPIED_MS = 1_600;

/** Returns a button that copies the result of `text()`. `what` names it for screen readers. */
export function copyButton(what, text) {
  const button = h("button", { class: "copy", type: "button", "aria-label": `Copy ${what}` }, "Copy");
  let timer = 0;
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    setText(button, copied ? "Copied" : "Not copied");
    announce(copied ? `Copied ${what}` : `The browser did not allow copying ${what}. Please select it by hand`);
    clearTimeout(timer);
    timer = setTimeout(() => setText(button, "Copy"), COPIED_MS);
  });
  return button;
}

/** Disables a button for some seconds. */
export function disableFor(button, seconds) {
  button.disabled = true;
  setTimeout(
    () => {
      button.disabled = false;
    },
    (seconds ?? 0) * 1_000,
  );
}

/** Waits, or until `signal` aborts. */
export function waiting(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(null)), { once: true });
  });
}
