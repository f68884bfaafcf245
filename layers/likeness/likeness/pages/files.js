// The last step: files are chosen, dropped or photographed, and followed until each one is ready.

import { call } from "./api.js";
import { h, icon, say } from "./dom.js";
import { currentAssets, isAskedFor } from "./state.js";
import { problemWords, reasonWords } from "./texts.js";
import { Uploads } from "./uploads.js";

const KINDS = ["Image", "Video", "Audio"];

/** limits.json; asked for until it comes, since nothing can be checked without it. */
async function loadLimits() {
  for (;;) {
    try {
      return await call(null, "GET", new URL("limits.json", import.meta.url).href);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
  }
}

/**
 * The step's controller: it outlives what is drawn, so that a change of language stops no upload. `app` offers `key`,
 * `t`, `session`, `announce(text)`, `toast(text)`, `refresh()` and `memory` (what this tab remembers).
 */
export class FilesStep {
  constructor(app) {
    this.app = app;
    this.limits = null;
    this.rows = new Map();
    this.order = [];
    this.said = null;
    const limits = loadLimits();
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

  /** The step's elements in the present language. */
  draw() {
    const { t } = this.app;
    this.rows.clear();
    this.heading = h("h1", { tabindex: "-1" });
    this.lead = h("p", { class: "lead" });
    this.asked = h("ul", { class: "files", id: "asked" });
    this.list = h("ul", { class: "files", id: "files" });
    this.askedPart = h("section", { "aria-labelledby": "asked-heading", hidden: true },
      h("h2", { id: "asked-heading" }, t("places")), this.asked);
    this.listPart = h("section", { "aria-labelledby": "files-heading", hidden: true },
      h("h2", { id: "files-heading" }, t("your_files")), this.list);
    const element = h("div", { class: "step" }, this.heading, this.lead, this.askedPart, this.dropZone(), this.listPart);
    if (this.limits) this.showHints();
    return element;
  }

  dropZone() {
    const { t } = this.app;
    this.moreHeading = h("h2", { id: "more-heading" }, t("more"));
    this.hints = h("ul", { class: "hints" }, ...KINDS.map(() => h("li", {}, "\u00a0")));
    const zone = h("div", { class: "drop" },
      h("p", { class: "drop-words" }, icon("upload"), h("span", {}, t("drop"))),
      h("div", { class: "actions" }, ...this.pickers({ choose: "choose_files", photo: "photo", multiple: true, first: true })));
    const over = (on) => zone.classList.toggle("over", on);
    this.dropped = (event) => {
      event.preventDefault();
      over(false);
      if (event.type === "dragover") over(true);
      if (event.type === "drop") this.take(event.dataTransfer.files, {});
    };
    return h("section", { class: "more", "aria-labelledby": "more-heading" }, this.moreHeading, zone, this.hints);
  }

  /** What is dragged over or dropped anywhere on the page, while this step is shown. */
  onDrag(event) {
    if (event.dataTransfer?.types.includes("Files")) this.dropped(event);
  }

  /**
   * A button that opens the file chooser, and one for the camera where there is one to hold. `place()` says where the
   * file goes; `kind` what it must be.
   */
  pickers({ choose, photo, name = null, kind = null, multiple = false, first = false, place = () => ({}) }) {
    const made = [this.picker(choose, { name, kind, multiple, place, style: first ? "button" : "button second" })];
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
      const values = { size: t.size(limit.max_bytes), min: limit.min_side, max: limit.max_side };
      say(this.hints.children[index], t(`limit_${kind}`, { ...values, least: limit.min_seconds, most: limit.max_seconds }));
    });
  }

  take(files, place) {
    const chosen = [...files];
    for (const file of place.row ? chosen.slice(0, 1) : chosen) {
      // Whatever stood in this place before is over.
      if (place.row) this.uploads.items.filter((each) => each.row === place.row).forEach((each) => this.uploads.remove(each));
      this.uploads.add(file, place);
    }
    if (!place.row) this.list.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  changed(item) {
    this.show();
    if (item.phase === "sent") this.app.refresh();
    this.app.moved();
  }

  /** Brings what is drawn up to date with the session and the uploads. */
  show() {
    if (!this.list) return;
    const { session, t } = this.app;
    const models = this.inOrder(this.models(session));
    const asked = models.filter((each) => each.asked);
    const others = models.filter((each) => !each.asked);
    this.place(this.asked, asked);
    this.place(this.list, others);
    for (const [key, row] of this.rows) {
      if (models.some((each) => each.key === key)) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    this.askedPart.hidden = asked.length === 0;
    this.listPart.hidden = others.length === 0;
    say(this.moreHeading, t(asked.length ? "more_other" : "more"));
    const done = models.length > 0 && models.every((each) => each.state === "active");
    say(this.heading, t(done ? "files_heading_done" : "files_heading"));
    say(this.lead, t(done ? "files_done" : "files_lead"));
    this.tell(models);
  }

  /** Rows stay where they appeared first: nothing jumps when two files overtake each other on their way. */
  inOrder(models) {
    this.order.push(...models.map((each) => each.key).filter((key) => !this.order.includes(key)));
    return models.sort((one, other) => this.order.indexOf(one.key) - this.order.indexOf(other.key));
  }

  /** Says aloud what has come to an end since the last time. */
  tell(models) {
    const { t } = this.app;
    const before = this.said;
    this.said = new Map(models.map((each) => [each.key, each.state]));
    const ended = models.filter((each) => ["active", "failed", "refused", "broken"].includes(each.state));
    const news = ended.filter((each) => before && before.get(each.key) !== each.state);
    if (news.length === 0) return;
    this.app.announce(news.map((each) => `${each.name}: ${t(`state_${each.state}`)}. ${each.reason ?? ""}`).join(" "));
  }

  /** One model for each row: assets of the session, and files of this page that are no assets yet. */
  models(session) {
    const { items } = this.uploads;
    const current = currentAssets(session.assets, this.app.memory.get("replaced", {}));
    const made = [];
    const drawn = new Set();
    for (const { asset, root } of current) {
      const item = items.find((each) => each.assetId === asset.id) ?? items.find((each) => each.former === asset.id);
      if (item && item.assetId === asset.id && asset.status === "failed" && item.phase === "sent") item.phase = "failed";
      const key = item?.row ?? root.id;
      if (drawn.has(key)) continue;
      drawn.add(key);
      made.push(this.model({ key, asked: isAskedFor(root, session), asset: item && item.assetId !== asset.id ? null : asset, item }));
    }
    for (const item of items) {
      if (drawn.has(item.row)) continue;
      drawn.add(item.row);
      made.push(this.model({ key: item.row, asked: false, asset: null, item }));
    }
    return made;
  }

  model({ key, asked, asset, item }) {
    const { t } = this.app;
    const state = stateOf(asset, item);
    const kind = asset?.asset_type ?? item.kind ?? item.wanted;
    const name = asset?.name ?? item.name;
    const percent = item?.file.size ? Math.floor((100 * item.sent) / item.file.size) : 0;
    const reason = this.reason(state, asset, item, kind);
    return { key, asked, asset, item, state, kind, name, percent, reason, words: t(`state_${state}`, { percent: String(percent) }) };
  }

  reason(state, asset, item, kind) {
    const { t } = this.app;
    if (state === "failed") return reasonWords(t, asset.error?.code ?? "rejected", asset.error?.message, null, this.limits?.[kind]);
    if (state !== "refused" && state !== "broken") return null;
    const { code, values, error } = item.problem;
    if (!error) return reasonWords(t, code, null, values, this.limits?.[kind]);
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

  /** Where a file goes that is chosen in the row of `model`. */
  placeOf(model) {
    const former = model.asset?.id ?? model.item?.former ?? null;
    return { row: model.key, former, name: model.asked ? model.name : null, kind: model.asked ? model.kind : null };
  }
}

function stateOf(asset, item) {
  if (item && !["sent", "failed"].includes(item.phase)) return item.phase;
  if (!asset || (item && asset.status === "awaiting_upload")) return "sent";
  return asset.status;
}

/** Which buttons a row has. */
function actionsOf({ state, asset, item }) {
  if (state === "awaiting_upload") return ["choose"];
  if (state === "refused") return ["other", "remove"];
  if (state === "broken") return ["again", "other"];
  if (state === "failed") return item && asset.error?.retryable ? ["again", "other"] : ["other"];
  return [];
}

const TONES = { active: "good", failed: "bad", refused: "bad", broken: "bad", paused: "warn", awaiting_upload: "calm" };

/** One line of a list: a preview, a name, where it stands, and what can be done. */
class Row {
  constructor(step) {
    this.step = step;
    this.thumb = h("div", { class: "thumb" });
    this.name = h("p", { class: "file-name" });
    this.state = h("p", { class: "file-state" });
    this.bar = h("progress", { max: "100", value: "0" });
    this.reason = h("p", { class: "file-reason" });
    this.actions = h("div", { class: "actions" });
    this.element = h("li", { class: "file" }, this.thumb,
      h("div", { class: "file-body" }, this.name, this.state, this.bar, this.reason, this.actions));
  }

  show(model) {
    const { t } = this.step.app;
    this.model = model;
    const tone = TONES[model.state] ?? "moving";
    this.element.dataset.state = model.state;
    this.element.dataset.tone = tone;
    say(this.name, model.name);
    this.showState(model, tone);
    this.bar.value = model.state === "sending" || model.state === "paused" ? model.percent : 0;
    this.bar.setAttribute("aria-label", t("progress", { name: model.name }));
    this.bar.classList.toggle("off", model.state !== "sending" && model.state !== "paused");
    say(this.reason, model.reason ?? "");
    this.showThumb(model);
    this.showActions(model);
  }

  showState(model, tone) {
    if (this.tone !== tone) {
      this.tone = tone;
      this.words = h("span");
      const sign = { good: "check", bad: "alert", warn: "alert", calm: "clock" }[tone];
      this.state.replaceChildren(sign ? icon(sign) : h("span", { class: "spinner", "aria-hidden": "true" }), this.words);
    }
    say(this.words, model.words);
  }

  showThumb({ item, kind, name, state }) {
    const { t } = this.step.app;
    const visible = item && !item.unseen && item.kind && item.kind !== "Audio" && state !== "checking";
    const wanted = visible ? item.url : `icon ${kind}`;
    if (this.shown === wanted) return;
    this.shown = wanted;
    if (!visible) return this.thumb.replaceChildren(icon(kind ?? "upload"));
    const label = t("preview", { name });
    this.thumb.replaceChildren(item.kind === "Image"
      ? h("img", { src: item.url, alt: label, width: "64", height: "64" })
      // A moment after the start: some players draw nothing before it.
      : h("video", { src: `${item.url}#t=0.1`, "aria-label": label, muted: true, playsinline: true, preload: "metadata", width: "64", height: "64" }));
  }

  showActions(model) {
    const { step } = this;
    const wanted = actionsOf(model);
    if (this.offered === `${wanted}${model.asked}${model.name}`) return;
    this.offered = `${wanted}${model.asked}${model.name}`;
    const focused = this.actions.contains(document.activeElement);
    const place = () => step.placeOf(this.model);
    const kind = model.asked ? model.kind : null;
    const made = {
      choose: () => step.pickers({ choose: "choose_file", photo: "photo", name: model.name, kind, place }),
      other: () => step.pickers({ choose: "other", photo: "photo", name: model.name, kind, place }).slice(0, 2),
      again: () => [this.button("again", () => step.uploads.retry(this.model.item))],
      remove: () => [this.button("remove", () => step.uploads.remove(this.model.item))],
    };
    this.actions.replaceChildren(...wanted.flatMap((each) => made[each]()));
    // A button that is gone must not take the keyboard's place with it.
    if (focused) (this.actions.querySelector("button") ?? step.heading).focus();
  }

  button(words, onclick) {
    const { t } = this.step.app;
    const label = t(`${words}_for`, { name: this.model.name });
    return h("button", { type: "button", class: "button second", "aria-label": label, onclick }, t(words));
  }
}
