"""crun's own CreateTask, EstimateTask, TaskInfo and balance: one task for each request, behind the guard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.contracts.drop_in import refusal
from likeness.contracts.drop_in_bodies import read_body
from likeness.contracts.drop_in_task_body import TaskRequest
from likeness.contracts.drop_in_tasks import task_info
from likeness.contracts.generation import NewGeneration
from likeness.domain.caller import Caller
from likeness.domain.generation import (
    INTENT_LEASE_SECONDS,
    Generation,
    GenerationFilter,
    GenerationStatus,
    Media,
    TaskReport,
)
from likeness.domain.session import Problem
from likeness.domain.terms import Withdrawal
from likeness.errors import (
    BudgetExhausted,
    Conflict,
    GenerationDisabled,
    InvalidRequest,
    LikenessError,
    NotFound,
    RateLimited,
    StorageUnavailable,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.steps.crun_routes.get_task import GetTask
from likeness.steps.crun_routes.relay_task import RelayTask
from likeness.steps.crun_routes.retry_policy import RetryPolicy
from likeness.steps.generations.create_task import CreateTask
from likeness.steps.generations.store_generation import StoreGeneration
from likeness.steps.generations.task_action import TaskPolicy
from tests.unit.fakes import FixedKeys
from tests.unit.generation_harness import DEADLINE, FailingStore
from tests.unit.request_harness import ACME, ORIGIN, R2V, RequestHarness, UnavailableWorkflows, images, uri

CALLBACK = "https://app.example.com/tasks?canary=1"
_COUNTER = itertools.count(1)


class Routes:
    """The steps behind crun's own routes. A sleep advances the clock."""

    def __init__(self, harness: RequestHarness) -> None:
        self.harness = harness
        self.slept: list[float] = []
        #: Replaces the rows of the step CreateTask.
        self.broken: Any = None
        self.account: Callable[[], float] = lambda: 250.0
        self.private = False
        self.during: Callable[[], None] | None = None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.harness.clock.at += seconds
        if self.during:
            self.during()

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.harness.clock, self.sleep, lambda: 1.0)

    def step(self, *, for_caller: bool = True) -> CreateTask:
        people = self.harness.people
        policy = TaskPolicy(replace(people.schedule, deadline=DEADLINE), people.history, DEADLINE)
        rows = self.broken or self.harness.generations
        return CreateTask(rows, self.harness.crun, FixedKeys(), self.harness.clock, policy, self.sleep, for_caller)

    @property
    def relay(self) -> RelayTask:
        at = self.harness
        return RelayTask(
            at.storing, self.broken or at.generations, self.step(), lambda: self.account(), at.workflows, self.retry,
            at.clock, at.is_enabled, self.private, at.unstarted.append,
        )  # fmt: skip

    @property
    def read(self) -> GetTask:
        at = self.harness
        return GetTask(
            at.generations, at.url_of, lambda: self.account(), self.retry, at.clock, at.is_enabled, at.daily_credits
        )

    def create(
        self,
        content: dict[str, Any],
        *answers: Any,
        caller: Caller = ACME,
        callback_url: str | None = None,
        request_id: str | None = None,
        model: str = R2V,
    ) -> Generation:
        """Creates a task; crun gives ``answers``, by default a new task id."""
        self.harness.crun.created.extend(answers or [f"task-{next(_COUNTER)}"])
        body = NewGeneration(model=model, input=content)
        return self.relay(caller, body, callback_url, ORIGIN, request_id or f"request-{next(_COUNTER)}", "1-corr")

    def estimate(self, content: dict[str, Any], caller: Caller = ACME) -> Any:
        return self.relay.estimate(caller, NewGeneration(model=R2V, input=content), ORIGIN)

    def row(self, of: Generation | str) -> Generation:
        found = self.harness.generations.get(of if isinstance(of, str) else of.id)
        assert found
        return found

    def latest(self, caller: Caller) -> Generation:
        """Returns the only generation of a test's own client."""
        (found,) = self.harness.generations.list_generations(
            caller.client_id, limit=10, cursor=None, wanted=GenerationFilter()
        ).generations
        return found

    def info(self, of: Generation, caller: Caller = ACME) -> dict[str, Any]:
        return self.read.info(caller, str(of.task_id))

    def ended(self, of: Generation, status: GenerationStatus, error: Problem | None = None, **changes: Any) -> None:
        before = self.row(of)
        self.harness.generations.end(replace(before.ended(status, self.harness.clock.now(), error), **changes), before)


