"""What happens to the generations that show a person when the consent is withdrawn, or the person is erased."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from likeness.adapters.table.due_items import DynamoDueItems
from likeness.adapters.table.generation_items import generation_key
from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.asset import AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.due import PROGRESS_SECONDS
from likeness.domain.generation import (
    ERASED_WORDS,
    LONGEST_DEADLINE_SECONDS,
    Generation,
    GenerationStatus,
    Media,
    PersonUse,
    generation_id,
)
from likeness.domain.session import Problem, Session, SessionStatus
from likeness.domain.terms import TermsPolicy
from likeness.errors import ConditionFailed, StorageUnavailable
from likeness.steps.files.check_upload import CheckUpload
from likeness.steps.generations.erase_generations import EraseGenerations
from likeness.steps.generations.reconcile_generations import ReconcileGenerations
from likeness.steps.onboarding.start_onboarding import StartOnboarding
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from likeness.steps.upkeep.erase_session import EraseSession
from likeness.steps.upkeep.reconcile import Reconcile
from tests.template_file import TEMPLATE
from tests.unit.fakes import FakeClock, FakeFiles, FakeWorkflows
from tests.unit.step_harness import TABLE, StepHarness

CLIENT = Caller("acme")
DAY = 86_400.0


@dataclass
class Studio:
    """Generations of people, on the harness's table."""

    at: StepHarness
    made: int = 0
    generations: DynamoGenerations = field(init=False)

    def __post_init__(self) -> None:
        self.generations = DynamoGenerations(self.at.dynamodb, TABLE)

    def person(self) -> tuple[Session, PersonUse]:
        session, (asset,) = self.at.verified(AssetStatus.ACTIVE)
        return session, PersonUse(session.id, (asset.id,), (str(asset.crun_asset_id),))

    def queued(self, *people: PersonUse) -> Generation:
        self.made += 1
        now = self.at.clock.now()
        generation = Generation(
            id=generation_id(people[0].session_id, str(self.made)), client_id="acme", status=GenerationStatus.QUEUED,
            model="m", created_at=now, updated_at=now, body_sha256="digest", input="prompt", people=people,
            reference="campaign",
        )  # fmt: skip
        self.generations.create(generation, None)
        return generation

    def intended(self, *people: PersonUse) -> Generation:
        return self.generations.intend(self.queued(*people), "one", self.at.clock.now())

    def running(self, *people: PersonUse) -> Generation:
        intended = self.intended(*people)
        return self.generations.record_task(intended, f"task-{intended.id}", self.at.clock.now())

    def ended(self, before: Generation, status: GenerationStatus, **changes: Any) -> Generation:
        ended = replace(before.ended(status, self.at.clock.now()), **changes)
        self.generations.end(ended, before)
        return ended

    def succeeded(self, *people: PersonUse) -> Generation:
        before = self.running(*people)
        media = (Media(f"{before.media_prefix}0.mp4", "video/mp4", 4, "e" * 64),)
        self.at.files.objects[media[0].key] = b"clip"
        return self.ended(before, GenerationStatus.SUCCEEDED, media=media)

    def current(self, of: Generation) -> Generation:
        found = self.generations.get(of.id)
        assert found
        return found

    def erase(self, session: Session) -> dict[str, Any]:
        at = self.at
        part = EraseGenerations(self.generations, at.files, at.clock, 15)
        return EraseSession(at.store, at.files, at.workflows, at.clock, part)(CLIENT, session.id)

    def withdraw(self, session: Session) -> list[dict[str, str]]:
        step = WithdrawConsent(self.at.store, self.at.clock, TermsPolicy(), self.generations)
        found: list[dict[str, str]] = step(CLIENT, session.id)["consent_withdrawal"]["in_flight"]
        return found


@pytest.fixture
def studio(harness: StepHarness) -> Studio:
    return Studio(harness)


# -- withdrawal ---------------------------------------------------------------------------------------------------


