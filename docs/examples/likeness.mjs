// What the examples share: Node's own fetch, and no packages. Set LIKENESS_API (…/v1) and LIKENESS_KEY.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const { LIKENESS_API: API, LIKENESS_KEY: KEY } = process.env;
if (!API || !KEY) throw new Error("set LIKENESS_API and LIKENESS_KEY");

/** Calls a route and returns its JSON. Throws an Error with the problem's code; waits as long as a 429 or 503 says. */
export async function call(method, path, body, headers = {}) {
  for (let tries = 5; ; tries--) {
    const response = await fetch(API + path, {
      method,
      headers: { "x-api-key": KEY, "content-type": "application/json", ...headers },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(35_000),
    });
    const answer = await response.json();
    if (response.ok) return answer;
    const wait = Number(response.headers.get("retry-after"));
    if (!wait || tries === 1) {
      throw Object.assign(new Error(`${method} ${path}: ${response.status} ${answer.code}: ${answer.detail ?? answer.title}`), answer);
    }
    await pause(wait * 1000);
  }
}

/** Uploads a file with the form of an asset: its fields as they are, and the file at the end. */
export async function upload(asset, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(asset.upload.fields)) form.append(name, value);
  form.append("file", new Blob([await readFile(file)]), basename(file));
  const response = await fetch(asset.upload.url, { method: "POST", body: form });
  if (!response.ok) throw new Error(`the upload of ${basename(file)} was refused: ${response.status}`);
}

/** Polls a session until nothing more will happen to it. In production, receive webhooks instead (webhook.mjs). */
export async function untilSettled(sessionId, seconds = 3600) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(2000)) {
    const session = await call("GET", `/sessions/${sessionId}`);
    if (session.settled) return session;
  }
  throw new Error(`${sessionId} is not settled after ${seconds} s`);
}

/** Polls a generation until it has ended: its video can be downloaded, or `error` says why there is none. */
export async function untilEnded(generationId, seconds = 3600) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(2000)) {
    const generation = await call("GET", `/generations/${generationId}`);
    if (generation.ended_at) return generation;
  }
  throw new Error(`${generationId} has not ended after ${seconds} s`);
}
