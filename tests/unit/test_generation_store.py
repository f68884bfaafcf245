"""The rows of generations: the ledger of uses, the clients' days, and the conditions of every write."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from likeness.adapters.table.due_items import DynamoDueItems
from likeness.adapters.table.generation_items import generation_item, generation_key, list_item, spending_key, use_item
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import asset_item, decode_item, session_key
from likeness.adapters.table.poll_history import DynamoPollHistory
from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.due import PROGRESS_SECONDS
from likeness.domain.generation import (
    ASK_SECONDS,
    MAX_PEOPLE,
    Generation,
    GenerationFilter,
    GenerationStatus,
    Media,
    PersonUse,
    Spending,
    TaskReport,
    UseEntry,
    generation_id,
)
from likeness.domain.polling import NOTHING_SEEN, observed
from likeness.domain.session import Consent, Problem, Session, SessionFilter
from likeness.domain.terms import Withdrawal
from likeness.errors import ConditionFailed, InvalidRequest, StorageUnavailable
from tests.unit.step_harness import TABLE, StepHarness

MODEL = "bytedance/seedance2-0-r2v"
GIVEN_AT = "2027-01-15T08:00:00+00:00"
DAY = 86_400.0
_COUNTER = itertools.count(1)
EVERYTHING = GenerationFilter()


@pytest.fixture
def generations(dynamodb: Any) -> DynamoGenerations:
    return DynamoGenerations(dynamodb, TABLE)


def person(harness: StepHarness, assets: int = 1, **changes: Any) -> tuple[Session, PersonUse]:
    """Stores a verified person with active assets."""
    session, files = harness.verified(*[AssetStatus.ACTIVE] * assets)
    if changes:
        session = replace(session, **changes)
        harness.store.create_session(session, [])
    given = session.consent.given_at if session.consent else None
    return session, PersonUse(
        session.id, tuple(each.id for each in files), tuple(str(each.crun_asset_id) for each in files), given
    )


def made(harness: StepHarness, *people: PersonUse, client_id: str = "acme", **changes: Any) -> Generation:
    now = harness.clock.now()
    generation = Generation(
        id=generation_id(client_id, f"key-{next(_COUNTER)}"), client_id=client_id, status=GenerationStatus.QUEUED,
        model=MODEL, created_at=now, updated_at=now, body_sha256="digest", input='{"prompt": "a walk"}',
        people=people, purpose="ads", reference="campaign-1", base_url="https://api.test",
    )  # fmt: skip
    return replace(generation, **changes)


def row(dynamodb: Any, generation: Generation) -> dict[str, Any]:
    found: dict[str, Any] = decode_item(dynamodb.get_item(TableName=TABLE, Key=generation_key(generation.id))["Item"])
    return found


def running(generations: DynamoGenerations, generation: Generation, budget: float | None = None) -> Generation:
    generations.create(generation, budget)
    intended = generations.intend(generation, "create_task/1", generation.created_at + 1)
    return generations.record_task(intended, f"task-{generation.id}", generation.created_at + 2)


def uses(generations: DynamoGenerations, person: PersonUse) -> list[UseEntry]:
    return generations.list_uses(person.session_id, limit=100).uses


def current(generations: DynamoGenerations, generation: Generation) -> Generation:
    found = generations.get(generation.id)
    assert found
    return found


# -- create -------------------------------------------------------------------------------------------------------


def test_a_generation_is_stored_with_its_place_in_the_list_and_a_use_for_each_person(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    (_, first), (_, second) = person(harness, 2), person(harness)
    generation = made(harness, first, second, client_id="create")
    generations.create(generation, None)
    assert generations.get(generation.id) == generation
    assert generations.list_generations("create", limit=10, cursor=None, wanted=EVERYTHING).generations == [generation]
    for each in (first, second):
        (use,) = uses(generations, each)
        assert use == UseEntry(
            each.session_id, generation.id, "create", generation.created_at, MODEL, each.asset_ids, "ads"
        )
    assert row(dynamodb, generation)["due_at"] == generation.created_at + PROGRESS_SECONDS
    assert generations.spending("create", generation.created_at) == Spending()


def test_no_item_is_in_the_index_of_the_clients_sessions(harness: StepHarness) -> None:
    _, shown = person(harness)
    generation = made(harness, shown)
    for item in (generation_item(generation), list_item(generation), use_item(generation, shown)):
        assert not {"client_id", "id"} <= item.keys()
        assert not {"asset_client_id", "id"} <= item.keys()
    page = harness.store.list_sessions("acme", limit=100, cursor=None, wanted=SessionFilter())
    assert generation.id not in {each.id for each in page.sessions}


def test_the_same_write_again_succeeds_and_another_request_under_the_id_is_refused(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    _, shown = person(harness)
    generation = made(harness, shown, client_id="twice", reserved=4.0)
    generations.create(generation, 10.0)
    generations.create(generation, 10.0)
    with pytest.raises(ConditionFailed):
        generations.create(replace(generation, body_sha256="other"), 10.0)
    assert len(uses(generations, shown)) == 1
    assert generations.spending("twice", generation.created_at) == Spending(0.0, 4.0)


def consent(**changes: Any) -> Consent:
    return replace(Consent("1", GIVEN_AT, "a" * 64, "en", "person"), **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"withdrawal": Withdrawal(1.0, "person")},
        {"consent": consent(valid_until=1_800_000_000.0)},
        {"consent": consent(given_at="2027-01-16T08:00:00+00:00")},
        {"consent": None},
        {"declined_at": 1.0, "consent": None},
        {"status": "redacted"},
        {"status": "requires_input"},
    ],
    ids=["withdrawn", "expired", "another consent", "no consent", "declined", "erased", "not verified"],
)
@pytest.mark.parametrize("when", ["create", "intend"])
def test_nothing_is_stored_when_a_person_is_not_as_checked(
    harness: StepHarness, generations: DynamoGenerations, change: dict[str, Any], when: str
) -> None:
    (_, other), (session, shown) = person(harness), person(harness, consent=consent())
    generation = made(harness, other, shown, client_id=f"refused-{when}")
    if when == "intend":
        generations.create(generation, None)
    harness.store.create_session(replace(session, **change), [])
    now = harness.clock.now()
    with pytest.raises(ConditionFailed):
        generations.intend(generation, "one", now) if when == "intend" else generations.create(generation, None)
    stored = generations.get(generation.id)
    assert stored == (generation if when == "intend" else None)
    assert len(uses(generations, other)) == (when == "intend")


def test_a_client_that_answers_for_the_consent_is_checked_again_too(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    session, shown = person(harness)
    generations.create(made(harness, shown), None)
    harness.store.create_session(replace(session, declined_at=1.0), [])
    with pytest.raises(ConditionFailed):
        generations.create(made(harness, shown), None)
    harness.store.create_session(replace(session, consent=consent()), [])
    with pytest.raises(ConditionFailed):
        generations.create(made(harness, shown), None)


@pytest.mark.parametrize(
    "change",
    [{"status": AssetStatus.FAILED}, {"status": AssetStatus.REDACTED}, {"crun_asset_id": "asset-of-a-later-try"}],
    ids=["failed", "erased", "another id at crun"],
)
def test_nothing_is_stored_when_an_asset_is_not_as_checked(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any, change: dict[str, Any]
) -> None:
    session, (asset, other) = harness.verified(AssetStatus.ACTIVE, AssetStatus.ACTIVE)
    shown = PersonUse(session.id, (asset.id, other.id), (str(asset.crun_asset_id), str(other.crun_asset_id)))
    generation = made(harness, shown)
    generations.create(generation, None)
    changed: Asset = replace(other, **change)
    dynamodb.put_item(TableName=TABLE, Item=asset_item(changed))
    with pytest.raises(ConditionFailed):
        generations.intend(generation, "create_task/1", harness.clock.now())
    with pytest.raises(ConditionFailed):
        generations.create(made(harness, shown), None)
    gone = replace(shown, session_id="ses_00000000000000000000000000")
    with pytest.raises(ConditionFailed):
        generations.create(made(harness, gone), None)


def test_twenty_people_with_fifty_assets_fit_into_one_transaction(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    people = [person(harness, 3 if number < 10 else 2)[1] for number in range(MAX_PEOPLE)]
    assert sum(len(each.asset_ids) for each in people) == 50
    generation = made(harness, *people, client_id="crowd", reserved=1.0)
    started = running(generations, generation, 10.0)
    ended = replace(started.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), credits=2.0)
    generations.end(ended, started)
    assert all(uses(generations, each)[0].outcome == "succeeded" for each in people)


def test_an_asset_that_is_named_twice_is_checked_once(harness: StepHarness, generations: DynamoGenerations) -> None:
    _, shown = person(harness)
    double = replace(shown, asset_ids=shown.asset_ids * 2, crun_asset_ids=shown.crun_asset_ids * 2)
    generations.create(made(harness, double), None)
    assert uses(generations, shown)[0].asset_ids == double.asset_ids


# -- the budget ---------------------------------------------------------------------------------------------------


def test_a_budget_is_used_to_its_last_credit_and_not_beyond(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    for reserved in (4.5, 5.5):
        generations.create(made(harness, client_id="thrifty", reserved=reserved), 10.0)
    refused = made(harness, client_id="thrifty", reserved=0.1)
    with pytest.raises(ConditionFailed):
        generations.create(refused, 10.0)
    assert generations.get(refused.id) is None
    assert generations.spending("thrifty", refused.created_at) == Spending(0.0, 10.0)
    generations.create(refused, 10.1)  # the operator has raised it
    generations.create(made(harness, client_id="thrifty", reserved=0.0), 10.1)


def test_an_estimate_above_the_whole_budget_is_refused(harness: StepHarness, generations: DynamoGenerations) -> None:
    with pytest.raises(ConditionFailed):
        generations.create(made(harness, client_id="small", reserved=10.5), 10.0)
    assert generations.spending("small", harness.clock.now()) == Spending()


def test_twenty_requests_at_the_same_time_never_exceed_the_budget(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    outcomes: list[str] = []

    def create(generation: Generation) -> None:
        try:
            generations.create(generation, 10.0)
            outcomes.append("stored")
        except ConditionFailed:
            outcomes.append("refused")

    threads = [threading.Thread(target=create, args=[made(harness, client_id="race", reserved=1.5)]) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert outcomes.count("stored") == 6
    assert outcomes.count("refused") == 14
    assert generations.spending("race", harness.clock.now()) == Spending(0.0, 9.0)


def test_the_reservation_leaves_the_day_on_which_it_was_made(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    harness.clock.at -= harness.clock.at % DAY + 1  # a second before midnight
    started = running(generations, made(harness, shown, client_id="midnight", reserved=4.0), 10.0)
    tomorrow = harness.clock.now() + 60
    generations.end(replace(started.ended(GenerationStatus.SUCCEEDED, tomorrow), credits=3.25), started)
    assert generations.spending("midnight", started.created_at) == Spending(3.25, 0.0)
    assert generations.spending("midnight", tomorrow) == Spending()
    day = decode_item(dynamodb.get_item(TableName=TABLE, Key=spending_key("midnight", started.created_at))["Item"])
    assert day["ttl"] == int(started.created_at) + 400 * DAY
    assert day["committed"] == 3.25


@pytest.mark.parametrize(
    ("status", "cost", "spent"),
    [
        (GenerationStatus.SUCCEEDED, 3.0, 3.0),
        (GenerationStatus.SUCCEEDED, None, 4.0),
        (GenerationStatus.FAILED, 0.5, 0.5),
        (GenerationStatus.FAILED, 0.0, 0.0),
        (GenerationStatus.UNCERTAIN, None, 4.0),
        (GenerationStatus.REFUSED, None, 0.0),
        (GenerationStatus.CANCELED, None, 0.0),
    ],
)
def test_what_counts_as_spent(
    harness: StepHarness,
    generations: DynamoGenerations,
    status: GenerationStatus,
    cost: float | None,
    spent: float,
) -> None:
    client_id = f"spends-{status.value}-{cost}"
    queued = made(harness, client_id=client_id, reserved=4.0)
    generations.create(queued, 10.0)
    generations.end(replace(queued.ended(status, harness.clock.now()), credits=cost), queued)
    assert generations.spending(client_id, queued.created_at) == Spending(spent, 0.0)


# -- intent and task ----------------------------------------------------------------------------------------------


def test_one_invocation_has_the_intent_until_it_is_released(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    generation = made(harness, shown)
    generations.create(generation, None)
    now = harness.clock.now() + 5
    intended = generations.intend(generation, "one", now)
    assert intended == generations.get(generation.id)
    assert intended.was_intended
    assert generations.intend(generation, "one", now) == intended  # its own write, after a lost response
    for by, at in (("two", now), ("one", now + 1)):
        with pytest.raises(ConditionFailed):
            generations.intend(generation, by, at)
    generations.release_intent(replace(intended, intended_by="two"), now + 1)
    assert generations.get(generation.id) == intended
    generations.release_intent(intended, now + 1)
    generations.release_intent(intended, now + 1)
    assert not current(generations, generation).was_intended
    assert row(dynamodb, generation)["due_at"] == now + 1 + PROGRESS_SECONDS
    again = generations.intend(generation, "two", now + 2)
    generations.release_intent(intended, now + 3)  # arrives late
    assert generations.get(generation.id) == again


def test_a_task_is_recorded_once(harness: StepHarness, generations: DynamoGenerations, dynamodb: Any) -> None:
    _, shown = person(harness)
    started = running(generations, made(harness, shown))
    assert started.status is GenerationStatus.RUNNING
    assert started.submitted_at == started.created_at + 2
    assert generations.record_task(started, str(started.task_id), started.created_at + 9).submitted_at == (
        started.created_at + 2
    )
    with pytest.raises(ConditionFailed):
        generations.record_task(started, "task-other", started.created_at + 9)
    with pytest.raises(ConditionFailed):
        generations.intend(started, "two", started.created_at + 9)
    assert generations.of_task(str(started.task_id)) == started.id
    assert generations.of_task("task-other") is None
    assert generations.of_task("") is None
    assert generations.of_task("é" * 600) is None
    assert row(dynamodb, started)["due_at"] == started.created_at + 9 + PROGRESS_SECONDS


def test_the_id_of_a_task_is_no_id_of_an_asset_or_a_group(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    started = running(generations, made(harness, shown))
    task_id = str(started.task_id)
    ids = DynamoUpstreamIds(dynamodb, TABLE)
    assert ids.asset_of("acme", task_id) is None
    assert ids.session_of(task_id) is None
    for wanted in (SessionFilter(asset_id=task_id), SessionFilter(group_id=task_id)):
        assert harness.store.list_sessions("acme", limit=5, cursor=None, wanted=wanted).sessions == []
    with_the_same_id = str(shown.crun_asset_ids[0])
    generations.record_task(_queued(harness, generations), with_the_same_id, harness.clock.now())
    assert ids.asset_of("acme", with_the_same_id) == (shown.session_id, shown.asset_ids[0])


def _queued(harness: StepHarness, generations: DynamoGenerations, **changes: Any) -> Generation:
    generation = made(harness, **changes)
    generations.create(generation, None)
    return generation


# -- reports and outcomes -----------------------------------------------------------------------------------------

REPORT = TaskReport(
    "task-1", "success", ("https://media.test/1?secret",), 3.5, "200", "done", {"tokens": [1, None], "fps": 24},
    "2.0", "byteplus", 1_800_000_000.0, 41.5, "https://api.test/task/x/y",
)  # fmt: skip


def test_the_first_report_is_kept(harness: StepHarness, generations: DynamoGenerations) -> None:
    started = running(generations, made(harness))
    generations.record_report(started, REPORT, harness.clock.now())
    generations.record_report(started, replace(REPORT, status="failed"), harness.clock.now())
    report = current(generations, started).report
    assert report == replace(REPORT, callback_url=None, usage={"tokens": [1], "fps": 24})


def test_a_report_counts_once_in_the_history_of_its_model(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    model = "bytedance/seedance2-5-r2v"
    started = running(generations, made(harness, model=model))
    seen = observed(30, 40, NOTHING_SEEN)
    for _ in range(2):
        generations.record_report(started, REPORT, harness.clock.now(), seen)
    history = DynamoPollHistory(dynamodb, TABLE, lambda: None)
    assert history.of(model, harness.clock.now()).total == pytest.approx(1, abs=0.01)
    assert history.of("Image", harness.clock.now()) == NOTHING_SEEN
    assert current(generations, started).report


MEDIA = (
    Media("generations/x/1.mp4", "video/mp4", 12, "e" * 64),
    Media("generations/x/2.png", "image/png", 7, "f" * 64),
)


def test_the_outcome_is_one_write_of_the_row_the_ledger_and_the_day(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    (_, first), (_, second) = person(harness), person(harness)
    started = running(generations, made(harness, first, second, client_id="ends"))
    generations.record_report(started, REPORT, harness.clock.now())
    now = harness.clock.now() + 90
    ended = replace(started.ended(GenerationStatus.SUCCEEDED, now), media=MEDIA, credits=3.5)
    generations.end(ended, started)
    generations.end(ended, started)  # its own write, after a lost response
    stored = current(generations, started)
    assert (stored.status, stored.media, stored.credits, stored.ended_at) == ("succeeded", MEDIA, 3.5, now)
    assert stored.report
    for each in (first, second):
        (use,) = uses(generations, each)
        assert (use.outcome, use.reason, use.ended_at) == ("succeeded", None, now)
        assert use.media_sha256 == ("e" * 64, "f" * 64)
    assert generations.spending("ends", now) == Spending(3.5, 0.0)
    assert "due_at" not in row(dynamodb, started)
    with pytest.raises(ConditionFailed):
        generations.end(replace(started.ended(GenerationStatus.FAILED, now + 1)), started)
    generations.record_report(started, replace(REPORT, message="late"), now)
    assert current(generations, started).report == stored.report
    with pytest.raises(ConditionFailed):
        generations.record_task(started, str(started.task_id), now)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("media_unavailable", "succeeded"),
        ("consent_withdrawn", "withheld"),
        ("consent_expired", "withheld"),
        ("erased", "withheld"),
    ],
)
def test_the_ledger_says_why_there_are_no_media(
    harness: StepHarness, generations: DynamoGenerations, code: str, outcome: str
) -> None:
    _, shown = person(harness)
    started = running(generations, made(harness, shown))
    ended = replace(started.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), media_problem=Problem(code, "no"))
    generations.end(ended, started)
    (use,) = uses(generations, shown)
    assert (use.outcome, use.reason, use.media_sha256) == (outcome, code, ())
    assert current(generations, started).media_problem == Problem(code, "no")


def test_an_outcome_needs_the_state_that_was_read(harness: StepHarness, generations: DynamoGenerations) -> None:
    _, shown = person(harness)
    queued = made(harness, shown, reserved=2.0, client_id="stale")
    generations.create(queued, 10.0)
    generations.intend(queued, "one", harness.clock.now())
    with pytest.raises(ConditionFailed):  # a call may have happened since
        generations.end(queued.ended(GenerationStatus.CANCELED, harness.clock.now()), queued)
    assert generations.spending("stale", queued.created_at) == Spending(0.0, 2.0)
    assert uses(generations, shown)[0].outcome is None


def test_an_uncertain_generation_is_adopted_and_its_credits_are_corrected(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    queued = made(harness, shown, client_id="adopts", reserved=4.0)
    generations.create(queued, 10.0)
    intended = generations.intend(queued, "one", harness.clock.now())
    why = Problem("task_unknown", "crun may have a task")
    generations.end(intended.ended(GenerationStatus.UNCERTAIN, harness.clock.now(), why), intended)
    assert uses(generations, shown)[0].outcome == "uncertain"
    assert generations.spending("adopts", queued.created_at) == Spending(4.0, 0.0)

    adopted = generations.record_task(intended, "task-adopted", harness.clock.now() + 60)
    assert adopted.status is GenerationStatus.RUNNING
    assert (adopted.error, adopted.ended_at) == (None, None)
    assert row(dynamodb, adopted)["due_at"] == harness.clock.now() + 60 + PROGRESS_SECONDS
    stale = replace(adopted, settled=None)
    with pytest.raises(ConditionFailed):  # it would count the reservation twice
        generations.end(replace(stale.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), credits=2.5), stale)
    generations.end(replace(adopted.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), credits=2.5), adopted)
    assert generations.spending("adopts", queued.created_at) == Spending(2.5, 0.0)
    assert uses(generations, shown)[0].outcome == "succeeded"


# -- callbacks, executions, erasure -------------------------------------------------------------------------------


def test_one_callback_in_five_seconds_asks_crun(harness: StepHarness, generations: DynamoGenerations) -> None:
    generation = _queued(harness, generations)
    now = harness.clock.now()
    assert [generations.may_ask(generation.id, now + after) for after in (0, 0, 4.9, ASK_SECONDS, 9)] == (
        [True, False, False, True, False]
    )
    assert not generations.may_ask("gen_00000000000000000000000000", now)


def test_executions_are_counted_once(harness: StepHarness, generations: DynamoGenerations) -> None:
    generation = _queued(harness, generations)
    second = generations.next_execution(generation)
    assert second.execution == f"{generation.id}-r1"
    assert generations.next_execution(generation).execution == second.execution
    assert generations.next_execution(second).execution == f"{generation.id}-r2"


def test_an_erasure_keeps_ids_and_times(harness: StepHarness, generations: DynamoGenerations, dynamodb: Any) -> None:
    _, shown = person(harness)
    started = running(generations, made(harness, shown, callback_url="https://client.test"))
    generations.record_report(started, REPORT, harness.clock.now())
    ended = replace(started.ended(GenerationStatus.SUCCEEDED, harness.clock.now()), media=MEDIA)
    generations.end(ended, started)
    now = harness.clock.now() + 5
    generations.erase(ended, now)
    generations.erase(ended, now + 5)
    stored = row(dynamodb, started)
    assert not stored.keys() & {"input", "reference", "callback_url", "media", "report"}
    assert stored["erased_at"] == now
    found = current(generations, started)
    assert (found.status, found.input, found.media, found.task_id) == ("succeeded", "", (), started.task_id)
    assert uses(generations, shown)[0].media_sha256 == ("e" * 64, "f" * 64)
    generations.erase(made(harness), now)  # nothing to erase


def test_an_erased_generation_that_runs_ends_without_media(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    started = running(generations, made(harness, shown))
    generations.erase(started, harness.clock.now())
    erased = current(generations, started)
    assert erased.status is GenerationStatus.RUNNING
    assert "due_at" in row(dynamodb, started)
    generations.record_report(started, REPORT, harness.clock.now())
    report = current(generations, started).report
    assert report == TaskReport(REPORT.task_id, "success", credits=3.5, code="200")
    now = harness.clock.now()
    with pytest.raises(ConditionFailed):
        generations.end(replace(started.ended(GenerationStatus.SUCCEEDED, now), media=MEDIA), started)
    problem = Problem("erased", "A person was erased")
    generations.end(replace(erased.ended(GenerationStatus.SUCCEEDED, now), media_problem=problem), erased)
    assert uses(generations, shown)[0].outcome == "withheld"


def test_no_media_are_stored_of_a_person_who_does_not_permit_it_anymore(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    now = harness.clock.now()
    (_, there), (second, leaving), (third, gone) = person(harness), person(harness), person(harness)
    started = {each.session_id: running(generations, made(harness, there, each)) for each in (leaving, gone)}
    harness.store.withdraw_consent(second, Withdrawal(now, "person"))
    assert harness.store.redact_session(third, now)
    for each in (leaving, gone):
        before = current(generations, started[each.session_id])
        ended = replace(before.ended(GenerationStatus.SUCCEEDED, now), media=MEDIA)
        with pytest.raises(ConditionFailed):
            generations.end(ended, before)
        assert current(generations, before) == before
        problem = Problem("consent_withdrawn", "A consent was withdrawn")
        generations.end(replace(ended, media=(), media_problem=problem), before)


def test_an_erased_generation_gets_the_id_of_its_task_but_no_intent(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    _, shown = person(harness)
    for intended in (False, True):
        generation = made(harness, shown)
        generations.create(generation, None)
        if intended:
            generation = generations.intend(generation, "one", harness.clock.now())
        generations.erase(generation, harness.clock.now())
        if intended:
            task_id = f"task-{generation.id}"
            assert generations.record_task(generation, task_id, harness.clock.now()).task_id == task_id
        else:
            with pytest.raises(ConditionFailed):
                generations.intend(generation, "one", harness.clock.now())


# -- lists --------------------------------------------------------------------------------------------------------


def test_a_list_shows_the_newest_first_page_by_page(harness: StepHarness, generations: DynamoGenerations) -> None:
    stored = []
    for _ in range(5):
        harness.clock.at += 1
        stored.append(_queued(harness, generations, client_id="pages"))
    found, cursor, sizes = [], None, []
    while True:
        page = generations.list_generations("pages", limit=2, cursor=cursor, wanted=EVERYTHING)
        found += page.generations
        sizes.append(len(page.generations))
        cursor = page.cursor
        if cursor is None:
            break
    assert [each.id for each in found] == [each.id for each in reversed(stored)]
    assert sizes == [2, 2, 1]
    assert generations.list_generations("nobody", limit=2, cursor=None, wanted=EVERYTHING).generations == []


def test_a_list_is_filtered_by_status_and_person(harness: StepHarness, generations: DynamoGenerations) -> None:
    _, shown = person(harness)
    stored = []
    for number in range(6):
        harness.clock.at += 1
        people = [shown] if number % 2 else []
        generation = made(harness, *people, client_id="filters")
        generations.create(generation, None)
        stored.append(generation)
    ended = stored[1].ended(GenerationStatus.CANCELED, harness.clock.now())
    generations.end(ended, stored[1])

    def ids(wanted: GenerationFilter, limit: int) -> list[str]:
        found, cursor = [], None
        while True:
            page = generations.list_generations("filters", limit=limit, cursor=cursor, wanted=wanted)
            assert len(page.generations) <= limit
            found += [each.id for each in page.generations]
            cursor = page.cursor
            if cursor is None:
                return found

    for limit in (1, 2, 50):
        assert ids(GenerationFilter(status="canceled"), limit) == [stored[1].id]
        assert ids(GenerationFilter(session_id=shown.session_id), limit) == [stored[n].id for n in (5, 3, 1)]
        assert ids(GenerationFilter(status="queued", session_id=shown.session_id), limit) == [
            stored[n].id for n in (5, 3)
        ]
        assert ids(GenerationFilter(status="failed"), limit) == []


def test_uses_are_listed_newest_first_and_not_older_than_asked(
    harness: StepHarness, generations: DynamoGenerations
) -> None:
    _, shown = person(harness)
    times = []
    for _ in range(3):
        harness.clock.at += 100
        times.append(harness.clock.now())
        generations.create(made(harness, shown), None)
    first = generations.list_uses(shown.session_id, limit=2)
    second = generations.list_uses(shown.session_id, limit=2, cursor=first.cursor)
    assert [each.at for each in (*first.uses, *second.uses)] == times[::-1]
    assert second.cursor is None
    assert [each.at for each in generations.list_uses(shown.session_id, limit=9, since=times[1]).uses] == times[:0:-1]


@pytest.mark.parametrize("cursor", ["x", "W10=", "WyJhIl0=", "bnVsbA==", "W1tbW1tbWw==", "WzFd"])
def test_a_cursor_that_is_not_ours_is_refused(generations: DynamoGenerations, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        generations.list_generations("acme", limit=2, cursor=cursor, wanted=EVERYTHING)
    with pytest.raises(InvalidRequest):
        generations.list_uses("ses_1", limit=2, cursor=cursor)


def test_people_and_assets_are_loaded_in_batches(harness: StepHarness, generations: DynamoGenerations) -> None:
    people = [person(harness, 2)[1] for _ in range(40)]
    places = [(each.session_id, asset_id) for each in people for asset_id in each.asset_ids]
    sessions, assets = generations.load_assets([*places, places[0], ("ses_none", "ast_none")])
    assert sessions.keys() == {each.session_id for each in people}
    assert assets.keys() == {asset_id for _, asset_id in places}
    assert generations.load_assets([]) == ({}, {})


# -- lost responses -----------------------------------------------------------------------------------------------


class LosesResponses:
    """A client of DynamoDB whose next write happens, but does not respond in time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in ("transact_write_items", "update_item", "put_item") or not self.is_lost:
            return call

        def lost(**parameters: Any) -> None:
            self.is_lost = False
            call(**parameters)
            raise ReadTimeoutError(endpoint_url="https://dynamodb.test")

        return lost


