"""The person's consent with every fault at every call: recorded once, and no link before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.fault_injection import MOMENTARY
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.functions import event_of_request

SESSION = "/sessions/{session_id}"


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


def _ledger(where: SimulatedAws, session_id: str) -> list[dict[str, Any]]:
    found = where.aws("dynamodb").query(
        TableName="Table",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"CONSENT#{session_id}"}},
    )
    return list(found["Items"])


def _agree(where: SimulatedAws, session_id: str, person: str) -> int:
    text = where.invoke("record_consent", event_of_request("GET", "/consent", "/consent"))
    agreed = {name: json.loads(text["body"])[name] for name in ("text_version", "language", "sha256")}
    return where.api("POST", f"{SESSION}/consent", key=person, session_id=session_id, body=agreed).status


def _person(where: SimulatedAws) -> tuple[str, str]:
    """Creates a session that starts when its person opens it; returns its id and the invite's token."""
    where.begin({})
    made = where.api("POST", "/sessions", body={"start": "on_open"}).body
    return made["id"], made["invite_url"].partition("#")[2]


def test_a_consent_that_fails_anywhere_is_recorded_once_by_a_retry(account: SimulatedAws) -> None:
    session_id, person = _person(account)
    begin = len(account.injector.calls)
    assert _agree(account, session_id, person) == 201
    calls = len(account.injector.calls) - begin
    assert calls >= 3
    for number in range(1, calls + 1):
        for fault in MOMENTARY:
            session_id, person = _person(account)
            account.injector.plan = {len(account.injector.calls) + number: fault}
            answers: list[int] = []
            while not answers or answers[-1] not in (200, 201):
                assert len(answers) < 3, answers
                assert _ledger(account, session_id) == [] or answers, "nothing is recorded before the person agrees"
                answers.append(_agree(account, session_id, person))
            assert account.injector.fired, "the fault occurs"
            assert len(_ledger(account, session_id)) == 1, (number, fault)
            session = account.store.get_session(session_id)
            assert session
            assert session.consent
            made = account.api("POST", f"{SESSION}/attempts", key=person, session_id=session_id)
            assert made.status == 201


def test_without_a_consent_no_link_is_requested(account: SimulatedAws) -> None:
    session_id, person = _person(account)
    refused = account.api("POST", f"{SESSION}/attempts", key=person, session_id=session_id)
    assert (refused.status, refused.body["code"]) == (409, "consent_required")
    assert not any(call.service == "crun" for call in account.injector.calls)
