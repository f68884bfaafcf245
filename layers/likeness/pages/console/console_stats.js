// The charts' figures, read page by page from GET /stats and added up by day.

import { serverNow } from "./api.js";

/** How often reading all pages waits for Retry-After before it fails. */
const MOST_WAITS = 3;
/** The buckets of `seconds_to_active` grow by this factor. The first one has everything up to one second. */
const BUCKET_FACTOR = 2 ** 0.25;
const DAY_MS = 86_400_000;
/** The fields of a day that are counts by name. */
const COUNTS = ["funnel", "statuses", "failures", "assets", "asset_failures"];

const emptyDay = (date) => ({
  date,
  sessions: 0,
  funnel: {},
  statuses: {},
  failures: {},
  assets: {},
  asset_failures: {},
  buckets: new Map(),
});

/** Returns the UTC days up to today, oldest first: ["2026-11-19", …, "2026-11-25"]. */
export function lastDays(count, now = serverNow()) {
  return Array.from({ length: count }, (_, index) =>
    new Date(now - (count - 1 - index) * DAY_MS).toISOString().slice(0, 10),
  );
}

/** Returns every day of the range with its numbers, oldest first. */
export async function readDays(api, count, signal) {
  const dates = lastDays(count);
  const days = new Map(dates.map((date) => [date, emptyDay(date)]));
  let cursor = null;
  let waits = 0;
  do {
    const query = new URLSearchParams({ from: dates[0], to: dates.at(-1) });
    if (cursor) query.set("cursor", cursor);
    try {
      const page = await api("GET", `stats?${query}`);
      for (const day of page.days) addUp(days, day);
      cursor = page.next_cursor;
    } catch (error) {
      // Waiting costs less than reading all pages again.
      if (!error.retryAfter || !cursor || waits === MOST_WAITS) throw error;
      waits += 1;
      await pause(error.retryAfter * 1_000, signal);
    }
  } while (cursor);
  return [...days.values()];
}

function pause(ms, signal) {
  return new Promise((done, failed) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        failed(signal.reason);
      },
      { once: true },
    );
  });
}

/** Adds up days: a day may be split between two pages. */
function addUp(days, part) {
  const day = days.get(part.date) ?? emptyDay(part.date);
  days.set(part.date, day);
  day.sessions += part.sessions;
  for (const each of COUNTS) add(day[each], part[each]);
  for (const [bound, count] of part.seconds_to_active.buckets)
    day.buckets.set(bound, (day.buckets.get(bound) ?? 0) + count);
}

function add(into, counts) {
  for (const [name, count] of Object.entries(counts)) into[name] = (into[name] ?? 0) + count;
}

/** Returns the totals of all days. Times are in seconds, or null without any. */
export function summary(days) {
  const all = emptyDay("");
  for (const day of days) {
    all.sessions += day.sessions;
    for (const each of COUNTS) add(all[each], day[each]);
    for (const [bound, count] of day.buckets) all.buckets.set(bound, (all.buckets.get(bound) ?? 0) + count);
  }
  return {
    ...all,
    median: quantile(all.buckets, 0.5),
    most: quantile(all.buckets, 0.9),
  };
}

/** Returns the fraction of the sessions with a result of the face check that have passed one, or null without any. */
export const passRate = ({ funnel }) => share(funnel.passed, funnel.checked);

/** Returns the fraction of the created sessions whose person is verified, or null without any. */
export const conversion = ({ funnel }) => share(funnel.verified, funnel.created);

const share = (part, whole) => (whole ? (part ?? 0) / whole : null);

/** Returns a quantile of the times, interpolated geometrically within its bucket. */
export function quantile(buckets, share) {
  const sorted = [...buckets].sort(([one], [other]) => one - other);
  const wanted = sorted.reduce((sum, [, count]) => sum + count, 0) * share;
  let before = 0;
  for (const [bound, count] of sorted) {
    if (count && before + count >= wanted) return within(bound, (wanted - before) / count);
    before += count;
  }
  return null;
}

const within = (bound, part) => bound * BUCKET_FACTOR ** (part - 1);

/** Returns contiguous buckets, merged if there are many: [{ from, to, count }], in seconds. */
export function histogram(buckets, most = 24) {
  const bounds = [...buckets.keys()];
  if (!bounds.length) return [];
  const index = (bound) => Math.round(Math.log(bound) / Math.log(BUCKET_FACTOR));
  const first = Math.min(...bounds.map(index));
  const last = Math.max(...bounds.map(index));
  const together = Math.ceil((last - first + 1) / most);
  const columns = Array.from({ length: Math.ceil((last - first + 1) / together) }, (_, column) => ({
    from: BUCKET_FACTOR ** (first + column * together - 1),
    to: BUCKET_FACTOR ** (first + (column + 1) * together - 1),
    count: 0,
  }));
  for (const [bound, count] of buckets) columns[Math.floor((index(bound) - first) / together)].count += count;
  return columns;
}