@pytest.fixture
def routes(store: DynamoStore, dynamodb: Any) -> Routes:
    return Routes(RequestHarness(store, dynamodb))


def own(name: str, **more: Any) -> Caller:
    """A client of one test."""
    return Caller(f"{name}-{next(_COUNTER)}", **more)


def listed(error: LikenessError) -> tuple[int, list[str]]:
    code, body = refusal(error)
    return code, body.get("errors", [body["message"]])


# -- CreateTask -----------------------------------------------------------------------------------------------------


def test_the_caller_gets_cruns_task_and_the_execution_continues(routes: Routes) -> None:
    _, (asset,) = routes.harness.person()
    made = routes.create(images(asset), "task-a", callback_url=CALLBACK)
    assert (made.task_id, made.status, made.drop_in) == ("task-a", GenerationStatus.RUNNING, True)
    ((model, content, url, correlation_id, client_id),) = routes.harness.crun.requests
    assert (model, content, correlation_id, client_id) == (R2V, images(asset), "1-corr", "acme")
    assert url.startswith(f"{ORIGIN.base_url}/task/{made.id}/"), "crun calls us back, not the caller"
    assert list(routes.harness.workflows.started) == [made.id]
    assert routes.row(made).callback_url == CALLBACK


def test_the_execution_is_started_after_the_task_is_known(routes: Routes) -> None:
    routes.harness.crun.during = lambda: pytest.fail("started early") if routes.harness.workflows.started else None
    routes.create({"prompt": "a hill"})
    assert routes.harness.workflows.started


def test_an_execution_that_cannot_be_started_is_not_the_callers_problem(routes: Routes) -> None:
    routes.harness.workflows = UnavailableWorkflows()
    assert routes.create({"prompt": "a hill"}).task_id
    assert len(routes.harness.unstarted) == 1


def test_the_same_request_creates_one_task(routes: Routes) -> None:
    first = routes.create({"prompt": "a hill"}, "task-once", request_id="r-1")
    again = routes.relay(ACME, NewGeneration(model=R2V, input={"prompt": "a hill"}), None, ORIGIN, "r-1")
    assert again.task_id == first.task_id
    assert len(routes.harness.crun.requests) == 1


def test_two_requests_with_the_same_body_create_two_tasks(routes: Routes) -> None:
    assert routes.create({"prompt": "a hill"}).task_id != routes.create({"prompt": "a hill"}).task_id


def test_a_request_that_arrives_twice_at_once_creates_one_task(routes: Routes) -> None:
    again: list[LikenessError] = []

    def another() -> None:
        routes.harness.crun.during = lambda: None
        with pytest.raises(UpstreamAmbiguous) as caught:
            routes.relay(ACME, NewGeneration(model=R2V, input={"prompt": "a hill"}), None, ORIGIN, "r-twice")
        again.append(caught.value)

    routes.harness.crun.during = another
    made = routes.create({"prompt": "a hill"}, "task-twice", request_id="r-twice")
    assert made.task_id == "task-twice"
    assert made.id in again[0].message
    assert len(routes.harness.crun.requests) == 1


def test_nobody_else_creates_the_task_of_a_caller(routes: Routes) -> None:
    at, caller = routes.harness, own("left")
    body = NewGeneration(model=R2V, input={"prompt": "a hill"})
    stored = StoreGeneration(at.generations, at.guard, at.crun, at.clock)(
        caller, "gen_01ARZ3NDEKTSV4RRFFQ69G5FB0", body, ORIGIN, drop_in=True
    )
    with pytest.raises(WorkInProgress):
        routes.step(for_caller=False)(stored.id, "execution")
    at.clock.at += INTENT_LEASE_SECONDS
    assert routes.step(for_caller=False)(stored.id, "execution")["next"] == "done"
    assert routes.row(stored).status is GenerationStatus.CANCELED
    assert not at.crun.requests


