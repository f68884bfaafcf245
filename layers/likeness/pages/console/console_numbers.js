// The numbers: how many sessions and assets there are, how many succeeded, how fast, and why others failed.

import { columnChart, drawInto, rankChart } from "./charts.js";
import { STATUSES } from "./console_list.js";
import { histogram, passRate, placeIn, quantile, readDays, summary } from "./console_stats.js";
import { byId, dayText, durationText, words } from "./console_parts.js";
import { h, setText } from "./dom.js";

const PAUSE_MS = 60_000;
const SAME = "The table below has the same figures.";
const STACKED = ["verified", "processing", "requires_input", "canceled", "redacted"];

const percent = (share) =>
  share === null ? "–" : `${(share * 100).toFixed(share > 0.995 || share < 0.005 ? 0 : 1).replace(/\.0$/, "")} %`;
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
    for (const id of ["tiles", "per-day", "speed", "session-failures", "asset-failures"]) byId(id).replaceChildren();
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
      `Created from ${dayText(days[0].date)} to ${dayText(days.at(-1).date)}, by their status now.`,
    );
    showTiles(all);
    showDays(days);
    showSpeed(all);
    showFailures("session-failures", "Why sessions need another attempt", "sessions", all.failures);
    showFailures("asset-failures", "Why assets failed", "assets", all.asset_failures);
  }
}

function showTiles(all) {
  const failed = Object.values(all.failures).reduce((sum, count) => sum + count, 0);
  const active = all.assets.active ?? 0;
  const tiles = [
    ["Sessions", String(all.sessions), `${all.verified} verified`],
    ["Pass rate", percent(all.passRate), `${all.verified} verified, ${failed} not passed`],
    [
      "Median time to Active",
      timeOrNone(all.median),
      all.most === null ? "none submitted yet" : `90 % within ${durationText(all.most)}`,
    ],
    ["Assets Active", String(active), `${all.assets.failed ?? 0} failed`],
  ];
  byId("tiles").replaceChildren(
    ...tiles.map(([name, value, more]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), h("small", {}, more))),
    ),
  );
}

/** Draws a figure with caption, legend, chart and table. Drawing it again reuses its elements. */
function frame(id, title, { legend = [], head, rows, empty }, draw) {
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
        h("summary", {}, "As a table"),
        h(
          "div",
          { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}, as a table` },
          h("table", {}, h("thead"), h("tbody")),
        ),
      ),
    );
  }
  const [, none, key, plot, details] = figure.children;
  setText(none, rows.length ? "" : empty);
  none.hidden = rows.length > 0;
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
    "Sessions per day",
    {
      legend: used.map((status) => [`is-${status}`, words(status)]),
      head: ["Day", "Sessions", ...STATUSES.map(words), "Pass rate", "Median to Active"],
      rows: sum
        ? [...days]
            .reverse()
            .map((day) => [
              dayText(day.date),
              day.sessions,
              ...STATUSES.map((status) => day.statuses[status] ?? 0),
              percent(passRate(day)),
              timeOrNone(quantile(day.buckets, 0.5)),
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
  const columns = found.map((column) => ({
    name: `≤ ${durationText(column.to)}`,
    title: `${between(column)}: ${column.count} assets`,
    parts: [{ kind: "is-active", value: column.count }],
  }));
  frame(
    "speed",
    "Time from submission to Active",
    {
      head: ["Time", "Assets"],
      rows: found.filter((column) => column.count).map((column) => [between(column), column.count]),
      empty: "No assets became Active in these days.",
    },
    (width) =>
      columnChart(width, {
        name: `Time to Active: median ${durationText(all.median)}. ${SAME}`,
        columns,
        marks: [
          { at: placeIn(found, all.median), text: `median ${durationText(all.median)}` },
          { at: placeIn(found, all.most), text: `90 % ${durationText(all.most)}` },
        ],
      }),
  );
}

function showFailures(id, title, what, counts) {
  const rows = Object.entries(counts)
    .filter(([, count]) => count)
    .sort(([, one], [, other]) => other - one);
  frame(
    id,
    title,
    {
      head: ["Reason", what],
      rows: rows.map(([code, count]) => [words(code), count]),
      empty: `No ${what} failed in these days.`,
    },
    (width) =>
      rankChart(width, {
        name: `${title}: ${rows.map(([code, count]) => `${words(code)} ${count}`).join(", ")}. ${SAME}`,
        kind: "is-failed",
        rows: rows.map(([code, value]) => ({ name: words(code), value })),
      }),
  );
}
