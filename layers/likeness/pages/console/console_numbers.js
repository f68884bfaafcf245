// The numbers: how many sessions and assets there are, how many succeeded, how fast, and why others failed.

import { columnChart, drawInto, rankChart, timeChart } from "./charts.js";
import { STATUSES } from "./console_list.js";
import { conversion, histogram, passRate, quantile, readDays, summary } from "./console_stats.js";
import { byId, dayText, durationText, words } from "./console_parts.js";
import { h, setText } from "./dom.js";

const PAUSE_MS = 60_000;
const SAME = "The table below has the same figures.";
const STACKED = ["verified", "processing", "requires_input", "canceled", "redacted"];

/** The steps of the funnel: the field, its name, and what it counts. */
const STEPS = [
  ["created", "Created", "All sessions of these days."],
  ["consented", "Consented", "A consent is on record. Your own app may ask for it instead, if it makes the link itself."],
  [
    "opened",
    "Opened",
    "The first link to the face check was made: by the person on the invite page, or with the session. Whether the face check itself was loaded is not known.",
  ],
  ["checked", "Checked", "A result of the face check arrived, passed or not. An expired link is no result."],
  ["passed", "Passed", "One of the results was a pass, at any attempt."],
  ["verified", "Verified", "crun has confirmed the person."],
  ["active", "Active", "At least one file is or was Active."],
];

const percent = (share) =>
  share === null ? "–" : `${(share * 100).toFixed(share > 0.995 || share < 0.005 ? 0 : 1).replace(/\.0$/, "")}\u00a0%`;
const timeOrNone = (seconds) => (seconds === null ? "–" : durationText(seconds));

export class Numbers {
  #api;
  #poller;
  #onCounts;
  #visible = false;
  #days = null;
  #shown = "";

  /** `onCounts(statuses, range)` is called with the number of sessions by status, and the counted days. */
  constructor(api, live, onCounts) {
    this.#api = api;
    this.#onCounts = onCounts;
    this.#clear();
    this.#poller = live.add(
      (signal) => this.#refresh(signal),
      () => PAUSE_MS,
    );
  }

  /** Adds the event listeners, until `signal` aborts. */
  listen(signal) {
    byId("range").addEventListener(
      "change",
      () => {
        this.#clear();
        this.now();
      },
      { signal },
    );
  }

  /** Updates the numbers now. */
  now() {
    this.#poller.now();
  }

  /** Sets whether the view is open. Charts are drawn only then. */
  set visible(visible) {
    this.#visible = visible;
    if (visible) this.#show();
  }

  /** Removes everything from the page. */
  forget() {
    this.#clear();
    for (const id of ["tiles", "funnel", "per-day", "speed", "session-failures", "asset-failures"]) byId(id).replaceChildren();
  }

  get #range() {
    return Number(byId("range").value);
  }

  #clear() {
    this.#days = null;
    this.#shown = "";
    setText(byId("numbers-range"), "Loading the numbers…");
  }

  async #refresh(signal) {
    const range = this.#range;
    const days = await readDays(this.#api, range, signal);
    if (range !== this.#range) {
      this.now();
      return;
    }
    this.#days = days;
    this.#onCounts(summary(days).statuses, `last ${range} days`);
    this.#show();
  }

  #show() {
    if (!this.#visible || !this.#days) return;
    const days = this.#days;
    const text = JSON.stringify(days.map((day) => ({ ...day, buckets: [...day.buckets] })));
    if (text === this.#shown) return;
    this.#shown = text;
    const all = summary(days);
    setText(
      byId("numbers-range"),
      `Sessions created from ${dayText(days[0].date)} to ${dayText(days.at(-1).date)}. Days are in UTC: each begins at ${localMidnight(days.at(-1).date)}.`,
    );
    showTiles(all);
    showFunnel(all);
    showDays(days);
    showSpeed(all);
    showFailures(
      "session-failures",
      "Sessions that wait for another attempt, by reason",
      "sessions",
      all.failures,
      "No session waits for another attempt.",
      "As it is now: a session leaves this chart when it gets a new link. The pass rate does not change then.",
    );
    showFailures("asset-failures", "Assets that failed, by reason", "assets", all.asset_failures, "No asset failed.");
  }
}

/** Returns the local time at which a UTC day begins: "08:00 your time (UTC+8)". */
function localMidnight(date) {
  const at = new Date(date);
  const minutes = -at.getTimezoneOffset();
  if (!minutes) return "00:00 your time";
  const [hour, minute] = [at.getHours(), at.getMinutes()].map((each) => String(each).padStart(2, "0"));
  const part = Math.abs(minutes) % 60;
  const offset = `${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${part ? `:${part}` : ""}`;
  return `${hour}:${minute} your time (UTC${offset})`;
}

function showTiles(all) {
  const { created = 0, checked = 0, passed = 0, verified = 0 } = all.funnel;
  const active = all.assets.active ?? 0;
  const tiles = [
    ["Sessions", String(all.sessions), "created in these days"],
    ["Pass rate", percent(passRate(all)), `${passed} passed of ${checked} with a result of the face check`],
    ["Conversion", percent(conversion(all)), `${verified} verified of ${created} created`],
    [
      "Time to Active",
      timeOrNone(all.median),
      all.most === null ? "no asset yet" : `half within this (p50), 90\u00a0% within ${durationText(all.most)} (p90)`,
    ],
    ["Assets Active", String(active), `${all.assets.failed ?? 0} failed`],
  ];
  byId("tiles").replaceChildren(
    ...tiles.map(([name, value, more]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), h("small", {}, more))),
    ),
  );
}

