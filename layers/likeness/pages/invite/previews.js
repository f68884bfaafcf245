// Pictures that are stored already, for example after a reload. Their links are secrets that work for five minutes: they
// are kept in memory only.

import { call, serverNow } from "./api.js";
import { hasPreview } from "./state.js";

/** A link is renewed this long before it expires. */
const SPARE_MS = 10_000;

/** The links of one session's pictures, by asset. A link is requested once its row is on the screen. */
export class Previews {
  /** `arrived(row)` is called when a link has arrived. */
  constructor(key, sessionId, arrived) {
    this.key = key;
    this.sessionId = sessionId;
    this.arrived = arrived;
    this.links = new Map();
    this.waiting = new Map();
    this.onScreen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.request(target);
      }
    });
  }

  /** Returns the link to an asset's picture for `row`, null while there is none. */
  of(asset, row) {
    if (!hasPreview(asset)) return null;
    const known = this.links.get(asset.id);
    // A row keeps the link that it asked for: its picture stays on the page after the link has expired.
    if (known && (row === known.row || known.until > serverNow())) return known.url;
    if (known !== null && !this.waiting.has(row.element)) {
      this.waiting.set(row.element, { asset, row });
      this.onScreen.observe(row.element);
    }
    return null;
  }

  async request(element) {
    const { asset, row } = this.waiting.get(element) ?? {};
    this.onScreen.unobserve(element);
    if (!asset) return;
    try {
      const { url, expires_at: end } = await call(this.key, "GET", `sessions/${this.sessionId}/assets/${asset.id}/preview`);
      this.links.set(asset.id, { url, until: Date.parse(end) - SPARE_MS, row });
    } catch {
      this.links.set(asset.id, null); // the row keeps its icon
    }
    this.waiting.delete(element);
    this.arrived(row);
  }
}
