"""crun's responses: every code of crun's documentation, as a status and in the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likeness.contracts.crun import read_asset_report, read_envelope
from likeness.errors import UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused

CLASSES: dict[int, type[UpstreamError]] = {
    401: UpstreamRefused,
    402: UpstreamRefused,
    403: UpstreamRefused,
    404: UpstreamRefused,
    422: UpstreamRefused,
    429: UpstreamDeferred,
    455: UpstreamDeferred,
    500: UpstreamAmbiguous,
    501: UpstreamRefused,
    505: UpstreamRefused,
    502: UpstreamAmbiguous,
    408: UpstreamAmbiguous,
    418: UpstreamRefused,
}


def body(code: Any, data: Any = None) -> bytes:
    return json.dumps({"code": code, "message": "m", "data": data}).encode()


@pytest.mark.parametrize("where", ["http", "body", "both", "text"])
@pytest.mark.parametrize("code", CLASSES)
def test_each_code_has_its_class(code: int, where: str) -> None:
    status = 200 if where in ("body", "text") else code
    inside: Any = {"http": 200, "text": str(code)}.get(where, code)
    with pytest.raises(CLASSES[code]) as caught:
        read_envelope(status, body(inside, {"GroupId": "g"}), promised="GroupId", retry_after=None)
    assert caught.value.upstream_code == code


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"<html>proxy</html>", b"null", b"[]", b'"text"', b"{", b"\xff\xfe", b"[" * 100_000,
        body(200), body(200, []), body(200, {}), body(200, {"GroupId": None}), body(200, {"GroupId": ""}),
        body(200, {"GroupId": {"a": 1}}), body(None, {"GroupId": "g"}), body(True, {"GroupId": "g"}),
        json.dumps({"data": {"GroupId": "g"}}).encode(),
    ],
)  # fmt: skip
def test_a_success_that_breaks_the_contract_is_ambiguous(answer: bytes) -> None:
    with pytest.raises(UpstreamAmbiguous):
        read_envelope(200, answer, promised="GroupId")


def test_a_proxys_page_is_ambiguous_except_for_four_statuses() -> None:
    for status in (302, 400, 402, 404, 408, 422, 501, 503, 505):
        with pytest.raises(UpstreamAmbiguous):
            read_envelope(status, b"<html>", promised="GroupId")
    for status in (401, 403):
        with pytest.raises(UpstreamRefused):
            read_envelope(status, b"<html>", promised="GroupId")
    with pytest.raises(UpstreamDeferred) as caught:
        read_envelope(429, b"<html>", promised="GroupId", retry_after=7)
    assert caught.value.retry_after == 7


def test_unknown_fields_and_string_numbers_are_fine() -> None:
    answer = json.dumps({"code": "200", "message": None, "data": {"GroupId": "g", "New": 1}, "trace": "x"}).encode()
    assert read_envelope(201, answer, promised="GroupId")["GroupId"] == "g"


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ({"Error": {"Code": "FaceMismatch", "Message": "m"}}, "FaceMismatch", "m"),
        ({"error": {"code": "FaceMismatch", "message": "m"}}, "FaceMismatch", "m"),
        ({"Error": "FaceMismatch: m"}, "FaceMismatch", "m"),
        ({"ErrorMessage": "FaceMismatch: m"}, "FaceMismatch", "m"),
        ({"FailedReason": "the face differs"}, None, "the face differs"),
        ({"Error": {}}, None, None),
        ({"Error": None, "ErrorMessage": None}, None, None),
        ({}, None, None),
    ],
)
def test_the_reason_of_a_failed_asset_is_read_in_every_shape(
    data: dict[str, Any], code: str | None, message: str | None
) -> None:
    report = read_asset_report({"Status": "Failed", "CreateTime": 1, "UpdateTime": "2026-01-01T00:00:00Z", **data})
    assert (report.status, report.error_code, report.error_message) == ("Failed", code, message)


@pytest.mark.parametrize(("code", "default"), [(429, 10), (455, 60)])
@pytest.mark.parametrize("where", ["http", "body"])
def test_a_deferral_has_a_retry_delay(code: int, default: int, where: str) -> None:
    status, inside = (code, 200) if where == "http" else (200, code)
    for given, expected in ((None, default), (0, default), (7, 7)):
        with pytest.raises(UpstreamDeferred) as caught:
            read_envelope(status, body(inside), promised="GroupId", retry_after=given)
        assert caught.value.retry_after == expected


def test_a_code_in_the_body_takes_precedence_over_the_status() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(503, body(402), promised="GroupId")
    assert caught.value.upstream_code == 402
    with pytest.raises(UpstreamAmbiguous):
        read_envelope(500, body(200, {"GroupId": "g"}), promised="GroupId")


@pytest.mark.parametrize(("depth", "is_read"), [(50, True), (200_000, False)])
def test_deep_nesting_beside_the_documented_field(depth: int, is_read: bool) -> None:
    deep = "[" * depth + "]" * depth
    answer = f'{{"code": 200, "data": {{"GroupId": "g", "deep": {deep}}}}}'.encode()
    if is_read:
        assert read_envelope(200, answer, promised="GroupId")["GroupId"] == "g"
    else:
        with pytest.raises(UpstreamAmbiguous):
            read_envelope(200, answer, promised="GroupId")


@pytest.mark.parametrize("code", [0, -1, 302, 400, 418, 499, "418"])
def test_an_undocumented_code_is_a_refusal(code: Any) -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(200, body(code, {"GroupId": "g"}), promised="GroupId")
    assert caught.value.code == "upstream_refused"
    assert caught.value.upstream_code == int(code)


@pytest.mark.parametrize("status", ["Processing", "Active", "Reviewing", "active", "", 5])
def test_a_status_is_passed_on_unchanged(status: Any) -> None:
    assert read_asset_report({"Status": status}).status == str(status)


def test_an_empty_error_object_does_not_hide_the_message() -> None:
    report = read_asset_report({"Status": "Failed", "Error": {}, "ErrorMessage": "FaceMismatch: m"})
    assert report.error_code == "FaceMismatch"


SENT = ["https://api.test/v1/callback/ses_1/1/abc", "byted-token-of-a-person", "张三", "Anna Kowalska", "key-1"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("callback_url: field required", "callback_url: field required"),
        ("body.assets.0.name: too long", "body.assets.0.name: too long"),
        ("a\r\nb\x00\u202ec", "a b c"),
        ("url 'https://b.test/x?X-Amz-Signature=0123' is bad", "url '[…]' is bad"),
        ("url https:\\/\\/b.test\\/x is bad", "url […] is bad"),
        ("url https%3A%2F%2Fb.test is bad", "url […] is bad"),
        ("api.test/v1/callback/ses_1/1/abc is bad", "[…] is bad"),
        ("byted-token-of… is bad", "[…]… is bad"),
        ("张三不好", "[…]不好"),
        ("name Anna Kowalska, Anna%20Kowalska", "name […], […]"),
        ("key-1 is bad", "[…] is bad"),
        ("0123456789abcdef is bad", "[…] is bad"),
        ("x" * 500, "x" * 159 + "…"),
    ],
)
def test_the_errors_of_a_422_are_shown_without_the_values_that_were_sent(given: str, shown: str) -> None:
    answer = json.dumps({"code": 422, "message": "Missing Params or Type Error", "errors": [given]}).encode()
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(200, answer, promised="GroupId", sent=SENT)
    assert caught.value.errors == (shown,)


@pytest.mark.parametrize("errors", [None, "x", {"a": 1}, [], [1, None, ["x"]], ["", " \n"]])
def test_errors_that_are_not_a_list_are_ignored(errors: Any) -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(422, json.dumps({"code": 422, "errors": errors}).encode(), promised="GroupId")
    assert caught.value.errors == ()


def test_a_long_list_is_truncated() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_envelope(422, json.dumps({"code": 422, "errors": ["a"] * 1000}).encode(), promised="GroupId")
    assert len(caught.value.errors) == 8
