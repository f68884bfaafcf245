"""The simulator's page: a developer ends face checks without a camera, and sees what crun received."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from local.simulator import hash_token
from tests.browser.conftest import OpenPage
from tests.integration.conftest import Api


@pytest.mark.parametrize("width", [1280, 390])
def test_a_face_check_is_passed_on_the_simulator_s_page(open_page: OpenPage, api: Api, width: int) -> None:
    origin = api.stack.api_url.removesuffix("/v1")
    session = api.session(return_url=f"{origin}/")
    token = parse_qs(urlsplit(session["attempt"]["h5_link"]).query)["bytedToken"][0]
    watched = open_page(f"{origin}/crun/_sim", viewport={"width": width, "height": 800}, phone=False)
    page = watched.page
    row = page.locator("#sessions tr").filter(has_text=hash_token(token))
    expect(row).to_contain_text("s left")
    with page.expect_popup() as opened:
        row.get_by_role("button", name="Pass").click()
    # The new tab goes on to the callback, which sends it to the session's return URL.
    expect(opened.value).to_have_url(re.compile(rf"^{re.escape(origin)}/\?"))
    api.wait(session["id"], lambda found: found["status"] == "verified")
    page.get_by_role("link", name="Load again").click()
    expect(row).to_contain_text("pass")
    expect(page.locator("#log")).to_contain_text("POST session")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    watched.accessible("the simulator's page")
