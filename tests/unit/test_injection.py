"""The content of a field that is shown, stored, logged or put into a header is always treated as a value.

Through the real handlers on moto: no header breaks, problem documents stay JSON, a fact stays one line of the log, a
page shows nothing that the browser sent, and an internal error shows only its request id.
ASVS 5.0: 1.2.1 and 1.2.2 (output encoding), 3.4.5 (Referrer-Policy), 3.5.3 (a GET is not trusted), 16.2.5 (logs).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.adapters.table.items import session_key
from likeness.contracts.body import parse_body
from likeness.contracts.crun import read_asset_report
from likeness.contracts.http import AssetRegistration, NewSession
from likeness.domain.asset import AssetStatus, crun_failure
from likeness.domain.ids import session_id
from likeness.domain.links import read_callback
from likeness.domain.session import Attempt, AttemptStatus, SessionStatus
from likeness.errors import InvalidRequest
from likeness.runtime.logging import logger
from tests.template_file import ROOT
from tests.unit.api_harness import BASE, Answer, ApiHarness, service

CANARY = "canary"
BREAKING = [
    f"{CANARY}\r\nSet-Cookie: a=b", f"{CANARY}\nx", f"{CANARY}\rx", f"{CANARY}\x00x", f"{CANARY}\x1b[31m",
    f"{CANARY}\x7f", f"{CANARY}\x85x", f"{CANARY}\x9b31m", f"{CANARY}\u2028x", f"{CANARY}\u2029x",
    f"{CANARY}\u202egnp.exe", f"{CANARY}\u202ax", f"{CANARY}\u2066x", f"{CANARY}\u2069x", f"{CANARY}\ud800",
]  # fmt: skip
HARMLESS = [
    f"{CANARY}<script>alert(1)</script>", f'{CANARY}"><img src=x onerror=alert(1)>', f"{CANARY}</script>",
    f"{CANARY}&lt;", f"{CANARY}%0d%0aSet-Cookie:a=b", "${jndi:ldap://" + CANARY + "}", "{{7*7}}" + CANARY,
    f"{CANARY}' OR '1'='1",
    f"../../{CANARY}", f"{CANARY}\\r\\n", f"=cmd|{CANARY}", f"{CANARY} 人 😀 é", f"__proto__{CANARY}",
]  # fmt: skip
WANTED = {"name": "front", "asset_type": "Image"}
PICTURE = {"name": "front", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}


@pytest.fixture(scope="module")
def api() -> Iterator[ApiHarness]:
    with service() as running:
        yield running


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The functions' log during a test."""
    handler: Any = logger.registered_handler
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


def check(answer: Answer, log: io.StringIO) -> Answer:
    """Checks what must be true for every response."""
    for name, value in answer.headers.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value), (name, value)
        assert CANARY not in value
    assert answer.status == 303 or answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    answer.body.encode("utf-8")
    if answer.status >= 400 and answer.headers["content-type"] != "text/html; charset=utf-8":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
    for line in log.getvalue().splitlines():
        assert isinstance(json.loads(line), dict)
    assert CANARY not in log.getvalue()
    return answer


FIELDS: list[tuple[str, Any]] = [
    ("reference", lambda text: {"reference": text}),
    ("return_url", lambda text: {"return_url": f"https://app.example.com/{text}"}),
    ("language", lambda text: {"language": text}),
    ("start", lambda text: {"start": text}),
    ("consent.text_version", lambda text: {"consent": {"text_version": text, "given_at": "2026-01-01T00:00:00Z"}}),
    ("consent.given_at", lambda text: {"consent": {"text_version": "1", "given_at": text}}),
    ("assets.0.name", lambda text: {"assets": [PICTURE | {"name": text}]}),
    ("requests.0.name", lambda text: {"requests": [WANTED | {"name": text}]}),
    ("requests.0.hint", lambda text: {"requests": [WANTED | {"hint": text}]}),
    ("assets.0", lambda text: {"assets": [PICTURE | {"content_type": text}]}),
]
SHOWN = {"reference", "consent.text_version", "assets.0.name", "requests.0.name", "requests.0.hint"}


