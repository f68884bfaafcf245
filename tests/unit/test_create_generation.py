"""POST /generations and …/estimate: the order of effects, idempotency, and the client's budget."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.contracts.body import parse_body
from likeness.contracts.generation import NewGeneration
from likeness.domain.asset import AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.generation import GENERATION_ID, Generation, GenerationStatus, Spending, generation_id
from likeness.domain.terms import Withdrawal
from likeness.errors import (
    AssetNotFound,
    BudgetExhausted,
    ConditionFailed,
    Conflict,
    Forbidden,
    GenerationDisabled,
    InputRejected,
    InvalidRequest,
    RateLimited,
    UpstreamAmbiguous,
    UpstreamRefused,
)
from likeness.runtime.problems import problem
from likeness.steps.generations.store_generation import body_digest
from tests.unit.request_harness import (
    ACME,
    GIVEN_AT,
    ORIGIN,
    R2V,
    Overtaken,
    RequestHarness,
    UnavailableWorkflows,
    images,
    uri,
)

PROMPT = "a secret walk"


@pytest.fixture
def harness(store: DynamoStore, dynamodb: Any) -> RequestHarness:
    return RequestHarness(store, dynamodb)


def client(name: str, **more: Any) -> Caller:
    """Returns a client of one test: a client's day is shared by all tests of the module."""
    return Caller(name, **more)


def owned(harness: RequestHarness, caller: Caller) -> Any:
    """Returns the active picture of one of the client's people."""
    return harness.person(client_id=caller.client_id)[1][0]


# What is stored and started


def test_a_generation_is_stored_with_its_uses_and_then_started(harness: RequestHarness) -> None:
    session, (face,) = harness.person(purposes=("advertising",))
    view = harness.make(images(face.id, prompt=PROMPT), "order-1", purpose="advertising", reference="campaign-1")
    assert view["id"] == generation_id("acme", "order-1")
    assert GENERATION_ID.fullmatch(view["id"])
    assert (view["status"], view["session_ids"], view["asset_ids"]) == ("queued", [session.id], [face.id])
    assert (view["purpose"], view["reference"], view["result"], view["credits"]) == (
        "advertising", "campaign-1", None, None,
    )  # fmt: skip
    stored = harness.stored(view)
    assert json.loads(stored.input) == images(face, prompt=PROMPT)
    assert (stored.base_url, stored.people[0].consent_given_at) == (ORIGIN.base_url, GIVEN_AT)
    (use,) = harness.generations.list_uses(session.id, limit=10).uses
    assert (use.generation_id, use.asset_ids, use.outcome) == (view["id"], (face.id,), None)
    ((name, document),) = harness.workflows.started.items()
    assert name == view["id"]
    assert json.loads(document) == {"generation_id": view["id"], "correlation_id": stored.correlation_id}
    assert harness.crun.estimated == [], "without a budget, crun is not asked"


def test_neither_the_response_nor_the_execution_contains_the_input(harness: RequestHarness) -> None:
    _, (face,) = harness.person()
    view = harness.make(images(face, prompt=PROMPT), reference="campaign-of-alice")
    assert PROMPT not in json.dumps(view)
    assert "campaign-of-alice" not in json.dumps(harness.workflows.started)
    assert PROMPT not in json.dumps(harness.workflows.started)


def test_an_execution_that_cannot_be_started_is_reported_and_left_to_the_reconciler(
    harness: RequestHarness,
) -> None:
    _, (face,) = harness.person()
    harness.workflows = UnavailableWorkflows()
    view = harness.make(images(face), "retried")
    assert harness.stored(view).status is GenerationStatus.QUEUED
    assert len(harness.unstarted) == 1


def test_a_repetition_starts_what_the_first_request_could_not_start(harness: RequestHarness) -> None:
    _, (face,) = harness.person()
    working, harness.workflows = harness.workflows, UnavailableWorkflows()
    harness.make(images(face), "interrupted")
    harness.workflows = working
    view = harness.make(images(face), "interrupted")
    assert list(working.started) == [view["id"]]


def test_a_generation_without_people_is_made_too(harness: RequestHarness) -> None:
    view = harness.make({"prompt": "a walk"}, model="kling/v3")
    assert (view["session_ids"], view["asset_ids"], view["status"]) == ([], [], "queued")
    assert harness.stored(view).people == ()


# The Idempotency-Key


