// The last step: the person chooses, drops or photographs files, sees their states, and finishes.

import { ApiError, call } from "./api.js";
import { h, icon, setHeading, setText } from "./dom.js";
import { Row } from "./file_row.js";
import { given, load } from "./page.js";
import { Previews } from "./previews.js";
import { currentAssets, isAskedFor, isOpenRow, phaseOf } from "./state.js";
import { problemWords, reasonWords } from "./words.js";
import { Uploads } from "./uploads.js";
import { busyButton, errorSlot } from "./views.js";

const KINDS = ["Image", "Video", "Audio"];

/** Returns the limits of files by asset type, which are in the page. A page of an earlier version loads them. */
const limitsOf = async () => given("limits") ?? load("limits.json");

/**
 * The controller of the step. It is kept when the view is drawn again, so a change of language does not stop uploads.
 * `app` is the App of invite.js.
 */
export class FilesStep {
  constructor(app) {
    this.app = app;
    this.limits = null;
    this.rows = new Map();
    this.order = [];
    this.announced = null;
    this.adder = null;
    /** Whether a person who has finished adds more files. */
    this.adding = false;
    this.previews = new Previews(app.key, app.session.id, (row) => row.showThumb(row.model));
    const limits = limitsOf();
    limits.then((found) => {
      this.limits = found;
      if (this.hints) this.showHints();
    });
    this.uploads = new Uploads({
      key: app.key,
      sessionId: app.session.id,
      limits,
      taken: () => app.session.assets.map((each) => each.name),
      changed: (item) => this.changed(item),
      same: (_, name) => app.toast(app.t("same_file", { name })),
      replaced: (newId, oldId) => app.memory.set("replaced", { ...app.memory.get("replaced", {}), [newId]: oldId }),
    });
    addEventListener("beforeunload", (event) => {
      if (this.uploads.sending) event.preventDefault();
    });
  }

  get sending() {
    return this.uploads.sending;
  }

  /** Draws the elements of the step in the current language. */
  draw() {
    const { t } = this.app;
    this.rows.clear();
    this.heading = h("h1", { tabindex: "-1" });
    this.lead = h("p", { class: "lead" });
    this.asked = h("ul", { class: "files", id: "asked" });
    this.list = h("ul", { class: "files", id: "files" });
    this.askedPart = h("section", { "aria-labelledby": "asked-heading", hidden: true },
      setHeading(h("h2", { id: "asked-heading" }), t("places")), this.asked);
    this.listPart = h("section", { "aria-labelledby": "files-heading", hidden: true },
      setHeading(h("h2", { id: "files-heading" }), t("your_files")), this.list);
    this.more = this.dropZone();
    const element = h("div", { class: "step" }, this.heading, this.lead, this.askedPart, this.more, this.listPart,
      this.finishPart());
    if (this.limits) this.showHints();
    return element;
  }

  dropZone() {
    const { t } = this.app;
    this.moreHeading = h("h2", { id: "more-heading" });
    this.hints = h("ul", { class: "hints" }, ...KINDS.map(() => h("li", {}, "\u00a0")));
    const pickers = this.pickers({ choose: "choose_files", photo: "photo", multiple: true });
    [this.adder] = pickers;
    const zone = h("div", { class: "drop" },
      h("p", { class: "drop-words" }, icon("upload"), h("span", {}, t("drop"))),
      h("div", { class: "actions" }, ...pickers));
    const over = (on) => zone.classList.toggle("over", on);
    this.dropped = (event) => {
      event.preventDefault();
      over(false);
      if (event.type === "dragover") over(true);
      if (event.type === "drop") this.take(event.dataTransfer.files, {});
    };
    return h("section", { class: "more", "aria-labelledby": "more-heading" }, this.moreHeading, zone, this.hints);
  }

