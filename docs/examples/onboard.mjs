// node onboard.mjs front.jpg: a person's link, your picture of the person, and at the end its asset:// id.
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { call, untilSettled, upload } from "./likeness.mjs";

const file = process.argv[2];
const picture = { name: basename(file), asset_type: "Image", content_type: "image/jpeg", size_bytes: (await stat(file)).size };
const session = await call(
  "POST",
  "/sessions",
  { start: "on_open", language: "en", reference: "order-1", assets: [picture] },
  { "idempotency-key": `order-1-${Date.now()}` }, // of your order: a repetition returns the same session
);
await upload(session.assets[0], file);
console.log(`send this link to the person: ${session.invite_url}`);

const { assets } = await untilSettled(session.id);
for (const { name, status, uri, error } of assets) console.log(`${name}: ${uri ?? `${status}, ${error?.code}`}`);
