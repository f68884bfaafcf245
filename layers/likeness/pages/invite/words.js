// The page's words in the person's language, and their numbers, sizes and dates. The page contains the texts of one
// language, which the server has chosen; those of the others are loaded when they are needed.

import { given, load } from "./page.js";

export const LANGUAGES = { zh: "简体中文", en: "English", "zh-Hant": "繁體中文" };

/** The texts that the page has, by language. @type {Map<string, Promise<Record<string, string>>>} */
const TEXTS = new Map();
/** How the names of the files with the page's texts begin. */
const NAMES = document.body.dataset.texts ?? "texts_";
const first = given("texts");

/** Returns the words of the language that the server has chosen, null in a page of an earlier version. */
export const firstWords = () => first && words(first.language, first.texts);

/** Returns the words of a language (see `words`), and loads its texts if the page does not have them. */
export async function wordsIn(language) {
  if (language === first?.language) return firstWords();
  if (!TEXTS.has(language)) TEXTS.set(language, load(`${NAMES}${language}.json`));
  return words(language, await TEXTS.get(language));
}

/**
 * Returns the words of one language: `t(key, values)` returns a text, `t.has(key)` whether it exists. `t.size(bytes)`,
 * `t.number(n)` and `t.date(iso)` format values for the language.
 */
function words(language, texts) {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const t = (key, values = {}) =>
    (texts[key] ?? "").replace(/\{(\w+)\}/g, (_, name) =>
      typeof values[name] === "number" ? number.format(values[name]) : (values[name] ?? ""),
    );
  t.language = language;
  t.has = (key) => Object.hasOwn(texts, key);
  t.number = (value) => number.format(value);
  t.size = (bytes) =>
    bytes < 1e6 ? `${number.format(Math.ceil(bytes / 1000))}\u00a0KB` : `${number.format(bytes / 1e6)}\u00a0MB`;
  t.date = (iso) => new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(new Date(iso));
  return t;
}

// The texts for some codes of the API. Other codes have the text `failed` and the problem's own text.
const CODES = {
  offline: "no_connection",
  timeout: "timeout",
  throttled: "busy",
  rate_limited: "busy",
};

/** Returns the text for an ApiError, `{ text, detail }`. `detail` is the problem's text, null if `text` is enough. */
export function problemWords(t, error) {
  const known = CODES[error.code];
  if (known) return { text: t(known), detail: null };
  const names = [error.code, error.requestId].filter(Boolean).join(", ");
  return { text: t("failed"), detail: t("detail", { message: `${error.message} (${names})` }) };
}

/**
 * Returns why a file cannot be used. `message` is the server's English text, `values` are this page's measurements
 * (both may be missing), `limit` has the limits of the file's kind.
 */
export function reasonWords(t, code, message, values, limit) {
  if (code === "type_mismatch" && values?.wanted) return t(`type_mismatch_${values.wanted}`);
  if (code === "file_too_large" && values?.bytes > values?.most + 1e6) {
    return t("file_too_large_by", { found: t.size(values.bytes), most: t.size(values.most) });
  }
  if (values?.most && code !== "file_too_large" && t.has(`${code}_by`)) return t(`${code}_by`, values);
  if (code === "rejected" && message && t.language === "en") return message;
  if (!t.has(code)) return `${t("rejected")} ${message ?? ""}`.trim();
  const bounds = { least: limit?.min_side, most: limit?.max_side, few: limit?.min_pixels, many: limit?.max_pixels };
  if (code === "dimensions_out_of_range" && bounds.many) return t("dimensions_out_of_range_Video", bounds);
  return t(code, code === "duration_out_of_range" ? { least: limit?.min_seconds, most: limit?.max_seconds } : bounds);
}
