"""The person's page in a browser: from the consent to the files, with everything that can happen in between."""

# ruff: noqa: RUF001 - Chinese has its own punctuation

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Error, Page, Route, expect

from local.media import DemoMedia, make_media, portrait, voice
from local.stack import Stack
from tests import traffic
from tests.browser.conftest import DESKTOP, PHONE, OpenPage, link_in
from tests.browser.person import FAILED_LOAD, Person, agreed, attempt_by_api, invited, verified
from tests.integration.conftest import Api, SimulatorControl, come_back, face_check, made_long_ago, registration
from tests.media import heic

HEADINGS = {
    "zh": ("首先，请您授权", "准备好进行真人验证了吗？", "验证通过！请添加您的文件", "全部完成，谢谢！"),
    "en": (
        "First, your consent",
        "Ready for the face check?",
        "You passed! Now add your files",
        "All done, thank you!",
    ),
    "zh-Hant": ("首先，請您授權", "準備好進行真人驗證了嗎？", "驗證通過！請新增您的檔案", "全部完成，謝謝！"),
}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


@pytest.fixture
def person(open_page: OpenPage) -> Callable[..., Person]:
    """Opens a page for a person: ``person(url, phone=…, …)`` with the arguments of ``open_page``."""
    return lambda url, **options: Person(open_page(url, **options))


def change_simulator(stack: Stack, **settings: float) -> None:
    """Changes some settings of the simulator (local/simulator/settings.py)."""
    requests.post(f"{stack.simulator_url}/_sim/settings", json=settings, timeout=10).raise_for_status()


@pytest.fixture(scope="module", autouse=True)
def quick_assets(stack: Stack) -> Iterator[None]:
    """Makes assets settle quickly, because these tests are about what the page shows."""
    change_simulator(stack, settle_min_seconds=0.2, settle_max_seconds=0.5)
    yield
    change_simulator(stack, settle_min_seconds=1, settle_max_seconds=4)


@pytest.fixture
def quick_links(stack: Stack) -> Iterator[Callable[[float], None]]:
    """Sets how many seconds the simulator's links are valid, and restores it when the test ends."""
    yield lambda seconds: change_simulator(stack, link_seconds=seconds)
    change_simulator(stack, link_seconds=120)


NewPerson = Callable[..., Person]
#: The poll delay of a waiting page, from its own code.
FASTEST_POLL = """async () => {
    const state = await import("./state.js");
    return state.pollDelay("waiting", { assets: [] }, false, 0);
}"""


def problem(status: int, code: str, detail: str, **headers: str) -> Callable[[Route], None]:
    """Responds to a request with a problem document."""
    body = json.dumps({"type": "about:blank", "title": "No", "status": status, "code": code, "detail": detail})
    return lambda route: route.fulfill(
        status=status, content_type="application/problem+json", body=body, headers={"Retry-After": "1"} | headers
    )


def session_url(session: dict[str, Any]) -> re.Pattern[str]:
    """Returns a pattern of the URL of a session."""
    return re.compile(rf"/v1/sessions/{session['id']}(\?.*)?$")


