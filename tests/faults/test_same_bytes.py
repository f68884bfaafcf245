"""The same bytes sent twice for one person (double click, second drop, retry) are one asset at crun."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.domain.asset import Asset
from tests.faults.onboarding import FACES, registration, take_check
from tests.faults.simulated_aws import SimulatedAws, simulated_aws

OUTCOMES = [
    {"name": "other_person*", "outcome": "failed", "code": "FaceMismatch", "after_seconds": 5},
    {"name": "lost*", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 5, "times": 1},
    {"name": "*", "outcome": "active", "after_seconds": 5},
]
DIGEST = hashlib.sha256(FACES[0]).hexdigest()


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws({"asset_outcomes": OUTCOMES}) as where:
        yield where


@pytest.fixture
def where(account: SimulatedAws) -> SimulatedAws:
    account.begin({})
    return account


def _create(where: SimulatedAws, *names: str) -> dict[str, Any]:
    """Creates a session that registers the same picture for each name."""
    answer = where.api("POST", "/sessions", body={"assets": [registration(0, name) for name in names]})
    assert answer.status == 201
    made: dict[str, Any] = answer.body
    return made


def _key(asset: dict[str, Any]) -> str:
    return str(asset["upload"]["fields"]["key"])


def _verify(where: SimulatedAws, session: dict[str, Any]) -> None:
    where.browser(take_check(session["attempt"]["h5_link"], "pass"))
    where.settle()


def _assets(where: SimulatedAws, session: dict[str, Any]) -> dict[str, Asset]:
    return {each.name: each for each in where.store.list_assets(session["id"])}


def _counted(where: SimulatedAws) -> Counter[str]:
    """Returns the client's active assets from GET /stats, and how many of them have a time to active."""
    days = where.api("GET", "/stats").body["days"]
    waited = sum(times for day in days for _, times in day["seconds_to_active"]["buckets"])
    return Counter(active=sum(day["assets"].get("active", 0) for day in days), waited=waited)


def test_a_double_click_before_the_check_is_one_upload(where: SimulatedAws) -> None:
    session = _create(where, "first", "second", "third")
    for asset in session["assets"]:
        where.put_object(_key(asset), FACES[0])
    where.settle(5)
    _verify(where, session)
    assets = _assets(where, session)
    assert {each.status.value for each in assets.values()} == {"active"}
    assert len({each.uri for each in assets.values()}) == 1
    assert len(where.simulator.store.assets) == 1


def test_the_same_file_dropped_later_shares_the_first_ones_id(where: SimulatedAws) -> None:
    before = _counted(where)
    session = _create(where, "first")
    where.put_object(_key(session["assets"][0]), FACES[0])
    _verify(where, session)
    for _ in range(2):
        where.put_object(f"inbox/{session['id']}/again.jpg", FACES[0])
        where.settle()
    found = where.store.list_assets(session["id"])
    assert [each.status.value for each in found] == ["active"] * 3
    assert len({each.uri for each in found}) == 1
    assert len(where.simulator.store.assets) == 1
    # All three are counted, but only one waited for crun.
    assert _counted(where) - before == Counter(active=3, waited=1)


def test_other_bytes_are_another_asset(where: SimulatedAws) -> None:
    session = _create(where, "first", "second")
    for asset, content in zip(session["assets"], FACES, strict=False):
        where.put_object(_key(asset), content)
    _verify(where, session)
    assert len({each.uri for each in _assets(where, session).values()}) == 2


def test_a_failed_file_can_be_sent_again(where: SimulatedAws) -> None:
    session = _create(where, "other_person", "good")
    where.put_object(_key(session["assets"][0]), FACES[0])
    _verify(where, session)
    where.put_object(_key(session["assets"][1]), FACES[0])
    where.settle()
    assets = _assets(where, session)
    assert (assets["other_person"].status.value, assets["good"].status.value) == ("failed", "active")


def test_duplicates_share_the_second_submission_after_a_failed_download(where: SimulatedAws) -> None:
    session = _create(where, "lost 1", "lost 2")
    for asset in session["assets"]:
        where.put_object(_key(asset), FACES[0])
    _verify(where, session)
    assets = _assets(where, session)
    assert {each.status.value for each in assets.values()} == {"active"}
    assert len({each.uri for each in assets.values()}) == 1
    assert len(where.simulator.store.assets) == 2, "the one that could not be fetched, and its second try"


def test_a_registration_with_a_known_digest_returns_the_existing_asset(where: SimulatedAws) -> None:
    session = _create(where, "other")
    body = registration(0, "first") | {"sha256": DIGEST}
    first = where.api("POST", "/sessions/{session_id}/assets", body=body, session_id=session["id"])
    again = where.api("POST", "/sessions/{session_id}/assets", body=body, session_id=session["id"])
    assert (first.status, again.status) == (201, 200)
    assert again.body["id"] == first.body["id"]
    assert again.body["upload"]["fields"]["key"] == _key(first.body), "its file can still be uploaded"
    where.put_object(_key(first.body), FACES[0])
    _verify(where, session)
    late = where.api("POST", "/sessions/{session_id}/assets", body=body, session_id=session["id"])
    assert (late.status, late.body["id"], late.body["status"]) == (200, first.body["id"], "active")
    assert "upload" not in late.body


def test_a_file_with_another_digest_than_registered_is_refused(where: SimulatedAws) -> None:
    session = _create(where)
    body = registration(1, "swapped") | {"sha256": DIGEST}
    asset = where.api("POST", "/sessions/{session_id}/assets", body=body, session_id=session["id"]).body
    where.put_object(_key(asset), FACES[1])
    where.settle(5)
    swapped = _assets(where, session)["swapped"]
    assert swapped.error
    assert (swapped.status.value, swapped.error.code) == ("failed", "content_mismatch")


def test_a_file_that_replaces_a_checked_one_is_not_submitted(where: SimulatedAws) -> None:
    session = _create(where, "first")
    key = _key(session["assets"][0])
    where.put_object(key, FACES[0])
    where.settle(5)
    checked = _assets(where, session)["first"]
    where.put_object(key, b"something else")
    where.put_object(key, FACES[1])
    _verify(where, session)
    submitted = _assets(where, session)["first"]
    assert (submitted.version_id, submitted.sha256) == (checked.version_id, DIGEST)
    assert submitted.status.value == "active"
    assert len(where.simulator.store.assets) == 1
