// Small SVG charts, with attributes and classes only, because the content security policy allows no inline styles. Each
// has an accessible name and a table with the same figures.

const SVG = "http://www.w3.org/2000/svg";
const CHARACTER = 6.3; // the mean width of a character of the charts' small text, in px
const ROOM = { left: 34, right: 10, bottom: 22 };
const HEIGHT = 180;
const MARK_LINE = 14;

/** Returns an SVG element with attributes and children. Strings become text. */
export function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Returns a text of a chart. `anchor` is start, middle or end. */
export function label(x, y, text, anchor = "start", kind = "") {
  return shape("text", { x: round(x), y: round(y), "text-anchor": anchor, class: `label ${kind}`.trim() }, text);
}

/** Returns the approximate width of a chart's text in px. Ideographs are twice as wide. */
export function widthOf(text) {
  return [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e80 ? 2 : 1), 0) * CHARACTER;
}

/** Returns the text, truncated to `width` px. */
export function fitted(text, width) {
  if (widthOf(text) <= width + 0.1) return text; // sums of fractions are not exact
  let cut = text;
  while (cut && widthOf(cut) + CHARACTER > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

/** Rounds a coordinate to a tenth of a pixel. */
export const round = (number) => Math.round(number * 10) / 10;

/** Returns the chart's `svg` element, with its accessible name. */
export function picture(width, height, name, ...children) {
  return shape(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name },
    ...children,
  );
}

const drawn = new WeakMap();
const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const state = drawn.get(target);
    if (state && target.clientWidth && target.clientWidth !== state.width) redraw(target, state);
  }
});

function redraw(host, state) {
  state.width = host.clientWidth;
  if (state.width) host.replaceChildren(state.draw(state.width));
}

/** Draws into `host` now and whenever its width changes. `draw(width)` returns the chart. */
export function drawInto(host, draw) {
  const state = drawn.get(host) ?? { width: 0 };
  state.draw = draw;
  if (!drawn.has(host)) {
    drawn.set(host, state);
    watcher.observe(host);
  }
  redraw(host, state);
}

/** Returns at most `lines` round steps for an axis from 0 to at least `most`. Whole numbers only. */
export function steps(most, lines = 4) {
  const rough = Math.max(1, most / lines);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough && Number.isInteger(each));
  return Array.from({ length: Math.max(1, Math.ceil(most / step)) + 1 }, (_, index) => index * step);
}

/** Returns the scale of an axis of counts from 0 to at least `most`, and its lines with their labels. */
function countAxis(width, most, top) {
  const ticks = steps(Math.max(1, most));
  const height = HEIGHT - top - ROOM.bottom;
  const bottom = top + height;
  const y = (value) => bottom - (value / ticks.at(-1)) * height;
  const lines = ticks.flatMap((tick) => [
    shape("line", { class: "grid", x1: ROOM.left, x2: width - ROOM.right, y1: round(y(tick)), y2: round(y(tick)) }),
    label(ROOM.left - 6, y(tick) + 4, String(tick), "end"),
  ]);
  return { y, top, height, bottom, lines };
}

/**
 * Returns a chart of stacked columns.
 * `columns`: [{ name, title, parts: [{ kind, value }] }]; `kind` is the class that colours the part.
 */
export function columnChart(width, { name, columns }) {
  const sums = columns.map((column) => column.parts.reduce((sum, part) => sum + part.value, 0));
  const axis = countAxis(width, Math.max(...sums), 10);
  const slot = (width - ROOM.left - ROOM.right) / Math.max(1, columns.length);
  return picture(
    width,
    HEIGHT,
    name,
    ...axis.lines,
    ...columns.map((column, index) => stack(column, ROOM.left + index * slot, slot, axis)),
    ...columnNames(columns, slot, axis.bottom + 16),
  );
}

/** Times that an axis may show, in seconds: round to read, and two to three times the one before. */
const ROUND_TIMES = [1, 2, 5, 10, 20, 60, 120, 300, 600, 1_200, 3_600, 7_200, 18_000, 43_200, 86_400, 172_800, 432_000];

/**
 * Returns a histogram on a logarithmic axis of time: each bar covers exactly its times, and marks are at theirs.
 * `bars`: [{ from, to, count, title }], contiguous, in seconds. `marks`: [{ at, text }], `at` in seconds.
 * `timeText(seconds)` formats a time. Bars, marks and the axis have their seconds as data attributes.
 */
