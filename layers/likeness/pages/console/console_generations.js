// Generations: the list, and one of them with its media. The media's URLs are secrets, and in the open generation alone.

import { ask, runAction, showProblem } from "./console_dialogs.js";
import { Paged } from "./console_paged.js";
import {
  announce,
  byId,
  chipsOf,
  copied,
  copyBeside,
  fact,
  idFact,
  laterFact,
  makeRow,
  press,
  problemText,
  reasonText,
  redraw,
  setAttributes,
  shortLink,
  showBadge,
  showOne,
  showRow,
  sizeText,
  timeFact,
  words,
} from "./console_parts.js";
import { h, setText } from "./dom.js";

export const GENERATION_ID = /^gen_[0-9A-HJKMNP-TV-Z]{26}$/;

const STATUSES = ["queued", "running", "succeeded", "failed", "refused", "uncertain", "canceled"];
const LIST_PAUSE_MS = 4_000;
const PAUSE_MS = 3_000;
const ENDED_PAUSE_MS = 15_000;
const OFF = "generation_disabled";
const KEPT =
  "Media, input and reference are deleted permanently. Ids, times, credits and uses stay, and so does what crun has.";

export class Generations {
  #api;
  #live;
  #list;
  #poller = null;
  #visible = false;
  #status = "";
  #id = null;
  #generation = null;

