"""crun's responses in undocumented shapes: each becomes data of a known form, or an upstream error.

Hypothesis fuzzes only the contract; tests/simulator/test_crun_client.py does the same over HTTP.
ASVS 5.0: 1.3.6 (data of another service is untrusted input), 16.2.5 (no secret in an error message).
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from likeness.contracts.crun import read_asset_report, read_envelope, read_id, read_link
from likeness.domain.asset import crun_failure
from likeness.domain.crun import AssetReport
from likeness.errors import UpstreamAmbiguous, UpstreamError, UpstreamRefused

_ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
_ODD_CODES = [
    200, "200", 200.0, "200 ", "2_00", "\uff12\uff10\uff10", True, -200, 0, 201, 299, 302, 404, 418, 455, 999, 10**40,
    "1" * 5000,
]  # fmt: skip
_CODES = st.just(200) | _ANYTHING | st.sampled_from(_ODD_CODES)
_FIELDS = (
    "GroupId", "AssetId", "BytedToken", "H5Link", "Status", "Error", "error", "ErrorMessage", "FailedReason",
)  # fmt: skip
_DATA = _ANYTHING | st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, _ANYTHING))
_ENVELOPES = st.fixed_dictionaries({"code": _CODES, "message": _ANYTHING, "data": _DATA})
_STATUSES = st.sampled_from([200, 201, 204, 299, 302, 400, 401, 404, 418, 429, 455, 500, 502, 505, 599, 999])
_GOOD = json.dumps({"code": 200, "message": "success", "data": {"GroupId": "group-1", "Status": "Active"}}).encode()


def _read(status: int, body: bytes) -> list[object]:
    """Returns the result of each reader: data or an upstream error. Raises any other exception."""
    found: list[object] = []
    for promised in ("GroupId", "AssetId", "BytedToken", "H5Link", "Status"):
        try:
            data = read_envelope(status, body, promised=promised)
            if promised == "Status":
                found.append(read_asset_report(data))
            elif promised == "H5Link":
                found.append(read_link(data, promised))
            else:
                found.append(read_id(data, promised))
        except UpstreamError as problem:
            found.append(problem)
    return found


def _is_sane(each: object) -> bool:
    """Returns whether a value can be stored, returned as JSON, put into a URL and logged on one line."""
    if isinstance(each, UpstreamError):
        text = f"{each} {each.message} {each.code} {getattr(each, 'detail', '')}"
        return text.isprintable() and -(10**6) < (each.upstream_code or 0) < 10**6
    if isinstance(each, AssetReport):
        problem = crun_failure(each.error_code, each.error_message)
        shown = f"{each.status}{each.error_code}{each.error_message}{problem.message}{problem.upstream_code}"
        return shown.isprintable() and len(problem.message) <= 200 and shown.encode("utf-8") != b""
    return bool(re.fullmatch(r"[\x21-\x7e]{1,8192}", str(each)))


@given(_STATUSES, _ENVELOPES)
@example(200, {"code": 200, "message": "", "data": {"Status": "\ud800", "ErrorMessage": "a\r\n\u202eb\x00"}})
@example(200, {"code": 200, "message": "", "data": {"Status": 7, "Error": {"Code": "\ud800", "Message": "x\ny"}}})
@example(422, {"code": 422, "message": "\ud83d\r\nSet-Cookie: a=b", "data": None})
def test_any_json_becomes_data_or_one_of_our_errors(status: int, envelope: dict[str, Any]) -> None:
    for each in _read(status, json.dumps(envelope).encode()):
        assert _is_sane(each), each


@given(_STATUSES, st.binary(max_size=200) | _ANYTHING.map(lambda each: json.dumps(each).encode()))
@example(200, b'{"code": ' + b"9" * 5000 + b"}")
@example(200, b'{"code": 200, "data": {"GroupId": ' + b"9" * 4000 + b"}}")
@example(200, b'{"code": NaN, "data": Infinity}')
@example(200, b"\xef\xbb\xbf" + _GOOD)
def test_any_bytes_become_data_or_one_of_our_errors(status: int, body: bytes) -> None:
    for each in _read(status, body):
        assert _is_sane(each), each


@given(st.integers(0, len(_GOOD) - 1), st.integers(0, 255), st.booleans())
def test_a_truncated_or_changed_response_is_never_read_as_another_success(at: int, byte: int, cut: bool) -> None:
    body = _GOOD[:at] if cut else _GOOD[:at] + bytes([byte]) + _GOOD[at + 1 :]
    for each in _read(200, body):
        assert _is_sane(each), each
        if cut:
            assert isinstance(each, UpstreamAmbiguous)


@pytest.mark.parametrize("name", ["GroupId", "AssetId", "BytedToken"])
@pytest.mark.parametrize("length", [257, 4096, 4097, 5000, 1_000_000])
def test_an_id_that_is_too_long_is_refused_and_never_truncated(name: str, length: int) -> None:
    longest = 4096 if name == "BytedToken" else 256
    if length <= longest:
        assert read_id({name: "x" * length}, name, longest=longest) == "x" * length
    else:
        with pytest.raises(UpstreamAmbiguous):
            read_id({name: "x" * length}, name, longest=longest)


@pytest.mark.parametrize(
    "code",
    [200.0, "2_00", "２００", "٢٠٠", " 200", "200\n", "+200", "0x200", True, [200], {"code": 200}, "", "ok", None],  # noqa: RUF001
)  # fmt: skip
def test_a_code_that_only_looks_like_200_is_not_a_success(code: object) -> None:
    body = json.dumps({"code": code, "data": {"GroupId": "g"}}).encode()
    with pytest.raises(UpstreamAmbiguous):
        read_envelope(200, body, promised="GroupId")


@pytest.mark.parametrize("code", [201, 204, 299, "299"])
def test_other_2xx_codes_are_not_a_success(code: object) -> None:
    with pytest.raises(UpstreamAmbiguous) as caught:
        read_envelope(200, json.dumps({"code": code, "data": {"GroupId": "g"}}).encode(), promised="GroupId")
    assert caught.value.upstream_code == int(str(code))


@pytest.mark.parametrize(
    ("code", "kind"), [(999, UpstreamAmbiguous), (999_999, UpstreamAmbiguous), (-5, UpstreamRefused)]
)
def test_undocumented_codes_have_a_class(code: int, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        read_envelope(200, json.dumps({"code": code, "data": {"GroupId": "g"}}).encode(), promised="GroupId")


def test_the_message_of_a_refusal_is_one_short_line() -> None:
    body = json.dumps({"code": 422, "message": "no\r\nSet-Cookie: a=b\x00\u202e" + "x" * 500}).encode()
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(200, body, promised="GroupId")
    assert caught.value.detail.startswith("no  Set-Cookie: a=b  x")
    assert len(caught.value.detail) == 200
    assert caught.value.detail.isprintable()
    assert "Set-Cookie" not in caught.value.message
