// The list of sessions, newest first, with filter, search and pages. Updates keep the visible rows in place.

import { fillFields, filterIn, narrows, nothingFound, queryOf, readFields, searches, suffixOf } from "./console_filter.js";
import { byId, chipsOf, copyButton, keepList, localDayText, makeRow, press, setAttributes, showRow } from "./console_parts.js";
import { h, setText } from "./dom.js";

export const STATUSES = ["requires_input", "processing", "verified", "canceled", "redacted"];
export const SESSION_ID = /^ses_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

const PAGE = 25;
/** The path of the list's first request without a filter. */
export const FIRST_PAGE = `sessions?limit=${PAGE}`;
const SEARCH_PAGE = 100;
/** A search makes at most this many calls, each of which reads a few pages, and then offers a button. */
const SEARCH_CALLS = 10;
/** A tab that was hidden reads at most this many pages to catch up. If more are missing, it reloads the list. */
const CATCH_UP_PAGES = 4;
const PAUSE_MS = 4_000;
const SEARCH_PAUSE_MS = 12_000;
const TYPING_MS = 400;

/** The loaded sessions, newest first. Ids are in order of time. */
class Loaded {
  sessions = new Map();
  /** The cursor of the next page: null at the end of the list, undefined before the first response. */
  tail;
  /** The cursor of the older page that the next update reads, null for the first one. */
  olderPage = null;
  /** How many sessions were looked at for a search, and back to which time: null at the end of the list. */
  examined = 0;
  examinedTo = null;

  get ids() {
    return [...this.sessions.keys()].sort().reverse();
  }

  get oldest() {
    return this.ids.at(-1);
  }

  /**
   * Adds a page. A loaded session whose id is in the page's range, but not in the page, no longer matches the filter
   * and is removed. The page has ids below `above`; those below `floor` are ignored.
   */
  take(page, above = "t", floor = "") {
    const ids = page.sessions.map((session) => session.id);
    const reach = page.next_cursor === null ? "" : (ids.at(-1) ?? above);
    const fresh = new Set(ids);
    for (const id of this.sessions.keys()) {
      if (id < above && id >= reach && !fresh.has(id)) this.sessions.delete(id);
    }
    for (const session of page.sessions) {
      if (session.id >= floor) this.sessions.set(session.id, session);
    }
  }
}

export class SessionList {
  #api;
  #live;
  #poller = null;
  #onSeen;
  #filter;
  #loaded = new Loaded();
  #open = null;
  #typing = 0;

