// The files of a session: their rows with a thumbnail, another try, and the erasure of one file.

import { shape } from "./charts.js";
import { ask } from "./console_dialogs.js";
import {
  announce,
  besideText,
  copyButton,
  disableFor,
  durationText,
  momentText,
  problemText,
  setAttributes,
  showBadge,
  sizeText,
} from "./console_parts.js";
import { h, setText } from "./dom.js";

/** Lines on a grid of 24 by 24, by type of file. Those in dom.js would bring all icons of the persons' pages. */
const ICONS = {
  Image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  Video: "M4 6h11v12H4zM15 10l5-3v10l-5-3",
  Audio: "M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4",
};
/** The types of pictures of which the API has previews. */
const SHOWN = ["image/jpeg", "image/png", "image/webp", "image/gif"];
/** What is said before a file is erased. */
const KEPT =
  "All versions of the file and its name are deleted permanently. Its ids, times and digest are kept as evidence. The" +
  " session’s other files are not affected. A copy that crun has received stays there until its support removes it.";

const icon = (type) =>
  shape("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": true }, shape("path", { d: ICONS[type] }));

/** Makes and updates the rows. `changed()` is called after an asset has changed. */
export class Files {
  #api;
  #changed;
  #visible;

  constructor(api, changed, signal) {
    this.#api = api;
    this.#changed = changed;
    this.#visible = new IntersectionObserver((entries) => {
      for (const each of entries) if (each.isIntersecting) this.#preview(each.target);
    });
    signal.addEventListener("abort", () => this.#visible.disconnect());
  }

  /** Returns the row of an asset. */
  make(asset) {
    const row = h(
      "li",
      {},
      h("span", { class: "thumb", "aria-hidden": "true" }, icon(asset.asset_type)),
      h(
        "div",
        { class: "asset" },
        h(
          "div",
          { class: "asset-head" },
          h("span", { class: "kind" }, asset.asset_type),
          h("b", { class: "name" }),
          h("span", { class: "badge" }),
        ),
        h("p", { class: "uri", hidden: true }, h("code"), " "),
        h("p", { class: "field-problem", hidden: true }),
        h("p", { class: "hint" }),
        h("p", { class: "file-problem field-problem", role: "alert" }),
        h("div", { class: "actions" }),
      ),
    );
    const code = row.querySelector(".uri code");
    const named = asset.name || "this asset";
    row.querySelector(".uri").append(copyButton(`the id of ${named}`, () => code.textContent));
    row.querySelector(".actions").append(
      h("button", { class: "retry", type: "button", "aria-label": `Try again: ${named}` }, "Try again"),
      h("button", { class: "erase-file danger", type: "button", "aria-label": `Erase file… ${named}` }, "Erase file…"),
    );
    return row;
  }

  /** Shows an asset in its row. */
  show(row, asset) {
    const uri = asset.uri ?? asset.crun_asset_id;
    setText(row.querySelector(".name"), asset.name || `…${asset.id.slice(-8)}`);
    showBadge(row.querySelector(".badge"), asset.status);
    row.querySelector(".uri").hidden = !uri;
    if (uri) setText(row.querySelector(".uri code"), uri);
    const problem = row.querySelector(".field-problem");
    problem.hidden = !asset.error;
    if (asset.error) setText(problem, `${asset.error.message} (${asset.error.code})`);
    setText(row.querySelector(".hint"), facts(asset));
    setAttributes(row, { title: asset.id });
    const retry = row.querySelector(".retry");
    retry.hidden = !(asset.status === "failed" && asset.error?.retryable && asset.uploaded_at);
    retry.onclick = () => this.#retry(row, asset);
    const erase = row.querySelector(".erase-file");
    erase.hidden = asset.status === "redacted";
    erase.onclick = () => this.#ask(asset);
    this.#watch(row, asset);
  }

  // -- thumbnails: those that are visible are requested, one after the other

  #watch(row, asset) {
    const thumb = row.querySelector(".thumb");
    if (asset.status === "redacted") {
      thumb.replaceChildren(icon(asset.asset_type));
      thumb.dataset.state = "done";
    } else if (asset.uploaded_at && SHOWN.includes(asset.content_type) && !thumb.dataset.state) {
      thumb.dataset.state = "waits";
      thumb.dataset.path = `sessions/${asset.session_id}/assets/${asset.id}/preview`;
      this.#visible.observe(thumb);
    }
  }

  #queue = Promise.resolve();

  #preview(thumb) {
    this.#visible.unobserve(thumb);
    this.#queue = this.#queue.then(() => this.#load(thumb));
  }

  async #load(thumb) {
    if (!thumb.isConnected || thumb.dataset.state !== "waits") return;
    thumb.dataset.state = "done";
    try {
      const { url } = await this.#api("GET", thumb.dataset.path);
      const image = h("img", { alt: "", referrerpolicy: "no-referrer", width: "64", height: "64" });
      image.addEventListener("load", () => thumb.replaceChildren(image), { once: true });
      image.src = url;
    } catch {
      // There is no preview, or no answer: the icon stays.
    }
  }

  // -- another try

  async #retry(row, asset) {
    const button = row.querySelector(".retry");
    const problem = row.querySelector(".file-problem");
    button.disabled = true;
    try {
      await this.#api("POST", `sessions/${asset.session_id}/assets/${asset.id}/retry`);
      setText(problem, "");
      announce(`${asset.name || "The file"} is submitted again`);
      button.disabled = false;
      this.#changed();
    } catch (error) {
      setText(problem, problemText(error));
      disableFor(button, error.retryAfter);
    }
  }

  // -- erasure

  #ask(asset) {
    const what = `The file “${asset.name || asset.id}” will be erased. This cannot be undone.`;
    ask("Erase this file", what, KEPT, "Erase file", async () => {
      await this.#api("DELETE", `sessions/${asset.session_id}/assets/${asset.id}`);
      announce("File erased");
      this.#changed();
    });
  }
}

function facts(asset) {
  const between = (from, to) => (from && to ? (Date.parse(to) - Date.parse(from)) / 1_000 : null);
  const arrived = between(asset.created_at, asset.uploaded_at);
  const active = between(asset.submitted_at, asset.activated_at);
  return [
    asset.content_type,
    asset.size_bytes ? sizeText(asset.size_bytes) : null,
    `registered ${momentText(asset.created_at)} (${besideText(asset.created_at)})`,
    arrived === null ? null : `uploaded ${durationText(arrived)} later`,
    active === null ? null : `active ${durationText(active)} after submission to crun`,
  ]
    .filter(Boolean)
    .join(" · ");
}
