"""The doctor keeps the shapes of undocumented responses, and no values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.doctor.judge import Judge, Verdict, code_of
from ops.doctor.record import record
from ops.doctor.redaction import Redactor
from ops.doctor.transport import Answer, Budget, Call, Transport
from ops.doctor.visit import Exchange, Visit

KEY = "sk-crun-plain-key"  # without a digit, so no pattern for secrets matches it
SECRETS = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=6, max_size=40).filter(str.isalnum)


def kept(value: Any, redactor: Redactor | None = None) -> str:
    """Returns a JSON value as the doctor writes it."""
    redactor = redactor or Redactor()
    return redactor.final(json.dumps(redactor.json(value), ensure_ascii=False))


@given(SECRETS)
def test_the_values_of_unknown_fields_are_never_kept(secret: str) -> None:
    answer = {"data": {"New": secret, "Deep": [{"er": secret}], "Link": f"https://h5.example/x?sig={secret}#{secret}"}}
    assert secret not in kept(answer)


@given(SECRETS)
def test_a_secret_is_removed_from_text_in_every_encoding(secret: str) -> None:
    redactor = Redactor()
    redactor.secret(secret)
    written = kept({"message": f"no such token: {secret}, {json.dumps(secret)}"}, redactor)
    assert secret not in written


@pytest.mark.parametrize(
    "value",
    [
        {"Credentials": {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"}},
        {"message": "token 20260101120000ABCDEF0123456789ABCDEF is spent"},
        {"message": "see https://h5.example/a?X-Signature=wJalrXUtnFEMI/K7MDENG&bytedToken=ABCDEF0123456789ABCDEF"},
        {
            "detail": [
                {"loc": ["query", "asset-20260101120000-abcde"], "msg": "no", "input": "asset-20260101120000-abcde"}
            ]
        },
        {"Name": "安娜史密斯林"},
        {"AccountId": 123456789012},
        {"ABCDEF0123456789ABCDEF": 1},
        {"Url": "https://anna:wJalrXUtnFEMI@host.example/"},
    ],
    ids=lambda value: next(iter(value)),
)
def test_secrets_in_the_forms_of_other_upstream_apis_are_removed(value: Any) -> None:
    written = kept(value)
    for part in (
        "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", "bPxRfiCY", "ABCDEF0123456789ABCDEF", "20260101120000", "安娜",
        "123456789012",
    ):  # fmt: skip
        assert part not in written


def test_the_fields_that_a_fixture_needs_are_kept() -> None:
    answer = {
        "code": 200,
        "message": "success",
        "data": {
            "Status": "Active", "AssetType": "Image", "CreateTime": "2026-01-01T12:00:00Z", "UpdateTime": 1767268800,
            "balance": 12.5, "More": None, "Flag": True,
        },
    }  # fmt: skip
    data = answer["data"]
    assert isinstance(data, dict)
    assert Redactor().json(answer) == answer | {"data": data | {"balance": 1000.0}}


def test_a_placeholder_has_the_shape_of_the_value_that_it_replaces() -> None:
    redactor = Redactor()
    for secret in ("group-20260101120000-abcde", "20260101120000ABCDEF", "sk_live_Ab1", "a%2Fb"):
        placeholder = redactor.hide(secret)
        assert placeholder != secret
        assert [each if not each.isalnum() else "x" for each in placeholder] == [
            each if not each.isalnum() else "x" for each in secret
        ]
        assert redactor.hide(secret) == redactor.hide(placeholder) == placeholder
    assert redactor.hide("group-20260101120000-abcde").startswith("group-")


@pytest.mark.parametrize(
    "body", [b"", b"[" * 100_000, b"null", b"[1]", b'"x"', b'{"code": NaN}', b"\xff", b'{"code": true}']
)
@pytest.mark.parametrize("status", [200, 302, 404, 599])
def test_no_body_breaks_the_doctor(status: int, body: bytes, tmp_path: Any) -> None:
    answer, redactor = Answer(status, {}, body), Redactor()
    judge = Judge("any", redactor)
    assert judge.success(answer, ("BytedToken",))[0].verdict is Verdict.DIFFERS
    assert [*judge.refusal(answer, (404,)), *judge.session(answer, "https://a.example"), *judge.asset(answer)]
    assert code_of(answer) in (0, status)
    (file,) = record(tmp_path, [Exchange("any", Call("GET", "/any"), answer)], redactor, KEY)
    assert KEY not in file.read_text()


@pytest.mark.parametrize(
    "data",
    [
        '{"balance": DIGITS, "CreateTime": DIGITS, "New": DIGITS}'.replace("DIGITS", "9" * 4000),
        '{"New": 1e400, "More": -1.5, "Most": 1e308}',
        '{"New": "\\ud800abcdefghijklmnop", "BytedToken": "\\udfff"}',
        '{"H5Link": "https://[bad", "CallbackURL": "http://[::1"}',
        '{"Status": ' + "[" * 900 + "]" * 900 + "}",
    ],
    ids=["long numbers", "odd numbers", "half characters", "half addresses", "deep"],
)
def test_no_data_breaks_the_doctor(data: str, tmp_path: Any) -> None:
    body = f'{{"code": 200, "message": "\\ud800", "data": {data}}}'.encode()
    answer, redactor = Answer(200, {}, body), Redactor()
    judge = Judge("any", redactor)
    found = [*judge.success(answer, ("H5Link",)), *judge.session(answer, "https://a.example"), *judge.asset(answer)]
    assert any(each.verdict is Verdict.DIFFERS for each in found)
    (file,) = record(tmp_path, [Exchange("any", Call("GET", "/any"), answer)], redactor, KEY)
    assert json.loads(file.read_text("utf-8"))["answer"]["body"]["code"] == 200


@pytest.mark.parametrize("before", range(1985, 2001))
def test_no_part_of_a_secret_is_left_where_a_long_text_is_truncated(before: int) -> None:
    unknown = "wJalrXUtnFEMI7K7MDENG"
    for secret in (KEY, unknown):
        redactor = Redactor()
        redactor.secret(KEY)
        shown = redactor.text("x " * (before // 2) + " " * (before % 2) + secret + " and more" * 9)
        assert secret[:4] not in shown
        assert len(shown) <= 2001


def test_a_token_that_is_a_number_is_looked_up_and_kept_secret() -> None:
    """The product accepts a number as an id, and so does the doctor."""

    class Numbers(Transport):
        def send(self, call: Call) -> Answer:
            return Answer(200, {}, b'{"code": 200, "message": "ok 987654", "data": {"BytedToken": 987654}}')

    visit = Visit(Numbers("https://crun.example", KEY, Budget(60)), Redactor(), "https://a.example")
    visit.pay(spend=True, upload=None)
    looked_up = [each.call for each in visit.exchanges if each.name == "look-up"]
    assert [each.query["byted_token"] for each in looked_up] == ["987654"]
    assert "987654" not in str(visit.findings)


def test_a_request_id_in_a_refusal_does_not_make_two_answers_different() -> None:
    class Counting(Transport):
        count = 0

        def send(self, call: Call) -> Answer:
            self.count += 1
            if "session" in call.path:
                return Answer(200, {}, b'{"code": 200, "message": "success", "data": {"BytedToken": "token"}}')
            return Answer(404, {}, json.dumps({"code": 404, "message": f"no. Request id: 0217{self.count}"}).encode())

    visit = Visit(Counting("https://crun.example", KEY, Budget(60)), Redactor(), "https://a.example")
    visit.pay(spend=True, upload=None)
    (found,) = [each.text for each in visit.findings if each.point == "single use"]
    assert "has no visible effect" in found


def test_a_key_that_looks_like_words_is_removed_from_text(tmp_path: Any) -> None:
    redactor = Redactor()
    redactor.secret(KEY)
    answer = Answer(401, {"x-key": KEY}, json.dumps({"code": 401, "message": f"{KEY} is not valid"}).encode())
    found = Judge("any", redactor).refusal(answer, (401,))
    (file,) = record(tmp_path, [Exchange("any", Call("GET", "/any"), answer)], redactor, KEY)
    assert KEY not in file.read_text() + str(found)
