// Exports the filtered list as a file: reads it page by page in the browser, and can be stopped.

import { queryOf } from "./console_filter.js";
import { announce, byId, localDayText, problemText } from "./console_parts.js";
import { h, setText } from "./dom.js";

const PAGE = 100;
/** The largest export. A larger one is cut off, and says so: the inventory's export has everything. */
const MOST = 20_000;
const MOST_WAITS = 20;
const COLUMNS = ["id", "status", "reference", "language", "group_id", "created_at", "updated_at", "last_error"];

/** Returns rows as CSV by RFC 4180 for spreadsheets: with a byte order mark, and no cell is taken for a formula. */
export function csvOf(sessions) {
  const rows = sessions.map((each) => [...COLUMNS.slice(0, -1).map((name) => each[name]), each.last_error?.code]);
  return `\ufeff${[COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;
}

function cell(value) {
  const text = String(value ?? "");
  // A spreadsheet runs a cell that begins like this as a formula, also after a comma or a tab in the same file.
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

export class Export {
  #api;
  #filter;
  #running = null;

  /** `filter()` returns the filter of the list. */
  constructor(api, filter, signal) {
    this.#api = api;
    this.#filter = filter;
    byId("export-csv").addEventListener("click", () => this.#run("csv"), { signal });
    byId("export-json").addEventListener("click", () => this.#run("json"), { signal });
    byId("export-stop").addEventListener("click", () => this.#running?.abort(), { signal });
    signal.addEventListener("abort", () => this.#running?.abort());
    this.#show("");
  }

  async #run(kind) {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    this.#show("Reading…");
    byId("export-stop").focus();
    const sessions = [];
    try {
      const complete = await this.#read(sessions, running.signal);
      save(kind, sessions);
      this.#end(complete ? `${sessions.length} exported.` : `The newest ${MOST} exported: choose a shorter period.`);
    } catch (error) {
      this.#end(running.signal.aborted ? "Stopped. No file was made." : `Not exported: ${problemText(error)}`);
    }
    if (document.activeElement === document.body) byId(`export-${kind}`).focus();
  }

  #end(text) {
    this.#running = null;
    this.#show(text);
    announce(text);
  }

  #show(text) {
    const running = Boolean(this.#running);
    byId("export-csv").hidden = byId("export-json").hidden = running;
    byId("export-stop").hidden = !running;
    setText(byId("export-note"), text);
  }

  /** Adds all sessions of the list. Returns whether that was all of it. */
  async #read(sessions, signal) {
    const query = queryOf(this.#filter());
    query.set("limit", String(PAGE));
    let looked = 0;
    for (let waits = 0; ; ) {
      let page;
      try {
        page = await this.#api("GET", `sessions?${query}`);
      } catch (error) {
        if (!error.retryAfter || waits === MOST_WAITS) throw error;
        waits += 1;
        await pause(error.retryAfter * 1_000, signal);
        continue;
      } finally {
        signal.throwIfAborted();
      }
      sessions.push(...page.sessions);
      looked += page.examined;
      if (!page.next_cursor) return true;
      if (sessions.length >= MOST) {
        sessions.length = MOST;
        return false;
      }
      this.#show(`${sessions.length} found among ${looked}, back to ${localDayText(page.examined_to)}…`);
      query.set("cursor", page.next_cursor);
    }
  }
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(() => done(null), ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        done(null);
      },
      { once: true },
    );
  });
}

function save(kind, sessions) {
  const text = kind === "csv" ? csvOf(sessions) : `${JSON.stringify(sessions, null, 2)}\n`;
  const url = URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
  h("a", { href: url, download: `sessions-${new Date().toISOString().slice(0, 10)}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