def test_bursts_are_retried_within_twelve_seconds(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"}, RateLimited(), UpstreamDeferred(), UpstreamDeferred(), "task-late")
    assert made.task_id == "task-late"
    assert 0 < sum(routes.slept) <= 12


@pytest.mark.parametrize(
    ("error", "code"),
    [(RateLimited(retry_after=3), 429), (UpstreamDeferred(), 455), (UpstreamRefused(402), 402),
     (UpstreamRefused(401), 455), (UpstreamRefused(403), 455), (UpstreamRefused(505), 505),
     (StorageUnavailable(), 455)],
)  # fmt: skip
def test_what_crun_does_not_accept_in_time_is_canceled(routes: Routes, error: Any, code: int) -> None:
    caller = own("deferred")
    with pytest.raises(type(error)) as caught:
        routes.create({"prompt": "a hill"}, *[error] * 99, caller=caller)
    assert refusal(caught.value)[0] == code
    row = routes.latest(caller)
    assert (row.status, row.error and row.error.code) == (GenerationStatus.CANCELED, error.code)
    assert not routes.harness.workflows.started
    with pytest.raises(LikenessError):
        routes.create({"prompt": "a hill"}, error, caller=caller)


@pytest.mark.parametrize("error", [UpstreamAmbiguous(), UpstreamAmbiguous(upstream_code=500)])
def test_an_ambiguous_task_is_never_repeated_and_named(routes: Routes, error: UpstreamAmbiguous) -> None:
    caller = own("ambiguous")
    with pytest.raises(UpstreamAmbiguous) as caught:
        routes.create({"prompt": "a hill"}, error, "never", caller=caller)
    row = routes.latest(caller)
    code, body = refusal(caught.value)
    assert (code, body["code"]) == (500, 500)
    assert row.id in body["message"]
    assert row.status is GenerationStatus.UNCERTAIN
    assert len(routes.harness.crun.requests) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [(UpstreamRefused(422, errors=("model: unknown model", "input: bad")), 422, ["model: unknown model", "input: bad"]),
     (UpstreamRefused(501, "The content was blocked."), 501, ["The content was blocked."])],
)  # fmt: skip
def test_cruns_refusal_reaches_the_caller_in_cruns_words(
    routes: Routes, error: UpstreamRefused, code: int, words: list[str]
) -> None:
    caller = own("refused")
    with pytest.raises(UpstreamRefused) as caught:
        routes.create({"prompt": "a hill"}, error, caller=caller)
    assert listed(caught.value) == (code, words)
    assert routes.latest(caller).status is GenerationStatus.REFUSED


def test_each_refusal_of_the_guard_is_a_422_that_names_field_and_code(routes: Routes) -> None:
    harness = routes.harness
    _, (asset,) = harness.person()
    withdrawn, (taken_back,) = harness.person()
    harness.people.store.withdraw_consent(withdrawn, Withdrawal(harness.clock.now(), "person", "invite"))
    _, (foreign,) = harness.person(client_id="somebody-else")
    for content, expected in (
        (images("asset://asset-of-nobody"), "input.reference_images[0]: asset not found (asset_not_found)"),
        (images(foreign), "input.reference_images[0]: asset not found (asset_not_found)"),
        (images(asset, taken_back), "input.reference_images[1]: "),
        ({"prompt": uri(asset)}, "input.prompt: an asset is not accepted here"),
        (images(asset, duration=3), "input.duration: must be an integer from 4 to 15"),
        (images(asset, byteplus_fallback=True), "input.byteplus_fallback: "),
    ):
        with pytest.raises(LikenessError) as caught:
            routes.create(content)
        code, (words,) = listed(caught.value)
        assert code == 422
        assert words.startswith(expected)
    assert not harness.crun.requests
    with pytest.raises(Conflict) as caught:
        routes.create(images(taken_back))
    assert listed(caught.value)[1][0].endswith("(consent_withdrawn)")


def test_a_person_who_withdraws_just_before_the_call_is_refused(routes: Routes) -> None:
    harness, caller = routes.harness, own("late")
    session, (asset,) = harness.person(client_id=caller.client_id)
    waiting = iter([lambda: harness.people.store.withdraw_consent(
        session, Withdrawal(harness.clock.now(), "person", "invite")
    )])  # fmt: skip
    routes.during = lambda: next(waiting, lambda: None)()
    with pytest.raises(Conflict) as caught:
        routes.create(images(asset), RateLimited(), "never", caller=caller)
    code, (words,) = listed(caught.value)
    assert code == 422
    assert words.startswith("input: ")
    assert words.endswith("(consent_withdrawn)")
    assert len(harness.crun.requests) == 1, "the deferred one"
    assert routes.latest(caller).status is GenerationStatus.REFUSED