export function timeChart(width, { name, bars, marks, timeText }) {
  const axis = countAxis(width, Math.max(...bars.map((bar) => bar.count)), 10 + marks.length * MARK_LINE);
  // At least a factor of ten wide, so that a single bar is not as wide as the chart.
  const middle = Math.sqrt(bars[0].from * bars.at(-1).to);
  const first = Math.min(bars[0].from / 1.1, middle / Math.sqrt(10));
  const last = Math.max(bars.at(-1).to * 1.1, middle * Math.sqrt(10));
  const x = (seconds) =>
    ROOM.left + (Math.log(seconds / first) / Math.log(last / first)) * (width - ROOM.left - ROOM.right);
  const ticks = ROUND_TIMES.filter((each) => each >= first && each <= last).map((at) => ({ at, name: timeText(at) }));
  const { y, top, height, bottom } = axis;
  return picture(
    width,
    HEIGHT,
    name,
    ...axis.lines,
    ...bars.map((bar) => {
      const [left, right] = [x(bar.from), x(bar.to)];
      const shown = { x: round(left), width: round(right - left) };
      const size = { y: round(y(bar.count)), height: round(Math.max(1, bottom - y(bar.count))) };
      return shape(
        "g",
        { class: "column", "data-from": bar.from, "data-to": bar.to },
        shape("title", {}, bar.title),
        shape("rect", { class: "hit", ...shown, y: top, height }),
        ...(bar.count ? [shape("rect", { class: "part is-active", ...shown, ...size })] : []),
      );
    }),
    ...readable(ticks, x, width).flatMap(({ at, name: text }) => [
      shape("line", { class: "tick", x1: round(x(at)), x2: round(x(at)), y1: bottom, y2: bottom + 4, "data-at": at }),
      label(x(at), bottom + 16, text, "middle"),
    ]),
    ...marks.map((mark, index) => markLine(mark, x(mark.at), bottom, width, index)),
  );
}

/** Returns the ticks whose names have room, from left to right. */
function readable(ticks, x, width) {
  let free = 0;
  return ticks.filter(({ at, name }) => {
    const half = widthOf(name) / 2;
    if (x(at) - half < free || x(at) + half > width) return false;
    free = x(at) + half + 8;
    return true;
  });
}

function stack(column, left, slot, { y, top: start, height: whole }) {
  const wide = Math.max(1, Math.min(44, slot * 0.72));
  const x = round(left + (slot - wide) / 2);
  let below = 0;
  const parts = column.parts
    .filter((part) => part.value > 0)
    .map((part) => {
      const top = y(below + part.value);
      const height = Math.max(1, y(below) - top - (below ? 1 : 0));
      below += part.value;
      return shape("rect", {
        class: `part ${part.kind}`,
        x,
        y: round(top),
        width: round(wide),
        height: round(height),
        rx: 1.5,
      });
    });
  const hit = shape("rect", { class: "hit", x: round(left), y: start, width: round(slot), height: whole });
  return shape("g", { class: "column" }, shape("title", {}, column.title), hit, ...parts);
}

/** Returns as many column names as there is room for, always with the last one. */
function columnNames(columns, slot, y) {
  const widest = Math.max(...columns.map((column) => widthOf(column.name)), 1) + 12;
  const every = Math.max(1, Math.ceil(widest / slot));
  return columns
    .map((column, index) => ({ column, index }))
    .filter(({ index }) => (columns.length - 1 - index) % every === 0)
    .map(({ column, index }) => label(ROOM.left + (index + 0.5) * slot, y, column.name, "middle"));
}

function markLine(mark, x, bottom, width, index) {
  const right = x + widthOf(mark.text) + 8 > width;
  return shape(
    "g",
    { class: "mark", "data-at": mark.at },
    shape("line", { x1: round(x), x2: round(x), y1: index * MARK_LINE + 2, y2: bottom }),
    label(x + (right ? -5 : 5), index * MARK_LINE + 11, mark.text, right ? "end" : "start", "strong over"),
  );
}

/**
 * Returns a bar chart of rows [{ name, value, text }]; `text` is beside the bar, by default the value. On a narrow screen
 * a row has two lines.
 */
export function rankChart(width, { name, rows, kind }) {
  const narrow = width < 480;
  const names = narrow ? 0 : Math.min(width * 0.45, Math.max(...rows.map((row) => widthOf(row.name))) + 14);
  const line = narrow ? 40 : 28;
  const most = Math.max(1, ...rows.map((row) => row.value));
  const texts = rows.map((row) => row.text ?? String(row.value));
  const room = width - names - Math.max(...texts.map(widthOf)) - 16;
  return picture(
    width,
    rows.length * line + 4,
    name,
    ...rows.map((row, index) => {
      const y = index * line;
      const bar = y + (narrow ? 20 : 5);
      const long = Math.max(2, (row.value / most) * room);
      return shape(
        "g",
        { class: "column" },
        shape("title", {}, `${row.name}: ${texts[index]}`),
        narrow
          ? label(0, y + 13, fitted(row.name, width))
          : label(names - 10, bar + 13, fitted(row.name, names - 14), "end"),
        shape("rect", {
          class: `part ${kind}`,
          x: round(names),
          y: bar,
          width: round(long),
          height: narrow ? 14 : 18,
          rx: 2,
        }),
        label(names + long + 6, bar + (narrow ? 11 : 13), texts[index], "start", "strong"),
      );
    }),
  );
}
