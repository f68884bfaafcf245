// The person's page: where the check stands and what to do next. The token comes in the fragment, which no server
// sees, and stays in this tab so that the way back from the face check finds it again.
"use strict";

const WORDS = {
  requires_input: ["The face check is still to be done.", "Press the button when you are ready: the link works for two minutes."],
  processing: ["The check is done. We are fetching the result.", "You can leave this page open; it follows by itself."],
  verified: ["The check was passed.", "Nothing more is needed from you for the check itself."],
  canceled: ["This session was closed.", ""],
  redacted: ["This session and its data were erased.", ""],
};
const POLL_MS = 3000;
const POLLS = 200;

const element = (id) => document.getElementById(id);

function token() {
  const given = location.hash.slice(1);
  if (given.startsWith("st_")) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token");
}

async function call(key, path, method = "GET") {
  const response = await fetch(`sessions/${key.slice(3).split(".")[0]}${path}`, { method, headers: { "x-api-key": key } });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || "Something went wrong. Please try again.");
  return body;
}

function show(session) {
  const [status, next] = WORDS[session.status] || [session.status, ""];
  element("status").textContent = status;
  element("next").textContent = session.last_error ? session.last_error.message : next;
  element("start").hidden = session.status !== "requires_input";
  element("files").hidden = session.assets.length === 0;
  element("assets").replaceChildren(...session.assets.map((asset) => {
    const row = document.createElement("tr");
    for (const text of [asset.name, asset.error ? asset.error.message : asset.status.replace("_", " ")]) {
      row.appendChild(document.createElement("td")).textContent = text;
    }
    return row;
  }));
}

async function start(key) {
  element("start").disabled = true;
  try {
    location.assign((await call(key, "/attempts", "POST")).attempt.h5_link);
  } catch (error) {
    element("next").textContent = error.message;
    element("start").disabled = false;
  }
}

async function follow(key) {
  for (let round = 0; round < POLLS; round += 1) {
    try {
      show(await call(key, ""));
    } catch (error) {
      element("status").textContent = error.message;
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

const key = token();
if (key) {
  element("start").addEventListener("click", () => start(key));
  follow(key);
} else {
  const [status, next] = WORDS[new URLSearchParams(location.search).get("status")] || ["This page needs an invite link.", "Please open the link that was sent to you."];
  element("status").textContent = status;
  element("next").textContent = next;
}
