// Exports the filtered list as a file: reads it page by page in the browser, and can be stopped.

import { csvOf, save } from "./console_csv.js";
import { queryOf } from "./console_filter.js";
import { announce, byId, localDayText, problemText, waiting } from "./console_parts.js";
import { setText } from "./dom.js";

const PAGE = 100;
/** The largest export. A larger one is cut off, and says so: the inventory's export has everything. */
const MOST = 20_000;
const MOST_WAITS = 20;
const COLUMNS = ["id", "status", "reference", "language", "group_id", "created_at", "updated_at", "last_error"];

/** Returns sessions as CSV. */
const tableOf = (sessions) =>
  csvOf([COLUMNS, ...sessions.map((each) => [...COLUMNS.slice(0, -1).map((name) => each[name]), each.last_error?.code])]);

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
      const name = `sessions-${new Date().toISOString().slice(0, 10)}.${kind}`;
      if (kind === "csv") save(tableOf(sessions), name);
      else save(`${JSON.stringify(sessions, null, 2)}\n`, name, "application/json");
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
        await waiting(error.retryAfter * 1_000, signal);
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
