"""The calls, as crun documents them; those of generations are in test_generation.py."""

import re
from typing import Any

import pytest
import requests

from local.simulator import Simulator, hash_token
from tests.simulator.conftest import API_KEY, CALLBACK, JOB, Crun

ALL_CALLS = [
    ("POST", f"{JOB}/visual-validate-session"),
    ("GET", f"{JOB}/visual-validate-result"),
    ("POST", f"{JOB}/asset-upload"),
    ("GET", f"{JOB}/asset-info"),
    ("GET", "/api/v1/client/account/balance"),
    ("POST", f"{JOB}/CreateTask"),
    ("GET", f"{JOB}/TaskInfo"),
    ("POST", f"{JOB}/EstimateTask"),
    ("POST", f"{JOB}/estimate-credits"),
    ("GET", f"{JOB}/Models"),
    ("GET", f"{JOB}/Models/bytedance/seedance2-0-r2v"),
]


@pytest.mark.parametrize(("method", "path"), ALL_CALLS)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
def test_every_call_requires_the_key(crun: Crun, method: str, path: str, headers: dict[str, str]) -> None:
    answer = crun.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, 401)


@pytest.mark.parametrize("style", ["http", "body", "both"])
def test_a_setting_selects_the_form_of_a_refusal(crun: Crun, style: str) -> None:
    crun.simulator.update_settings(refusal_style=style)
    answer = crun.look_up("unknown")
    assert answer.status_code == (200 if style == "body" else 404)
    assert answer.json().get("code") == (None if style == "http" else 404)


def test_a_session_has_the_shape_that_crun_documents(crun: Crun) -> None:
    data = crun.create()
    assert data.keys() == {"BytedToken", "H5Link", "CallbackURL"}
    assert data["CallbackURL"] == CALLBACK
    assert re.fullmatch(r"\d{14}[0-9A-F]{22}", data["BytedToken"])
    query = data["H5Link"].partition("?")[2]
    assert query.endswith(f"&bytedToken={data['BytedToken']}&lng=zh")
    signature = re.search(r"X-Signature=([^&]*)", query)
    assert signature is not None
    assert all(mark in signature.group(1) for mark in ("%2F", "+", "="))


def test_links_start_with_the_public_base_url() -> None:
    public = "http://127.0.0.1:8080/crun/"
    with Simulator(api_key=API_KEY, public_base_url=public) as simulator, requests.Session() as session:
        link = Crun(simulator, session).create()["H5Link"]
    assert link.startswith("http://127.0.0.1:8080/crun/h5/validate?")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"[]", "body"),
        (b"{}", "callback_url"),
        (b'{"callback_url": 7}', "callback_url"),
        (b'{"callback_url": "example.com/x"}', "callback_url"),
        (b'{"callback_url": "ftp://example.com/x"}', "callback_url"),
        (b'{"callback_url": "https://"}', "callback_url"),
        (b'{"callback_url": "https://[x"}', "callback_url"),
        (b'{"callback_url": "https://a/b c"}', "callback_url"),
    ],
)
def test_a_bad_session_body_is_refused_by_field(crun: Crun, body: bytes, named: str) -> None:
    answer = crun.request("POST", f"{JOB}/visual-validate-session", data=body)
    assert answer.status_code == 422
    assert answer.json()["message"] == "Missing Params or Type Error"
    assert answer.json()["errors"][0].startswith(named)


GOOD_UPLOAD = {"name": "a", "asset_type": "Image", "asset_url": "http://127.0.0.1/a", "group_id": "group-x"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "x" * 65}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"asset_type": "image"}, "asset_type"),
        ({"asset_url": "s3://bucket/key"}, "asset_url"),
        ({"group_id": None}, "group_id"),
    ],
)
def test_a_bad_upload_body_is_refused_by_field(crun: Crun, change: dict[str, Any], named: str) -> None:
    answer = crun.request("POST", f"{JOB}/asset-upload", json={**GOOD_UPLOAD, **change})
    assert answer.status_code == 422
    assert answer.json()["message"] == "Missing Params or Type Error"
    assert answer.json()["errors"][0].startswith(named)
    assert "127.0.0.1" not in answer.text


