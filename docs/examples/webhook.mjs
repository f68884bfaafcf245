// LIKENESS_WEBHOOK_SECRET=whsec_… node webhook.mjs 9000: receives webhooks, and verifies each one.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.LIKENESS_WEBHOOK_SECRET.replace("whsec_", ""), "base64");
const seen = new Set(); // in production: a unique key in your database

/** Returns whether a request is from Likeness and at most five minutes old. `body` is its bytes, not parsed. */
function verified(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(time)) < 300)) return false;
  const expected = createHmac("sha256", key).update(`${id}.${time}.`).update(body).digest();
  // While a secret is rotated, there is a signature with each secret.
  return String(signatures).split(" ").some((each) => {
    const given = Buffer.from(each.replace(/^v1,/, ""), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const server = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  if (!verified(request.headers, body)) return response.writeHead(400).end();
  response.writeHead(204).end(); // respond first, and work afterwards
  const { type, data } = JSON.parse(body);
  if (seen.has(data.id)) return; // an event may be delivered twice
  seen.add(data.id);
  console.log(type, data.session_id ?? "");
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(`listening on port ${server.address().port}`));
