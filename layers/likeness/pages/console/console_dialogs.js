// The dialogs that create a session, create a new face-check link and erase a session. Each explains its effect first.

import { announce, byId, copyButton, disableFor, problemText, setAttributes } from "./console_parts.js";
import { h, setText, showPicture } from "./dom.js";

const TAIL = 6;
const MOST_REQUESTS = 20;
const LINK_SECONDS = 120;
const WITHDRAWAL =
  "Nothing more is sent to crun, and use checks are refused. What crun has received before cannot be recalled: its" +
  " result is stored, and not used. The files stay until the session is erased.";
const AGREE_AGAIN = "After the person’s own withdrawal, only the person can agree again.";

/** Opens a dialog. On closing, `onClose` removes its secrets and the focus returns to where it was. */
export function openDialog(dialog, onClose) {
  const opener = /** @type {HTMLButtonElement} */ (document.activeElement);
  dialog.addEventListener(
    "close",
    () => {
      onClose();
      if (opener?.getClientRects().length && !opener.disabled) opener.focus();
      else byId(`${document.body.dataset.view}-title`)?.focus();
    },
    { once: true },
  );
  dialog.showModal();
}

/** Lets buttons and Escape close a dialog, but not during its request: the response has a link that is sent once. */
export function prepareDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("cancel", (event) => {
      if (dialog.dataset.busy) event.preventDefault();
    });
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => {
        if (!dialog.dataset.busy) dialog.close();
      });
    }
  }
}

/** Closes every open dialog after the sign-out. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) if (dialog.open) dialog.close();
}

/** Shows a problem, or a text; null hides it. */
export function showProblem(id, error) {
  byId(id).hidden = !error;
  setText(byId(id), typeof error === "string" ? error : error ? problemText(error) : "");
}

/** Runs the action of a button, which is disabled meanwhile, and after an error for the time in Retry-After. */
export async function runAction(button, problem, action) {
  if (button.disabled) return;
  const dialog = button.closest("dialog, article");
  dialog.dataset.busy = "yes";
  button.disabled = true;
  showProblem(problem, null);
  let wait = 0;
  try {
    await action();
  } catch (error) {
    showProblem(problem, error);
    wait = error.retryAfter ?? 0;
  } finally {
    delete dialog.dataset.busy;
  }
  disableFor(button, wait);
}

/** Asks before `action()`, in a dialog with a title, two paragraphs and a button. A problem of the action is shown there. */
export function ask(title, what, more, sure, action) {
  const dialog = byId("ask-dialog");
  const button = byId("ask-do");
  setText(byId("ask-title"), title);
  setText(byId("ask-what"), what);
  setText(byId("ask-more"), more);
  setText(button, sure);
  button.disabled = false;
  showProblem("ask-problem", null);
  byId("ask-form").onsubmit = (event) => {
    event.preventDefault();
    runAction(button, "ask-problem", async () => {
      await action();
      dialog.close();
    });
  };
  openDialog(dialog, () => {});
  dialog.querySelector("[data-close]").focus();
}

/** Shows a link with a copy button and its QR code. The link is stored nowhere else. */
export function showLink(api, host, { title, what, link, hint }) {
  const box = h("input", { class: "link", readonly: true, "aria-label": what, value: link });
  box.addEventListener("focus", () => box.select());
  const code = h("img", { class: "qr", alt: `QR code of ${what}` });
  host.replaceChildren(
    h("h3", {}, title),
    h("p", { class: "hint" }, hint),
    h(
      "div",
      { class: "link-line" },
      box,
      copyButton(what, () => link),
    ),
    code,
  );
  api("POST", "qr-codes", { body: link }).then(
    (picture) => showPicture(code, picture),
    () => code.remove(), // the link itself can still be copied
  );
}