@pytest.mark.parametrize(
    "url",
    ["http://app.example.com/", "https://127.0.0.1/", "https://user@app.example.com/", "https://app.example.com/#a"],
)
def test_a_callback_url_that_a_webhook_could_not_have_is_refused(routes: Routes, url: str) -> None:
    with pytest.raises(InvalidRequest, match="callback_url"):
        routes.create({"prompt": "a hill"}, callback_url=url)
    assert not routes.harness.crun.requests


def test_where_private_addresses_are_allowed_a_callback_may_go_to_this_machine(routes: Routes) -> None:
    routes.private = True
    assert routes.create({"prompt": "a hill"}, callback_url="http://127.0.0.1:8090/task").task_id


def test_generation_that_is_switched_off_is_505(routes: Routes) -> None:
    routes.harness.is_enabled = False
    for work in (
        lambda: routes.create({"prompt": "a hill"}),
        lambda: routes.estimate({"prompt": "a hill"}),
        lambda: routes.read.balance(own("off", daily_credits=5.0)),
    ):
        with pytest.raises(GenerationDisabled) as caught:
            work()
        assert refusal(caught.value)[0] == 505


def test_an_exhausted_budget_is_402(routes: Routes) -> None:
    caller = own("poor", daily_credits=15.0)
    routes.create({"prompt": "a hill"}, caller=caller)
    with pytest.raises(BudgetExhausted) as caught:
        routes.create({"prompt": "a hill"}, caller=caller)
    assert refusal(caught.value)[0] == 402
    assert len(routes.harness.crun.requests) == 1


def test_a_deferred_task_gives_its_reservation_back(routes: Routes) -> None:
    caller = own("back", daily_credits=15.0)
    with pytest.raises(UpstreamRefused):
        routes.create({"prompt": "a hill"}, UpstreamRefused(402), caller=caller)
    assert routes.read.balance(caller) == 15.0


def test_an_estimate_that_took_all_the_time_leaves_no_time_for_the_task(routes: Routes) -> None:
    caller = own("slow", daily_credits=100.0)

    def slow(*_: Any, **__: Any) -> float:
        routes.harness.clock.at += 13
        return 10.0

    routes.harness.crun.estimate = slow  # type: ignore[method-assign]
    with pytest.raises(UpstreamDeferred):
        routes.create({"prompt": "a hill"}, caller=caller)
    assert routes.latest(caller).status is GenerationStatus.CANCELED
    assert not routes.harness.crun.requests


def _attempted(create: Callable[[], Generation]) -> tuple[Generation | None, LikenessError | None]:
    try:
        return create(), None
    except LikenessError as error:
        return None, error


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["get", "intend", "record_task", "end", "release_intent"])
@pytest.mark.parametrize("times", [1, 2, 99])
@pytest.mark.parametrize("answer", ["task", "ambiguous", "refused", "account", "deferred"])
def test_a_table_that_fails_never_leads_to_two_tasks(
    routes: Routes, method: str, times: int, answer: str, *, after: bool
) -> None:
    caller = own("broken")
    at = routes.harness
    routes.broken = FailingStore(at.generations, method, times, after)
    answers: dict[str, list[Any]] = {
        "task": [f"task-{next(_COUNTER)}"], "ambiguous": [UpstreamAmbiguous()], "refused": [UpstreamRefused(422)],
        "account": [UpstreamRefused(402)], "deferred": [RateLimited(), f"task-{next(_COUNTER)}"],
    }  # fmt: skip
    made, error = _attempted(lambda: routes.create({"prompt": "a hill"}, *answers[answer], "second", caller=caller))
    if error is not None:
        code, (words, *_) = listed(error)
        assert code in (402, 422, 429, 455, 500)
        assert code != 500 or routes.latest(caller).id in words
    routes.broken = None
    on_the_wire = len(at.crun.requests)
    assert on_the_wire <= (2 if answer == "deferred" else 1)
    # What the request left is ended by an execution, without another call.
    at.clock.at += INTENT_LEASE_SECONDS
    row = routes.latest(caller)
    routes.step(for_caller=False)(row.id, "execution")
    row = routes.row(row)
    assert len(at.crun.requests) == on_the_wire
    assert row.is_over or row.task_id is not None
    if made is not None:
        assert row.task_id == made.task_id


# -- TaskInfo -------------------------------------------------------------------------------------------------------


def report(of: Generation, status: str = "success", **changes: Any) -> TaskReport:
    return TaskReport(str(of.task_id), status, **changes)