def test_a_withdrawal_lists_the_generations_that_crun_may_be_making(studio: Studio) -> None:
    session, shown = studio.person()
    _, other = studio.person()
    studio.queued(shown)
    studio.running(other)
    studio.succeeded(shown)
    studio.ended(studio.queued(shown), GenerationStatus.CANCELED)
    studio.at.clock.at += 1
    intended, running = studio.intended(shown), studio.running(shown, other)
    studio.at.clock.at += 1
    listed = studio.withdraw(session)
    assert {each["id"] for each in listed} == {intended.id, running.id}
    assert {each["type"] for each in listed} == {"generation"}
    assert studio.withdraw(session) == listed
    with pytest.raises(ConditionFailed):
        studio.intended(shown)


def test_one_that_is_uncertain_is_in_flight_whether_crun_has_named_its_task_or_not(studio: Studio) -> None:
    session, shown = studio.person()
    unknown = studio.ended(studio.intended(shown), GenerationStatus.UNCERTAIN, error=Problem("task_unknown", "x"))
    adopted = studio.ended(studio.intended(shown), GenerationStatus.UNCERTAIN, error=Problem("task_unknown", "x"))
    studio.at.clock.at += 60
    studio.generations.record_task(adopted, "task-adopted", studio.at.clock.now())
    studio.at.clock.at += 60
    listed = studio.withdraw(session)
    assert {each["id"] for each in listed} == {unknown.id, adopted.id}
    assert len(listed) == 2


def test_an_outcome_between_the_withdrawal_and_the_list_is_in_flight(studio: Studio) -> None:
    session, shown = studio.person()
    running = studio.running(shown)
    studio.at.clock.at += 60
    withdrawn_at = studio.at.clock.now()
    studio.withdraw(session)
    stored = studio.at.row(session)
    assert stored.withdrawal
    assert stored.withdrawal.at == withdrawn_at
    studio.ended(running, GenerationStatus.SUCCEEDED)
    # The list was lost: it is made again from the time of the withdrawal.
    key = {"pk": {"S": f"SESSION#{session.id}"}, "sk": {"S": "SESSION"}}
    studio.at.dynamodb.update_item(TableName=TABLE, Key=key, UpdateExpression="REMOVE withdrawal.in_flight")
    studio.at.clock.at += 60
    assert studio.withdraw(session) == [{"type": "generation", "id": running.id}]


def test_no_deployment_has_a_longer_deadline() -> None:
    assert TEMPLATE["Parameters"]["GenerationDeadlineSeconds"]["MaxValue"] == LONGEST_DEADLINE_SECONDS


def test_a_deadline_that_is_long_over_bounds_what_is_read(studio: Studio) -> None:
    session, shown = studio.person()
    studio.running(shown)
    studio.at.clock.at += LONGEST_DEADLINE_SECONDS + DAY + 1
    for _ in range(101):
        studio.queued(shown)
    new = studio.running(shown)
    studio.at.clock.at += 1
    assert studio.withdraw(session) == [{"type": "generation", "id": new.id}]


# -- erasure ------------------------------------------------------------------------------------------------------


def test_an_erasure_empties_every_generation_that_shows_the_person(studio: Studio) -> None:
    (session, shown), (_, other) = studio.person(), studio.person()
    alone, together, kept = studio.succeeded(shown), studio.succeeded(shown, other), studio.succeeded(other)
    tombstone = studio.erase(session)
    assert tombstone["status"] == "redacted"
    assert [*studio.at.files.objects] == [kept.media[0].key]
    for each in (alone, together):
        row = studio.current(each)
        assert (row.input, row.reference, row.media, row.report) == ("", None, (), None)
        assert row.erased_at == studio.at.clock.now()
        assert row.status is GenerationStatus.SUCCEEDED
    assert studio.current(kept) == replace(kept, settled=0.0)
    for use in studio.generations.list_uses(session.id, limit=9).uses:
        assert use.media_sha256 == ("e" * 64,)
    assert studio.erase(session)["erasure"] == tombstone["erasure"]