def test_the_same_request_returns_the_generation_as_it_is_now(harness: RequestHarness) -> None:
    session, (face,) = harness.person()
    first = harness.make(images(face), "again")
    harness.clock.at += 90
    before = harness.stored(first)
    harness.generations.end(before.ended(GenerationStatus.CANCELED, harness.clock.now()), before)
    harness.changed(session, withdrawal=Withdrawal(harness.clock.now(), "person"))
    again = harness.make(images(face), "again")
    assert (again["id"], again["status"]) == (first["id"], "canceled")
    assert len(harness.workflows.started) == 1


def test_the_order_of_fields_makes_no_difference(harness: RequestHarness) -> None:
    content = {"prompt": "a walk", "duration": 5}
    first = harness.make(content, "ordered")
    assert harness.make(dict(reversed(content.items())), "ordered") == first


@pytest.mark.parametrize(
    "change",
    [{"model": "kling/v2"}, {"input": {"prompt": "a run"}}, {"purpose": "advertising"}, {"reference": "other"}],
)
def test_another_body_under_the_same_key_is_refused(harness: RequestHarness, change: dict[str, Any]) -> None:
    key = f"reused-{'-'.join(change)}"
    body: dict[str, Any] = {"model": "kling/v3", "input": {"prompt": "a walk"}}
    first = harness.create(ACME, key, NewGeneration(**body), ORIGIN)
    with pytest.raises(Conflict) as caught:
        harness.create(ACME, key, NewGeneration(**(body | change)), ORIGIN)
    assert caught.value.code == "idempotency_key_reused"
    assert harness.stored(first).body_sha256 == body_digest(NewGeneration(**body))


