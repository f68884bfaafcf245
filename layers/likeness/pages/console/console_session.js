// One session, updated live: its timeline, assets, attempts and consent.

import { serverNow } from "./api.js";
import {
  announce,
  besideText,
  byId,
  clockText,
  copyBeside,
  durationText,
  fact,
  idFact,
  keepList,
  laterFact,
  momentText,
  problemText,
  reasonText,
  shortLink,
  showBadge,
  showOne,
  timeFact,
  words,
} from "./console_parts.js";
import { h, setText } from "./dom.js";
import { Files } from "./console_files.js";
import { Paged } from "./console_paged.js";
import { drawTimeline, timelineOf, timelineRows } from "./console_timeline.js";

const UNSETTLED_PAUSE_MS = 2_500;
const SETTLED_PAUSE_MS = 15_000;
const OPEN_SESSION = ["requires_input", "processing"];
const OPEN_ASSET = ["awaiting_upload", "uploaded", "submitting", "processing"];
const PARTS = ["facts", "timeline", "timeline-rows", "requests", "assets", "attempts", "consent"];
const LANGUAGES = { zh: "简体中文", "zh-Hant": "繁體中文", en: "English" };

export class SessionView {
  #api;
  #live;
  #poller = null;
  #id = null;
  #session = null;
  #shown = {};
  #files;
  #uses;

  /** `signal` aborts at the sign-out. */
  constructor(api, live, signal) {
    this.#api = api;
    this.#live = live;
    this.#files = new Files(api, () => this.now(), signal);
    const none = "This likeness was not used yet.";
    const parts = { key: (each) => each.generation_id, make: makeUse, show: showUse, none, pause: SETTLED_PAUSE_MS };
    this.#uses = new Paged(api, live, "uses", parts, signal);
    copyBeside("session-id", "the session id");
  }

  /** The current session, from the last response. */
  get session() {
    return this.#session;
  }

  get id() {
    return this.#id;
  }

  /** Shows another session. `known` is its entry in the list, or null. */
  open(id, known) {
    if (this.#id === id) return;
    this.close();
    this.#id = id;
    this.#shown = {};
    setText(byId("session-title"), known?.reference ?? "Session");
    setText(byId("session-id"), id);
    byId("session").classList.add("is-loading");
    showOne("session");
    this.#empty();
    if (known) this.#head(known);
    this.#poller = this.#live.add(
      () => this.#refresh(id),
      () => this.#pause(),
    );
    this.#uses.open(`sessions/${id}/uses?limit=20`);
  }

  /** Shows no session. */
  close() {
    this.#uses.open(null);
    this.#live.remove(this.#poller);
    this.#poller = null;
    this.#id = null;
    this.#session = null;
    showOne("session", "Select a session to see its details.");
  }

  /** Updates the session now. */
  now() {
    this.#poller?.now();
  }

