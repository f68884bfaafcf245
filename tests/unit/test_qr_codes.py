"""POST /qr-codes returns a link as a QR code to its owner, and logs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from likeness.domain.signing import issue_session_token
from tests.functions import PAGES, cold_start, event_of_request, invoke
from tests.qr_codes import read_svg

SESSION = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
TOKEN = issue_session_token([b"k" * 64], SESSION, "acme", 1_800_000_000)
INVITE = f"https://likeness.example/v1/invite#{TOKEN}"
H5_LINK = f"https://h5.example.com/verify?bytedToken={'tT0-_' * 40}&lng=en"
CLIENT = {"client_id": "acme", "session_id": "", "return_origins": ""}
PERSON = CLIENT | {"session_id": SESSION, "invite": "1"}


@pytest.fixture(scope="module")
def pages() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PAGES.items():
            patch.setenv(name, value)
        yield cold_start("serve_pages")


def drawn(pages: ModuleType, caller: dict[str, str], credential: str, body: str | None) -> dict[str, Any]:
    headers = {"x-api-key": credential, "Content-Type": "text/plain", "Accept": "*/*"}
    event = event_of_request("POST", "/qr-codes", "/qr-codes", body=body, headers=headers, authorizer=caller)
    answer: dict[str, Any] = invoke(pages, event)
    return answer


@pytest.mark.parametrize(
    ("caller", "credential", "link"),
    [
        (CLIENT, "lk_x", INVITE), (CLIENT, "lk_x", H5_LINK), (CLIENT, "lk_x", "http://127.0.0.1:8080/"),
        (PERSON, TOKEN, INVITE),
    ],
    ids=["client, invite", "client, face check", "client, short", "person, invite"],
)  # fmt: skip
def test_a_caller_gets_a_code_of_its_own_link(
    pages: ModuleType, capsys: pytest.CaptureFixture[str], caller: dict[str, str], credential: str, link: str
) -> None:
    answer = drawn(pages, caller, credential, link)
    assert answer["statusCode"] == 200
    assert read_svg(answer["body"]) == link
    assert answer["headers"]["Content-Type"] == "image/svg+xml"
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer["headers"]["Content-Security-Policy"]
    assert link not in answer["body"] + "".join(capsys.readouterr())


def test_the_longest_accepted_link_fits_into_a_code(pages: ModuleType) -> None:
    longest = "https://h5.example.com/?" + "x" * 2024
    assert drawn(pages, CLIENT, "lk_x", longest)["statusCode"] == 200
    assert drawn(pages, CLIENT, "lk_x", f"{longest}x")["statusCode"] == 400


@pytest.mark.parametrize(
    "body", [None, "", "{", "https://", "ftp://a.example/", "javascript:alert(1)", f" {INVITE}", f"{INVITE}\n",
             "https://a.example/人", f'{{"link": "{INVITE}"}}'],
)  # fmt: skip
def test_a_body_without_a_valid_link_is_refused(pages: ModuleType, body: str | None) -> None:
    answer = drawn(pages, CLIENT, "lk_x", body)
    document = json.loads(answer["body"])
    assert (answer["statusCode"], document["code"], document["field"]) == (400, "invalid_request", "body")
    assert TOKEN not in answer["body"]


@pytest.mark.parametrize("link", [H5_LINK, INVITE[:-1], f"{INVITE}x", INVITE.partition("#")[0]])
def test_a_person_gets_no_code_of_another_link(
    pages: ModuleType, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    answer = drawn(pages, PERSON, TOKEN, link)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (403, "forbidden")
    assert link not in answer["body"] + "".join(capsys.readouterr())


def test_a_request_without_the_authorizer_is_refused(pages: ModuleType) -> None:
    assert drawn(pages, {}, TOKEN, INVITE)["statusCode"] == 404
