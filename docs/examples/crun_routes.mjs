// node crun_routes.mjs RETURN_URL FILE_URL: crun's own routes, as a program for crun calls them.
import { setTimeout as pause } from "node:timers/promises";

const { LIKENESS_API: API, LIKENESS_KEY: KEY } = process.env;
const [callback_url, asset_url] = process.argv.slice(2);

/** Returns `data` of crun's envelope, or throws an Error with its code. */
async function crun(method, route, values) {
  const query = method === "GET" ? `?${new URLSearchParams(values)}` : "";
  const response = await fetch(`${API}/api/v1/client/job/${route}${query}`, {
    method,
    headers: { "x-api-key": KEY, "content-type": "application/json" },
    body: method === "GET" ? undefined : JSON.stringify(values),
    signal: AbortSignal.timeout(35_000),
  });
  const { code, message, data } = await response.json();
  if (code !== 200) throw Object.assign(new Error(`${route}: ${code} ${message}`), { code });
  return data;
}

/** Calls `work` every two seconds until it returns a value. */
async function until(work) {
  for (let tries = 300; tries; tries--) {
    const found = await work();
    if (found) return found;
    await pause(2000);
  }
  throw new Error("nothing happened within ten minutes");
}

const { BytedToken, H5Link } = await crun("POST", "visual-validate-session", { callback_url });
console.log(`open this link within two minutes: ${H5Link}`);

const passed = () =>
  crun("GET", "visual-validate-result", { byted_token: BytedToken }).catch((error) => {
    if (error.code !== 404) throw error; // 404: the person has not passed yet
  });
const { GroupId } = await until(passed);
const asset = { name: "front", asset_type: "Image", asset_url, group_id: GroupId };
const { AssetId } = await crun("POST", "asset-upload", asset);
const active = await until(async () => {
  const found = await crun("GET", "asset-info", { asset_id: AssetId });
  if (found.Status === "Failed") throw new Error(`${found.Error.Code}: ${found.Error.Message}`);
  return found.Status === "Active" && found;
});
console.log(`asset://${active.AssetId ?? AssetId}`);
