"""Callback signatures and session tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.signing import callback_is_authentic, issue_session_token, read_session_token, sign_callback

NEW, OLD, FOREIGN = b"n" * 64, b"o" * 64, b"f" * 64
SESSION = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAW"


def test_a_signature_binds_session_and_attempt_and_survives_one_rotation() -> None:
    signature = sign_callback([OLD], SESSION, 1)
    assert len(signature) == 43, "256 bits"
    assert callback_is_authentic([OLD], SESSION, 1, signature)
    assert callback_is_authentic([NEW, OLD], SESSION, 1, signature)
    assert not callback_is_authentic([NEW], SESSION, 1, signature)
    assert not callback_is_authentic([OLD], SESSION, 2, signature)
    assert not callback_is_authentic([OLD], OTHER, 1, signature)


@given(st.text(max_size=60))
def test_an_invalid_text_is_not_a_signature(text: str) -> None:
    signature = sign_callback([NEW], SESSION, 1)
    assert callback_is_authentic([NEW], SESSION, 1, text) == (text == signature)


@given(st.integers(0, 42), st.sampled_from("ABCxyz019-_"))
def test_a_changed_or_truncated_signature_is_refused(place: int, letter: str) -> None:
    signature = sign_callback([NEW], SESSION, 1)
    changed = signature[:place] + letter + signature[place + 1 :]
    assert callback_is_authentic([NEW], SESSION, 1, changed) == (changed == signature)
    assert not callback_is_authentic([NEW], SESSION, 1, signature[:place])


def test_a_session_token_is_read_back_until_it_expires() -> None:
    token = issue_session_token([NEW], SESSION, "acme", 1000)
    found = read_session_token([NEW], token, 999)
    assert found
    assert (found.session_id, found.client_id) == (SESSION, "acme")
    assert read_session_token([NEW], token, 1000) is None
    assert read_session_token([FOREIGN], token, 0) is None


@pytest.mark.parametrize(
    ("old", "new"), [(SESSION, OTHER), ("acme", "evil"), (".1000.", ".9999."), ("st_", "xx_"), (".", "..")]
)
def test_a_forged_token_is_refused(old: str, new: str) -> None:
    assert read_session_token([NEW], issue_session_token([NEW], SESSION, "acme", 1000).replace(old, new), 0) is None


@given(st.text(max_size=200))
def test_an_invalid_text_is_not_a_token(text: str) -> None:
    assert read_session_token([NEW], f"st_{text}", 0) is None
