"""Generations that make no progress: what reconcile starts, and that nothing is in a transient state for ever."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.adapters.table.due_items import DynamoDueItems
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generation_items import generation_item, generation_key, list_item, use_item
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import decode_item
from likeness.adapters.workflows import StepFunctions
from likeness.domain.asset import AssetStatus
from likeness.domain.due import PROGRESS_SECONDS, DueItem
from likeness.domain.executions import BEYOND, ExecutionStatus, Results
from likeness.domain.generation import (
    INTENT_LEASE_SECONDS,
    Generation,
    GenerationStatus,
    PersonUse,
    SavedMedia,
    TaskReport,
    generation_id,
)
from likeness.domain.polling import Schedule
from likeness.domain.session import Session
from likeness.domain.terms import Withdrawal
from likeness.errors import LikenessError, WorkInProgress
from likeness.steps.generations.create_task import CreateTask
from likeness.steps.generations.poll_task import PollTask
from likeness.steps.generations.reconcile_generations import ReconcileGenerations
from likeness.steps.generations.save_media import SaveMedia
from likeness.steps.generations.task_action import TaskPolicy
from likeness.steps.onboarding.start_onboarding import Cause
from tests.unit.fakes import FakePollHistory, FakeWorkflows
from tests.unit.step_harness import TABLE, StepHarness

DAY = 86_400.0
NOW = 1_800_000_000.0
_COUNTER = itertools.count(1)


@dataclass
class Tasks:
    """crun's tasks by id: the final report, and when it is ready (epoch seconds). ``created`` counts CreateTask."""

    clock: Any
    known: dict[str, tuple[TaskReport, float]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    outcome: str = "success"
    seconds: float = 120.0

    def create_task(self, model: str, content: Mapping[str, Any], callback_url: str, *_: str | None) -> str:
        task_id = f"task-{next(_COUNTER)}"
        self.created.append(task_id)
        self.place(task_id)
        return task_id

    def place(self, task_id: str) -> None:
        urls = ("https://media.test/1",) if self.outcome == "success" else ()
        self.known[task_id] = TaskReport(task_id, self.outcome, urls, 2.0), self.clock.now() + self.seconds

    def task(self, task_id: str, *_: str | None) -> TaskReport | None:
        report, ready_at = self.known.get(task_id, (None, 0.0))
        return replace(report, status="running") if report and self.clock.now() < ready_at else report

    def estimate(self, model: str, content: Mapping[str, Any], *_: str | None) -> float:
        return 2.0


@dataclass
class MediaBucket:
    """Saves what every URL leads to."""

    keys: set[str] = field(default_factory=set)

    def save(self, url: str, key: str, limit_bytes: int, seconds: float) -> SavedMedia:
        self.keys.add(f"{key}.mp4")
        return SavedMedia(f"{key}.mp4", "video/mp4", 4, "e" * 64)

    def url(self, key: str, content_type: str) -> str:
        return f"https://bucket.test/{key}"

    def erase(self, prefix: str) -> None:
        self.keys = {each for each in self.keys if not each.startswith(prefix)}


@dataclass
class Line:
    """One generation, its executions and reconcile. Time passes with ``pass_time`` alone."""

    at: StepHarness
    generations: DynamoGenerations = field(init=False)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    media: MediaBucket = field(default_factory=MediaBucket)
    crun: Tasks = field(init=False)

    def __post_init__(self) -> None:
        self.generations = DynamoGenerations(self.at.dynamodb, TABLE)
        self.due = DynamoDueItems(self.at.dynamodb, TABLE)
        self.crun = Tasks(self.at.clock)
        self.reconcile = ReconcileGenerations(self.generations, self.due, self.workflows, self.at.clock)
        policy = TaskPolicy(Schedule(), FakePollHistory(), DAY)
        self.create = CreateTask(self.generations, self.crun, self.at.keys, self.at.clock, policy, lambda _: None)
        self.poll = PollTask(self.generations, self.crun, self.at.clock, policy, lambda: None)
        self.save = SaveMedia(self.generations, self.crun, self.media, self.at.clock, DAY)

    def person(self) -> tuple[Session, PersonUse]:
        session, (asset,) = self.at.verified(AssetStatus.ACTIVE)
        return session, PersonUse(session.id, (asset.id,), (str(asset.crun_asset_id),))

    def place(self, *people: PersonUse, age: float = PROGRESS_SECONDS + 1, **changes: Any) -> Generation:
        """Stores a generation as it may be found in the table."""
        then = self.at.clock.now() - age
        generation = Generation(
            id=generation_id("acme", f"reconciled-{next(_COUNTER)}"), client_id="acme", status=GenerationStatus.QUEUED,
            model="m", created_at=then, updated_at=then, body_sha256="digest", input='{"prompt": "p"}', people=people,
            base_url="https://api.test",
        )  # fmt: skip
        generation = replace(generation, **changes)
        uses = [use_item(generation, each) for each in people]
        for item in (generation_item(generation), list_item(generation), *uses):
            self.at.dynamodb.put_item(TableName=TABLE, Item=item)
        return generation

    def check(self, generation: Generation) -> list[Cause]:
        """Runs reconcile on the generation, if it is due. It may not look at more than one."""
        due_at = self.row(generation).get("due_at")
        if due_at is None or due_at > self.at.clock.now():
            return []
        return self.reconcile(DueItem("", None, due_at, generation.id))

    def row(self, generation: Generation) -> dict[str, Any]:
        key = generation_key(generation.id)
        found: dict[str, Any] = decode_item(self.at.dynamodb.get_item(TableName=TABLE, Key=key)["Item"])
        return found

    def current(self, generation: Generation) -> Generation:
        found = self.generations.get(generation.id)
        assert found
        return found

    def execution(self, name: str, status: ExecutionStatus = ExecutionStatus.FAILED, *tasks: str) -> None:
        """Stores an execution as Step Functions may know it."""
        self.workflows.started[name] = "{}"
        self.workflows.histories[name] = Results(tasks=tasks)
        if status.ended:
            self.workflows.ended.add(name)
            self.workflows.statuses[name] = status

    def play(self, generation: Generation) -> None:
        """Plays the running executions to their ends, as the state machine does."""
        for name in [each for each in self.workflows.started if each not in self.workflows.ended]:
            ended = ExecutionStatus.SUCCEEDED if self._played(generation, name) else ExecutionStatus.FAILED
            self.workflows.ended.add(name)
            self.workflows.statuses[name] = ended

    def _played(self, generation: Generation, name: str) -> bool:
        started_at, action, failures = self.at.clock.now(), None, 0
        tasks: list[str] = []
        while failures < 5:
            try:
                if action is None:
                    action = self.create(generation.id, name)
                elif action["next"] == "wait":
                    self.at.clock.at += action["wait_seconds"]
                    action = self.poll(
                        generation.id,
                        action["round"],
                        task_id=action["task_id"],
                        asked_at=action["asked_at"],
                        started_at=started_at,
                    )
                elif action["next"] == "save":
                    action = self.save(generation.id, action["round"])
            except LikenessError:
                failures += 1
                self.at.clock.at += 60
                continue
            tasks += [action["task_id"]] if action["task_id"] else []
            self.workflows.histories[name] = Results(tasks=tuple(tasks))
            if action["next"] == "done":
                return True
        return False

    def pass_time(self, generation: Generation, seconds: float) -> None:
        """Lets executions and reconcile run."""
        until = self.at.clock.now() + seconds
        while self.at.clock.now() < until:
            self.play(generation)
            self.check(generation)
            self.play(generation)
            due_at = self.row(generation).get("due_at")
            if due_at is None:
                return
            self.at.clock.at = max(self.at.clock.at + 300, due_at)


@pytest.fixture
def line(harness: StepHarness) -> Line:
    return Line(harness)


def test_an_execution_that_was_never_started_is_started(line: Line) -> None:
    generation = line.place(correlation_id="1-abc")
    assert line.check(generation) == [Cause.MISSING]
    (name,) = line.workflows.started
    assert name == generation.id
    assert json.loads(line.workflows.started[name]) == {"generation_id": generation.id, "correlation_id": "1-abc"}
    assert line.row(generation)["due_at"] == line.at.clock.now() + PROGRESS_SECONDS


def test_a_generation_whose_execution_runs_is_left_alone(line: Line) -> None:
    for number in range(BEYOND + 1):
        generation = line.place()
        name = f"{generation.id}-r{number}" if number else generation.id
        for each in range(number):
            line.execution(f"{generation.id}-r{each}" if each else generation.id)
        line.execution(name, ExecutionStatus.RUNNING)
        before = len(line.workflows.started)
        assert line.check(generation) == []
        assert len(line.workflows.started) == before
        assert line.row(generation)["due_at"] > line.at.clock.now()


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (ExecutionStatus.FAILED, Cause.FAILED),
        (ExecutionStatus.TIMED_OUT, Cause.TIMED_OUT),
        (ExecutionStatus.ABORTED, Cause.ABORTED),
        (ExecutionStatus.SUCCEEDED, Cause.ROW_BEHIND),
    ],
)
def test_the_next_execution_has_the_next_name(line: Line, status: ExecutionStatus, cause: Cause) -> None:
    generation = line.place()
    line.execution(generation.id, status)
    assert line.check(generation) == [cause]
    assert f"{generation.id}-r1" in line.workflows.started
    assert line.current(generation).executions == 1


