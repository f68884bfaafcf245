"""From any combination of a generation's row, its executions and crun's task, it ends, and no second task is created.

Hypothesis draws the row, executions that are running, ended or missing, what their histories have, and what crun says.
Then only time passes: executions continue, and reconcile runs every five minutes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import requests
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from likeness.domain.caller import Caller
from likeness.domain.generation import Generation, GenerationStatus, PersonUse, TaskReport
from likeness.domain.session import Problem
from likeness.domain.signing import sign_task
from likeness.domain.terms import TermsPolicy
from likeness.runtime.system import SystemClock
from likeness.steps.generations.executions import execution_input
from likeness.steps.generations.task_action import wait
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from tests.faults.generating import CREDITS, MODEL, PARAMETERS, SETTINGS, Generating
from tests.faults.generation_scenarios import ALWAYS, Invariants
from tests.faults.simulated_aws import SharedAccount, SimulatedAws
from tests.functions import CRUN_KEY

pytestmark = pytest.mark.slow

HOUR, DAY = 3600.0, 86_400.0
DEADLINE = 2 * HOUR
#: How a task ends at crun; ``lost``: crun never had it.
_FATES = ("success", "failed", "never", "vanishes")
_OUTCOMES = [{"prompt": each, "outcome": each, "after_seconds": 20} for each in _FATES]
#: With a deadline of two hours, the example is short that waits for it.
_account = SharedAccount(
    SETTINGS | {"task_outcomes": _OUTCOMES}, **PARAMETERS, GENERATION_DEADLINE_SECONDS=f"{DEADLINE:.0f}"
)
_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
#: The shape of the row. ``resumed``: it was uncertain, and a callback has named its task.
_SHAPES = ("queued", "intended", "running", "reported", "resumed", "uncertain", "ended", "canceled")

#: Not those of the request, which was not sent here, and of the tasks, of which some are drawn.
_CHECKED = tuple(each for each in ALWAYS if each not in ("created_once", "known", "idempotent", "no_secret"))


def teardown_module() -> None:
    _account.close()


@dataclass(frozen=True)
class Drawn:
    """One initial state. ``age`` and ``intent_age`` are in seconds before now."""

    shape: str
    age: float
    intent_age: float
    #: What crun says of its task: how it ends, or that it never had it.
    fate: str
    executions: int
    #: The statuses of its newest executions, the oldest first; None if one was never started, or deleted.
    states: tuple[str | None, ...]
    #: Whether the history of an ended execution has the task.
    history: bool
    person: str
    #: Whether crun's callback arrives after an hour.
    reported: bool


_STATES = st.builds(
    Drawn,
    shape=st.sampled_from(_SHAPES),
    age=st.sampled_from([10.0, 700.0, HOUR, 4 * HOUR, 2 * DAY]),
    intent_age=st.sampled_from([1.0, 700.0]),
    fate=st.sampled_from([*_FATES, "success", "lost"]),
    executions=st.integers(0, 2),
    states=st.lists(st.sampled_from([None, "RUNNING", *_ENDED]), max_size=3).map(tuple),
    history=st.booleans(),
    person=st.sampled_from(["there", "there", "withdrawn", "erased"]),
    reported=st.booleans(),
)


def _callback_url(generation: Generation) -> str:
    return generation.task_url(sign_task([b"k" * 64], generation.id))


def _task(where: SimulatedAws, generation: Generation, fate: str) -> str:
    """Returns the id of the generation's task at crun, or one that crun does not know."""
    if fate == "lost":
        return f"task-{generation.id}"
    shown = {"prompt": fate, "reference_images": ["https://images.test/1.png"], "duration": 4, "resolution": "480p"}
    answer = requests.post(
        f"{where.simulator.url}/api/v1/client/job/CreateTask",
        json={"model": MODEL, "callback_url": _callback_url(generation), "input": shown | {"audio": False}},
        headers={"x-api-key": CRUN_KEY},
        timeout=10,
    )
    return str(answer.json()["data"]["task_id"])


