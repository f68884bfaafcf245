// node requests.mjs: asks a person for two files that you do not have, and waits for them.
import { call, untilSettled } from "./likeness.mjs";

const session = await call("POST", "/sessions", {
  start: "on_open",
  language: "en",
  requests: [
    { name: "front", asset_type: "Image", hint: "Your face from the front, in daylight" },
    { name: "voice", asset_type: "Audio", hint: "Say your name and today's date", required: false },
  ],
});
console.log(`send this link to the person: ${session.invite_url}`);

const settled = await untilSettled(session.id);
for (const { name, status, asset_id } of settled.requests) {
  const asset = settled.assets.find((each) => each.id === asset_id);
  console.log(`${name}: ${asset?.uri ?? status}`);
}
