"""Every way to change a good signature or token by a little: none is taken, and all are answered alike (ASVS 7.2.3)."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from likeness.adapters.aws import make_client
from likeness.adapters.dynamodb import DynamoStore
from likeness.contracts.crun import read_id, read_link
from likeness.domain.links import return_location
from likeness.domain.signing import callback_is_authentic, issue_session_token, read_session_token, sign_callback
from likeness.errors import NotFound, UpstreamAmbiguous
from likeness.steps.receive_callback import ReceiveCallback
from tests.aws import inventory
from tests.unit.fakes import FakeClock, FakeQueue, FixedKeys

KEYS = (b"k" * 64,)
SESSION, OTHER = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAW"
SIGNATURE = sign_callback(KEYS, SESSION, 1)
TOKEN = issue_session_token(KEYS, SESSION, "acme", 2_000_000_000)


def _bit_flips(text: str) -> list[str]:
    """Every text that differs from ``text`` in one bit."""
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
    SIGNATURE.replace(SIGNATURE[0], chr(ord(SIGNATURE[0]) + 0xFEE0), 1),  # its full-width double
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
def test_a_changed_callback_is_answered_as_one_that_never_was(signature: str) -> None:
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
def test_a_truncated_token_is_none(cut: int) -> None:
    assert read_session_token(KEYS, TOKEN[:cut], 0) is None


@pytest.mark.parametrize("skew", [-1200, -300, -1, 0, 1, 300, 1200])
def test_a_token_lives_to_its_second_by_utc(skew: int) -> None:
    found = read_session_token(KEYS, TOKEN, 2_000_000_000 + skew)
    assert (found is not None) == (skew < 0)


# -- what crun gives us to store, to show and to send a browser to -----------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", " ", "a b", "a\r\nSet-Cookie: x=1", "\ud800", "\u202egnp", "é", "x" * 257, None, [], {}, True, 1.5],
)
def test_an_id_of_another_form_is_no_answer(value: object) -> None:
    with pytest.raises(UpstreamAmbiguous):
        read_id({"GroupId": value}, "GroupId")


def test_an_id_that_is_a_number_is_one() -> None:
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
def test_a_link_of_another_form_is_no_answer(link: object) -> None:
    with pytest.raises(UpstreamAmbiguous):
        read_link({"H5Link": link}, "H5Link")


def test_a_signed_link_is_taken_byte_for_byte() -> None:
    link = "https://h5.example/x?X-Credential=a%2Fb&X-Signature=c/d+e=&region=&lng=zh#top"
    assert read_link({"H5Link": link}, "H5Link") == link


def test_a_location_is_one_line_whatever_the_return_url_holds() -> None:
    location = return_location("https://app.example/a?b=c", SESSION, "verified")
    assert location.isprintable()
    assert "\n" not in location
