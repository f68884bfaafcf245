// The timeline of one session as a chart and as a table: the events, and how long each part took.

import { drawInto, fitted, label, picture, round, shape, widthOf } from "./charts.js";
import { clockText, durationText, localDayText, momentText, utcText, words } from "./console_parts.js";
import { h } from "./dom.js";

const seconds = (iso) => (iso ? Date.parse(iso) / 1_000 : null);

/**
 * Returns the session as marks and rows. Times are epoch seconds.
 * marks: [{ at, text }]; rows: [{ name, parts: [{ kind, from, to, text, open }], end: { at, kind, text } | null }];
 * events: [{ at, text }] in order of time; `open`: whether something is still in progress.
 */
export function timelineOf(session, now) {
  const created = seconds(session.created_at);
  const marks = [{ at: created, text: "created" }];
  if (session.consent) marks.push({ at: seconds(session.consent.given_at), text: "consent" });
  if (session.verified_at) marks.push({ at: seconds(session.verified_at), text: "verified" });
  if (session.finished_at) marks.push({ at: seconds(session.finished_at), text: "finished" });
  if (session.erasure) marks.push({ at: seconds(session.erasure.erased_at), text: "erased" });
  const rows = [
    ...session.attempts.map((attempt) => attemptRow(attempt, session, now)),
    ...session.assets.map((asset) => assetRow(asset, session, now)),
  ];
  // An older consent that the client recorded is in the table only: an axis of years would hide the rest.
  const shown = marks.filter((mark) => mark.at >= created - 1);
  const open = rows.some((row) => row.parts.some((part) => part.open));
  const times = [...shown.map((mark) => mark.at), ...rows.flatMap(timesOf)];
  return {
    marks: shown,
    rows,
    open,
    events: eventsOf(session, marks),
    start: created,
    end: Math.max(...times, created + 1),
  };
}

const timesOf = (row) => [...row.parts.flatMap((part) => [part.from, part.to]), ...(row.end ? [row.end.at] : [])];

function attemptRow(attempt, session, now) {
  const made = seconds(attempt.created_at);
  const answered = seconds(attempt.answered_at);
  const expires = seconds(attempt.expires_at);
  const closed = Math.min(expires, seconds(session.erasure?.erased_at) ?? expires);
  const waiting = attempt.status === "open" && now < closed;
  const until = answered ?? (waiting ? Math.max(now, made) : closed);
  const parts = [{ kind: "person", from: made, to: until, text: "link open", open: waiting }];
  if (attempt.status === "passed" && session.status === "processing") {
    parts.push({ kind: "crun", from: until, to: Math.max(now, until), text: "waiting for crun’s result", open: true });
  }
  const verified = attempt.status === "verified" ? seconds(session.verified_at) : null;
  if (verified !== null && verified >= until)
    parts.push({ kind: "crun", from: until, to: verified, text: "waiting for crun’s result", open: false });
  const bad = ["failed", "lapsed", "lost"].includes(attempt.status);
  const end =
    verified !== null
      ? { at: Math.max(verified, until), kind: "good", text: "verified" }
      : bad
        ? { at: until, kind: "bad", text: words(attempt.status) }
        : null;
  return { name: `Attempt ${attempt.number}`, parts, end };
}

function assetRow(asset, session, now) {
  const steps = [
    { kind: "person", text: "waiting for the file", at: seconds(asset.created_at) },
    { kind: "ready", text: "checked, not yet at crun", at: seconds(asset.uploaded_at) },
    { kind: "crun", text: "at crun", at: seconds(asset.submitted_at) },
  ].filter((step) => step.at !== null);
  const end = assetEnd(asset, session);
  const parts = steps.map((step, index) => {
    const next = steps[index + 1]?.at ?? end?.at;
    return {
      kind: step.kind,
      text: step.text,
      from: step.at,
      to: Math.max(next ?? now, step.at),
      open: next === undefined,
    };
  });
  return { name: asset.name || `…${asset.id.slice(-8)}`, parts, end };
}

function assetEnd(asset, session) {
  if (asset.activated_at) return { at: seconds(asset.activated_at), kind: "good", text: "Active" };
  if (asset.status === "failed") return { at: seconds(asset.updated_at), kind: "bad", text: "failed" };
  if (asset.status === "redacted")
    return { at: seconds(session.erasure?.erased_at ?? asset.updated_at), kind: "gone", text: "erased" };
  return null;
}

function eventsOf(session, marks) {
  const events = marks.map((mark) => ({ at: mark.at, text: MARK_WORDS[mark.text] }));
  const add = (iso, text) => {
    if (iso) events.push({ at: seconds(iso), text });
  };
  for (const attempt of session.attempts) {
    const name = `Attempt ${attempt.number}`;
    add(attempt.created_at, `${name}: link created`);
    add(
      attempt.answered_at,
      `${name}: the person came back${attempt.result_code ? `, result ${attempt.result_code}` : ""}`,
    );
    if (!attempt.answered_at && attempt.status !== "open")
      add(attempt.expires_at, `${name}: link expired${attempt.status === "lost" ? ", result lost" : ""}`);
  }
  for (const asset of session.assets) {
    const name = asset.name || asset.id;
    add(asset.created_at, `${name}: registered`);
    add(asset.uploaded_at, `${name}: file received and accepted`);
    add(asset.submitted_at, `${name}: submitted to crun`);
    add(asset.activated_at, `${name}: Active`);
    if (asset.status === "failed")
      add(asset.updated_at, `${name}: failed${asset.error ? ` (${asset.error.code})` : ""}`);
  }
  return events.sort((one, other) => one.at - other.at);
}

