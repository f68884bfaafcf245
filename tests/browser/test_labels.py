"""How the page determines a file's type before sending it: by its label, its name, or its first 4 KB."""

from __future__ import annotations

import base64

from playwright.sync_api import Page, expect

from likeness.runtime.site import limits
from local.media import clip, portrait, voice
from tests import corpus
from tests.browser.person import verified
from tests.browser.test_invite import NewPerson, person
from tests.integration.conftest import Api
from tests.media import heic

__all__ = ["person"]

#: Inspects files as the page does; returns the content type, or the code of the refusal.
INSPECT = """async ([limits, files]) => {
  const { inspect } = await import("./media.js");
  const found = [];
  for (const [label, name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const file = new File([bytes], name);
    Object.defineProperty(file, "type", { value: label }); // the constructor would write it in lower case
    const url = URL.createObjectURL(file);
    found.push(await inspect(file, url, limits).then((each) => each.contentType, (error) => error.code));
    URL.revokeObjectURL(url);
  }
  return found;
}"""

_JPEG = portrait("alice", 320, 400)
_BARE_MP3 = corpus.encoded_sound(3.0, "libmp3lame", "mp3", 44100, form="s16p", kbits=64, write_xing=0)
_MP3 = corpus.id3(300) + _BARE_MP3
_MP4, _WAV = clip("alice"), voice("alice")

PAIRS: list[tuple[str, str, bytes, str]] = [
    # labels in other forms
    ("image/jpeg", "a.jpg", _JPEG, "image/jpeg"), ("image/jpg", "a.jpg", _JPEG, "image/jpg"),
    ("image/pjpeg", "a", _JPEG, "image/pjpeg"), ("image/JPEG", "a", _JPEG, "image/jpeg"),
    ("image/jpeg; charset=binary", "a", _JPEG, "image/jpeg"), ("audio/x-mpeg", "a", _MP3, "audio/x-mpeg"),
    ("audio/mpeg3", "a", _MP3, "audio/mpeg3"), ("audio/x-mp3", "a", _MP3, "audio/x-mp3"),
    ("image/x-bmp", "a", corpus.picture((300, 300), "BMP"), "image/x-bmp"),
    ("image/x-tiff", "a", corpus.picture((300, 300), "TIFF"), "image/x-tiff"),
    ("video/x-mp4", "a", _MP4, "video/x-mp4"), ("Video/MP4;codecs=avc1", "a", _MP4, "video/mp4"),
    # unknown label: the name decides
    ("", "a.JPG", _JPEG, "image/jpeg"), ("application/octet-stream", "a.heic", heic(), "image/heic"),
    ("binary/octet-stream", "clip.mov", _MP4, "video/quicktime"),
    ("application/x-unknown", "a.mp3", _MP3, "audio/mpeg"),
    ("text/plain", "a.wav", _WAV, "audio/wav"),
    # unknown label and name: the content decides
    ("", "image%3A148818", _JPEG, "image/jpeg"), ("application/octet-stream", "image:1641", _JPEG, "image/jpeg"),
    ("", "mmexport.1234", corpus.picture((300, 300), "PNG"), "image/png"),
    ("", "blob", corpus.picture((300, 300), "WEBP"), "image/webp"),
    ("", "blob", corpus.picture((300, 300), "GIF", "P"), "image/gif"),
    ("", "blob", corpus.picture((300, 300), "BMP"), "image/bmp"),
    ("", "blob", corpus.picture((300, 300), "TIFF"), "image/tiff"), ("", "blob", heic(), "image/heic"),
    ("", "blob", _MP4, "video/mp4"), ("", "blob", corpus.film(corpus.Take((640, 640), 60), container="mov"),
     "video/quicktime"),
    ("", "blob", _WAV, "audio/wav"), ("", "blob", _MP3, "audio/mpeg"), ("", "blob", _BARE_MP3, "audio/mpeg"),
    ("", "blob", bytes(136) + _BARE_MP3, "audio/mpeg"),
    # unknown label, name and content
    ("text/plain", "note.txt", b"BM is a car, ID 3 is another" * 9, "format_unsupported"),
    ("", "page", b"<!DOCTYPE html>" * 9, "format_unsupported"), ("", "constructor", b"PK\3\4", "format_unsupported"),
    ("application/pdf", "a.pdf", b"%PDF-1.7", "format_unsupported"), ("", "nothing", b"", "empty_file"),
]  # fmt: skip


def test_a_files_type_is_found_by_label_name_or_first_bytes(modules: Page) -> None:
    files = [[label, name, base64.b64encode(data).decode()] for label, name, data, _ in PAIRS]
    found = modules.evaluate(INSPECT, [limits(), files])
    wrong = [(pair[0], pair[1], pair[3], got) for pair, got in zip(PAIRS, found, strict=True) if got != pair[3]]
    assert wrong == []
    assert len(PAIRS) == 36


def test_a_clip_with_too_many_or_too_few_pixels_is_refused_before_the_upload(person: NewPerson, api: Api) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    expect(alice.page.locator(".hints")).to_contain_text("height 409,600 to 2,086,876 pixels")
    large, small = corpus.film(corpus.Take((2400, 1000), 60)), corpus.film(corpus.Take((400, 400), 60))
    alice.adds(
        {"name": "large.mp4", "mimeType": "video/mp4", "buffer": large},
        {"name": "small.mp4", "mimeType": "video/mp4", "buffer": small},
    )
    words = "height must be 409,600 to 2,086,876"
    expect(alice.sees_file("large.mp4", "refused")).to_contain_text(words)
    expect(alice.sees_file("small.mp4", "refused")).to_contain_text(words)
    assert api.get(session["id"])["assets"] == []


def test_a_file_without_label_and_extension_is_accepted(person: NewPerson, api: Api) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(
        {"name": "image%3A148818", "mimeType": "", "buffer": portrait("alice", 640, 800)},
        {"name": "voice", "mimeType": "audio/x-wav", "buffer": voice("alice")},
    )
    alice.sees_file("image%3A148818", "active")
    alice.sees_file("voice", "active")
    stored = {each["name"]: each["content_type"] for each in api.get(session["id"])["assets"]}
    assert stored == {"image%3A148818": "image/jpeg", "voice": "audio/wav"}
