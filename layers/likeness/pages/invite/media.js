// Checks a file before it is uploaded. The server checks the same limits again, on the bytes themselves.

const DECODE_TIMEOUT_MS = 8000;
/** The longest side of a picture that is made smaller: Safari's canvas has at most 4096 × 4096 pixels. */
const SMALLER_SIDE = 4096;
/** A video cut at 15 s ends with a whole frame and a whole audio block. The server has the same tolerance. */
const TOLERANCE_SECONDS = 0.1;

/** A file that cannot be used. `code` is one of the server's; `values` fill in the text. */
export class UnusableFile extends Error {
  constructor(code, values = {}) {
    super(code);
    this.name = "UnusableFile";
    this.code = code;
    this.values = values;
  }
}

/**
 * Returns `{ kind, contentType, unseen }` of a file that is within `limits` (of site.py). Throws UnusableFile. `url`
 * is its blob: URL. `wanted` is the required kind, null for any. `unseen`: this browser cannot decode the file, so its
 * dimensions and duration are not checked.
 */
export async function inspect(file, url, limits, wanted = null) {
  const { kind, contentType } = await typeOf(file, limits);
  if (wanted && wanted !== kind) throw new UnusableFile("type_mismatch", { wanted });
  const limit = limits[kind];
  if (file.size === 0) throw new UnusableFile("empty_file");
  const most = limit.max_bytes;
  if (file.size > most) throw new UnusableFile("file_too_large", { bytes: file.size, most });
  // Null when this browser cannot decode it (HEIC, TIFF, HEVC): then only the server checks it.
  const facts = await (kind === "Image" ? picture(url) : recording(kind, url));
  if (facts) checkFacts(facts, limit);
  return { kind, contentType, unseen: !facts };
}

// The first bytes of each accepted type, one character per byte; an MP3 may have anything before its frames.
const MARKS = {
  "image/jpeg": /^\xff\xd8\xff/,
  "image/png": /^\x89PNG/,
  "image/gif": /^GIF8/,
  "image/webp": /^RIFF....WEBP/s,
  "image/bmp": /^BM.{8}..\0\0[\x0c-\x7c]\0\0\0/s,
  "image/tiff": /^(II\*\0|MM\0\*)/,
  "image/heic": /^....ftyp(hei|hev|mif|msf)/s,
  "video/quicktime": /^....(ftypqt|moov|mdat|wide|free|skip)/s,
  "video/mp4": /^....ftyp(?!M4[ABP]|avi|crx|jp)/s,
  "audio/wav": /^RIFF....WAVE/s,
  "audio/mpeg": /^ID3|(\xff[\xe2\xe3\xf2\xf3\xfa\xfb]).{22,1440}\1.{22,1440}\1/s,
};

/** Returns a file's type by its MIME type, else by its name's extension, else by its first 4 KB. */
async function typeOf(file, limits) {
  const kindOf = (type) => Object.keys(limits).find((kind) => limits[kind].content_types.includes(type));
  const end = file.name.split(".").pop().toLowerCase();
  const named = Object.values(limits).find((limit) => Object.hasOwn(limit.extensions, end))?.extensions[end];
  let contentType = file.type.split(";")[0].trim().toLowerCase();
  if (!kindOf(contentType)) contentType = named ?? (await contentOf(file));
  const kind = kindOf(contentType);
  if (!kind) throw new UnusableFile(file.size ? "format_unsupported" : "empty_file");
  return { kind, contentType };
}

async function contentOf(file) {
  try {
    const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 4096).arrayBuffer()));
    return Object.keys(MARKS).find((type) => MARKS[type].test(head));
  } catch {
    throw new UnusableFile("upload_unreadable");
  }
}

function checkFacts({ width, height, seconds }, limit) {
  if (width && height) {
    const sides = [width, height];
    const values = { width, height, least: limit.min_side, most: limit.max_side };
    if (Math.min(...sides) < limit.min_side || Math.max(...sides) > limit.max_side) {
      throw new UnusableFile("dimensions_out_of_range", values);
    }
    const ratio = width / height;
    if (ratio < limit.min_ratio || ratio > limit.max_ratio) throw new UnusableFile("aspect_ratio_out_of_range", values);
    const { min_pixels: few, max_pixels: many } = limit;
    if (width * height < few || width * height > many) {
      throw new UnusableFile("pixels_out_of_range", { width, height, least: few, most: many });
    }
  }
  const { min_seconds: least, max_seconds: most } = limit;
  if (seconds && (seconds < least - TOLERANCE_SECONDS || seconds > most + TOLERANCE_SECONDS)) {
    throw new UnusableFile("duration_out_of_range", { seconds, least, most });
  }
}

function picture(url) {
  const image = new Image();
  return settled(image, "load", () => ({ width: image.naturalWidth, height: image.naturalHeight, image }), url);
}

/**
 * Returns a copy of a picture that `inspect` refused with `error`: `{ file, before, after }`, a JPEG within `limits` that is
 * the right way up, and the `[width, height]` of both. Returns null for any other file. Throws UnusableFile when the picture would be
 * allowed if it were smaller, but this browser cannot decode or draw it.
 */
export async function shrink(file, url, limits, error) {
  const { kind } = await typeOf(file, limits);
  const limit = limits.Image;
  const tooLarge = error.code === "file_too_large" || error.values.width > limit.max_side ||
    error.values.height > limit.max_side;
  if (kind !== "Image" || !tooLarge) return null;
  const facts = await picture(url);
  if (!facts) throw new UnusableFile("cannot_shrink");
  const ratio = facts.width / facts.height;
  if (ratio < limit.min_ratio || ratio > limit.max_ratio) return null;
  const scale = Math.min(1, SMALLER_SIDE / Math.max(facts.width, facts.height));
  const [width, height] = [facts.width, facts.height].map((side) => Math.round(side * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // a JPEG has no transparency
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(facts.image, 0, 0, width, height); // turned as its EXIF orientation says
  for (const quality of [0.92, 0.8, 0.6]) {
    const made = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    if (!made) break;
    if (made.size <= limit.max_bytes) {
      const name = `${file.name.replace(/\.[^.]{1,5}$/, "")}.jpg`;
      const before = [facts.width, facts.height];
      return { file: new File([made], name, { type: "image/jpeg" }), before, after: [width, height] };
    }
  }
  throw new UnusableFile("cannot_shrink");
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
    const timer = setTimeout(() => resolve(null), DECODE_TIMEOUT_MS);
    const done = (found) => {
      clearTimeout(timer);
      resolve(found);
    };
    element.addEventListener(event, () => done(facts()), { once: true });
    element.addEventListener("error", () => done(null), { once: true });
    element.src = url;
  });
}

/** Returns the file's SHA-256 in hex, or null if the browser has no Web Crypto (pages without https). */
export async function digestOf(file) {
  if (!globalThis.crypto?.subtle) return null;
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}
