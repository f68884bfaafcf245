// Derives the page's state from a session. Nothing here uses the DOM or the network.

/** A session token: session, client, expiry, the invite's number unless it is the first one, and the signature. */
const TOKEN = /st_ses_[0-7][0-9A-HJKMNP-TV-Z]{25}\.[a-z0-9-]{1,32}\.\d{1,12}\.(?:\d{1,9}\.)?[\w-]{43}/;
/** Asset statuses that change without the person. */
const MOVING = new Set(["uploaded", "submitting", "processing"]);
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Returns the session token in a part of a URL, without text that a chat app has added, or null. */
export function tokenIn(text) {
  const found = TOKEN.exec(text) ?? TOKEN.exec(decoded(text));
  return found && found[0];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/**
 * Returns the page's view: `consent`, `declined`, `withdrawn`, `ready`, `open`, `retry`, `spent`, `waiting`, `files`,
 * `canceled` or `redacted`.
 * `now` is in milliseconds by the server's clock.
 */
export function placeOf(session, now) {
  if (session.status === "canceled" || session.status === "redacted") return session.status;
  if (session.consent_status === "withdrawn") return "withdrawn";
  if (session.status === "processing" && session.attempts.some((each) => each.status === "passed")) return "waiting";
  if (!session.consent) return session.consent_declined_at ? "declined" : "consent";
  if (session.consent_status === "expired") return "consent";
  if (session.status === "verified") return "files";
  if (isOpen(session, now)) return "open";
  if (session.attempts_left < 1) return "spent";
  return session.attempt ? "retry" : "ready";
}

/** Returns the query of `GET /consent` for a language and the terms of a session, which may be null. */
export function consentQuery(language, terms) {
  const query = new URLSearchParams({ language });
  if (terms?.purposes) query.set("purposes", terms.purposes.join(","));
  if (terms?.valid_until) query.set("valid_until", terms.valid_until);
  if (terms?.valid_days) query.set("valid_days", String(terms.valid_days));
  return query.toString();
}

/** Returns the index of the step of a view, from 0 to 2, or null when all steps are over. */
export function stepOf(place) {
  if (["canceled", "redacted", "refused"].includes(place)) return null;
  return ["consent", "declined", "withdrawn"].includes(place) ? 0 : place === "files" ? 2 : 1;
}

/** Whether the newest link is open and still works. */
export function isOpen(session, now) {
  return session.attempt?.status === "open" && secondsLeft(session, now) > 0;
}

/** Returns the seconds until the newest link expires, 0 without one. */
export function secondsLeft(session, now) {
  return session.attempt ? Math.max(0, (Date.parse(session.attempt.expires_at) - now) / SECOND) : 0;
}

/** Returns why the last attempt failed, as a code of `last_error`. Without one, the link has just expired. */
export function reasonOf(session) {
  const byStatus = { failed: "attempt_failed", lost: "result_lost" };
  return session.last_error?.code ?? byStatus[session.attempt?.status] ?? "link_expired";
}

/** Whether the last link has no result yet: the person may still be taking the check. */
export const isUndecided = (session) => session.attempt?.status === "open";

/** Whether something changes without the person. `sending`: this page is uploading files. */
export function isMoving(place, session, sending) {
  if (place === "open" || place === "waiting") return true;
  return place === "files" && (sending || session.assets.some((each) => MOVING.has(each.status)));
}

/**
 * Returns the milliseconds until the next poll of the session, null for none. `still` is the time since the last
 * change. The interval is short while something changes by itself, and longer while the page waits for the person.
 */
export function pollDelay(place, session, sending, still) {
  if (place === "canceled" || place === "redacted") return null;
  if (isMoving(place, session, sending)) return still < 3 * MINUTE ? 2.5 * SECOND : 10 * SECOND;
  const settled = place === "files" && session.assets.length > 0 && session.assets.every(isSettled);
  // The page polls again when the person returns to it.
  if (settled && still > 10 * MINUTE) return null;
  return still < 3 * MINUTE ? 5 * SECOND : 20 * SECOND;
}

const isSettled = (asset) => ["active", "failed", "redacted"].includes(asset.status);

/**
 * Returns the current assets: `{ asset, root }` in the order of registration, without erased and replaced ones.
 * An asset that awaits its upload, or failed, is replaced by an asset of the same name and type that was registered
 * after it (each such asset replaces one), or by one that `replacements` (new id → old id) names. `root` is the first
 * asset of such a series.
 */
export function currentAssets(assets, replacements) {
  const there = assets.filter((each) => each.status !== "redacted");
  const inOrder = there.sort((one, other) => registered(one) - registered(other));
  const roots = new Map();
  const over = new Set();
  for (const each of inOrder) {
    const isReplaced = (other) => isVacant(other) && isAfter(each, other, replacements);
    const before = inOrder.find((other) => !over.has(other.id) && isReplaced(other));
    roots.set(each, roots.get(before) ?? each);
    if (before) over.add(before.id);
  }
  return inOrder.filter((each) => !over.has(each.id)).map((asset) => ({ asset, root: roots.get(asset) }));
}

/** Whether an asset was registered with the session itself: the client has requested it by name. */
export const isAskedFor = (asset, session) => asset.created_at === session.created_at;

/** Whether an asset has no file that can be used. */
export const isVacant = (asset) => asset.status === "awaiting_upload" || asset.status === "failed";

/** Content types that every browser shows in an `img`, so that the API has previews of them. */
const SHOWN = new Set(["image/jpeg", "image/png", "image/webp", "image/gif"]);

/** Whether the API has a preview of an asset's file. */
export const hasPreview = (asset) =>
  Boolean(asset?.uploaded_at) && asset.status !== "redacted" && SHOWN.has(asset.content_type);

/** States of a row whose file is missing or cannot be used; the person has to act. */
const OPEN = new Set(["awaiting_upload", "failed", "refused", "broken", "smaller"]);
const SENDING = new Set(["checking", "queued", "sending", "paused"]);

/** Whether the row of a file, a request or a place needs a file. */
export const isOpenRow = ({ state }) => OPEN.has(state);

/**
 * Returns what the step of the files is about: `add` (nothing was sent), `asked` (required files are missing), `sending`,
 * `problems` (a file cannot be used), `checking` (the person need not wait) or `ready`; after the person has finished
 * `finished`, `finished_problems` or `finished_checking`. `rows` have `state`, and `required` for requested files.
 */
export function phaseOf(rows, finished) {
  const some = (states) => rows.some((each) => states.has(each.state));
  const bad = rows.some((each) => isOpenRow(each) && each.state !== "awaiting_upload");
  if (some(SENDING)) return "sending";
  if (finished && bad) return "finished_problems";
  if (finished) return rows.some(isChecked) ? "finished_checking" : "finished";
  if (bad) return "problems";
  if (rows.some((each) => each.required && isOpenRow(each))) return "asked";
  if (rows.some(isChecked)) return "checking";
  return some(new Set(["active"])) ? "ready" : "add";
}

const isChecked = ({ state }) => state === "sent" || MOVING.has(state);

const registered = (asset) => Date.parse(asset.created_at);

function isAfter(later, asset, replacements) {
  if (later.id in replacements) return replacements[later.id] === asset.id;
  return later.name === asset.name && later.asset_type === asset.asset_type && registered(asset) < registered(later);
}