/** Shows a link with a countdown of its lifetime from the response. `asked` is the time of the request. */
function showExpiringLink(api, host, session, asked) {
  const attempt = session.attempt;
  const made = session.attempts?.find((each) => each.number === attempt.number);
  const lifetime = made ? (Date.parse(made.expires_at) - Date.parse(made.created_at)) / 1_000 : LINK_SECONDS;
  showLink(api, host, {
    title: `Face-check link, attempt ${attempt.number}`,
    what: "the face-check link",
    link: attempt.h5_link,
    hint: "A secret, shown once. Give it to the person directly: the first to open it takes the check.",
  });
  const left = h("span");
  const bar = h("progress", { max: String(lifetime), "aria-label": "Time left" });
  host.append(h("p", { class: "countdown", role: "timer" }, left), bar);
  return countDown(asked + lifetime * 1_000, (seconds) => {
    setText(left, `${Math.ceil(seconds)} s left to open it`);
    bar.value = seconds;
    if (seconds > 0) return;
    host.replaceChildren(
      h(
        "p",
        { class: "hint" },
        "The link has expired and is no longer shown. If the person opened it in time, the session continues.",
      ),
    );
    announce("The face-check link has expired");
  });
}

/** Calls `onTick` with the remaining seconds until 0. Returns a function that stops it. */
function countDown(end, onTick) {
  const timer = setInterval(tick, 500);
  function tick() {
    const left = Math.max(0, (end - performance.now()) / 1_000);
    if (left === 0) clearInterval(timer);
    onTick(left);
  }
  tick();
  return () => clearInterval(timer);
}

/** The dialog that creates a session. `onCreated(session)` gets the response. */
export class NewDialog {
  #api;
  #onCreated;
  #stop = null;
  #key = null;
  #createdId = null;