def altered(change: Callable[[dict[str, Any]], None]) -> Callable[[Route], None]:
    """Applies ``change`` to a JSON response."""

    def handle(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        change(document)
        try:
            route.fulfill(response=answer, body=json.dumps(document))
        except Error as error:  # the page polls, and a test may remove the route while a request is on its way
            if "already handled" not in str(error):
                raise

    return handle


# --- invite links


@pytest.mark.parametrize("behind", ["&from=singlemessage", ".", " ", "%20", "。", "?utm_source=x"])
@pytest.mark.parametrize("mark", ["#", "%23"])
def test_an_invite_link_with_characters_after_it_opens_the_page(
    person: NewPerson, api: Api, mark: str, behind: str
) -> None:
    session = invited(api, language="en")
    alice = person(session["invite_url"].replace("#", mark) + behind)
    alice.sees("consent")
    expect(alice.page).to_have_url(session["invite_url"].partition("#")[0])


def test_an_unknown_path_is_a_page(open_page: OpenPage, stack: Stack) -> None:
    watched = open_page(f"{stack.api_url}/nowhere", allowed=["404"])
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("This link is not valid")


# --- the complete flow


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark"), ("zh-Hant", "light")])
def test_a_person_completes_everything_on_a_phone(
    person: NewPerson, api: Api, modules: Page, media: DemoMedia, language: str, scheme: str
) -> None:
    asked: list[dict[str, Any]] = [
        {"name": "front", "asset_type": "Image", "hint": "look into the camera"},
        {"name": "clip", "asset_type": "Video"},
        {"name": "voice", "asset_type": "Audio", "required": False},
    ]
    session = invited(api, language=language, requests=asked)
    alice = person(session["invite_url"], color_scheme=scheme)
    page, (consent, ready, files, done) = alice.page, HEADINGS[language]
    heading = page.get_by_role("heading", level=1)

    alice.sees("consent")
    expect(heading).to_have_text(consent)
    expect(page.locator("html")).to_have_attribute("lang", language)
    text = requests.get(f"{api.stack.api_url}/consent", params={"language": language}, timeout=30).json()
    expect(page.get_by_role("article")).to_contain_text(text["title"])
    alice.watched.accessible("consent")
    alice.declines()
    expect(heading).to_be_focused()
    alice.watched.accessible("declined")
    assert api.get(session["id"])["consent_declined_at"]
    page.reload()
    alice.sees("declined")
    alice.main_button.click()
    alice.agrees()
    expect(heading).to_have_text(ready)
    expect(heading).to_be_focused()
    alice.watched.accessible("ready")

    alice.starts()
    expect(page.locator("html")).to_have_attribute("lang", language)
    alice.passes()
    assert "#" not in page.url
    alice.sees("files")
    expect(heading).to_have_text(files)
    main_actions = page.locator("main button:not(.second):visible")
    expect(main_actions).to_have_count(1)
    expect(alice.row("front")).to_contain_text("look into the camera")
    alice.finish_button.click()  # quieter, and not without a question
    expect(page.locator(".ask")).to_contain_text(re.compile("front.*clip"))
    alice.watched.accessible("files that are asked for")
    page.locator(".ask button").last.click()

    for name, file in (("front", media.portrait_jpeg), ("clip", media.clip_mp4)):
        expect(alice.row(name).locator("button:not(.second)")).to_have_count(1)
        alice.chooses(alice.row(name).get_by_role("button").first, file)
        alice.sees_file(name, "active")
    alice.adds(media.portrait_png)
    alice.sees_file(media.portrait_png.name, "active")
    alice.sees_phase("ready")
    expect(main_actions).to_have_count(1)
    alice.watched.accessible("files that are ready")
    alice.finish_button.click()
    expect(heading).to_have_text(done)
    expect(page).to_have_title(re.compile(f"^{re.escape(done)} · "))
    expect(main_actions).to_have_count(0)
    alice.watched.accessible("finished")

    found = api.get(session["id"])
    assert sorted(each["name"] for each in found["assets"] if each["uri"]) == ["alice-side.png", "clip", "front"]
    assert [(each["name"], each["status"]) for each in found["requests"]] == [
        ("front", "active"), ("clip", "active"), ("voice", "open")
    ]  # fmt: skip
    assert found["finished_at"]
    assert found["settled"]
    assert found["consent_declined_at"] is None
    assert (found["consent"]["source"], found["consent"]["language"]) == ("person", language)
    assert found["consent"]["sha256"] == text["sha256"]
    assert [each["status"] for each in found["attempts"]] == ["verified"]
    # The consent was recorded before the link was created.
    assert moment(found["consent"]["given_at"]) < moment(found["attempts"][0]["created_at"])

    # The firewall's limit relies on these figures.
    asked_for = [each.url for each in alice.watched.requests if each.url.startswith(api.stack.api_url)]
    steps = [url for url in asked_for if traffic.is_counted(url) and not session_url(session).search(url)]
    assert 7 <= len(steps) <= traffic.STEPS_OF_A_PERSON
    assert modules.evaluate(FASTEST_POLL) == traffic.POLL_SECONDS * 1000


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_token_is_sent_in_its_header_only(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = invited(api)
    alice = person(session["invite_url"])
    alice.agrees()
    alice.starts()
    alice.passes()
    alice.sees("files")
    alice.adds(media.portrait_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    token = session["invite_url"].partition("#")[2]
    origin = api.stack.api_url
    carried = set()
    for each in alice.watched.requests:
        assert token not in each.url.partition("#")[0]
        assert token not in (each.post_data_buffer or b"").decode("latin-1")
        headers = {name: value for name, value in each.all_headers().items() if token in value}
        assert set(headers) <= {"x-api-key"}
        if headers:
            carried.add(each.url[: len(origin)])
    assert carried == {origin}
    assert alice.page.evaluate("document.documentElement.outerHTML").count(token) == 0
    assert alice.page.url == f"{origin}/invite"


# --- consent


def test_opening_the_page_uses_no_attempt(person: NewPerson, api: Api, crun: SimulatorControl) -> None:
    session = agreed(api)
    before = crun.calls("session")
    for _ in range(2):
        person(session["invite_url"]).sees("ready")
    found = api.get(session["id"])
    assert (found["attempts"], found["attempt"]) == ([], None)
    assert crun.calls("session") == before


def test_nothing_starts_without_a_tick(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person(session["invite_url"])
    alice.sees("consent")
    expect(alice.page.get_by_role("checkbox")).not_to_be_checked()
    expect(alice.button("Continue")).to_be_disabled()
    alice.page.get_by_role("checkbox").check()
    alice.page.get_by_role("checkbox").uncheck()
    expect(alice.button("Continue")).to_be_disabled()
    # The API refuses it too, in case the page was changed.
    refused = api.with_credential(session["invite_url"].partition("#")[2])(
        "POST", f"/sessions/{session['id']}/attempts"
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_required")
    found = api.get(session["id"])
    assert (found["consent"], found["attempts"]) == (None, [])


def test_a_missing_consent_leads_back_to_the_consent(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person("about:blank", allowed=[FAILED_LOAD])
    consent = {
        "text_version": "1",
        "given_at": "2026-11-20T08:00:00Z",
        "sha256": None,
        "language": None,
        "source": "client",
    }
    alice.page.route(session_url(session), altered(lambda found: found.update(consent=consent)))
    alice.page.goto(session["invite_url"])
    alice.sees("ready")

    def unaltered_from_now_on(route: Route) -> None:
        alice.page.unroute(session_url(session))
        route.continue_()

    alice.page.route("**/attempts", unaltered_from_now_on)
    alice.main_button.click()
    alice.sees("consent")
    expect(alice.page.get_by_role("alert")).to_contain_text("We need your consent")
    assert api.get(session["id"])["attempts"] == []


def test_a_changed_text_is_shown_and_agreed_to_again(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person("about:blank", allowed=[FAILED_LOAD])
    changes = {"text_version": "2025-01", "sha256": "0" * 64, "text": "An older text."}
    old = altered(lambda found: found["consent_text"].update(changes))
    alice.page.route(session_url(session), old, times=1)
    alice.page.goto(session["invite_url"])
    alice.sees("consent")
    expect(alice.page.get_by_text("An older text.")).to_be_visible()
    alice.page.get_by_role("checkbox").check()
    alice.button("Continue").click()
    why = alice.page.get_by_role("alert").filter(has_text="The text changed")
    expect(why).to_be_focused()
    expect(alice.page.get_by_text("An older text.")).to_have_count(0)
    expect(alice.page.get_by_role("checkbox")).not_to_be_checked()
    expect(alice.button("Continue")).to_be_disabled()
    assert api.get(session["id"])["consent"] is None
    alice.agrees()
    assert api.get(session["id"])["consent"]["text_version"] != "2025-01"


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "advertising and training videos with your likeness until 31 March 2028"),
     ("zh", "广告和培训视频"), ("zh-Hant", "廣告和培訓影片")],
)  # fmt: skip
def test_terms_are_a_sentence_before_the_box_and_are_agreed_to(
    person: NewPerson, api: Api, language: str, words: str
) -> None:
    terms = {"purposes": ["advertising", "training_videos"], "valid_until": "2028-03-31T23:59:59Z"}
    session = invited(api, language=language, consent_terms=terms)
    alice = person(session["invite_url"])
    alice.sees("consent")
    shown = alice.page.locator(".consent-terms")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text(words)
    alice.watched.accessible("consent")
    alice.agrees()
    consent = api.get(session["id"])["consent"]
    assert (consent["purposes"], consent["valid_until"]) == (terms["purposes"], terms["valid_until"])


def test_terms_that_change_while_they_are_read_are_shown_and_agreed_to_again(person: NewPerson, api: Api) -> None:
    session = invited(api, consent_terms={"purposes": ["advertising"]})
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("consent")
    alice.page.get_by_role("checkbox").check()
    changed = api("PUT", f"/sessions/{session['id']}/consent_terms", json={"purposes": ["news"], "valid_days": 90})
    assert changed.status_code == 200
    terms = alice.page.locator(".consent-terms")
    alice.refocuses()
    expect(terms).to_contain_text("news and information with your likeness for 90 days from today")
    expect(alice.page.get_by_role("checkbox")).not_to_be_checked()
    alice.agrees()
    assert api.get(session["id"])["consent"]["purposes"] == ["news"]
    # Other terms are asked for later, and the person keeps the earlier consent.
    api("PUT", f"/sessions/{session['id']}/consent_terms", json={"purposes": ["testing"]})
    alice.refocuses()
    alice.sees("consent")
    alice.watched.accessible("new terms")
    alice.button("Keep my earlier consent").click()
    alice.sees("ready")
    found = api.get(session["id"])["consent"]
    assert (found["purposes"], found["has_new_terms"], found["status"]) == (["news"], True, "given")


def test_a_withdrawn_consent_is_shown_and_can_be_given_again(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.agrees()
    by_person = api.with_credential(session["invite_url"].partition("#")[2])
    answer = by_person("POST", f"/sessions/{session['id']}/consent/withdraw")
    assert answer.json()["consent_status"] == "withdrawn"
    alice.refocuses()
    alice.sees("withdrawn")
    alice.watched.accessible("withdrawn")
    alice.button("Read it again").click()
    alice.sees("consent")
    expect(alice.button("I do not agree")).to_have_count(0)
    alice.agrees()
    found = api.get(session["id"])
    assert (found["consent_status"], found["consent_withdrawal"]) == ("given", None)
    alice.starts()
    alice.passes()
    alice.sees("files")


def test_a_recorded_consent_is_shown_and_not_requested_again(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"])
    alice.sees("ready")
    expect(alice.page.get_by_text("Your consent of November 20, 2026 is on record (version acme-7).")).to_be_visible()
    alice.starts()
    alice.passes()
    alice.sees("files")
    assert api.get(session["id"])["consent"]["source"] == "client"


def test_the_face_check_can_be_reached_by_keyboard_only(person: NewPerson, api: Api) -> None:
    session = invited(api)
    alice = person(session["invite_url"], phone=False)
    alice.sees("consent")
    keys, focused = alice.page.keyboard, alice.page.locator(":focus")
    keys.press("Tab")
    expect(focused).to_have_attribute("id", "language")
    keys.press("Tab")
    expect(focused).to_have_attribute("id", "agree")
    keys.press("Space")
    keys.press("Tab")
    expect(focused).to_have_text("Continue")
    keys.press("Enter")
    alice.sees("ready")
    expect(alice.page.get_by_role("heading", level=1)).to_be_focused()
    keys.press("Tab")
    expect(focused).to_have_text("Start on this computer")
    keys.press("Enter")
    alice.page.wait_for_url("**/h5/validate**")


def test_the_language_can_be_changed_and_is_remembered(person: NewPerson, api: Api) -> None:
    session = invited(api, language="zh")
    alice = person(session["invite_url"])
    alice.sees("consent")
    alice.page.get_by_role("checkbox").check()
    language = alice.page.get_by_role("combobox")
    language.select_option("zh-Hant")
    expect(alice.page.locator("html")).to_have_attribute("lang", "zh-Hant")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text(HEADINGS["zh-Hant"][0])
    # The text has another language, so the tick is cleared.
    expect(alice.page.get_by_role("checkbox")).not_to_be_checked()
    language.select_option("en")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text(HEADINGS["en"][0])
    alice.agrees()
    alice.page.reload()
    expect(alice.page.get_by_role("heading", level=1)).to_have_text(HEADINGS["en"][1])
    assert api.get(session["id"])["consent"]["language"] == "en"


# --- the face check


def test_a_failed_or_canceled_face_check_shows_a_reason_and_can_be_repeated(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"])
    alice.sees("ready")
    alice.starts()
    alice.passes(outcome="cancel")
    alice.sees("retry")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("The check was canceled")
    alice.starts()
    alice.passes(outcome="fail")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("That did not work")
    expect(alice.page.get_by_text("No mask, no sunglasses, no hat")).to_be_visible()
    alice.watched.accessible("retry")
    alice.starts()
    alice.passes()
    alice.sees("files")
    found = api.get(session["id"])
    assert [each["status"] for each in found["attempts"]] == ["failed", "failed", "verified"]


def test_an_expired_link_is_replaced_in_the_same_session(
    person: NewPerson, api: Api, quick_links: Callable[[float], None]
) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    quick_links(0.001)
    alice.starts()
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("This link has expired")
    alice.page.go_back()
    alice.sees("open")
    made_long_ago(api, session["id"])
    # Without any input: the link check ends the attempt (LinkCheckDelaySeconds), and the page shows it.
    alice.sees("retry")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("The link has expired")
    quick_links(120)
    alice.starts()
    alice.passes()
    alice.sees("files")
    assert [each["status"] for each in api.get(session["id"])["attempts"]] == ["lapsed", "verified"]


def test_the_timer_ends_by_itself_and_a_check_in_progress_can_be_completed(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    link = api("POST", f"/sessions/{session['id']}/attempts").json()["attempt"]["h5_link"]
    alice = person("about:blank")

    def soon(found: dict[str, Any]) -> None:
        found["attempt"]["expires_at"] = in_seconds(found["attempts"][0]["created_at"], 5)

    alice.page.route(session_url(session), altered(soon))
    alice.page.goto(session["invite_url"])
    alice.sees("retry")
    expect(alice.page.get_by_text("Still taking the check?")).to_be_visible()
    alice.page.unroute(session_url(session))
    come_back(face_check(link))
    alice.sees("files")
    assert len(api.get(session["id"])["attempts"]) == 1


def in_seconds(text: str, seconds: float) -> str:
    later = datetime.fromtimestamp(moment(text).timestamp() + seconds, tz=moment(text).tzinfo)
    return later.isoformat().replace("+00:00", "Z")


def test_the_last_attempts_are_counted_and_the_end_is_explained(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    for _ in range(8):
        attempt_by_api(api, session, "cancel")
    alice = person(session["invite_url"])
    alice.sees("retry")
    expect(alice.page.get_by_text("2 attempts left.")).to_be_visible()
    attempt_by_api(api, session, "cancel")
    alice.refocuses()
    expect(alice.page.get_by_text("This is the last attempt.")).to_be_visible()
    alice.starts()
    alice.passes(outcome="cancel")
    alice.sees("spent")
    expect(alice.page.get_by_text("they can send a new one")).to_be_visible()
    expect(alice.page.locator("main button")).to_have_count(0)
    alice.watched.accessible("spent")


def test_back_from_the_face_check_leads_to_the_same_link(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"])
    alice.sees("ready")
    alice.starts()
    link = alice.page.url
    alice.page.go_back()
    alice.sees("open")
    expect(alice.page.get_by_role("timer")).to_have_text(re.compile(r"^[01]:\d\d$|^2:00$"))
    alice.watched.accessible("open")
    alice.button("Back to the face check").click()
    alice.page.wait_for_url("**/h5/validate**")
    assert alice.page.url == link
    assert len(api.get(session["id"])["attempts"]) == 1
    # A new link is possible, and the page says that it uses an attempt.
    alice.page.go_back()
    expect(alice.page.get_by_text("Starting again uses one more attempt.")).to_be_visible()
    alice.button("Start again with a new link").click()
    alice.page.wait_for_url("**/h5/validate**")
    assert alice.page.url != link
    assert len(api.get(session["id"])["attempts"]) == 2


def test_a_page_restored_from_the_browsers_cache_has_a_working_button(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    # A navigation without content: the page stays, as in the back/forward cache.
    alice.page.route("**/h5/validate**", lambda route: route.fulfill(status=204))
    alice.main_button.click()
    expect(alice.main_button).to_have_attribute("aria-disabled", "true")
    expect(alice.main_button).to_have_text("Opening…")
    api.wait(session["id"], lambda found: len(found["attempts"]) == 1)
    # The event of Safari and Chrome when they restore a page.
    alice.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    alice.sees("open")
    alice.page.unroute("**/h5/validate**")
    alice.starts()
    assert len(api.get(session["id"])["attempts"]) == 1


def test_two_tabs_show_the_same_state_and_use_one_attempt(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    one = person(session["invite_url"])
    other = person(session["invite_url"], context=one.page.context, allowed=[FAILED_LOAD])
    one.sees("ready")
    other.sees("ready")
    # The other tab cannot poll until its button is pressed.
    other.page.route(session_url(session), lambda route: route.abort())
    one.starts()
    other.page.unroute(session_url(session))
    other.main_button.click()
    other.sees("open")
    expect(other.page.get_by_text("It was opened on another page or device.")).to_be_visible()
    assert len(api.get(session["id"])["attempts"]) == 1
    one.passes()
    one.sees("files")
    other.sees("files")
    assert len(api.get(session["id"])["attempts"]) == 1


def test_a_double_click_starts_one_attempt(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"])
    alice.sees("ready")
    alice.main_button.dblclick()
    alice.page.wait_for_url("**/h5/validate**")
    assert len(api.get(session["id"])["attempts"]) == 1


# --- a computer


def test_a_computer_shows_the_invite_link_as_a_qr_code_and_follows_the_phone(person: NewPerson, api: Api) -> None:
    session = invited(api)
    desk = person(session["invite_url"], phone=False)
    desk.sees("consent")
    code = desk.page.get_by_role("img", name="QR code of your invite link")
    assert link_in(code) == session["invite_url"]

    phone = person(session["invite_url"])
    phone.agrees()
    expect(phone.page.locator("#phone-code")).to_be_hidden()
    desk.sees("ready")
    phone.starts()
    desk.sees("open")
    assert link_in(code) == session["invite_url"]  # never the link to the face check
    phone.passes()
    desk.sees("files")
    desk.watched.accessible("files on a computer")


def test_a_qr_code_that_failed_to_load_is_requested_again(person: NewPerson, api: Api) -> None:
    session = invited(api)
    desk = person(session["invite_url"], phone=False, allowed=[FAILED_LOAD])
    desk.sees("consent")
    throttled = problem(429, "throttled", "Too many requests")
    answers: Iterator[Callable[[Route], None]] = iter([throttled, lambda route: route.continue_()])
    desk.page.route("**/qr-codes", lambda route: next(answers)(route))
    desk.page.reload()
    assert link_in(desk.page.get_by_role("img", name="QR code of your invite link")) == session["invite_url"]
    assert next(answers, None) is None


def test_files_can_be_dropped_anywhere(person: NewPerson, api: Api, media: DemoMedia) -> None:
    desk = person(verified(api)["invite_url"], phone=False)
    desk.sees("files")
    data = desk.page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
            return data;
        }""",
        list(media.portrait_jpeg.read_bytes()),
    )
    desk.page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(desk.page.locator(".drop.over")).to_be_visible()
    desk.page.dispatch_event("body", "drop", {"dataTransfer": data})
    desk.sees_file("dropped.jpg", "active")
    expect(desk.page.locator(".drop.over")).to_have_count(0)


# --- files


def test_invalid_files_are_refused_before_the_upload(
    person: NewPerson, api: Api, media: DemoMedia, tmp_path: Path
) -> None:
    invalid = {
        "note.txt": (b"not a picture", "This file type is not supported."),
        "empty.jpg": (b"", "The file is empty."),
        "small.png": (portrait("alice", 200, 280, "PNG"), "It has 200 × 280 pixels; each side must have 300 to 6,000."),
        "narrow.png": (portrait("alice", 310, 900, "PNG"), "The image is too narrow or too wide."),
        "short.wav": (voice("alice", 1.0), "It is 1 s long; it must be 2 to 15 s."),
    }
    for name, (content, _) in invalid.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "huge.jpg").open("wb") as huge:
        huge.truncate(34_000_000)
    asked = [registration(media.portrait_jpeg, "Image", "image/jpeg", name="front")]
    session = verified(api, assets=asked)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(*(tmp_path / name for name in invalid), tmp_path / "huge.jpg")
    alice.chooses(alice.row("front").get_by_role("button").first, media.voice_wav)
    for name, (_, reason) in invalid.items():
        expect(alice.sees_file(name, "refused")).to_contain_text(reason)
    expect(alice.sees_file("huge.jpg", "refused")).to_contain_text("this browser cannot make it smaller")
    expect(alice.sees_file("front", "refused")).to_contain_text("A photo is needed here.")
    alice.watched.accessible("refused files")
    # Nothing was sent or registered.
    assert [each.url for each in alice.watched.requests if each.method == "POST"] == []
    assert [each["status"] for each in api.get(session["id"])["assets"]] == ["awaiting_upload"]
    alice.button("Remove note.txt from the list").click()
    expect(alice.row("note.txt")).to_have_count(0)
    alice.button("Remove front from the list").click()
    alice.sees_file("front", "awaiting_upload")


def test_a_picture_that_the_browser_cannot_show_is_checked_by_the_server(person: NewPerson, api: Api) -> None:
    # A HEIC file is sent without a preview; the server checks its size in pixels.
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(
        {"name": "fit.heic", "mimeType": "image/heic", "buffer": heic()},
        {"name": "vast.heic", "mimeType": "", "buffer": heic(7000, 5000)},
    )
    expect(alice.sees_file("vast.heic", "failed")).to_contain_text("each side must have 300 to 6,000 pixels")
    fit = alice.sees_file("fit.heic", "active")
    expect(fit.locator("img")).to_have_count(0)


def test_another_persons_picture_fails_with_its_reason_and_can_be_replaced(
    person: NewPerson, api: Api, media: DemoMedia
) -> None:
    asked = [registration(media.portrait_jpeg, "Image", "image/jpeg", name="front")]
    session = verified(api, assets=asked)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.chooses(alice.row("front").get_by_role("button").first, media.other_person_jpeg)
    alice.adds({"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": portrait("bob", 640, 900)})
    for name in ("front", "holiday.jpg"):
        failed = alice.sees_file(name, "failed")
        expect(failed).to_contain_text("The face in this file does not match the person who passed the check.")
    alice.watched.accessible("failed files")
    alice.sees_phase("problems")
    expect(alice.page).to_have_title("Not every file can be used · Face check")
    alice.chooses(alice.button("Choose another file for front"), media.portrait_jpeg)
    alice.chooses(alice.button("Choose another file for holiday.jpg"), media.portrait_png)
    alice.sees_file("front", "active")
    alice.sees_file(media.portrait_png.name, "active")
    expect(alice.row("holiday.jpg")).to_have_count(0)
    # After a reload the page has only the session's data about the files.
    alice.page.reload()
    alice.sees_file("front", "active")
    alice.sees_file(media.portrait_png.name, "active")
    expect(alice.page.locator(".file")).to_have_count(2)
    alice.sees_phase("ready")


def test_failed_files_of_the_person_are_removed_also_after_the_end(
    person: NewPerson, api: Api, media: DemoMedia
) -> None:
    session = verified(api, requests=[{"name": "front", "asset_type": "Image"}])
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.chooses(alice.row("front").get_by_role("button").first, media.other_person_jpeg)
    alice.adds({"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": portrait("bob", 640, 900)})
    alice.sees_file("front", "failed")
    alice.sees_file("holiday.jpg", "failed")
    alice.button("Remove front from the list").click()
    alice.sees_file("front", "awaiting_upload")
    alice.page.reload()  # the page has only the session's data about the other file
    alice.sees_file("holiday.jpg", "failed").scroll_into_view_if_needed()  # its picture is not requested before
    expect(alice.row("holiday.jpg").locator("img")).to_be_visible()
    alice.button("Finish without the missing files").click()
    alice.button("Finish").click()
    alice.sees_phase("finished_problems")
    expect(alice.page.locator("main")).to_contain_text("Not sent")
    alice.button("Remove holiday.jpg from the list").click()
    alice.sees_phase("finished")
    expect(alice.row("holiday.jpg")).to_have_count(0)
    assert {each["status"] for each in api.get(session["id"])["assets"]} == {"redacted"}
    # A person who has finished can go back.
    alice.button("Add more files").click()
    alice.chooses(alice.row("front").get_by_role("button").first, media.portrait_jpeg)
    alice.sees_file("front", "active")
    assert api.get(session["id"])["finished_at"] is None
    alice.button("I am finished").click()
    alice.sees_phase("finished")


def test_pictures_are_shown_after_a_reload_by_links_that_are_renewed(
    person: NewPerson, api: Api, media: DemoMedia
) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(media.portrait_jpeg, media.clip_mp4)
    alice.sees_file(media.portrait_jpeg.name, "active")
    alice.sees_file(media.clip_mp4.name, "active")
    asked: list[str] = []
    alice.page.on("request", lambda each: asked.append(each.url) if each.url.endswith("/preview") else None)
    alice.page.reload()
    picture = alice.row(media.portrait_jpeg.name).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    expect(alice.row(media.clip_mp4.name).locator("svg").first).to_be_visible()
    alice.page.get_by_label("Language").select_option("zh")
    expect(picture).to_be_visible()
    assert len(asked) == 1, "once for each picture"
    # Links that have expired when the view is drawn again.
    alice.page.route("**/preview", altered(lambda link: link.update(expires_at="2026-01-01T00:00:00Z")))
    alice.page.reload()
    expect(picture).to_be_visible()
    assert len(asked) == 2
    alice.page.locator("#language").select_option("en")
    expect(picture).to_be_visible()
    assert len(asked) == 3


def test_an_erased_file_is_not_in_the_list(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(media.portrait_jpeg, media.other_person_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    alice.sees_file(media.other_person_jpeg.name, "failed")
    (other_person,) = [each for each in api.get(session["id"])["assets"] if each["status"] == "failed"]
    assert api("DELETE", f"/sessions/{session['id']}/assets/{other_person['id']}").status_code == 200
    for _ in range(2):
        expect(alice.row(media.other_person_jpeg.name)).to_have_count(0, timeout=90_000)
        alice.sees_file(media.portrait_jpeg.name, "active")
        alice.page.reload()


def test_the_same_file_twice_is_one_asset(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds(media.portrait_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    alice.adds({"name": "copy.jpg", "mimeType": "image/jpeg", "buffer": media.portrait_jpeg.read_bytes()})
    expect(alice.page.locator("#notice")).to_contain_text("alice-front.jpg is already in the list.")
    alice.page.reload()
    alice.sees_file(media.portrait_jpeg.name, "active")
    alice.adds(media.portrait_jpeg)
    expect(alice.page.locator("#notice")).to_contain_text("alice-front.jpg is already in the list.")
    expect(alice.page.locator(".file")).to_have_count(1)
    assert len(api.get(session["id"])["assets"]) == 1


def test_different_files_of_one_name_are_distinguished(person: NewPerson, api: Api) -> None:
    # A phone's camera names every picture image.jpg.
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    for width in (600, 640):
        alice.adds({"name": "image.jpg", "mimeType": "image/jpeg", "buffer": portrait("alice", width, 800)})
    alice.sees_file("image.jpg", "active")
    alice.sees_file("image (2).jpg", "active")


def test_progress_is_measured_in_bytes_sent(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    network = alice.page.context.new_cdp_session(alice.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 60_000}
    network.send("Network.emulateNetworkConditions", slow)
    large = portrait("alice", 2000, 2600, "PNG")
    alice.adds({"name": "large.png", "mimeType": "image/png", "buffer": large})
    row = alice.sees_file("large.png", "sending")
    expect(row).to_contain_text(re.compile(r"Uploading [1-9]\d? %"))
    expect(row.get_by_role("progressbar", name="Upload of large.png")).to_have_js_property("max", 100)
    assert 0 < row.get_by_role("progressbar").evaluate("(bar) => bar.value") < 100
    expect(row.get_by_role("img", name="Preview of large.png")).to_be_visible()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    alice.sees_file("large.png", "active")


def test_an_upload_continues_after_a_lost_connection(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("files")
    address = f"{api.stack.emulator_endpoint}/**"
    alice.page.route(address, lambda route: route.abort("connectionfailed"))
    alice.adds(media.portrait_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "paused")
    alice.page.unroute(address)
    alice.sees_file(media.portrait_jpeg.name, "active")
    assert len(api.get(session["id"])["assets"]) == 1


def test_a_file_that_the_storage_refuses_can_be_sent_again(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("files")
    address = f"{api.stack.emulator_endpoint}/**"
    refusal = {"status": 403, "headers": {"Access-Control-Allow-Origin": "*"}, "body": "<Error/>"}
    alice.page.route(
        address, lambda route: route.fulfill(**refusal) if route.request.method == "POST" else route.continue_()
    )
    alice.adds(media.portrait_jpeg)
    expect(alice.sees_file(media.portrait_jpeg.name, "broken")).to_contain_text("The storage did not accept the file.")
    alice.page.unroute(address)
    alice.button(f"Try again: {media.portrait_jpeg.name}").click()
    alice.sees_file(media.portrait_jpeg.name, "active")
    assert len(api.get(session["id"])["assets"]) == 1


def test_an_upload_interrupted_by_a_reload_can_be_repeated(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api)
    alice = person(session["invite_url"])
    alice.sees("files")
    held: list[Route] = []
    address = f"{api.stack.emulator_endpoint}/**"
    alice.page.route(address, lambda route: held.append(route))
    alice.adds(media.portrait_jpeg)
    found = api.wait(session["id"], lambda now: len(now["assets"]) == 1)
    alice.page.on("dialog", lambda dialog: dialog.accept())
    alice.page.reload()
    alice.page.unroute(address)
    row = alice.sees_file(media.portrait_jpeg.name, "awaiting_upload")
    alice.chooses(row.get_by_role("button").first, media.portrait_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    assert [each["id"] for each in api.get(session["id"])["assets"]] == [found["assets"][0]["id"]]


# --- interruptions and errors


def test_a_person_who_returns_later_continues_at_the_same_step(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = invited(api)
    alice = person(session["invite_url"])
    alice.agrees()
    alice.page.reload()
    alice.sees("ready")
    alice.starts()
    alice.passes()
    alice.page.reload()
    alice.sees("files")
    alice.adds(media.portrait_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    # The same link in another browser.
    later = person(session["invite_url"])
    later.sees_file(media.portrait_jpeg.name, "active")


def test_a_lost_connection_is_shown_and_recovered_from(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    context = alice.page.context
    context.set_offline(True)
    expect(alice.page.locator("#notice")).to_contain_text("No connection.")
    alice.main_button.click()
    expect(alice.page.get_by_role("alert")).to_contain_text("There is no connection.")
    attempt_by_api(api, session)
    context.set_offline(False)
    alice.sees("files")
    expect(alice.page.locator("#notice")).to_be_hidden()


def test_the_message_of_an_error_is_shown(person: NewPerson, api: Api, crun: SimulatorControl) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    crun.fault(call="session", kind="both", code=422, times=None)
    alice.main_button.click()
    trouble = alice.page.get_by_role("alert")
    expect(trouble).to_contain_text("That did not work.")
    expect(trouble).to_contain_text("The validation service rejected the request (upstream_rejected)")
    alice.watched.accessible("an error")
    crun.calm()
    alice.starts()


def test_the_page_waits_as_long_as_retry_after(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    busy = problem(429, "rate_limited", "Too many requests", **{"Retry-After": "3"})
    alice.page.route("**/attempts", busy, times=1)
    alice.main_button.click()
    expect(alice.main_button).to_have_text(re.compile(r"Try again in [123] s"))
    expect(alice.main_button).to_have_attribute("aria-disabled", "true")
    expect(alice.page.get_by_role("alert")).to_contain_text("The service is busy")
    expect(alice.main_button).to_have_text("Start the face check")
    alice.starts()


def test_an_error_while_polling_is_shown_and_polling_continues(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person(session["invite_url"], allowed=[FAILED_LOAD])
    alice.sees("ready")
    alice.page.route(
        session_url(session), problem(503, "storage_unavailable", "A service that Likeness depends on is unavailable")
    )
    expect(alice.page.locator("#notice")).to_contain_text(
        "A service that Likeness depends on is unavailable (storage_unavailable)"
    )
    alice.page.unroute(session_url(session))
    expect(alice.page.locator("#notice")).to_be_hidden()
    attempt_by_api(api, session)
    alice.refocuses()
    alice.sees("files")


def test_an_invalid_token_shows_an_error(person: NewPerson, api: Api) -> None:
    session = invited(api)
    page, _, token = session["invite_url"].partition("#")
    signature = token.rpartition(".")[2]
    forged = token.removesuffix(signature) + ("A" if signature[0] != "A" else "B") + signature[1:]
    alice = person(f"{page}#{forged}", allowed=[FAILED_LOAD])
    alice.sees("refused")
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("This link no longer works")
    alice.watched.accessible("refused")
    # The valid link in the same tab.
    alice.page.evaluate("(token) => { location.hash = token }", token)
    alice.sees("consent")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "This page needs your invite link"),
        ("?status=requires_input", "The face check is not done yet"),
        ("?status=processing", "The check is done, thank you!"),
        ("?status=verified", "You passed the check!"),
        ("?status=redacted", "This invitation and its data were erased"),
        ("?status=<b>", "This page needs your invite link"),
    ],
)
def test_without_a_token_the_page_shows_the_status_of_its_url(
    person: NewPerson, stack: Stack, query: str, words: str
) -> None:
    visitor = person(f"{stack.api_url}/invite{query}")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(words)
    assert [each.url for each in visitor.watched.requests if "/sessions" in each.url] == []


def test_an_erased_session_is_shown_and_not_polled_any_more(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person("about:blank")
    alice.page.clock.install()
    alice.page.goto(session["invite_url"])
    alice.sees("ready")
    api("DELETE", f"/sessions/{session['id']}")
    alice.page.clock.fast_forward(30_000)
    alice.sees("redacted")
    asked = len(alice.watched.requests)
    alice.page.clock.run_for(600_000)
    assert len(alice.watched.requests) == asked


def test_a_hidden_page_does_not_poll(person: NewPerson, api: Api) -> None:
    session = agreed(api)
    alice = person("about:blank")
    alice.page.clock.install()
    alice.page.goto(session["invite_url"])
    alice.sees("ready")
    hide(alice.page, True)
    attempt_by_api(api, session)
    api.wait(session["id"], lambda found: found["status"] == "verified")
    asked = len(alice.watched.requests)
    alice.page.clock.run_for(600_000)
    assert len(alice.watched.requests) == asked
    hide(alice.page, False)
    alice.sees("files")


def hide(page: Page, hidden: bool) -> None:
    """Hides or shows the page, as a browser does when another tab is selected."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


# --- layout


def test_no_step_is_wider_than_a_small_phone(person: NewPerson, api: Api) -> None:
    long = "a-name-without-any-place-to-break-it-in-two-parts-somewhere-here"
    asset = {"name": long, "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 5}
    session = invited(api, assets=[asset])
    alice = person(session["invite_url"], viewport={"width": 320, "height": 640})

    def fits() -> None:
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= 320

    for place, step in (("consent", alice.agrees), ("ready", alice.starts), ("", alice.page.go_back)):
        if place:
            alice.sees(place)
            fits()
        step()
    alice.sees("open")
    fits()
    alice.starts()
    alice.passes(outcome="fail")
    alice.sees("retry")
    fits()
    attempt_by_api(api, session)
    alice.sees("files")
    alice.adds({"name": f"{long}.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(alice.page.locator(".file[data-state=refused]")).to_be_visible()
    fits()


@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "computer"])
def test_the_layout_does_not_shift_while_the_page_loads(person: NewPerson, api: Api, device: dict[str, Any]) -> None:
    session = invited(api, language="zh")  # another language than the browser's: the text changes once
    alice = person(session["invite_url"], **device)
    alice.sees("consent")
    moved = alice.page.evaluate(
        """() => new Promise((done) => {
            let sum = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) sum += entry.value;
            }).observe({ type: "layout-shift", buffered: true });
            requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
        })"""
    )
    assert moved < 0.01


def test_touch_targets_are_large_enough(person: NewPerson, api: Api, media: DemoMedia) -> None:
    session = verified(api, assets=[registration(media.portrait_jpeg, "Image", "image/jpeg", name="front")])
    alice = person(session["invite_url"])
    alice.sees("files")
    alice.adds({"name": "note.txt", "mimeType": "text/plain", "buffer": b"x"})
    alice.sees_file("note.txt", "refused")
    touched = alice.page.locator("button:visible, select:visible, label:visible")
    heights = [(each.inner_text(), (each.bounding_box() or {"height": 0})["height"]) for each in touched.all()]
    assert [each for each in heights if each[1] < 44] == []
    assert len(heights) > 5


def test_without_scripts_the_page_says_that_it_needs_them(person: NewPerson, stack: Stack) -> None:
    visitor = person(f"{stack.api_url}/invite", java_script_enabled=False)
    shown = visitor.page.locator(".noscript p")
    for each, text in zip(shown.all(), ("This page needs", "此页面需要", "此頁面需要"), strict=True):
        expect(each).to_be_visible()
        expect(each).to_contain_text(f"{text} JavaScript")
    expect(visitor.page.get_by_role("combobox")).to_be_hidden()
