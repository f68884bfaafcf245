"""The steps of the flow, on moto's table and in-memory fakes: how each changes the row and the queue."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.poll_history import DynamoPollHistory
from likeness.contracts.body import parse_body
from likeness.contracts.http import NewSession
from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import SUBMISSION_LEASE_SECONDS, Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.crun import AssetReport
from likeness.domain.executions import ExecutionStatus
from likeness.domain.ids import session_id
from likeness.domain.media.types import AssetType
from likeness.domain.polling import NEVER, NOTHING_SEEN, History, observed
from likeness.domain.session import AttemptStatus, SessionStatus, failure
from likeness.domain.signing import sign_callback
from likeness.errors import (
    ConditionFailed,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.steps.files.next_action import MAX_POLLS, done
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.onboarding.look_up_result import LEASE_SECONDS
from likeness.steps.onboarding.receive_callback import ReceiveCallback
from likeness.steps.upkeep.erase_session import EraseAsset
from tests.unit.fakes import FakeConsentTexts, FakeCrun
from tests.unit.step_harness import BASE, PASS, TABLE, StepHarness

# -- the callback -------------------------------------------------------------------------------------------------


def test_a_pass_is_stored_and_sent_again_when_it_is_repeated(harness: StepHarness) -> None:
    one = harness.session()
    assert harness.callback(one) == f"{BASE}/invite?status=processing"
    assert harness.row(one).attempts[1].status is AttemptStatus.PASSED
    harness.callback(one)
    expected = PassReported(session_id=one.id, attempt=1).to_json()
    assert harness.queue.sent == [(expected, 0)] * 2


@pytest.mark.parametrize(
    ("attempt", "signature"),
    [("1", "x" * 43), ("1", ""), ("2", None), ("0", None), ("", None), ("-1", None), ("x", None), ("1000", None),
     ("\u0661", None)],
)  # fmt: skip
def test_a_forged_callback_is_not_found_and_changes_nothing(
    harness: StepHarness, attempt: str, signature: str | None
) -> None:
    one = harness.session()
    good = sign_callback(harness.keys.current(), one.id, 1)
    step = ReceiveCallback(harness.store, harness.queue, harness.keys, harness.clock)
    with pytest.raises(NotFound):
        step(one.id, attempt, good if signature is None else signature, PASS, BASE)
    assert (harness.row(one), harness.queue.sent) == (one, [])


def test_an_authentic_callback_of_a_deleted_session_is_not_found(harness: StepHarness) -> None:
    unknown = session_id(1, bytes(10))
    step = ReceiveCallback(harness.store, harness.queue, harness.keys, harness.clock)
    with pytest.raises(NotFound):
        step(unknown, "1", sign_callback(harness.keys.current(), unknown, 1), PASS, BASE)
    assert harness.queue.sent == []


def test_a_failed_callback_asks_for_another_attempt(harness: StepHarness) -> None:
    one = harness.session(return_url="https://app.test/done?x=1")
    place = harness.callback(one, parameters={"resultCode": ["10010"]})
    assert place == f"https://app.test/done?x=1&session_id={one.id}&status=requires_input"
    found = harness.row(one)
    assert (found.status, found.attempts[1].status) == (SessionStatus.REQUIRES_INPUT, AttemptStatus.FAILED)
    assert found.last_error == failure("attempt_failed", "10010")
    assert harness.queue.sent == []


def test_a_check_that_was_not_billed_was_canceled(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one, parameters={"resultCode": ["10020"], "reqMeasureInfoValue": ["0"]})
    found = harness.row(one)
    assert (found.status, found.attempts[1].status) == (SessionStatus.REQUIRES_INPUT, AttemptStatus.FAILED)
    assert found.last_error == failure("attempt_canceled", "10020")


def test_a_callback_without_a_result_changes_nothing(harness: StepHarness) -> None:
    one = harness.session()
    assert harness.callback(one, parameters={}) == f"{BASE}/invite?status=requires_input"
    assert harness.row(one) == one


def test_a_callback_after_the_group_is_known_changes_nothing(harness: StepHarness) -> None:
    one, _ = harness.verified()
    for parameters in (PASS, {"resultCode": ["10010"]}):
        assert harness.callback(one, parameters=parameters) == f"{BASE}/invite?status=verified"
    assert (harness.row(one), harness.queue.sent) == (one, [])


def test_a_failure_after_a_pass_does_not_downgrade(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.callback(one, parameters={"resultCode": ["10010"]})
    assert harness.row(one).attempts[1].status is AttemptStatus.PASSED


def test_a_late_pass_counts_after_its_link_lapsed(harness: StepHarness) -> None:
    one = harness.session()
    assert harness.look_up_to_the_end(one, UpstreamRefused(404), last_chance=True) == {"outcome": "not_verified"}
    assert harness.row(one).attempts[1].status is AttemptStatus.LAPSED
    harness.callback(one)
    assert harness.onboard(PassReported(session_id=one.id, attempt=1)) == "started"
    harness.crun.groups.append("group-9")
    assert harness.look_up(one, execution=f"{one.id}-a1")["group_id"] == "group-9"


def test_a_callback_with_a_flood_of_fields_is_still_answered(harness: StepHarness) -> None:
    one = harness.session()
    assert harness.callback(one, parameters={"x": ["&a=1" * 60]}).startswith(BASE)


# -- the queue ----------------------------------------------------------------------------------------------------


def test_a_message_starts_one_execution(harness: StepHarness) -> None:
    one = harness.session()
    message = PassReported(session_id=one.id, attempt=1)
    assert harness.onboard(message) == "nothing", "the attempt is still open"
    harness.callback(one)
    assert harness.onboard(message) == "started"
    document = json.loads(harness.workflows.started[f"{one.id}-a1"])
    assert document == {"attempt": 1, "last_chance": False, "session_id": one.id, "work": "validate"}
    assert harness.onboard(message) == "started", "the same execution, still running"
    assert len(harness.workflows.started) == 1


def test_a_link_check_looks_up_only_an_open_or_passed_attempt(harness: StepHarness) -> None:
    expected = {
        AttemptStatus.OPEN: "started", AttemptStatus.PASSED: "started", AttemptStatus.FAILED: "nothing",
        AttemptStatus.LAPSED: "nothing", AttemptStatus.LOST: "nothing",
    }  # fmt: skip
    for status, outcome in expected.items():
        one = harness.session(status)
        assert harness.onboard(LinkCheck(session_id=one.id, attempt=1)) == outcome
        names = [name for name in harness.workflows.started if name.startswith(one.id)]
        suffix = "-a1-check" if status is AttemptStatus.OPEN else "-a1"
        assert names == ([one.id + suffix] if outcome == "started" else [])


def test_messages_about_unknown_or_unverified_sessions_start_nothing(harness: StepHarness) -> None:
    one, unknown = harness.session(), session_id(1, bytes(10))
    assert harness.onboard(LinkCheck(session_id=unknown, attempt=1)) == "nothing"
    assert harness.onboard(LinkCheck(session_id=one.id, attempt=2)) == "nothing"
    assert harness.onboard(AssetsReady(session_id=one.id)) == "nothing", "not verified yet"
    known, _ = harness.verified()
    assert harness.onboard(PassReported(session_id=known.id, attempt=1)) == "nothing"
    assert harness.workflows.started == {}


def test_assets_get_an_execution_unless_one_is_driving(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED)
    message = AssetsReady(session_id=one.id)
    assert harness.onboard(message) == "started"
    assert harness.onboard(message) == "started", "the same execution, still running"
    assert list(harness.workflows.started) == [f"{one.id}-g0"]
    assert harness.claim(one, f"{one.id}-g0")["next"] == "submit"
    assert harness.onboard(message) == "nothing"


def test_a_driver_that_has_ended_is_replaced(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED)
    harness.onboard(AssetsReady(session_id=one.id))
    ended = f"{one.id}-g0"
    harness.claim(one, ended)
    harness.workflows.ended.add(ended)
    assert harness.onboard(AssetsReady(session_id=one.id)) == "started"
    assert json.loads(harness.workflows.started[f"{one.id}-g1"])["takes_over"] == ended
    assert harness.claim(one, f"{one.id}-g1", ended)["next"] == "submit"
    assert harness.row(one).driver == f"{one.id}-g1"


def test_a_failed_execution_without_a_claim_is_replaced_under_another_name(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED)
    harness.onboard(AssetsReady(session_id=one.id))
    harness.workflows.ended.add(f"{one.id}-g0")
    assert harness.onboard(AssetsReady(session_id=one.id)) == "started"
    assert f"{one.id}-g1" in harness.workflows.started


@pytest.mark.parametrize("ended", [ExecutionStatus.ABORTED, ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT])
def test_a_message_for_an_ended_execution_starts_a_new_one_and_counts_why(
    harness: StepHarness, ended: ExecutionStatus
) -> None:
    one = harness.session()
    harness.callback(one)
    message = PassReported(session_id=one.id, attempt=1)
    assert harness.onboard(message) == "started"
    harness.workflows.ended.add(f"{one.id}-a1")
    harness.workflows.statuses[f"{one.id}-a1"] = ended
    assert harness.onboard(message) == "started"
    assert f"{one.id}-a1-r1" in harness.workflows.started
    assert harness.causes == [ended.value.lower()]
    assert harness.onboard(message) == "started", "the same new execution, still running"
    assert len(harness.causes) == 1


def test_a_stopped_driver_is_replaced_by_the_next_message_and_counted(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED)
    harness.onboard(AssetsReady(session_id=one.id))
    harness.claim(one, f"{one.id}-g0")
    harness.workflows.ended.add(f"{one.id}-g0")
    harness.workflows.statuses[f"{one.id}-g0"] = ExecutionStatus.ABORTED
    assert harness.onboard(AssetsReady(session_id=one.id)) == "started"
    assert harness.causes == ["aborted"]


# -- the look-up --------------------------------------------------------------------------------------------------


def test_a_pass_becomes_a_group(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.crun.groups.append("group-1")
    found = harness.look_up(one)
    assert found == {"outcome": "verified", "group_id": "group-1", "attempt": "1", "at": f"{harness.clock.now():.3f}"}
    assert harness.crun.looked_up == ["token-1"]
    values = {"$.lookup.result.attempt": found["attempt"], "$.lookup.result.group_id": found["group_id"]}
    harness.play("SaveGroup", one.id, values)
    row = harness.row(one)
    assert (row.status, row.group_id) == (SessionStatus.VERIFIED, "group-1")
    assert (row.attempts[1].status, row.attempts[1].lookup_by) == (AttemptStatus.VERIFIED, None)
    assert harness.look_up(one, execution="b") == {"outcome": "known"}
    assert len(harness.crun.looked_up) == 1, "the token is not used again"


@pytest.mark.parametrize("status", [AttemptStatus.OPEN, AttemptStatus.FAILED, AttemptStatus.LAPSED, AttemptStatus.LOST])
def test_no_token_is_used_before_a_pass(harness: StepHarness, status: AttemptStatus) -> None:
    one = harness.session(status)
    assert harness.look_up(one) == {"outcome": "not_verified"}
    assert harness.crun.looked_up == []


def test_only_one_worker_looks_up(harness: StepHarness) -> None:
    one = harness.session(AttemptStatus.PASSED)
    harness.crun.groups.append(UpstreamAmbiguous())
    with pytest.raises(UpstreamAmbiguous):
        harness.look_up(one, execution="a")
    with pytest.raises(WorkInProgress):
        harness.look_up(one, execution="b")
    harness.clock.at += LEASE_SECONDS + 1
    harness.crun.groups.append("group-1")
    assert harness.look_up(one, execution="b")["outcome"] == "verified"


@pytest.mark.parametrize("error", [UpstreamDeferred(), RateLimited(), *map(UpstreamRefused, (401, 402, 403, 505))])
def test_a_look_up_that_was_not_sent_releases_its_lease(harness: StepHarness, error: UpstreamDeferred) -> None:
    one = harness.session(AttemptStatus.PASSED, status=SessionStatus.PROCESSING)
    harness.crun.groups.append(error)
    with pytest.raises(type(error)):
        harness.look_up(one)
    assert harness.row(one) == one, "no lease is left"


@pytest.mark.parametrize("code", [404, 422, 501, 418])
def test_a_refusal_asks_for_another_attempt(harness: StepHarness, code: int) -> None:
    one = harness.session()
    harness.callback(one)
    assert harness.look_up_to_the_end(one, UpstreamRefused(code)) == {"outcome": "not_verified"}
    found = harness.row(one)
    assert (found.status, found.attempts[1].status) == (SessionStatus.REQUIRES_INPUT, AttemptStatus.FAILED)
    assert found.last_error == failure("attempt_failed", str(code))
    assert harness.attempt_again(one)["attempt"]["number"] == 2


@pytest.mark.parametrize("execution", ["a", "b"])
def test_a_refusal_after_an_interrupted_look_up_means_the_result_is_lost(harness: StepHarness, execution: str) -> None:
    one = harness.session()
    harness.callback(one)
    harness.crun.groups.append(UpstreamAmbiguous())
    with pytest.raises(UpstreamAmbiguous):
        harness.look_up(one, execution="a")
    harness.clock.at += LEASE_SECONDS + 1
    assert harness.look_up_to_the_end(one, UpstreamRefused(404), execution) == {"outcome": "not_verified"}
    found = harness.row(one)
    assert found.attempts[1].status is AttemptStatus.LOST
    assert found.last_error == failure("result_lost", "404")


def test_a_deferral_does_not_hide_an_interrupted_look_up(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.crun.groups.extend([UpstreamAmbiguous(), UpstreamDeferred()])
    for error in (UpstreamAmbiguous, UpstreamDeferred):
        with pytest.raises(error):
            harness.look_up(one)
    harness.look_up_to_the_end(one, UpstreamRefused(404))
    assert harness.row(one).attempts[1].status is AttemptStatus.LOST


def test_a_reloaded_callback_after_a_refused_look_up_does_not_block_the_session(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.onboard(PassReported(session_id=one.id, attempt=1))
    harness.look_up_to_the_end(one, UpstreamRefused(404), f"{one.id}-a1")
    harness.workflows.ended.add(f"{one.id}-a1")
    harness.callback(one)
    assert harness.row(one).status is SessionStatus.REQUIRES_INPUT or harness.workflows.is_running(f"{one.id}-a1")
    assert harness.attempt_again(one)["attempt"]["number"] == 2


def test_the_person_can_try_again_after_a_result_that_never_arrived(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.play("RecordFailure", one.id, {"$.lookup.result.attempt": "1", "States.Format('{}', $.attempt)": "1"})
    assert harness.row(one).status is SessionStatus.REQUIRES_INPUT
    assert harness.attempt_again(one)["attempt"]["number"] == 2


def test_a_look_up_without_a_call_leaves_no_lease(harness: StepHarness) -> None:
    one = harness.session(AttemptStatus.FAILED)
    harness.look_up(one, execution="check", last_chance=True)
    assert harness.crun.looked_up == []
    harness.callback(one)
    harness.crun.groups.append("group-1")
    assert harness.look_up(one, execution="a")["outcome"] == "verified"


# -- the assets ---------------------------------------------------------------------------------------------------


def test_an_execution_cannot_claim_while_another_drives(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED, AssetStatus.PROCESSING)
    assert harness.claim(one, "a")["next"] == "submit"
    assert harness.claim(one, "b") == done(0)
    assert harness.poll(one, "b")["next"] == "done"
    assert harness.crun.asked == []
    assert harness.row(one).driver == "a"


def test_a_claim_names_what_to_do(harness: StepHarness) -> None:
    one, (waiting, uploaded, submitting, processing) = harness.verified(
        AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.SUBMITTING, AssetStatus.PROCESSING
    )
    following = harness.claim(one)
    assert sorted(following["asset_ids"]) == sorted([uploaded.id, submitting.id])
    assert waiting.id not in following["asset_ids"]
    assert processing.id not in following["asset_ids"]
    idle, _ = harness.verified(AssetStatus.AWAITING_UPLOAD, AssetStatus.ACTIVE, AssetStatus.FAILED)
    assert harness.claim(idle)["next"] == "done"
    assert harness.row(idle).driver is None
    busy, _ = harness.verified(AssetStatus.PROCESSING)
    assert harness.claim(busy)["next"] == "wait"


class _LateUpload(DynamoStore):
    """An inventory in which a file is checked just before the driver is released."""

    late: Asset

    def release_driver(self, session_id: str, execution: str) -> None:
        self.add_asset(self.late)
        super().release_driver(session_id, execution)


@pytest.mark.parametrize("step", ["claim", "poll"])
def test_an_upload_during_the_release_of_the_driver_is_not_lost(harness: StepHarness, step: str) -> None:
    one, _ = harness.verified(AssetStatus.ACTIVE)
    late = _LateUpload(harness.dynamodb, TABLE)
    late.late = replace(harness.asset(harness.session(), AssetStatus.UPLOADED), session_id=one.id)
    harness.store = late
    following = harness.claim(one) if step == "claim" else harness.poll(one)
    assert (following["next"], following["asset_ids"]) == ("submit", [late.late.id])
    assert harness.row(one).driver == "a"


def test_a_file_goes_to_crun_once(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads.append("asset-new")
    assert harness.submit(asset) == "submitted"
    assert harness.submit(asset) == "nothing"
    found = harness.file(asset)
    assert (found.status, found.crun_asset_id) == (AssetStatus.PROCESSING, "asset-new")
    assert found.submitted_at == harness.clock.now()
    ((name, kind, url, group),) = harness.crun.uploaded
    assert (name, kind, group) == ("front", "Image", "group-1")
    assert f"{asset.object_key}?versionId=v1" in url
    assert harness.orphans == []


def test_nothing_is_submitted_without_a_group(harness: StepHarness) -> None:
    asset = harness.asset(harness.session(), AssetStatus.UPLOADED)
    assert harness.submit(asset) == "nothing"
    assert harness.crun.uploaded == []


def test_a_submission_that_may_still_be_running_is_not_repeated(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    _dies_in_the_call(harness, asset, by="request")
    harness.clock.at += SUBMISSION_LEASE_SECONDS - 1
    with pytest.raises(WorkInProgress):
        harness.submit(asset, by="execution")
    assert str(harness.file(asset).submitting_by).startswith("request/")
    harness.clock.at += 1
    assert harness.submit(asset, by="execution") == "submitted"
    assert harness.file(asset).submitting_by is None
    assert (len(harness.crun.uploaded), len(harness.orphans)) == (2, 1)


class _Killed(BaseException):
    """Ends the invocation during its call to crun, like a timeout."""


def _dies_in_the_call(harness: StepHarness, asset: Asset, by: str = "a") -> None:
    class Dying(FakeCrun):
        def upload_asset(self, **_: Any) -> str:
            harness.crun.uploaded.append(("", "", "", ""))
            raise _Killed

    alive, harness.crun = harness.crun, Dying(uploaded=harness.crun.uploaded)
    with pytest.raises(_Killed):
        harness.submit(asset, by=by)
    harness.crun = alive
    harness.crun.uploads.append("asset-1")


def test_a_repeated_submission_of_the_same_execution_respects_its_own_lease(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)

    class Repeated(FakeCrun):
        def upload_asset(self, **given: Any) -> str:
            # Lambda or Step Functions runs the same task again while this one waits for crun's answer.
            harness.crun = FakeCrun()
            with pytest.raises(WorkInProgress):
                harness.submit(asset)
            return super().upload_asset(**given)

    slow = harness.crun = Repeated(uploads=deque(["asset-1"]))
    assert harness.submit(asset) == "submitted"
    assert (len(slow.uploaded), harness.orphans) == (1, [])
    found = harness.file(asset)
    assert (found.crun_asset_id, found.ambiguous_submissions, found.submitting_by) == ("asset-1", 1, None)


def test_a_submission_that_an_earlier_version_started_is_also_waited_for(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    begun = replace(asset, status=AssetStatus.SUBMITTING, submitting_by="a", ambiguous_submissions=1)
    harness.store.change_asset(begun, [AssetStatus.UPLOADED])
    with pytest.raises(WorkInProgress):
        harness.submit(asset, by="a")
    harness.clock.at += SUBMISSION_LEASE_SECONDS
    harness.crun.uploads.append("asset-1")
    assert (harness.submit(asset, by="a"), harness.orphans) == ("submitted", [1])


def test_only_one_of_two_executions_repeats_an_ended_submission(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads.append(UpstreamAmbiguous())
    with pytest.raises(UpstreamAmbiguous):
        harness.submit(asset)
    ended = harness.file(asset)
    assert (ended.status, ended.submitting_by) == (AssetStatus.SUBMITTING, None)
    one, other = (replace(ended, submitting_by=each, ambiguous_submissions=2) for each in ("one", "other"))
    for _ in range(2):  # the SDK repeats a call without a response
        harness.store.begin_submission(one, ended)
    with pytest.raises(ConditionFailed):
        harness.store.begin_submission(other, ended)


def test_a_deferred_repetition_leaves_no_lease(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    _dies_in_the_call(harness, asset)
    harness.clock.at += SUBMISSION_LEASE_SECONDS
    harness.crun.uploads = deque([UpstreamDeferred(), "asset-1"])
    with pytest.raises(UpstreamDeferred):
        harness.submit(asset)
    assert harness.file(asset).ambiguous_submissions == 1
    assert harness.submit(asset) == "submitted"


def test_only_one_of_two_submissions_in_the_same_millisecond_starts(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    one, other = (replace(asset, status=AssetStatus.SUBMITTING, submitting_by=each) for each in ("one", "other"))
    for _ in range(2):  # the SDK repeats a call without a response
        harness.store.begin_submission(one, asset)
    with pytest.raises(ConditionFailed):
        harness.store.begin_submission(other, asset)


def test_an_ambiguous_upload_is_repeated_once(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads = deque([UpstreamAmbiguous(), UpstreamAmbiguous()])
    for _ in range(2):
        with pytest.raises(UpstreamAmbiguous):
            harness.submit(asset)
    assert harness.submit(asset) == "failed"
    error = harness.file(asset).error
    assert error
    assert error.code == "submission_unknown"
    assert (len(harness.crun.uploaded), len(harness.orphans)) == (2, 2)


def test_an_ambiguous_upload_may_succeed_the_second_time(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads = deque([UpstreamAmbiguous(), "asset-new"])
    with pytest.raises(UpstreamAmbiguous):
        harness.submit(asset)
    assert harness.submit(asset) == "submitted"


@pytest.mark.parametrize("error", [UpstreamDeferred(), *map(UpstreamRefused, (401, 402, 403, 505))])
def test_an_upload_that_was_not_sent_leaves_the_asset_unchanged(harness: StepHarness, error: UpstreamDeferred) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads = deque([error] * 3)
    for _ in range(3):
        with pytest.raises(type(error)):
            harness.submit(asset)
    found = harness.file(asset)
    assert (found.status, found.ambiguous_submissions, harness.orphans) == (AssetStatus.UPLOADED, 0, [])


@pytest.mark.parametrize(
    ("code", "why"), [(404, "upstream_not_found"), (422, "upstream_rejected"), (418, "upstream_refused")]
)
def test_a_refused_upload_fails_its_asset(harness: StepHarness, code: int, why: str) -> None:
    _, (asset, other) = harness.verified(AssetStatus.UPLOADED, AssetStatus.UPLOADED)
    harness.crun.uploads = deque([UpstreamRefused(code), "asset-new"])
    assert harness.submit(asset) == "failed"
    error = harness.file(asset).error
    assert error
    assert (error.code, error.upstream_code) == (why, str(code))
    assert harness.submit(other) == "submitted"


def test_a_poll_changes_each_asset_by_its_own_report(harness: StepHarness) -> None:
    one, (active, failed, unknown, silent, refused) = harness.verified(*[AssetStatus.PROCESSING] * 5)
    reports: list[AssetReport | Exception] = [
        AssetReport("Active"), AssetReport("Failed", "FaceMismatch", "m"), AssetReport("Reviewing"),
        UpstreamAmbiguous(asked_to_wait=17), UpstreamRefused(404),
    ]  # fmt: skip
    assets = (active, failed, unknown, silent, refused)
    harness.crun.reports = {str(each.crun_asset_id): report for each, report in zip(assets, reports, strict=True)}
    harness.clock.at += 5
    following = harness.poll(one)
    assert [harness.file(each).status.value for each in assets] == ["active", "failed", *["processing"] * 3]
    assert harness.file(active).uri == f"asset://{active.crun_asset_id}"
    error = harness.file(failed).error
    assert error
    assert (error.code, error.retryable) == ("face_mismatch", False)
    assert (following["next"], following["round"], following["wait_seconds"]) == ("wait", 1, 17)
    harness.clock.at += 60
    harness.poll(one)
    harness.clock.at += 5
    harness.poll(one)
    assert harness.file(refused).status is AssetStatus.FAILED, "the minute for crun to know the id is over"
    harness.clock.at += harness.schedule.deadline
    assert harness.poll(one)["next"] == "done"
    codes = {each.error.code for each in map(harness.file, (unknown, silent)) if each.error}
    assert codes == {"activation_timeout"}
    assert harness.row(one).driver is None


def test_a_file_that_crun_does_not_know_is_polled_twice_some_seconds_apart(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    missing, there = UpstreamRefused(404), AssetReport("Processing")

    def status_after(report: AssetReport | Exception, after: float) -> AssetStatus:
        harness.clock.at += after
        harness.crun.reports = {str(asset.crun_asset_id): report}
        harness.poll(one)
        return harness.file(asset).status

    assert status_after(missing, 61) is AssetStatus.PROCESSING
    assert status_after(missing, 1) is AssetStatus.PROCESSING, "a repeated poll counts once"
    assert status_after(there, 30) is AssetStatus.PROCESSING
    assert harness.file(asset).missing_since is None
    assert status_after(missing, 30) is AssetStatus.PROCESSING, "an earlier single miss does not count"
    assert status_after(UpstreamAmbiguous(upstream_code=404), 30) is AssetStatus.PROCESSING, (
        "the response is not from crun"
    )
    assert status_after(missing, 5) is AssetStatus.FAILED
    error = harness.file(asset).error
    assert error
    assert (error.code, error.upstream_code) == ("upstream_not_found", "404")


def test_an_active_file_has_no_record_of_an_earlier_miss(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    harness.clock.at += 61
    for report in (UpstreamRefused(404), AssetReport("Active")):
        harness.crun.reports = {str(asset.crun_asset_id): report}
        harness.poll(one)
        harness.clock.at += 30
    found = harness.file(asset)
    assert (found.status, found.missing_since) == (AssetStatus.ACTIVE, None)


def test_a_file_that_crun_reports_as_failed_fails_at_the_first_poll(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    harness.crun.reports = {str(asset.crun_asset_id): AssetReport("Failed", "FaceMismatch", "m")}
    harness.poll(one)
    assert harness.file(asset).status is AssetStatus.FAILED


def test_cruns_errors_for_a_refused_upload_are_stored_with_the_file(harness: StepHarness) -> None:
    _, (asset,) = harness.verified(AssetStatus.UPLOADED)
    harness.crun.uploads.append(UpstreamRefused(422, errors=["name: too long", "group_id: no"]))
    assert harness.submit(asset) == "failed"
    error = harness.file(asset).error
    assert error
    assert error.upstream_message == "name: too long; group_id: no"


def test_a_failed_download_is_submitted_once_more(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.UPLOADED)
    urls = []
    for number in range(2):
        harness.crun.uploads.append(f"asset-{number}")
        assert harness.submit(asset) == "submitted"
        urls.append(harness.crun.uploaded[-1][2])
        harness.crun.reports[f"asset-{number}"] = AssetReport("Failed", "DownloadFailed", None)
        harness.clock.at += 5
        following = harness.poll(one)
        assert following["next"] == ("submit", "done")[number]
    assert urls[0] != urls[1], "a new signature"
    error = harness.file(asset).error
    assert error
    assert (error.code, error.retryable, harness.file(asset).status) == ("download_failed", True, AssetStatus.FAILED)


def test_a_poll_without_a_permit_waits(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    harness.crun.no_permit = RateLimited(retry_after=9)
    following = harness.poll(one)
    assert (following["next"], following["wait_seconds"]) == ("wait", 9)
    assert harness.file(asset) == asset


def test_after_many_polls_another_execution_continues(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    harness.crun.reports[str(asset.crun_asset_id)] = AssetReport("Processing")
    assert harness.poll(one, polls=MAX_POLLS)["next"] == "done"
    assert harness.row(one).driver is None
    assert harness.queue.sent == [(AssetsReady(session_id=one.id).to_json(), 1)]


# -- the poll history ---------------------------------------------------------------------------------------------


def _counted(harness: StepHarness, kind: AssetType = AssetType.IMAGE) -> History:
    return DynamoPollHistory(harness.dynamodb, TABLE, lambda: None).of(kind, harness.clock.now())


def _added(harness: StepHarness, before: History) -> list[float]:
    return [round(after - was, 3) for after, was in zip(_counted(harness).counts, before.counts, strict=True)]


def test_an_asset_counts_in_the_interval_between_the_polls(harness: StepHarness) -> None:
    one, (first, late) = harness.verified(AssetStatus.PROCESSING, AssetStatus.PROCESSING)
    before, start = _counted(harness), harness.clock.now()
    harness.crun.reports = {str(first.crun_asset_id): AssetReport("Active"), str(late.crun_asset_id): AssetReport("X")}
    harness.clock.at += 12
    following = harness.poll(one, asked_at=start + 5)
    assert (following["next"], following["asked_at"]) == ("wait", start + 12)
    assert _added(harness, before) == pytest.approx(observed(5, 12, NOTHING_SEEN).counts)
    before = _counted(harness)
    harness.crun.reports[str(late.crun_asset_id)] = AssetReport("Active")
    harness.clock.at += 9
    assert harness.poll(one, asked_at=following["asked_at"])["next"] == "done"
    assert _added(harness, before) == pytest.approx(observed(12, 21, NOTHING_SEEN).counts)


def test_nothing_is_counted_without_the_time_of_the_poll(harness: StepHarness) -> None:
    # An execution of the previous version does not have it, nor does one that has taken over.
    one, (asset, failed) = harness.verified(AssetStatus.PROCESSING, AssetStatus.PROCESSING)
    assert harness.claim(one)["asked_at"] is None
    before = _counted(harness)
    reports = {asset: AssetReport("Active"), failed: AssetReport("Failed", "FaceMismatch", "m")}
    harness.crun.reports = {str(each.crun_asset_id): report for each, report in reports.items()}
    harness.clock.at += 12
    assert harness.poll(one)["next"] == "done"
    assert harness.file(asset).status is AssetStatus.ACTIVE
    assert _counted(harness) == before


def test_a_poll_without_an_answer_leaves_the_interval_open(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    start = harness.clock.now()
    harness.crun.reports[str(asset.crun_asset_id)] = UpstreamAmbiguous()
    harness.clock.at += 12
    assert harness.poll(one, asked_at=start)["asked_at"] == start


def test_an_asset_that_never_became_active_is_counted_as_such(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    harness.crun.reports[str(asset.crun_asset_id)] = AssetReport("Processing")
    harness.clock.at += harness.schedule.deadline
    before = _counted(harness)
    assert harness.poll(one)["next"] == "done"
    assert _counted(harness).never == before.never + NEVER.never


def test_files_that_share_an_asset_id_count_once(harness: StepHarness) -> None:
    one, (first, second) = harness.verified(AssetStatus.PROCESSING, AssetStatus.PROCESSING)
    harness.store.change_asset(replace(second, crun_asset_id=first.crun_asset_id), [AssetStatus.PROCESSING])
    harness.crun.reports[str(first.crun_asset_id)] = AssetReport("Active")
    before, start = _counted(harness), harness.clock.now()
    harness.clock.at += 12
    assert harness.poll(one, asked_at=start)["next"] == "done"
    assert {harness.file(each).status for each in (first, second)} == {AssetStatus.ACTIVE}
    assert sum(_added(harness, before)) == pytest.approx(1, abs=0.02)


def test_the_next_poll_is_when_the_first_asset_is_due(harness: StepHarness) -> None:
    one, (old,) = harness.verified(AssetStatus.PROCESSING)
    harness.clock.at += 600
    young = harness.asset(one, AssetStatus.PROCESSING)
    harness.clock.at += 7
    harness.crun.reports = {str(each.crun_asset_id): AssetReport("Processing") for each in (old, young)}
    sharp = History(tuple(1000.0 * count for count in observed(9, 11, NOTHING_SEEN).counts))
    harness.history.seen[AssetType.IMAGE] = sharp
    wanted = [harness.schedule.next_delay(age, sharp) for age in (7, 607)]
    assert wanted[0] < wanted[1]
    assert harness.poll(one)["wait_seconds"] == wanted[0]


def test_the_history_is_read_only_when_an_asset_waits(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.AWAITING_UPLOAD, AssetStatus.ACTIVE)
    assert harness.claim(one)["next"] == "done"
    assert harness.poll(one)["next"] == "done"
    assert harness.history.asked == 0


# -- creating sessions --------------------------------------------------------------------------------------------


def test_a_new_link_is_checked_later_and_bound_to_its_attempt(harness: StepHarness) -> None:
    one = harness.session(AttemptStatus.FAILED)
    view = harness.attempt_again(one)
    assert view["attempt"]["h5_link"] == "https://h5.test/?lng=en"
    signature = sign_callback(harness.keys.current(), one.id, 2)
    assert harness.crun.callback_urls == [f"{BASE}/callback/{one.id}/2/{signature}"]
    assert harness.queue.sent == [(LinkCheck(session_id=one.id, attempt=2).to_json(), 420)]
    assert harness.row(one).attempts[2].byted_token == "token-new"


@pytest.mark.parametrize("given_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_consent_with_an_extreme_time_is_an_invalid_request(given_at: str) -> None:
    body = {"start": "on_open", "consent": {"text_version": "1", "given_at": given_at}}
    with pytest.raises(InvalidRequest) as caught:
        parse_body(NewSession, json.dumps(body))
    assert caught.value.field == "consent.given_at"


@pytest.mark.parametrize(
    "limit",
    [
        "0", "101", "-1", "", "ten", "1.5", "\u0661", "1e1", "99999999999",
        "0000000011999",
    ],
)  # fmt: skip
def test_a_page_has_a_size(harness: StepHarness, limit: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        GetSession(harness.store, harness.clock, 10, harness.files, FakeConsentTexts).list(Caller("acme"), limit=limit)
    assert caught.value.field == "limit"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"content_type": "image/gif", "status": AssetStatus.UPLOADED}, True),
        ({"status": AssetStatus.FAILED}, True),  # at crun, after the check
        ({"content_type": "image/heic"}, False),
        ({"content_type": "video/mp4"}, False),
        ({"status": AssetStatus.REDACTED}, False),
        ({"status": AssetStatus.FAILED, "uploaded_at": None}, False),
    ],
)
def test_a_preview_is_a_link_to_the_checked_version_of_a_common_picture(
    harness: StepHarness, changes: dict[str, Any], shown: bool
) -> None:
    one, (asset,) = harness.verified(AssetStatus.ACTIVE)
    harness.store.change_asset(replace(asset, **({"uploaded_at": 1.0} | changes)), [AssetStatus.ACTIVE])
    step = GetSession(harness.store, harness.clock, 10, harness.files, FakeConsentTexts)
    if not shown:
        with pytest.raises(NotFound) as caught:
            step.preview(Caller("acme"), one.id, asset.id)
        assert caught.value.code == "no_preview"
        return
    for caller in (Caller("acme"), Caller("acme", session_id=one.id)):
        found = step.preview(caller, one.id, asset.id)
        assert f"/{asset.object_key}?versionId=v1" in found["url"]
        assert found["content_type"] == changes.get("content_type", "image/jpeg")
        assert found["expires_at"] == "2027-01-15T08:05:00Z"
    for outsider in (Caller("evil"), Caller("acme", session_id=harness.session().id)):
        with pytest.raises(NotFound) as caught:
            step.preview(outsider, one.id, asset.id)
        assert caught.value.code == "not_found"


@pytest.mark.parametrize("status", AssetStatus)
@pytest.mark.parametrize("by_person", [True, False])
def test_a_person_can_remove_only_their_own_files_that_failed_or_wait(
    harness: StepHarness, status: AssetStatus, by_person: bool
) -> None:
    one, (asset,) = harness.verified(status)
    harness.store.change_asset(replace(asset, by_person=by_person), [status])
    person = Caller("acme", session_id=one.id)
    remove = EraseAsset(harness.store, harness.files, harness.clock)
    if by_person and status in (AssetStatus.AWAITING_UPLOAD, AssetStatus.FAILED, AssetStatus.REDACTED):
        for _ in range(2):
            assert remove(person, one.id, asset.id)["status"] == "redacted"
        return
    with pytest.raises(Forbidden):
        remove(person, one.id, asset.id)
    left = harness.store.get_asset(one.id, asset.id)
    assert left
    assert left.status is status


def test_a_session_of_another_client_is_not_found(harness: StepHarness) -> None:
    one, (asset,) = harness.verified(AssetStatus.PROCESSING)
    step = GetSession(harness.store, harness.clock, 10, harness.files, FakeConsentTexts)
    assert step.one(Caller("acme"), one.id)["assets"][0]["id"] == asset.id
    assert step.asset(Caller("acme", session_id=one.id), one.id, asset.id)["status"] == "processing"
    for outsider in (Caller("evil"), Caller("acme", session_id=harness.session().id)):
        with pytest.raises(NotFound):
            step.one(outsider, one.id)
        with pytest.raises(NotFound):
            step.asset(outsider, one.id, asset.id)
    with pytest.raises(Forbidden):
        step.list(Caller("acme", session_id=one.id))
