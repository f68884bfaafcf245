"""Invites, keys and webhooks in the operator's console, in a real browser with the deployed stack."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from likeness.domain.caller import key_digest
from local import emulator
from local.receiver import Receiver
from local.stack import Stack
from ops.client_keys import ClientKeys
from ops.webhooks import Webhooks
from tests.browser.conftest import DESKTOP, PHONE, TIMEOUT_MS, OpenPage, Watched
from tests.browser.test_screens import Shoot, shoot  # noqa: F401  a fixture
from tests.integration.conftest import Api, Canaries
from tests.people_files import BAD, BODIES, GOOD, KEYS

REFUSED = r"status of 40[03]"
NARROWEST: dict[str, Any] = {"viewport": {"width": 320, "height": 640}}
WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('dialog[open]')?.scrollWidth ?? 0)"
expect.set_options(timeout=TIMEOUT_MS)

Enter = Callable[..., Watched]


@pytest.fixture
def enter(open_page: OpenPage, stack: Stack) -> Enter:
    """``enter(client, where="#…", **options of open_page)``: a console with that client's key typed in."""

    def entered(client: Api, where: str = "", **options: Any) -> Watched:
        watched: Watched = open_page(f"{stack.api_url}/console{where}", **({"phone": False} | options))
        watched.page.get_by_label("Client key").fill(str(client.credential))
        watched.page.get_by_role("button", name="Sign in").click()
        expect(watched.page.get_by_role("button", name="Sign out")).to_be_visible()
        return watched

    return entered


def dialog(page: Page) -> Locator:
    return page.locator("dialog[open]")


def press(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name).first.click()  # an empty list has a second "New session"


