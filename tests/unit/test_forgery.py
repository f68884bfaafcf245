"""Signatures and tokens with small changes: none is accepted, and all get the same response.

ASVS 5.0: 7.2.3 and 9.1.1 (tokens and their MAC), 3.5.3 (a GET alone changes nothing), 2.3.1 (no step is skipped).
"""

from __future__ import annotations

import ast
import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from likeness.adapters.aws import make_client
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.contracts.crun import read_id, read_link
from likeness.domain.ids import session_id
from likeness.domain.links import return_location
from likeness.domain.session import Attempt, AttemptStatus
from likeness.domain.signing import callback_is_authentic, issue_session_token, read_session_token, sign_callback
from likeness.errors import NotFound, UpstreamAmbiguous
from likeness.steps.onboarding.receive_callback import ReceiveCallback
from tests.aws import inventory
from tests.template_file import ROOT
from tests.unit.api_harness import KEY, ApiHarness, service
from tests.unit.fakes import FakeClock, FakeQueue, FixedKeys

KEYS = (b"k" * 64,)
SESSION, OTHER = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAW"
SIGNATURE = sign_callback(KEYS, SESSION, 1)
TOKEN = issue_session_token(KEYS, SESSION, "acme", 2_000_000_000)


def _bit_flips(text: str) -> list[str]:
    """Returns every text that differs from ``text`` in one bit."""
    return [
        text[:place] + chr(ord(letter) ^ (1 << bit)) + text[place + 1 :]
        for place, letter in enumerate(text)
        for bit in range(7)
    ]


MISSHAPEN = [
    "",
    SIGNATURE[:-1],
    SIGNATURE + "A",
    SIGNATURE + "=",
    SIGNATURE.swapcase(),
    quote(SIGNATURE, safe="")[:-1] + "%41",
    SIGNATURE.replace(SIGNATURE[0], chr(ord(SIGNATURE[0]) + 0xFEE0), 1),  # the full-width form of its first character
    " " + SIGNATURE,
    SIGNATURE + "\n",
    SIGNATURE + "\x00",
    sign_callback(KEYS, SESSION, 2),
    sign_callback(KEYS, OTHER, 1),
    sign_callback((b"another key",), SESSION, 1),
    base64.b64encode(base64.urlsafe_b64decode(SIGNATURE + "=")).decode() + "=",
    "\ud800",
]


@pytest.mark.parametrize("signature", MISSHAPEN)
def test_a_changed_callback_is_answered_like_an_unknown_one(signature: str) -> None:
    with inventory("table"):
        queue = FakeQueue()
        step = ReceiveCallback(DynamoStore(make_client("dynamodb"), "table"), queue, FixedKeys(KEYS), FakeClock())
        with pytest.raises(NotFound) as caught:
            step(SESSION, "1", signature, {"resultCode": ["10000"], "bytedToken": ["t"]}, "https://api.test")
    assert caught.value.message == "This link is not valid"
    assert queue.sent == []


def test_no_single_bit_of_a_signature_may_change() -> None:
    flipped = _bit_flips(SIGNATURE)
    assert len(flipped) == 7 * 43
    assert not [each for each in flipped if callback_is_authentic(KEYS, SESSION, 1, each)]


def test_no_single_bit_of_a_session_token_may_change() -> None:
    assert read_session_token(KEYS, TOKEN, 0)
    assert not [each for each in _bit_flips(TOKEN) if read_session_token(KEYS, each, 0)]


@pytest.mark.parametrize("cut", range(1, len(TOKEN), 7))
def test_a_truncated_token_is_refused(cut: int) -> None:
    assert read_session_token(KEYS, TOKEN[:cut], 0) is None


@pytest.mark.parametrize("skew", [-1200, -300, -1, 0, 1, 300, 1200])
def test_a_token_expires_to_the_second_in_utc(skew: int) -> None:
    found = read_session_token(KEYS, TOKEN, 2_000_000_000 + skew)
    assert (found is not None) == (skew < 0)


