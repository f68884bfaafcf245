"""The operator's console, in a real browser with the deployed stack. Each test has its own client and list."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from local import emulator
from local.media import DemoMedia, make_media
from local.processes import free_port
from local.stack import Stack
from ops.cli import main as ops
from ops.client_keys import ClientKeys
from tests.browser.conftest import DESKTOP, TIMEOUT_MS, OpenPage, Watched, link_in
from tests.browser.person import verified
from tests.integration.conftest import (
    Api,
    SimulatorControl,
    agree,
    come_back,
    face_check,
    registration,
    send_file,
    settled,
)

REFUSED = r"status of 40[13]"
OFFLINE = "ERR_INTERNET_DISCONNECTED"
THROTTLED = "status of 429"
NARROWEST: dict[str, Any] = {"viewport": {"width": 320, "height": 640}}
BUCKET_FACTOR = 2**0.25
#: Options for a test that needs its own browser because it changes the clock or the network.
ALONE: dict[str, Any] = {"phone": False}
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def busy_client(stack: Stack, api: Api, media: DemoMedia) -> Api:
    """A client with one session of each kind that the statistics distinguish; see ``finished``."""
    keys = ClientKeys(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"])
    client = api.with_credential(keys.add(f"client-{free_port()}", []))
    client.session(start="on_open", reference="not-opened-yet")
    refused = client.session(reference="was-not-passed", language="en")
    come_back(face_check(refused["attempt"]["h5_link"], "fail"))
    return client


@pytest.fixture(scope="module")
def finished(busy_client: Api, media: DemoMedia) -> dict[str, Any]:
    """That client's verified session: one asset is active, one shows another person and has failed."""
    files = [registration(media.portrait_jpeg, "Image", "image/jpeg", "front.jpg")]
    files.append(registration(media.other_person_jpeg, "Image", "image/jpeg", "other_person.jpg"))
    made = busy_client.session(start="on_open", reference="is-verified", language="en", assets=files)
    person = _person(busy_client, made)
    agree(person, made["id"])
    attempt = person("POST", f"/sessions/{made['id']}/attempts", json={}).json()["attempt"]
    forms = {each["name"]: each["upload"] for each in made["assets"]}
    send_file(forms["front.jpg"], media.portrait_jpeg.read_bytes())
    send_file(forms["other_person.jpg"], media.other_person_jpeg.read_bytes())
    come_back(face_check(attempt["h5_link"]))
    return busy_client.wait(made["id"], lambda session: settled(session) and session["status"] == "verified")


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has cached the page's files; its tabs are independent."""
    context = browser.new_context(**DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


def _person(client: Api, session: dict[str, Any]) -> Api:
    """Returns the API with the invite link's credential."""
    return client.with_credential(session["invite_url"].partition("#")[2])


def _sign_in(page: Page, key: str | None) -> None:
    page.get_by_label("Client key").fill(str(key))
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def enter(open_page: OpenPage, stack: Stack, shared: BrowserContext) -> Iterator[Any]:
    """``enter(client, where="#…", **options of open_page)``: a console with that client's key typed in.

    Without options it is a tab of the shared browser.
    """
    tabs: list[Page] = []

    def entered(client: Api, where: str = "", *, allowed: list[str] | None = None, **options: Any) -> Watched:
        options = {"phone": False} | options if options else {"context": shared}
        watched: Watched = open_page(f"{stack.api_url}/console{where}", allowed=allowed, **options)
        tabs.append(watched.page)
        _sign_in(watched.page, client.credential)
        expect(watched.page.get_by_role("button", name="Sign out")).to_be_visible()
        return watched

    yield entered
    for tab in tabs:
        tab.close()


def _rows(page: Page) -> Locator:
    return page.locator("#rows > li")


def _top(element: Locator) -> float:
    place = element.bounding_box()
    assert place
    return place["y"]


def _asked(watched: Watched, path: str) -> int:
    """Returns the number of requests to paths with a prefix."""
    return sum(f"/v1/{path}" in each.url for each in watched.requests)


def _open(page: Page, reference: str) -> None:
    _rows(page).filter(has_text=reference).get_by_role("link").click()
    expect(page.locator("#session-title")).to_have_text(reference)


# -- the key ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_shows_an_error_and_opens_nothing(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(f"{stack.api_url}/console", phone=False, allowed=[REFUSED]).page
    for key, words in {
        "": "enter a client key",
        "st_ses_x.1.abc": "session token",
        "lk_нет": "characters that keys do not have",
        "lk_wrong": "does not accept this key",
    }.items():
        _sign_in(page, key)
        expect(page.get_by_role("alert").first).to_contain_text(words)
    expect(page.locator("#rows")).to_be_hidden()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


def test_the_key_stays_in_the_tab_until_the_operator_signs_out(enter: Any, fresh_client: Api, stack: Stack) -> None:
    fresh_client.session(start="on_open", reference="order-1")
    watched = enter(fresh_client)
    page, key = watched.page, str(fresh_client.credential)
    expect(_rows(page)).to_have_count(1)
    page.reload()
    expect(_rows(page)).to_have_count(1)
    assert key not in page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")
    beside = page.context.new_page()
    beside.goto(f"{stack.api_url}/console")
    expect(beside.get_by_label("Client key")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Client key")).to_be_focused()
    stored = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    assert key not in page.evaluate(stored) + page.content()
    expect(page.locator("#rows")).to_be_empty()
    page.reload()
    expect(page.get_by_label("Client key")).to_have_value("")
    assert [each.url for each in watched.requests if key in each.url] == []


def test_a_key_that_is_revoked_meanwhile_signs_the_operator_out(enter: Any, fresh_client: Api) -> None:
    page = enter(fresh_client, allowed=[REFUSED]).page
    # API Gateway caches the authorizer's response for minutes, so the later response is simulated here.
    refusal = {"status": 403, "content_type": "application/problem+json", "body": '{"code": "forbidden"}'}
    page.route("**/v1/sessions?*", lambda route: route.fulfill(**refusal))
    expect(page.get_by_role("alert").first).to_contain_text("does not accept this key")
    assert page.evaluate("sessionStorage.length") == 0


# -- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_searched_and_counted(enter: Any, fresh_client: Api) -> None:
    first = fresh_client.session(start="on_open", reference="order-1")
    fresh_client.session(start="on_open", reference="订单-2")
    erased = fresh_client.session(start="on_open", reference="order-3")
    fresh_client("DELETE", f"/sessions/{erased['id']}")
    page = enter(fresh_client).page
    filters = page.get_by_role("group", name="Filter by status")
    for name in ("all 3", "requires input 2", "erased 1", "verified 0"):
        expect(filters.get_by_role("button", name=name)).to_be_visible()
    filters.get_by_role("button", name="erased").click()
    expect(_rows(page)).to_have_count(1)
    expect(_rows(page)).to_contain_text("erased")
    filters.get_by_role("button", name="requires input").click()
    expect(_rows(page)).to_have_count(2)
    fresh_client("DELETE", f"/sessions/{first['id']}")
    expect(_rows(page)).to_have_count(1)  # a session that no longer matches the filter is removed
    filters.get_by_role("button", name="all").click()
    expect(_rows(page)).to_have_count(3)
    search = page.get_by_role("searchbox")
    search.fill("订单-2")
    expect(_rows(page)).to_have_count(1)
    search.fill("Order")
    expect(page.get_by_text("No session has a reference with this text (case matters).")).to_be_visible()
    search.fill(first["id"])
    expect(page.locator("#session-id")).to_have_text(first["id"])


def test_filters_combine_and_stay_in_the_url(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client, **ALONE).page
    page.get_by_role("searchbox").fill("-")
    expect(_rows(page)).to_have_count(3)
    page.get_by_role("group", name="Filter by status").get_by_role("button", name="verified").click()
    expect(_rows(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Clear filters")).to_be_visible()
    _open(page, "is-verified")
    assert page.evaluate("location.hash") == f"#{finished['id']}?status=verified&find=-"
    page.reload()
    expect(page.locator("#session-title")).to_have_text("is-verified")
    expect(page.get_by_role("searchbox")).to_have_value("-")
    expect(_rows(page)).to_have_count(1)
    page.get_by_role("button", name="Clear filters").click()
    expect(_rows(page)).to_have_count(3)
    assert page.evaluate("location.hash") == f"#{finished['id']}"
    page.get_by_label("Created from").fill("2000-01-02")
    expect(_rows(page)).to_have_count(3)
    page.get_by_label("to", exact=True).fill("2000-01-01")
    expect(page.get_by_role("alert").filter(has_text="The first day is after the last one.")).to_be_visible()
    page.get_by_label("to", exact=True).fill("2000-01-03")
    expect(page.get_by_text("No session was created in this period.")).to_be_visible()


def test_sessions_are_found_by_the_ids_of_their_assets_and_group(
    enter: Any, busy_client: Api, finished: dict[str, Any]
) -> None:
    page = enter(busy_client).page
    search, by = page.get_by_role("searchbox"), page.get_by_label("Find by")
    asset = finished["assets"][0]
    for text, kind in (
        (asset["id"], None), (asset["uri"], None), (asset["crun_asset_id"], "asset"), (finished["group_id"], "group"),
    ):  # fmt: skip
        by.select_option("reference")
        search.fill("nobody")
        expect(_rows(page)).to_have_count(0)
        if kind:
            by.select_option(kind)
        search.fill(text)
        expect(_rows(page)).to_have_count(1)
        expect(_rows(page)).to_contain_text("is-verified")


def test_a_search_says_how_far_it_has_looked_and_goes_on(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open", reference="order-1")
    page = enter(fresh_client, **ALONE).page
    old = {"sessions": [], "next_cursor": "WyJzZXMiXQ==", "examined": 1000, "examined_to": "2026-11-02T12:00:00Z"}

    def looked(route: Route) -> None:
        """The API's own answer comes with the tenth page and the first one after it."""
        calls.append(route.request.url)
        route.fulfill(json=old) if len(calls) <= 10 else route.continue_(url=route.request.url.split("&cursor")[0])

    calls: list[str] = []
    page.route("**/v1/sessions?reference_contains=*", looked)
    page.get_by_role("searchbox").fill("order")
    expect(page.get_by_text("Nothing found among the newest 10000, back to 2 Nov. There are older")).to_be_visible()
    page.get_by_role("button", name="Look through older sessions").click()
    expect(_rows(page)).to_have_count(1)
    expect(_rows(page).get_by_role("link")).to_have_attribute("href", f"#{made['id']}?find=order")


def test_the_list_is_exported_without_formulas(enter: Any, fresh_client: Api) -> None:
    references = ['=HYPERLINK("http://x","y")', "+1", "-1", "@a", 'say "hi", 你好', "order-1"]
    made = [fresh_client.session(start="on_open", reference=each) for each in references]
    fresh_client.session(start="on_open")
    page = enter(fresh_client, **ALONE).page
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    content = download.value.path().read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == content.count(b"\n") == 1 + len(references) + 1
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    exported = {row["id"]: row["reference"] for row in rows}
    cells = [f"'{each}" for each in references[:4]] + references[4:]
    assert [exported[each["id"]] for each in made] == cells
    assert exported.keys() - {each["id"] for each in made} == {rows[0]["id"]}
    expect(page.locator("#export-note")).to_have_text("7 exported.")
    page.get_by_role("searchbox").fill("order")
    expect(_rows(page)).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON").click()
    assert [each["reference"] for each in json.loads(download.value.path().read_text("utf-8"))] == ["order-1"]


def test_an_export_can_be_stopped(enter: Any, fresh_client: Api) -> None:
    page = enter(fresh_client, **ALONE).page
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    endless = {"sessions": [], "next_cursor": "WyJzZXMiXQ==", "examined": 1000, "examined_to": "2026-11-02T12:00:00Z"}
    page.route("**/v1/sessions?limit=100*", lambda route: route.fulfill(json=endless))
    page.get_by_role("button", name="Export CSV").click()
    expect(page.locator("#export-note")).to_contain_text("back to 2 Nov")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#export-note")).to_have_text("Stopped. No file was made.")
    expect(page.get_by_role("button", name="Export CSV")).to_be_focused()


def test_an_empty_console_says_how_to_begin(enter: Any, fresh_client: Api, stack: Stack) -> None:
    watched = enter(fresh_client)
    page = watched.page
    welcome = page.get_by_role("region", name="No sessions yet")
    expect(welcome).to_contain_text(f"curl {stack.api_url}/sessions")
    watched.accessible("an empty console")
    welcome.get_by_role("button", name="New session").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    fresh_client.session(start="on_open", reference="the-first")
    expect(_rows(page)).to_have_count(1)
    expect(welcome).to_be_hidden()
    expect(page.get_by_role("button", name="all 1")).to_be_visible()  # without waiting for the next minute


def test_a_longer_list_is_paged_and_new_sessions_move_nothing(enter: Any, fresh_client: Api) -> None:
    for number in range(27):
        fresh_client.session(start="on_open", reference=f"order-{number:02}")
    page = enter(fresh_client).page
    expect(_rows(page)).to_have_count(25)
    page.get_by_role("button", name="More").click()
    expect(_rows(page)).to_have_count(27)
    expect(page.get_by_role("button", name="More")).to_be_hidden()
    watched = _rows(page).filter(has_text="order-05").get_by_role("link")
    watched.focus()
    watched.scroll_into_view_if_needed()
    place = _top(watched)
    fresh_client.session(start="on_open", reference="the-newest")
    # The first page is read again, then an older one.
    expect(_rows(page).first).to_contain_text("the-newest")
    expect(_rows(page)).to_have_count(28)
    expect(watched).to_be_focused()
    assert abs(_top(watched) - place) < 1  # scroll positions are whole pixels
    references = [text.partition("\n")[0] for text in _rows(page).all_inner_texts()]
    assert references == ["the-newest", *(f"order-{number:02}" for number in reversed(range(27)))]


def test_a_hidden_page_does_not_poll_and_catches_up_completely(enter: Any, fresh_client: Api) -> None:
    fresh_client.session(start="on_open", reference="made-before")
    watched = enter(fresh_client, **ALONE)
    page = watched.page
    expect(_rows(page)).to_have_count(1)
    page.clock.install()
    hide = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }});"
    hide += " document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide.format("true"))
    expect(page.locator("#health")).to_have_text("Paused")
    page.wait_for_load_state("networkidle")
    before = _asked(watched, "sessions"), _asked(watched, "stats")
    page.clock.fast_forward("10:00")
    assert (_asked(watched, "sessions"), _asked(watched, "stats")) == before
    for number in range(26):  # more than one page
        fresh_client.session(start="on_open", reference=f"made-meanwhile-{number}")
    page.evaluate(hide.format("false"))
    expect(_rows(page)).to_have_count(27)
    expect(page.get_by_role("button", name="More")).to_be_hidden()
    expect(page.locator("#health")).to_have_text("Live")


# -- errors -----------------------------------------------------------------------------------------------------------


def test_a_lost_connection_is_shown_and_recovered_from(enter: Any, fresh_client: Api) -> None:
    page = enter(fresh_client, allowed=[OFFLINE], **ALONE).page
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#notice")).to_contain_text("There is no connection.")
    expect(page.locator("#health")).to_have_text("Offline")
    fresh_client.session(start="on_open", reference="made-meanwhile")
    page.context.set_offline(False)
    expect(_rows(page)).to_have_count(1)
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#health")).to_have_text("Live")


def test_the_console_waits_as_long_as_retry_after(enter: Any, fresh_client: Api) -> None:
    fresh_client.session(start="on_open", reference="order-1")
    watched = enter(fresh_client, allowed=[THROTTLED], **ALONE)
    page = watched.page
    expect(_rows(page)).to_have_count(1)
    page.clock.install()

    def throttled(route: Route) -> None:
        body = '{"code": "throttled", "detail": "Too many requests"}'
        route.fulfill(status=429, headers={"Retry-After": "600"}, content_type="application/problem+json", body=body)

    page.route("**/v1/sessions?*", throttled)
    expect(page.locator("#notice")).to_contain_text("Too many requests (throttled). Updates resume at")
    page.unroute("**/v1/sessions?*")
    before = _asked(watched, "sessions")
    page.get_by_role("button", name="verified").click()  # would request a list immediately
    page.clock.fast_forward("05:00")
    expect(page.get_by_text("Loading…")).to_be_visible()
    assert _asked(watched, "sessions") == before
    page.clock.fast_forward("05:10")
    expect(page.get_by_text("No session has this status.")).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()


def test_a_problem_is_shown_with_its_detail_and_code(enter: Any, fresh_client: Api) -> None:
    missing = f"ses_{'0' * 26}"
    page = enter(fresh_client, f"#{missing}", allowed=["status of 404"]).page
    expect(page.locator("#session-note")).to_contain_text("(not_found)")


# -- one session ------------------------------------------------------------------------------------------------------


def test_a_session_created_here_shows_its_link_and_qr_code(enter: Any, fresh_client: Api) -> None:
    page = enter(fresh_client, allowed=["status of 400"]).page
    page.get_by_role("button", name="New session").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reference").fill("order-7")
    dialog.get_by_label("Language").select_option("en")
    dialog.get_by_label("Return URL").fill("https://elsewhere.example/")
    dialog.get_by_role("button", name="Create session").click()
    expect(dialog.get_by_text("is not on the client's list")).to_be_visible()
    expect(dialog.get_by_label("Return URL")).to_be_focused()
    dialog.get_by_label("Return URL").fill("")
    dialog.get_by_role("button", name="Create session").click()
    expect(dialog.get_by_role("heading", name="Session created")).to_be_focused()
    link = dialog.get_by_role("textbox", name="the invite link").input_value()
    dialog.get_by_role("button", name="Copy the invite link").click()
    expect(dialog.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert link_in(dialog.get_by_role("img", name="QR code of the invite link")) == link
    dialog.get_by_role("button", name="Show the session").click()
    expect(page.locator("#session-title")).to_have_text("order-7")
    assert link.partition("#")[2] not in page.content()
    (made,) = fresh_client("GET", "/sessions").json()["sessions"]
    assert (made["reference"], made["language"]) == ("order-7", "en")
    assert fresh_client.with_credential(link.partition("#")[2]).get(made["id"])["attempts"] == []


def test_a_dialog_cannot_be_closed_before_its_only_response(enter: Any, fresh_client: Api) -> None:
    page = enter(fresh_client).page
    held: list[Route] = []
    page.route("**/v1/sessions", lambda route: held.append(route))
    page.get_by_role("button", name="New session").first.click()
    dialog = page.get_by_role("dialog")
    with page.expect_request("**/v1/sessions"):
        dialog.get_by_role("button", name="Create session").click()
    dialog.get_by_role("button", name="Cancel").click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Create session")).to_be_disabled()
    held[0].continue_()
    expect(dialog.get_by_role("textbox", name="the invite link")).to_have_value(re.compile("/invite#st_ses_"))


def test_a_session_is_followed_live_until_its_assets_are_active(
    enter: Any, fresh_client: Api, media: DemoMedia
) -> None:
    files = [registration(media.portrait_jpeg, "Image", "image/jpeg", "front.jpg")]
    made = fresh_client.session(start="on_open", reference="order-8", language="en", assets=files)
    page = enter(fresh_client, f"#{made['id']}").page
    status, timeline = page.locator("#session-status"), page.locator("#timeline-rows")
    expect(status).to_have_text("requires input")
    page.get_by_text("Timeline as a table").click()
    expect(timeline).to_contain_text("front.jpg: registered")
    page.evaluate("window.sameDocument = true")

    person = _person(fresh_client, made)
    agree(person, made["id"])
    link = person("POST", f"/sessions/{made['id']}/attempts", json={}).json()["attempt"]["h5_link"]
    expect(page.locator("#attempts > li")).to_contain_text("open")
    expect(page.locator("#consent")).to_contain_text("given on the invite page")
    send_file(made["assets"][0]["upload"], media.portrait_jpeg.read_bytes())
    come_back(face_check(link))
    expect(status).to_have_text("verified")
    expect(page.locator("#assets .badge")).to_have_text("active")
    assert page.evaluate("window.sameDocument")

    for mark in (
        "Session created", "Consent given", "Attempt 1: link created", "Attempt 1: the person came back, result 10000",
        "front.jpg: file received and accepted", "Verified: crun has confirmed the person",
        "front.jpg: submitted to crun", "front.jpg: Active",
    ):  # fmt: skip
        expect(timeline).to_contain_text(mark)
    bars = page.locator("#timeline svg .lane").filter(has_text="front.jpg").locator("rect.span")
    expect(bars).to_have_count(3)
    expect(page.locator("#timeline svg")).to_have_attribute("aria-label", re.compile("front.jpg Active"))
    found = fresh_client.get(made["id"])
    expect(page.locator("#facts")).to_contain_text(found["group_id"])
    page.get_by_role("button", name="Copy the id of front.jpg").click()
    expect(page.locator("#announce")).to_have_text("Copied the id of front.jpg")
    assert page.evaluate("navigator.clipboard.readText()") == found["assets"][0]["uri"]
    assert found["assets"][0]["uri"].startswith("asset://")
    expect(page.get_by_role("button", name="New link")).to_be_disabled()


def test_reasons_of_failed_assets_and_checks_are_shown(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client).page
    _open(page, "is-verified")
    failed = page.locator("#assets > li").filter(has_text="other_person.jpg")
    expect(failed).to_contain_text("The face in this file is not the one that was validated. (face_mismatch)")
    expect(page.locator("#consent")).to_contain_text(finished["consent"]["sha256"])
    _open(page, "was-not-passed")
    expect(page.locator("#session-problem")).to_contain_text("The face check was not passed.")
    expect(page.locator("#session-problem")).to_contain_text("attempt_failed")
    expect(page.locator("#attempts > li")).to_contain_text("failed")


def test_pictures_have_thumbnails_and_one_file_can_be_erased(enter: Any, fresh_client: Api, media: DemoMedia) -> None:
    files = [registration(media.portrait_jpeg, "Image", "image/jpeg", f"{name}.jpg") for name in ("front", "other")]
    made = fresh_client.session(start="on_open", reference="order-12", assets=files)
    for each in made["assets"]:
        send_file(each["upload"], media.portrait_jpeg.read_bytes())
    fresh_client.wait(made["id"], lambda each: all(asset["status"] == "uploaded" for asset in each["assets"]))
    page = enter(fresh_client, f"#{made['id']}").page
    thumbnails = page.locator("#assets .thumb img")
    expect(thumbnails).to_have_count(2)
    assert thumbnails.evaluate_all("(all) => all.every((each) => each.complete && each.naturalWidth > 0)")
    first = page.locator("#assets > li").filter(has_text="front.jpg")
    dialog = page.get_by_role("dialog")
    first.get_by_role("button", name="Erase file").click()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(first.get_by_role("button", name="Erase file")).to_be_focused()
    first.get_by_role("button", name="Erase file").click()
    dialog.get_by_role("button", name="Erase file").click()
    expect(page.locator("#assets .badge").first).to_have_text("erased")
    expect(thumbnails).to_have_count(1)
    expect(page.get_by_role("button", name="Erase file")).to_have_count(1)
    assert [each["status"] for each in fresh_client.get(made["id"])["assets"]] == ["redacted", "uploaded"]


def test_a_failed_file_can_be_tried_again(
    enter: Any, fresh_client: Api, crun: SimulatorControl, media: DemoMedia
) -> None:
    made = verified(fresh_client, reference="order-13")
    files = f"/sessions/{made['id']}/assets"
    registered = fresh_client(
        "POST", files, json=registration(media.portrait_jpeg, "Image", "image/jpeg", "lost-1.jpg")
    )
    rule = {"name": "lost-1.jpg", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 0.2, "times": 2}
    with crun.outcomes(rule):
        send_file(registered.json()["upload"], media.portrait_jpeg.read_bytes())
        fresh_client.wait(made["id"], lambda each: each["assets"][0]["status"] == "failed")
    page = enter(fresh_client, f"#{made['id']}").page
    row = page.locator("#assets > li")
    expect(row).to_contain_text("download_failed")
    row.get_by_role("button", name="Try again").click()
    expect(row.locator(".badge")).to_have_text("active")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()
    asset = fresh_client.get(made["id"])["assets"][0]
    assert len({asset["crun_asset_id"], asset["earlier_crun_asset_id"], *asset["other_crun_asset_ids"]}) == 3


def test_requested_files_and_times_are_shown(enter: Any, fresh_client: Api) -> None:
    asked = [
        {"name": "front", "asset_type": "Image", "hint": "Your face in daylight"},
        {"name": "voice", "asset_type": "Audio", "required": False},
    ]
    made = fresh_client.session(start="on_open", reference="order-14", requests=asked)
    page = enter(fresh_client, f"#{made['id']}", phone=False, timezone_id="Asia/Shanghai").page
    expect(page.locator("#requests > li")).to_have_text(
        [re.compile("front.*not received.*Image · Your face in daylight"), re.compile("voice.*Audio · optional")]
    )
    created = datetime.fromisoformat(made["created_at"])
    shown = page.locator("#facts time").first
    expect(shown).to_contain_text(created.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%H:%M:%S"))
    expect(shown).to_contain_text(created.strftime("%H:%M:%S UTC"))
    expect(page.locator("#zone")).to_have_text("Asia/Shanghai, UTC+8")


def test_a_timeline_shortens_pauses_of_days(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open", reference="order-11")
    page = enter(fresh_client).page

    def later(route: Route) -> None:
        """Returns the session three days later: files immediately, then the check and 40 assets."""
        view = route.fetch().json()
        at = [f"2026-11-2{day}T09:00:{second:02}.000Z" for day, second in ((1, 0), (1, 5), (4, 10), (4, 30), (4, 36))]
        asset = {"asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000, "error": None}
        asset |= {"status": "active", "created_at": at[0], "uploaded_at": at[1], "submitted_at": at[3]}
        asset |= {"activated_at": at[4], "updated_at": at[4], "crun_asset_id": "asset-1", "uri": "asset://asset-1"}
        attempt = {"number": 1, "status": "verified", "created_at": at[2], "expires_at": at[4], "answered_at": at[3]}
        view |= {"status": "verified", "created_at": at[0], "verified_at": at[3], "group_id": "group-1"}
        view["attempts"] = [attempt | {"result_code": "10000"}]
        view["assets"] = [asset | {"id": f"ast_{number:026}", "name": f"file-{number}"} for number in range(40)]
        route.fulfill(json=view)

    page.route(f"**/v1/sessions/{made['id']}", later)
    _open(page, "order-11")
    lane = page.locator("#timeline .lane").filter(has_text="file-0")
    expect(lane.locator("rect.span")).to_have_count(3)
    waiting, checked, at_crun = (each.bounding_box() or {} for each in lane.locator("rect.span").all())
    expect(page.locator("#timeline .cut")).to_contain_text("3\u00a0d")
    assert at_crun["width"] > 60  # six seconds in a timeline of three days
    assert waiting["x"] < checked["x"] < at_crun["x"]
    expect(page.locator("#timeline svg")).to_contain_text("and 17 more, see the table")
    expect(page.locator("#timeline-rows tr")).to_have_count(4 + 4 * 40)
    expect(page.locator("#assets > li")).to_have_count(40)


def test_copying_works_without_the_clipboard_api(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open")
    page = enter(fresh_client, f"#{made['id']}").page
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    )
    page.get_by_role("button", name="Copy the session id").click()
    expect(page.locator("#announce")).to_have_text("Copied the session id")
    assert page.evaluate("navigator.clipboard.readText()") == made["id"]


def test_a_new_link_is_shown_once_and_only_while_it_is_valid(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open", reference="order-9")
    page = enter(fresh_client, f"#{made['id']}", **ALONE).page
    dialog = page.get_by_role("dialog")
    for ended_by in ("closing", "time"):
        page.get_by_role("button", name="New link").click()
        expect(dialog).to_contain_text("It is a secret.")
        dialog.get_by_role("button", name="Create link").click()
        link = dialog.get_by_role("textbox", name="the face-check link").input_value()
        assert "bytedToken=" in link
        expect(dialog.get_by_role("timer")).to_have_text(re.compile(r"^1(20|1\d) s left to open it$"))
        assert link_in(dialog.get_by_role("img", name="QR code of the face-check link")) == link
        if ended_by == "time":
            page.clock.install()
            page.clock.fast_forward("02:01")
            expect(dialog.get_by_text("The link has expired")).to_be_visible()
        else:
            page.keyboard.press("Escape")
            expect(page.get_by_role("button", name="New link")).to_be_focused()
        page.wait_for_function(
            "(link) => !document.documentElement.outerHTML.includes(link)"
            " && ![...document.querySelectorAll('input')].some((each) => each.value === link)",
            arg=link,
        )
    assert len(fresh_client.get(made["id"])["attempts"]) == 2


def test_a_consent_is_shown_and_withdrawn(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(consent_terms={"purposes": ["advertising"], "valid_days": 90}, reference="order-14")
    watched = enter(fresh_client, f"#{made['id']}")
    page, consent = watched.page, watched.page.locator("#consent")
    expect(consent).to_contain_text("advertising, until")
    expect(consent).to_contain_text("given")
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Withdraw consent…").click()
    watched.accessible("withdraw")
    dialog.get_by_role("button", name="Cancel").click()
    assert fresh_client.get(made["id"])["consent_status"] == "given"
    page.get_by_role("button", name="Withdraw consent…").click()
    dialog.get_by_role("button", name="Withdraw", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(consent).to_contain_text("the client")
    expect(consent).to_contain_text("attempt 1")
    expect(page.get_by_role("button", name="Withdraw consent…")).to_be_disabled()
    assert fresh_client.get(made["id"])["consent_status"] == "withdrawn"


def test_an_erasure_requires_the_end_of_the_id_and_can_be_canceled(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open", reference="order-10")
    watched = enter(fresh_client, f"#{made['id']}")
    page = watched.page
    expect(page.locator("#session-status")).to_have_text("requires input")
    dialog = page.get_by_role("dialog")
    for leave in ("Cancel", "Escape"):
        page.get_by_role("button", name="Erase…").click()
        expect(dialog).to_contain_text("crun has no API to delete a group or an asset.")
        if leave == "Cancel":
            dialog.get_by_role("button", name="Cancel").click()
        else:
            page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name="Erase…")).to_be_focused()
    page.get_by_role("button", name="Erase…").click()
    sure = dialog.get_by_role("button", name="Erase", exact=True)
    for typed in ("", made["id"][-5:], "XXXXXX"):
        dialog.get_by_role("textbox").fill(typed)
        expect(sure).to_be_disabled()
    dialog.get_by_role("textbox").press("Enter")
    assert not any(each.method == "DELETE" for each in watched.requests)
    assert fresh_client.get(made["id"])["status"] == "requires_input"
    dialog.get_by_role("textbox").fill(made["id"][-6:].lower())
    sure.click()
    expect(page.locator("#session-status")).to_have_text("erased")
    expect(page.locator("#facts")).to_contain_text("crun cannot delete")
    expect(page.get_by_role("button", name="Erase…")).to_be_disabled()
    expect(_rows(page)).to_contain_text("erased")
    assert fresh_client.get(made["id"])["reference"] is None
    expect(page.locator("body")).not_to_contain_text("order-10", use_inner_text=True)


def test_an_erased_session_shows_what_crun_was_asked_to_delete(enter: Any, fresh_client: Api, state_file: Path) -> None:
    made = verified(fresh_client, reference="order-14")
    group = fresh_client("DELETE", f"/sessions/{made['id']}").json()["group_id"]
    watched = enter(fresh_client, f"#{made['id']}")
    deletion = watched.page.locator("#deletions li")
    expect(deletion).to_have_text(f"{group} (group): crun was not asked to delete it")
    for command in (["asked", group], ["done", group, "--yes", "--ticket", "CR-4711"]):
        result = CliRunner().invoke(ops, ["erasure", *command, "--state-file", str(state_file)])
        assert result.exit_code == 0, result.output
    watched.page.reload()
    expect(watched.page.locator("#facts")).to_contain_text("crun's support has confirmed the deletion.")
    expect(deletion).to_have_text(re.compile(f"^{group} .*crun confirmed the deletion on 20.*, ticket CR-4711$"))
    watched.accessible("erased session")


# -- URLs -------------------------------------------------------------------------------------------------------------


def test_a_session_has_a_url_and_the_back_button_works(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    watched = enter(busy_client, f"#{finished['id']}", phone=True)
    page = watched.page
    expect(page.locator("#session-title")).to_have_text("is-verified")
    expect(page.locator("#list")).to_be_hidden()
    page.get_by_role("link", name="All sessions").click()
    expect(_rows(page).filter(has_text="is-verified").get_by_role("link")).to_be_focused()
    _open(page, "was-not-passed")
    expect(page.locator("#session-title")).to_be_focused()
    page.get_by_role("link", name="Numbers").click()
    expect(page.get_by_role("heading", name="Numbers")).to_be_visible()
    page.go_back()
    expect(page.locator("#session-title")).to_have_text("was-not-passed")
    page.go_back()
    expect(_rows(page)).to_have_count(3)
    page.go_back()
    expect(page.locator("#session-title")).to_have_text("is-verified")


# -- statistics -------------------------------------------------------------------------------------------------------


def test_the_statistics_match_the_sessions(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client, "#numbers").page
    tiles = page.locator("#tiles > div")
    expect(tiles.filter(has_text="Sessions").locator("b")).to_have_text("3")
    expect(tiles.filter(has_text="Pass rate")).to_contain_text("50 %")
    expect(tiles.filter(has_text="Pass rate")).to_contain_text("1 passed of 2 with a result")
    expect(tiles.filter(has_text="Conversion")).to_contain_text("33.3 %")
    expect(tiles.filter(has_text="Conversion")).to_contain_text("1 verified of 3 created")
    expect(page.locator("#numbers-range")).to_contain_text("Days are in UTC")
    steps = "Created 3, Consented 1, Opened 2, Checked 2, Passed 1, Verified 1, Active 1"
    expect(page.locator("#funnel svg")).to_have_attribute("aria-label", re.compile(steps))
    expect(tiles.filter(has_text="Assets Active").locator("b")).to_have_text("1")
    expect(tiles.filter(has_text="Assets Active")).to_contain_text("1 failed")
    median = float(tiles.filter(has_text="Time to Active").locator("b").inner_text().split("\u00a0")[0])
    (active,) = (each for each in finished["assets"] if each["status"] == "active")
    took = datetime.fromisoformat(active["activated_at"]) - datetime.fromisoformat(active["submitted_at"])
    assert took.total_seconds() / BUCKET_FACTOR - 0.5 <= median <= took.total_seconds() * BUCKET_FACTOR + 0.5
    for figure, row in {
        "#session-failures": "attempt failed 1",
        "#asset-failures": "face mismatch 1",
    }.items():
        page.locator(figure).get_by_text("As a table").click()
        assert page.locator(f"{figure} tbody tr").inner_text().split() == row.split()
    page.locator("#per-day").get_by_text("As a table").click()
    days = [row.split("\t") for row in page.locator("#per-day tbody tr").all_inner_texts()]
    assert [sum(int(row[column]) for row in days) for column in range(1, 7)] == [3, 2, 0, 1, 0, 0]
    assert ["50\u00a0%", "33.3\u00a0%"] in [row[7:9] for row in days]
    assert len(days) == 7
    page.get_by_label("Days counted").select_option("31")
    expect(page.locator("#per-day tbody tr")).to_have_count(31)
    expect(page.locator("#per-day svg")).to_have_attribute("aria-label", re.compile("3 in 31 days"))


def test_days_on_two_pages_are_added_up(enter: Any, fresh_client: Api, stack: Stack) -> None:
    def day(date: str, sessions: int, **more: Any) -> dict[str, Any]:
        none: dict[str, Any] = {"statuses": {}, "failures": {}, "assets": {}, "asset_failures": {}}
        return {"date": date, "sessions": sessions, **none, "seconds_to_active": {"buckets": []}, **more}

    def funnel(created: int, passed: int) -> dict[str, int]:
        return {"created": created, "checked": created, "passed": passed, "verified": passed}

    verified = {"funnel": funnel(2, 2), "statuses": {"verified": 2}}
    failed = {"funnel": funnel(1, 0), "statuses": {"requires_input": 1}, "failures": {"attempt_failed": 1}}
    before = {"funnel": funnel(5, 5), "statuses": {"verified": 5}}
    pages = {
        None: [day("T", 2, **verified, seconds_to_active={"buckets": [[4.757, 1]]})],
        "two": [
            day("T", 1, **failed),
            day("Y", 5, **before, seconds_to_active={"buckets": [[4.757, 2], [32.0, 1]]}),
        ],
    }

    def answer(route: Route) -> None:
        query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&"))
        cursor = query.get("cursor")
        today = query["to"]
        yesterday = f"{today[:-2]}{int(today[-2:]) - 1:02}" if not today.endswith("01") else query["from"]
        shown = [{**each, "date": {"T": today, "Y": yesterday}[each["date"]]} for each in pages[cursor]]
        route.fulfill(json={"days": shown, "next_cursor": None if cursor else "two"})

    watched = enter(fresh_client)
    page = watched.page
    page.route("**/v1/stats?*", answer)
    page.get_by_label("Days counted").select_option("14")
    page.get_by_role("link", name="Numbers").click()
    tiles = page.locator("#tiles > div")
    expect(tiles.filter(has_text="Sessions").locator("b")).to_have_text("8")
    expect(tiles.filter(has_text="Pass rate")).to_contain_text("87.5 %")
    # Two thirds into the bucket from 4 to 4.757 s.
    expect(tiles.filter(has_text="Time to Active").locator("b")).to_have_text("4.5\u00a0s")
    page.locator("#per-day").get_by_text("As a table").click()
    newest = page.locator("#per-day tbody tr").first.inner_text().split("\t")
    assert newest[1:9] == ["3", "1", "0", "2", "0", "0", "66.7\u00a0%", "66.7\u00a0%"]


def test_a_new_link_for_a_failed_session_does_not_change_the_pass_rate(enter: Any, fresh_client: Api) -> None:
    made = fresh_client.session(language="en")
    come_back(face_check(made["attempt"]["h5_link"], "fail"))
    page = enter(fresh_client, "#numbers").page
    rate = page.locator("#tiles > div").filter(has_text="Pass rate")
    expect(rate).to_contain_text("0 passed of 1 with a result")
    expect(page.locator("#session-failures svg")).to_be_visible()
    fresh_client("POST", f"/sessions/{made['id']}/attempts", json={})
    page.get_by_label("Days counted").select_option("31")
    expect(page.locator("#session-failures")).to_contain_text("No session waits for another attempt.")
    expect(rate.locator("b")).to_have_text("0 %")
    expect(rate).to_contain_text("0 passed of 1 with a result")


#: Seconds as buckets of the statistics: below a second, a cluster, and a late one after five minutes.
TIMES = [[1.0, 1], [4.757, 2], [8.0, 3], [9.514, 9], [11.314, 4], [32.0, 1], [304.437, 1]]


@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("buckets", [TIMES, [[9.514, 4]]], ids=["many", "one"])
def test_times_bars_and_marks_are_on_one_true_scale(
    enter: Any, fresh_client: Api, width: int, buckets: list[list[float]]
) -> None:
    def answer(route: Route) -> None:
        query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&"))
        empty: dict[str, Any] = {"statuses": {}, "failures": {}, "assets": {}, "asset_failures": {}, "funnel": {}}
        day = {"date": query["to"], "sessions": 0, **empty, "seconds_to_active": {"buckets": buckets}}
        route.fulfill(json={"days": [day], "next_cursor": None})

    watched = enter(fresh_client, viewport={"width": width, "height": 800})
    page = watched.page
    page.route("**/v1/stats?*", answer)
    page.get_by_role("link", name="Numbers").click()
    page.get_by_label("Days counted").select_option("7")
    expect(page.locator("#speed .mark")).to_have_count(2)
    drawn = page.locator("#speed svg").evaluate(
        """(svg) => ({
          ticks: [...svg.querySelectorAll(".tick")].map((each) =>
            [Number(each.dataset.at), Number(each.getAttribute("x1")), each.nextElementSibling.textContent]),
          bars: [...svg.querySelectorAll(".column")].map(({ dataset, children }) => {
            const [, hit, part] = children;
            const x = Number(hit.getAttribute("x"));
            return [Number(dataset.from), Number(dataset.to), x, x + Number(hit.getAttribute("width")), Boolean(part)];
          }),
          marks: [...svg.querySelectorAll(".mark")].map((each) =>
            [Number(each.dataset.at), Number(each.querySelector("line").getAttribute("x1")),
             each.querySelector("text").textContent]),
          inside: [...svg.querySelectorAll("text")].every((each) => {
            const [text, all] = [each.getBoundingClientRect(), svg.getBoundingClientRect()];
            return text.left >= all.left - 1 && text.right <= all.right + 1;
          }),
        })"""
    )
    assert drawn["inside"], "every text is within the picture"
    (first, left, _), *_, (last, right, _) = drawn["ticks"]
    assert len(drawn["ticks"]) >= 2

    def place(seconds: float) -> float:
        return float(left + (right - left) * math.log(seconds / first) / math.log(last / first))

    units = {"s": 1, "min": 60, "h": 3600}
    for at, x, text in drawn["ticks"]:
        number, unit = text.split("\u00a0")
        assert (float(number) * units[unit], x) == (at, pytest.approx(place(at), abs=0.3))
    for start, end, x, x_end, _ in drawn["bars"]:
        assert (x, x_end) == (pytest.approx(place(start), abs=0.5), pytest.approx(place(end), abs=0.5))
    for (at, x, text), name in zip(drawn["marks"], ("p50", "p90"), strict=True):
        assert x == pytest.approx(place(at), abs=0.5)
        shown, value, _unit = re.split("[ \u00a0]", text)
        assert shown == name
        assert float(value) == pytest.approx(at, abs=0.51)
        (over,) = (each for each in drawn["bars"] if each[0] < at <= each[1])
        assert over[4], "the mark stands on a bar that is drawn"
        assert over[2] - 0.3 <= x <= over[3] + 0.3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    watched.accessible(f"times at {width} px")


# -- accessibility ----------------------------------------------------------------------------------------------------


def _views(page: Page) -> Iterator[str]:
    """Yields every view and dialog of the console."""
    expect(_rows(page)).to_have_count(3)
    yield "list"
    _open(page, "is-verified")
    expect(page.locator("#assets > li")).to_have_count(2)
    page.get_by_text("Timeline as a table").click()
    yield "session"
    page.get_by_role("button", name="Erase…").click()
    yield "erase dialog"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Erase file… front.jpg").click()
    yield "dialog that erases a file"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Numbers").click()
    for figure in page.locator("#numbers details").all():
        figure.locator("summary").click()
    yield "numbers"
    page.get_by_role("link", name="Sessions", exact=True).click()
    _open(page, "was-not-passed")
    page.get_by_role("button", name="New link").click()
    yield "link dialog"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Sessions", exact=True).click()
    page.get_by_role("button", name="New session").first.click()
    yield "new dialog"


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")])
def test_every_view_is_accessible(
    enter: Any, busy_client: Api, finished: dict[str, Any], *, phone: bool, scheme: str
) -> None:
    watched = enter(busy_client, phone=phone, color_scheme=scheme, reduced_motion="reduce")
    for view in _views(watched.page):
        watched.accessible(f"{view}, {scheme}")


def test_no_view_is_wider_than_a_small_phone(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client, **NARROWEST).page
    for view in _views(page):
        wide = (
            "Math.max(document.documentElement.scrollWidth, document.querySelector('dialog[open]')?.scrollWidth ?? 0)"
        )
        assert page.evaluate(wide) <= NARROWEST["viewport"]["width"], view


def test_text_of_twice_the_size_fits_a_phone(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client, phone=True).page
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for view in _views(page):
        if view in ("list", "session", "dialog that erases a file"):
            assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], view


def test_the_layout_does_not_shift_while_the_page_loads(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client).page
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => { for (const each of list.getEntries())"
        " if (!each.hadRecentInput) window.moved += each.value; }).observe({ type: 'layout-shift', buffered: true })"
    )
    page.reload()
    expect(_rows(page)).to_have_count(3)
    expect(page.get_by_role("button", name="all 3")).to_be_visible()
    assert page.evaluate("window.moved") < 0.05


def test_the_console_works_by_keyboard_only(enter: Any, busy_client: Api, finished: dict[str, Any]) -> None:
    page = enter(busy_client).page
    expect(_rows(page)).to_have_count(3)
    expect(page.get_by_role("searchbox")).to_be_focused()
    first = _rows(page).first.get_by_role("link")
    for _ in range(30):
        if first.evaluate("(each) => each === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#session-title")).to_be_focused()
    expect(page.get_by_role("button", name="Erase…")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Invite link…")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Withdraw consent…")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Erase…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(first).to_be_focused()