def test_a_running_task_is_running_until_its_media_are_saved(routes: Routes) -> None:
    _, (asset,) = routes.harness.person()
    made = routes.create(images(asset), callback_url=CALLBACK)
    found = routes.info(made)
    assert (found["task_id"], found["status"], found["result"], found["complete_at"]) == (
        made.task_id, "running", None, None,
    )  # fmt: skip
    assert (found["provider"], found["model_version"], found["source"]) == ("bytedance", "seedance2-0-r2v", "api")
    assert found["param"] == {"model": R2V, "callback_url": CALLBACK, "input": images(asset)}
    routes.harness.generations.record_report(made, report(made, media_urls=("https://crun/1",)), 1.0)
    assert routes.info(made)["status"] == "running"


def test_param_shows_the_ids_that_the_caller_gave(routes: Routes) -> None:
    _, (asset,) = routes.harness.person()
    content = images(asset.id)
    made = routes.create(content)
    assert routes.harness.crun.requests[-1][1] == images(asset), "crun gets its own id"
    assert routes.info(made)["param"]["input"] == content


def test_a_success_has_our_urls_of_the_saved_media(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    now = routes.harness.clock.now()
    done = report(
        made, media_urls=("https://crun/1",), usage={"total_tokens": 7}, duration_seconds=41.5, completed_at=now + 9.4,
        provider="seed", model_version="2.0", credits=12.5,
    )  # fmt: skip
    routes.harness.generations.record_report(made, done, now)
    media = Media(f"generations/{made.id}/1.mp4", "video/mp4", 10, "ab")
    routes.ended(made, GenerationStatus.SUCCEEDED, media=(media,), credits=12.5)
    found = routes.info(made)
    assert found["result"] == {
        "code": 200, "message": "success", "usage": {"total_tokens": 7},
        "media_urls": [f"https://bucket.test/{media.key}?signed"],
    }  # fmt: skip
    assert (found["status"], found["credits"], found["duration_s"]) == ("success", 12.5, 41.5)
    assert (found["provider"], found["model_version"], found["complete_at"]) == ("seed", "2.0", int(now + 9.4))


def test_media_that_could_not_be_saved_have_cruns_urls(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    done = report(made, media_urls=("https://crun/1", "https://crun/2"))
    routes.harness.generations.record_report(made, done, 1.0)
    media = Media(f"generations/{made.id}/2.jpg", "image/jpeg", 10, "ab")
    lost = Problem("media_unavailable", "Not all media could be fetched from crun")
    routes.ended(made, GenerationStatus.SUCCEEDED, media=(media,), media_problem=lost)
    found = routes.info(made)
    assert found["status"] == "success"
    assert found["result"]["media_urls"] == ["https://crun/1", f"https://bucket.test/{media.key}?signed"]


@pytest.mark.parametrize("code", ["consent_withdrawn", "consent_expired", "erased"])
def test_media_that_are_withheld_are_a_failure_in_words(routes: Routes, code: str) -> None:
    made = routes.create({"prompt": "a hill"})
    routes.harness.generations.record_report(made, report(made, media_urls=("https://crun/1",)), 1.0)
    routes.ended(made, GenerationStatus.SUCCEEDED, media_problem=Problem(code, "It may not be shown"))
    found = routes.info(made)
    assert (found["status"], found["result"]["media_urls"]) == ("failed", [])
    assert found["result"]["message"] == f"It may not be shown ({code})"
    assert "https://crun" not in json.dumps(found)


def test_a_failure_has_cruns_words_and_its_cost(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    error = Problem("generation_failed", "blocked", "501", upstream_message="blocked")
    routes.ended(made, GenerationStatus.FAILED, error, credits=0.5)
    found = routes.info(made)
    assert (found["status"], found["credits"]) == ("failed", 0.5)
    assert found["result"] == {"code": 501, "message": "blocked", "media_urls": [], "usage": {}}


def test_a_task_without_an_outcome_has_failed_until_crun_reports_one(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    routes.ended(made, GenerationStatus.UNCERTAIN, Problem("outcome_unknown", "crun has not reported the end"))
    found = routes.info(made)
    assert (found["status"], found["result"]["code"]) == ("failed", 500)
    routes.harness.generations.record_task(routes.row(made), str(made.task_id), 2.0)
    assert routes.info(made)["status"] == "running"


def test_an_erased_task_shows_nothing_of_its_request(routes: Routes) -> None:
    made = routes.create({"prompt": "canary"}, callback_url=CALLBACK)
    routes.harness.generations.record_report(made, report(made, media_urls=("https://crun/1",)), 1.0)
    routes.ended(made, GenerationStatus.SUCCEEDED, media=(Media(f"generations/{made.id}/1.mp4", "video/mp4", 1, "a"),))
    routes.harness.generations.erase(routes.row(made), 3.0)
    found = routes.info(made)
    assert (found["status"], found["param"]) == ("failed", {"model": R2V})
    assert "canary" not in json.dumps(found)


def test_a_task_of_nobody_or_of_another_client_is_404_after_a_second_look(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    for task_id, caller in (("task-of-nobody", ACME), (str(made.task_id), own("other")), ("x" * 5000, ACME)):
        with pytest.raises(NotFound) as caught:
            routes.read.info(caller, task_id)
        assert refusal(caught.value)[1] == {"code": 404, "message": "task not found", "data": None}
    assert routes.slept, "the index is looked at again"


def test_a_generation_of_our_own_route_is_a_task_too(routes: Routes) -> None:
    harness = routes.harness
    view = harness.make({"prompt": "a hill"})
    harness.crun.created.append("task-ours")
    routes.step(for_caller=False)(view["id"], "execution")
    assert routes.read.info(ACME, "task-ours")["param"] == {"model": R2V, "input": {"prompt": "a hill"}}


def test_a_queued_generation_is_pending(routes: Routes) -> None:
    made = routes.create({"prompt": "a hill"})
    assert task_info(replace(made, status=GenerationStatus.QUEUED), routes.harness.url_of)["status"] == "pending"


# -- EstimateTask and balance ---------------------------------------------------------------------------------------


def test_with_a_budget_the_balance_is_what_is_left_of_it(routes: Routes) -> None:
    caller = own("budget", daily_credits=25.0)
    found = routes.estimate({"prompt": "a hill"}, caller)
    assert (found.credits, found.balance, found.affordable) == (10.0, 25.0, True)
    routes.create({"prompt": "a hill"}, caller=caller)
    routes.create({"prompt": "a hill"}, caller=caller)
    found = routes.estimate({"prompt": "a hill"}, caller)
    assert (found.balance, found.affordable) == (5.0, False)
    assert routes.read.balance(caller) == 5.0


def test_the_deployments_budget_applies_to_a_client_without_one(routes: Routes) -> None:
    routes.harness.daily_credits = 40.0
    assert routes.read.balance(own("default", sees_balance=True)) == 40.0


def test_without_a_budget_the_accounts_balance_is_for_those_who_may_see_it(routes: Routes) -> None:
    seeing, blind = own("seeing", sees_balance=True), own("blind")
    assert routes.read.balance(seeing) == 250.0
    assert routes.estimate({"prompt": "a hill"}, seeing).balance == 250.0
    found = routes.estimate({"prompt": "a hill"}, blind)
    assert (found.balance, found.affordable) == (None, True)
    with pytest.raises(GenerationDisabled) as caught:
        routes.read.balance(blind)
    assert refusal(caught.value) == (505, {
        "code": 505, "message": "The balance is not shown to this client", "data": None,
    })  # fmt: skip


def test_an_estimate_is_guarded_and_retried(routes: Routes) -> None:
    routes.harness.crun.errors.extend([UpstreamDeferred(), UpstreamAmbiguous()])
    assert routes.estimate({"prompt": "a hill"}).credits == 10.0
    with pytest.raises(LikenessError):
        routes.estimate(images("asset://asset-of-nobody"))


# -- the body -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("{}", ["model", "input"]), ("[]", ["body"]), ("", ["body"]),
        ('{"model": "m", "input": []}', ["input"]), ('{"model": 1, "input": {}}', ["model"]),
        ('{"model": "m", "input": {}, "callback_url": "ftp://a/"}', ["callback_url"]),
    ],
)  # fmt: skip
def test_an_invalid_body_names_each_field(body: str, names: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_body(TaskRequest, body)
    assert [each.partition(":")[0] for each in listed(caught.value)[1]] == names


def test_a_body_is_not_in_its_repr() -> None:
    read = read_body(TaskRequest, json.dumps({"model": "m", "callback_url": CALLBACK, "input": {"prompt": "canary"}}))
    assert "canary" not in repr(read)
    assert read.wanted.input == {"prompt": "canary"}