  constructor(api, onCreated, signal) {
    this.#api = api;
    this.#onCreated = onCreated;
    byId("new").addEventListener("click", () => this.#open(), { signal });
    byId("new-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        runAction(byId("new-make"), "new-problem", () => this.#make());
      },
      { signal },
    );
    // A changed form is a new request. The same form, sent again after a lost response, is a retry.
    byId("new-form").addEventListener(
      "input",
      () => {
        this.#key = null;
      },
      { signal },
    );
    byId("new-request").addEventListener("click", () => this.#addRequest(), { signal });
    byId("new-consented").addEventListener("change", () => this.#showConsent(), { signal });
    byId("new-show").addEventListener(
      "click",
      () => {
        byId("new-dialog").close();
        location.hash = this.#createdId;
      },
      { signal },
    );
  }

  #open() {
    this.#key = null;
    byId("new-form").reset();
    byId("new-language").value = ownLanguage();
    byId("new-requests").replaceChildren();
    byId("new-request").hidden = false;
    this.#showConsent();
    this.#showFields(null);
    showProblem("new-problem", null);
    byId("new-form").hidden = false;
    byId("new-done").hidden = true;
    openDialog(byId("new-dialog"), () => {
      this.#stop?.();
      byId("new-invite").replaceChildren();
      byId("new-link").replaceChildren();
    });
  }

  /** Adds the fields of one file to ask for. */
  #addRequest() {
    const field = (name, label, input) => {
      input.id = `new-${name}-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      input.dataset.part = name;
      const note = h("p", { class: "field-problem", "data-part": name });
      return h("div", { class: `of-${name}` }, h("label", { for: input.id }, label), input, note);
    };
    const remove = h("button", { type: "button", class: "quiet" }, "Remove");
    const name = h("input", { maxlength: "64", autocomplete: "off" });
    const types = ["Image", "Video", "Audio"].map((type) => h("option", {}, type));
    const row = h(
      "li",
      {},
      field("name", "Name of the file", name),
      field("asset_type", "Type", h("select", {}, ...types)),
      field("hint", "Hint for the person (optional)", h("input", { maxlength: "200", autocomplete: "off" })),
      h(
        "div",
        { class: "end" },
        h("label", { class: "choice" }, h("input", { type: "checkbox", checked: true }), "required"),
        remove,
      ),
    );
    remove.addEventListener("click", () => {
      row.remove();
      this.#key = null;
      byId("new-request").hidden = false;
      byId("new-request").focus();
    });
    byId("new-requests").append(row);
    byId("new-request").hidden = byId("new-requests").children.length >= MOST_REQUESTS;
    this.#key = null;
    name.focus();
  }

  /** Shows the fields of a consent if there is one, whose time is now by default. */
  #showConsent() {
    const given = byId("new-consented").checked;
    byId("new-consent").hidden = !given;
    const now = new Date();
    now.setMinutes(now.getMinutes() - now.getTimezoneOffset());
    if (given) byId("new-given").value ||= now.toISOString().slice(0, 16);
  }

  async #make() {
    this.#showFields(null);
    this.#key ??= crypto.randomUUID?.() ?? null;
    const asked = performance.now();
    let session;
    try {
      session = await this.#api("POST", "sessions", {
        body: this.#body(),
        headers: this.#key ? { "Idempotency-Key": this.#key } : {},
      });
    } catch (error) {
      if (!this.#showFields(error)) throw error;
      return;
    }
    this.#createdId = session.id;
    this.#onCreated(session);
    if (!byId("new-dialog").open) return;
    byId("new-form").hidden = true;
    byId("new-done").hidden = false;
    showLink(this.#api, byId("new-invite"), {
      title: "Invite link",
      what: "the invite link",
      link: session.invite_url,
      hint:
        "Send it to the person. It works for seven days, is shown once, and gives access to this session to anyone" +
        " who has it.",
    });
    if (session.attempt?.h5_link) this.#stop = showExpiringLink(this.#api, byId("new-link"), session, asked);
    byId("new-done-title").focus();
  }

  #body() {
    const form = new FormData(byId("new-form"));
    const body = { language: form.get("language"), start: form.get("start") };
    for (const name of ["reference", "return_url"]) {
      const value = /** @type {string} */ (form.get(name)).trim();
      if (value) body[name] = value;
    }
    const requests = [...byId("new-requests").children].map(requestIn);
    if (requests.length) body.requests = requests;
    if (byId("new-consented").checked) {
      const at = new Date(byId("new-given").value);
      // An unreadable time is sent as it is: the API names the field.
      body.consent = {
        text_version: byId("new-version").value.trim(),
        given_at: Number.isNaN(at.getTime()) ? byId("new-given").value : at.toISOString(),
      };
    }
    return body;
  }

  /** Marks the field that the problem names. Returns whether it names one. */
  #showFields(error) {
    let found = false;
    for (const [index, row] of [...byId("new-requests").children].entries()) {
      for (const each of row.querySelectorAll("[data-part]")) {
        const name = `requests.${index}.${each.dataset.part}`;
        if (each.matches("p")) each.dataset.for = name;
        else each.name = name;
      }
    }
    for (const note of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#new-form [data-for]"))) {
      const field = byId("new-form").elements.namedItem(note.dataset.for);
      const wrong = error?.field === note.dataset.for;
      found ||= wrong;
      setText(note, wrong ? problemText({ ...error, message: error.message.replace(`${error.field}: `, "") }) : "");
      if (!field) continue; // the note of a whole list
      note.id = `problem-${note.dataset.for.replaceAll(".", "-")}`;
      setAttributes(field, { "aria-invalid": wrong ? "true" : null, "aria-describedby": wrong ? note.id : null });
      if (wrong) field.focus();
    }
    return found;
  }
}

/** The browser's language, if people can choose it, else English. */
function ownLanguage() {
  for (const each of navigator.languages ?? []) {
    if (/^zh-(hant|tw|hk|mo)/i.test(each)) return "zh-Hant";
    if (/^zh/i.test(each)) return "zh";
    if (/^en/i.test(each)) return "en";
  }
  return "en";
}

/** Returns the file request in a row of the dialog. */
function requestIn(row) {
  const value = (part) => row.querySelector(`[data-part="${part}"]:not(p)`).value.trim();
  const hint = value("hint");
  return {
    name: value("name"),
    asset_type: value("asset_type"),
    required: row.querySelector("[type=checkbox]").checked,
    ...(hint ? { hint } : {}),
  };
}

/** The dialog that creates a new link. `current()` is the open session; `onChange(session)` gets the response. */
export class FreshDialog {
  #api;
  #current;
  #onChange;
  #stop = null;

  constructor(api, current, onChange, signal) {
    this.#api = api;
    this.#current = current;
    this.#onChange = onChange;
    byId("fresh").addEventListener("click", () => this.#open(), { signal });
    byId("fresh-make").addEventListener(
      "click",
      () => runAction(byId("fresh-make"), "fresh-problem", () => this.#make()),
      { signal },
    );
  }

  #open() {
    const left = this.#current().attempts_left;
    setText(
      byId("fresh-left"),
      left === undefined ? "" : `${left} ${left === 1 ? "attempt is" : "attempts are"} left in this session.`,
    );
    showProblem("fresh-problem", null);
    byId("fresh-ask").hidden = false;
    byId("fresh-done").hidden = true;
    openDialog(byId("fresh-dialog"), () => {
      this.#stop?.();
      byId("fresh-link").replaceChildren();
    });
  }

  async #make() {
    const asked = performance.now();
    const session = await this.#api("POST", `sessions/${this.#current().id}/attempts`, { body: {} });
    this.#onChange(session);
    if (!byId("fresh-dialog").open) return;
    byId("fresh-ask").hidden = true;
    byId("fresh-done").hidden = false;
    this.#stop = showExpiringLink(this.#api, byId("fresh-link"), session, asked);
    byId("fresh-done-title").focus();
  }
}

/** Lets the button withdraw the consent of the open session. See FreshDialog. */
export function listenToWithdraw(api, current, onChange, signal) {
  const withdraw = async () => {
    const session = current();
    const consent = await api("POST", `sessions/${session.id}/consent/withdraw`);
    onChange({ ...session, ...consent });
    announce("Consent withdrawn");
  };
  const asked = () => ask("Withdraw the consent", WITHDRAWAL, AGREE_AGAIN, "Withdraw", withdraw);
  byId("withdraw").addEventListener("click", asked, { signal });
}

/** The dialog that erases a session after the operator types the end of its id. */
export class EraseDialog {
  #api;
  #current;
  #onChange;
  #id = null;

  constructor(api, current, onChange, signal) {
    this.#api = api;
    this.#current = current;
    this.#onChange = onChange;
    byId("erase").addEventListener("click", () => this.#open(), { signal });
    byId("erase-word").addEventListener(
      "input",
      () => {
        byId("erase-do").disabled = !this.#confirmed;
      },
      { signal },
    );
    byId("erase-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        if (this.#confirmed) runAction(byId("erase-do"), "erase-problem", () => this.#erase());
      },
      { signal },
    );
  }

  get #confirmed() {
    const typed = byId("erase-word").value.trim().toUpperCase();
    return this.#id !== null && typed.length >= TAIL && this.#id.toUpperCase().endsWith(typed);
  }

  #open() {
    const session = this.#current();
    this.#id = session.id;
    const files = session.assets.length;
    const whose = session.reference ? `“${session.reference}”` : "without a reference";
    setText(
      byId("erase-what"),
      `The session ${whose} with ${files} ${files === 1 ? "asset" : "assets"} will be erased. This cannot be undone.`,
    );
    setText(byId("erase-tail"), session.id.slice(-TAIL));
    byId("erase-word").value = "";
    byId("erase-do").disabled = true;
    showProblem("erase-problem", null);
    openDialog(byId("erase-dialog"), () => {
      this.#id = null;
    });
    byId("erase-word").focus();
  }

  async #erase() {
    const session = await this.#api("DELETE", `sessions/${this.#id}`);
    byId("erase-dialog").close();
    this.#onChange(session);
    announce("Session erased");
  }
}
