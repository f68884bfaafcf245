// Invites: a new link for one session, or none anymore; and a batch of people from a file.

import { inviteOne, readPeople, resultOf } from "./console_batch.js";
import { save } from "./console_csv.js";
import { announce, byId } from "./console_parts.js";
import { openDialog, runAction, showLink, showProblem } from "./console_dialogs.js";
import { h, setText } from "./dom.js";

const EXAMPLE = 'reference,language,return_url,requests\r\norder-1,en,,"front:Image:Look at the camera; voice:Audio?"\r\n';

/** The dialog that replaces or revokes an invite link. `onChange(session)` gets the response. */
export class InviteDialog {
  #api;
  #current;
  #onChange;

  constructor(api, current, onChange, signal) {
    this.#api = api;
    this.#current = current;
    this.#onChange = onChange;
    const act = (id, action) =>
      byId(id).addEventListener("click", () => runAction(byId(id), "invite-problem", action), { signal });
    byId("invite").addEventListener("click", () => this.#open(), { signal });
    act("invite-renew", () => this.#renew());
    act("invite-revoke", () => this.#revoke());
  }

  #open() {
    showProblem("invite-problem", null);
    byId("invite-ask").hidden = false;
    byId("invite-done").hidden = true;
    openDialog(byId("invite-dialog"), () => byId("invite-link").replaceChildren());
  }

  async #renew() {
    const session = await this.#api("POST", `sessions/${this.#current().id}/invite`);
    this.#done(session, "Invite link created");
    showLink(this.#api, byId("invite-link"), {
      title: "Invite link",
      what: "the invite link",
      link: session.invite_url,
      hint: "Send it to the person. It works for seven days and is shown once. Earlier links no longer work.",
    });
  }

  async #revoke() {
    const session = await this.#api("DELETE", `sessions/${this.#current().id}/invite`);
    this.#done(session, "Invite link revoked");
    byId("invite-link").replaceChildren(
      h("p", {}, "No invite link of this session works anymore. You can create a new one at any time."),
    );
  }

  #done(session, title) {
    this.#onChange(session);
    byId("invite-ask").hidden = true;
    byId("invite-done").hidden = false;
    setText(byId("invite-done-title"), title);
    byId("invite-done-title").focus();
  }
}

const STEPS = ["batch-choose", "batch-preview", "batch-run", "batch-done"];

/** The dialog that invites the people of a file. Nothing of the file is stored. `onCreated()` is called at the end. */
export class BatchDialog {
  #api;
  #onCreated;
  #signal;
  #people = [];
  #done = [];
  #stop = new AbortController();

  constructor(api, onCreated, signal) {
    this.#api = api;
    this.#onCreated = onCreated;
    this.#signal = signal;
    const on = (id, event, action) => byId(id).addEventListener(event, action, { signal });
    on("batch", "click", () => this.#open());
    on("batch-file", "change", () => this.#read());
    on("batch-example", "click", () => save(EXAMPLE, "people.csv"));
    on("batch-make", "click", () => this.#run());
    on("batch-stop", "click", () => this.#stop.abort());
    on("batch-again", "click", () => this.#choose());
    on("batch-save", "click", () => this.#save());
    signal.addEventListener("abort", () => this.#stop.abort());
  }

  #open() {
    this.#choose();
    openDialog(byId("batch-dialog"), () => {
      this.#people = this.#done = [];
      byId("batch-rows").replaceChildren();
      byId("batch-file").value = "";
    });
  }

  #choose() {
    byId("batch-file").value = "";
    byId("batch-faults").replaceChildren();
    showProblem("batch-problem", crypto.subtle ? null : "Open the console by https to use this.");
    this.#show("batch-choose");
  }

  #show(step) {
    for (const each of STEPS) byId(each).hidden = each !== step;
  }

  async #read() {
    const [file] = byId("batch-file").files;
    if (!file) return;
    const { people, faults } = readPeople(await file.arrayBuffer());
    byId("batch-file").value = ""; // the same file can be chosen again after a correction
    this.#people = people;
    byId("batch-faults").replaceChildren(...faults.map((each) => h("li", {}, faultText(each))));
    if (faults.length) {
      showProblem("batch-problem", "This file cannot be used. Nothing was created. Correct it and choose it again.");
      return;
    }
    showProblem("batch-problem", null);
    const count = people.length;
    setText(byId("batch-count"), `${count} ${count === 1 ? "person" : "people"}`);
    setText(byId("batch-make"), `Invite ${count} ${count === 1 ? "person" : "people"}`);
    byId("batch-rows").replaceChildren(...people.map(previewRow));
    this.#show("batch-preview");
    byId("batch-count").focus();
  }

  async #run() {
    const dialog = byId("batch-dialog");
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#done = [];
    dialog.dataset.busy = "yes";
    this.#show("batch-run");
    byId("batch-progress").max = this.#people.length;
    byId("batch-stop").focus();
    let error = null;
    try {
      for (const each of this.#people) {
        this.#progress();
        this.#done.push({ ...each, ...(await inviteOne(this.#api, each.body, signal)) });
      }
    } catch (problem) {
      error = problem;
    } finally {
      delete dialog.dataset.busy;
    }
    if (this.#signal.aborted) return;
    this.#finish(signal.aborted ? null : error);
  }

  #progress() {
    byId("batch-progress").value = this.#done.length;
    setText(byId("batch-progress-text"), `${this.#done.length} of ${this.#people.length}`);
  }

  #finish(error) {
    const made = this.#done.filter((each) => each.session);
    const left = this.#people.length - this.#done.length;
    const title = `${made.length} of ${this.#people.length} people invited`;
    setText(byId("batch-done-title"), title);
    showProblem("batch-end", error);
    byId("batch-left").hidden = !left;
    byId("batch-save").hidden = !this.#done.length;
    byId("batch-refused").replaceChildren(
      ...this.#done.filter((each) => each.problem).map((each) => h("li", {}, `Line ${each.line}: ${each.problem}`)),
    );
    this.#show("batch-done");
    byId("batch-done-title").focus();
    announce(title);
    this.#onCreated();
  }

  #save() {
    save(resultOf(this.#done), "invite-links.csv");
    announce("The links were saved to invite-links.csv");
  }
}

const faultText = ({ line, column, text }) =>
  [line ? `Line ${line}` : "", column].filter(Boolean).join(", ") + (line || column ? `: ${text}` : text);

function previewRow({ line, body }) {
  const files = (body.requests ?? []).map((each) => `${each.name} (${each.asset_type}${each.required ? "" : ", optional"})`);
  return h(
    "tr",
    {},
    ...[String(line), body.reference, body.language ?? "zh", body.return_url ?? "–", files.join(", ") || "–"].map((text) =>
      h("td", {}, text),
    ),
  );
}