# -- ids and links from crun -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", " ", "a b", "a\r\nSet-Cookie: x=1", "\ud800", "\u202egnp", "é", "x" * 257, None, [], {}, True, 1.5],
)
def test_an_id_with_an_invalid_format_is_refused(value: object) -> None:
    with pytest.raises(UpstreamAmbiguous):
        read_id({"GroupId": value}, "GroupId")


def test_a_number_is_accepted_as_an_id() -> None:
    assert read_id({"AssetId": 17}, "AssetId") == "17"


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)", "//evil.example", "https://", "https:///path", "https://user@evil.example/",
        "data:text/html,x", "https://h5.example/\r\nLocation: https://evil.example", "https://h5.example/a b",
        "https://h5.example\\@evil.example",
        "https://h5.example/" + "x" * 9000, "ftp://h5.example/", "", None, 7, ["https://h5.example/"],
    ],
)  # fmt: skip
def test_a_link_with_an_invalid_format_is_refused(link: object) -> None:
    with pytest.raises(UpstreamAmbiguous):
        read_link({"H5Link": link}, "H5Link")


def test_a_signed_link_is_stored_byte_for_byte() -> None:
    link = "https://h5.example/x?X-Credential=a%2Fb&X-Signature=c/d+e=&region=&lng=zh#top"
    assert read_link({"H5Link": link}, "H5Link") == link


def test_a_location_is_one_line_for_every_return_url() -> None:
    location = return_location("https://app.example/a?b=c", SESSION, "verified")
    assert location.isprintable()
    assert "\n" not in location


# -- through the handlers: the same response for every error -----------------------------------------------------------


@pytest.fixture(scope="module")
def api() -> Iterator[ApiHarness]:
    with service() as running:
        yield running


def _forged_callbacks(mine: str, others: str) -> list[tuple[str, str, str]]:
    """Returns session, attempt and signature of forged callbacks."""
    first, second = sign_callback([KEY], mine, 1), sign_callback([KEY], mine, 2)
    return [
        (mine, "1", second), (mine, "2", first), (others, "1", first), (mine, "1", sign_callback([KEY], others, 1)),
        (mine.lower(), "1", first), (mine, "1", first.lower()), (mine, "1", first.upper()), (mine, "1", ""),
        (mine, "1", f"{first}="), (mine, "1", f"{first}=="), (mine, "1", f"{first}%3D"), (mine, "1", first * 2),
        (mine, "1", f"{first}/../{first}"), (mine, "1", f"{first}?x"), (mine, "1", "A" * 100_000),
        (mine, "\u0661", first), (mine, "\uff11", first), (mine, "\u00b9", first), (mine, "+1", first),
        (mine, " 1", first), (mine, "1.0", first), (mine, "-1", first), (mine, "0", first), (mine, "1e0", first),
        (mine, "9" * 5000, first),
        (mine.replace("0", "O"), "1", first), (mine.replace("0", "\uff10"), "1", first), (f"{mine}\n", "1", first),
        (mine.replace("s", "\u0455"), "1", first), (f"{mine}%00", "1", first), (f"{mine}/", "1", first),
        (mine[:-1], "1", first), ("", "", ""), (mine, "1", f"{first[:-1]}\ud800"), ("../" + mine, "1", first),
    ]  # fmt: skip


def test_every_forged_callback_gets_the_same_page_and_changes_nothing(api: ApiHarness) -> None:
    mine, others = api.session(), api.session()
    before = [api.store.get_session(each) for each in (mine, others)]
    answers = [
        api.callback(session, attempt, signature, {"resultCode": ["10000"]})
        for session, attempt, signature in _forged_callbacks(mine, others)
    ]
    assert {each.status for each in answers} == {404}
    assert all(each == answers[0] for each in answers)
    assert [api.store.get_session(each) for each in (mine, others)] == before
    unknown = session_id(1, bytes(10))
    assert api.callback(unknown) == answers[0], "an authentic link of a deleted session gets the same page"