def test_names_that_a_restored_row_does_not_count_are_skipped(line: Line) -> None:
    generation = line.place(executions=1)
    for suffix in ("", "-r1", "-r2"):
        line.execution(f"{generation.id}{suffix}")
    assert line.check(generation) == [Cause.FAILED]
    assert f"{generation.id}-r3" in line.workflows.started
    other = line.place()
    for suffix in ("", *(f"-r{number}" for number in range(1, BEYOND + 1))):
        line.execution(f"{other.id}{suffix}")
    with pytest.raises(WorkInProgress):
        line.check(other)
    assert line.check(other) == [Cause.FAILED], "the row has counted them"


@pytest.mark.parametrize("intended", [True, False])
def test_a_task_that_only_a_history_names_is_recorded_and_not_created_again(line: Line, intended: bool) -> None:
    _, shown = line.person()
    intent: dict[str, Any] = {"intended_at": line.at.clock.now() - 700, "intended_by": "one"} if intended else {}
    generation = line.place(shown, **intent)
    task_id = f"task-{generation.id}"
    line.crun.place(task_id)
    line.execution(generation.id, ExecutionStatus.FAILED, task_id, "task-of-nobody")
    assert line.check(generation) == [Cause.FAILED]
    assert line.current(generation).task_id == task_id
    assert line.generations.of_task(task_id) == generation.id
    line.pass_time(generation, DAY)
    assert line.current(generation).status is GenerationStatus.SUCCEEDED
    assert line.crun.created == []