  /** `onSeen(session)` is called with each loaded session after every update. */
  constructor(api, live, onSeen) {
    this.#api = api;
    this.#live = live;
    this.#onSeen = onSeen;
    this.#filter = filterIn(location.hash, STATUSES);
    this.#makeFilters();
    this.#showFilter();
    setText(byId("welcome-curl"), curl());
    byId("welcome-copy").replaceChildren(copyButton("the command", curl));
    this.#poller = live.add(
      () => this.#refresh(),
      () => (searches(this.#filter) ? SEARCH_PAUSE_MS : PAUSE_MS),
    );
  }

  /** Adds the event listeners, until `signal` aborts. */
  listen(signal) {
    byId("more").addEventListener("click", () => this.#more(), { signal });
    byId("search").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        this.#search();
      },
      { signal },
    );
    for (const id of ["find-by", "created-from", "created-to"]) {
      byId(id).addEventListener("change", () => this.#search(), { signal });
    }
    byId("clear").addEventListener(
      "click",
      () => {
        this.#change(filterIn("", STATUSES));
        byId("reference").focus();
      },
      { signal },
    );
    byId("welcome-new").addEventListener("click", () => byId("new").click(), { signal });
    byId("reference").addEventListener(
      "input",
      () => {
        clearTimeout(this.#typing);
        this.#typing = setTimeout(() => this.#search(), TYPING_MS);
      },
      { signal },
    );
  }

  /** Updates the list now, because something was created or erased. */
  now() {
    this.#poller.now();
  }

  /** The filter that the list shows. */
  get filter() {
    return this.#filter;
  }

  /** Takes the filter of the page's fragment, if it has one, and puts the current one into the fragment. */
  route() {
    if (location.hash.includes("?")) this.#change(filterIn(location.hash, STATUSES));
    else this.#keepInUrl();
  }

  /** Returns the session as it was listed, or null. */
  known(id) {
    return this.#loaded.sessions.get(id) ?? null;
  }

  /** Marks the open session's row. */
  mark(id) {
    this.#open = id;
    for (const row of byId("rows").children) {
      setAttributes(row.firstChild, { "aria-current": row.dataset.key === id ? "true" : null });
    }
  }

  /** Focuses the row of a session. Returns whether there is one. */
  focus(id) {
    const row = [...byId("rows").children].find((each) => each.dataset.key === id);
    row?.firstChild.focus();
    return Boolean(row);
  }

  /** Shows the number of sessions per filter. `range` names the counted days. */
  showCounts(counts, range) {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    for (const chip of byId("filters").children) {
      const status = chip.dataset.status;
      setText(chip.lastChild, String(status ? (counts[status] ?? 0) : total));
    }
    setText(byId("counted"), `Counts include sessions created in the ${range}.`);
  }

  #makeFilters() {
    const count = () => [" ", h("b", {}, "–")];
    byId("filters").replaceChildren(...chipsOf(STATUSES, (status) => this.#search(status), count));
  }

  #search(status = this.#filter.status) {
    clearTimeout(this.#typing);
    const wanted = byId("reference").value.trim();
    if (SESSION_ID.test(wanted)) {
      location.hash = wanted;
      return;
    }
    const filter = readFields(status);
    if (filter) this.#change(filter, false);
  }

  /** Shows the sessions of another filter. Fields in which somebody types are left alone. */
  #change(filter, fill = true) {
    const same = suffixOf(filter) === suffixOf(this.#filter);
    this.#filter = filter;
    this.#showFilter(fill);
    this.#keepInUrl();
    if (!same) this.#restart();
  }

  #showFilter(fill = true) {
    if (fill) fillFields(this.#filter);
    press(byId("filters"), this.#filter.status);
    byId("clear").hidden = !narrows(this.#filter);
  }

  /** Puts the filter into the fragment, and into the links that lead away from the list and back. */
  #keepInUrl() {
    const suffix = suffixOf(this.#filter);
    const view = location.hash.slice(1).split("?")[0] || "sessions";
    if (suffix || location.hash.includes("?")) history.replaceState(null, "", `#${view}${suffix}`);
    for (const id of ["back", "to-sessions"]) setAttributes(byId(id), { href: `#sessions${suffix}` });
    setAttributes(byId("to-numbers"), { href: `#numbers${suffix}` });
    for (const row of byId("rows").children) setAttributes(row.firstChild, { href: `#${row.dataset.key}${suffix}` });
  }

  #restart() {
    this.#loaded = new Loaded();
    setText(byId("list-note"), "Loading…");
    byId("list-note").hidden = false;
    byId("list").scrollTop = 0;
    this.#poller.now();
  }

  #page(cursor) {
    const query = queryOf(this.#filter);
    query.set("limit", String(searches(this.#filter) ? SEARCH_PAGE : PAGE));
    if (cursor) query.set("cursor", cursor);
    return this.#api("GET", `sessions?${query}`);
  }

  /** Does one update: reads the newest page, and one of the loaded older pages. */
  async #refresh() {
    const loaded = this.#loaded;
    const first = await this.#page(null);
    if (loaded !== this.#loaded) return;
    if (loaded.tail === undefined) await this.#fill(loaded, first);
    else await this.#catchUp(loaded, first);
    if (loaded !== this.#loaded) return;
    this.#show();
    await this.#older(loaded, first);
    if (loaded === this.#loaded) this.#show();
  }

  async #fill(loaded, first) {
    let page = first;
    for (let calls = 1; ; calls += 1) {
      if (loaded !== this.#loaded) return;
      loaded.take(page, loaded.oldest);
      loaded.tail = page.next_cursor;
      this.#looked(loaded, page);
      if (loaded.tail === null || loaded.sessions.size > 0 || calls === SEARCH_CALLS) return;
      page = await this.#page(loaded.tail);
    }
  }

  #looked(loaded, page) {
    loaded.examined += page.examined;
    loaded.examinedTo = page.examined_to;
  }

  /** Reads pages from the newest one until they overlap with the loaded ones. */
  async #catchUp(loaded, first) {
    const newest = loaded.ids[0];
    const pages = [first];
    while (newest && apart(pages.at(-1), newest) && pages.length < CATCH_UP_PAGES) {
      pages.push(await this.#page(pages.at(-1).next_cursor));
    }
    const last = pages.at(-1);
    if (newest && apart(last, newest)) {
      loaded.sessions.clear();
      loaded.olderPage = null;
      loaded.tail = last.next_cursor;
    }
    if (!newest) loaded.tail ??= last.next_cursor;
    let above;
    for (const page of pages) {
      loaded.take(page, above);
      above = page.sessions.at(-1)?.id ?? above;
    }
    if (last.next_cursor === null) loaded.tail = null;
  }

  async #older(loaded, first) {
    const end = first.sessions.at(-1)?.id;
    if (!end || loaded.oldest >= end) return;
    const from = loaded.olderPage ?? { cursor: first.next_cursor, above: end };
    if (!from.cursor) return;
    const page = await this.#page(from.cursor);
    if (loaded !== this.#loaded) return;
    const last = page.sessions.at(-1)?.id;
    const over = !page.next_cursor || !last || last <= loaded.oldest;
    loaded.take(page, from.above, loaded.oldest);
    loaded.olderPage = over ? null : { cursor: page.next_cursor, above: last };
  }

  async #more() {
    const loaded = this.#loaded;
    const more = byId("more");
    if (more.disabled) return;
    more.disabled = true;
    const before = loaded.sessions.size;
    try {
      for (let calls = 0; calls < SEARCH_CALLS && loaded.tail && loaded.sessions.size === before; calls += 1) {
        const page = await this.#page(loaded.tail);
        if (loaded !== this.#loaded) return;
        loaded.take(page, loaded.oldest);
        loaded.tail = page.next_cursor;
        this.#looked(loaded, page);
      }
      this.#live.report(this.#poller, null);
      this.#show();
      if (more.hidden) [...byId("rows").children][before]?.firstChild.focus();
    } catch (error) {
      this.#live.report(this.#poller, error);
    } finally {
      setTimeout(() => {
        more.disabled = false;
      }, this.#live.hold);
    }
  }

  #show() {
    const loaded = this.#loaded;
    const sessions = loaded.ids.map((id) => loaded.sessions.get(id));
    stayInPlace(() => keepList(byId("rows"), sessions, (each) => each.id, makeRow, showSession));
    this.mark(this.#open);
    this.#keepInUrl();
    const more = byId("more");
    more.hidden = !loaded.tail;
    setText(more, searches(this.#filter) ? "Look through older sessions" : "More");
    const note = this.#note(sessions.length, loaded);
    setText(byId("list-note"), note);
    byId("list-note").hidden = !note;
    byId("welcome").hidden = Boolean(sessions.length || loaded.tail || narrows(this.#filter));
    for (const session of sessions) this.#onSeen(session);
  }

  #note(count, { tail, examined, examinedTo }) {
    if (tail && searches(this.#filter)) {
      const found = count ? `${count} found` : "Nothing found";
      return `${found} among the newest ${examined}, back to ${localDayText(examinedTo)}. There are older sessions.`;
    }
    if (count || !narrows(this.#filter)) return "";
    return tail ? "No match among the newest sessions." : nothingFound(this.#filter);
  }
}

/** Returns a command that creates a session. */
function curl() {
  return [
    `curl ${new URL("sessions", location.href)} \\`,
    '  -H "x-api-key: $LIKENESS_API_KEY" \\',
    '  -H "content-type: application/json" \\',
    `  -d '{"start": "on_open", "reference": "order-1"}'`,
  ].join("\n");
}

/** Whether sessions may be missing between the page's end and the newest one that is loaded. */
function apart(page, newest) {
  return page.next_cursor !== null && !(page.sessions.at(-1)?.id <= newest);
}

const showSession = (row, session) => showRow(row, session, session.status === "redacted", "", session.last_error);

/** Changes the list without moving the visible rows. */
function stayInPlace(change) {
  const list = byId("list");
  const scroller =
    list.scrollHeight > list.clientHeight + 1 && getComputedStyle(list).overflowY === "auto"
      ? list
      : document.scrollingElement;
  const top = scroller === list ? list.getBoundingClientRect().top : 0;
  const anchor =
    scroller.scrollTop > 0 ? [...byId("rows").children].find((row) => row.getBoundingClientRect().bottom > top) : null;
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scroller.scrollTop += anchor.getBoundingClientRect().top - before;
}
