// What the server has put into the page, and the files that it may load later.

/** The URL of the pages' files. A page of an earlier version does not name it; there, any version is served. */
const FILES = document.body.dataset.files ?? `pages/${"0".repeat(16)}/`;
const LONGEST_PAUSE = 30;

/** Returns the JSON in the page's element with that id, null without one. */
export function given(id) {
  const element = document.getElementById(id);
  return element && JSON.parse(element.textContent);
}

/** Loads one of the pages' JSON files, and retries until it arrives: the page cannot do without. */
export async function load(name) {
  for (let wait = 2; ; wait = Math.min(LONGEST_PAUSE, wait * 2)) {
    try {
      const response = await fetch(FILES + name, { credentials: "omit" });
      if (response.ok) return await response.json();
    } catch {
      // There is no connection.
    }
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  }
}