const MARK_WORDS = {
  created: "Session created",
  consent: "Consent given",
  verified: "Verified: crun has confirmed the person",
  finished: "The person has finished",
  erased: "Session erased",
};

// -- the axis -----------------------------------------------------------------------------------------------------

const BREAK_PX = 46;
const LONG_SECONDS = 60;

/** Returns a time axis of `width` px, without long pauses in which nothing happens. */
function axisOf(model, width) {
  const times = [...model.marks.map((mark) => mark.at), ...model.rows.flatMap(timesOf), model.start, model.end];
  const stops = [...new Set(times)].filter((time) => time >= model.start).sort((one, other) => one - other);
  const gaps = stops.slice(1).map((stop, index) => {
    const from = stops[index];
    return { from, to: stop, long: stop - from, cut: false, x: 0, wide: 0 };
  });
  cutOut(gaps);
  const cuts = gaps.filter((gap) => gap.cut).length;
  const drawn = gaps.reduce((sum, gap) => sum + (gap.cut ? 0 : gap.long), 0);
  const space = Math.max(40, width - cuts * BREAK_PX);
  let at = 0;
  for (const gap of gaps) {
    gap.x = at;
    gap.wide = gap.cut ? BREAK_PX : (gap.long / (drawn || 1)) * space;
    at += gap.wide;
  }
  const scale = drawn / space; // seconds per px, outside of the cuts
  return { gaps, scale, x: (time) => placeOf(gaps, time) };
}

/** Marks the gaps that are far longer than all shorter ones together. */
function cutOut(gaps) {
  let sum = 0;
  for (const gap of [...gaps].sort((one, other) => one.long - other.long)) {
    gap.cut = gap.long > LONG_SECONDS && gap.long > 2 * sum && gaps.length > 1;
    if (!gap.cut) sum += gap.long;
  }
}

function placeOf(gaps, time) {
  const gap = gaps.find((each) => time <= each.to) ?? gaps.at(-1);
  if (!gap) return 0;
  return gap.x + gap.wide * Math.min(1, Math.max(0, (time - gap.from) / (gap.long || 1)));
}

const NICE = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 604_800,
];

/** Returns ticks [{ x, text }]: the time of day at the start of each stretch, then the seconds since it. */
function ticksOf(axis) {
  const ticks = [];
  const step = NICE.find((each) => each / (axis.scale || 1) >= 58) ?? 604_800;
  let day = "";
  let begun = null;
  for (const gap of axis.gaps) {
    if (gap.cut) {
      begun = null;
      continue;
    }
    if (begun === null) {
      begun = gap.from;
      const today = localDayText(begun * 1_000);
      ticks.push({
        x: gap.x,
        text: today === day || !day ? clockText(begun * 1_000) : `${today} ${clockText(begun * 1_000)}`,
      });
      day = today;
    }
    for (let after = Math.ceil((gap.from - begun) / step) * step || step; begun + after <= gap.to; after += step) {
      ticks.push({ x: axis.x(begun + after), text: `+${durationText(after).replace(".0", "")}` });
    }
  }
  return ticks;
}

// -- the picture --------------------------------------------------------------------------------------------------

const PICTURED_ROWS = 24;
const BAR = 16;

/** Draws the model into a figure. */
export function drawTimeline(host, model) {
  drawInto(host, (width) => pictureOf(model, width));
}

function pictureOf(model, width) {
  const narrow = width < 560;
  const rows = model.rows.slice(0, PICTURED_ROWS);
  const left = narrow ? 2 : 148;
  const right = narrow ? 16 : 84;
  const axis = axisOf({ ...model, rows }, width - left - right);
  const x = (time) => left + axis.x(time);
  const placed = placeMarks(model.marks, x, width);
  const top = (Math.max(...placed.map((mark) => mark.level)) + 1) * 15 + 4;
  const line = narrow ? 38 : 26;
  const bottom = top + rows.length * line + 4;
  const extra = model.rows.length > rows.length;
  return picture(
    width,
    bottom + 20 + (extra ? 18 : 0),
    nameOf(model),
    ...axis.gaps.filter((gap) => gap.cut).map((gap) => cutShape(left + gap.x, gap, top, bottom)),
    ...placed.map((mark) => markShape(mark, bottom)),
    ...rows.map((row, index) => rowShape(row, top + index * line, { x, left, width, narrow })),
    ...ticksShape(axis, left, bottom, width),
    ...(extra ? [label(0, bottom + 34, `and ${model.rows.length - rows.length} more, see the table`)] : []),
  );
}

