"""The page of a personal link in a browser: what there is of the person, the sheet to print, and the way back."""

# ruff: noqa: RUF001 - Chinese has its own punctuation

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from local.media import DemoMedia, make_media
from local.stack import Stack
from tests.browser.conftest import OpenPage, link_in
from tests.contract_file import EXAMPLES
from tests.integration.conftest import Api, come_back, face_check, registration, send_file

HEADINGS = {
    "zh": "您的肖像，由您决定",
    "zh-Hant": "您的肖像，由您決定",
    "en": "Your likeness, your decision",
}
SENTENCES = {
    "zh": "培训视频",
    "zh-Hant": "培訓影片",
    "en": "advertising and training videos with your likeness until 31 March 2030.",
}
NEVER_USED = {
    "zh": "尚未用您的肖像制作任何视频。",
    "zh-Hant": "尚未用您的肖像製作任何影片。",
    "en": "No video has been made with your likeness.",
}
#: What an entry of the ledger says in each language: its purpose, how it ended, the number of files.
USED = {
    "zh": ("广告", "视频已制作完成。", "使用了您的 1 个文件"),
    "zh-Hant": ("廣告", "影片已製作完成。", "使用了您的 1 個檔案"),
    "en": ("advertising", "A video was made.", "Your files in it: 1"),
}
PURPOSES = {"purposes": ["advertising", "training_videos"], "valid_until": "2030-04-01T00:00:00Z"}
FORBIDDEN = "the server responded with a status of 403"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


def onboarded(api: Api, media: DemoMedia) -> tuple[dict[str, Any], Api]:
    """Returns a finished session whose person agreed to terms and sent a picture, and the person's caller."""
    made = api.session(start="on_open", language="en", reference="order 9", consent_terms=PURPOSES)
    person = api.with_credential(urlsplit(made["invite_url"]).fragment)
    path = f"/sessions/{made['id']}"
    text = person("GET", path, params={"consent_text": "en"}).json()["consent_text"]
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    assert person("POST", f"{path}/consent", json=agreed).status_code == 201
    come_back(face_check(person("POST", f"{path}/attempts").json()["attempt"]["h5_link"]))
    file = media.portrait_jpeg
    asset = person("POST", f"{path}/assets", json=registration(file, "Image", "image/jpeg", "my face")).json()
    assert send_file(asset["upload"], file.read_bytes()).status_code in (200, 204)
    api.wait(made["id"], lambda each: each["assets"] and each["assets"][0]["status"] == "active")
    assert person("POST", f"{path}/finish").status_code == 200
    return made, person


