// Which sessions the list shows: the filter in its fields, in the page's fragment and in the API's query.

import { byId } from "./console_parts.js";
import { setText } from "./dom.js";

const NAMES = ["status", "by", "find", "from", "to"];
const DAY = /^\d{4}-\d\d-\d\d$/;
const OURS = /^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** No filter. `from` and `to` are local days, both included; `find` is looked for `by` reference, asset or group. */
export const EVERYTHING = Object.freeze({ status: "", by: "reference", find: "", from: "", to: "" });

/** Returns the filter in a fragment such as "sessions?status=verified&find=order". Unknown values are left out. */
export function filterIn(fragment, statuses) {
  const given = new URLSearchParams(fragment.split("?")[1] ?? "");
  const filter = { ...EVERYTHING };
  for (const name of NAMES) if (given.has(name)) filter[name] = given.get(name).slice(0, 128);
  if (!statuses.includes(filter.status)) filter.status = "";
  if (!["reference", "asset", "group"].includes(filter.by)) filter.by = "reference";
  for (const day of ["from", "to"]) if (!DAY.test(filter[day]) || Number.isNaN(Date.parse(filter[day]))) filter[day] = "";
  return filter;
}

/** Returns the end of the fragment for a filter: "?status=verified", or "" for everything. */
export function suffixOf(filter) {
  const given = new URLSearchParams();
  for (const name of NAMES) if (filter[name] !== EVERYTHING[name]) given.set(name, filter[name]);
  if (!filter.find) given.delete("by");
  const text = given.toString();
  return text ? `?${text}` : "";
}

/** Whether something narrows the list down. */
export const narrows = (filter) => suffixOf(filter) !== "";

/** Whether the API has to look through many sessions for a few. */
export const searches = (filter) => Boolean(filter.find);

/** Returns the filter as parameters of GET /sessions. Days begin and end at local midnight. */
export function queryOf(filter) {
  const query = new URLSearchParams();
  if (filter.status) query.set("status", filter.status);
  const name = { reference: "reference_contains", asset: "asset_id", group: "group_id" }[filter.by];
  if (filter.find) query.set(name, filter.by === "asset" ? filter.find.replace(/^asset:\/\//, "") : filter.find);
  if (filter.from) query.set("created_from", startOf(filter.from, 0).toISOString());
  if (filter.to) query.set("created_to", new Date(startOf(filter.to, 1).getTime() - 1).toISOString());
  return query;
}

function startOf(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later);
}

/** Shows a filter in the fields. */
export function fillFields(filter) {
  byId("reference").value = filter.find;
  byId("find-by").value = filter.by;
  byId("created-from").value = filter.from;
  byId("created-to").value = filter.to;
  setText(byId("find-problem"), "");
}

/** Returns the fields' filter with this status, or null while they are not valid, which is shown. */
export function readFields(status) {
  const find = byId("reference").value.trim();
  // These say themselves what they are.
  if (OURS.test(find) || find.startsWith("asset://")) byId("find-by").value = "asset";
  const filter = { status, by: byId("find-by").value, find, from: byId("created-from").value, to: byId("created-to").value };
  const backwards = filter.from && filter.to && filter.from > filter.to;
  setText(byId("find-problem"), backwards ? "The first day is after the last one." : "");
  return backwards ? null : filter;
}

/** Returns what to say when nothing matches. */
export function nothingFound(filter) {
  const what = { reference: "a reference with this text (case matters)", asset: "this asset id", group: "this group id" };
  const parts = [];
  if (filter.find) parts.push(`has ${what[filter.by]}`);
  if (filter.from || filter.to) parts.push("was created in this period");
  if (filter.status) parts.push("has this status");
  return `No session ${parts.join(" and ")}.`;
}