@pytest.fixture
def losing(dynamodb: Any) -> tuple[LosesResponses, DynamoGenerations]:
    client: Any = LosesResponses(dynamodb)
    return client, DynamoGenerations(client, TABLE)


def test_every_write_can_be_repeated_after_a_lost_response(
    harness: StepHarness, losing: tuple[LosesResponses, DynamoGenerations]
) -> None:
    client, generations = losing
    _, shown = person(harness)
    now = harness.clock.now()
    queued = made(harness, shown, client_id="lossy", reserved=4.0)
    intended = replace(queued, intended_at=now + 1, intended_by="one", updated_at=now + 1)
    started = replace(
        intended, status=GenerationStatus.RUNNING, task_id="task-lossy", submitted_at=now + 2, updated_at=now + 2
    )
    ended = replace(started.ended(GenerationStatus.SUCCEEDED, now + 9), credits=1.5)
    for write in (
        lambda: generations.create(queued, 5.0),
        lambda: generations.intend(queued, "one", now + 1),
        lambda: generations.release_intent(intended, now + 1),
        lambda: generations.intend(queued, "one", now + 1),
        lambda: generations.record_task(intended, "task-lossy", now + 2),
        lambda: generations.record_report(started, REPORT, now + 3, observed(1, 2, NOTHING_SEEN)),
        lambda: generations.next_execution(started),
        lambda: generations.end(ended, started),
        lambda: generations.erase(ended, now + 10),
    ):
        client.is_lost = True
        with pytest.raises(StorageUnavailable):
            write()
        write()
    assert generations.spending("lossy", now) == Spending(1.5, 0.0)
    found = current(generations, queued)
    assert (found.status, found.executions, found.erased_at) == ("succeeded", 1, now + 10)
    assert [each.outcome for each in uses(generations, shown)] == ["succeeded"]


def test_a_row_of_a_restored_table_without_the_person_is_never_intended(
    harness: StepHarness, generations: DynamoGenerations, dynamodb: Any
) -> None:
    _, shown = person(harness)
    generation = made(harness, shown)
    generations.create(generation, None)
    dynamodb.delete_item(TableName=TABLE, Key=session_key(shown.session_id))
    with pytest.raises(ConditionFailed):
        generations.intend(generation, "one", harness.clock.now())


def test_due_generations_are_found(harness: StepHarness, generations: DynamoGenerations, dynamodb: Any) -> None:
    generation = _queued(harness, generations)
    due = DynamoDueItems(dynamodb, TABLE)
    now = generation.created_at + PROGRESS_SECONDS
    assert generation.id not in {each.generation_id for each in due.oldest(now - 1, 1000)}
    (item,) = [each for each in due.oldest(now, 1000) if each.generation_id == generation.id]
    due.set(item, now + 50)
    assert row(dynamodb, generation)["due_at"] == now + 50
