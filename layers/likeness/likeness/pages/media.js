// What can be said about a file before it is sent. The server checks the same limits again, on the bytes themselves.

const PATIENCE_MS = 8000;
/** A clip cut at 15 s ends on a whole picture and a whole block of sound; the server allows the same. */
const TOLERANCE_SECONDS = 0.1;

/** A file that need not be sent. `code` is one of the server's; `values` fill in the words. */
export class Unfit extends Error {
  constructor(code, values = {}) {
    super(code);
    this.name = "Unfit";
    this.code = code;
    this.values = values;
  }
}

/**
 * `{ kind, contentType, unseen }` of a file that keeps to `limits` (limits.json); throws Unfit. `url` is its blob: URL.
 * `wanted` is the kind that a place asks for, null for any. `unseen`: this browser cannot show it, and so has not
 * measured it.
 */
export async function inspect(file, url, limits, wanted = null) {
  const { kind, contentType } = typeOf(file, limits);
  if (wanted && wanted !== kind) throw new Unfit("type_mismatch", { wanted });
  const limit = limits[kind];
  if (file.size === 0) throw new Unfit("empty_file");
  if (file.size > limit.max_bytes) throw new Unfit("file_too_large", { bytes: file.size, most: limit.max_bytes });
  // Null when this browser cannot decode it (HEIC, TIFF, HEVC): then the server is the first to measure it.
  const facts = await (kind === "Image" ? picture(url) : recording(kind, url));
  if (facts) checkFacts(facts, limit);
  return { kind, contentType, unseen: !facts };
}

function typeOf(file, limits) {
  const end = file.name.split(".").pop().toLowerCase();
  for (const [kind, limit] of Object.entries(limits)) {
    if (limit.content_types.includes(file.type)) return { kind, contentType: file.type };
  }
  for (const [kind, limit] of Object.entries(limits)) {
    // Some systems know no type for HEIC, MOV or WAV: the name has to do.
    const byName = Object.hasOwn(limit.extensions, end) && limit.extensions[end];
    if (byName && (file.type === "" || file.type === "application/octet-stream")) return { kind, contentType: byName };
  }
  throw new Unfit("format_unsupported");
}

function checkFacts({ width, height, seconds }, limit) {
  if (width && height) {
    const sides = [width, height];
    const values = { width, height, least: limit.min_side, most: limit.max_side };
    if (Math.min(...sides) < limit.min_side || Math.max(...sides) > limit.max_side) {
      throw new Unfit("dimensions_out_of_range", values);
    }
    const ratio = width / height;
    if (ratio < limit.min_ratio || ratio > limit.max_ratio) throw new Unfit("aspect_ratio_out_of_range", values);
  }
  const { min_seconds: least, max_seconds: most } = limit;
  if (seconds && (seconds < least - TOLERANCE_SECONDS || seconds > most + TOLERANCE_SECONDS)) {
    throw new Unfit("duration_out_of_range", { seconds, least, most });
  }
}

function picture(url) {
  const image = new Image();
  return settled(image, "load", () => ({ width: image.naturalWidth, height: image.naturalHeight }), url);
}

function recording(kind, url) {
  const player = document.createElement(kind.toLowerCase());
  player.preload = "metadata";
  player.muted = true;
  const facts = () => ({
    width: player.videoWidth || 0,
    height: player.videoHeight || 0,
    seconds: Number.isFinite(player.duration) ? player.duration : 0,
  });
  return settled(player, "loadedmetadata", facts, url);
}

function settled(element, event, facts, url) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), PATIENCE_MS);
    const done = (found) => {
      clearTimeout(timer);
      resolve(found);
    };
    element.addEventListener(event, () => done(facts()), { once: true });
    element.addEventListener("error", () => done(null), { once: true });
    element.src = url;
  });
}

/** SHA-256 of the file's bytes in hex, or null where the browser offers none (pages without https). */
export async function digestOf(file) {
  if (!globalThis.crypto?.subtle) return null;
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}
