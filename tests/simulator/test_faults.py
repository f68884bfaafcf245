"""Each fault, as a client observes it."""

import time
from typing import Any

import pytest
import requests

from local.simulator import FaultRule
from tests.simulator.conftest import API_KEY, CALLBACK, JOB, Crun

BALANCE = "/api/v1/client/account/balance"


@pytest.mark.parametrize("code", [401, 402, 403, 404, 422, 429, 455, 500, 501, 505, 599])
@pytest.mark.parametrize(("kind", "status"), [("http", None), ("body", 200), ("both", None)])
def test_refusals_by_http_by_body_or_both(crun: Crun, kind: Any, status: int | None, code: int) -> None:
    crun.simulator.add_faults(FaultRule(call="balance", kind=kind, code=code, retry_after=9))
    answer = crun.request("GET", BALANCE)
    assert answer.status_code == (status or code)
    assert answer.json().get("code") == (None if kind == "http" else code)
    assert answer.headers["Retry-After"] == "9"
    assert crun.request("GET", BALANCE).status_code == 200


def test_a_refused_call_had_no_effect(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="session", kind="both", code=500))
    crun.request("POST", f"{JOB}/visual-validate-session", json={"callback_url": CALLBACK})
    assert crun.simulator.state()["sessions"] == 0


def test_after_and_times_select_the_calls_that_fail(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="balance", kind="both", code=429, after=1, times=2))
    assert [crun.request("GET", BALANCE).status_code for _ in range(5)] == [200, 429, 429, 200, 200]


def test_a_rule_affects_its_call_only_and_any_affects_all(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="upload", kind="empty", times=None))
    assert crun.request("GET", BALANCE).json()["code"] == 200
    crun.simulator.add_faults(FaultRule(call="any", kind="both", code=455, times=None))
    assert crun.request("GET", BALANCE).status_code == 455
    assert crun.look_up("x").status_code == 455
    crun.simulator.clear_faults()
    assert crun.request("GET", BALANCE).status_code == 200


def test_an_error_page_of_a_proxy(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="html"), FaultRule(kind="html", code=200, after=1))
    assert [crun.request("GET", BALANCE).status_code for _ in range(2)] == [502, 200]


def test_an_empty_body(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="empty"))
    answer = crun.request("GET", BALANCE)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_connection_that_closes_after_half_a_response(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="session", kind="truncated"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        crun.create()
    assert crun.simulator.state()["sessions"] == 1


def test_half_the_json_in_a_complete_response(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="corrupt"))
    answer = crun.request("GET", BALANCE)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_an_oversize_body(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="oversize", size_bytes=3_000_000))
    assert len(crun.request("GET", BALANCE).content) > 3_000_000


def test_a_redirect_elsewhere(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="redirect"))
    answer = crun.request("GET", BALANCE)
    assert (answer.status_code, answer.headers["Location"][:23]) == (302, "http://169.254.169.254/")


def test_a_late_response(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="hang", seconds=0.4))
    started = time.monotonic()
    assert crun.request("GET", BALANCE).json()["code"] == 200
    assert time.monotonic() - started >= 0.4


def test_a_hanging_response_does_not_delay_the_shutdown(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(kind="hang", seconds=60))
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(crun.simulator.url + BALANCE, headers={"x-api-key": API_KEY}, timeout=0.1)
    started = time.monotonic()
    crun.simulator.stop()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("work_done", "sessions"), [(None, 1), (True, 1), (False, 0)])
def test_a_lost_response_with_or_without_the_work(crun: Crun, work_done: bool | None, sessions: int) -> None:
    crun.simulator.add_faults(FaultRule(call="session", kind="reset", work_done=work_done))
    with pytest.raises(requests.exceptions.ConnectionError, match="reset"):
        crun.create()
    assert crun.simulator.state()["sessions"] == sessions
    assert crun.simulator.log()[-1].status is None
    crun.create()


def test_a_lost_response_consumes_a_single_use_token(crun: Crun) -> None:
    data = crun.create()
    crun.check(data["H5Link"], outcome="pass")
    crun.simulator.add_faults(FaultRule(call="result", kind="reset"))
    with pytest.raises(requests.exceptions.ConnectionError):
        crun.look_up(data["BytedToken"])
    assert crun.look_up(data["BytedToken"]).json()["code"] == 404


def test_other_shapes_of_success(crun: Crun) -> None:
    crun.simulator.add_faults(
        FaultRule(kind="extra_fields"),
        FaultRule(kind="no_data", after=1),
        FaultRule(kind="wrong_types", after=2),
    )
    extra, bare, wrong = (crun.request("GET", BALANCE).json() for _ in range(3))
    assert extra["data"]["balance"] == 1000.0
    assert {"request_id", "trace"} <= extra.keys()
    assert "data" not in bare
    assert wrong == {"code": "200", "message": "success", "data": {"balance": [1000.0]}}


def test_a_shape_does_not_turn_a_refusal_into_success(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="result", kind="extra_fields"))
    assert crun.look_up("unknown").json() == {"code": 404, "message": "byted_token not found", "data": None}