@pytest.mark.parametrize("key", [None, "", "x" * 256, "line\nbreak", "schlüssel"])
def test_a_key_is_required(harness: RequestHarness, key: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        harness.create(ACME, key, NewGeneration(model=R2V, input={}), ORIGIN)
    assert caught.value.field == "Idempotency-Key"


def test_two_clients_can_use_the_same_key(harness: RequestHarness) -> None:
    ids = {harness.make({"prompt": "a walk"}, "same", client(each))["id"] for each in ("one", "two")}
    assert len(ids) == 2


class Simultaneous:
    """The rows, for requests that have all passed the check before the first of them writes."""

    def __init__(self, rows: DynamoGenerations, requests: int) -> None:
        self._rows, self._all_checked = rows, threading.Barrier(requests)

    def create(self, generation: Generation, budget: float | None) -> None:
        self._all_checked.wait(30)
        self._rows.create(generation, budget)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


def test_twenty_parallel_requests_make_one_generation_and_one_execution(harness: RequestHarness) -> None:
    caller = client("parallel", daily_credits=1000.0)
    face = owned(harness, caller)
    body = NewGeneration(model=R2V, input=images(face))
    rows = Simultaneous(harness.generations, 20)
    step = replace(harness.create, store=replace(harness.storing, generations=rows))
    with ThreadPoolExecutor(20) as pool:
        views = [each.result(60) for each in [pool.submit(step, caller, "once", body, ORIGIN) for _ in range(20)]]
    assert len({each["id"] for each in views}) == 1
    assert list(harness.workflows.started) == [views[0]["id"]]
    assert harness.generations.spending("parallel", harness.clock.now()) == Spending(0.0, 10.0)
    assert len(harness.generations.list_uses(face.session_id, limit=10).uses) == 1


# Refusals


def test_a_refused_request_leaves_nothing_behind(harness: RequestHarness) -> None:
    caller = client("refused", daily_credits=100.0)
    face = owned(harness, caller)
    session, (withdrawn,) = harness.person(client_id="refused", withdrawal=Withdrawal(harness.clock.now(), "person"))
    for content, error in (
        (images(face, withdrawn), Conflict),
        (images(face, "asset://asset-of-nobody"), AssetNotFound),
        (images(face, duration=99), InvalidRequest),
    ):
        with pytest.raises(error):
            harness.make(content, "refused", caller)
    assert harness.generations.get(generation_id("refused", "refused")) is None
    assert harness.generations.spending("refused", harness.clock.now()) == Spending()
    assert harness.generations.list_uses(session.id, limit=1).uses == []
    assert (harness.crun.estimated, harness.workflows.started) == ([], {})
    assert harness.make(images(face), "refused", caller)["status"] == "queued", "the key is still free"


def test_generation_is_off_until_the_operator_switches_it_on(harness: RequestHarness) -> None:
    harness.is_enabled = False
    body = NewGeneration(model=R2V, input={"prompt": "a walk"})
    with pytest.raises(GenerationDisabled) as caught:
        harness.create(ACME, "key", body, ORIGIN)
    assert (caught.value.status, caught.value.code) == (403, "generation_disabled")
    with pytest.raises(GenerationDisabled):
        harness.create.estimate(ACME, body, ORIGIN)


def test_a_person_cannot_make_a_video(harness: RequestHarness) -> None:
    session, (face,) = harness.person()
    for caller in (Caller("acme", session_id=session.id), Caller("acme", session_id=session.id, receipt="d")):
        with pytest.raises(Forbidden):
            harness.make(images(face), caller=caller)
        with pytest.raises(Forbidden):
            harness.create.estimate(caller, NewGeneration(model=R2V, input={}), ORIGIN)


def overtaken(harness: RequestHarness, change: Any, content: dict[str, Any], caller: Caller = ACME) -> Any:
    rows = Overtaken(harness.generations, "create", change)
    step = replace(harness.create, store=replace(harness.storing, generations=rows))
    with pytest.raises((Conflict, BudgetExhausted)) as caught:
        step(caller, f"overtaken-{id(change)}", NewGeneration(model=R2V, input=content), ORIGIN)
    return caught.value


def test_a_withdrawal_between_the_check_and_the_write_is_the_reason(harness: RequestHarness) -> None:
    session, (face,) = harness.person()
    withdrawal = Withdrawal(harness.clock.now(), "person")
    error = overtaken(harness, lambda: harness.changed(session, withdrawal=withdrawal), images(face))
    assert (error.code, error.field, error.asset_id) == (
        "consent_withdrawn", "input.reference_images[0]", face.id,
    )  # fmt: skip
    assert harness.workflows.started == {}


def test_an_asset_that_is_lost_between_the_check_and_the_write_is_the_reason(harness: RequestHarness) -> None:
    _, (face,) = harness.person()
    error = overtaken(harness, lambda: harness.put(replace(face, status=AssetStatus.FAILED)), images(face))
    assert (error.code, error.asset_id) == ("asset_not_active", face.id)


def test_a_change_that_is_no_refusal_is_worth_a_repetition(harness: RequestHarness) -> None:
    session, (face,) = harness.person()
    assert session.consent
    renewed = replace(session.consent, given_at="2027-01-15T08:00:00+00:00")
    error = overtaken(harness, lambda: harness.changed(session, consent=renewed), images(face))
    assert (error.code, error.retry_after) == ("conflict", 1)


# The budget


def test_the_estimate_is_reserved_on_the_clients_day(harness: RequestHarness) -> None:
    caller = client("saver", daily_credits=25.0)
    face = owned(harness, caller)
    view = harness.make(images(face.id), caller=caller)
    assert harness.stored(view).reserved == 10.0
    assert harness.crun.estimated == [images(face)], "crun gets its own ids"
    assert harness.make(images(face), caller=caller)["status"] == "queued"
    with pytest.raises(BudgetExhausted) as caught:
        harness.make(images(face), "third", caller)
    assert (caught.value.status, caught.value.code) == (402, "budget_exhausted")
    assert "The estimate is 10 credits, and 5 are left" in caught.value.message
    assert harness.generations.spending("saver", harness.clock.now()) == Spending(0.0, 20.0)
    assert harness.generations.get(generation_id("saver", "third")) is None
    harness.clock.at += 86_400
    assert harness.make(images(face), "third", caller)["status"] == "queued", "it is another day"


def test_a_single_video_that_costs_more_than_the_budget_is_refused(harness: RequestHarness) -> None:
    caller = client("poor", daily_credits=9.5)
    with pytest.raises(BudgetExhausted):
        harness.make({"prompt": "a walk"}, caller=caller)


@pytest.mark.parametrize(
    ("deployment", "key", "left"), [(0.0, None, None), (30.0, None, 30.0), (30.0, 40.0, 40.0), (0.0, 40.0, 40.0)]
)
def test_a_keys_own_budget_comes_before_the_deployments(
    harness: RequestHarness, deployment: float, key: float | None, left: float | None
) -> None:
    harness.daily_credits = deployment
    caller = client(f"budget-{deployment:g}-{key}", daily_credits=key)
    view = harness.create.estimate(caller, NewGeneration(model=R2V, input={"prompt": "a walk"}), ORIGIN)
    assert view["estimated_credits"] == 10.0
    assert view["budget"] == (None if left is None else {"daily_credits": left, "left": left})


def test_an_estimate_stores_nothing_and_checks_the_same(harness: RequestHarness) -> None:
    caller = client("asker", daily_credits=100.0)
    face = owned(harness, caller)
    harness.make(images(face), caller=caller)
    view = harness.create.estimate(caller, NewGeneration(model=R2V, input=images(face)), ORIGIN)
    assert view["budget"] == {"daily_credits": 100.0, "left": 90.0}
    assert harness.generations.spending("asker", harness.clock.now()) == Spending(0.0, 10.0)
    with pytest.raises(AssetNotFound):
        harness.create.estimate(caller, NewGeneration(model=R2V, input=images("asset://asset-of-nobody")), ORIGIN)


def test_an_input_that_crun_rejects_is_the_callers_to_change(harness: RequestHarness) -> None:
    caller = client("mistaken", daily_credits=100.0)
    for make in (
        lambda: harness.make({"prompt": "a walk"}, "mistaken", caller),
        lambda: harness.create.estimate(caller, NewGeneration(model=R2V, input={"prompt": "a walk"}), ORIGIN),
    ):
        harness.crun.errors.append(UpstreamRefused(422, errors=["duration: at most 15"]))
        with pytest.raises(InputRejected) as caught:
            make()
        shown = problem(caught.value)
        assert shown["statusCode"] == 400
        body = json.loads(shown["body"])
        assert (body["code"], body["field"]) == ("upstream_rejected", "input")
        assert body["upstream_errors"] == ["duration: at most 15"]


@pytest.mark.parametrize("error", [RateLimited(), UpstreamAmbiguous(), UpstreamRefused(404)])
def test_without_an_estimate_nothing_is_stored(harness: RequestHarness, error: Any) -> None:
    caller = client("unlucky", daily_credits=100.0)
    harness.crun.errors.append(error)
    with pytest.raises(type(error)):
        harness.make({"prompt": "a walk"}, "unlucky", caller)
    assert harness.generations.get(generation_id("unlucky", "unlucky")) is None


def test_a_budget_that_another_request_has_used_up_is_the_reason(harness: RequestHarness) -> None:
    caller = client("racing", daily_credits=15.0)
    face = owned(harness, caller)
    error = overtaken(harness, lambda: harness.make(images(face), "first", caller), images(face), caller)
    assert error.code == "budget_exhausted"


# The body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model"),
        ({"model": R2V}, "input"),
        ({"model": R2V, "input": []}, "input"),
        ({"model": R2V, "input": "x"}, "input"),
        ({"model": "", "input": {}}, "model"),
        ({"model": "x" * 201, "input": {}}, "model"),
        ({"model": "a\nb", "input": {}}, "model"),
        ({"model": R2V, "input": {}, "purpose": ""}, "purpose"),
        ({"model": R2V, "input": {}, "reference": "x" * 257}, "reference"),
        ({"model": R2V, "input": {}, "callback_url": "https://example.com/"}, "callback_url"),
    ],
)
def test_a_body_that_is_not_valid_names_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_body(NewGeneration, json.dumps(body))
    assert caught.value.field == field


@pytest.mark.parametrize("text", ['{"model": "m", "input": {"a": NaN}}', '{"model": "m", "input": {"a": -Infinity}}'])
def test_numbers_that_are_not_json_are_refused(harness: RequestHarness, text: str) -> None:
    with pytest.raises(InvalidRequest):
        harness.create(ACME, "numbers", parse_body(NewGeneration, text), ORIGIN)


@settings(max_examples=60, deadline=None, database=None)
@given(st.text(max_size=60))
def test_no_body_is_an_internal_error(text: str) -> None:
    try:
        parse_body(NewGeneration, f'{{"model": "m", "input": {{"a": {text}}}}}')
    except InvalidRequest as error:
        assert "internal" not in error.message  # noqa: PT017


def test_a_condition_that_failed_for_no_known_reason_is_a_conflict(harness: RequestHarness) -> None:
    _, (face,) = harness.person()

    def fail() -> None:
        raise ConditionFailed

    assert overtaken(harness, fail, images(uri(face))).code == "conflict"