function nameOf(model) {
  const rows = model.rows.map((row) => `${row.name} ${row.end ? row.end.text : "in progress"}`);
  return `Timeline over ${durationText(model.end - model.start)}. ${rows.join(", ")}. The table below has the same data.`;
}

/** Places marks side by side if there is room, else above each other. */
function placeMarks(marks, x, width) {
  const ends = [];
  return [...marks]
    .sort((one, other) => one.at - other.at)
    .map((mark) => {
      const at = x(mark.at);
      const long = widthOf(mark.text) + 10;
      const leftwards = at + long > width;
      const from = leftwards ? at - long : at;
      let level = ends.findIndex((end) => from >= end);
      if (level < 0) level = ends.push(0) - 1;
      ends[level] = from + long;
      return { ...mark, x: at, level, leftwards };
    });
}

function markShape(mark, bottom) {
  const y = mark.level * 15 + 11;
  return shape(
    "g",
    { class: "mark" },
    shape("title", {}, `${mark.text}: ${momentText(mark.at * 1_000)}`),
    shape("line", { x1: round(mark.x), x2: round(mark.x), y1: y - 8, y2: bottom }),
    label(mark.x + (mark.leftwards ? -4 : 4), y, mark.text, mark.leftwards ? "end" : "start", "strong"),
  );
}

function rowShape(row, y, { x, left, width, narrow }) {
  const bar = y + (narrow ? 18 : 5);
  const name = narrow
    ? label(0, y + 13, fitted(row.name, width), "start", "over")
    : label(0, bar + 12, fitted(row.name, left - 12));
  const last = row.parts.at(-1);
  const endX = x(row.end?.at ?? last?.to ?? 0);
  const beside = [];
  if (row.end) beside.push(endShape(row.end, endX, bar + BAR / 2));
  if (last && !narrow) {
    const { text, kind } = row.end ?? { text: "…", kind: "" };
    beside.push(label(endX + (row.end ? 12 : 6), bar + 12, text, "start", kind));
  }
  return shape("g", { class: "lane" }, name, ...row.parts.map((part) => partShape(part, x, bar)), ...beside);
}

function partShape(part, x, y) {
  const from = x(part.from);
  const wide = Math.max(2, x(part.to) - from);
  const text = durationText(part.to - part.from);
  const group = shape(
    "g",
    {},
    shape("title", {}, `${part.text}: ${text}${part.open ? " so far" : ""}`),
    shape("rect", {
      class: `span is-${part.kind}${part.open ? " is-open" : ""}`,
      x: round(from),
      y,
      width: round(wide),
      height: BAR,
      rx: 2,
    }),
  );
  if (widthOf(text) + 6 < wide) group.append(label(from + wide / 2, y + 12, text, "middle", "inside"));
  return group;
}

function endShape(end, x, y) {
  const at = round(x);
  const title = shape("title", {}, `${end.text}: ${momentText(end.at * 1_000)}`);
  if (end.kind === "good") return shape("g", { class: "end good" }, title, shape("circle", { cx: at, cy: y, r: 5 }));
  return shape("g", { class: `end ${end.kind}` }, title, shape("path", { d: `M${at - 4} ${y - 4}l8 8m0 -8l-8 8` }));
}

function cutShape(x, gap, top, bottom) {
  const middle = round(x + BREAK_PX / 2);
  return shape(
    "g",
    { class: "cut" },
    shape("title", {}, `${durationText(gap.long)} not shown`),
    shape("rect", { x: round(x + 5), y: top - 2, width: BREAK_PX - 10, height: round(bottom - top + 2) }),
    label(middle, bottom + 14, cutText(gap), "middle", "strong"),
  );
}

const cutText = (gap) => durationText(gap.long).split(" ")[0];

/** Returns the ticks that overlap neither each other nor the text below a cut. */
function ticksShape(axis, left, bottom, width) {
  const ticks = ticksOf(axis);
  const taken = axis.gaps
    .filter((gap) => gap.cut)
    .map((gap) => {
      const middle = left + gap.x + BREAK_PX / 2;
      const half = widthOf(cutText(gap)) / 2 + 6;
      return { from: middle - half, to: middle + half };
    });
  let free = 0;
  return ticks.flatMap((tick) => {
    const at = left + tick.x;
    const long = widthOf(tick.text);
    const from = Math.min(Math.max(tick === ticks[0] ? at : at - long / 2, 0), width - long);
    if (from < free || taken.some((each) => from < each.to && from + long > each.from)) return [];
    free = from + long + 8;
    return [
      shape("line", { class: "grid", x1: round(at), x2: round(at), y1: bottom - 3, y2: bottom + 3 }),
      label(from, bottom + 14, tick.text),
    ];
  });
}

/** Returns the table's rows: time, time since the session was created, what happened. */
export function timelineRows(model) {
  return model.events.map((event) => {
    const after = event.at - model.start;
    return h(
      "tr",
      {},
      h("td", {}, momentText(event.at * 1_000)),
      h("td", {}, utcText(event.at * 1_000).slice(0, -4)),
      h("td", {}, after < 0 ? `${durationText(-after)} before` : `+${durationText(after).replace("0.0", "0")}`),
      h("td", {}, event.text),
    );
  });
}
