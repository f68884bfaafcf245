// Uploads files from this page to the bucket, two at a time: checks, registers and sends them. It resumes after a lost
// connection, and reports files that the server refuses, which can be retried.

import { ApiError, call, serverNow } from "./api.js";
import { UnusableFile, digestOf, inspect, shrink } from "./media.js";

const CONCURRENCY = 2;
const MAX_TRIES = 6;
/** An upload that sends no byte for this long counts as a lost connection. */
const STALLED_MS = 60_000;
const NAME_LIMIT = 64;
// Characters that the API rejects in names: control characters, line separators, overrides of the text direction.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;
const TRANSIENT = new Set(["offline", "timeout", "throttled", "rate_limited", "storage_unavailable", "not_json"]);

/** The bucket responded, but did not accept the file. */
class NotStored extends Error {}
/** The file could not be read: it was moved or changed, or the permission has ended. */
class Unreadable extends Error {}

/**
 * The files of this page. `phase` of an item: `checking`, `refused` (checked and not usable), `smaller` (a smaller copy
 * of a picture, in `smaller`, which the person may accept), `queued`, `sending`, `paused` (no connection), `sent`, `broken` (the upload failed; can be retried), `failed` (its asset failed). `limits`
 * is a promise of the limits of files, `taken()` returns the names in use. Callbacks: `changed(item)` after every change,
 * `same(item, name)` when the session already has the same file, `replaced(newId, oldId)` when an asset
 * replaces another.
 */
export class Uploads {
  constructor({ key, sessionId, limits, taken, changed, same, replaced }) {
    this.key = key;
    this.sessionId = sessionId;
    this.limits = limits;
    this.taken = taken;
    this.changed = changed;
    this.same = same;
    this.replaced = replaced;
    this.items = [];
    this.running = 0;
  }

  /** Whether an upload is unfinished and would be lost by leaving the page. */
  get sending() {
    return this.items.some((each) => ["checking", "queued", "sending", "paused"].includes(each.phase));
  }

  /**
   * Adds a file. `row` is the key of its row, `former` the id of the asset that it replaces, `name` and `kind` are the
   * requested ones, `request` is the name of the file request that it answers. All may be null.
   */
  async add(file, { row = null, former = null, name = null, kind = null, request = null } = {}) {
    const key = nextKey();
    const item = { row: row ?? key, former, request, wanted: kind, file, url: URL.createObjectURL(file), phase: "checking" };
    Object.assign(item, { asked: name, name: name ?? this.freeName(file.name), sent: 0, tries: 0, assetId: null });
    this.items.push(item);
    this.changed(item);
    await this.check(item);
  }

  /** Checks an item's file, and queues it if it can be used. */
  async check(item) {
    try {
      const found = await inspect(item.file, item.url, await this.limits, item.wanted);
      Object.assign(item, found);
      item.sha256 = await digestOf(item.file);
    } catch (error) {
      if (!(error instanceof UnusableFile)) throw error;
      return this.offerSmaller(item, error);
    }
    const same = (each) => each.sha256 === item.sha256 && each.request === item.request;
    const duplicate = this.items.find((each) => each !== item && item.sha256 && same(each));
    if (duplicate && !["refused", "broken", "failed"].includes(duplicate.phase)) {
      return this.drop(item, duplicate.name);
    }
    this.set(item, { phase: "queued" });
    this.next();
  }

  /** Makes a smaller copy of a picture that is too large, and offers it. Refuses any other file. */
  async offerSmaller(item, error) {
    let problem = error;
    try {
      const made = await shrink(item.file, item.url, await this.limits, error);
      if (made && this.items.includes(item)) {
        const smaller = { ...made, bytes: item.file.size };
        this.replaceFile(item, made.file);
        return this.set(item, { phase: "smaller", kind: "Image", smaller });
      }
    } catch (other) {
      if (!(other instanceof UnusableFile)) throw other;
      problem = other;
    }
    this.set(item, { phase: "refused", problem: { code: problem.code, values: problem.values } });
  }

  /** Uploads the smaller copy, which the person has accepted. */
  acceptSmaller(item) {
    this.set(item, { phase: "checking", smaller: null });
    return this.check(item);
  }

  replaceFile(item, file) {
    URL.revokeObjectURL(item.url);
    Object.assign(item, { file, url: URL.createObjectURL(file) });
    if (item.asked === null) item.name = this.freeName(file.name, item);
  }

  /** Retries a file whose upload failed, or whose asset failed for a temporary reason. */
  retry(item) {
    if (item.phase === "failed") Object.assign(item, { former: item.assetId, assetId: null });
    this.set(item, { phase: "queued", tries: 0, sent: 0, form: null, problem: null });
    this.next();
  }

  /** Marks the items whose assets failed: the same file can be chosen again. */
  update(assets) {
    const failed = new Set(assets.filter((each) => each.status === "failed").map((each) => each.id));
    for (const item of this.items) {
      if (item.phase === "sent" && failed.has(item.assetId)) item.phase = "failed";
    }
  }

  /** Removes an item from the list. */
  remove(item) {
    this.items = this.items.filter((each) => each !== item);
    URL.revokeObjectURL(item.url);
    this.changed(item);
  }

