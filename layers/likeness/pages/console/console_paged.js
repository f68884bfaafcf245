// A list of the API, newest first, that is updated live with all of its pages that were opened.

import { byId, keepList } from "./console_parts.js";
import { setText } from "./dom.js";

export class Paged {
  #api;
  #live;
  #name;
  #parts;
  #poller = null;
  #path = null;
  #pages = 1;
  #focus = 0;

  /**
   * `name` is that of the items in a response, and begins the ids of the elements. `parts`: `key(item)` names an item,
   * `make(item)` and `show(row, item)` draw it, `none` is shown without any, `pause` is between updates, for each page.
   */
  constructor(api, live, name, parts, signal) {
    this.#api = api;
    this.#live = live;
    this.#name = name;
    this.#parts = parts;
    this.#of("more").addEventListener("click", () => this.#more(), { signal });
  }

  /** Shows another list, or none: `path` has a query, and is null for no list. */
  open(path) {
    if (path === this.#path) return;
    this.#live.remove(this.#poller);
    this.#poller = null;
    this.#path = path;
    this.#pages = 1;
    this.#focus = 0;
    this.#of("rows").replaceChildren();
    this.#of("more").hidden = true;
    this.#note("Loading…");
    const pause = () => this.#parts.pause * this.#pages;
    if (path) this.#poller = this.#live.add(() => this.#refresh(path), pause);
  }

  /** Updates the list now. */
  now() {
    this.#poller?.now();
  }

  #of(part) {
    return byId(`${this.#name}-${part}`);
  }

  #note(text) {
    setText(this.#of("note"), text);
    this.#of("note").hidden = !text;
  }

  #more() {
    if (this.#focus) return; // the next page is on its way
    this.#pages += 1;
    this.#focus = this.#of("rows").children.length;
    this.now();
  }

  async #refresh(path) {
    const items = [];
    let cursor = null;
    for (let page = 0; page < this.#pages; page += 1) {
      const answer = await this.#api("GET", cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path);
      if (path !== this.#path) return;
      items.push(...answer[this.#name]);
      cursor = answer.next_cursor;
      if (!cursor) break;
    }
    const { key, make, show, none } = this.#parts;
    const rows = this.#of("rows");
    keepList(rows, items, key, make, show);
    this.#note(items.length ? "" : cursor ? "Nothing among the newest ones." : none);
    // A button that is no longer there loses the focus, which goes on to the first item that it has added.
    const lost = this.#focus && !cursor && document.activeElement === this.#of("more");
    this.#of("more").hidden = !cursor;
    if (lost) rows.children[this.#focus]?.querySelector("a").focus();
    if (!cursor || items.length > this.#focus) this.#focus = 0;
  }
}