  /** `signal` aborts at the sign-out. */
  constructor(api, live, signal) {
    this.#api = api;
    this.#live = live;
    const parts = {
      key: (each) => each.id,
      make: makeItem,
      show: (row, each) => showItem(row, each, this.#id),
      none: "No generations.",
      pause: LIST_PAUSE_MS,
    };
    this.#list = new Paged((...asked) => this.#page(...asked), live, "generations", parts, signal);
    byId("generation-filters").replaceChildren(...chipsOf(STATUSES, (status) => this.#filter(status)));
    copyBeside("generation-id", "the generation id");
    byId("generation-cancel").addEventListener("click", () => this.#cancel(), { signal });
    byId("generation-erase").addEventListener("click", () => this.#erase(), { signal });
    this.open(null);
  }

  get id() {
    return this.#id;
  }

  /** Sets whether the view is open. It is updated only then. */
  set visible(visible) {
    this.#visible = visible;
    this.#filter(this.#status);
  }

  /** Focuses the row of a generation. Returns whether there is one. */
  focus(id) {
    const row = byId("generations-rows").querySelector(`[href="#${id}"]`);
    row?.focus();
    return Boolean(row);
  }

  /** Shows a generation, or none (null). */
  open(id) {
    if (this.#id === id && id) return;
    this.#live.remove(this.#poller);
    this.#poller = null;
    this.#id = id;
    this.#generation = null;
    showOne("generation", id ? "Loading…" : "Select a generation to see its media.");
    redraw(byId("media"), null, () => []);
    showProblem("generation-alert", null);
    for (const { firstChild: row } of byId("generations-rows").children) mark(row, id);
    const pause = () => (this.#generation?.ended_at ? ENDED_PAUSE_MS : PAUSE_MS);
    if (id) this.#poller = this.#live.add(() => this.#refresh(id), pause);
  }

  /** Removes everything from the page. */
  forget() {
    this.visible = false;
    this.open(null);
  }

  // -- the list

  #filter(status) {
    this.#status = status;
    press(byId("generation-filters"), status);
    this.#list.open(this.#visible ? `generations?limit=25${status && `&status=${status}`}` : null);
  }

  /** Returns a page of the list: an empty one where the operator has switched generation off. */
  async #page(method, path) {
    let page = { generations: [], next_cursor: null };
    let off = false;
    try {
      page = await this.#api(method, path);
    } catch (error) {
      if (error.code !== OFF) throw error;
      off = true;
    }
    byId("generations-off").hidden = !off;
    return page;
  }

  // -- one generation

  async #refresh(id) {
    try {
      this.#show(await this.#api("GET", `generations/${id}`));
    } catch (error) {
      if ((error.status !== 404 && error.code !== OFF) || id !== this.#id) throw error;
      showOne("generation", problemText(error));
    }
  }

  #show(generation) {
    if (generation.id !== this.#id) return;
    const { status, erased_at: erased, error, media_problem: lost } = generation;
    const before = this.#generation?.status;
    this.#generation = generation;
    showOne("generation");
    const unnamed = erased ? "Erased generation" : "Generation without reference";
    setText(byId("generation-title"), generation.reference ?? unnamed);
    setText(byId("generation-id"), generation.id);
    showBadge(byId("generation-status"), status);
    byId("generation-cancel").hidden = status !== "queued";
    byId("generation-erase").disabled = Boolean(erased) || status === "running";
    const problem = error ?? lost;
    const again = error?.retryable ? " A new generation may succeed." : "";
    byId("generation-problem").hidden = !problem;
    if (problem) setText(byId("generation-problem"), reasonText(problem) + again);
    redraw(byId("generation-facts"), { ...generation, result: null }, () => factsOf(generation));
    this.#showMedia(generation);
    // Until now it was hidden, and could not get the focus.
    if (!before && document.activeElement?.closest("#generations-rows")) byId("generation-title").focus();
    if (before && before !== status) announce(`Generation ${words(status)}`);
  }

  #showMedia({ result, ended_at: ended, erased_at: erased }) {
    const media = result?.media ?? [];
    const none = erased ? "Erased." : ended ? "There are none." : "They appear here when they are ready.";
    setText(byId("media-note"), media.length ? "" : none);
    // Each response has new URLs. A file that is shown keeps its own, so that it plays on.
    const digests = media.map((each) => each.sha256);
    redraw(byId("media"), digests, () => media.map(mediaItem));
  }

  #cancel() {
    runAction(byId("generation-cancel"), "generation-alert", async () => {
      this.#changed(await this.#api("POST", `generations/${this.#id}/cancel`));
      byId("generation-title").focus();
    });
  }

  #erase() {
    const generation = this.#generation;
    const what = `The generation “${generation.reference ?? generation.id}” will be erased. This cannot be undone.`;
    ask("Erase this generation", what, KEPT, "Erase generation", async () => {
      this.#changed(await this.#api("DELETE", `generations/${generation.id}`));
      announce("Generation erased");
    });
  }

  #changed(generation) {
    this.#show(generation);
    this.#list.now();
  }
}

/** Returns links to the sessions of the people that a generation shows. */
const peopleOf = ({ session_ids: ids }) => (ids.length ? ids.flatMap((id) => [shortLink(id), " "]) : ["none"]);

const creditsText = ({ credits }) => (credits === null ? null : `${credits}\u00a0credits`);

/** Returns a model's name, which may continue on the next line after its "/". */
function breakable(/** @type {string} */ model) {
  const slash = model.indexOf("/") + 1;
  return [model.slice(0, slash), h("wbr"), model.slice(slash)];
}

/** Marks the row of the open generation. */
const mark = (row, id) => setAttributes(row, { "aria-current": row.hash === `#${id}` ? "true" : null });

function makeItem(generation) {
  const row = makeRow(generation);
  row.append(h("p", { class: "people hint" }, "People: ", ...peopleOf(generation)));
  return row;
}

function showItem(row, generation, open) {
  const { model, purpose, error, media_problem: lost, erased_at: erased } = generation;
  const what = [model, purpose && words(purpose), creditsText(generation)].filter(Boolean).join(" · ");
  showRow(row, generation, erased, what, error ?? lost);
  mark(row.firstChild, open);
}

function factsOf(generation) {
  const { task_id: task, created_at: created, media_problem: lost } = generation;
  const times = [
    ["Accepted by crun", generation.submitted_at],
    ["Ended", generation.ended_at],
    ["Erased", generation.erased_at],
  ];
  return [
    fact("Model", "", ...breakable(generation.model)),
    fact("Purpose", words(generation.purpose ?? "none")),
    fact("Credits", creditsText(generation) ?? "not known"),
    fact("People", "", ...peopleOf(generation)),
    timeFact("Created", created),
    ...times.filter(([, at]) => at).map(([term, at]) => laterFact(term, at, created)),
    ...(task ? [idFact("Task at crun", task, "the task id")] : []),
    ...(lost?.upstream_media_urls ?? []).map((url, index) =>
      fact("At crun, for a while", h("a", { href: url, target: "_blank" }, `File ${index + 1}`)),
    ),
  ];
}

/** Returns a file with its type, size and digest. */
function mediaItem({ url, content_type: type, size_bytes: size, sha256 }, index) {
  const name = `File ${index + 1}`;
  const problem = h("p", { class: "field-problem", role: "alert" });
  const onerror = () =>
    setText(problem, "This file cannot be loaded. Its link works for an hour: reload the page.");
  const shown = type.startsWith("video/")
    ? h("video", { controls: true, preload: "metadata", playsinline: true, src: url, "aria-label": name, onerror })
    : h("img", { src: url, alt: name, onerror });
  return h(
    "li",
    {},
    shown,
    problem,
    h("p", { class: "hint" }, `${type} · ${sizeText(size)} · SHA-256`),
    h("p", { class: "id" }, ...copied(sha256, `the SHA-256 of ${name}`)),
  );
}