  set(item, changes) {
    Object.assign(item, changes);
    this.changed(item);
  }

  drop(item, name) {
    this.remove(item);
    this.same(item, name);
  }

  next() {
    while (this.running < CONCURRENCY) {
      const item = this.items.find((each) => each.phase === "queued");
      if (!item) return;
      this.running += 1;
      this.set(item, { phase: "sending" });
      this.send(item).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }

  async send(item) {
    while (item.phase === "sending") {
      try {
        await this.sendOnce(item);
      } catch (error) {
        await this.afterFailure(item, error);
      }
    }
  }

  async sendOnce(item) {
    if (!item.form || Date.parse(item.form.expires_at) < serverNow() + STALLED_MS) await this.register(item);
    if (item.phase !== "sending") return;
    await post(item.form, item.file, (sent) => this.set(item, { sent }));
    this.set(item, { phase: "sent", sent: item.file.size, form: null });
  }

  async register(item) {
    const asset = await call(this.key, "POST", `sessions/${this.sessionId}/assets`, {
      ...(item.request === null ? { name: item.name } : { request: item.request }),
      asset_type: item.kind,
      content_type: item.contentType,
      size_bytes: item.file.size,
      ...(item.sha256 ? { sha256: item.sha256 } : {}),
    });
    if (!asset.upload) {
      // The session already has these bytes; after a retry it may be this item's own asset, whose response was lost.
      if (item.assetId === asset.id) this.set(item, { phase: "sent", sent: item.file.size });
      else this.drop(Object.assign(item, { phase: "same" }), asset.name);
      return;
    }
    const before = item.assetId ?? item.former;
    if (before && before !== asset.id) this.replaced(asset.id, before);
    this.set(item, { form: asset.upload, assetId: asset.id, name: asset.name });
  }

  async afterFailure(item, error) {
    // Another tab or device has sent a file for the request.
    if (error.code === "request_filled") return this.drop(Object.assign(item, { phase: "same" }), item.name);
    const passing = error instanceof ApiError && TRANSIENT.has(error.code);
    item.tries += 1;
    if (error instanceof NotStored) item.form = null; // it may have expired: the next attempt gets a new one
    const most = error instanceof NotStored ? 2 : passing ? (navigator.onLine ? MAX_TRIES : Infinity) : 0;
    if (item.tries >= most) return this.set(item, { phase: "broken", problem: problemOf(error) });
    this.set(item, { phase: "paused", sent: 0 });
    await (error.retryAfter ? sleep(error.retryAfter) : pause(Math.min(30, 2 ** item.tries)));
    if (item.phase === "paused") this.set(item, { phase: "sending" });
  }

  /** Returns a name that the API accepts and that no other file of the session has, except for `own`, an item. */
  freeName(given, own = null) {
    const clean = given.normalize("NFC").replace(UNPRINTABLE, "").trim() || "file";
    const dot = clean.lastIndexOf(".");
    const end = dot > 0 && clean.length - dot <= 6 ? clean.slice(dot) : "";
    const stem = end ? clean.slice(0, dot) : clean;
    const taken = new Set([...this.taken(), ...this.items.filter((each) => each !== own).map((each) => each.name)]);
    for (let number = 1; ; number += 1) {
      const tail = number === 1 ? end : ` (${number})${end}`;
      const name = [...stem].slice(0, NAME_LIMIT - tail.length).join("") + tail;
      if (!taken.has(name)) return name;
    }
  }
}

let lastKey = 0;

function nextKey() {
  lastKey += 1;
  return `item-${lastKey}`;
}

function problemOf(error) {
  if (error instanceof NotStored) return { code: "upload_refused" };
  if (error instanceof Unreadable) return { code: "upload_unreadable" };
  if (!(error instanceof ApiError)) throw error;
  return error.code === "too_many_attempts" ? { code: "too_many_assets" } : { code: error.code, error };
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * Waits for some seconds or until the connection is back, whichever is first.
 * @returns {Promise<void>}
 */
function pause(seconds) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    addEventListener("online", done);
  });
}

/**
 * Sends a file with a presigned form. Uses XMLHttpRequest, because fetch does not report upload progress.
 * @returns {Promise<void>}
 */
function post(form, file, progress) {
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  body.append("file", file, "file");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let watch = 0;
    const restartWatch = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), STALLED_MS);
    };
    request.upload.addEventListener("progress", (event) => {
      restartWatch();
      // `loaded` and `total` include the form's other fields.
      if (event.lengthComputable) progress(Math.min(file.size, Math.max(0, event.loaded - (event.total - file.size))));
    });
    const lost = () => reject(new ApiError("offline", "The upload was interrupted"));
    request.addEventListener("abort", lost);
    request.addEventListener("error", () => readable(file).then((can) => (can ? lost() : reject(new Unreadable()))));
    request.addEventListener("load", () => (request.status < 300 ? resolve() : reject(refusal(request.status))));
    request.addEventListener("loadend", () => clearTimeout(watch));
    request.open("POST", form.url);
    request.send(body);
    restartWatch();
  });
}

function refusal(status) {
  if (status < 500) return new NotStored(String(status));
  return new ApiError("storage_unavailable", `The storage responded with ${status}`);
}

async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