def sheets(page: Page) -> int:
    """Returns the number of pages that the page prints on A4."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="A4")))


def test_a_person_reads_prints_renews_withdraws_and_erases(
    open_page: OpenPage, api: Api, stack: Stack, media: DemoMedia
) -> None:
    made, person = onboarded(api, media)
    watched = open_page(made["invite_url"], locale="en-US", allowed=[FORBIDDEN])
    page = watched.page
    page.get_by_role("button", name="Get my receipt").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HEADINGS["en"])
    first = page.url
    assert re.fullmatch(re.escape(f"{stack.api_url}/me#") + r"rt_[\w-]{43}", first)
    for language in ("zh", "zh-Hant", "en"):
        page.locator("#language").select_option(language)
        expect(page.get_by_role("heading", level=1)).to_have_text(HEADINGS[language])
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#view [data-part=agreed] .said")).to_contain_text(SENTENCES[language])
        expect(page.locator("#view .thumb img")).to_be_visible()
        expect(page.locator("#view [data-part=kept]")).to_contain_text(made["id"])
        expect(page.locator("#view [data-part=uses]")).to_contain_text(NEVER_USED[language])
        assert "order 9" not in page.content()
        assert link_in(page.locator("#view .link-code")) == first
        expect(page.locator("#sheet img")).to_have_attribute("src", re.compile("blob:"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        watched.accessible(f"me in {language}")
        assert sheets(page) == 1
    # The sheet has the terms, the proof and the link.
    page.emulate_media(media="print")
    for words in (SENTENCES["en"], made["id"], first):
        expect(page.locator("#sheet")).to_contain_text(words)
    assert link_in(page.locator("#sheet img")) == first
    page.emulate_media(media="screen")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as data").click()
    assert downloading.value.suggested_filename == f"{made['id']}.json"

    # Another link ends this one.
    page.get_by_role("button", name="Renew the link").click()
    expect(page.get_by_role("heading", name="Renew your link?")).to_be_focused()
    watched.accessible("the question before a renewal")
    page.locator("[data-part=link] .ask").get_by_role("button", name="Renew the link").click()
    expect(page.locator("#announcer")).to_have_text(re.compile("renewed"))
    second = page.url
    assert second != first
    assert link_in(page.locator("#view .link-code")) == second
    old = open_page(first, allowed=[FORBIDDEN]).page
    expect(old.get_by_role("heading", level=1)).to_have_text("This link does not work")

    # It can be taken back without a client's key, and nothing is asked for.
    page.get_by_role("button", name="Withdraw the consent").click()
    page.get_by_role("heading", name="Withdraw your consent?").press("Escape")
    expect(page.get_by_role("button", name="Withdraw the consent")).to_be_focused()
    page.get_by_role("button", name="Withdraw the consent").click()
    page.locator("[data-part=withdraw] .ask:visible").get_by_role("button", name="Withdraw the consent").click()
    expect(page.locator("[data-status]")).to_have_attribute("data-status", "withdrawn")
    expect(page.get_by_role("button", name="Withdraw the consent")).to_have_count(0)
    withdrawal = api.get(made["id"])["consent_withdrawal"]
    assert withdrawal["source"] == "person"
    watched.accessible("withdrawn")

    page.get_by_role("button", name="Erase everything").click()
    expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    watched.accessible("the question before the erasure")
    page.get_by_role("button", name="Yes, erase everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is erased")
    expect(page.get_by_text(made["id"])).to_be_visible()
    watched.accessible("erased")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is erased")
    assert api.get(made["id"])["status"] == "redacted"
    assert person("GET", f"/sessions/{made['id']}").json()["assets"][0]["name"] == ""


def test_a_person_sees_a_use_of_their_likeness_also_after_the_erasure(
    open_page: OpenPage, api: Api, media: DemoMedia
) -> None:
    made, _ = onboarded(api, media)
    (asset,) = api.get(made["id"])["assets"]
    body = {
        "model": "bytedance/seedance2-0-r2v",
        "input": {"prompt": "[Image1] waves", "reference_images": [asset["uri"]], "duration": 5},
        "purpose": "advertising",
    }
    answer = api("POST", "/generations", json=body, headers={"Idempotency-Key": made["id"]})
    assert answer.status_code == 202, answer.text
    url = api("POST", f"/sessions/{made['id']}/receipt").json()["receipt_url"]
    page = open_page(url, locale="en-US").page
    uses = page.locator("[data-part=uses] .use")
    expect(uses).to_have_count(1)
    deadline = time.monotonic() + 90
    while not api("GET", f"/sessions/{made['id']}/uses").json()["uses"][0]["outcome"] and time.monotonic() < deadline:
        time.sleep(0.5)
    page.reload()
    for words in (*USED["en"], "bytedance/seedance2-0-r2v"):
        expect(uses).to_contain_text(words)
    page.get_by_role("button", name="Withdraw the consent").click()
    page.locator("[data-part=withdraw] .ask:visible").get_by_role("button", name="Withdraw the consent").click()
    expect(page.locator("[data-status]")).to_have_attribute("data-status", "withdrawn")
    expect(uses).to_contain_text(USED["en"][1])
    page.get_by_role("button", name="Erase everything").click()
    page.get_by_role("button", name="Yes, erase everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is erased")
    expect(uses).to_contain_text(USED["en"][1])


def test_uses_are_listed_page_by_page_in_plain_words(open_page: OpenPage, api: Api) -> None:
    """The API's answers are the contract's example, with every outcome."""
    made = api.session(start="on_open", language="en")
    url = api("POST", f"/sessions/{made['id']}/receipt").json()["receipt_url"]
    (example,) = EXAMPLES["uses"]["value"]["uses"]
    outcomes = ["succeeded", None, "withheld", "failed", "refused", "uncertain", "canceled"]
    uses = [example | {"outcome": each} for each in outcomes]
    uses += [example | {"purpose": None}, example | {"purpose": "of_an_earlier_list"}]
    busy = True

    def answer(route: Route) -> None:
        if busy:
            return route.fulfill(status=503, json={"code": "unavailable", "title": "Not available"})
        query = {name: each for name, (each,) in parse_qs(urlsplit(route.request.url).query).items()}
        start = int(query.get("cursor", 0))
        end = start + int(query["limit"])
        return route.fulfill(json={"uses": uses[start:end], "next_cursor": str(end) if end < len(uses) else None})

    watched = open_page("about:blank", locale="en-US", allowed=["status of 503"])
    page = watched.page
    page.route("**/uses?*", answer)
    page.goto(url)
    part = page.locator("[data-part=uses]")
    expect(part.get_by_role("alert")).to_contain_text("That did not work.")
    busy = False
    part.get_by_role("button", name="Try again").click()
    expect(part.locator(".use")).to_have_count(5)
    expect(part.get_by_role("alert")).to_have_count(0)
    part.get_by_role("button", name="Show more").click()
    expect(part.locator(".use")).to_have_count(len(uses))
    expect(part.locator(".use").nth(5)).to_be_focused()
    expect(part.get_by_role("button")).to_be_hidden()
    expect(part.locator(".use").nth(1)).to_contain_text("The video is being made.")
    expect(part.locator(".use").nth(7)).to_contain_text("No purpose was named")
    expect(part.locator(".use").nth(8)).to_contain_text("of an earlier list")
    sentences = part.locator(".use > p:nth-child(3)").all_inner_texts()
    assert len(set(sentences)) == len(outcomes), "each outcome has a sentence of its own"
    for language in ("zh", "zh-Hant", "en"):
        page.locator("#language").select_option(language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        for words in USED[language]:
            expect(part.locator(".use").first).to_contain_text(words)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        watched.accessible(f"uses in {language}")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "text of twice the size"


def test_every_bad_link_gets_one_page(open_page: OpenPage, api: Api, stack: Stack) -> None:
    made = api.session(start="on_open", language="en")
    url = api("POST", f"/sessions/{made['id']}/receipt").json()["receipt_url"]
    credential = urlsplit(url).fragment
    encoded = open_page(f"{stack.api_url}/me%23{credential}", locale="en-US").page
    expect(encoded.get_by_role("heading", level=1)).to_have_text(HEADINGS["en"])
    expect(encoded.get_by_text("No video has been made with your likeness.")).to_be_visible()  # its last request
    assert encoded.url == url
    api("DELETE", f"/sessions/{made['id']}/receipt")
    bent = credential[:-3] + credential[-3:][::-1] + ("" if credential[-3:] != credential[-3:][::-1] else "x")
    seen = set()
    for fragment in (f"#{credential}", f"#{credential[:-2]}", f"#{bent}", "#rt_", ""):
        page = open_page(f"{stack.api_url}/me{fragment}", locale="en-US", allowed=[FORBIDDEN]).page
        expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work")
        seen.add(page.locator("#view").inner_html())
    assert len(seen) == 1


@pytest.mark.parametrize("who", ["client", "person"])
def test_a_receipt_is_no_other_credential(api: Api, who: str) -> None:
    made = api.session(start="on_open")
    caller = api if who == "client" else api.with_credential(urlsplit(made["invite_url"]).fragment)
    url = caller("POST", f"/sessions/{made['id']}/receipt").json()["receipt_url"]
    holder = api.with_credential(urlsplit(url).fragment)
    path = f"/sessions/{made['id']}"
    assert holder("GET", "/receipt").json()["holder"] == who
    assert holder("GET", path).status_code == 200
    other = api.session(start="on_open")["id"]
    for method, refused in (
        *(("POST", f"{path}/attempts"), ("POST", f"{path}/invite"), ("GET", "/sessions"), ("GET", f"{path}/use")),
        *(("GET", f"/sessions/{other}"), ("DELETE", f"/sessions/{other}"), ("POST", f"/sessions/{other}/receipt")),
    ):
        assert holder(method, refused).status_code == 403, refused
    damaged = api.with_credential(urlsplit(url).fragment[:-1])
    answers = [damaged("GET", "/receipt").json(), holder("GET", f"/sessions/{other}").json()]
    assert answers[0] == answers[1]
