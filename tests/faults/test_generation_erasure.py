"""Erasures at any moment of a generation remove what is personal for good, and keep the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from likeness.domain.generation import GenerationStatus
from tests.faults.fault_injection import MOMENTARY, Fault
from tests.faults.generating import PARAMETERS, SETTINGS, Generating
from tests.faults.generation_scenarios import ALWAYS, Invariants, calls_of
from tests.faults.simulated_aws import Answer, SimulatedAws, simulated_aws

pytestmark = pytest.mark.slow

#: Everything but the repetition of the request, which is another one once its input is erased.
_CHECKED = tuple(each for each in ALWAYS if each != "idempotent")


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS, **PARAMETERS) as where:
        yield where


def _generate(where: SimulatedAws, seconds: float) -> Generating:
    where.begin({})
    story = Generating(where)
    where.play(story.story())
    where.settle(seconds)
    return story


def _erase_person(where: SimulatedAws, story: Generating) -> Answer:
    return where.api("DELETE", "/sessions/{session_id}", session_id=story.people[0].session_id)


def _check_erased(story: Generating) -> None:
    broken = dict(Invariants(story).check(_CHECKED))
    assert broken == {}
    generation = story.row()
    assert generation
    assert generation.erased_at
    assert (generation.input, generation.reference, generation.media) == ("", None, ())
    # What crun reports afterwards is stored without what is personal.
    assert not generation.report or not any((generation.report.media_urls, generation.report.message))
    assert story.versions() == 0
    view = story.account.api("GET", "/generations/{generation_id}", generation_id=generation.id).body
    assert (view["result"], view["reference"]) == (None, None)


#: Each is right after a part of the story: the request, the start, the task, a poll, the callback, the media.
@pytest.mark.parametrize("seconds", [0, 0.04, 0.06, 1, 5, 9.04, 9.06, 12.5, 14, 18, 19.5, 600])
def test_a_person_is_erased_at_any_moment(account: SimulatedAws, seconds: float) -> None:
    story = _generate(account, seconds)
    assert _erase_person(account, story).status == 200
    account.settle()
    _check_erased(story)
    generation = story.row()
    assert generation
    if generation.status is GenerationStatus.SUCCEEDED and seconds < 18:
        assert generation.media_problem
        assert (generation.media_problem.code, generation.outcome) == ("erased", "withheld")
    if not story.sent:
        assert generation.status in (GenerationStatus.REFUSED, GenerationStatus.CANCELED)
    again = Generating(account, people=story.people).ask()
    assert again.status in (404, 409), "no further generation of an erased person"


def test_an_erasure_right_before_each_call_of_the_last_state_leaves_no_media(account: SimulatedAws) -> None:
    calls = calls_of(account)
    for number in [each.number for each in calls if each.by == "save_media"]:
        account.begin({})
        story = Generating(account)
        erased: list[int] = []

        def erase(*_: str, story: Generating = story, erased: list[int] = erased, number: int = number) -> None:
            if not erased and len(account.injector.calls) >= number and account.injector.caller == "save_media":
                erased.append(0)
                erased.append(_erase_person(account, story).status)

        account.injector.outage = erase
        account.play(story.story())
        account.settle()
        assert erased == [0, 200], number
        _check_erased(story)


@pytest.mark.parametrize(
    ("faults", "every"),
    [((Fault.DIES,), 2), pytest.param(MOMENTARY, 1, marks=pytest.mark.nightly)],
    ids=["some calls", "all calls"],
)
def test_an_erasure_that_fails_anywhere_is_completed_by_the_next(
    account: SimulatedAws, faults: tuple[Fault, ...], every: int
) -> None:
    story = _generate(account, 600)
    begin = len(account.injector.calls)
    _erase_person(account, story)
    calls = account.injector.calls[begin:]
    numbers = [number for number, each in enumerate(calls, 1) if each.by == "erase_session"]
    assert len(numbers) > 8
    for number, fault in itertools.product(numbers[::every], faults):
        story = _generate(account, 600)
        account.injector.plan = {len(account.injector.calls) + number: fault}
        for _ in range(3):
            if _erase_person(account, story).status == 200:
                break
        assert account.injector.fired, "the fault occurs"
        account.settle()
        _check_erased(story)


def test_a_generation_is_erased_when_it_has_ended_and_not_before(account: SimulatedAws) -> None:
    story = _generate(account, 5)
    path = {"generation_id": story.id}
    running = account.api("DELETE", "/generations/{generation_id}", **path)
    assert (running.status, running.body["code"]) == (409, "generation_running")
    account.settle()
    assert len(story.files()) == 1
    digests = [each.media_sha256 for person in story.people for each in story.uses(person)]
    for _ in range(2):
        assert account.api("DELETE", "/generations/{generation_id}", **path).status == 200
    _check_erased(story)
    assert [each.media_sha256 for person in story.people for each in story.uses(person)] == digests
    assert all(len(each) == 1 for each in digests)


def test_a_generation_that_crun_was_not_asked_for_is_canceled_by_its_erasure(account: SimulatedAws) -> None:
    story = _generate(account, 0)
    assert account.api("DELETE", "/generations/{generation_id}", generation_id=story.id).status == 200
    account.settle()
    _check_erased(story)
    generation = story.row()
    assert generation
    assert (generation.status, story.sent) == (GenerationStatus.CANCELED, [])
