// A file of people to invite: reads its lines, creates their sessions, and writes their links. `ops invite` reads the
// same files in the same way, and makes the same idempotency keys.

import { ApiError } from "./api.js";
import { csvOf } from "./console_csv.js";
import { waiting } from "./console_parts.js";

const COLUMNS = ["reference", "language", "return_url", "requests"];
const LANGUAGES = ["zh", "en", "zh-Hant"];
const TYPES = ["Image", "Video", "Audio"];
const MOST_LINES = 200;
const MOST_BYTES = 1_000_000;
const MOST_REQUESTS = 20;
const LONGEST = { reference: 128, return_url: 2_048, name: 64, hint: 200 };
const HOW = "write each file as name:Image, name:Video or name:Audio, separated by ; (name:Image? is optional)";
// As in contracts/body.py: no control characters, line separators or direction overrides.
const PRINTABLE = /^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$/;
/** A line is tried again for this long, with these pauses at most. */
const BUDGET_MS = 300_000;
const LONGEST_PAUSE_MS = 20_000;
const LINK_DAYS = 7;
const RESULT = ["line", "reference", "session_id", "invite_url", "expires_at", "problem"];

/** What is wrong with a line (from 1), or with the whole file (0). `text` never quotes the file. */
const fault = (line, column, text) => ({ line, column, text });

/**
 * Reads a CSV file in UTF-8, with or without BOM. Returns its people, each with the number of the line and the body of
 * the request, or the faults of the file.
 *
 * @param {ArrayBuffer} data
 * @returns {{ people: { line: number, body: Object<string, any> }[], faults: ReturnType<typeof fault>[] }}
 */
export function readPeople(data) {
  const refused = (...faults) => ({ people: [], faults });
  if (data.byteLength > MOST_BYTES) return refused(fault(0, "", "the file has more than 1,000,000 bytes"));
  const broken = firstBrokenLine(data);
  if (broken) return refused(fault(broken, "", "the file is not in UTF-8; save it as “CSV UTF-8”"));
  const { rows, unclosed } = rowsOf(new TextDecoder().decode(data));
  if (unclosed) return refused(fault(unclosed, "", "the quotes are not those of a CSV file"));
  if (!rows.length) return refused(fault(0, "", "the file is empty"));
  const [header, ...lines] = rows;
  const names = header.fields.map((each) => each.trim().toLowerCase());
  const faults = faultsOfHeader(header.line, names);
  if (!faults.length && !lines.length) faults.push(fault(0, "", "the file has no line after its header"));
  if (lines.length > MOST_LINES) {
    faults.push(fault(lines[MOST_LINES].line, "", `a file can have at most ${MOST_LINES} people`));
  }
  if (faults.length) return refused(...faults);
  const people = lines.map(({ line, fields }) => ({ line, body: bodyOf(line, names, fields, faults) }));
  const seen = new Map();
  for (const { line, body } of people) {
    if (!body.reference) continue;
    if (seen.has(body.reference)) {
      faults.push(fault(line, "reference", `is the same as on line ${seen.get(body.reference)}`));
    } else seen.set(body.reference, line);
  }
  return faults.length ? refused(...faults.sort((one, other) => one.line - other.line)) : { people, faults };
}

/** Returns the number of the first line that is not UTF-8, or 0. */
function firstBrokenLine(data) {
  const strict = () => new TextDecoder("utf-8", { fatal: true });
  try {
    strict().decode(data);
    return 0;
  } catch {
    const bytes = new Uint8Array(data);
    let line = 1;
    for (let start = 0; start < bytes.length; line += 1) {
      const end = bytes.indexOf(10, start) + 1 || bytes.length;
      try {
        strict().decode(bytes.subarray(start, end));
      } catch {
        return line;
      }
      start = end;
    }
    return line;
  }
}

/** Returns the rows with the numbers of their first lines, without blank ones, and the line of a broken quote or 0. */
function rowsOf(text) {
  const rows = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const row = { line, fields: [] };
    for (let more = true; more;) {
      const quoted = text[at] === '"';
      const found = (quoted ? /"((?:[^"]|"")*)"(,|\r\n|\n|\r|$)/y : /([^,\r\n]*)(,|\r\n|\n|\r|$)/y);
      found.lastIndex = at;
      const match = found.exec(text);
      if (!match) return { rows, unclosed: row.line };
      row.fields.push(quoted ? match[1].replaceAll('""', '"') : match[1]);
      line += match[0].match(/\r\n|\n|\r/g)?.length ?? 0;
      at += match[0].length;
      more = match[2] === ",";
    }
    if (row.fields.some((each) => each.trim())) rows.push(row);
  }
  return { rows, unclosed: 0 };
}

