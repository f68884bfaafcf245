// node generate.mjs ORDER asset://… clip.mp4: makes a video of a person once for each ORDER, and saves it.
import { writeFile } from "node:fs/promises";
import { call, untilEnded } from "./likeness.mjs";

const [order, picture, file] = process.argv.slice(2);
const made = await call(
  "POST",
  "/generations",
  {
    model: "bytedance/seedance2-0-r2v",
    reference: order,
    input: { prompt: "[Image1] smiles and waves", reference_images: [picture], duration: 4, resolution: "480p" },
  },
  { "idempotency-key": order }, // a repetition returns the same video, and costs nothing
);
console.log(`${made.id}: ${made.status}`);

const { status, result, error, media_problem, credits } = await untilEnded(made.id);
const [media] = result?.media ?? [];
if (!media) throw new Error(`${made.id} is ${status}, without a video: ${(error ?? media_problem)?.code}`);
const response = await fetch(media.url, { signal: AbortSignal.timeout(120_000) });
if (!response.ok) throw new Error(`the download was refused: ${response.status}`);
await writeFile(file, Buffer.from(await response.arrayBuffer()));
console.log(`${file}: ${credits} credits`);
