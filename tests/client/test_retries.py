"""Which requests are retried, and how often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from likeness_client import (
    Client,
    ConflictError,
    ConnectionFailedError,
    LikenessApiError,
    RateLimitedError,
    Retry,
    UnavailableError,
)
from likeness_client.transport import parse_retry_after
from tests.client.conftest import API_KEY, QUICK, example
from tests.client.server import CUT, HANGS, Answer, Script, problem

SESSION = Answer(body=example("session_verified"))
MADE = Answer(201, example("session_made"))
LINK_ID = "ses_01KE1Q5V0G8Z6W3N4R2T7Y9XAB"


@pytest.mark.parametrize(
    "trouble",
    [
        problem(429, "rate_limited", "0"),
        problem(429, "throttled"),
        problem(502, "upstream_rejected"),
        problem(503, "storage_unavailable", "0"),
        problem(504, "internal_error"),
        problem(409, "request_in_progress", "0"),
        Answer(502, b"<html>Bad gateway</html>", "text/html"),
        CUT,
        Answer(201, example("session_made"), missing=10),
    ],
    ids=lambda trouble: f"{trouble.status}",
)
def test_a_creation_is_retried_with_the_same_key_and_body(server: Script, client: Client, trouble: Answer) -> None:
    server.then(trouble, trouble, MADE)
    made = client.create_session(reference="order-1")
    assert made.id == LINK_ID
    assert len(server.seen) == 3
    assert len({each.headers["idempotency-key"] for each in server.seen}) == 1
    assert {each.body for each in server.seen} == {b'{"reference": "order-1"}'}


def test_a_retry_after_of_a_second_is_respected(server: Script, client: Client) -> None:
    server.then(problem(429, "rate_limited", "1"), MADE)
    assert client.create_session(idempotency_key="order-1").id == LINK_ID
    assert [each.headers["idempotency-key"] for each in server.seen] == ["order-1", "order-1"]


def test_two_creations_have_two_keys(server: Script, client: Client) -> None:
    server.then(MADE, MADE)
    client.create_session()
    client.create_session()
    assert len({each.headers["idempotency-key"] for each in server.seen}) == 2


def test_a_get_is_retried_after_a_lost_connection(server: Script, client: Client) -> None:
    server.then(CUT, CUT, SESSION)
    assert client.get_session(LINK_ID).status == "verified"


@pytest.mark.parametrize("trouble", [CUT, problem(503, "storage_unavailable", "0"), problem(429, "throttled")])
@pytest.mark.parametrize("call", [Client.create_attempt, Client.erase_session])
def test_a_post_without_a_key_is_sent_once(
    server: Script, client: Client, call: Callable[[Client, str], object], trouble: Answer
) -> None:
    server.then(trouble)
    with pytest.raises((ConnectionFailedError, UnavailableError, RateLimitedError)):
        call(client, LINK_ID)
    assert len(server.seen) == 1


def test_the_number_of_retries_is_bounded(server: Script, client: Client) -> None:
    server.then(*[problem(503, "storage_unavailable")] * 9)
    with pytest.raises(UnavailableError):
        client.get_session(LINK_ID)
    assert len(server.seen) == QUICK.attempts


def test_a_retry_after_beyond_the_limit_is_not_retried(server: Script, client: Client) -> None:
    server.then(problem(503, "upstream_credits_exhausted", "300"))
    with pytest.raises(UnavailableError) as caught:
        client.get_session(LINK_ID)
    assert caught.value.retry_after == 300
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        problem(400, "invalid_request"),
        problem(403, "forbidden"),
        problem(409, "idempotency_key_reused"),
        problem(429, "too_many_attempts"),
        problem(500, "internal_error"),
    ],
    ids=lambda refusal: f"{refusal.status}",
)
def test_a_refusal_is_not_retried(server: Script, client: Client, refusal: Answer) -> None:
    server.then(refusal)
    with pytest.raises(LikenessApiError) as caught:
        client.create_session()
    assert (caught.value.status, caught.value.code) == (refusal.status, refusal.body["code"])
    assert len(server.seen) == 1


def test_the_temporary_conflict_is_distinguished_from_the_others() -> None:
    assert ConflictError(409, "request_in_progress", "").is_passing
    assert not ConflictError(409, "conflict", "").is_passing


def test_an_api_that_does_not_respond_times_out(server: Script) -> None:
    server.then(HANGS)
    with (
        Client(server.url, API_KEY, timeout=(5, 0.2), retry=Retry(attempts=1)) as client,
        pytest.raises(ConnectionFailedError, match="ReadTimeout"),
    ):
        client.get_session(LINK_ID)


def test_a_refused_connection_is_a_failed_connection(server: Script) -> None:
    with (
        Client("http://127.0.0.1:9", API_KEY, retry=QUICK) as client,
        pytest.raises(ConnectionFailedError, match=f"GET /sessions/{LINK_ID}: ConnectionError"),
    ):
        client.get_session(LINK_ID)


def test_delays_grow_have_jitter_and_respect_retry_after() -> None:
    retry = Retry(base_seconds=1, longest_seconds=5)
    drawn = {tried: [retry.pause(tried, None) for _ in range(500)] for tried in (1, 2, 3, 9)}
    assert all(0 <= pause <= 5 for pauses in drawn.values() for pause in pauses)
    assert max(drawn[1]) <= 1 < max(drawn[2]) <= 2 < max(drawn[3]) <= 4 < max(drawn[9])
    assert min(drawn[9]) < 1
    assert all(7 <= retry.pause(1, 7) <= 8 for _ in range(100))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("17", 17), (None, None), ("soon", None), ("-1", None), ("1e9", None), ("", None), ("٣", None)],
)
def test_a_retry_after_is_a_number_or_nothing(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    later = parse_retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert later
    assert 3000 < later <= 3600
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
