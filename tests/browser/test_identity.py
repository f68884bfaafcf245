"""Who asks, large text, whole words in Chinese headings, pictures made smaller, and browsers without a camera."""

# ruff: noqa: RUF001 - Chinese has its own punctuation

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from local.media import portrait
from local.stack import Stack
from tests.browser.conftest import DOCS_EXEMPT, OpenPage
from tests.browser.person import Person, agreed, attempt_by_api, invited, verified
from tests.browser.test_invite import NewPerson, person, quick_assets
from tests.integration.conftest import Api
from tests.media import heic

__all__ = ["person", "quick_assets"]

LANGUAGES = ("zh", "en", "zh-Hant")
WIDTHS = (390, 320)
#: The example operator of a local stack (local/operator).
OPERATOR, CONTACT, ACCENT = "Example Studio", "privacy@studio.example", "rgb(107, 63, 160)"

#: Whether the simulator accepts a picture without the mark of a drawn person, which a canvas does not keep, may change.
ENDED = re.compile("active|failed")

#: The words of visible Chinese headings that are broken although they fit in a line.
BROKEN_WORDS = """() => {
  const broken = [];
  for (const heading of document.querySelectorAll("h1, h2")) {
    if (!heading.checkVisibility()) continue;
    const { lang } = document.documentElement;
    let at = 0;
    const nodes = [];
    const walker = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) nodes.push(walker.currentNode);
    const place = (index) => {
      for (const node of nodes) {
        if (index < node.length) return [node, index];
        index -= node.length;
      }
    };
    const text = nodes.map((each) => each.data).join("");
    for (const { segment, index, isWordLike } of new Intl.Segmenter(lang, { granularity: "word" }).segment(text)) {
      if (!isWordLike) continue;
      const tops = [...segment].map((_, offset) => {
        const range = document.createRange();
        const [node, start] = place(index + offset);
        range.setStart(node, start);
        range.setEnd(node, start + 1);
        const box = range.getBoundingClientRect();
        return [Math.round(box.top), box.width];
      });
      const width = tops.reduce((sum, [, each]) => sum + each, 0);
      const lines = new Set(tops.map(([top]) => top)).size;
      if (lines > 1 && width < heading.clientWidth) broken.push(`${segment} in ${text}`);
    }
  }
  return broken;
}"""


def shoot(page: Page, name: str) -> None:
    """Saves a screenshot, if SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page="docs" not in name, animations="disabled")


def large_text(page: Page) -> None:
    """Doubles the size of all text, as a browser's setting does."""
    page.evaluate("document.documentElement.style.fontSize = '200%'")


def fits(page: Page, where: str) -> None:
    """Fails if a page is wider than the screen at 390 or 320 px, or breaks a Chinese word, in any language."""
    for language in LANGUAGES:
        page.locator("#language").select_option(language)
        expect(page.locator(f"html:lang({language})")).to_be_attached()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if (language, width) in (("en", 390), ("zh", 320)):
                shoot(page, f"large-{where}-{language}-{width}")
            found = page.evaluate("document.documentElement.scrollWidth")
            assert found <= width, (where, language, width, _widest(page, width))
            if language != "en":
                assert page.evaluate(BROKEN_WORDS) == [], (where, width)


def _widest(page: Page, width: int) -> list[str]:
    """Returns the elements that are wider than the screen."""
    return list(
        page.evaluate(
            """(width) => [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > width + 1)
            .map((each) => `${each.tagName}.${each.className} ${Math.round(each.getBoundingClientRect().right)}`)""",
            width,
        )
    )


# --- large text