@pytest.mark.parametrize("text", BREAKING)
@pytest.mark.parametrize(("field", "body"), FIELDS, ids=[name for name, _ in FIELDS])
def test_line_breaks_and_direction_changes_are_refused(
    api: ApiHarness, log: io.StringIO, field: str, body: Any, text: str
) -> None:
    answer = check(api.create(**body(text)), log)
    assert answer.status == 400
    assert answer.json["code"] == "invalid_request"
    if "\ud800" not in text:
        assert answer.json["field"] == field


@pytest.mark.parametrize("text", HARMLESS)
@pytest.mark.parametrize(("field", "body"), FIELDS, ids=[name for name, _ in FIELDS])
def test_text_that_only_looks_dangerous_is_an_ordinary_value(
    api: ApiHarness, log: io.StringIO, field: str, body: Any, text: str
) -> None:
    answer = check(api.create(**body(text)), log)
    if field == "requests.0.name" and "/" in text:
        assert answer.json["field"] == field
        return
    if field not in SHOWN:
        assert answer.status in (201, 400)
        return
    assert answer.status == 201
    path = f"/sessions/{answer.json['id']}"
    shown = check(api.request("get_session", "GET", "/sessions/{session_id}", path), log).json
    if field == "reference":
        assert shown["reference"] == text
    if field == "assets.0.name":
        assert shown["assets"][0]["name"] == text
    if field.startswith("requests.0."):
        assert shown["requests"][0][field.rpartition(".")[2]] == text
    if field == "requests.0.name":
        values = {"session_id": answer.json["id"], "name": text}
        resource = "/sessions/{session_id}/requests/{name}"
        assert check(api.request("request_files", "DELETE", resource, parameters=values), log).json["requests"] == []


@pytest.mark.parametrize("text", BREAKING + HARMLESS)
def test_the_name_of_a_field_is_also_a_value(api: ApiHarness, log: io.StringIO, text: str) -> None:
    assert check(api.create(**{text: 1}), log).status == 400


@pytest.mark.parametrize("text", [*BREAKING, "x" * 256, "", "é", "\uff41"])
def test_an_idempotency_key_is_visible_ascii(api: ApiHarness, log: io.StringIO, text: str) -> None:
    answer = api.request("create_session", "POST", "/sessions", body="{}", headers={"Idempotency-Key": text})
    assert (check(answer, log).status, answer.json["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    "text", [*BREAKING, *HARMLESS, "\ud800", "{", "x" * 3000, "%00", "..;/", "ses_" + "0" * 26 + "\n"]
)
@pytest.mark.parametrize(
    ("function", "resource", "body"),
    [
        ("get_session", "/sessions/{session_id}", None),
        ("get_session", "/sessions/{session_id}/assets/{asset_id}", None),
        ("create_session", "/sessions/{session_id}/attempts", "{}"),
        ("register_asset", "/sessions/{session_id}/assets", json.dumps(PICTURE)),
        ("request_files", "/sessions/{session_id}/requests", json.dumps({"requests": [WANTED]})),
        ("request_files", "/sessions/{session_id}/finish", "{}"),
    ],
)
def test_an_invalid_path_segment_is_not_found(
    api: ApiHarness, log: io.StringIO, function: str, resource: str, body: str | None, text: str
) -> None:
    path = resource.replace("{session_id}", text).replace("{asset_id}", text)
    answer = api.request(function, "POST" if body else "GET", resource, path, body=body)
    assert check(answer, log).status == 404


@pytest.mark.parametrize("text", BREAKING + HARMLESS)
@pytest.mark.parametrize("name", ["limit", "cursor", "status", "reference", CANARY])
def test_a_query_is_refused_or_finds_nothing(api: ApiHarness, log: io.StringIO, name: str, text: str) -> None:
    answer = check(api.request("get_session", "GET", "/sessions", query={name: [text]}), log)
    if name in ("limit", "cursor", "status"):
        assert (answer.status, answer.json["field"]) == (400, name)
    elif name == "reference":
        assert {each["reference"] for each in answer.json["sessions"]} <= {text}


@pytest.mark.parametrize("text", BREAKING + HARMLESS)
@pytest.mark.parametrize("name", ["from", "to", "cursor", CANARY])
def test_a_query_for_numbers_is_refused_or_ignored(api: ApiHarness, log: io.StringIO, name: str, text: str) -> None:
    answer = check(api.request("get_stats", "GET", "/stats", query={name: [text]}), log)
    if name == CANARY:
        assert answer.status == 200
    else:
        assert (answer.status, answer.json["field"]) == (400, name)


@pytest.mark.parametrize(
    "body", ["\ud800", '{"reference": "\ud800"}', "\ufeff{}", '{"a": 1, "a": 2}', "{" * 500, "NaN"]
)
def test_a_body_that_is_not_text_or_not_json_is_a_400(api: ApiHarness, log: io.StringIO, body: str) -> None:
    assert check(api.request("create_session", "POST", "/sessions", body=body), log).status == 400


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=40))
def test_every_text_that_is_accepted_can_be_shown(text: str) -> None:
    for model, body in ((NewSession, {"reference": text}), (AssetRegistration, PICTURE | {"name": text})):
        try:
            parse_body(model, json.dumps(body))
        except InvalidRequest:
            continue
        text.encode("utf-8")
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)


