// Shows the routes of openapi.json as text.
function add(parent, tag, text) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text;
  return made;
}

/** Adds a description. Text between backticks becomes code. */
function describe(parent, tag, text) {
  const made = add(parent, tag, "");
  text.split("`").forEach((part, index) => add(made, index % 2 ? "code" : "span", part));
}

/** Returns the target of a "$ref", or the node itself. */
function resolved(api, node) {
  return node.$ref ? node.$ref.slice(2).split("/").reduce((found, part) => found[part], api) : node;
}

fetch("openapi.json").then((response) => response.json()).then((api) => {
  const routes = document.getElementById("routes");
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const card = routes.appendChild(document.createElement("section"));
      card.className = "card";
      add(card, "h2", `${method.toUpperCase()} ${path}`);
      describe(card, "p", [operation.summary, operation.description].filter(Boolean).join(" "));
      const table = card.appendChild(document.createElement("table"));
      for (const [status, response] of Object.entries(operation.responses)) {
        const row = table.appendChild(document.createElement("tr"));
        add(row, "th", status);
        describe(row, "td", resolved(api, response).description);
      }
    }
  }
});