def test_an_upload_into_an_unknown_group_is_refused(crun: Crun) -> None:
    answer = crun.request("POST", f"{JOB}/asset-upload", json={**GOOD_UPLOAD, "name": "x" * 64})
    assert answer.json()["code"] == 404
    assert crun.simulator.state()["uploads"] == 0


@pytest.mark.parametrize(("call", "parameter"), [("visual-validate-result", "byted_token"), ("asset-info", "asset_id")])
def test_a_missing_query_parameter_is_named(crun: Crun, call: str, parameter: str) -> None:
    for params in ({}, {parameter: ""}):
        answer = crun.request("GET", f"{JOB}/{call}", params=params)
        assert answer.json()["code"] == 422
        assert parameter in answer.json()["errors"][0]


def test_a_person_who_passed_has_a_group(crun: Crun) -> None:
    data = crun.create()
    crun.check(data["H5Link"], outcome="pass", person="alice")
    answer = crun.look_up(data["BytedToken"])
    assert re.fullmatch(r"group-\d{14}-[a-z0-9]{5}", answer.json()["data"]["GroupId"])
    state = crun.simulator.state()
    assert state["successful_lookups"] == {hash_token(data["BytedToken"]): 1}


def test_a_successful_lookup_consumes_a_single_use_token(crun: Crun) -> None:
    data = crun.create()
    crun.check(data["H5Link"], outcome="pass")
    assert crun.look_up(data["BytedToken"]).json()["code"] == 200
    assert crun.look_up(data["BytedToken"]).json()["code"] == 404


def test_a_lookup_before_a_pass_consumes_a_single_use_token_too(crun: Crun) -> None:
    data = crun.create()
    assert crun.look_up(data["BytedToken"]).json()["code"] == 404
    crun.check(data["H5Link"], outcome="pass")
    assert crun.look_up(data["BytedToken"]).json()["code"] == 404
    assert crun.simulator.state()["successful_lookups"] == {hash_token(data["BytedToken"]): 0}


def test_a_reusable_token_returns_the_same_group_each_time(crun: Crun) -> None:
    crun.simulator.update_settings(token_mode="reusable", not_passed_code=422)
    data = crun.create()
    assert crun.look_up(data["BytedToken"]).json()["code"] == 422
    crun.check(data["H5Link"], outcome="pass")
    first, second = (crun.look_up(data["BytedToken"]).json()["data"] for _ in range(2))
    assert first == second


def test_a_token_expires_after_half_an_hour(crun: Crun) -> None:
    data = crun.create()
    crun.check(data["H5Link"], outcome="pass")
    crun.simulator.advance(1801)
    assert crun.look_up(data["BytedToken"]).json()["code"] == 404
    crun.simulator.set_clock(1700)
    assert crun.look_up(data["BytedToken"]).json()["code"] == 200


def test_an_empty_balance_stops_sessions_and_uploads(crun: Crun) -> None:
    assert crun.request("GET", "/api/v1/client/account/balance").json()["data"] == {"balance": 1000.0}
    group = crun.group()
    crun.simulator.update_settings(balance=0)
    answer = crun.request("POST", f"{JOB}/visual-validate-session", json={"callback_url": CALLBACK})
    assert answer.json()["code"] == 402
    assert crun.upload("http://127.0.0.1/a", group).json()["code"] == 402


def test_more_calls_than_the_limit_are_refused(crun: Crun) -> None:
    crun.simulator.update_settings(rate_limit_per_10s=3, rate_limit_retry_after=7)
    answers = [crun.request("GET", "/api/v1/client/account/balance") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", f"{JOB}/asset-upload"), ("DELETE", f"{JOB}/asset-info")]
)
def test_an_unknown_route_is_a_404(crun: Crun, method: str, path: str) -> None:
    assert crun.request(method, path).status_code == 404


def test_a_rotated_key_replaces_the_old_one(crun: Crun) -> None:
    crun.simulator.change_key("other")
    path = "/api/v1/client/account/balance"
    assert crun.request("GET", path).status_code == 401
    assert crun.request("GET", path, headers={"x-api-key": "other"}).status_code == 200


def test_a_body_that_is_too_long_is_refused_unread(crun: Crun) -> None:
    answer = crun.request("POST", f"{JOB}/visual-validate-session", data=b" " * 1_000_001)
    assert answer.status_code == 422