  /** The button for the end. Where files are missing, it asks first. */
  finishPart() {
    const { app } = this;
    const { t } = app;
    const trouble = errorSlot();
    const end = async () => {
      trouble.clear();
      try {
        this.adding = false;
        await app.finish();
        ask.hidden = true;
        scrollTo({ top: 0 });
        this.heading.focus({ preventScroll: true });
      } catch (error) {
        app.explain(trouble, error);
      }
    };
    this.finishing = { main: false, words: "finish_empty" };
    this.finish = busyButton(() => t(this.finishing.words), t("finishing"), async () => {
      if (this.finishing.main) return end();
      ask.hidden = false;
      question.focus({ preventScroll: true });
      ask.scrollIntoView({ block: "nearest" });
    });
    const question = h("p", { tabindex: "-1" });
    const yes = busyButton(t("finish_yes"), t("finishing"), end, "button second");
    const no = h("button", { type: "button", class: "button second", onclick: () => {
      ask.hidden = true;
      this.finish.button.focus();
    } }, t("finish_no"));
    const ask = h("div", { class: "ask", hidden: true }, question, h("div", { class: "actions" }, yes.button, no));
    this.question = question;
    this.addMore = h("button", { type: "button", class: "button second", hidden: true, onclick: () => {
      this.adding = true;
      this.show();
      this.heading.focus();
    } }, t("finish_more"));
    this.receipt = this.receiptPart();
    this.endPart = h("div", { class: "finish" }, this.finish.button, ask, trouble.element, this.receipt, this.addMore);
    this.ask = ask;
    return this.endPart;
  }

  /** Offers a receipt of the consent: its link leads to the person's own page. */
  receiptPart() {
    const { app } = this;
    const { t } = app;
    const trouble = errorSlot();
    const get = busyButton(t("receipt_get"), t("receipt_getting"), async () => {
      trouble.clear();
      try {
        const { receipt_url: url } = await call(app.key, "POST", app.path("/receipt"));
        location.assign(`me${new URL(url).hash}`);
      } catch (error) {
        app.explain(trouble, error);
      }
    }, "button second");
    const known = app.session.receipts?.find((each) => each.holder === "person");
    return h("section", { "aria-labelledby": "receipt-heading", hidden: true },
      setHeading(h("h2", { id: "receipt-heading" }), t("receipt_heading")), h("p", {}, t("receipt_offer")),
      known ? h("p", { class: "detail" }, t("receipt_again", { date: t.date(known.created_at) })) : null,
      get.button, trouble.element);
  }

  /** Shows the button for the end: as the main action unless required files are missing or nothing was sent. */
  showFinish(phase, missing, sent) {
    const { t } = this.app;
    const finished = phase.startsWith("finished");
    const main = missing.length === 0 && sent;
    this.finishing = { main, words: main ? "finish" : missing.length ? "finish_without" : "finish_empty" };
    this.finish.button.hidden = finished || phase === "sending";
    this.addMore.hidden = !finished;
    this.receipt.hidden = !finished;
    this.finish.button.classList.toggle("second", !main);
    if (this.finish.button.getAttribute("aria-disabled") !== "true") setText(this.finish.words, t(this.finishing.words));
    const names = missing.map((each) => each.name).join(t("comma"));
    setText(this.question, missing.length ? t("finish_missing", { names }) : t("finish_nothing"));
    if (this.finish.button.hidden || main) this.ask.hidden = true;
  }

  /** Removes a file from the list, and its asset from the session. */
  async remove({ asset, item, name }) {
    const { app } = this;
    try {
      if (asset) await call(app.key, "DELETE", app.path(`/assets/${asset.id}`));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return app.toast(app.t("not_removed", { name }));
    }
    app.epoch += 1;
    const assets = app.session.assets.map((each) => (each.id === asset?.id ? { ...each, status: "redacted" } : each));
    app.session = { ...app.session, assets };
    if (item) this.uploads.remove(item);
    app.refresh();
  }

  /** Handles files that are dragged over or dropped anywhere on the page. */
  onDrag(event) {
    if (event.dataTransfer?.types.includes("Files")) this.dropped(event);
  }

  /**
   * Returns a button for the file chooser, and for pictures one for the camera. `place()` returns the file's row (see
   * `placeOf`), `kind` is the required kind.
   */
  pickers({ choose, photo, name = null, kind = null, multiple = false, place = () => ({}) }) {
    const made = [this.picker(choose, { name, kind, multiple, place, style: "button second" })];
    if (!kind || kind === "Image") {
      made.push(this.picker(photo, { name, kind: "Image", place, camera: true, style: "button second camera" }));
    }
    return made.flat();
  }

  picker(words, { name, kind, multiple = false, camera = false, place, style }) {
    const { t } = this.app;
    const accept = camera ? "image/*" : this.accepted(kind);
    const input = h("input", {
      type: "file", class: "visually-hidden", tabindex: "-1", "aria-hidden": "true",
      accept, multiple, capture: camera ? "user" : null,
    });
    input.addEventListener("change", () => {
      this.take(input.files, place());
      input.value = ""; // the same file may be chosen again
    });
    const label = name === null ? null : t(`${words.replace(/_file$/, "")}_for`, { name });
    const open = () => {
      input.accept = camera ? "image/*" : this.accepted(kind);
      input.click();
    };
    const button = h("button", { type: "button", class: style, "aria-label": label, onclick: open },
      camera ? icon("camera") : null, t(words));
    return [button, input];
  }

