"""Actions of developers, people, crun, AWS and time on generations in any order, with random faults.

The model has what callers know: which requests were accepted, who has withdrawn or was erased, and what was erased.
Everything else follows from the invariants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from likeness.domain.generation import GenerationStatus
from local.simulator import FaultRule
from local.simulator.generation import TaskAction
from tests.faults.fault_injection import MOMENTARY, Fault
from tests.faults.generating import PARAMETERS, SETTINGS, TASK_SECONDS, Generating, Person, place_person
from tests.faults.generation_scenarios import ALWAYS, Invariants, calls_of
from tests.faults.simulated_aws import SharedAccount, SimulatedAws

_account = SharedAccount(SETTINGS, **PARAMETERS)
_WHICH = st.integers(0, 2)
#: These hold for each of several generations, also when callers and crun change their minds.
_OF_EACH = ("created_once", "used", "known", "over", "media", "nothing_withheld", "executions_ended", "no_secret")


def teardown_module() -> None:
    _account.close()


@pytest.fixture
def account() -> SimulatedAws:
    where = _account()
    where.settle()
    return where


# -- cancel and create --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cancellation_right_before_each_call_of_create_task_wins_or_is_refused(account: SimulatedAws) -> None:
    calls = calls_of(account)
    numbers = [each.number for each in calls if each.by == "create_task"]
    statuses = set()
    for number in [numbers[0] - 1, *numbers, numbers[-1] + 1]:
        account.begin({})
        story = Generating(account)
        answers: list[int] = []

        def cancel(*_: str, story: Generating = story, answers: list[int] = answers, number: int = number) -> None:
            if not answers and len(account.injector.calls) >= number:
                answers.append(0)
                path = {"generation_id": story.id}
                answers.append(account.api("POST", "/generations/{generation_id}/cancel", **path).status)

        account.injector.outage = cancel
        account.play(story.story())
        account.settle()
        account.injector.outage = lambda *_: None
        assert dict(Invariants(story).check(ALWAYS)) == {}, number
        generation = story.row()
        assert generation
        seen = (answers[1], generation.status, story.created)
        assert seen in ((200, GenerationStatus.CANCELED, 0), (409, GenerationStatus.SUCCEEDED, 1)), number
        statuses.add(generation.status)
    assert statuses == {GenerationStatus.CANCELED, GenerationStatus.SUCCEEDED}


# -- callbacks ----------------------------------------------------------------------------------------------------


def test_forged_callbacks_change_nothing(account: SimulatedAws) -> None:
    account.begin({})
    _let_tasks_run(account, 60)
    story = Generating(account, reports=0)
    account.play(story.story())
    account.settle(5)
    before = story.row()
    (url,) = [str(each.callback_url) for each in story.tasks.values()]
    for body in ("wrong_task", "wrong_status"):
        assert [each.status for each in story.report(body)] == [200]
        account.settle(6)
    named = {"task_id": next(iter(story.tasks)), "status": "success"}
    assert account.task_callback(url[:-1] + ("A" if url[-1] != "A" else "B"), named).status == 404
    assert account.task_callback(url.replace(story.id, story.id[:-1] + "0"), named).status == 404
    for garbage in ("", "[", "[1]", '"text"', '{"task_id": 7}', "x" * 300_000):
        assert account.task_callback(url, garbage).status == 200
    after = story.row()
    assert before
    assert after
    assert (after.task_id, after.report, after.status) == (before.task_id, None, GenerationStatus.RUNNING)
    account.settle()
    assert dict(Invariants(story).check(ALWAYS)) == {}
    assert len(story.files()) == 1
    _let_tasks_run(account, TASK_SECONDS)


def _let_tasks_run(account: SimulatedAws, seconds: float) -> None:
    account.simulator.update_settings(task_outcomes=[SETTINGS["task_outcomes"][0] | {"after_seconds": seconds}])


def test_a_callback_that_comes_before_the_task_is_stored_names_it(account: SimulatedAws) -> None:
    account.begin({})
    story = Generating(account, reports=0)
    answers: list[int] = []

    def early(*_: str) -> Fault | None:
        if account.injector.caller == "create_task" and story.tasks and not answers:
            answers.append(0)
            answers.extend(each.status for each in story.report())
            return Fault.DIES
        return None

    account.injector.outage = early
    account.play(story.story())
    account.settle()
    account.injector.outage = lambda *_: None
    assert answers == [0, 200]
    generation = story.row()
    assert generation
    assert (generation.status, generation.task_id) == (GenerationStatus.SUCCEEDED, next(iter(story.tasks)))
    assert dict(Invariants(story).check(ALWAYS)) == {}


@pytest.mark.parametrize("body", ["true", "wrong_task"])
def test_a_callback_of_an_uncertain_generation_is_taken_over_if_the_task_is_ours(
    account: SimulatedAws, body: str
) -> None:
    account.begin({})
    other = Generating(account, reports=0)
    account.play(other.story())
    account.settle(120)
    story = Generating(account, reports=0)
    account.simulator.add_faults(FaultRule(call="create_task", kind="reset"))
    account.play(story.story())
    account.settle(120)
    generation = story.row()
    assert generation
    assert generation.status is GenerationStatus.UNCERTAIN
    ((task_id, task),) = story.tasks.items()
    named = task_id if body == "true" else next(iter(other.tasks))
    for _ in range(2):  # crun repeats it
        assert account.task_callback(str(task.callback_url), {"task_id": named, "status": "success"}).status == 200
        account.settle(6)
    account.settle()
    found = story.row()
    assert found
    expected = (GenerationStatus.SUCCEEDED, task_id) if body == "true" else (GenerationStatus.UNCERTAIN, None)
    assert (found.status, found.task_id) == expected
    broken = dict(Invariants(story).check([each for each in _OF_EACH if each != "known"]))
    assert broken == {}


def test_two_executions_of_one_generation_create_one_task(account: SimulatedAws) -> None:
    account.begin({})
    story = Generating(account)
    account.play(story.story())
    account.settle(0)
    document = {"generation_id": story.id, "correlation_id": None}
    for number in (1, 2, 3):
        account.place_execution(f"{story.id}-r{number}", document, "RUNNING")
    account.settle()
    assert dict(Invariants(story).check(ALWAYS)) == {}
    generation = story.row()
    assert generation
    assert (generation.status, len(story.files())) == (GenerationStatus.SUCCEEDED, 1)


# -- any order ----------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What callers know. ``objected``: the people who have withdrawn or were erased, and never agree again."""

    people: list[Person] = field(default_factory=list)
    stories: list[Generating] = field(default_factory=list)
    objected: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    #: The generations that crun was not asked for when a person objected: their calls by then.
    stopped: dict[str, int] = field(default_factory=dict)