def test_a_fresh_intent_without_an_execution_is_waited_for(line: Line) -> None:
    now = line.at.clock.now()
    generation = line.place(intended_at=now - 1, intended_by="a request")
    assert line.check(generation) == []
    assert line.workflows.started == {}
    assert line.row(generation)["due_at"] == now - 1 + INTENT_LEASE_SECONDS


def test_an_interrupted_call_becomes_uncertain(line: Line) -> None:
    generation = line.place(intended_at=line.at.clock.now() - 300, intended_by="one")
    line.pass_time(generation, DAY)
    found = line.current(generation)
    assert (found.status, found.error and found.error.code) == (GenerationStatus.UNCERTAIN, "task_unknown")
    assert line.crun.created == []


@pytest.mark.parametrize("status", [each for each in GenerationStatus if each not in ("queued", "running")])
def test_what_is_over_is_not_due_anymore(line: Line, status: GenerationStatus) -> None:
    generation = line.place(status=status)
    # As a later write by an earlier version may leave it.
    key = generation_key(generation.id)
    due = {":shard": {"S": "0"}, ":due": {"N": str(line.at.clock.now())}}
    line.at.dynamodb.update_item(
        TableName=TABLE, Key=key, UpdateExpression="SET due_shard = :shard, due_at = :due",
        ExpressionAttributeValues=due,
    )  # fmt: skip
    assert line.check(generation) == []
    assert "due_at" not in line.row(generation)
    assert line.workflows.started == {}


def test_a_row_that_does_not_exist_is_not_due(line: Line) -> None:
    assert line.reconcile(DueItem("", None, 1.0, "gen_00000000000000000000000000")) == []


class Histories:
    """A client of Step Functions with one history of two pages."""

    def get_execution_history(self, **asked: Any) -> dict[str, Any]:
        pages: list[list[Any]] = [
            [{"task_id": None, "next": "wait"}, {"task_id": "task-1"}],
            [{"task_id": "task-1", "next": "save"}, "no object", {"outcome": "submitted"}],
        ]
        number = int(asked.get("nextToken", "0"))
        events = [{"taskSucceededEventDetails": {"output": json.dumps({"Payload": each})}} for each in pages[number]]
        return {"events": [{"type": "TaskStateEntered"}, *events], **({} if number else {"nextToken": "1"})}