def people_csv(*lines: str) -> FilePayload:
    text = "".join(f"{each}\r\n" for each in ("reference,language,return_url,requests", *lines))
    return {"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode("utf-8-sig")}


def saved(page: Page, canaries: Canaries) -> list[dict[str, str]]:
    with page.expect_download() as download:
        press(page, "Save the links")
    path = download.value.path()
    assert path
    rows = list(csv.DictReader(io.StringIO(Path(path).read_text("utf-8-sig"), newline="")))
    canaries.notice(rows)
    return rows


def test_an_invite_link_is_replaced_and_revoked(
    enter: Enter, open_page: OpenPage, fresh_client: Api, canaries: Canaries
) -> None:
    made = fresh_client.session(start="on_open", reference="of-the-invite")
    page = enter(fresh_client, f"#{made['id']}").page
    press(page, "Invite link…")
    press(page, "Create new link")
    expect(page.get_by_role("heading", name="Invite link created")).to_be_focused()
    link = dialog(page).get_by_label("the invite link", exact=True).input_value()
    canaries.notice(link)
    person = fresh_client.with_credential(link.partition("#")[2])
    assert person("GET", f"/sessions/{made['id']}").status_code == 200
    press(page, "Close")
    expect(page.locator("#invite-link")).to_be_empty()
    press(page, "Invite link…")
    press(page, "Revoke link")
    expect(page.get_by_role("heading", name="Invite link revoked")).to_be_focused()
    assert person("GET", f"/sessions/{made['id']}").status_code == 403
    # The page of a revoked link is that of any link that is not valid.
    texts = []
    for each in (link, f"{link[:-4]}AAAA"):
        shown = open_page(each, allowed=[REFUSED]).page
        expect(shown.get_by_role("heading").first).to_be_visible()
        shown.wait_for_load_state("networkidle")
        texts.append(shown.locator("main").inner_text())
    assert texts[0] == texts[1]
    assert texts[0]


def test_the_console_reads_files_of_people_like_the_command(modules: Page) -> None:
    read = """async (files) => {
        const { readPeople, keyOf } = await import("./console_batch.js");
        const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer;
        const found = [];
        for (const file of files) {
            const { people, faults } = readPeople(bytes(file));
            for (const each of people) each.key = await keyOf(each.body);
            found.push({ people, faults });
        }
        return found;
    }"""
    good, *bad = modules.evaluate(
        read, [base64.b64encode(each).decode() for each in [GOOD, *(b for b, _ in BAD.values())]]
    )
    assert {each["line"]: each["body"] for each in good["people"]} == BODIES
    assert {each["line"]: each["key"] for each in good["people"]} == KEYS
    for name, found in zip(BAD, bad, strict=True):
        assert sorted((each["line"], each["column"]) for each in found["faults"]) == BAD[name][1], name
        assert found["people"] == []


def test_a_batch_is_checked_previewed_created_once_and_saved(
    enter: Enter, fresh_client: Api, canaries: Canaries
) -> None:
    page = enter(fresh_client, allowed=[REFUSED]).page
    press(page, "Invite from a file…")
    chooser = page.get_by_label("CSV file (UTF-8)")
    chooser.set_input_files(people_csv("person-of-batch-1,en,,", "person-of-batch-2,fr,,", ",en,,"))
    expect(page.locator("#batch-faults > li")).to_have_text(
        [re.compile("Line 3, language"), re.compile("Line 4, reference")]
    )
    expect(page.locator("#batch-problem")).to_contain_text("Nothing was created")
    assert fresh_client("GET", "/sessions").json()["sessions"] == []

    good = people_csv(
        'person-of-batch-1,en,,"front:Image; voice:Audio?"',
        "person-of-batch-2,zh-Hant,https://elsewhere.example.com/,",  # not one of the client's origins
        "=person-of-batch-3,,,",
    )
    results = []
    for _ in range(2):
        chooser.set_input_files(good)
        expect(page.locator("#batch-rows > tr")).to_have_count(3)
        expect(page.locator("#batch-rows > tr").first).to_contain_text("front (Image), voice (Audio, optional)")
        press(page, "Invite 3 people")
        expect(page.get_by_role("heading", name="2 of 3 people invited")).to_be_focused()
        expect(page.locator("#batch-refused > li")).to_have_text(re.compile("Line 3: invalid_request: .*return_url"))
        results.append(saved(page, canaries))
        press(page, "Close")
        expect(page.locator("#batch-rows")).to_be_empty()
        press(page, "Invite from a file…")
    assert results[0] == results[1]
    made = fresh_client("GET", "/sessions").json()["sessions"]
    assert {each["id"] for each in made} == {each["session_id"] for each in results[0]} - {""}
    assert len(made) == 2
    assert [each["reference"] for each in results[0]][2] == "'=person-of-batch-3"
    assert page.evaluate("Object.keys(sessionStorage).concat(Object.keys(localStorage))") == ["console.key"]
    person = fresh_client.with_credential(results[0][0]["invite_url"].partition("#")[2])
    assert person("GET", f"/sessions/{results[0][0]['session_id']}").status_code == 200


def test_a_batch_waits_while_the_api_is_busy_and_can_be_stopped(enter: Enter, fresh_client: Api) -> None:
    watched = enter(fresh_client, allowed=["status of (429|503)", "ERR_FAILED"])
    page, tries = watched.page, []

    def busy(route: Any) -> None:
        tries.append(route.request.headers["idempotency-key"])
        if len(tries) in (1, 2, 5):
            status, headers = (429, {"Retry-After": "1"}) if len(tries) == 1 else (503, {})
            route.fulfill(status=status, headers=headers, json={"title": "Busy", "code": "throttled"})
        elif len(tries) > 5:
            route.fulfill(status=503, headers={"Retry-After": "20"}, json={"title": "Busy", "code": "throttled"})
        else:
            route.continue_()

    page.route("**/v1/sessions", lambda route: busy(route) if route.request.method == "POST" else route.continue_())
    press(page, "Invite from a file…")
    page.get_by_label("CSV file (UTF-8)").set_input_files(people_csv(*(f"person-{each},,," for each in range(3))))
    press(page, "Invite 3 people")
    expect(page.locator("#batch-progress-text")).to_have_text("2 of 3")
    press(page, "Stop")
    expect(page.get_by_role("heading", name="2 of 3 people invited")).to_be_visible()
    expect(page.get_by_text("The run ended early")).to_be_visible()
    assert len(set(tries[:3])) == 1
    assert len({each["id"] for each in fresh_client("GET", "/sessions").json()["sessions"]}) == 2


def test_a_new_session_asks_for_files_in_the_browsers_language_with_a_recorded_consent(
    enter: Enter, fresh_client: Api, canaries: Canaries
) -> None:
    page = enter(fresh_client, locale="zh-TW", timezone_id="Asia/Taipei", allowed=[REFUSED]).page
    press(page, "New session")
    expect(page.get_by_label("Language of the face check")).to_have_value("zh-Hant")
    press(page, "Add a file")
    page.get_by_label("Name of the file").fill("front")
    page.get_by_label("Hint for the person").fill("Look at the camera")
    press(page, "Add a file")
    second = page.locator("#new-requests > li").nth(1)
    second.get_by_label("Name of the file").fill("..")
    second.get_by_label("Type").select_option("Audio")
    second.get_by_label("required").uncheck()
    page.get_by_label("I have recorded").check()
    page.get_by_label("Version of the text").fill("ours-1")
    page.get_by_label("Given at").fill("2026-11-01T09:30")
    press(page, "Create session")
    expect(second.get_by_label("Name of the file")).to_be_focused()
    expect(second.get_by_label("Name of the file")).to_have_attribute("aria-invalid", "true")
    second.get_by_label("Name of the file").fill("voice")
    press(page, "Create session")
    expect(page.get_by_role("heading", name="Session created")).to_be_focused()
    canaries.notice(dialog(page).get_by_label("the invite link", exact=True).input_value())
    (listed,) = fresh_client("GET", "/sessions").json()["sessions"]
    made = fresh_client.get(listed["id"])
    assert made["language"] == "zh-Hant"
    assert [(each["name"], each["asset_type"], each["hint"], each["required"]) for each in made["requests"]] == [
        ("front", "Image", "Look at the camera", True), ("voice", "Audio", None, False),
    ]  # fmt: skip
    assert made["consent"]["text_version"] == "ours-1"
    assert made["consent"]["given_at"].startswith("2026-11-01T01:30:00"), "Taipei is eight hours ahead of UTC"


@pytest.fixture
def webhooks(stack: Stack) -> Webhooks:
    return Webhooks(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"], private=True)


@pytest.fixture
def client_id(fresh_client: Api, keys: ClientKeys) -> str:
    key_id = key_digest(str(fresh_client.credential))[:12]
    return next(each.client_id for each in keys.known() if each.key_id == key_id)


@pytest.fixture
def endpoint(webhooks: Webhooks, client_id: str) -> Iterator[tuple[Receiver, str]]:
    with Receiver() as receiver:
        made = webhooks.add(client_id, f"{receiver.url}/hooks/likeness?token=kept-in-the-table")
        yield receiver, made.id
        webhooks.remove(made.id)


def test_keys_are_listed_and_a_webhook_is_tested_and_replayed(
    enter: Enter, fresh_client: Api, endpoint: tuple[Receiver, str]
) -> None:
    receiver, webhook_id = endpoint
    page = enter(fresh_client, "#access").page
    expect(page.get_by_role("heading", name="Access")).to_be_visible()
    expect(page.locator("#client-keys > li")).to_have_count(1)
    expect(page.locator("#client-keys .badge")).to_have_text("active")
    card = page.locator("#webhooks > li")
    expect(card).to_contain_text("/hooks/likeness")
    expect(card).to_contain_text(webhook_id)
    expect(card.locator(".badge")).to_have_text("enabled")
    assert "kept-in-the-table" not in page.content()
    assert str(fresh_client.credential) not in page.content()
    press(page, "Send a test event")
    expect(card.locator(".note")).to_have_text(re.compile("^evt_.* is queued"))
    receiver.wait(lambda found: any(each.id in card.locator(".note").inner_text() for each in found), 60)
    press(page, "Send failed deliveries again")
    expect(card.locator(".note")).to_have_text("0 deliveries are queued again.")
    press(page, "Sign out")
    expect(page.locator("#client-keys")).to_be_empty()
    expect(page.locator("#webhooks")).to_be_empty()


def views(page: Page) -> Iterator[str]:
    """Yields every new view and dialog."""
    press(page, "New session")
    press(page, "Add a file")
    page.get_by_label("I have recorded").check()
    yield "new-session"
    page.keyboard.press("Escape")
    press(page, "Invite from a file…")
    chooser = page.get_by_label("CSV file (UTF-8)")
    chooser.set_input_files(people_csv("order-1,fr,,", "order-2,en,,front"))
    expect(page.locator("#batch-faults > li")).to_have_count(2)
    yield "batch-faults"
    chooser.set_input_files(people_csv(*(f'order-{each},en,,"front:Image; voice:Audio?"' for each in range(12))))
    expect(page.locator("#batch-rows > tr")).to_have_count(12)
    yield "batch-preview"
    press(page, "Invite 12 people")
    expect(page.get_by_role("heading", name="12 of 12 people invited")).to_be_visible()
    yield "batch-done"
    press(page, "Close")
    page.locator("#rows > li").first.get_by_role("link").click()
    press(page, "Invite link…")
    yield "invite"
    press(page, "Revoke link")
    expect(page.get_by_role("heading", name="Invite link revoked")).to_be_visible()
    yield "invite-revoked"
    press(page, "Close")
    page.get_by_role("link", name="Access").click()
    expect(page.locator("#webhooks > li").nth(1)).to_be_visible()
    yield "access"


@pytest.mark.parametrize(
    ("name", "options"),
    [("1280", DESKTOP), ("390-dark", PHONE | {"color_scheme": "dark"}), ("320", NARROWEST)],
    ids=["1280", "390-dark", "320"],
)
def test_every_new_view_is_accessible_and_fits(
    enter: Enter, fresh_client: Api, webhooks: Webhooks, client_id: str, endpoint: Any, canaries: Canaries,
    shoot: Shoot, name: str, options: dict[str, Any],  # noqa: F811
) -> None:  # fmt: skip
    failing = webhooks.add(client_id, "https://failing.example.com/hooks", ["likeness.session.verified"])
    webhooks._read.failed(failing, 1_790_000_000.0, "503")
    watched = enter(fresh_client, reduced_motion="reduce", **options)
    for view in views(watched.page):
        watched.accessible(f"{view}, {name}")
        assert watched.page.evaluate(WIDTH) <= options["viewport"]["width"], view
        shoot(watched.page, f"console-{name}-{view}")
    webhooks.remove(failing.id)