class Interleavings(RuleBasedStateMachine):
    """Hypothesis picks the rules; ``where`` simulates AWS, crun and the clock."""

    @initialize()
    def begin(self) -> None:
        self.where = _account()
        self.where.settle()
        self.where.begin({})
        self.model = Model([place_person(self.where, 1) for _ in range(3)])
        self.create(0)

    # -- the developer ----------------------------------------------------------------------------------------

    @rule(which=_WHICH)
    def create(self, which: int) -> None:
        people = [self.model.people[which], self.model.people[(which + 1) % 3]]
        story = Generating(self.where, people=people)
        answer = story.ask()
        if any(each.session_id in self.model.objected for each in people):
            assert answer.status in (404, 409, 500, 502, 503), answer
        story.accepted = answer.status == 202
        self.model.stories.append(story)

    @rule(which=_WHICH)
    def create_again(self, which: int) -> None:
        for story in self._some(which):
            answer = story.ask()
            if answer.status == 202:
                assert answer.body["id"] == story.id

    @rule(which=_WHICH)
    def cancel(self, which: int) -> None:
        for story in self._some(which):
            self.where.api("POST", "/generations/{generation_id}/cancel", generation_id=story.id)

    @rule(which=_WHICH, sure=st.integers(0, 2))
    def erase(self, which: int, sure: int) -> None:
        for story in self._some(which) if not sure else ():
            if self.where.api("DELETE", "/generations/{generation_id}", generation_id=story.id).status == 200:
                self.model.erased.add(story.id)

    # -- the people -------------------------------------------------------------------------------------------

    @rule(which=_WHICH, sure=st.integers(0, 3), erases=st.booleans())
    def object(self, which: int, sure: int, erases: bool) -> None:
        if sure:
            return
        person = self.model.people[which].session_id
        created = {each.id: each.created for each in self.model.stories}
        rows = {each.id: each.row() for each in self.model.stories if person in {one.session_id for one in each.people}}
        route = ("DELETE", "/sessions/{session_id}") if erases else ("POST", "/sessions/{session_id}/consent/withdraw")
        if self.where.api(*route, session_id=person).status == 200:
            self.model.objected.add(person)
            for each, row in rows.items():
                if row is None or row.intended_at is None:
                    self.model.stopped.setdefault(each, created[each])

    # -- crun -------------------------------------------------------------------------------------------------

    @rule(which=_WHICH, body=st.sampled_from(["true", "true", "wrong_task", "wrong_status"]))
    def report(self, which: int, body: str) -> None:
        for story in self._some(which):
            story.report(body)  # type: ignore[arg-type]

    @rule(which=_WHICH, action=st.sampled_from(["success", "failed", "vanishes"]))
    def end_task(self, which: int, action: TaskAction) -> None:
        for story in self._some(which):
            known = self.where.simulator.generation.summary()["tasks"]
            for task_id in story.tasks:
                if known[task_id]["status"] in ("pending", "running"):  # type: ignore[index]
                    self.where.simulator.generation.end(task_id, action, None, "true")

    # -- the platform and time --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 1, 1, 6, 15, 60, 700]))
    def let_time_pass(self, seconds: float) -> None:
        self.where.settle(seconds)

    @rule(which=_WHICH, number=st.integers(1, 2))
    def start_another(self, which: int, number: int) -> None:
        for story in self._some(which):
            name = f"{story.id}-r{number}"
            if story.accepted and name not in self.where.executions:
                document = {"generation_id": story.id, "correlation_id": None}
                self.where.place_execution(name, document, "RUNNING")

    @rule(fault=st.sampled_from(MOMENTARY), ahead=st.integers(1, 15))
    def break_a_call(self, fault: Fault, ahead: int) -> None:
        self.where.injector.plan = {**self.where.injector.plan, len(self.where.injector.calls) + ahead: fault}

    def _some(self, which: int) -> list[Generating]:
        """Returns the story of that number, counted from the newest."""
        stories = self.model.stories
        return [stories[-1 - which % len(stories)]] if stories else []

    # -- what holds at every moment ---------------------------------------------------------------------------

    @invariant()
    def each_is_created_once_and_in_the_ledger(self) -> None:
        for story in self._stories():
            assert story.created <= 1
            if story.created:
                assert all(len(story.uses(each)) == 1 for each in story.people)

    @invariant()
    def no_intent_follows_an_objection(self) -> None:
        for story in self._stories():
            if story.id in self.model.stopped:
                assert story.created == self.model.stopped[story.id] == 0

    @invariant()
    def what_is_erased_stays_erased(self) -> None:
        for story in self._stories():
            if story.id in self.model.erased:
                row = story.row()
                assert row
                assert (row.input, row.reference, row.media) == ("", None, ())
                assert story.versions() == 0

    def _stories(self) -> Iterator[Generating]:
        yield from self.model.stories if hasattr(self, "model") else ()

    # -- what holds in the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        self.where.settle()
        self.where.injector.plan = {}
        spent = 0.0
        for story in self.model.stories:
            assert dict(Invariants(story).check(_OF_EACH)) == {}
            generation = story.row()
            assert story.accepted <= (generation is not None)
            if generation is not None:
                event(f"a generation ended {generation.status.value}")
                spent += generation.cost
        (first, *_) = self.model.stories
        spending = first.store.spending("acme", self._day())
        assert (spending.reserved, spending.spent) == (0, spent)

    def _day(self) -> float:
        rows = [row for row in (each.row() for each in self.model.stories) if row]
        return rows[0].created_at if rows else self.where.now


_COMMON = {"stateful_step_count": 20, "suppress_health_check": [HealthCheck.too_slow], "deadline": None}
TestInterleavings = pytest.mark.slow(Interleavings.TestCase)
TestInterleavings.settings = settings(max_examples=12, **_COMMON)  # type: ignore[arg-type]


class ManyInterleavings(Interleavings):
    """The same, more often."""


TestManyInterleavings = pytest.mark.nightly(ManyInterleavings.TestCase)
TestManyInterleavings.settings = settings(max_examples=200, **_COMMON)  # type: ignore[arg-type]