def _place(where: SimulatedAws, story: Generating, drawn: Drawn) -> tuple[Generation, str]:
    """Stores the drawn state; returns the row, and the id of its task."""
    store, then = story.store, where.now - drawn.age
    people = tuple(
        PersonUse(each.session_id, tuple(each.assets), tuple(each.assets.values()), _given_at(where, each.session_id))
        for each in story.people
    )
    content = {"prompt": drawn.fate if drawn.fate in _FATES else "success", "duration": 4, "resolution": "480p"}
    content |= {"audio": False, "reference_images": [f"asset://{each.crun_asset_ids[0]}" for each in people]}
    generation = Generation(
        story.id, "acme", GenerationStatus.QUEUED, MODEL, then, then, "digest", json.dumps(content), people=people,
        correlation_id="1-story", base_url="https://likeness.example/v1", reserved=CREDITS, executions=drawn.executions,
    )  # fmt: skip
    store.create(generation, 1000.0)
    task_id = _task(where, generation, drawn.fate) if drawn.shape not in ("queued", "canceled") or drawn.history else ""
    if drawn.shape == "canceled":
        store.end(generation.ended(GenerationStatus.CANCELED, then), generation)
    elif drawn.shape != "queued":
        generation = store.intend(generation, "another", where.now - min(drawn.age, drawn.intent_age))
    if drawn.shape in ("uncertain", "resumed"):
        unknown = Problem("task_unknown", "It is not known whether crun has the task")
        store.end(generation.ended(GenerationStatus.UNCERTAIN, then, unknown), generation)
    if drawn.shape in ("running", "reported", "resumed", "ended"):
        generation = store.record_task(store.get(story.id) or generation, task_id, then)
    if drawn.shape in ("reported", "ended"):
        status = "failed" if drawn.fate == "failed" else "success"
        store.record_report(generation, TaskReport(task_id, status, ("http://127.0.0.1:9/gone.mp4",), 2.0), then)
    if drawn.shape == "ended":
        store.end(replace(generation.ended(GenerationStatus.FAILED, then), credits=2.0), generation)
    found = store.get(story.id)
    assert found
    return found, task_id


def _given_at(where: SimulatedAws, session_id: str) -> str | None:
    session = where.store.get_session(session_id)
    assert session
    return session.consent.given_at if session.consent else None


def _change_person(where: SimulatedAws, story: Generating, drawn: Drawn) -> None:
    person = story.people[0].session_id
    if drawn.person == "withdrawn":
        caller = Caller("acme", session_id=person)
        WithdrawConsent(where.store, SystemClock(), TermsPolicy(), story.store)(caller, person)
    if drawn.person == "erased":
        assert where.api("DELETE", "/sessions/{session_id}", session_id=person).status == 200


def _place_executions(where: SimulatedAws, generation: Generation, drawn: Drawn, task_id: str) -> None:
    document = json.loads(execution_input(generation))
    names = [generation.id, *(f"{generation.id}-r{number}" for number in range(1, 4))]
    for name, status in zip(names, drawn.states, strict=False):
        if status is not None:
            where.place_execution(name, document, status)
            if drawn.history and status != "RUNNING":
                where.state_machine.outputs[name] = [wait(9, 0, task_id, where.now)]


def _report(where: SimulatedAws, generation: Generation, task_id: str) -> None:
    """Sends a callback that names the task, as crun does."""
    answer = where.task_callback(_callback_url(generation), {"task_id": task_id, "status": "success"})
    assert answer.status == 200, answer


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=_STATES)
def test_every_drawn_state_of_a_generation_ends(drawn: Drawn) -> None:
    _check(drawn)


@pytest.mark.nightly
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=_STATES)
def test_every_drawn_state_of_a_generation_ends_by_night(drawn: Drawn) -> None:
    _check(drawn)


def _check(drawn: Drawn) -> None:
    where = _account()
    where.settle()
    where.begin({})
    story = Generating(where)
    generation, task_id = _place(where, story, drawn)
    _place_executions(where, generation, drawn, task_id)
    _change_person(where, story, drawn)
    before = story.created
    if drawn.reported and task_id:
        where.settle(HOUR)
        _report(where, generation, task_id)
    where.settle(3 * DAY)
    found = story.row()
    assert found
    event(f"{drawn.shape} → {found.status.value}")
    assert dict(Invariants(story).check(_CHECKED)) == {}
    is_known = drawn.history and any(drawn.states) and all(each != "RUNNING" for each in drawn.states if each)
    if generation.intended_at or generation.is_over or drawn.person != "there" or is_known:
        assert story.created == before, "a second task, or one without a consent"
    assert story.created <= before + 1
    if drawn.person != "there":
        assert found.media == ()
    # After the deadline, the first poll that finds the task still running gives it up, until a callback reports it.
    is_awaited = drawn.age < DEADLINE or drawn.reported
    if drawn.fate == "success" and drawn.shape in ("running", "resumed") and drawn.person == "there" and is_awaited:
        assert found.media, "crun has made the video"
