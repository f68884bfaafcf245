// Calls of this API from its own pages. The credential is sent in x-api-key only, and is never part of a URL, an error
// or a console message.

const TIMEOUT_MS = 35_000; // longer than the gateway's timeout of 29 s

let skewMs = 0;

/** Milliseconds since the epoch by the server's clock, from its last response, because a phone's clock may be wrong. */
export const serverNow = () => Date.now() + skewMs;

/**
 * A failed call. `code` is the problem document's, or `offline` (no response), `timeout` or `not_json`. `message`
 * is the problem's English text; `status` is 0 without a response; `retryAfter` is in seconds or null; `requestId`
 * names the request in the server's logs, or is null.
 */
export class ApiError extends Error {
  constructor(code, message, { status = 0, retryAfter = null, requestId = null, field = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
    this.field = field;
  }
}

/** Begins a request of `call`, for its `begun`. */
export function begin(key, method, path, body = null, headers = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  const answer = fetch(path, {
    method,
    headers: {
      ...headers,
      ...(key ? { "x-api-key": key } : {}),
      ...(body ? { "content-type": typeof body === "string" ? "text/plain" : "application/json" } : {}),
    },
    body: body && (typeof body === "string" ? body : JSON.stringify(body)),
    cache: "no-store",
    credentials: "omit",
    signal: abort.signal,
  });
  answer.catch(() => {}); // `call` handles it, perhaps later
  return { path, abort, timer, answer };
}

/**
 * Sends one request, or takes the answer to one that has `begun`. `path` is relative to the page; `key` may be null for
 * public routes; `body` is sent as JSON, or as it is if it is a string. Returns the JSON of the response (null for an
 * empty one) or an image as a Blob. Throws ApiError.
 */
export async function call(key, method, path, body = null, { headers = {}, begun = null } = {}) {
  const { abort, timer, answer } = begun ?? begin(key, method, path, body, headers);
  try {
    const response = await answer;
    return read(response, await response.text());
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw abort.signal.aborted
      ? new ApiError("timeout", "The request timed out")
      : new ApiError("offline", "There is no connection");
  } finally {
    clearTimeout(timer);
  }
}

function read(response, text) {
  const date = Date.parse(response.headers.get("date"));
  if (Number.isFinite(date)) skewMs = date + 500 - Date.now();
  const type = response.headers.get("content-type") ?? "";
  if (response.ok && type.startsWith("image/")) return new Blob([text], { type });
  const document = parsed(text);
  if (response.ok && document !== undefined) return document;
  const about = { status: response.status, retryAfter: retryAfter(response) };
  if (response.ok) throw new ApiError("not_json", "The response is not JSON", about);
  const { code = `http_${response.status}`, detail, title, request_id: requestId, field } = document ?? {};
  const message = detail || title || `The server responded with ${response.status}`;
  throw new ApiError(code, message, { ...about, requestId, field });
}

function parsed(text) {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfter(response) {
  const header = response.headers.get("retry-after");
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - serverNow()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
