// Bundles the scripts and styles of the pages, and writes the texts of the person's page by language. The results are
// committed, because deploying needs no Node.js: `make pages` writes them, and `make check` compares them.
//
//     node build_pages.mjs <folder with node_modules> <folder to write>

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [tools, target] = process.argv.slice(2).map((each) => resolve(each));
const PAGES = fileURLToPath(new URL("pages/", import.meta.url));
const FOLDERS = ["shared", "invite", "me", "console"];
/** The styles of each page, in their order. */
const BUNDLED = { invite: ["style", "invite"], me: ["style", "invite", "me"], console: ["style", "console"] };
/** What the console has no use for in the shared style. */
const PERSONS_ONLY = /\/\* persons \*\/.*?\/\* all \*\//gs;

const { build } = await import(pathToFileURL(join(tools, "node_modules/esbuild/lib/main.js")).href);

// The modules name each other as if they were in one folder.
const paths = new Map(FOLDERS.flatMap((folder) => readdirSync(PAGES + folder).map((name) => [`./${name}`, join(PAGES, folder, name)])));
const inOneFolder = {
  name: "in-one-folder",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\// }, ({ path }) => ({ path: paths.get(path) }));
  },
};

/** Returns the bundle of `contents`, which import or contain files. `format`: "esm", or "iife" for a script in the head. */
async function bundled(contents, loader, format = "esm") {
  const { outputFiles: [file] } = await build({
    stdin: { contents, loader, resolveDir: PAGES },
    bundle: true,
    minify: true,
    write: false,
    format: /** @type {any} */ (format),
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    plugins: [inOneFolder],
  });
  // The page contains it, so it must not end the element that it is in.
  if (/<\/(script|style)|<!--/i.test(file.text)) throw new Error("The bundle contains the end of its own element");
  return file.text;
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const [page, sheets] of Object.entries(BUNDLED)) {
  writeFileSync(join(target, `${page}.js`), await bundled(`import "./${page}.js";`, "js"));
  const styles = sheets.map((name) => readFileSync(paths.get(`./${name}.css`), "utf-8")).join("\n");
  const used = page === "console" ? styles.replaceAll(PERSONS_ONLY, "") : styles;
  writeFileSync(join(target, `${page}.css`), await bundled(used, "css"));
}
writeFileSync(join(target, "invite_early.js"), await bundled('import "./early.js";', "js", "iife"));
const { ORDER, TEXTS } = await import(pathToFileURL(paths.get("./texts.js")).href);
const { ME_TEXTS, SHARED } = await import(pathToFileURL(paths.get("./me_texts.js")).href);
const shared = Object.fromEntries(SHARED.map((key) => [key, TEXTS[key]]));
for (const [name, every] of Object.entries({ texts: TEXTS, texts_me: { ...shared, ...ME_TEXTS } })) {
  for (const [index, language] of ORDER.entries()) {
    const texts = Object.fromEntries(Object.entries(every).map(([key, each]) => [key, each[index]]));
    writeFileSync(join(target, `${name}_${language}.json`), `${JSON.stringify(texts).replaceAll("<", "\\u003c")}\n`);
  }
}