function faultsOfHeader(line, names) {
  const known = COLUMNS.join(", ");
  if (!names.some((name) => COLUMNS.includes(name))) {
    return [fault(line, "", `the first line must name the columns, separated by commas: ${known}`)];
  }
  const faults = [];
  for (const name of new Set(names)) {
    if (!COLUMNS.includes(name)) faults.push(fault(line, "", `column ${names.indexOf(name) + 1} is not one of ${known}`));
    else if (names.indexOf(name) !== names.lastIndexOf(name)) {
      faults.push(fault(line, name, "the column occurs more than once"));
    }
  }
  if (!names.includes("reference")) faults.push(fault(line, "reference", "the column is missing"));
  return faults;
}

function bodyOf(line, names, fields, faults) {
  if (fields.length !== names.length) {
    faults.push(fault(line, "", `has ${fields.length} fields, and the header has ${names.length}`));
    return {};
  }
  const body = { start: "on_open" };
  names.forEach((name, index) => {
    const value = fields[index].trim();
    if (value) body[name] = value;
  });
  const wrong = (column, text) => faults.push(fault(line, column, text));
  const reference = textFault(body.reference ?? "", LONGEST.reference);
  if (reference) wrong("reference", reference);
  if (body.language && !LANGUAGES.includes(body.language)) wrong("language", `must be ${LANGUAGES.join(", ")}`);
  if (body.return_url && !mayReturnTo(body.return_url)) wrong("return_url", "must be an https URL without a fragment (#)");
  if (body.requests) {
    body.requests = body.requests.split(";").filter((each) => each.trim()).map(requestOf);
    const problem = faultOfRequests(body.requests);
    if (problem) wrong("requests", problem);
  }
  return body;
}

function textFault(text, longest) {
  if (!text) return "must not be empty";
  if ([...text].length > longest) return `must have at most ${longest} characters`;
  return PRINTABLE.test(text) ? "" : "must not have line breaks or control characters";
}

/** A first check; the API knows the client's return origins and decides. */
function mayReturnTo(text) {
  if (!/^https?:\/\//i.test(text) || /[#\\\s]|[^\x21-\x7e]/.test(text) || text.length > LONGEST.return_url) return false;
  try {
    const url = new URL(text);
    const local = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
    return !url.username && !url.password && (url.protocol === "https:" || local);
  } catch {
    return false;
  }
}

/** Returns a file request: `name:Type`, `name:Type?` or `name:Type:hint`; null when it is none. */
function requestOf(text) {
  const [, name, kind, hint] = /^([^:]*):([^:]*)(?::(.*))?$/s.exec(text)?.map((each) => each?.trim()) ?? [];
  const type = kind?.replace(/\?$/, "");
  if (!TYPES.includes(type)) return null;
  return { name, asset_type: type, required: !kind.endsWith("?"), ...(hint ? { hint } : {}) };
}

function faultOfRequests(requests) {
  if (requests.includes(null)) return HOW;
  if (requests.length > MOST_REQUESTS) return `a person can be asked for at most ${MOST_REQUESTS} files`;
  for (const [index, { name, hint }] of requests.entries()) {
    const problem = textFault(name, LONGEST.name) || (hint ? textFault(hint, LONGEST.hint) : "");
    if (problem) return `file ${index + 1}: ${problem}`;
    if (name === "." || name === "..") return `file ${index + 1}: must not be . or ..`;
  }
  return new Set(requests.map((each) => each.name)).size < requests.length ? "each name can occur once" : "";
}

/** Returns the idempotency key of a body: the digest of its content, so that the same line is one session. */
export async function keyOf(body) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sorted(body)));
  return `invite-${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Returns JSON whose names are sorted. */
function sorted(value) {
  return JSON.stringify(value, (_, each) =>
    each && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)))
      : each,
  );
}

/**
 * Creates a session. While the API is busy or away, it tries again for five minutes. Returns the session, or the problem
 * of this line. Throws ApiError for a refused key, and when the API stays away.
 */
export async function inviteOne(api, body, signal) {
  const headers = { "Idempotency-Key": await keyOf(body) };
  const end = performance.now() + BUDGET_MS;
  for (let tried = 1; ; tried += 1) {
    signal.throwIfAborted();
    try {
      return { session: await api("POST", "sessions", { body, headers }) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500 || error.code === "not_json";
      if (!passing && error.code !== "request_in_progress") {
        if (error.status === 400 || error.status === 409) return { problem: `${error.code}: ${error.message}` };
        throw error;
      }
      const pause = Math.max((error.retryAfter ?? 0) * 1_000, Math.min(LONGEST_PAUSE_MS, 500 * 2 ** tried));
      if (performance.now() + pause > end) throw error;
      await waiting(pause, signal);
    }
  }
}

/** Returns the result as CSV with BOM, for spreadsheets. */
export function resultOf(done) {
  const rows = done.map(({ line, body, session, problem }) => [
    line,
    body.reference,
    session?.id ?? "",
    session?.invite_url ?? "",
    session ? expiryOf(session) : "",
    problem ?? "",
  ]);
  return csvOf([RESULT, ...rows]);
}

const expiryOf = (session) =>
  new Date(Date.parse(session.created_at) + LINK_DAYS * 86_400_000).toISOString().replace(/\.\d+/, "");