function showFunnel(all) {
  const of = (step) => all.funnel[step] ?? 0;
  const texts = new Map(
    STEPS.map(([step]) => [step, all.sessions ? `${of(step)} (${percent(of(step) / all.sessions)})` : "0"]),
  );
  frame(
    "funnel",
    "How far sessions came",
    {
      note: "Of the sessions created in these days, those that have reached each step until now. Nothing takes a step back: not a new link, and not an erasure. Pass rate is Passed divided by Checked. Conversion is Verified divided by Created. The last days may still rise.",
      head: ["Step", "Sessions", "Means"],
      rows: all.sessions ? STEPS.map(([step, name, meaning]) => [name, texts.get(step), meaning]) : [],
      empty: "No sessions were created in these days.",
      summary: "What each step means, as a table",
    },
    (width) =>
      rankChart(width, {
        name: `How far sessions came: ${STEPS.map(([step, name]) => `${name} ${of(step)}`).join(", ")}. ${SAME}`,
        kind: "is-verified",
        rows: STEPS.map(([step, name]) => ({ name, value: of(step), text: texts.get(step) })),
      }),
  );
}

/** Draws a figure with caption, note, legend, chart and table. Drawing it again reuses its elements. */
function frame(id, title, { legend = [], head, rows, empty, note = "", summary = "As a table" }, draw) {
  const figure = byId(id);
  if (!figure.firstChild) {
    figure.append(
      h("figcaption", {}, title),
      h("p", { class: "hint none" }),
      h("ul", { class: "legend", "aria-hidden": "true" }),
      h("div", { class: "plot" }),
      h(
        "details",
        {},
        h("summary", {}, summary),
        h(
          "div",
          { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}, as a table` },
          h("table", {}, h("thead"), h("tbody")),
        ),
      ),
    );
  }
  const [, none, key, plot, details] = figure.children;
  setText(none, rows.length ? note : empty);
  none.hidden = rows.length > 0 && !note;
  for (const each of [key, plot, details]) each.hidden = rows.length === 0;
  key.replaceChildren(...legend.map(([kind, text]) => h("li", {}, h("i", { class: `swatch ${kind}` }), text)));
  details.querySelector("thead").replaceChildren(h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text))));
  details
    .querySelector("tbody")
    .replaceChildren(
      ...rows.map(([first, ...rest]) =>
        h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((text) => h("td", {}, String(text)))),
      ),
    );
  if (rows.length) drawInto(plot, draw);
}

function showDays(days) {
  const used = STACKED.filter((status) => days.some((day) => day.statuses[status]));
  const columns = days.map((day) => ({
    name: dayText(day.date),
    title: dayInWords(day, used),
    parts: used.map((status) => ({ kind: `is-${status}`, value: day.statuses[status] ?? 0 })),
  }));
  const sum = days.reduce((made, day) => made + day.sessions, 0);
  frame(
    "per-day",
    "Sessions per day, by their status now",
    {
      legend: used.map((status) => [`is-${status}`, words(status)]),
      head: ["Day", "Sessions", ...STATUSES.map(words), "Pass rate", "Conversion", "p50 to Active", "p90 to Active"],
      rows: sum
        ? [...days]
            .reverse()
            .map((day) => [
              dayText(day.date),
              day.sessions,
              ...STATUSES.map((status) => day.statuses[status] ?? 0),
              percent(passRate(day)),
              percent(conversion(day)),
              timeOrNone(quantile(day.buckets, 0.5)),
              timeOrNone(quantile(day.buckets, 0.9)),
            ])
        : [],
      empty: "No sessions were created in these days.",
    },
    (width) =>
      columnChart(width, {
        name: `Sessions per day: ${sum} in ${days.length} days. ${SAME}`,
        columns,
      }),
  );
}

function dayInWords(day, statuses) {
  const parts = statuses.filter((status) => day.statuses[status]);
  const counts = parts.map((status) => `, ${day.statuses[status]} ${words(status)}`);
  return `${dayText(day.date)}: ${day.sessions} sessions${counts.join("")}`;
}

function showSpeed(all) {
  const found = histogram(all.buckets);
  const between = (column) =>
    column.from < 1 ? `up to ${durationText(column.to)}` : `${durationText(column.from)} to ${durationText(column.to)}`;
  frame(
    "speed",
    "Time from submission to Active",
    {
      head: ["Time", "Assets"],
      rows: found.filter((column) => column.count).map((column) => [between(column), column.count]),
      empty: "No assets became Active in these days.",
      note: found.length
        ? `Half of the assets became Active within ${durationText(all.median)} (p50), 90\u00a0% within ${durationText(all.most)} (p90). The scale is logarithmic.`
        : "",
    },
    (width) =>
      timeChart(width, {
        name: `Time to Active: p50 ${durationText(all.median)}, p90 ${durationText(all.most)}. ${SAME}`,
        bars: found.map((column) => ({ ...column, title: `${between(column)}: ${column.count} assets` })),
        marks: [
          { at: all.median, text: `p50 ${durationText(all.median)}` },
          { at: all.most, text: `p90 ${durationText(all.most)}` },
        ],
        timeText: wholeTime,
      }),
  );
}

/** "5 s", "2 min", "1 h": the times of the axis are whole. */
const wholeTime = (seconds) => durationText(seconds).replace(".0", "");

function showFailures(id, title, what, counts, empty, note = "") {
  const rows = Object.entries(counts)
    .filter(([, count]) => count)
    .sort(([, one], [, other]) => other - one);
  frame(
    id,
    title,
    {
      head: ["Reason", what],
      rows: rows.map(([code, count]) => [words(code), count]),
      empty,
      note,
    },
    (width) =>
      rankChart(width, {
        name: `${title}: ${rows.map(([code, count]) => `${words(code)} ${count}`).join(", ")}. ${SAME}`,
        kind: "is-failed",
        rows: rows.map(([code, value]) => ({ name: words(code), value })),
      }),
  );
}