  /** Updates the session when the list shows a newer version of it. */
  seen(session) {
    if (session.id === this.#id && this.#session && session.updated_at > this.#session.updated_at) this.now();
  }

  /** Shows a session from a response. */
  show(session) {
    if (session.id !== this.#id) return;
    const before = this.#session?.status;
    this.#session = session;
    byId("session").classList.remove("is-loading");
    showOne("session");
    byId("erase").disabled = Boolean(session.erasure);
    byId("withdraw").disabled = Boolean(session.consent_withdrawal) || ["canceled", "redacted"].includes(session.status);
    byId("fresh").disabled = !canTryAgain(session);
    byId("invite").disabled = !["requires_input", "processing", "verified"].includes(session.status);
    this.#head(session);
    this.#timeline(session);
    this.#when("requests", session.requests, () => showRequests(session.requests ?? []));
    this.#assets(session);
    this.#when("attempts", [session.attempts, session.attempts_left], () => showAttempts(session));
    const consent = [
      session.consent,
      session.consent_status,
      session.consent_terms,
      session.consent_withdrawal,
      session.consent_declined_at,
    ];
    this.#when("consent", consent, () => showConsent(session));
    if (before && before !== session.status) announce(`The session is ${words(session.status)} now`);
  }

  async #refresh(id) {
    try {
      this.show(await this.#api("GET", `sessions/${id}`));
    } catch (error) {
      if (error.status !== 404 || id !== this.#id) throw error;
      showOne("session", problemText(error));
    }
  }

  #pause() {
    const session = this.#session;
    const unsettled =
      session &&
      (OPEN_SESSION.includes(session.status) ||
        (session.status === "verified" && session.assets.some((asset) => OPEN_ASSET.includes(asset.status))));
    return unsettled ? UNSETTLED_PAUSE_MS : SETTLED_PAUSE_MS;
  }

  /** Runs `draw` if `data` has changed since the last time. */
  #when(part, data, draw) {
    const text = JSON.stringify(data);
    if (this.#shown[part] === text) return;
    this.#shown[part] = text;
    draw();
  }

  #empty() {
    for (const id of PARTS) byId(id).replaceChildren();
    for (const id of ["assets-note", "attempts-note", "consent-note"]) setText(byId(id), "");
    byId("session-problem").hidden = true;
    for (const id of ["fresh", "invite", "withdraw", "erase"]) byId(id).disabled = true;
    showBadge(byId("session-status"), "loading");
  }

  /** Draws the parts that the list's entry has too. */
  #head(session) {
    const erased = session.status === "redacted";
    setText(byId("session-title"), session.reference ?? (erased ? "Erased session" : "Session without reference"));
    showBadge(byId("session-status"), session.status);
    const problem = session.last_error;
    byId("session-problem").hidden = !problem;
    if (problem) setText(byId("session-problem"), reasonText(problem));
    this.#when(
      "facts",
      [
        session.reference,
        session.language,
        session.created_at,
        session.verified_at,
        session.finished_at,
        session.settled,
        session.group_id,
        session.erasure,
        session.status,
      ],
      () => byId("facts").replaceChildren(...factsOf(session)),
    );
  }

  #timeline(session) {
    const model = timelineOf(session, serverNow() / 1_000);
    this.#when("timeline", model, () => drawTimeline(byId("timeline"), model));
    this.#when("events", model.events, () => byId("timeline-rows").replaceChildren(...timelineRows(model)));
  }

  #assets(session) {
    const note = session.assets.length
      ? ""
      : session.status === "redacted"
        ? "There were no files."
        : "No files were registered.";
    setText(byId("assets-note"), note);
    byId("assets-note").hidden = !note;
    keepList(
      byId("assets"),
      session.assets,
      (asset) => asset.id,
      (asset) => this.#files.make(asset),
      (row, asset) => this.#files.show(row, asset),
    );
  }
}

/** Whether a new link can be created. The API checks the same and gives the reason. */
function canTryAgain(session) {
  const waiting = session.status === "requires_input" || session.status === "processing";
  return waiting && !session.group_id && session.attempts_left !== 0;
}

function factsOf(session) {
  const facts = [timeFact("Created", session.created_at)];
  if (session.verified_at) facts.push(laterFact("Verified", session.verified_at, session.created_at));
  if (session.finished_at) facts.push(timeFact("The person has finished", session.finished_at));
  if (session.status === "verified") facts.push(fact("Still expected", session.settled ? "nothing" : "files"));
  facts.push(fact("Language", `${LANGUAGES[session.language] ?? ""} (${session.language})`.trim()));
  if (session.group_id) {
    facts.push(idFact("Group at crun", session.group_id, "the group id"));
  }
  if (session.erasure) {
    facts.push(timeFact("Erased", session.erasure.erased_at));
    const requests = session.erasure.deletion_requests ?? [];
    const deleted = requests.length > 0 && requests.every((each) => each.status === "done");
    const note = deleted
      ? "crun's support has confirmed the deletion."
      : "crun cannot delete through its API: data under these ids stays until its support removes it.";
    facts.push(fact("At crun", note, deletionList(requests)));
  } else if (session.status === "redacted") {
    facts.push(fact("Erased", "not complete: press Erase again"));
  }
  return facts;
}

const dayText = (iso) => (iso ?? "").slice(0, 10);

/** Returns a list with the state of each id's deletion at crun, or null without ids. */
function deletionList(requests) {
  if (requests.length === 0) return null;
  const item = (each) => h("li", {}, h("code", {}, each.id), ` (${each.kind}): ${deletionText(each)}`);
  return h("ul", { id: "deletions" }, ...requests.map(item));
}

/** What crun was asked about an id, and what it has answered. The days are UTC, as the operator has recorded them. */
function deletionText(request) {
  const asked = `asked on ${dayText(request.asked_at)}`;
  const states = {
    not_asked: "crun was not asked to delete it",
    asked,
    refused_until: `refused until ${dayText(request.refused_until)} (${asked})`,
    done: `crun confirmed the deletion on ${dayText(request.done_at)}`,
  };
  const ticket = request.ticket ? `, ticket ${request.ticket}` : "";
  return (states[request.status] ?? words(request.status)) + ticket;
}

const REQUEST_WORDS = { open: "not received", received: "received", active: "active" };

