"""Generations in the operator's console: the list, one with its media, and the uses of a person.

The first test is the whole story on the deployed stack. The others answer the page's requests with the contract's
examples: they show states that take long, or that only another person's decision brings about.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Locator, Page, Route, ViewportSize, expect

from local.media import DemoMedia, make_media
from local.stack import Stack
from tests.browser.conftest import DESKTOP, PHONE, TIMEOUT_MS
from tests.browser.person import verified
from tests.browser.test_console_invites import Enter, enter
from tests.contract_file import EXAMPLES
from tests.integration.conftest import Api, registration, send_file

__all__ = ["enter"]

NARROWEST: ViewportSize = {"width": 320, "height": 640}
FORBIDDEN, CONFLICT = "status of 403", "status of 409"
PEOPLE = ["ses_01KE1Q5V0G8Z6W3N4R2T7Y9XAB", "ses_01KE1Q5V0G8Z6W3N4R2T7Y9XAC"]
#: Whether a video has its first frame, and how long it is in seconds.
LOADED = "(video) => video.readyState >= HTMLMediaElement.HAVE_METADATA && video.duration"
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


def generation(number: int, example: str = "generation_succeeded", **changes: Any) -> dict[str, Any]:
    """Returns an example of the contract with an id of its own, and no media."""
    made: dict[str, Any] = copy.deepcopy(EXAMPLES[example]["value"])
    made |= {"id": f"gen_01KE1Q5V0G8Z6W3N4R2T7Y9{number:03}", "reference": made["reference"] and f"order-{number}"}
    if made["result"]:
        made["result"]["media"] = []
    return {**made, **changes}


def use(number: int, **changes: Any) -> dict[str, Any]:
    (example,) = EXAMPLES["uses"]["value"]["uses"]
    return {**example, "generation_id": f"gen_01KE1Q5V0G8Z6W3N4R2T7Y9{number:03}", **changes}


@dataclass
class Answers:
    """The API's answers about generations and uses, which a test can change. ``asked`` are the requests."""

    generations: list[dict[str, Any]]
    uses: list[dict[str, Any]] = field(default_factory=list)
    #: The status and the example for a request, instead of its answer.
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    media: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer_to(self, page: Page) -> None:
        """Answers the requests of a page from now on."""
        page.route(re.compile(r"/v1/(generations\b|sessions/\w+/uses\b)"), self._answer)

    def _answer(self, route: Route) -> None:
        method, url = route.request.method, urlsplit(route.request.url)
        path = url.path.partition("/v1/")[2]
        self.asked.append(f"{method} {path}")
        if path in self.refusals or method in self.refusals:
            status, example = self.refusals.get(path) or self.refusals[method]
            return route.fulfill(
                status=status, content_type="application/problem+json", json=EXAMPLES[example]["value"]
            )
        query = {name: each for name, (each,) in parse_qs(url.query).items()}
        if path == "generations":
            wanted = [each for each in self.generations if query.get("status") in (None, each["status"])]
            return route.fulfill(json=_page("generations", [_listed(each) for each in wanted], query))
        if path.endswith("/uses"):
            return route.fulfill(json=_page("uses", self.uses, query))
        (found,) = (each for each in self.generations if each["id"] == path.split("/")[1])
        if method == "DELETE":
            found |= {"erased_at": "2026-01-03T08:00:00Z", "reference": None, "result": None}
        if method == "POST":
            found |= {"status": "canceled", "ended_at": "2026-01-02T04:00:01Z"}
        return route.fulfill(json=self._whole(found))

    def _whole(self, found: dict[str, Any]) -> dict[str, Any]:
        """A generation with its media, whose URLs are new in each answer."""
        if not found["result"]:
            return found
        new = [each | {"url": f"{each['url']}?X-Amz-Signature={len(self.asked)}"} for each in self.media]
        return found | {"result": found["result"] | {"media": new}}


def _listed(found: dict[str, Any]) -> dict[str, Any]:
    problem = found["media_problem"]
    shown = {name: each for name, each in found.items() if name != "result"}
    return shown | {"media_problem": problem and {name: problem[name] for name in ("code", "message")}}


