"""Identifiers sort by time, use only their alphabet, and are stable for an object in the inbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.ids import ASSET_ID, SESSION_ID, asset_id, dropped_asset_id, session_id, ulid

MILLISECONDS = st.integers(0, 2**48 - 1)
ENTROPY = st.binary(min_size=10, max_size=10)


def test_a_ulid_equals_the_example_of_the_specification() -> None:
    # 01ARZ3NDEKTSV4RRFFQ69G5FAV is the example of https://github.com/ulid/spec; its time is 1469922850259.
    entropy = bytes.fromhex("d6764c61efb99302bd5b")
    assert ulid(1469922850259, entropy) == "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@given(MILLISECONDS, ENTROPY)
def test_ids_match_only_their_own_pattern(at: int, entropy: bytes) -> None:
    assert SESSION_ID.fullmatch(session_id(at, entropy))
    assert ASSET_ID.fullmatch(asset_id(at, entropy))
    assert not SESSION_ID.fullmatch(asset_id(at, entropy))


@given(MILLISECONDS, ENTROPY, MILLISECONDS, ENTROPY)
def test_ids_sort_by_time(one: int, first: bytes, other: int, second: bytes) -> None:
    if one != other:
        assert (ulid(one, first) < ulid(other, second)) == (one < other)
    else:
        assert (ulid(one, first) < ulid(other, second)) == (first < second)


def test_an_object_in_the_inbox_has_one_id() -> None:
    again = [dropped_asset_id(1, "inbox/ses_x/a.jpg", "v1") for _ in range(2)]
    assert again[0] == again[1]
    others = {
        again[0],
        dropped_asset_id(1, "inbox/ses_x/a.jpg", "v2"),
        dropped_asset_id(1, "inbox/ses_x/b.jpg", "v1"),
        dropped_asset_id(2, "inbox/ses_x/a.jpg", "v1"),
    }
    assert len(others) == 4
    assert all(ASSET_ID.fullmatch(each) for each in others)


@pytest.mark.parametrize(
    "text",
    ["", "ses_", "ses_01ARZ3NDEKTSV4RRFFQ69G5FA", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAVX", "ses_81ARZ3NDEKTSV4RRFFQ69G5FAV",
     "ses_01arz3ndektsv4rrffq69g5fav", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAI", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
     "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV", "../01ARZ3NDEKTSV4RRFFQ69G5FAV"],
)  # fmt: skip
def test_other_texts_are_not_session_ids(text: str) -> None:
    assert not SESSION_ID.fullmatch(text)