# -- messages from crun -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", BREAKING + HARMLESS)
@pytest.mark.parametrize("code", ["FaceMismatch", "Other", "hostile"])
def test_cruns_messages_are_shown_as_one_line_of_json(api: ApiHarness, log: io.StringIO, code: str, text: str) -> None:
    session = api.session(assets=[PICTURE])
    (asset,) = api.store.list_assets(session)
    data = {"Status": "Failed", "Error": {"Code": text if code == "hostile" else code, "Message": text}}
    report = read_asset_report(json.loads(json.dumps(data)))
    problem = crun_failure(report.error_code, report.error_message)
    api.store.change_asset(replace(asset, status=AssetStatus.FAILED, error=problem), [asset.status])
    answer = check(api.request("get_session", "GET", "/sessions/{session_id}", f"/sessions/{session}"), log)
    shown = answer.json["assets"][0]["error"]
    assert answer.status == 200
    assert shown["message"].isprintable()
    # A message that may contain the link to the file is not shown.
    expected = "The file was not accepted." if "://" in text else text
    assert code == "FaceMismatch" or shown["message"].startswith(expected.split("\r")[0][:6])


# -- the browser's callback (case 18) ---------------------------------------------------------------------------------

POLLUTED: list[dict[str, list[str]]] = [
    {"resultCode": ["10000", "10001"]}, {"resultCode": ["10001", "10000"]}, {"resultCode": ["10000", ""]},
    {"resultCode": ["10000"], "x?resultCode": ["1"]}, {"resultCode": ["10000&resultCode=1"]},
    {"resultCode[]": ["10000"]}, {"resultcode": ["10000"]}, {"resultCode": ["\uff11\uff10\uff10\uff10\uff10"]},
    {"resultCode": ["1e4"]},
    {"resultCode": ["010000"]}, {"resultCode": ["10000\x00"]}, {"resultCode": ["10000;x"]}, {"resultCode": ["true"]},
    {"success": ["1"], "code": ["0"], "status": ["verified"]}, {"resultCode": ["x" * 100_000]},
    {f"p{number}": ["10000"] for number in range(1000)}, {"x": ["&a=1" * 60], "resultCode": ["10000"]},
    {"resultCode": ["10000"] * 999 + ["1"]}, {"": [""]}, {"&=?&": ["?=&"]}, {"\ud800": ["\ud800"]},
    *({"resultCode": [text]} for text in BREAKING + HARMLESS), *({text: [text]} for text in BREAKING + HARMLESS),
]  # fmt: skip


@pytest.mark.parametrize("query", POLLUTED)
def test_a_polluted_callback_records_no_pass_and_breaks_no_header(
    api: ApiHarness, log: io.StringIO, query: dict[str, list[str]]
) -> None:
    session = api.session(reference="pollution")
    api.store.add_attempt(session, Attempt(1, AttemptStatus.OPEN, "token", 0, 120), 1.0)
    answer = check(api.callback(session, query=query), log)
    assert (answer.status, answer.body) == (303, "")
    assert answer.headers["location"] == f"{BASE}/invite?status=requires_input"
    found = api.store.get_session(session)
    assert found
    assert found.status is SessionStatus.REQUIRES_INPUT
    shown = check(api.request("get_session", "GET", "/sessions/{session_id}", f"/sessions/{session}"), log)
    error = shown.json["last_error"]
    assert error is None or (len(error["upstream_code"]) <= 32 and error["upstream_code"].isprintable())


_TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)


@given(st.dictionaries(_TEXTS, st.lists(_TEXTS | st.just("10000"), max_size=3), max_size=5))
def test_any_query_is_read_as_a_short_line_or_nothing(query: dict[str, list[str]]) -> None:
    found = read_callback(query)
    assert found.result_code is None or (found.result_code.isprintable() and 0 < len(found.result_code) <= 32)
    assert found.passed == (found.result_code == "10000")


@pytest.mark.parametrize("text", BREAKING + HARMLESS)
@pytest.mark.parametrize("place", ["session_id", "attempt", "signature"])
def test_a_page_shows_nothing_of_a_refused_link(api: ApiHarness, log: io.StringIO, place: str, text: str) -> None:
    parameters = {"session_id": session_id(1, bytes(10)), "attempt": "1", "signature": "x" * 43} | {place: text}
    answer = check(
        api.callback(parameters["session_id"], parameters["attempt"], parameters["signature"], {"x": [text]}), log
    )
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert CANARY not in answer.body
    assert api.callback("x", "1", "x") == answer, "the same response for all"


def test_our_scripts_write_text_and_never_markup() -> None:
    scripts = sorted((ROOT / "layers/likeness/pages").rglob("*.js"))
    assert scripts
    for script in scripts:
        markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(.on"
        assert not re.search(markup, script.read_text("utf-8")), script.name


# -- internal errors (case 48) ----------------------------------------------------------------------------------------


def _broken_row(api: ApiHarness) -> str:
    """Creates a session with an invalid row: reading it raises an exception that contains its values."""
    session = api.session()
    boto3.client("dynamodb").update_item(
        TableName="Table",
        Key=session_key(session),
        UpdateExpression="SET #language = :broken",
        ExpressionAttributeNames={"#language": "language"},
        ExpressionAttributeValues={":broken": {"S": f"{CANARY}<script>\r\n"}},
    )
    return session


@pytest.mark.parametrize(
    ("function", "method", "resource"),
    [
        ("get_session", "GET", "/sessions/{session_id}"),
        ("create_session", "POST", "/sessions/{session_id}/attempts"),
        ("register_asset", "POST", "/sessions/{session_id}/assets"),
        ("request_files", "POST", "/sessions/{session_id}/finish"),
    ],
)
def test_an_internal_error_is_a_problem_with_an_id_and_no_details(
    api: ApiHarness, log: io.StringIO, function: str, method: str, resource: str
) -> None:
    path = resource.replace("{session_id}", _broken_row(api))
    answer = check(api.request(function, method, resource, path, body=json.dumps(PICTURE)), log)
    assert answer.status == 500
    assert answer.json == {
        "type": "about:blank",
        "title": "Internal server error",
        "status": 500,
        "detail": "Internal server error",
        "code": "internal_error",
        "request_id": "r",
    }
    (line,) = [json.loads(each) for each in log.getvalue().splitlines() if '"unexpected"' in each]
    assert (line["error"], line["request_id"], line["level"]) == ("ValueError", "r", "ERROR")
    assert any("items.py" in place for place in line["places"])


def test_an_internal_error_in_a_callback_is_a_page_with_an_id(api: ApiHarness, log: io.StringIO) -> None:
    answer = check(api.callback(_broken_row(api)), log)
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "<p><small>r</small></p>" in answer.body
    assert "reload" in answer.body
    assert CANARY not in answer.body


@pytest.mark.parametrize("event", [{}, {"pathParameters": None}, {"pathParameters": {}, "requestContext": None}])
def test_an_event_that_is_not_a_request_is_a_page_too(api: ApiHarness, event: dict[str, Any]) -> None:
    assert api.event("receive_callback", event).status == 500
