"""Screenshots of every step, for a person's phone and an operator's desktop; `make screenshots` keeps them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from local.media import DemoMedia, make_media
from tests.browser.conftest import OpenPage
from tests.browser.person import Person, invited, verified
from tests.integration.conftest import Api, registration, send_file, settled

Shoot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


@pytest.fixture
def shoot(tmp_path: Path) -> Shoot:
    """Saves a screenshot by name, in the folder that SCREENSHOTS names."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def picture(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}.png", animations="disabled")
        assert (folder / f"{name}.png").stat().st_size > 5_000, "an empty page"

    return picture


@pytest.mark.parametrize(("device", "language"), [("phone", "zh"), ("phone", "en"), ("desktop", "en")])
def test_screens_of_a_person(
    open_page: OpenPage, api: Api, media: DemoMedia, shoot: Shoot, device: str, language: str
) -> None:
    session = invited(api, language=language)
    alice = Person(open_page(session["invite_url"], phone=device == "phone"))
    name = f"{device}-{language}"
    alice.sees("consent")
    shoot(alice.page, f"{name}-1-consent")
    alice.agrees()
    shoot(alice.page, f"{name}-2-ready")
    alice.starts()
    shoot(alice.page, f"{name}-3-h5")
    alice.passes(outcome="fail")
    alice.sees("retry")
    shoot(alice.page, f"{name}-4-retry")
    alice.starts()
    alice.passes()
    alice.sees("files")
    shoot(alice.page, f"{name}-5-files")
    alice.adds(media.portrait_jpeg, media.clip_mp4, media.other_person_jpeg)
    alice.sees_file(media.portrait_jpeg.name, "active")
    alice.sees_file(media.clip_mp4.name, "active")
    alice.sees_file(media.other_person_jpeg.name, "failed")
    shoot(alice.page, f"{name}-6-settled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screens_of_an_operator(
    open_page: OpenPage, fresh_client: Api, api: Api, media: DemoMedia, shoot: Shoot, scheme: str
) -> None:
    for number in range(5):
        invited(fresh_client, reference=f"order-{number + 1}")
    session = verified(fresh_client, reference="order-6")
    for file, kind, content_type in (
        (media.portrait_jpeg, "Image", "image/jpeg"),
        (media.other_person_jpeg, "Image", "image/jpeg"),
        (media.clip_mp4, "Video", "video/mp4"),
    ):
        made = fresh_client("POST", f"/sessions/{session['id']}/assets", json=registration(file, kind, content_type))
        assert send_file(made.json()["upload"], file.read_bytes()).ok
    fresh_client.wait(session["id"], settled)
    page = open_page(f"{api.stack.api_url}/console", phone=False, color_scheme=scheme).page
    shoot(page, f"console-{scheme}-1-key")
    page.get_by_label("Client key").fill(str(fresh_client.credential))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("order-6").first).to_be_visible()
    expect(page.get_by_role("button", name="all 6")).to_be_visible()
    shoot(page, f"console-{scheme}-2-sessions")
    page.get_by_text("order-6").first.click()
    expect(page.get_by_text(media.clip_mp4.name).first).to_be_visible()
    shoot(page, f"console-{scheme}-3-session")
    page.get_by_role("link", name="Numbers").click()
    expect(page.get_by_role("heading", name="Numbers")).to_be_visible()
    shoot(page, f"console-{scheme}-4-numbers")
