"""The simulator's page: a developer ends face checks without a camera, and sees what crun received."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from local.simulator import hash_token
from tests.browser.conftest import OpenPage
from tests.integration.conftest import Api


@pytest.mark.parametrize("width", [1280, 390])
def test_a_face_check_is_passed_on_the_simulator_s_page(open_page: OpenPage, api: Api, width: int) -> None:
    session = api.session(return_url=f"{api.stack.api_url.removesuffix('/v1')}/")
    token = parse_qs(urlsplit(session["attempt"]["h5_link"]).query)["bytedToken"][0]
    watched = open_page(
        f"{api.stack.api_url.removesuffix('/v1')}/crun/_sim", viewport={"width": width, "height": 800}, phone=False
    )
    page = watched.page
    row = page.locator("#sessions tr").filter(has_text=hash_token(token))
    expect(row).to_contain_text("s left")
    with page.expect_popup() as opened:
        row.get_by_role("button", name="Pass").click()
    expect(opened.value.get_by_role("heading", name="Likeness on one machine")).to_be_visible()
    api.wait(session["id"], lambda found: found["status"] == "verified")
    page.get_by_role("link", name="Load again").click()
    expect(row).to_contain_text("pass")
    expect(page.locator("#log")).to_contain_text("POST session")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    watched.accessible("the simulator's page")