function showRequests(requests) {
  byId("requests-part").hidden = requests.length === 0;
  keepList(
    byId("requests"),
    requests,
    (request) => request.name,
    () => h("li", {}, h("b"), h("span", { class: "badge" }), h("span", { class: "what" })),
    (row, request) => {
      const [name, badge, what] = row.children;
      setText(name, request.name);
      showBadge(badge, request.status);
      setText(badge, REQUEST_WORDS[request.status] ?? words(request.status));
      setText(what, [request.asset_type, request.required ? "" : "optional", request.hint].filter(Boolean).join(" · "));
    },
  );
}

function showAttempts(session) {
  const left = session.attempts_left;
  const none = session.attempts.length
    ? ""
    : "The person has not started the face check. ";
  const more = session.attempts.length ? "more " : "";
  const possible = canTryAgain(session) ? `${left} ${more}${left === 1 ? "attempt is" : "attempts are"} possible.` : "";
  setText(byId("attempts-note"), none + possible);
  byId("attempts-note").hidden = !(none + possible);
  keepList(
    byId("attempts"),
    session.attempts,
    (attempt) => String(attempt.number),
    () => h("li", {}, h("b"), h("span", { class: "badge" }), h("span", { class: "what" })),
    showAttempt,
  );
}

function showAttempt(row, attempt) {
  const [name, badge, what] = row.children;
  setText(name, `Attempt ${attempt.number}`);
  showBadge(badge, attempt.status);
  const made = `link created ${momentText(attempt.created_at)} (${besideText(attempt.created_at)})`;
  const took = attempt.answered_at ? (Date.parse(attempt.answered_at) - Date.parse(attempt.created_at)) / 1_000 : null;
  const came =
    took === null ? `valid until ${clockText(attempt.expires_at)}` : `the person came back after ${durationText(took)}`;
  setText(what, [made, came, attempt.result_code && `result ${attempt.result_code}`].filter(Boolean).join(" · "));
}

const makeUse = ({ generation_id: id }) =>
  h("li", {}, shortLink(id), h("span", { class: "badge" }), h("span", { class: "what" }));

function showUse(row, { time, outcome, reason, purpose, model, asset_ids: assets }) {
  const [, badge, what] = row.children;
  showBadge(badge, outcome ?? "running");
  const files = `${assets.length} ${assets.length === 1 ? "file" : "files"}`;
  setText(what, [momentText(time), purpose && words(purpose), model, files, reason && words(reason)].filter(Boolean).join(" · "));
}

/** Returns purposes and end of terms, or of a consent, as words. */
function termsText({ purposes, valid_until: until, valid_days: days }) {
  const what = purposes ? purposes.map(words).join(", ") : "every purpose";
  if (days) return `${what}, for ${days} days`;
  return until ? `${what}, until ${momentText(until)}` : `${what}, until withdrawn`;
}

const SOURCES = { client: "recorded by the caller", person: "given on the invite page" };

function showConsent({
  consent,
  consent_status: status,
  consent_terms: terms,
  consent_withdrawal: withdrawal,
  consent_declined_at: declined,
}) {
  const none = declined
    ? `The person declined on ${momentText(declined)} (${besideText(declined)}), and can still agree.`
    : status === "given"
      ? "No consent is on record: the client that made the link answers for it."
      : "The person has not agreed yet.";
  setText(byId("consent-note"), consent || withdrawal ? "" : none);
  byId("consent-note").hidden = Boolean(consent || withdrawal);
  const asked = terms && (!consent || consent.has_new_terms) ? [fact("Asked for", termsText(terms))] : [];
  const flying = withdrawal?.in_flight.map(({ type, id }) => `${type} ${id}`).join(", ");
  const ended = withdrawal
    ? [
        timeFact("Withdrawn", withdrawal.withdrawn_at),
        fact("Withdrawn by", withdrawal.source === "person" ? "the person" : "the client"),
        ...(flying ? [fact("In flight then", flying)] : []),
      ]
    : [];
  if (!consent) {
    byId("consent").replaceChildren(...ended, ...asked);
    return;
  }
  byId("consent").replaceChildren(
    fact("Status", status),
    ...ended,
    ...asked,
    fact("Covers", termsText({ ...consent, valid_days: null })),
    fact("Text", consent.text_version),
    timeFact("Given", consent.given_at),
    fact(
      "Language",
      consent.language ? `${LANGUAGES[consent.language] ?? ""} (${consent.language})`.trim() : "not recorded",
    ),
    fact("How", SOURCES[consent.source] ?? consent.source),
    consent.sha256
      ? idFact("SHA-256 of the text", consent.sha256, "the consent hash")
      : fact("SHA-256 of the text", "not on record"),
  );
}