def test_a_generation_that_runs_is_erased_and_goes_on_without_media(studio: Studio) -> None:
    session, shown = studio.person()
    queued, running = studio.queued(shown), studio.running(shown)
    studio.at.files.objects[f"{running.media_prefix}0.mp4"] = b"saved before its row has the outcome"
    studio.erase(session)
    assert studio.at.files.objects == {}
    assert studio.current(running).status is GenerationStatus.RUNNING
    assert studio.current(running).erased_at is not None
    with pytest.raises(ConditionFailed):
        studio.generations.intend(queued, "one", studio.at.clock.now())


WORDS = "The text 'Jane Doe on a beach' was refused"
FAILED = Problem("generation_failed", WORDS, "501", upstream_message=WORDS)


def test_an_erasure_removes_the_words_of_crun_which_may_quote_the_prompt(studio: Studio) -> None:
    session, shown = studio.person()
    before, during = studio.running(shown), studio.running(shown)
    studio.generations.end(before.ended(GenerationStatus.FAILED, studio.at.clock.now(), FAILED), before)
    assert studio.current(before).error == FAILED
    studio.erase(session)
    studio.generations.end(during.ended(GenerationStatus.FAILED, studio.at.clock.now(), FAILED), during)
    for each in (before, during):
        row = studio.current(each)
        assert (row.status, row.is_erased) == (GenerationStatus.FAILED, True)
        assert row.error == Problem("generation_failed", ERASED_WORDS, "501")
    assert [use.reason for use in studio.generations.list_uses(session.id, limit=9).uses] == ["generation_failed"] * 2


@pytest.mark.parametrize(
    "error",
    [
        replace(FAILED, upstream_message=None),  # restored from an export
        replace(FAILED, upstream_message=None, upstream_code=None),
        Problem("upstream_rejected", f"crun did not accept the request: {WORDS}", "422", upstream_message=WORDS),
    ],
)
def test_the_words_are_removed_from_each_error_of_crun(studio: Studio, error: Problem) -> None:
    session, shown = studio.person()
    made = studio.running(shown)
    studio.generations.end(made.ended(GenerationStatus.FAILED, studio.at.clock.now(), error), made)
    assert studio.current(made).error == error
    studio.erase(session)
    assert studio.current(made).error == replace(error, message=ERASED_WORDS, upstream_message=None)


def test_our_own_words_stay(studio: Studio) -> None:
    session, shown = studio.person()
    made, ours = studio.running(shown), Problem("outcome_unknown", "crun has not reported the end of the task in time")
    studio.generations.end(made.ended(GenerationStatus.UNCERTAIN, studio.at.clock.now(), ours), made)
    studio.erase(session)
    assert studio.current(made).error == ours


@pytest.mark.parametrize("ends", ["before the erasure", "in the middle of it"])
def test_an_erasure_that_dies_before_the_words_are_removed_is_repeated(studio: Studio, ends: str) -> None:
    session, shown = studio.person()
    made = studio.running(shown)
    failed = made.ended(GenerationStatus.FAILED, studio.at.clock.now(), FAILED)
    if ends == "before the erasure":
        studio.generations.end(failed, made)

    class Dies(DynamoGenerations):
        """A table that is away for the second write of an erasure."""

        def _change_if(self, generation_id: str, update: str, *more: Any, **options: Any) -> bool:
            if "#error.message" in update:
                raise StorageUnavailable
            return super()._change_if(generation_id, update, *more, **options)

    with pytest.raises(StorageUnavailable):
        Dies(studio.at.dynamodb, TABLE).erase(studio.current(made), studio.at.clock.now())
    if ends == "in the middle of it":
        studio.generations.end(failed, made)
    studio.erase(session)
    assert WORDS not in str(studio.current(made))
    assert studio.current(made).is_erased


def test_a_file_that_is_saved_while_the_row_is_erased_is_deleted(studio: Studio) -> None:
    session, shown = studio.person()
    running = studio.running(shown)
    key = f"{running.media_prefix}0.mp4"

    class SavesLate(FakeFiles):
        """A bucket into which SaveMedia writes right after the first deletion."""

        def erase(self, prefix: str) -> None:
            super().erase(prefix)
            if prefix == running.media_prefix and studio.current(running).erased_at is None:
                self.objects[key] = b"late"

    studio.at.files = SavesLate()
    studio.erase(session)
    assert studio.at.files.objects == {}
    studio.at.files.objects[key] = b"the second deletion was lost"
    studio.erase(session)
    assert studio.at.files.objects == {}


