// One row of a list of files: a preview, a name, the state, and the actions.

import { h, icon, setText } from "./dom.js";

/** Returns the actions of a row. */
function actionsOf({ state, asset, item, request, placed, closed }) {
  if (state === "awaiting_upload") return closed ? [] : asset && !request && !placed ? ["choose", "remove"] : ["choose"];
  if (state === "smaller") return ["use_smaller", "other", "remove"];
  if (state === "refused") return ["other", "remove"];
  if (state === "broken") return ["again", "other", "remove"];
  if (state !== "failed") return [];
  const retry = item && asset.error?.retryable ? ["again", "other"] : ["other"];
  return placed ? retry : [...retry, "remove"];
}

const TONES = { active: "good", failed: "bad", refused: "bad", broken: "bad", paused: "warn", smaller: "warn", awaiting_upload: "calm" };

/** The row of one model of FilesStep, whose `pickers`, `placeOf` and `uploads` its buttons use. */
export class Row {
  constructor(step) {
    this.step = step;
    this.thumb = h("div", { class: "thumb" });
    this.name = h("p", { class: "file-name" });
    this.hint = h("p", { class: "file-hint" });
    this.state = h("p", { class: "file-state" });
    this.bar = h("progress", { max: "100", value: "0" });
    this.reason = h("p", { class: "file-reason" });
    this.actions = h("div", { class: "actions" });
    this.element = h("li", { class: "file", tabindex: "-1" }, this.thumb,
      h("div", { class: "file-body" }, this.name, this.hint, this.state, this.bar, this.reason), this.actions);
  }

  show(model) {
    const { t } = this.step.app;
    this.model = model;
    const tone = TONES[model.state] ?? "moving";
    this.element.dataset.state = model.state;
    this.element.dataset.tone = tone;
    setText(this.name, model.name);
    setText(this.hint, model.request?.hint ?? "");
    this.showState(model, tone);
    this.bar.value = model.state === "sending" || model.state === "paused" ? model.percent : 0;
    this.bar.setAttribute("aria-label", t("progress", { name: model.name }));
    this.bar.classList.toggle("off", model.state !== "sending" && model.state !== "paused");
    setText(this.reason, model.reason ?? "");
    this.showThumb(model);
    this.showActions(model);
  }

  showState(model, tone) {
    if (this.tone !== tone) {
      this.tone = tone;
      this.words = h("span");
      const sign = { good: "check", bad: "alert", warn: "alert", calm: "clock" }[tone];
      const drawn = sign ? icon(sign) : h("span", { class: "spinner", "aria-hidden": "true" });
      this.state.replaceChildren(drawn, this.words);
    }
    setText(this.words, model.words);
  }

  showThumb({ asset, item, kind, name, state }) {
    const { t } = this.step.app;
    const visible = item && !item.unseen && item.kind && item.kind !== "Audio" && state !== "checking";
    const stored = item ? null : this.step.previews.of(asset, this);
    const wanted = visible ? item.url : (stored ?? `icon ${kind}`);
    if (this.shown === wanted) return;
    this.shown = wanted;
    const size = { width: "64", height: "64" };
    const label = t("preview", { name });
    if (stored) {
      const picture = h("img", { ...size, alt: label, referrerpolicy: "no-referrer", src: stored });
      // The stored file is deleted some time after the upload.
      picture.addEventListener("error", () => this.thumb.replaceChildren(icon(kind)), { once: true });
      return this.thumb.replaceChildren(picture);
    }
    if (!visible) return this.thumb.replaceChildren(icon(kind ?? "upload"));
    this.thumb.replaceChildren(item.kind === "Image"
      ? h("img", { ...size, src: item.url, alt: label })
      // Some players draw nothing at 0 s.
      : h("video", { ...size, src: `${item.url}#t=0.1`, "aria-label": label, muted: true, playsinline: true }));
  }

  showActions(model) {
    const { step } = this;
    const wanted = actionsOf(model);
    const offered = [wanted, model.asked, model.name, model.main].join();
    if (this.offered === offered) return;
    this.offered = offered;
    const focused = this.actions.contains(document.activeElement);
    const place = () => step.placeOf(this.model);
    const kind = model.asked ? model.kind : null;
    const made = {
      choose: () => step.pickers({ choose: "choose_file", photo: "photo", name: model.name, kind, place }),
      other: () => step.pickers({ choose: "other", photo: "photo", name: model.name, kind, place }).slice(0, 2),
      use_smaller: () => [this.button("use_smaller", () => step.uploads.acceptSmaller(this.model.item), "button")],
      again: () => [this.button("again", () => step.uploads.retry(this.model.item))],
      remove: () => [this.button("remove", () => step.remove(this.model))],
    };
    this.actions.replaceChildren(...wanted.flatMap((each) => made[each]()));
    this.actions.querySelector("button")?.classList.toggle("second", !model.main);
    // A button that is removed must not lose the keyboard focus.
    if (focused) (this.actions.querySelector("button") ?? this.element).focus({ preventScroll: true });
  }

  button(words, onclick, style = "button second") {
    const { t } = this.step.app;
    const label = t(`${words}_for`, { name: this.model.name });
    return h("button", { type: "button", class: style, "aria-label": label, onclick }, t(words));
  }
}