def _page(name: str, found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    start = int(query.get("cursor", 0))
    end = start + int(query["limit"])
    return {name: found[start:end], "next_cursor": str(end) if end < len(found) else None}


def stored(stack: Stack, page: Page, media: DemoMedia) -> list[dict[str, Any]]:
    """Returns a video and its last frame as if they were in the upload bucket, at an address that the policy names."""
    policy = requests.get(f"{stack.api_url}/console", timeout=30).headers["Content-Security-Policy"]
    (bucket,) = re.findall(r"media-src (\S+?)[ ;]", policy)
    page.route(f"{bucket}/generations/clip.mp4*", lambda route: route.fulfill(path=media.clip_mp4))
    page.route(f"{bucket}/generations/frame.jpg*", lambda route: route.fulfill(path=media.portrait_jpeg))
    kinds = (("clip.mp4", "video/mp4"), ("frame.jpg", "image/jpeg"))
    return [
        {"url": f"{bucket}/generations/{name}", "content_type": kind, "size_bytes": 27736, "sha256": f"{number:064}"}
        for number, (name, kind) in enumerate(kinds)
    ]


def rows(page: Page) -> Locator:
    return page.locator("#generations-rows > li")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_video_is_followed_played_and_erased(enter: Enter, fresh_client: Api, media: DemoMedia) -> None:
    session = verified(fresh_client, reference="is-shown")
    path = f"/sessions/{session['id']}"
    asset = fresh_client("POST", f"{path}/assets", json=registration(media.portrait_jpeg, "Image", "image/jpeg")).json()
    send_file(asset["upload"], media.portrait_jpeg.read_bytes())
    (asset,) = fresh_client.wait(session["id"], lambda each: each["assets"][0]["status"] == "active")["assets"]
    body = {
        "model": "bytedance/seedance2-0-r2v",
        "input": {"prompt": "[Image1] waves", "reference_images": [asset["uri"]], "duration": 5},
        "reference": "order-1",
    }
    made = fresh_client("POST", "/generations", json=body, headers={"Idempotency-Key": "order-1"})
    assert made.status_code == 202, made.text
    watched = enter(fresh_client, "#generations")
    page = watched.page
    expect(rows(page)).to_contain_text("order-1")
    rows(page).get_by_role("link").first.click()
    expect(page.locator("#generation-title")).to_be_focused()
    expect(page.locator("#generation-status")).to_have_text("succeeded", timeout=90_000)
    expect(rows(page).locator(".badge")).to_have_text("succeeded")
    expect(page.locator("#generation-facts")).to_contain_text("credits")
    video = page.locator("#media video")
    expect(video).to_have_attribute("preload", "metadata")
    page.wait_for_function(f"({LOADED})(document.querySelector('#media video')) > 0")
    watched.accessible("a generation")
    # Its person, and there the use of the likeness.
    page.locator("#generation-facts").get_by_role("link").click()
    expect(page.locator("#session-title")).to_have_text("is-shown")
    expect(page.locator("#uses-rows > li")).to_contain_text("succeeded")
    page.locator("#uses-rows").get_by_role("link").click()
    expect(page.locator("#generation-title")).to_have_text("order-1")

    press(page, "Erase…")
    page.get_by_role("dialog").get_by_role("button", name="Erase generation").click()
    expect(page.locator("#generation-title")).to_have_text("Erased generation")
    expect(page.locator("#media > *")).to_have_count(0)
    expect(page.get_by_role("button", name="Erase…", exact=True)).to_be_disabled()
    assert fresh_client("GET", f"/generations/{made.json()['id']}").json()["erased_at"]
    page.go_back()
    expect(page.locator("#uses-rows > li")).to_contain_text("succeeded")


def test_the_list_is_filtered_and_paged(enter: Enter, fresh_client: Api) -> None:
    failed = [generation(each, "generation_failed", session_ids=PEOPLE) for each in range(30)]
    answers = Answers([*failed, generation(30, purpose=None, reference=None), generation(31, "generation_erased")])
    page = enter(fresh_client).page
    answers.answer_to(page)
    page.get_by_role("link", name="Generations").click()
    expect(page.locator("#generations-title")).to_be_focused()
    expect(rows(page)).to_have_count(25)
    first = rows(page).first
    for words in (
        "order-0",
        "failed",
        "bytedance/seedance2-0-r2v",
        "advertising",
        "0\u00a0credits",
        "generation failed",
    ):
        expect(first).to_contain_text(words)
    links = first.locator(".people a").evaluate_all("(all) => all.map((each) => each.getAttribute('href'))")
    assert links == [f"#{each}" for each in PEOPLE]
    # The next page is added, and is part of each update. The button is gone, so the focus goes on.
    press(page, "More")
    expect(rows(page)).to_have_count(32)
    expect(rows(page).nth(25).locator("a").first).to_be_focused()
    expect(rows(page).nth(30)).to_contain_text("no reference")
    expect(rows(page).nth(31)).to_contain_text("erased")
    answers.generations[28]["status"] = "succeeded"
    expect(rows(page).nth(28).locator(".badge")).to_have_text("succeeded")
    press(page, "succeeded")
    expect(page.get_by_role("button", name="succeeded", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(rows(page)).to_have_count(3)
    press(page, "uncertain")
    expect(page.locator("#generations-note")).to_have_text("No generations.")


def test_each_state_is_explained(enter: Enter, fresh_client: Api) -> None:
    unavailable = {"code": "media_unavailable", "message": "Not saved"} | {
        "upstream_media_urls": ["https://crun.example.com/clip.mp4"]
    }
    unknown = {"code": "task_unknown", "message": "It is not known", "upstream_code": None, "retryable": False}
    answers = Answers(
        [
            generation(0, "generation_queued"),
            generation(1, "generation_failed"),
            generation(2, "generation_without_media"),
            generation(3, media_problem=unavailable),
            generation(4, "generation_erased"),
            generation(5, status="uncertain", result=None, credits=None, error=unknown),
        ]
    )
    page = enter(fresh_client, allowed=["status of 404"]).page
    answers.answer_to(page)
    problem, note = page.locator("#generation-problem"), page.locator("#media-note")
    for number, reason, none in (
        (0, None, "They appear here when they are ready."),
        (1, "(generation_failed, crun code 501) A new generation may succeed.", "There are none."),
        (2, "It was not saved. (consent_withdrawn)", "There are none."),
        (3, "Not saved (media_unavailable)", "There are none."),
        (4, None, "Erased."),
        (5, "It is not known (task_unknown)", "There are none."),
    ):
        page.goto(f"{page.url.partition('#')[0]}#{answers.generations[number]['id']}")
        expect(page.locator("#generation-id")).to_have_text(answers.generations[number]["id"])
        expect(note).to_have_text(none)
        expect(problem).to_be_hidden() if reason is None else expect(problem).to_contain_text(reason)
        link = page.get_by_role("link", name="File 1")
        expect(link).to_have_count(1 if number == 3 else 0)
    unknown_id = f"{answers.generations[0]['id'][:-3]}ZZZ"
    answers.refusals[f"generations/{unknown_id}"] = (404, "no_generation")
    page.goto(f"{page.url.partition('#')[0]}#{unknown_id}")
    expect(page.locator("#generation-note")).to_contain_text("Generation not found")


def test_a_video_plays_on_while_its_url_is_renewed(
    enter: Enter,
    fresh_client: Api,
    stack: Stack,
    media: DemoMedia,
) -> None:
    running = generation(0, status="running", ended_at=None, credits=None, result=None)
    answers = Answers([running, generation(1)])
    watched = enter(fresh_client)
    page = watched.page
    answers.media = stored(stack, page, media)
    answers.answer_to(page)
    page.goto(f"{page.url.partition('#')[0]}#{running['id']}")
    expect(page.locator("#generation-status")).to_have_text("running")
    expect(page.get_by_role("button", name="Erase…", exact=True)).to_be_disabled()
    assert not [each for each in watched.requests if "X-Amz" in each.url], "the list has no media"
    running |= {"status": "succeeded", "ended_at": running["updated_at"], "result": {"media": [], "usage": {}}}
    expect(page.locator("#announce")).to_have_text("Generation succeeded")
    video = page.locator("#media video")
    page.wait_for_function(f"({LOADED})(document.querySelector('#media video')) > 0")
    assert page.locator("#media img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
    url = video.get_attribute("src")
    asked = answers.asked.count(f"GET generations/{running['id']}")
    page.evaluate("dispatchEvent(new Event('online'))")  # updates at once
    while answers.asked.count(f"GET generations/{running['id']}") < asked + 2:
        page.wait_for_timeout(50)
        page.evaluate("dispatchEvent(new Event('online'))")
    assert video.get_attribute("src") == url
    expect(page.locator("#media")).to_contain_text("0" * 63 + "1")
    # It is gone from the page with the view, and comes back.
    page.keyboard.press("Escape")
    expect(page.locator(f'[href="#{running["id"]}"]')).to_be_focused()
    expect(video).to_have_count(0)
    page.keyboard.press("Enter")
    expect(video).to_have_count(1)
    # A file that was deleted, or a link that has expired.
    page.route(f"{answers.media[0]['url']}*", lambda route: route.fulfill(status=404))
    watched.allowed.append("status of 404")
    page.reload()
    expect(page.locator("#media").get_by_role("alert").first).to_contain_text("This file cannot be loaded.")


def test_a_generation_is_canceled_or_says_why_not(enter: Enter, fresh_client: Api) -> None:
    queued = generation(0, "generation_queued")
    answers = Answers([queued], refusals={"POST": (409, "already_created")})
    page = enter(fresh_client, allowed=[CONFLICT]).page
    answers.answer_to(page)
    page.goto(f"{page.url.partition('#')[0]}#{queued['id']}")
    press(page, "Cancel generation")
    expect(page.locator("#generation-alert")).to_contain_text("(already_created)")
    answers.refusals.clear()
    press(page, "Cancel generation")
    expect(page.locator("#generation-status")).to_have_text("canceled")
    expect(page.locator("#generation-title")).to_be_focused()
    expect(page.get_by_role("button", name="Cancel generation")).to_be_hidden()
    expect(page.locator("#generation-alert")).to_be_hidden()
    # An erasure is asked about first.
    for leave in ("Cancel", "Escape"):
        press(page, "Erase…")
        expect(page.get_by_role("dialog")).to_contain_text("cannot be undone")
        if leave == "Cancel":
            page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        else:
            page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Erase…", exact=True)).to_be_focused()
    answers.refusals["DELETE"] = (409, "generation_running")
    press(page, "Erase…")
    press(page, "Erase generation")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("(generation_running)")
    answers.refusals.clear()
    press(page, "Erase generation")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#generation-title")).to_be_focused()
    expect(page.locator("#generation-title")).to_have_text("Erased generation")


def test_generation_that_is_switched_off_is_said_and_signs_nobody_out(enter: Enter, fresh_client: Api) -> None:
    off = (403, "generation_disabled")
    answers = Answers([generation(0)], refusals={"GET": off})
    page = enter(fresh_client, allowed=[FORBIDDEN]).page
    answers.answer_to(page)
    page.get_by_role("link", name="Generations").click()
    expect(page.locator("#generations-off")).to_contain_text("Generation is switched off")
    expect(page.locator("#generations-off").get_by_role("link")).to_have_attribute("href", "docs")
    page.goto(f"{page.url.partition('#')[0]}#{answers.generations[0]['id']}")
    expect(page.locator("#generation-note")).to_contain_text("(generation_disabled)")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    answers.refusals.clear()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#generations-off")).to_be_hidden()


def test_a_session_has_the_uses_of_its_person(enter: Enter, fresh_client: Api) -> None:
    made = fresh_client.session(start="on_open", reference="is-used")
    answers = Answers([generation(1)])
    page = enter(fresh_client).page
    answers.answer_to(page)
    page.goto(f"{page.url.partition('#')[0]}#{made['id']}")
    expect(page.locator("#uses-note")).to_have_text("This likeness was not used yet.")
    answers.uses = [
        use(1, outcome=None, asset_ids=["ast_1", "ast_2"]),
        use(2, outcome="withheld", reason="consent_withdrawn", purpose=None),
        *(use(each) for each in range(3, 23)),
    ]
    page.reload()
    uses = page.locator("#uses-rows > li")
    expect(uses).to_have_count(20)
    for words in ("running", "advertising", "seedance2-0-r2v", "2 files"):
        expect(uses.first).to_contain_text(words)
    expect(uses.nth(1)).to_contain_text("withheld")
    expect(uses.nth(1)).to_contain_text("consent withdrawn")
    press(page, "More uses")
    expect(uses).to_have_count(22)
    uses.first.get_by_role("link").click()
    expect(page.locator("#generation-title")).to_have_text("order-1")


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")])
def test_every_view_is_accessible_and_fits(
    enter: Enter,
    fresh_client: Api,
    stack: Stack,
    media: DemoMedia,
    *,
    phone: bool,
    scheme: str,
) -> None:
    made = fresh_client.session(start="on_open")
    answers = Answers([generation(0, session_ids=PEOPLE), generation(1, "generation_failed")], [use(0)])
    watched = enter(fresh_client, phone=phone, color_scheme=scheme, reduced_motion="reduce")
    page = watched.page
    answers.media = stored(stack, page, media)
    answers.answer_to(page)
    own = (PHONE if phone else DESKTOP)["viewport"]
    sizes = [own, NARROWEST] if phone else [own]
    for where in ("generations", *(each["id"] for each in answers.generations), made["id"]):
        page.goto(f"{page.url.partition('#')[0]}#{where}")
        expect(page.locator("#generations-rows > li, #uses-rows > li").first).to_be_attached()
        if where == answers.generations[0]["id"]:
            expect(page.locator("#media video")).to_be_visible()
        watched.accessible(f"{where}, {scheme}")
        for size in sizes:
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], where
        page.set_viewport_size(sizes[0])
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= sizes[0]["width"], f"{where}, twice the size"
        page.evaluate("document.documentElement.style.fontSize = ''")
    page.goto(f"{page.url.partition('#')[0]}#{answers.generations[0]['id']}")
    press(page, "Erase…")
    watched.accessible(f"the question before the erasure, {scheme}")
