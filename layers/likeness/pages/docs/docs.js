// Shows the routes of openapi.json as text.
function add(parent, tag, text) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text;
  return made;
}

fetch("openapi.json").then((response) => response.json()).then((api) => {
  const routes = document.getElementById("routes");
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const card = routes.appendChild(document.createElement("section"));
      card.className = "card";
      add(card, "h2", `${method.toUpperCase()} ${path}`);
      add(card, "p", operation.summary);
      const table = card.appendChild(document.createElement("table"));
      for (const [status, answer] of Object.entries(operation.responses)) {
        const row = table.appendChild(document.createElement("tr"));
        add(row, "th", status);
        add(row, "td", answer.description);
      }
    }
  }
});