def test_a_history_names_each_task_once() -> None:
    client: Any = Histories()
    workflows = StepFunctions(client, "arn:aws:states:eu-central-1:1:stateMachine:make_generation")
    assert workflows.results("gen_1") == Results(tasks=("task-1",))


# -- from any state -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """One initial state. ``age`` and ``intent_age`` are in seconds; an ``intent_age`` of None is no intent."""

    status: GenerationStatus
    age: float
    intent_age: float | None
    report: str | None
    #: What crun says of a task: a final status, or that it knows none.
    crun: str | None
    seconds: float
    executions: int
    states: tuple[ExecutionStatus | None, ...]
    #: Whether a history contains a task that the row does not have.
    history: bool
    person: str


_STATES = st.builds(
    Drawn,
    status=st.sampled_from([GenerationStatus.QUEUED] * 3 + [GenerationStatus.RUNNING] * 3 + list(GenerationStatus)),
    age=st.sampled_from([10.0, 700.0, 4 * 3600.0, 2 * DAY, 5 * DAY]),
    intent_age=st.sampled_from([None, None, 1.0, 700.0]),
    report=st.sampled_from([None, None, "success", "failed"]),
    crun=st.sampled_from(["success", "success", "failed", None]),
    seconds=st.sampled_from([5.0, 900.0, 3 * DAY]),
    executions=st.integers(0, 2),
    states=st.lists(st.sampled_from([None, *ExecutionStatus]), max_size=5).map(tuple),
    history=st.booleans(),
    person=st.sampled_from(["there", "there", "withdrawn", "erased", "nobody"]),
)


def _placed(line: Line, drawn: Drawn) -> Generation:
    session, shown = line.person()
    line.crun.outcome, line.crun.seconds = drawn.crun or "success", drawn.seconds
    now, then = line.at.clock.now(), line.at.clock.now() - drawn.age
    changes: dict[str, Any] = {"status": drawn.status, "executions": drawn.executions}
    task_id = f"task-{next(_COUNTER)}"
    if drawn.status is not GenerationStatus.QUEUED:
        changes |= {"intended_at": then, "intended_by": "one", "task_id": task_id, "submitted_at": then}
        if drawn.report:
            changes["report"] = TaskReport(task_id, drawn.report, ("https://media.test/1",), 2.0)
    elif drawn.intent_age is not None:
        changes |= {"intended_at": now - min(drawn.age, drawn.intent_age), "intended_by": "one"}
    if drawn.person == "erased":
        changes |= {"erased_at": now, "input": "", "report": None}
    generation = line.place(*([] if drawn.person == "nobody" else [shown]), age=drawn.age, **changes)
    if drawn.person == "withdrawn":
        line.at.store.withdraw_consent(session, Withdrawal(now, "person"))
    if drawn.person == "erased":
        assert line.at.store.redact_session(session, now)
    names = [generation.id, *(f"{generation.id}-r{number}" for number in range(1, 5))]
    for name, status in zip(names, drawn.states, strict=False):
        if status is not None:
            in_history = drawn.history and status.ended
            line.execution(name, status, *([task_id] if in_history else []))
    if drawn.crun:
        line.crun.place(task_id)
    return generation


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=_STATES)
def test_every_drawn_generation_ends(drawn: Drawn, store: DynamoStore, dynamodb: Any) -> None:
    line = Line(StepHarness(store, dynamodb))
    generation = _placed(line, drawn)
    line.pass_time(generation, 6 * DAY)
    found = line.current(generation)
    assert found.is_over, "it is stuck"
    if generation.is_over:
        assert found == generation
        return
    assert "due_at" not in line.row(found)
    assert all(use.outcome == found.outcome for each in found.people for use in _uses(line, each))
    assert found.media or line.media.keys == set()
    # An execution that was running already has either been started with the task in the row, or names it itself.
    is_known = drawn.history and any(drawn.states) and all(each is None or each.ended for each in drawn.states)
    if generation.task_id or generation.intended_at or is_known or drawn.person in ("withdrawn", "erased"):
        assert line.crun.created == [], "a second task, or one without consent"
    if drawn.person in ("withdrawn", "erased"):
        assert line.media.keys == set()
    assert len(line.crun.created) <= 1
    assert line.crun.created in ([], [found.task_id])


def _uses(line: Line, person: PersonUse) -> list[Any]:
    return list(line.generations.list_uses(person.session_id, limit=5).uses)
