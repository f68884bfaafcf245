"""Damaged links, with characters that a chat adds or an encoded "#". A browser always gets a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import quote, urljoin

import pytest

from likeness.domain.signing import issue_session_token
from tests.functions import PAGES, cold_start, event_of_request, invoke
from tests.template_file import ROOT

SESSION = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
TOKEN = issue_session_token([b"k" * 64], SESSION, "acme-2", 1_800_000_000)
RECEIPT = "rt_" + "A" * 43
STYLE = f"pages/{'0' * 16}/style.css"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def pages() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PAGES.items():
            patch.setenv(name, value)
        yield cold_start("serve_pages")


def opened(pages: ModuleType, path: str, headers: dict[str, str] | None = None) -> Any:
    """Returns the response for a path without a route."""
    event = event_of_request("GET", "/{path+}", f"/{path}", parameters={"path": path}, headers=headers)
    return invoke(pages, event)


AFTER = [
    "", "&from=singlemessage", "&from=timeline&isappinstalled=0", ".", " ", "%20", ")", "。请打开", "?utm_source=x",
    "%EF%BC%8C", "/", "%",
]  # fmt: skip


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("before", ["#", "#/", "%23", "%2523"])
def test_the_page_extracts_the_token_from_surrounding_text(before: str, after: str) -> None:
    source = (ROOT / "layers/likeness/pages/invite/state.js").read_text()
    token = re.compile(re.findall(r"^const TOKEN = /(.+)/;$", source, re.MULTILINE)[0], re.ASCII)
    found = token.search(f"{before}{TOKEN}{after}")
    assert found
    assert found[0] == TOKEN


@pytest.mark.parametrize(
    "path",
    [
        *(f"me#{RECEIPT}", f"me%23{RECEIPT}", f"invite#{TOKEN}", f"invite%23{TOKEN}"),
        f"invite#{TOKEN}&from=singlemessage",
    ],
)
@pytest.mark.parametrize("headers", [BROWSER, {}])
def test_a_link_whose_hash_is_encoded_gets_its_page(pages: ModuleType, path: str, headers: dict[str, str]) -> None:
    shown = opened(pages, path, headers)
    assert (shown["statusCode"], shown["headers"]["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert '<script type="module">' in shown["body"]
    assert ('data-texts="texts_me_"' in shown["body"]) == path.startswith("me")
    assert TOKEN not in json.dumps(shown)
    assert RECEIPT not in json.dumps(shown)


@pytest.mark.parametrize(
    "path", ["nowhere", "invite2", "Invite", "callback/x", "a/b/c", f"x/invite#{TOKEN}", quote("人")]
)
def test_an_unknown_path_is_a_page_for_a_browser_and_a_problem_for_a_program(pages: ModuleType, path: str) -> None:
    shown = opened(pages, path, BROWSER)
    assert (shown["statusCode"], shown["headers"]["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "This link is not valid" in shown["body"]
    (style,) = re.findall(r'(?:href|src)="([^"]*)"', shown["body"])
    assert urljoin(f"https://likeness.example/v1/{quote(path)}", style) == f"https://likeness.example/v1/{STYLE}"
    for accepted in ({}, {"Accept": "*/*"}, {"accept": "application/json"}):
        refused = opened(pages, path, accepted)
        assert (refused["statusCode"], refused["headers"]["Content-Type"]) == (404, "application/problem+json")
        assert json.loads(refused["body"])["code"] == "not_found"


def test_a_missing_file_is_a_page_for_a_browser_too(pages: ModuleType) -> None:
    parameters = {"version": "0" * 16, "file": "none.js"}
    event = event_of_request("GET", "/pages/{version}/{file}", "/pages/x/none.js", parameters=parameters)
    assert invoke(pages, event)["headers"]["Content-Type"] == "application/problem+json"
    assert "<h1>" in invoke(pages, event | {"headers": BROWSER})["body"]


@pytest.mark.parametrize(
    ("headers", "content_type"), [(BROWSER, "text/html; charset=utf-8"), ({}, "application/problem+json")]
)
def test_an_internal_error_is_answered_with_the_request_id(
    pages: ModuleType, headers: dict[str, str], content_type: str
) -> None:
    event = event_of_request("GET", "/pages/{version}/{file}", "/pages/x", headers=headers)  # without its parameters
    event["requestContext"]["requestId"] = "the-requests-id"
    shown = invoke(pages, event)
    assert (shown["statusCode"], shown["headers"]["Content-Type"]) == (500, content_type)
    assert "the-requests-id" in shown["body"]


@pytest.mark.parametrize("page", ["/invite", "/console", "/docs"])
def test_a_trailing_slash_redirects_to_the_page(pages: ModuleType, page: str) -> None:
    # The page's files have relative URLs. A browser keeps the fragment.
    answer = invoke(pages, event_of_request("GET", page, f"{page}/"))
    assert (answer["statusCode"], answer["headers"]["Location"]) == (303, f"..{page}")
