"""The client waits for a person and for files."""

from __future__ import annotations

from typing import Any

import pytest

from likeness_client import (
    Client,
    CredentialError,
    NotFoundError,
    Poll,
    Session,
    SessionEndedError,
    UnavailableError,
    WaitTimeoutError,
)
from tests.client.conftest import API_KEY, QUICK, example
from tests.client.server import CUT, HANGS, Answer, Script, problem

ID = "ses_1"


def state(status: str, *assets: str, **changes: Any) -> Answer:
    """Returns a response that shows a session with a status and assets, from a service without ``settled``."""
    shown = [example("asset_active", status=each) for each in assets]
    return Answer(body=example("session_verified", **{"status": status, "assets": shown, "settled": None} | changes))


def test_each_change_is_reported_once(server: Script, client: Client) -> None:
    server.then(
        *[state("requires_input")] * 3,
        state("processing"),
        state("processing"),
        state("verified"),
    )
    changes: list[Session] = []
    found = client.wait_until_verified(ID, 30, changes.append)
    assert found.status == "verified"
    assert [each.status for each in changes] == ["requires_input", "processing", "verified"]
    assert len(server.seen) == 6


def test_verified_does_not_wait_for_files_and_settled_does(server: Script, client: Client) -> None:
    server.then(state("verified", "uploaded"))
    assert client.wait_until_verified(ID, 30).assets[0].status == "uploaded"
    server.then(
        state("requires_input"), state("verified", "uploaded", "active"), state("verified", "new", "active"),
        state("verified", "failed", "active"),
    )  # fmt: skip
    assert [each.status for each in client.wait_until_settled(ID, 30).assets] == ["failed", "active"]
    assert not server.answers


def test_the_service_says_when_nothing_more_is_expected(server: Script, client: Client) -> None:
    server.then(state("verified", settled=False), state("verified", "uploaded", settled=False))
    server.then(state("verified", "active", settled=True))
    assert [each.status for each in client.wait_until_settled(ID, 30).assets] == ["active"]
    assert not server.answers


def test_a_failed_attempt_does_not_end_the_wait(server: Script, client: Client) -> None:
    failed = {"code": "attempt_failed", "message": "No", "upstream_code": "10001"}
    server.then(state("requires_input", last_error=failed), state("verified"))
    changes: list[Session] = []
    client.wait_until_verified(ID, 30, changes.append)
    assert changes[0].last_error
    assert changes[0].last_error.code == "attempt_failed"


@pytest.mark.parametrize("status", ["canceled", "redacted"])
@pytest.mark.parametrize("wait", [Client.wait_until_verified, Client.wait_until_settled])
def test_an_ended_session_is_not_waited_for(server: Script, client: Client, status: str, wait: Any) -> None:
    server.then(state("processing"), state(status))
    with pytest.raises(SessionEndedError, match=status) as caught:
        wait(client, ID, 30)
    assert caught.value.session.status == status


def test_a_temporary_error_does_not_end_the_wait(server: Script, client: Client) -> None:
    trouble = [CUT] * QUICK.attempts + [problem(503, "storage_unavailable")] * (QUICK.attempts + 1)
    server.then(state("processing"), *trouble, problem(429, "throttled", "1"), state("verified"))
    assert client.wait_until_verified(ID, 30).status == "verified"


@pytest.mark.parametrize(
    ("answer", "kind"), [(problem(404, "not_found"), NotFoundError), (problem(403, "forbidden"), CredentialError)]
)
def test_a_permanent_error_ends_the_wait(server: Script, client: Client, answer: Answer, kind: type[Exception]) -> None:
    server.then(state("processing"), answer)
    with pytest.raises(kind):
        client.wait_until_verified(ID, 30)


def test_a_timeout_has_the_last_session(server: Script, client: Client) -> None:
    server.then(*[state("processing")] * 1000)
    with pytest.raises(TimeoutError) as caught:
        client.wait_until_verified(ID, 0.1)
    assert isinstance(caught.value, WaitTimeoutError)
    assert caught.value.session
    assert caught.value.session.status == "processing"
    assert "is processing" in str(caught.value)


def test_a_retry_after_beyond_the_timeout_ends_the_wait_immediately(server: Script, client: Client) -> None:
    server.then(problem(503, "upstream_credits_exhausted", "300"))
    with pytest.raises(WaitTimeoutError) as caught:
        client.wait_until_verified(ID, 100)
    assert caught.value.session is None
    assert isinstance(caught.value.__cause__, UnavailableError)
    assert len(server.seen) == 1


def test_an_api_that_hangs_does_not_delay_the_timeout(server: Script) -> None:
    server.then(*[HANGS] * 9)
    with Client(server.url, API_KEY, timeout=20, retry=QUICK) as client, pytest.raises(WaitTimeoutError):
        client.wait_until_verified(ID, 0.2)
    assert len(server.seen) == 1


def test_delays_grow_to_a_limit() -> None:
    poll = Poll(first_seconds=1, factor=2, longest_seconds=5)
    pauses = [1.0]
    while len(pauses) < 5:
        pauses.append(poll.longer(pauses[-1]))
    assert pauses == [1, 2, 4, 5, 5]
