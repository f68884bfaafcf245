"""Screenshots of every step, for a person's phone and an operator's desktop; `make screenshots` keeps them."""

# ruff: noqa: RUF001 - Chinese has its own punctuation

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from local.media import DemoMedia, make_media
from tests.browser.conftest import OpenPage
from tests.browser.person import Person, invited, verified
from tests.integration.conftest import Api, registration, send_file, settled

REQUESTS: dict[str, list[dict[str, Any]]] = {
    language: [
        {"name": front, "asset_type": "Image", "hint": look},
        {"name": clip, "asset_type": "Video", "hint": turn},
        {"name": voice, "asset_type": "Audio", "hint": say, "required": False},
    ]
    for language, (front, look, clip, turn, voice, say) in {
        "zh": (
            "正面照片", "看着镜头，光线充足，不戴眼镜",
            "转头视频", "慢慢从左转到右，约 5 秒",
            "声音样本", "请朗读：“今天天气很好，我们去公园散步。”",
        ),
        "en": (
            "Front", "Look into the camera, in good light, without glasses",
            "Turning your head", "Slowly from left to right, about 5 seconds",
            "Your voice", "Please say: “The weather is fine today, let us take a walk.”",
        ),
        "zh-Hant": (
            "正面照片", "看著鏡頭，光線充足，不戴眼鏡",
            "轉頭影片", "慢慢從左轉到右，約 5 秒",
            "聲音樣本", "請朗讀：「今天天氣很好，我們去公園散步。」",
        ),
    }.items()
}  # fmt: skip

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


@pytest.mark.parametrize(
    ("device", "language"),
    [
        pytest.param("phone", "zh", marks=pytest.mark.nightly),
        pytest.param("phone", "en", marks=pytest.mark.nightly),
        ("small", "zh-Hant"),
        pytest.param("desktop", "en", marks=pytest.mark.nightly),
    ],
)
def test_screens_of_a_person(
    open_page: OpenPage, api: Api, media: DemoMedia, shoot: Shoot, device: str, language: str
) -> None:
    session = invited(api, language=language, requests=REQUESTS[language])
    front, clip, voice = (each["name"] for each in REQUESTS[language])
    small = {"viewport": {"width": 320, "height": 640}} if device == "small" else {}
    alice = Person(open_page(session["invite_url"], phone=device != "desktop", **small))

    def shown(step: str) -> None:
        shoot(alice.page, f"{device}-{language}-{step}")

    alice.sees("consent")
    shown("1-consent")
    alice.declines()
    shown("1-declined")
    alice.main_button.click()
    alice.agrees()
    shown("2-ready")
    alice.starts()
    shown("3-h5")
    alice.passes(outcome="cancel")
    alice.sees("retry")
    shown("4-canceled")
    alice.starts()
    alice.passes(outcome="fail")
    alice.sees("retry")
    shown("4-retry")
    alice.starts()
    alice.passes()
    alice.sees("files")
    shown("5-requests")
    alice.finish_button.click()
    expect(alice.page.locator(".ask")).to_be_visible()
    shown("5-requests-finish")
    alice.chooses(alice.row(front).get_by_role("button").first, media.other_person_jpeg)
    alice.sees_file(front, "failed")
    shown("6-problem")
    alice.chooses(alice.row(front).get_by_role("button").first, media.portrait_jpeg)
    alice.sees_file(front, "active")
    shown("7-one-more")
    alice.chooses(alice.row(clip).get_by_role("button").first, media.clip_mp4)
    alice.adds(media.portrait_png)
    alice.sees_file(clip, "active")
    alice.sees_file(media.portrait_png.name, "active")
    shown("8-ready")
    alice.page.reload()
    expect(alice.row(front).locator("img")).to_be_visible()
    alice.finish_button.click()
    alice.sees_phase("finished")
    alice.sees_file(voice, "awaiting_upload")
    shown("9-finished")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
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
