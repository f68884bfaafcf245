"""Rules for all pages: small, no other origin, cached by browsers, accessible."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import requests
from playwright.sync_api import Page, expect

from local.stack import Stack
from tests.browser.conftest import DOCS_EXEMPT, OpenPage
from tests.browser.person import verified
from tests.contract_file import PATHS, SCHEMAS
from tests.integration.conftest import Api

PAGES = ("invite", "me", "console", "docs")
#: Compressed. Swagger UI is only loaded by /docs, and browsers keep it until the next version.
LARGEST_BYTES = {"invite": 30_000, "me": 16_000, "console": 42_000, "docs": 550_000}
#: Requests for a page and its files.
MOST_REQUESTS = {"invite": 1, "me": 1, "console": 1, "docs": 8}
OLDER = "pages/0123456789abcdef"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_and_uses_its_own_origin_only(open_page: OpenPage, stack: Stack, name: str) -> None:
    # A request to another origin fails every test that opens a page (conftest.py).
    watched = open_page(f"{stack.api_url}/{name}", phone=False)
    watched.page.wait_for_load_state("networkidle")
    sizes = {each.url: each.sizes()["responseBodySize"] for each in watched.requests if each.url.startswith("http")}
    assert len(sizes) <= MOST_REQUESTS[name], sizes
    assert 0 < sum(sizes.values()) < LARGEST_BYTES[name], sizes


def test_a_page_in_use_is_small_too(open_page: OpenPage, api: Api) -> None:
    session = api.session(start="on_open", language="en")
    alice = open_page(session["invite_url"], phone=False)
    expect(alice.page.locator("#phone img")).to_be_visible()
    operator = open_page(f"{api.stack.api_url}/console", phone=False)
    operator.page.get_by_label("Client key").fill(str(api.credential))
    operator.page.get_by_role("button", name="Sign in").click()
    expect(operator.page.get_by_text(session["id"][-8:]).first).to_be_visible()
    for name, watched in (("invite", alice), ("console", operator)):
        watched.page.wait_for_load_state("networkidle")
        asked = [each for each in watched.requests if each.url.startswith("http")]
        sizes = {each.url.partition("?")[0]: each.sizes()["responseBodySize"] for each in asked}
        assert sum(sizes.values()) < LARGEST_BYTES[name], sizes


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_language_title_viewport_and_one_heading(open_page: OpenPage, stack: Stack, name: str) -> None:
    watched = open_page(f"{stack.api_url}/{name}")
    page = watched.page
    page.wait_for_load_state("networkidle")
    assert page.locator("html").get_attribute("lang")
    assert len(page.title()) > 5
    assert "width=device-width" in str(page.locator("meta[name=viewport]").get_attribute("content"))
    assert page.locator("h1").count() == 1
    watched.accessible(name, DOCS_EXEMPT if name == "docs" else ())


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(open_page: OpenPage, stack: Stack, name: str, width: int) -> None:
    page = open_page(f"{stack.api_url}/{name}", viewport={"width": width, "height": 640}).page
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_a_pages_files_are_compressed_and_cached_and_the_page_is_revalidated(stack: Stack, name: str) -> None:
    html = requests.get(f"{stack.api_url}/{name}", timeout=30)
    if name != "docs":
        assert html.headers["Content-Encoding"] == "gzip"
    assert html.headers["Cache-Control"] == "no-cache"
    again = requests.get(f"{stack.api_url}/{name}", headers={"If-None-Match": html.headers["ETag"]}, timeout=30)
    assert (again.status_code, again.text) == (304, "")
    loaded = re.findall(r'(?:href|src)="(pages/[^"]+)"', html.text)
    assert len(loaded) >= (2 if name == "docs" else 0)
    later = re.findall(r'data-files="(pages/[^"]+/)"', html.text)
    for each in loaded + [f"{files}texts_zh.json" for files in later]:
        file = requests.get(f"{stack.api_url}/{each}", timeout=30)
        assert "immutable" in file.headers["Cache-Control"], each
        if len(file.content) >= 1024:
            assert file.headers["Content-Encoding"] == "gzip", each
        older = requests.get(f"{stack.api_url}/{re.sub('pages/[^/]+', OLDER, each)}", timeout=30)
        assert (older.text, older.headers["Cache-Control"]) == (file.text, "no-store")


#: The URLs that the page has requested since it was opened, without those that the browser's cache answered.
FROM_NETWORK = """["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
    .filter((each) => each.transferSize > 0).map((each) => each.name)"""


def of_network(page: Page, stack: Stack) -> list[str]:
    """Returns the paths of the requests that reached the stack since the page was opened."""
    urls = [re.split("[?#]", url)[0] for url in page.evaluate(FROM_NETWORK)]
    return [url.removeprefix(stack.api_url) for url in urls if url.startswith(stack.api_url)]


@pytest.mark.parametrize(("language", "texts"), [("en", 0), ("zh-Hant", 1)])
def test_the_first_view_takes_two_requests_and_one_call(
    open_page: OpenPage, stack: Stack, api: Api, language: str, texts: int
) -> None:
    session = api.session(start="on_open", language=language)
    alice = open_page(session["invite_url"], locale="en-US")
    expect(alice.page.get_by_role("checkbox")).to_be_visible()
    expect(alice.page.locator("html")).to_have_attribute("lang", language)
    loaded = [each for each in of_network(alice.page, stack) if each.startswith("/pages/")]
    assert len(loaded) == texts, "the texts of a language that the browser has not named"
    assert Counter(of_network(alice.page, stack)) == Counter(["/invite", f"/sessions/{session['id']}", *loaded])
    alice.page.reload()
    expect(alice.page.get_by_role("checkbox")).to_be_visible()
    assert not [each for each in of_network(alice.page, stack) if each.startswith("/pages/")]


def test_another_language_is_loaded_once_when_it_is_chosen(open_page: OpenPage, stack: Stack, api: Api) -> None:
    session = api.session(start="on_open", language="en")
    alice = open_page(session["invite_url"], locale="en-US")
    heading = alice.page.get_by_role("heading", level=1)
    expect(heading).to_have_text("First, your consent")
    for language, words in (("zh", "请您授权"), ("en", "First, your consent"), ("zh", "请您授权")):
        alice.page.locator("#language").select_option(language)
        expect(heading).to_contain_text(words)
        expect(alice.page.get_by_role("article")).to_have_attribute("lang", language)
    asked = Counter(each.rpartition("/")[2] for each in of_network(alice.page, stack))
    assert (asked["texts_zh.json"], asked["texts_en.json"], asked["consent"]) == (1, 0, 1)


def test_a_page_of_the_version_before_the_bundles_still_works(open_page: OpenPage, stack: Stack, api: Api) -> None:
    """Its files are requested after a deployment: the bundle replaces its modules, and loads texts and limits."""
    session = verified(api, language="zh-Hant")
    html = requests.get(f"{stack.api_url}/invite", timeout=30).text
    html = re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.DOTALL).replace("data-files=", "data-none=")
    head = f'<link rel="stylesheet" href="{OLDER}/invite.css"><script type="module" src="{OLDER}/invite.js"></script>'
    alice = open_page("about:blank", locale="en-US")
    html = html.replace("</head>", f"{head}</head>")
    alice.page.route("**/v1/invite", lambda route: route.fulfill(content_type="text/html", body=html))
    alice.page.goto(session["invite_url"])
    expect(alice.page.get_by_role("heading", level=1)).to_contain_text("驗證通過")
    expect(alice.page.locator(".hints")).to_contain_text("JPEG")
    assert alice.page.locator(".card").first.evaluate("(card) => getComputedStyle(card).borderRadius") != "0px"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_use_no_device_except_for_recording(open_page: OpenPage, stack: Stack, name: str) -> None:
    page = open_page(f"{stack.api_url}/{name}", phone=False).page
    asked = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture")
    allowed = page.evaluate("(names) => names.filter((each) => document.featurePolicy.allowsFeature(each))", asked)
    assert allowed == (["camera", "microphone"] if name == "invite" else [])


def test_a_page_is_isolated_from_the_window_that_opened_it(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(f"{stack.api_url}/docs", phone=False).page
    # Another origin, like an application that shows an invite link: the same stack with another host name.
    other = f"{stack.api_url.replace('127.0.0.1', 'localhost')}/openapi.json"
    opened = open_page(other, phone=False, allowed=["a request to localhost", "favicon.ico"]).page
    with opened.expect_popup() as popup:
        opened.evaluate("(address) => { window.opened = window.open(address); }", page.url)
    popup.value.wait_for_load_state()
    assert popup.value.evaluate("window.opener === null && crossOriginIsolated === false")
    opened.wait_for_function("window.opened.closed")


def test_no_other_file_is_served(stack: Stack) -> None:
    for name in ("..%2Fruntime%2Fpages.py", "invite.html", "nothing.js", "dom.js%00", "%2E%2E"):
        answer = requests.get(f"{stack.api_url}/{OLDER}/{name}", timeout=30)
        assert answer.status_code in (400, 403, 404), name


def test_the_docs_page_shows_every_route_and_schema(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(f"{stack.api_url}/docs", phone=False).page
    routes = {(method, path) for path, item in PATHS.items() for method in item}
    expect(page.locator(".opblock")).to_have_count(len(routes))
    shown = page.locator(".opblock").evaluate_all(
        "(blocks) => blocks.map((each) => [each.querySelector('.opblock-summary-method').textContent,"
        " each.querySelector('.opblock-summary-path').dataset.path])"
    )
    assert {(method.lower(), path) for method, path in shown} == routes
    expect(page.locator(".models .json-schema-2020-12-head__title, .models .json-schema-2020-12__title")).to_have_count(
        len(SCHEMAS)
    )


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.nightly), "dark"])
def test_a_developer_tries_a_request_in_the_docs_page(
    open_page: OpenPage, fresh_client: Api, stack: Stack, scheme: str
) -> None:
    """The page's policy allows no inline script or style; a violation fails the test (conftest.py)."""
    watched = open_page(f"{stack.api_url}/docs#/Sessions/createSession", phone=False, color_scheme=scheme)
    page = watched.page
    route = page.locator("[id$=-createSession]")
    # The schema of the body, and its examples by name.
    expect(route.locator(".examples-select-element").first).to_contain_text("new_session_on_open")
    route.get_by_role("tab", name="Schema").first.click()
    expect(route.locator(".opblock-section-request-body")).to_contain_text("reference")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#api_key_value").fill(str(fresh_client.credential))
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    route.get_by_role("button", name="Try it out").click()
    expect(route.get_by_label("Request body")).to_be_visible()
    watched.accessible(f"a route, {scheme}", DOCS_EXEMPT)
    route.get_by_role("button", name="Execute").click()
    expect(route.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
    (session,) = fresh_client("GET", "/sessions").json()["sessions"]
    expect(route.locator(".live-responses-table")).to_contain_text(session["id"])
    watched.accessible(f"a response, {scheme}", DOCS_EXEMPT)


@pytest.mark.parametrize("width", [390, 320])
def test_no_status_wraps_on_a_phone(open_page: OpenPage, stack: Stack, width: int) -> None:
    page = open_page(f"{stack.api_url}/docs#/Sessions/createSession", viewport={"width": width, "height": 844}).page
    statuses = page.locator("[id$=-createSession] .responses-table .response td.response-col_status")
    wanted = list(PATHS["/sessions"]["post"]["responses"])
    expect(statuses).to_have_text(wanted)
    lines = statuses.evaluate_all(
        "(cells) => cells.map((each) => { const text = document.createRange(); text.selectNodeContents(each);"
        " return new Set([...text.getClientRects()].map((box) => Math.round(box.top))).size; })"
    )
    assert lines == [1] * len(wanted)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
