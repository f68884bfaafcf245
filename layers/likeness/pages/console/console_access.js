// The client's keys and webhook endpoints, without secrets. The operator's commands create and rotate both.

import { announce, byId, disableFor, fact, keepList, momentText, problemText, redraw, showBadge } from "./console_parts.js";
import { h, setText } from "./dom.js";

const PAUSE_MS = 15_000;

export class Access {
  #api;
  #live;
  #poller = null;

  constructor(api, live) {
    this.#api = api;
    this.#live = live;
  }

  /** Sets whether the view is open. It is updated only then. */
  set visible(visible) {
    if (visible === Boolean(this.#poller)) return;
    if (visible) {
      this.#poller = this.#live.add(
        () => this.#refresh(),
        () => PAUSE_MS,
      );
    } else {
      this.#live.remove(this.#poller);
      this.#poller = null;
    }
  }

  /** Removes everything from the page. */
  forget() {
    this.visible = false;
    byId("client-keys").replaceChildren();
    byId("webhooks").replaceChildren();
  }

  async #refresh() {
    const [{ keys }, { webhooks }] = await Promise.all([this.#api("GET", "client-keys"), this.#api("GET", "webhooks")]);
    keepList(byId("client-keys"), keys, (each) => each.id, makeKey, showKey);
    keepList(byId("webhooks"), webhooks, (each) => each.id, (each) => this.#makeWebhook(each), showWebhook);
    byId("no-webhooks").hidden = webhooks.length > 0;
  }

  #makeWebhook({ id }) {
    const note = h("p", { class: "hint note" });
    const act = (what, name, text) => {
      const button = h("button", { type: "button" }, what);
      button.addEventListener("click", () => this.#act(button, note, `webhooks/${id}/${name}`, text));
      return button;
    };
    return h(
      "li",
      {},
      h("div", { class: "heading" }, h("code", { class: "url" }), h("span", { class: "badge" })),
      h("p", { class: "id" }, h("code", {}, id)),
      h("dl", { class: "facts" }),
      h(
        "div",
        { class: "actions" },
        act("Send a test event", "test", ({ event_id: event }) => `${event} is queued.`),
        act("Send failed deliveries again", "replay", ({ replayed, complete }) =>
          `${replayed} ${replayed === 1 ? "delivery is" : "deliveries are"} queued again.` +
          (complete ? "" : " More may be left: repeat it."),
        ),
      ),
      note,
    );
  }

  async #act(button, note, path, textOf) {
    button.disabled = true;
    let wait = 0;
    let text;
    try {
      text = textOf(await this.#api("POST", path));
    } catch (error) {
      text = problemText(error);
      wait = error.retryAfter ?? 0;
    }
    setText(note, text);
    announce(text);
    disableFor(button, wait);
    this.#poller?.now();
  }
}

function makeKey({ id }) {
  return h(
    "li",
    {},
    h("div", { class: "heading" }, h("code", { class: "url" }, id), h("span", { class: "badge" })),
    h("dl", { class: "facts" }),
  );
}

function showKey(row, key) {
  showBadge(row.querySelector(".badge"), key.revoked_at ? "revoked" : "active");
  update(row, [
    ["Created", momentText(key.created_at)],
    ...(key.revoked_at ? [["Revoked", momentText(key.revoked_at)]] : []),
    ["Return origins", key.return_origins.join(", ") || "none"],
  ]);
}

function showWebhook(row, webhook) {
  setText(row.querySelector(".url"), webhook.url);
  showBadge(row.querySelector(".badge"), webhook.state);
  row.querySelector(".actions").hidden = webhook.state === "disabled";
  update(row, [
    ...(webhook.since ? [["Since", momentText(webhook.since)]] : []),
    ...(webhook.last_failure ? [["Last failure", failureText(webhook.last_failure)]] : []),
    ["Events", webhook.event_types.join(", ") || "all"],
    ["Created", momentText(webhook.created_at)],
  ]);
}

const failureText = (failure) => (/^\d+$/.test(failure) ? `HTTP ${failure}` : failure.replaceAll("_", " "));

/** Shows facts if they have changed. */
function update(row, pairs) {
  redraw(row.querySelector(".facts"), pairs, () => pairs.map(([name, value]) => fact(name, value)));
}
