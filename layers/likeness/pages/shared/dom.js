// Creates elements. Text is always set as text, so text from a server or a person is never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Returns an element: `h("p", { class: "hint", id: "x" }, "text", child)`. Properties that start with "on" are
 * listeners. true sets an attribute, false leaves it out. null children are left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Object<string, any>} properties
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/** Sets the text of an element if it differs, so that screen readers do not repeat it. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets the text of a heading, and returns it. Chinese has no spaces, so browsers break a line anywhere, also inside a
 * word: here the possible breaks are between words. Browsers without Intl.Segmenter break as before.
 * @template {HTMLElement} Heading
 * @param {Heading} heading
 * @param {string} text
 */
export function setHeading(heading, text) {
  if (heading.textContent === text) return heading;
  const { lang } = document.documentElement;
  const whole = lang.startsWith("zh") && Intl.Segmenter;
  heading.classList.toggle("whole-words", Boolean(whole));
  heading.replaceChildren(...(whole ? withBreaks(text, lang) : [text]));
  return heading;
}

function withBreaks(text, lang) {
  const made = [];
  for (const { segment, isWordLike } of new Intl.Segmenter(lang, { granularity: "word" }).segment(text)) {
    // No line begins with a comma, and none ends with an opening quotation mark.
    if (made.length > 0 && isWordLike && !/[“「《（]$/.test(made.at(-1))) made.push(document.createElement("wbr"), segment);
    else made.push(segment);
  }
  return made;
}

/** Shows `picture`, a Blob, in an `img`. The `img` stays empty if the picture cannot be decoded. */
export function showPicture(image, picture) {
  const url = URL.createObjectURL(picture);
  image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
  image.addEventListener("error", () => image.removeAttribute("src"), { once: true });
  image.src = url;
}

// Lines on a grid of 24 by 24, drawn in the text's colour.
const ICONS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4L2.8 20h18.4zM12 10v4.5M12 17.2v.3",
  light:
    "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4" +
    "M8.5 12a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
  person: "M8 8a4 4 0 1 0 8 0a4 4 0 1 0-8 0M4.5 20c.6-4 3.7-6 7.5-6s6.9 2 7.5 6",
  face: "M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M9 10v.5M15 10v.5M8.8 14.5q3.2 2.6 6.4 0",
  clock: "M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 7.5V12l3 2",
  Image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M14.5 9a1 1 0 1 0 2 0a1 1 0 1 0-2 0",
  Video: "M4 6h11v12H4zM15 10.5l5-3v9l-5-3",
  Audio: "M9 18a2.5 2.5 0 1 1-5 0a2.5 2.5 0 1 1 5 0M9 18V5.5l10-2v12M19 16a2.5 2.5 0 1 1-5 0a2.5 2.5 0 1 1 5 0",
  upload: "M12 16V4.5M7 9.5l5-5 5 5M4 16v4h16v-4",
  camera: "M4 8h4l1.5-2.5h5L16 8h4v11H4zM8.5 13a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
};

/** Returns one of the icons above, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