def test_large_text_fits_in_every_state_of_the_check(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person(session["invite_url"], is_mobile=False)
    alice.sees("consent")
    large_text(alice.page)
    alice.page.get_by_role("checkbox").check()
    fits(alice.page, "consent")
    alice.page.get_by_role("checkbox").check()
    alice.main_button.click()
    alice.sees("ready")
    fits(alice.page, "ready")
    alice.starts()
    alice.page.go_back()
    alice.sees("open")
    large_text(alice.page)
    fits(alice.page, "open")
    alice.starts()
    alice.passes(outcome="fail")
    alice.sees("retry")
    large_text(alice.page)
    fits(alice.page, "retry")
    api("DELETE", f"/sessions/{session['id']}")
    alice.refocuses()
    alice.sees("redacted")
    fits(alice.page, "redacted")


def test_large_text_fits_with_files_in_every_state(person: NewPerson, api: Api) -> None:
    name = "a-name-without-any-place-to-break-it-in-two-parts-somewhere-here"
    asset = {"name": name, "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 5}
    session = verified(api, assets=[asset])
    alice = person(session["invite_url"], is_mobile=False)
    alice.sees("files")
    alice.adds(
        {"name": f"{name}.txt", "mimeType": "text/plain", "buffer": b"x"},
        {"name": "alice.jpg", "mimeType": "image/jpeg", "buffer": portrait("alice", 600, 800)},
        {"name": "bob.jpg", "mimeType": "image/jpeg", "buffer": portrait("bob", 600, 800)},
        {"name": "vast.png", "mimeType": "image/png", "buffer": vast_png()},
    )
    alice.sees_file("alice.jpg", "active")
    alice.sees_file("bob.jpg", "failed")
    alice.sees_file("vast.jpg", "smaller")
    large_text(alice.page)
    fits(alice.page, "files")


@pytest.mark.parametrize("query", ["", "?status=processing", "?status=verified", "?status=canceled"])
def test_large_text_fits_without_a_session(person: NewPerson, stack: Stack, query: str) -> None:
    visitor = person(f"{stack.api_url}/invite{query}", is_mobile=False)
    expect(visitor.page.locator("main h1")).to_be_visible()
    large_text(visitor.page)
    fits(visitor.page, f"status{query[8:]}")


def test_large_text_fits_when_no_attempt_is_left(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person("about:blank", is_mobile=False)

    def spent(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"attempts_left": 0})

    alice.page.route(f"**/sessions/{session['id']}", spent)
    alice.page.goto(session["invite_url"])
    alice.sees("spent")
    large_text(alice.page)
    fits(alice.page, "spent")


@pytest.mark.parametrize("name", ["console", "docs", "nowhere"])
def test_large_text_fits_on_the_other_pages(open_page: OpenPage, stack: Stack, name: str) -> None:
    page = open_page(f"{stack.api_url}/{name}", allowed=["404"], is_mobile=False).page
    page.wait_for_load_state("networkidle")
    large_text(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        shoot(page, f"large-{name}-{width}")
        found = page.evaluate("document.documentElement.scrollWidth")
        assert found <= width, (width, _widest(page, width))


def test_large_text_fits_in_the_consoles_list(open_page: OpenPage, fresh_client: Api) -> None:
    verified(fresh_client, reference="order-1")
    page = open_page(f"{fresh_client.stack.api_url}/console", is_mobile=False).page
    page.get_by_label("Client key").fill(str(fresh_client.credential))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("order-1").first).to_be_visible()
    large_text(page)
    shoot(page, "large-console-sessions")
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[0], _widest(page, WIDTHS[0])


# --- who asks


def test_every_page_names_the_operator_in_its_colour(open_page: OpenPage, api: Api, stack: Stack) -> None:
    session = invited(api)
    for url in (session["invite_url"], *(f"{stack.api_url}/{name}" for name in ("console", "docs", "a/b/nowhere"))):
        watched = open_page(url, allowed=["404"])
        page = watched.page
        expect(page.locator("#operator")).to_contain_text(OPERATOR)
        expect(page.get_by_role("link", name=CONTACT)).to_have_attribute("href", f"mailto:{CONTACT}")
        expect(page.locator("#operator-privacy")).to_have_attribute("href", "https://studio.example/privacy")
        assert page.locator("img.logo").evaluate(
            "async (logo) => { await logo.decode(); return logo.naturalWidth > 0; }"
        )
        main = "getComputedStyle(document.documentElement).getPropertyValue('--main')"
        assert page.evaluate(main) == "#6b3fa0"
        page.wait_for_load_state("networkidle")
        watched.accessible(url.partition("#")[0], DOCS_EXEMPT if url.endswith("/docs") else ())
        shoot(page, f"operator-{url.partition('#')[0].rpartition('/')[2]}")
    alice = Person(open_page(session["invite_url"]))
    alice.sees("consent")
    expect(alice.page.locator("#operator-name")).to_have_text(f"{OPERATOR} asks you for this")
    alice.page.get_by_role("checkbox").check()
    expect(alice.main_button).to_have_css("background-color", ACCENT)
    # The consent text names the same operator.
    expect(alice.page.locator(".consent-text")).to_contain_text(OPERATOR)
    alice.page.locator("#language").select_option("zh")
    expect(alice.page.locator("#operator-name")).to_have_text(f"由{OPERATOR}发起")
    expect(alice.page.locator("#operator-privacy")).to_have_text("隐私政策")


def test_the_pages_after_a_callback_that_is_not_valid_name_the_operator(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(f"{stack.api_url}/callback/ses_x/1/none", allowed=["404", "400"]).page
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is not valid")
    expect(page.locator("#operator")).to_contain_text(OPERATOR)
    expect(page.locator("main.card")).to_have_css("border-radius", "18px")  # its stylesheet is found
    shoot(page, "operator-callback")


# --- a picture that is too large


def vast_png() -> bytes:
    """A picture with more pixels than allowed, of few bytes."""
    content = io.BytesIO()
    Image.new("RGB", (6500, 6500), "#8899aa").save(content, "PNG")
    return content.getvalue()


def turned_jpeg() -> bytes:
    """A photo of 6,400 by 4,000 pixels that its EXIF orientation shows upright; its upper half is red."""
    stored = Image.new("RGB", (6400, 4000), "blue")
    stored.paste("red", (0, 0, 3200, 4000))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise: the stored left side is the shown upper side
    content = io.BytesIO()
    stored.save(content, "JPEG", exif=exif, quality=80)
    return content.getvalue()


def heavy_bmp() -> bytes:
    """A picture with few pixels and 31 MB."""
    content = io.BytesIO()
    Image.open(io.BytesIO(portrait("alice", 600, 690))).resize((3000, 3450)).save(content, "BMP")
    return content.getvalue()


def test_a_picture_of_too_many_pixels_is_made_smaller_the_right_way_up(person: NewPerson, api: Api) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds({"name": "turned.jpeg", "mimeType": "image/jpeg", "buffer": turned_jpeg()})
    row = alice.sees_file("turned.jpg", "smaller")
    expect(row).to_contain_text("The photo has 4,000 × 6,400 pixels")
    expect(row).to_contain_text("the smaller one 2,560 × 4,096")
    expect(row).to_contain_text("Do you want to use it?")
    alice.watched.accessible("a smaller photo")
    shoot(alice.page, "smaller")
    colors = row.locator("img").evaluate(
        """async (image) => {
            await image.decode();
            const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 100 }).getContext("2d");
            pen.drawImage(image, 0, 0, 1, 100);
            const { data } = pen.getImageData(0, 0, 1, 100);
            return [10, 90].map((y) => [...data.slice(4 * y, 4 * y + 3)].map((each) => each > 128));
        }"""
    )
    assert colors == [[True, False, False], [False, False, True]], "red above blue"
    assert api.get(session["id"])["assets"] == [], "nothing is registered before the person agrees"
    alice.button("Use the smaller photo of turned.jpg").click()
    expect(alice.row("turned.jpg")).not_to_have_attribute("data-state", "smaller")
    found = api.wait(session["id"], lambda shown: bool(shown["assets"]))["assets"][0]
    assert (found["name"], found["content_type"]) == ("turned.jpg", "image/jpeg")
    assert found["size_bytes"] < 30_000_000


def test_a_picture_of_too_many_bytes_fills_its_place_as_a_smaller_one(
    person: NewPerson, api: Api, tmp_path: Path
) -> None:
    asked = {"name": "front", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 5}
    session = verified(api, assets=[asked])
    alice = person(session["invite_url"])
    alice.sees("files")
    heavy = tmp_path / "heavy.bmp"
    heavy.write_bytes(heavy_bmp())
    alice.chooses(alice.row("front").get_by_role("button").first, heavy)
    row = alice.sees_file("front", "smaller")
    expect(row).to_contain_text("pixels and 31.1 MB")
    row.get_by_role("button", name="Remove front").click()
    alice.sees_file("front", "awaiting_upload")
    alice.chooses(alice.row("front").get_by_role("button").first, heavy)
    alice.sees_file("front", "smaller").get_by_role("button", name="Use the smaller photo").click()
    expect(alice.row("front")).to_have_attribute("data-state", ENDED, timeout=90_000)
    sizes = {each["name"]: each["size_bytes"] for each in api.get(session["id"])["assets"]}
    assert 5 < sizes["front"] < 5_000_000


def test_a_photo_that_the_browser_cannot_decode_gets_a_sentence(person: NewPerson, api: Api, tmp_path: Path) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    photo, film = tmp_path / "IMG_1.heic", tmp_path / "film.mp4"
    photo.write_bytes(heic() + bytes(31_000_000))
    film.write_bytes(bytes(51_500_000))
    alice.adds(photo)
    expect(alice.sees_file("IMG_1.heic", "refused")).to_contain_text("this browser cannot make it smaller")
    # A film of the same size is not offered to be shrunk.
    alice.adds(film)
    expect(alice.sees_file("film.mp4", "refused")).to_contain_text("the limit is 50 MB")


# --- browsers that cannot do the check

ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
WECHAT, INSTAGRAM = f"{ANDROID} MicroMessenger/8.0.50", f"{ANDROID} Instagram 340.0"
#: Calls a function of frame.js.
FRAME = """async ([name, ...values]) => {
  const frame = await import("./frame.js");
  return frame[name](...values);
}"""


def test_a_browser_inside_an_app_offers_the_link(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person(session["invite_url"], user_agent=WECHAT, permissions=["clipboard-read", "clipboard-write"])
    alice.sees("consent")
    note = alice.page.locator("#in-app")
    expect(note).to_contain_text("inside another app")
    expect(note.get_by_role("link")).to_have_count(0)
    alice.button("Copy the link").click()
    expect(note).to_contain_text("Paste it into the address bar")
    assert alice.page.evaluate("navigator.clipboard.readText()") == session["invite_url"]
    alice.watched.accessible("a browser inside an app")
    shoot(alice.page, "in-app")
    large_text(alice.page)
    alice.page.locator("#language").select_option("zh")
    expect(note).to_contain_text("您正在应用内的浏览器中")
    for width in WIDTHS:
        alice.page.set_viewport_size({"width": width, "height": 800})
        shoot(alice.page, f"in-app-large-{width}")
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    # After the pass, no camera is needed.
    api("POST", f"/sessions/{session['id']}/consent", json=consent(api))
    attempt_by_api(api, session)
    alice.refocuses()
    alice.sees("files")
    expect(note).to_be_hidden()


def consent(api: Api) -> dict[str, Any]:
    text = api("GET", "/consent?language=en").json()
    return {key: text[key] for key in ("text_version", "language", "sha256")}


def test_the_link_is_shown_where_it_cannot_be_copied(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person("about:blank", user_agent=INSTAGRAM)
    alice.page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    alice.page.goto(session["invite_url"])
    alice.button("Copy the link").click()
    expect(alice.page.locator("#in-app code")).to_have_text(session["invite_url"])


def test_a_browser_without_a_camera_says_so(person: NewPerson, api: Api) -> None:
    alice = person("about:blank")
    alice.page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    alice.page.goto(agreed(api)["invite_url"])
    alice.sees("ready")
    expect(alice.page.locator("#in-app")).to_contain_text("This browser cannot use a camera.")


def test_other_browsers_see_no_such_note(person: NewPerson, api: Api) -> None:
    alice = person(agreed(api)["invite_url"])
    alice.sees("ready")
    expect(alice.page.locator("#in-app")).to_be_hidden()


@pytest.mark.parametrize(
    ("agent", "trouble"),
    [
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/460.0]", "in_app"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/14.5.0", "in_app"),
        ("Mozilla/5.0 (Linux; Android 14; wv) Chrome/126.0 musical_ly_2023 BytedanceWebview/d8a21c6", "in_app"),
        (WECHAT, "in_app"),
        (INSTAGRAM, "in_app"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1", None),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36 OnLine/1", None),
    ],
)
def test_apps_are_known_by_their_user_agent(frame: Callable[..., Any], agent: str, trouble: str | None) -> None:
    found = frame("cameraTrouble", {"userAgent": agent, "mediaDevices": {}}, True)
    assert found == trouble


def test_an_android_phone_opens_its_browser_with_the_token_in_the_fragment(frame: Callable[..., Any]) -> None:
    link = "https://likeness.example/v1/invite#st_ses_1.acme.9.x"
    intent = frame("intentLink", link, INSTAGRAM)
    assert intent.startswith("intent://likeness.example/v1/invite#st_ses_1.acme.9.x#Intent;scheme=https;")
    assert intent.endswith(";end")
    for other, agent in ((link, WECHAT), (link, "iPhone Instagram"), (link.replace("https", "http"), INSTAGRAM)):
        assert frame("intentLink", other, agent) is None


@pytest.fixture
def frame(modules: Page) -> Callable[..., Any]:
    """Calls a function of frame.js by its name, with values."""
    return lambda name, *values: modules.evaluate(FRAME, [name, *values])


# --- a sign-in at the face check


def test_a_sign_in_is_announced_before_the_check(person: NewPerson, api: Api) -> None:
    alice = person("about:blank")
    # The stack's parameter is off; tests/unit/test_operator.py has the page of one that is on.
    on = "addEventListener('DOMContentLoaded', () => { document.body.dataset.signIn = 'on'; })"
    alice.page.add_init_script(on)
    alice.page.goto(agreed(api)["invite_url"])
    alice.sees("ready")
    for language, words in (("en", "may ask you to sign in"), ("zh", "请您登录账号"), ("zh-Hant", "請您登入帳號")):
        alice.page.locator("#language").select_option(language)
        expect(alice.page.locator("main .note")).to_contain_text(words)
    shoot(alice.page, "sign-in")
    alice.watched.accessible("sign-in")
