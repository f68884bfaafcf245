"""POST /generations/{id}/cancel and DELETE /generations/{id}: before crun is asked, and after the end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.caller import Caller
from likeness.domain.generation import Generation, GenerationStatus, Media, Spending, TaskReport
from likeness.errors import ConditionFailed, Conflict, Forbidden, NotFound, StorageUnavailable
from tests.unit.request_harness import ACME, Overtaken, RequestHarness, images

MISSING = "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV"
MEDIA = Media("generations/gen_1/0.mp4", "video/mp4", 2345, "ab" * 32)


@pytest.fixture
def harness(store: DynamoStore, dynamodb: Any) -> RequestHarness:
    return RequestHarness(store, dynamodb)


def made(harness: RequestHarness, caller: Caller = ACME) -> Generation:
    _, (face,) = harness.person(client_id=caller.client_id)
    return harness.stored(harness.make(images(face, prompt="a secret walk"), caller=caller, reference="campaign-1"))


def intended(harness: RequestHarness) -> Generation:
    return harness.generations.intend(made(harness), "machine", harness.clock.now())


def running(harness: RequestHarness, task_id: str) -> Generation:
    return harness.generations.record_task(intended(harness), task_id, harness.clock.now())


def succeeded(harness: RequestHarness, task_id: str) -> Generation:
    before = running(harness, task_id)
    report = TaskReport(task_id, "success", media_urls=("https://cdn.crun.test/v.mp4",), credits=3.0)
    harness.generations.record_report(before, report, harness.clock.now())
    before = harness.stored({"id": before.id})
    after = replace(before.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), media=(MEDIA,), credits=3.0)
    harness.generations.end(after, before)
    return harness.stored({"id": before.id})


def test_a_queued_generation_is_canceled_and_its_reservation_released(harness: RequestHarness) -> None:
    caller = Caller("thrifty", daily_credits=50.0)
    generation = made(harness, caller)
    view = harness.cancel(caller, generation.id)
    assert (view["status"], view["error"], view["ended_at"] is not None) == ("canceled", None, True)
    assert harness.generations.spending("thrifty", harness.clock.now()) == Spending(0.0, 0.0)
    (use,) = harness.generations.list_uses(generation.session_ids[0], limit=5).uses
    assert use.outcome == "canceled"
    assert harness.cancel(caller, generation.id) == view, "a repetition changes nothing"


def test_what_crun_may_have_cannot_be_canceled(harness: RequestHarness) -> None:
    for generation in (intended(harness), running(harness, "task-c1"), succeeded(harness, "task-c2")):
        with pytest.raises(Conflict) as caught:
            harness.cancel(ACME, generation.id)
        assert caught.value.code == "already_created"
        assert harness.stored({"id": generation.id}) == generation


def test_only_its_client_can_cancel_and_erase(harness: RequestHarness) -> None:
    generation = made(harness)
    person = Caller("acme", session_id=generation.session_ids[0])
    for step in (harness.cancel, harness.cancel.erase):
        for caller, wanted, error in (
            (Caller("another"), generation.id, NotFound),
            (ACME, MISSING, NotFound),
            (ACME, "gen_1", NotFound),
            (person, generation.id, Forbidden),
        ):
            with pytest.raises(error):
                step(caller, wanted)
    assert harness.stored({"id": generation.id}) == generation
    assert harness.media.erased == []


def test_an_erasure_removes_media_input_and_reference_and_keeps_the_ledger(harness: RequestHarness) -> None:
    generation = succeeded(harness, "task-e1")
    view = harness.cancel.erase(ACME, generation.id)
    assert (view["status"], view["result"], view["reference"], view["credits"]) == ("succeeded", None, None, 3.0)
    assert view["erased_at"]
    assert harness.media.erased == [f"generations/{generation.id}/"]
    stored = harness.stored(view)
    assert (stored.input, stored.media, stored.report, stored.reference) == ("", (), None, None)
    assert stored.people == generation.people
    (use,) = harness.generations.list_uses(generation.session_ids[0], limit=5).uses
    assert use.media_sha256 == (MEDIA.sha256,)
    harness.clock.at += 60
    assert harness.cancel.erase(ACME, generation.id) == view, "a repetition changes nothing"
    assert len(harness.media.erased) == 1


def test_a_queued_generation_is_canceled_before_it_is_erased(harness: RequestHarness) -> None:
    generation = made(harness)
    view = harness.cancel.erase(ACME, generation.id)
    assert (view["status"], view["erased_at"] is not None) == ("canceled", True)
    assert "a secret walk" not in json.dumps(harness.stored(view).input)


def test_a_running_generation_is_not_erased(harness: RequestHarness) -> None:
    for generation in (intended(harness), running(harness, "task-r1")):
        with pytest.raises(Conflict) as caught:
            harness.cancel.erase(ACME, generation.id)
        assert (caught.value.code, caught.value.retry_after) == ("generation_running", 30)
        assert harness.stored({"id": generation.id}) == generation
    assert harness.media.erased == []


def test_an_erasure_that_dies_at_the_bucket_is_repeated(harness: RequestHarness) -> None:
    generation = succeeded(harness, "task-d1")
    harness.media.away = True
    with pytest.raises(StorageUnavailable):
        harness.cancel.erase(ACME, generation.id)
    assert harness.stored({"id": generation.id}).media == (MEDIA,), "the row still names the files"
    harness.media.away = False
    assert harness.cancel.erase(ACME, generation.id)["erased_at"]


def test_an_intent_between_the_read_and_the_write_wins(harness: RequestHarness) -> None:
    generation = made(harness)

    def intend() -> None:
        harness.generations.intend(generation, "machine", harness.clock.now())

    step = replace(harness.cancel, generations=Overtaken(harness.generations, "end", intend))
    with pytest.raises(Conflict) as caught:
        step(ACME, generation.id)
    assert caught.value.code == "already_created"
    stored = harness.stored({"id": generation.id})
    assert (stored.status, stored.intended_by) == (GenerationStatus.QUEUED, "machine")


def test_a_change_each_time_ends_as_a_conflict(harness: RequestHarness) -> None:
    generation = made(harness)
    tries = []

    def fail() -> None:
        tries.append(generation.id)
        raise ConditionFailed

    step = replace(harness.cancel, generations=Overtaken(harness.generations, "end", fail))
    with pytest.raises(Conflict) as caught:
        step(ACME, generation.id)
    assert (caught.value.code, caught.value.retry_after, len(tries)) == ("conflict", 1, 3)