def test_an_erasure_that_takes_too_long_is_continued(studio: Studio) -> None:
    session, shown = studio.person()
    made = [studio.succeeded(shown) for _ in range(7)]

    class Slow(FakeFiles):
        """A bucket in which each deletion takes six seconds."""

        def erase(self, prefix: str) -> None:
            super().erase(prefix)
            studio.at.clock.at += 6

    slow = Slow()
    slow.objects = studio.at.files.objects
    studio.at.files = slow
    with pytest.raises(StorageUnavailable) as caught:
        studio.erase(session)
    assert caught.value.retry_after == 1
    assert studio.at.row(session).status is SessionStatus.REDACTED
    assert studio.at.row(session).erased_at is None
    tries = 1
    while studio.at.row(session).erased_at is None:
        tries += 1
        assert tries < 9
        try:
            studio.erase(session)
        except StorageUnavailable:
            continue
    assert tries == 3
    assert slow.objects == {}
    assert all(studio.current(each).erased_at is not None for each in made)


def test_the_policy_about_withdrawals_erases_generations_too(studio: Studio) -> None:
    session, shown = studio.person()
    made = studio.succeeded(shown)
    studio.withdraw(session)
    at, failures = studio.at, list[Exception]()
    due = DynamoDueItems(at.dynamodb, TABLE)
    part = EraseGenerations(studio.generations, at.files, at.clock, 15)
    at.clock.at += DAY
    Reconcile(
        at.store, due, at.workflows, at.files, StartOnboarding(at.store, at.workflows, at.clock),
        CheckUpload(at.store, at.files, at.queue, at.clock), at.clock, at.causes.append, lambda: None,
        lambda error, _: failures.append(error),
        ReconcileGenerations(studio.generations, due, FakeWorkflows(), at.clock),
        EraseSession(at.store, at.files, at.workflows, at.clock, part, by_policy=True),
    )(at.clock.now() + 60)  # fmt: skip
    assert failures == []
    assert studio.current(made).erased_at == at.clock.now()
    assert at.row(session).erased_by == "policy"
    assert made.media[0].key not in at.files.objects


def test_reconcile_counts_generations_and_postpones_those_that_it_cannot_read(studio: Studio) -> None:
    _, shown = studio.person()
    at, failures = studio.at, dict[str, Exception]()
    waiting, damaged = studio.queued(shown), studio.queued(shown)
    at.dynamodb.update_item(
        TableName=TABLE, Key=generation_key(damaged.id), UpdateExpression="SET #status = :later",
        ExpressionAttributeNames={"#status": "status"}, ExpressionAttributeValues={":later": {"S": "paused"}},
    )  # fmt: skip
    due, workflows = DynamoDueItems(at.dynamodb, TABLE), FakeWorkflows()
    at.clock.at += PROGRESS_SECONDS
    step = Reconcile(
        at.store, due, at.workflows, at.files, StartOnboarding(at.store, at.workflows, at.clock),
        CheckUpload(at.store, at.files, at.queue, at.clock), at.clock, at.causes.append, lambda: None,
        lambda error, identifier: failures.update({identifier: error}),
        ReconcileGenerations(studio.generations, due, workflows, at.clock),
    )  # fmt: skip
    counts = step(at.clock.now() + 60)
    assert counts["generations"] >= 2
    assert waiting.id in workflows.started
    assert damaged.id not in workflows.started
    assert isinstance(failures[damaged.id], ValueError)
    assert damaged.id not in {each.generation_id for each in due.oldest(at.clock.now(), 1000)}


def test_a_person_without_generations_costs_one_read(studio: Studio) -> None:
    session, _ = studio.person()
    EraseGenerations(studio.generations, studio.at.files, FakeClock(), 15)(session.id)
    assert studio.generations.load([]) == []
