"""The generation harness: runs the steps of ``make_generation`` on moto's table and fakes of crun and the bucket."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.generation import (
    Generation,
    GenerationStatus,
    PersonUse,
    SavedMedia,
    TaskReport,
    UseEntry,
    generation_id,
)
from likeness.domain.session import Session
from likeness.domain.signing import sign_task
from likeness.domain.terms import Withdrawal
from likeness.errors import StorageUnavailable, UpstreamError
from likeness.ports.generations import CrunTasks, GenerationStore, MediaFiles
from likeness.steps.generations.create_task import CreateTask
from likeness.steps.generations.poll_task import PollTask
from likeness.steps.generations.receive_task import ReceiveTask
from likeness.steps.generations.save_media import SaveMedia
from likeness.steps.generations.task_action import TaskAction, TaskPolicy
from tests.unit.fakes import FakeWorkflows, FixedKeys
from tests.unit.step_harness import TABLE, StepHarness

MODEL = "bytedance/seedance2-0-r2v"
DEADLINE = 86_400.0
LINK = "https://cdn.test/1.mp4?canary-signature"
Answer = TypeVar("Answer")
Failure = UpstreamError | StorageUnavailable
_COUNTER = itertools.count(1)


@dataclass
class FakeCrunTasks:
    """Returns the scripted answers in order and raises scripted errors. An unscripted call fails the test.

    ``during`` is called while a task is being created, as something that happens at the same time.
    """

    created: deque[str | Failure] = field(default_factory=deque)
    reports: deque[TaskReport | Failure | None] = field(default_factory=deque)
    estimates: deque[float | Failure] = field(default_factory=deque)
    #: (model, input, callback URL, correlation id, client) of each created task.
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def create_task(
        self,
        model: str,
        content: Mapping[str, Any],
        callback_url: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        self.requests.append((model, dict(content), callback_url, correlation_id, client_id))
        self.during()
        return _next(self.created)

    def task(self, task_id: str, correlation_id: str | None = None, client_id: str | None = None) -> TaskReport | None:
        self.asked.append(task_id)
        return _next(self.reports)

    def estimate(
        self,
        model: str,
        content: Mapping[str, Any],
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> float:
        return _next(self.estimates)


def _next(script: deque[Answer | Failure]) -> Answer:
    answer = script.popleft()
    if isinstance(answer, UpstreamError | StorageUnavailable):
        raise answer
    return answer


@dataclass
class FakeMediaFiles:
    """Files by key. ``problems`` are the outcomes of the next saves, None for a file that is saved."""

    problems: deque[SavedMedia | None] = field(default_factory=deque)
    files: dict[str, str] = field(default_factory=dict)
    saved: list[tuple[str, str, float]] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def save(self, url: str, key: str, limit_bytes: int, seconds: float) -> SavedMedia:
        self.saved.append((url, key, seconds))
        problem = self.problems.popleft() if self.problems else None
        self.during()
        if problem is not None:
            return problem
        self.files[f"{key}.mp4"] = url
        return SavedMedia(f"{key}.mp4", "video/mp4", len(url), f"digest of {url}")

    def url(self, key: str, content_type: str) -> str:
        return f"https://bucket.test/{key}?signed"

    def erase(self, prefix: str) -> None:
        self.files = {key: each for key, each in self.files.items() if not key.startswith(prefix)}


@dataclass
class FailingStore:
    """A store whose ``method`` fails ``times`` times: before its effect, or after it with ``after``."""

    store: DynamoGenerations
    method: str
    times: int = 1
    after: bool = False
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.store, name)
        if name != self.method:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            fails = self.calls <= self.times
            if fails and not self.after:
                raise StorageUnavailable
            answer = real(*arguments, **options)
            if fails:
                raise StorageUnavailable
            return answer

        return call


@dataclass
class GenerationHarness:
    """The steps, and their ports."""

    people: StepHarness
    generations: DynamoGenerations
    crun: FakeCrunTasks = field(default_factory=FakeCrunTasks)
    media: FakeMediaFiles = field(default_factory=FakeMediaFiles)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    keys: FixedKeys = field(default_factory=FixedKeys)
    slept: list[float] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    #: Replaces the store of the steps.
    broken: Any = None

    @property
    def clock(self) -> Any:
        return self.people.clock

    @property
    def store(self) -> GenerationStore:
        found: GenerationStore = self.broken or self.generations
        return found

    @property
    def policy(self) -> TaskPolicy:
        return TaskPolicy(replace(self.people.schedule, deadline=DEADLINE), self.people.history, DEADLINE)

    # -- rows

    def person(self, assets: int = 1) -> tuple[Session, list[Asset], PersonUse]:
        """Stores a verified person with active assets."""
        session, files = self.people.verified(*[AssetStatus.ACTIVE] * assets)
        ids = tuple(each.id for each in files), tuple(str(each.crun_asset_id) for each in files)
        return session, files, PersonUse(session.id, *ids, None)

    def queued(self, *people: PersonUse, **changes: Any) -> Generation:
        """Stores a generation that waits for its task."""
        now = self.clock.now()
        made = Generation(
            id=generation_id("acme", f"machine-{next(_COUNTER)}"), client_id="acme", status=GenerationStatus.QUEUED,
            model=MODEL, created_at=now, updated_at=now, body_sha256="digest", input='{"prompt":"a walk"}',
            people=people, reference="campaign", base_url="https://api.test/v1", correlation_id="corr",
        )  # fmt: skip
        made = replace(made, **changes)
        self.generations.create(made, None)
        return made

    def running(self, *people: PersonUse, **changes: Any) -> Generation:
        """Stores a generation whose task is running at crun."""
        made = self.queued(*people, **changes)
        intent = self.generations.intend(made, "before", self.clock.now())
        return self.generations.record_task(intent, f"task-{made.id}", self.clock.now())

    def succeeded(self, *people: PersonUse, urls: tuple[str, ...] = (LINK,), **changes: Any) -> Generation:
        """Stores a running generation with crun's report of a success."""
        made = self.running(*people, **changes)
        self.generations.record_report(
            made, self.report(made, "success", media_urls=urls, credits=7.5), self.clock.now()
        )
        return self.row(made)

    def report(self, of: Generation, status: str, **changes: Any) -> TaskReport:
        return TaskReport(of.task_id or f"task-{of.id}", status, **changes)

    def row(self, of: Generation) -> Generation:
        found = self.generations.get(of.id)
        assert found
        return found

    def uses(self, of: Session) -> list[UseEntry]:
        return self.generations.list_uses(of.id, limit=100).uses

    def withdraw(self, session: Session) -> None:
        withdrawal = Withdrawal(self.clock.now(), "person", "invite")
        self.people.store.withdraw_consent(self.people.row(session), withdrawal)

    # -- steps

    def create_task(self, of: Generation, execution: str = "e") -> TaskAction:
        return CreateTask(self.store, self.crun, self.keys, self.clock, self.policy, self.slept.append)(
            of.id, execution
        )

    def poll_task(self, of: Generation, polls: int = 0, **how: Any) -> TaskAction:
        refused = lambda: self.refusals.append(1)  # noqa: E731 - the list's method returns nothing either
        return PollTask(self.store, self.crun, self.clock, self.policy, refused)(of.id, polls, **how)

    def save_media(self, of: Generation) -> TaskAction:
        return SaveMedia(self.store, self.crun, self.media, self.clock, DEADLINE)(of.id)

    def signature(self, of: Generation) -> str:
        return sign_task(self.keys.current(), of.id)

    def receive_task(self, of: Generation, body: str | None = None, signature: str | None = None) -> None:
        step = ReceiveTask(self.store, self.crun, self.workflows, self.keys, self.clock)
        step(of.id, self.signature(of) if signature is None else signature, body)


def harness_of(people: StepHarness) -> GenerationHarness:
    return GenerationHarness(people, DynamoGenerations(people.dynamodb, TABLE))


#: Lets the type checker verify that each fake implements its port.
CRUN_TASKS: type[CrunTasks] = FakeCrunTasks
MEDIA_FILES: type[MediaFiles] = FakeMediaFiles
