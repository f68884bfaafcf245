"""The transitions of assets and sessions: each changes only its fields, and only when the status allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from likeness.domain.asset import ASSET_LOST, MAX_RESUBMISSIONS, Asset, AssetStatus, InvalidTransition
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Language, Problem, Session, SessionStatus

NOW = 1_800_000_000.0
LATER = NOW + 60
PROBLEM = Problem("face_mismatch", "Another face.")
LATE = Problem("activation_timeout", "Too late.", retryable=True)
WAITING, UPLOADED, SUBMITTING = AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.SUBMITTING
PROCESSING, ACTIVE, FAILED = AssetStatus.PROCESSING, AssetStatus.ACTIVE, AssetStatus.FAILED


def asset(status: AssetStatus, **fields: Any) -> Asset:
    """Returns an asset with the fields of one in ``status``."""
    made = Asset("ast_1", "ses_1", "front", AssetType.IMAGE, "image/jpeg", status, "uploads/file", NOW, NOW)
    if status is SUBMITTING:
        made = replace(made, submitting_by="execution/1", ambiguous_submissions=1)
    if status in (PROCESSING, ACTIVE):
        made = replace(made, crun_asset_id="asset-1", submitted_at=NOW)
    return replace(made, **fields)


@dataclass(frozen=True)
class Transition:
    """One method, the statuses that allow it, and what it changes."""

    of: Callable[[Asset], Asset]
    allowed: set[AssetStatus]
    changes: dict[str, Any]


AT_CRUN = {"status": PROCESSING, "submitting_by": None, "crun_asset_id": "asset-2", "updated_at": LATER}
TRANSITIONS = {
    "place_renewed": Transition(lambda each: each.place_renewed(LATER), {WAITING}, {"updated_at": LATER}),
    "place_counted": Transition(
        lambda each: replace(each, given_back=True).place_counted(), {WAITING}, {"given_back": False}
    ),
    "received": Transition(
        lambda each: each.received("v1", 7, LATER),
        {WAITING},
        {"version_id": "v1", "size_bytes": 7, "updated_at": LATER},
    ),
    "uploaded": Transition(
        lambda each: each.uploaded(AssetType.VIDEO, "video/mp4", "abc", LATER),
        {WAITING},
        {
            "status": UPLOADED,
            "asset_type": AssetType.VIDEO,
            "content_type": "video/mp4",
            "sha256": "abc",
            "uploaded_at": LATER,
            "updated_at": LATER,
        },
    ),
    "claimed": Transition(
        lambda each: replace(each, ambiguous_submissions=1).claimed("execution/2", LATER),
        {UPLOADED, SUBMITTING},
        {"status": SUBMITTING, "submitting_by": "execution/2", "ambiguous_submissions": 2, "updated_at": LATER},
    ),
    "released": Transition(
        lambda each: each.released(LATER), {UPLOADED, SUBMITTING}, {"submitting_by": None, "updated_at": LATER}
    ),
    "submitted": Transition(
        lambda each: each.submitted("asset-2", LATER), {SUBMITTING}, AT_CRUN | {"submitted_at": LATER}
    ),
    "submission_recovered": Transition(
        lambda each: each.submission_recovered("asset-2", 1, LATER),
        {WAITING, UPLOADED, SUBMITTING},
        AT_CRUN | {"submitted_at": LATER, "resubmissions": 1},
    ),
    "shares_id_of": Transition(
        lambda each: each.shares_id_of(asset(PROCESSING, submitted_at=NOW - 9), LATER),
        {UPLOADED},
        {"status": PROCESSING, "crun_asset_id": "asset-1", "submitted_at": NOW - 9, "updated_at": LATER},
    ),
    "activated": Transition(
        lambda each: each.activated(LATER),
        {PROCESSING},
        {"status": ACTIVE, "activated_at": LATER, "updated_at": LATER},
    ),
    "missed": Transition(lambda each: each.missed(LATER), {PROCESSING}, {"missing_since": LATER}),
    "found_again": Transition(
        lambda each: replace(each, missing_since=NOW).found_again(), {PROCESSING}, {"missing_since": None}
    ),
    "resubmission_due": Transition(
        lambda each: replace(each, ambiguous_submissions=1).resubmission_due(LATER),
        {PROCESSING},
        {
            "status": UPLOADED,
            "resubmissions": 1,
            "ambiguous_submissions": 0,
            "crun_asset_id": None,
            "earlier_crun_asset_id": "asset-1",
            "updated_at": LATER,
        },
    ),
    "failed": Transition(
        lambda each: each.failed(PROBLEM, LATER),
        {WAITING, UPLOADED, SUBMITTING, PROCESSING},
        {"status": FAILED, "error": PROBLEM, "submitting_by": None, "updated_at": LATER},
    ),
    "retried": Transition(
        lambda each: replace(
            each, uploaded_at=NOW, error=LATE, crun_asset_id="asset-1", submitted_at=NOW, missing_since=NOW
        ).retried(LATER),
        {FAILED},
        {
            "status": UPLOADED,
            "uploaded_at": NOW,
            "resubmissions": 1,
            "earlier_crun_asset_id": "asset-1",
            "updated_at": LATER,
        },
    ),
    "lost": Transition(
        lambda each: replace(each.lost("404", LATER), error=None),
        {ACTIVE},
        {"status": FAILED, "error": None, "updated_at": LATER},
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_changes_only_its_fields(name: str) -> None:
    transition = TRANSITIONS[name]
    for status in transition.allowed:
        assert transition.of(asset(status)) == replace(asset(status), **transition.changes)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_needs_a_status_that_allows_it(name: str) -> None:
    for status in set(AssetStatus) - TRANSITIONS[name].allowed:
        with pytest.raises(InvalidTransition, match=status):
            TRANSITIONS[name].of(asset(status))


def test_a_recovered_submission_keeps_the_time_of_the_first() -> None:
    assert asset(UPLOADED, submitted_at=NOW).submission_recovered("asset-2", 1, LATER).submitted_at == NOW


def test_a_file_that_shares_the_id_of_an_active_duplicate_is_active() -> None:
    shared = asset(UPLOADED, submitted_at=NOW).shares_id_of(asset(ACTIVE, activated_at=NOW), LATER)
    assert (shared.status, shared.submitted_at, shared.activated_at) == (ACTIVE, None, LATER)


def test_a_duplicate_without_an_id_has_none_to_share() -> None:
    with pytest.raises(InvalidTransition, match="AssetId"):
        asset(UPLOADED).shares_id_of(asset(SUBMITTING), LATER)


def test_an_asset_that_crun_does_not_know_keeps_the_first_time() -> None:
    missed = asset(PROCESSING, missing_since=NOW)
    assert missed.missed(LATER) is missed


def test_an_asset_that_crun_never_missed_is_unchanged() -> None:
    processing = asset(PROCESSING)
    assert processing.found_again() is processing  # a poll writes only changed assets


def test_an_asset_is_submitted_again_once() -> None:
    with pytest.raises(InvalidTransition, match="once"):
        asset(PROCESSING, resubmissions=1).resubmission_due(LATER)


def test_a_lost_asset_has_an_error_and_keeps_its_id() -> None:
    lost = asset(ACTIVE).lost("404", LATER)
    assert lost.error
    assert (lost.error.code, lost.error.upstream_code, lost.crun_asset_id) == (ASSET_LOST, "404", "asset-1")


@pytest.mark.parametrize(("status", "seconds"), [(PROCESSING, 60.0), (UPLOADED, 0), (SUBMITTING, 0), (ACTIVE, 0)])
def test_time_at_crun_counts_while_crun_processes_the_file(status: AssetStatus, seconds: float) -> None:
    assert asset(status, submitted_at=NOW).seconds_at_crun(LATER) == seconds


def test_a_further_attempt_reopens_a_session_and_keeps_the_earlier_attempts() -> None:
    first = Attempt(1, AttemptStatus.FAILED, "token-1", NOW, NOW + 120)
    second = replace(first, number=2, status=AttemptStatus.OPEN, byted_token="token-2")
    session = Session(
        "ses_1", "acme", SessionStatus.PROCESSING, Language.EN, NOW, NOW, last_error=PROBLEM, attempts={1: first}
    )
    assert session.attempted(second, LATER) == replace(
        session,
        status=SessionStatus.REQUIRES_INPUT,
        last_error=None,
        attempts={1: first, 2: second},
        updated_at=LATER,
    )


def test_each_retry_keeps_the_id_of_the_try_before_it() -> None:
    found = asset(FAILED, uploaded_at=NOW, error=LATE)
    for number in range(3):
        found = replace(found, crun_asset_id=f"asset-{number}").retried(LATER)
        assert (found.crun_asset_id, found.resubmissions) == (None, number + 1)
        found = replace(found, status=FAILED, error=LATE)
    assert found.crun_asset_ids == ["asset-0", "asset-1", "asset-2"]
    unknown = found.retried(LATER)
    assert unknown.resubmissions == 3, "no AssetId is known of a try that ended without one"


@pytest.mark.parametrize(
    "fields",
    [{"error": None}, {"error": PROBLEM}, {"uploaded_at": None}, {"resubmissions": MAX_RESUBMISSIONS}],
)
def test_what_would_fail_again_is_not_retried(fields: dict[str, Any]) -> None:
    found = asset(FAILED, **({"uploaded_at": NOW, "error": LATE} | fields))
    assert not found.can_be_retried
    with pytest.raises(InvalidTransition):
        found.retried(LATER)
