// Files that the console offers to save: CSV for spreadsheets, by RFC 4180.

import { h } from "./dom.js";

/** Returns rows as CSV, with a byte order mark. */
export const csvOf = (rows) => `\ufeff${rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;

/** A spreadsheet runs a cell that begins like this as a formula, also after a comma or a tab. An apostrophe makes it text. */
function cell(value) {
  const text = String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Offers a text as a file to save. */
export function save(text, name, type = "text/csv;charset=utf-8") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
