"""The correlation id of a session: its source, and that an execution's input is the same for every caller."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likeness.adapters.table.items import session_from, session_item
from likeness.contracts.messages import LinkCheck, PassReported
from likeness.domain.session import Attempt, AttemptStatus, Language, Session, SessionStatus
from likeness.runtime.request import correlation_id_of
from likeness.steps.onboarding.start_onboarding import StartOnboarding
from tests.unit.fakes import FakeClock, FakeWorkflows

SESSION_ID = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
ROOT = "1-67891233-abcdef012345678912345678"


def event(trace: str | None, request_id: str | None = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef") -> dict[str, Any]:
    headers = {} if trace is None else {"X-Amzn-Trace-Id": trace}
    return {"headers": headers, "requestContext": {"requestId": request_id}}


@pytest.mark.parametrize(
    "trace", [f"Root={ROOT}", f"Root={ROOT};Parent=463ac35c9f6413ad;Sampled=1", f"Self=1-2-3;Root={ROOT}"]
)
def test_it_is_the_root_of_the_trace(trace: str) -> None:
    assert correlation_id_of(event(trace)) == ROOT
    assert correlation_id_of({"headers": {"x-amzn-trace-id": trace}, "requestContext": {}}) == ROOT


@pytest.mark.parametrize(
    "trace", [None, "", "Root=alice", f"Root={ROOT}x", "Root=1-67891233-ABC", "Root=\r\nx-api-key: k"]
)
def test_an_invalid_trace_header_is_not_stored(trace: str | None) -> None:
    assert correlation_id_of(event(trace)) == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert correlation_id_of(event(trace, None)) is None
    assert correlation_id_of(event(trace, "not an id\n")) is None


def session(correlation_id: str | None) -> Session:
    attempt = Attempt(1, AttemptStatus.PASSED, "token", 1.8e9, 1.8e9 + 120)
    return Session(
        id=SESSION_ID, client_id="acme", status=SessionStatus.PROCESSING, language=Language.EN, created_at=1.8e9,
        updated_at=1.8e9, attempts={1: attempt}, correlation_id=correlation_id,
    )  # fmt: skip


def test_it_is_stored_with_the_session() -> None:
    assert session_from(session_item(session(ROOT))).correlation_id == ROOT
    assert "correlation_id" not in session_item(session(None))


@pytest.mark.parametrize("stored", [ROOT, None])
def test_the_executions_input_has_the_same_bytes_for_every_caller(stored: str | None) -> None:
    class Store:
        def get_session(self, _: str) -> Session:
            return session(stored)

    workflows, store = FakeWorkflows(), Store()
    start = StartOnboarding(store, workflows, FakeClock())  # type: ignore[arg-type]
    messages: list[PassReported | LinkCheck] = [
        PassReported(SESSION_ID, 1),
        PassReported(SESSION_ID, 1, correlation_id="another"),
        LinkCheck(SESSION_ID, 1, correlation_id=ROOT),
    ]
    # Step Functions answers a start with different bytes with ExecutionAlreadyExists, which is read as "exists".
    assert [start(each) for each in messages] == ["started"] * 3
    (document,) = workflows.started.values()
    assert json.loads(document).get("correlation_id") == stored