def test_a_replayed_callback_gets_the_same_response_and_reopens_nothing(api: ApiHarness) -> None:
    session = api.session()
    api.store.add_attempt(session, Attempt(1, AttemptStatus.OPEN, "token", 0, 120), 1.0)
    first, *again = [api.callback(session, query={"resultCode": ["10000"]}) for _ in range(3)]
    assert first.headers["location"].endswith("?status=processing")
    assert again == [first, first]
    found = api.store.get_session(session)
    assert found
    assert found.attempts[1].status is AttemptStatus.PASSED


def _wrong_tokens(session: str, now: int) -> list[str]:
    """Returns forged and expired session tokens."""
    good = issue_session_token([KEY], session, "acme", now + 1000)
    _, client, expiry, mac = good.split(".")
    return [
        "", "st_", "st_...", "lk_", "lk_" + "x" * 43, good[3:], f"ST_{good[3:]}", f" {good}", f"{good} ", f"{good}=",
        f"{good}.", good.replace(".", "\uff0e"), good.replace(client, "evil"), good.replace(client, "\ud800"),
        good.replace(client, "acme\nx"), good.replace(client, "\u0430cme"), good.replace(expiry, str(now + 999_999)),
        good.replace(expiry, f"0{expiry}"), good.replace(expiry, "9" * 100), good.replace(expiry, "\u0661" * 10),
        good.replace(mac, mac[:-1]), good.replace(mac, mac.swapcase()),
        good.replace(mac, sign_callback([KEY], session, 1)),
        issue_session_token([KEY], session, "acme", now - 1),
        issue_session_token([b"f" * 64], session, "acme", now + 9),
        "x" * 100_000, f"{good}\r\nx-api-key: {good}", quote(good).replace("_", "%5F"),
    ]  # fmt: skip


def test_the_authorizer_denies_every_invalid_token_with_the_same_response(api: ApiHarness) -> None:
    now, session = int(time.time()), api.session()
    good = issue_session_token([KEY], session, "acme", now + 1000)
    allowed = api.allows(good)
    assert allowed["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert allowed["context"] == {"client_id": "acme", "session_id": session, "return_origins": ""}
    answers = [api.allows(each) for each in _wrong_tokens(session, now)]
    assert {each["policyDocument"]["Statement"][0]["Effect"] for each in answers} == {"Deny"}
    assert all(each == answers[0] for each in answers)


def test_a_persons_token_gives_no_access_to_another_session(api: ApiHarness) -> None:
    mine, others = api.session(), api.session()
    authorizer = api.allows(issue_session_token([KEY], mine, "acme", int(time.time()) + 1000))["context"]
    person = replace(api, authorizer=authorizer)
    seen = {
        session: person.request("get_session", "GET", "/sessions/{session_id}", f"/sessions/{session}")
        for session in (mine, others, session_id(1, bytes(10)))
    }
    assert [each.status for each in seen.values()] == [200, 404, 404]
    assert seen[others].body == seen[session_id(1, bytes(10))].body
    assert person.create().status == 403


def test_macs_are_compared_in_constant_time_and_nowhere_else() -> None:
    tree = ast.parse((ROOT / "layers/likeness/likeness/domain/signing.py").read_text("utf-8"))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    called = {name: {getattr(each.func, "attr", getattr(each.func, "id", "")) for each in ast.walk(node)
              if isinstance(each, ast.Call)} for name, node in functions.items()}  # fmt: skip
    assert {name for name, calls in called.items() if "compare_digest" in calls} == {"_matches"}
    assert {name for name, calls in called.items() if "_mac" in calls} == {
        "_matches", "sign_callback", "sign_task", "issue_session_token",
    }  # fmt: skip
    assert not [each for each in ast.walk(functions["_matches"]) if isinstance(each, ast.Compare)]