  accepted(kind) {
    const limits = Object.entries(this.limits ?? {}).filter(([each]) => !kind || each === kind);
    return limits.flatMap(([, limit]) => [
      ...limit.content_types, ...Object.keys(limit.extensions).map((each) => `.${each}`),
    ]).join(",");
  }

  showHints() {
    const { t } = this.app;
    KINDS.forEach((kind, index) => {
      const limit = this.limits[kind];
      const { min_side: min, max_side: max, min_seconds: least, max_seconds: most } = limit;
      const { min_pixels: few, max_pixels: many } = limit;
      const values = { size: t.size(limit.max_bytes), min, max, least, most, few, many };
      setText(this.hints.children[index], t(`limit_${kind}`, values));
    });
  }

  take(files, place) {
    if (files.length === 0) return;
    // A new file replaces earlier ones of the same row.
    const before = this.uploads.items.filter((each) => each.row === place.row);
    before.forEach((each) => this.uploads.remove(each));
    for (const file of place.row ? [files[0]] : [...files]) this.uploads.add(file, place);
    if (!place.row) this.list.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  changed(item) {
    this.show();
    if (item.phase === "sent") this.app.refresh();
    this.app.changed();
  }

  /** Updates the view from the session and the uploads. */
  show() {
    if (!this.list) return;
    const { session, t } = this.app;
    this.uploads.update(session.assets);
    const models = this.inOrder(this.models(session));
    const asked = models.filter((each) => each.asked);
    const others = models.filter((each) => !each.asked);
    const phase = phaseOf(models, session.finished_at !== null && !this.adding);
    const closed = phase.startsWith("finished");
    const missing = asked.filter((each) => each.required && isOpenRow(each));
    const sent = models.some((each) => !isOpenRow(each));
    // One main action at a time: the next file that is missing, else the end, else the first file.
    const main = closed ? null : missing[0];
    for (const each of models) Object.assign(each, { closed, main: each === main });
    this.place(this.asked, asked);
    this.place(this.list, others);
    for (const [key, row] of this.rows) {
      if (models.some((each) => each.key === key)) continue;
      const focused = row.element.contains(document.activeElement);
      row.element.remove();
      this.rows.delete(key);
      if (focused) this.adder.focus({ preventScroll: true });
    }
    this.askedPart.hidden = asked.length === 0;
    this.listPart.hidden = others.length === 0;
    setHeading(this.moreHeading, t(asked.length ? "more_other" : "more"));
    this.more.hidden = closed;
    this.adder.classList.toggle("second", Boolean(main) || sent);
    this.showFinish(phase, missing, sent);
    this.showHeading(phase, missing, asked);
    this.announceChanges(models);
  }

  showHeading(phase, missing, asked) {
    const { t } = this.app;
    const count = missing.length;
    const words = {
      add: "files_heading",
      asked: count === asked.filter((each) => each.required).length ? "files_heading" : count === 1 ? "files_heading_left_one" : "files_heading_left",
    };
    setHeading(this.heading, t(words[phase] ?? `files_heading_${phase}`, { count: String(count) }));
    setText(this.lead, t(phase === "add" ? "files_lead" : `files_lead_${phase}`));
    this.heading.closest("[data-place]")?.setAttribute("data-phase", phase);
    if (this.heading.isConnected) this.app.showTitle();
  }

  /** Keeps rows in the order of their first appearance. */
  inOrder(models) {
    this.order.push(...models.map((each) => each.key).filter((key) => !this.order.includes(key)));
    return models.sort((one, other) => this.order.indexOf(one.key) - this.order.indexOf(other.key));
  }

  /** Announces to screen readers which files have reached a final state. */
  announceChanges(models) {
    const { t } = this.app;
    const before = this.announced;
    this.announced = new Map(models.map((each) => [each.key, each.state]));
    const ended = models.filter((each) => ["active", "failed", "refused", "broken", "smaller"].includes(each.state));
    const news = ended.filter((each) => before && before.get(each.key) !== each.state);
    if (news.length === 0) return;
    this.app.announce(news.map((each) => `${each.name}: ${t(`state_${each.state}`)}. ${each.reason ?? ""}`).join(" "));
  }

  /** Returns one model per row: assets of the session, and files of this page that are not assets yet. */
  models(session) {
    const { items } = this.uploads;
    const made = new Map();
    for (const request of session.requests) {
      const key = `request ${request.name}`;
      const asset = session.assets.find((each) => each.id === request.asset_id && each.status !== "redacted");
      made.set(key, this.model(key, true, asset ?? null, items.find((each) => each.row === key), request));
    }
    const requested = new Set(session.requests.map((each) => each.name));
    const others = session.assets.filter((each) => !requested.has(each.request));
    for (const { asset, root } of currentAssets(others, this.app.memory.get("replaced", {}))) {
      const own = items.find((each) => each.assetId === asset.id) ?? items.find((each) => isRegistered(each, asset));
      // A file that will replace this asset and has no asset yet.
      const next = items.find((each) => each.former === asset.id);
      const key = (own ?? next)?.row ?? root.id;
      const asked = isAskedFor(root, session);
      if (!made.has(key)) made.set(key, this.model(key, asked, own || !next ? asset : null, own ?? next));
    }
    const erased = new Set(session.assets.filter((each) => each.status === "redacted").map((each) => each.id));
    for (const item of items) {
      if (made.has(item.row) || erased.has(item.assetId)) continue;
      made.set(item.row, this.model(item.row, false, null, item));
    }
    return [...made.values()];
  }

  /** `asked`: the client asks for this file, by a `request` or by a place that it registered with the session. */
  model(key, asked, asset, item, request = null) {
    const { t, session } = this.app;
    const state = stateOf(asset, item);
    const kind = request?.asset_type ?? asset?.asset_type ?? item.kind ?? item.wanted;
    const percent = item?.file.size ? Math.floor((100 * item.sent) / item.file.size) : 0;
    const required = asked && (request?.required ?? true);
    const reason = this.reason(state, asset, item, kind);
    const name = request?.name ?? asset?.name ?? item.name;
    const wanted = t(required ? "needed" : "optional", { kind: t(`kind_${kind ?? "Image"}`) });
    const missing = session.finished_at === null || this.adding ? wanted : t("not_sent");
    const words = request && state === "awaiting_upload" ? missing : t(`state_${state}`, { percent: String(percent) });
    return { key, asked, asset, item, request, placed: asked && !request, required, state, kind, name, percent, words, reason };
  }

  reason(state, asset, item, kind) {
    const { t } = this.app;
    const limit = this.limits?.[kind];
    if (state === "failed") return reasonWords(t, asset.error?.code ?? "rejected", asset.error?.message, null, limit);
    if (state === "smaller") {
      const { bytes, file, before, after } = item.smaller;
      const sides = (each) => each.map(t.number).join(" × ");
      return t("smaller", { found: t.size(bytes), now: t.size(file.size), before: sides(before), after: sides(after) });
    }
    if (state !== "refused" && state !== "broken") return null;
    const { code, values, error } = item.problem;
    if (!error) return reasonWords(t, code, null, values, limit);
    const { text, detail } = problemWords(t, error);
    return detail ? `${text} ${detail}` : text;
  }

  place(list, models) {
    models.forEach((model, index) => {
      const row = this.rows.get(model.key) ?? this.newRow(model.key);
      row.show(model);
      if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    });
  }

  newRow(key) {
    const row = new Row(this);
    this.rows.set(key, row);
    return row;
  }

  /** Returns the arguments of `Uploads.add` for a file that is chosen in the row of `model`. */
  placeOf(model) {
    const former = model.asset?.id ?? model.item?.former ?? null;
    const name = model.asked ? model.name : null;
    return { row: model.key, former, name, kind: model.asked ? model.kind : null, request: model.request?.name ?? null };
  }
}

/** Whether `asset` is the one that `item` is registering: the session may show it before the response arrives. */
function isRegistered(item, asset) {
  const registers = item.phase === "sending" && item.assetId === null && item.request === null;
  return registers && asset.status === "awaiting_upload" && asset.name === item.name && asset.asset_type === item.kind;
}

function stateOf(asset, item) {
  if (item && !["sent", "failed"].includes(item.phase)) return item.phase;
  if (!item && !asset) return "awaiting_upload";
  if (!asset || (item && asset.status === "awaiting_upload")) return "sent";
  return asset.status;
}
