// Shows openapi.json with Swagger UI, which the layer's build adds (copy_swagger_ui.py).

/** The page's sections, and the paths in each one: a path is in the first section that fits. @type {[string, RegExp][]} */
const SECTIONS = [
  ["Sessions", /^\/sessions(?!.*\/(assets|consent|uses?$))/],
  ["Consent", /\/consent/],
  ["Generations and uses", /^\/generations|\/uses?$|^\/use-checks/],
  ["Files", /^\/sessions/],
  ["Keys and webhooks", /^\/(client-keys|webhooks)/],
  ["Statistics", /^\/stats/],
  ["crun's own routes", /^\/api\//],
  ["Pages and links", /^\//],
];

/** Puts each operation into its section, and makes the server's URL absolute. */
function prepared(contract) {
  for (const [path, operations] of Object.entries(contract.paths)) {
    const [section] = SECTIONS.find(([, paths]) => paths.test(path));
    for (const operation of Object.values(operations)) operation.tags = [section];
  }
  contract.tags = SECTIONS.map(([name]) => ({ name }));
  contract.servers = [{ url: new URL(".", location.href).href.slice(0, -1) }];
  return contract;
}

/** Adds what Swagger UI lacks for keyboards and screen readers: names of fields, and a focus for areas that scroll. */
function complete(shown) {
  const named = (selector, name) => {
    for (const each of shown.querySelectorAll(`${selector}:not([aria-label])`)) each.setAttribute("aria-label", name);
  };
  named("#servers", "Server");
  named(".examples-select-element", "Example");
  named(".content-type", "Content type");
  named(".body-param__text", "Request body");
  named(".parameters-col_description :is(select, input)", "Value of the parameter");
  named("select", "Choice");
  for (const each of shown.querySelectorAll("pre:not([tabindex])")) each.setAttribute("tabindex", "0");
}

const shown = document.getElementById("contract");
new MutationObserver(() => complete(shown)).observe(shown, { childList: true, subtree: true });
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark-mode");

const { SwaggerUIBundle } = /** @type {any} */ (window);
SwaggerUIBundle({
  spec: prepared(await (await fetch("openapi.json")).json()),
  domNode: shown,
  deepLinking: true,
  syntaxHighlight: { theme: "obsidian" },
  validatorUrl: null, // it would send the contract to another host
  plugins: [() => ({ components: { InfoContainer: () => null } })], // the page has its own heading
});

export {}; // a module, for tsc: the page loads it as one
