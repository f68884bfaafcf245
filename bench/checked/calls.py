"""Calls of each operation, counted as HTTP requests in a warm process, and compared with the fewest possible."""

from __future__ import annotations

import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.checked.stage import ACTIVE_AFTER_SECONDS, OperationFailed, Stage, answered, stage
from bench.table import Row
from likeness.adapters.table.webhooks import webhook_item
from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.webhooks import Endpoint, new_secret
from tests.faults.crun_caller import CALLBACK
from tests.faults.fault_injection import Call
from tests.faults.generating import TASK_SECONDS, Generating
from tests.faults.onboarding import FACES, registration, take_check
from tests.functions import event_of_request

#: An operation that calls crun runs this many times in a warm process, with this pause in seconds: only some calls need
#: a write of the rate limiter, so the mean counts. Every other operation makes the same calls each time.
TIMES = 5
PAUSE_SECONDS = 0.5
#: The number of files in a poll.
PENDING = 5

Act = Callable[[], object]


@dataclass(frozen=True)
class Operation:
    """``prepare`` creates the state that the operation needs, and returns the operation itself.

    ``minimum`` is the smallest possible number of calls, which ``least`` lists. ``limit`` is the reason for more calls.
    """

    name: str
    function: str
    minimum: float
    least: str
    prepare: Callable[[Stage], Act]
    limit: str = ""

    @property
    def calls_crun(self) -> bool:
        """Whether it needs the rate limiter, which writes before some of the calls only."""
        return "crun" in self.least

    @property
    def runs(self) -> int:
        """The number of warm runs that are counted."""
        return TIMES if self.calls_crun else 1


@dataclass(frozen=True)
class Counted:
    """Calls by ``service.Operation``: ``warm`` is the mean in a warm process, ``first`` the calls of a new process."""

    operation: Operation
    first: Mapping[str, int]
    warm: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Calls of one run in a warm process."""
        return round(sum(self.warm.values()), 3)

    @property
    def extra(self) -> dict[str, float]:
        """The calls of a process's first run beyond the mean of the warm runs."""
        return {name: more for name, times in self.first.items() if (more := round(times - self.warm.get(name, 0))) > 0}


# -- the HTTP API -------------------------------------------------------------------------------------------------


def _create(at: Stage) -> Act:
    return lambda: at.post("/sessions", {})


_ORDER_NUMBERS = itertools.count()


def _create_once(at: Stage) -> Act:
    return lambda: at.post("/sessions", {}, idempotency_key=f"order-{next(_ORDER_NUMBERS)}")


def _another_attempt(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open"})["id"]
    return lambda: at.post("/sessions/{session_id}/attempts", session_id=made)


def _register(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open"})["id"]
    return lambda: at.post("/sessions/{session_id}/assets", registration(0), session_id=made)


def _get(at: Stage) -> Act:
    made = at.verified("one", "two")
    return lambda: answered(at.where.api("GET", "/sessions/{session_id}", session_id=made), 200)


def _get_asset(at: Stage) -> Act:
    made = at.verified("one")
    path = {"session_id": made, "asset_id": at.where.store.list_assets(made)[0].id}
    return lambda: answered(at.where.api("GET", "/sessions/{session_id}/assets/{asset_id}", **path), 200)


def _list(at: Stage) -> Act:
    at.verified()
    return lambda: answered(at.where.api("GET", "/sessions"), 200)


def _stats(at: Stage) -> Act:
    at.verified("one")
    return lambda: answered(at.where.api("GET", "/stats"), 200)


def _revoke(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open"})["id"]
    return lambda: answered(at.where.api("DELETE", "/sessions/{session_id}/invite", session_id=made), 200)


def _endpoint(at: Stage) -> str:
    made = Endpoint("acme", "whe_1", "https://app.example.com/", new_secret(bytes(32)), at.where.now)
    at.where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(made))
    return made.id


def _webhooks(at: Stage) -> Act:
    _endpoint(at)
    return lambda: answered(at.where.api("GET", "/webhooks"), 200)


def _test_webhook(at: Stage) -> Act:
    made = _endpoint(at)
    return lambda: answered(at.where.api("POST", "/webhooks/{webhook_id}/test", webhook_id=made), 202)


def _authorize(at: Stage) -> Act:
    return lambda: at.where.api("GET", "/sessions")


def _authorize_person(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open"})
    token = made["invite_url"].partition("#")[2]
    return lambda: answered(at.where.api("GET", "/sessions/{session_id}", key=token, session_id=made["id"]), 200)


def _consent(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open"})
    token = made["invite_url"].partition("#")[2]
    text = json.loads(at.where.invoke("record_consent", event_of_request("GET", "/consent", "/consent"))["body"])
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    return lambda: at.post("/sessions/{session_id}/consent", agreed, key=token, session_id=made["id"])


def _withdraw(at: Stage) -> Act:
    made = at.verified("never")
    return lambda: answered(at.where.api("POST", "/sessions/{session_id}/consent/withdraw", session_id=made), 200)


def _issue_receipt(at: Stage) -> Act:
    made = at.verified("never")
    return lambda: answered(at.where.api("POST", "/sessions/{session_id}/receipt", session_id=made), 201)


def _open_receipt(at: Stage) -> Act:
    made = at.verified("never")
    issued = answered(at.where.api("POST", "/sessions/{session_id}/receipt", session_id=made), 201)
    receipt = issued.body["receipt_url"].partition("#")[2]
    return lambda: answered(at.where.api("GET", "/receipt", key=receipt), 200)


def _use(at: Stage) -> Act:
    made = at.verified("never")
    return lambda: at.where.api("GET", "/sessions/{session_id}/use", session_id=made)


def _erase(at: Stage) -> Act:
    made = at.submitted("face")
    key = at.where.store.list_assets(made)[0].object_key
    at.where.put_object(key, FACES[0])
    return lambda: answered(at.where.api("DELETE", "/sessions/{session_id}", session_id=made), 200)


# -- generations --------------------------------------------------------------------------------------------------


def _ask_video(at: Stage) -> Act:
    video = at.video()
    return lambda: answered(video.ask(), 202)


def _ask_video_again(at: Stage) -> Act:
    video = at.asked()
    return lambda: answered(video.ask(), 202)


def _estimate(at: Stage) -> Act:
    video = at.video()
    return lambda: at.post("/generations/estimate", video.body, 200)


def _of_video(at: Stage, method: str, resource: str, video: Generating) -> Act:
    path = {"generation_id": video.id, "session_id": video.people[0].session_id}
    return lambda: answered(at.where.api(method, resource, **path), 200)


def _list_videos(at: Stage) -> Act:
    at.asked()
    return lambda: answered(at.where.api("GET", "/generations"), 200)


def _erase_video(at: Stage) -> Act:
    return _of_video(at, "DELETE", "/generations/{generation_id}", _saved(at))


def _saved(at: Stage) -> Generating:
    video = at.over()
    for function in ("poll_task", "save_media"):
        at.state(function, video)
    return video


def _state(at: Stage, function: str, video: Generating) -> Act:
    return lambda: at.state(function, video)


def _poll_task(at: Stage) -> Act:
    video = at.created()
    at.later(TASK_SECONDS / 2)
    return _state(at, "poll_task", video)


def _save(at: Stage) -> Act:
    video = at.over()
    at.state("poll_task", video)
    return lambda: at.state("save_media", video)


def _report(at: Stage) -> Act:
    video = at.over()
    return lambda: [answered(each, 200) for each in video.report()]


# -- crun's own routes --------------------------------------------------------------------------------------------


def _crun_route(at: Stage) -> Any:
    """Returns a function that calls one of crun's own routes and returns the data of its response."""
    return lambda call, **asked: answered(at.where.crun_route(call, **asked), 200).body["data"]


def _open(at: Stage) -> Callable[[], Any]:
    return lambda: _crun_route(at)("visual-validate-session", body={"callback_url": CALLBACK})


def _group(at: Stage) -> tuple[str, str]:
    """Returns an issued token and its group."""
    opened = _open(at)()
    answered(at.where.browser(take_check(opened["H5Link"], "pass")), 303)
    at.where.settle()
    token = opened["BytedToken"]
    return token, _crun_route(at)("visual-validate-result", byted_token=token)["GroupId"]


def _result(at: Stage) -> Act:
    token, _ = _group(at)
    return lambda: _crun_route(at)("visual-validate-result", byted_token=token)


def _fetch(at: Stage) -> Callable[[], Any]:
    _, group_id = _group(at)
    body = {"name": "soon", "asset_type": "Image", "asset_url": at.face_url, "group_id": group_id}
    return lambda: _crun_route(at)("asset-upload", body=body)["AssetId"]


def _info(at: Stage) -> Act:
    asset_id = _fetch(at)()
    return lambda: _crun_route(at)("asset-info", asset_id=asset_id)


# -- the person's browser and files -------------------------------------------------------------------------------


def _pass(at: Stage) -> Act:
    _, callback = at.passed()
    return lambda: answered(at.where.browser(callback), 303)


def _pass_again(at: Stage) -> Act:
    _, callback = at.reported()
    return lambda: answered(at.where.browser(callback), 303)


def _check(at: Stage, key: str) -> Act:
    at.where.put_object(key, FACES[0])
    event = at.where.uploads[-1]
    return lambda: at.where.invoke("check_upload", event)


def _check_registered(at: Stage) -> Act:
    made = at.post("/sessions", {"start": "on_open", "assets": [registration(0)]})
    return _check(at, made["assets"][0]["upload"]["fields"]["key"])


def _check_verified(at: Stage) -> Act:
    made = at.post("/sessions/{session_id}/assets", registration(0), session_id=at.verified())
    return _check(at, made["upload"]["fields"]["key"])


def _check_dropped(at: Stage) -> Act:
    return _check(at, f"inbox/{at.verified()}/face.jpg")


# -- the workflow -------------------------------------------------------------------------------------------------


def _message(at: Stage, body: str) -> Act:
    attributes = {"ApproximateReceiveCount": "1"}
    record = {"messageId": "m", "body": body, "eventSource": "aws:sqs", "attributes": attributes}

    def act() -> None:
        if at.where.invoke("start_onboarding", {"Records": [record]}) != {"batchItemFailures": []}:
            raise OperationFailed("start_onboarding")

    return act


def _start_validation(at: Stage) -> Act:
    return _message(at, PassReported(at.reported()[0], attempt=1).to_json())


def _start_last_chance(at: Stage) -> Act:
    return _message(at, LinkCheck(at.post("/sessions", {})["id"], attempt=1).to_json())


def _start_assets(at: Stage) -> Act:
    return _message(at, AssetsReady(at.verified("never")).to_json())


def _look_up(at: Stage) -> Act:
    made, _ = at.reported()
    return lambda: at.task("look_up_result", made, attempt=1, last_chance=False)


def _claim(at: Stage) -> Act:
    made = at.verified(*["never"] * PENDING)
    return lambda: at.claimed(made)


def _submit(at: Stage) -> Act:
    made = at.verified("never")
    (asset,) = at.claimed(made)
    return lambda: at.task("submit_asset", made, asset_id=asset)


def _poll(at: Stage, active: int) -> Act:
    made = at.submitted(*["never"] * (PENDING - active), *["soon"] * active)
    at.later(ACTIVE_AFTER_SECONDS + 1)
    return lambda: at.task("poll_assets", made, round=0)


_RATE_LIMITER_NOTE = (
    "One write of the rate limiter before each batch of calls to crun: it keeps all processes together within"
    " CrunRequestsPer10s. Permits taken in advance would save it. But a process makes one call per half second at best,"
    " so permits would have to stay valid for ten seconds, unused by others, which would halve the number of calls."
)
_POLL_CALLS = f"1 read, {PENDING} crun"
_CREATE_CALLS = "1 message, 1 crun, 1 write"
_CHECK_CALLS = "1 read, 1 file, 1 write, 1 read"
_FETCH_CALLS = "1 read of the key, 1 of the index, 1 read, 1 file, 1 write, 1 message, 1 write, 1 crun, 1 write"
_FETCH_NOTE = (
    "The workflow's own step submits the file: it reads the asset, and reads the result again, because an execution may"
    " have been faster. The rate limiter adds one write."
)
_VIDEO = "/generations/{generation_id}"
_GUARD_CALLS = "1 read, 1 of the index, 1 read of the rows"
_SAVE_CALLS = "1 read, 1 of the people, 1 download, 1 file, 1 of the people, 1 write"
_STOP_CALLS = "4 stops (one for each execution there may be)"
OPERATIONS = (
    Operation("create_session", "create_session", 3, _CREATE_CALLS, _create, _RATE_LIMITER_NOTE),
    Operation(
        "create_session with an Idempotency-Key",
        "create_session",
        5,
        f"{_CREATE_CALLS}, 2 of the key",
        _create_once,
        _RATE_LIMITER_NOTE,
    ),
    Operation(
        "create_session, another attempt",
        "create_session",
        4,
        f"1 read, {_CREATE_CALLS}",
        _another_attempt,
        _RATE_LIMITER_NOTE,
    ),
    Operation("receive_callback", "receive_callback", 2, "1 write, 1 message", _pass),
    Operation("receive_callback, the page reloaded", "receive_callback", 2, "1 write, 1 message", _pass_again),
    Operation("authorize, a client key", "authorize", 1, "1 read", _authorize),
    Operation("authorize, a session token", "authorize", 0, "none: the token is signed", _authorize_person),
    Operation("get_session", "get_session", 1, "1 read", _get),
    Operation("get_session, one asset", "get_session", 1, "1 read", _get_asset),
    Operation("get_session, a list", "get_session", 1, "1 read", _list),
    Operation("get_stats", "get_stats", 2, "1 read of each index", _stats),
    Operation("revoke_invite", "revoke_invite", 2, "1 read, 1 write", _revoke),
    Operation("manage_integration, webhooks", "manage_integration", 1, "1 read", _webhooks),
    Operation("manage_integration, a test", "manage_integration", 2, "1 read, 1 message", _test_webhook),
    Operation("register_asset", "register_asset", 2, "1 read, 1 write", _register),
    Operation("record_consent", "record_consent", 2, "1 read, 1 write", _consent),
    Operation("withdraw_consent", "withdraw_consent", 6, "2 reads, 1 write, 1 read, 1 of the uses, 1 list", _withdraw),
    Operation("issue_receipt", "issue_receipt", 2, "1 read, 1 write", _issue_receipt),
    Operation("issue_receipt, the page behind it", "issue_receipt", 1, "1 read", _open_receipt),
    Operation("authorize, a receipt", "authorize", 1, "1 read", _open_receipt),
    Operation("check_use", "check_use", 1, "1 read", _use),
    Operation(
        "erase_session, one file",
        "erase_session",
        13,
        f"1 read, 1 mark, {_STOP_CALLS}, 2 listings, 1 deletion, 1 read of the uses, 1 of the assets, 1 write for each,"
        " 1 end",
        _erase,
        "The response reads the assets again, so that it shows what the table contains.",
    ),
    Operation(
        "open_validation", "open_validation", 4, f"1 read of the key, {_CREATE_CALLS}", _open, _RATE_LIMITER_NOTE
    ),
    Operation("get_result", "get_result", 2, "1 read of the key, 1 read", _result),
    Operation("get_result, one asset", "get_result", 3, "1 read of the key, 1 of the index, 1 read", _info),
    Operation("fetch_asset", "fetch_asset", 9, _FETCH_CALLS, _fetch, _FETCH_NOTE),
    Operation("create_generation, one asset", "create_generation", 5, f"{_GUARD_CALLS}, 1 write, 1 start", _ask_video),
    Operation("create_generation, the same request", "create_generation", 2, "1 read, 1 start", _ask_video_again),
    Operation(
        "create_generation, an estimate",
        "create_generation",
        3,
        "1 of the index, 1 read of the rows, 1 crun",
        _estimate,
        _RATE_LIMITER_NOTE,
    ),
    Operation("get_generation", "get_generation", 1, "1 read", lambda at: _of_video(at, "GET", _VIDEO, at.asked())),
    Operation("get_generation, a list", "get_generation", 2, "1 read of the list, 1 of its rows", _list_videos),
    Operation(
        "get_generation, a person's uses",
        "get_generation",
        2,
        "1 read of the session, 1 of the uses",
        lambda at: _of_video(at, "GET", "/sessions/{session_id}/uses", at.asked()),
    ),
    Operation(
        "cancel_generation",
        "cancel_generation",
        2,
        "1 read, 1 write",
        lambda at: _of_video(at, "POST", f"{_VIDEO}/cancel", at.asked()),
    ),
    Operation(
        "cancel_generation, an erasure",
        "cancel_generation",
        4,
        "1 read, 1 listing, 1 deletion, 1 write",
        _erase_video,
        "The response reads the generation again, so that it shows what the table contains.",
    ),
    Operation(
        "create_task",
        "create_task",
        5,
        "1 read, 1 of the people, 1 write, 1 crun, 1 write",
        lambda at: _state(at, "create_task", at.asked()),
        _RATE_LIMITER_NOTE,
    ),
    Operation(
        "poll_task",
        "poll_task",
        2,
        "1 read, 1 crun",
        _poll_task,
        _RATE_LIMITER_NOTE,
    ),
    Operation(
        "poll_task, the task is over",
        "poll_task",
        3,
        "1 read, 1 crun, 1 write",
        lambda at: _state(at, "poll_task", at.over()),
        _RATE_LIMITER_NOTE,
    ),
    Operation("save_media, one file", "save_media", 6, _SAVE_CALLS, _save),
    Operation(
        "receive_task",
        "receive_task",
        5,
        "1 read, 1 turn, 1 crun, 1 write, 1 look at the execution",
        _report,
        _RATE_LIMITER_NOTE,
    ),
    Operation("check_upload, before the pass", "check_upload", 4, _CHECK_CALLS, _check_registered),
    Operation("check_upload, after the pass", "check_upload", 5, f"{_CHECK_CALLS}, 1 message", _check_verified),
    Operation("check_upload, the inbox", "check_upload", 6, f"1 write, {_CHECK_CALLS}, 1 message", _check_dropped),
    Operation("start_onboarding, a pass", "start_onboarding", 2, "1 read, 1 start", _start_validation),
    Operation("start_onboarding, a link check", "start_onboarding", 2, "1 read, 1 start", _start_last_chance),
    Operation("start_onboarding, files", "start_onboarding", 2, "1 read, 1 start", _start_assets),
    Operation("look_up_result", "look_up_result", 2, "1 write, 1 crun", _look_up, _RATE_LIMITER_NOTE),
    Operation("claim_assets", "claim_assets", 2, "1 write, 1 read", _claim),
    Operation("submit_asset", "submit_asset", 4, "1 read, 1 write, 1 crun, 1 write", _submit, _RATE_LIMITER_NOTE),
    Operation(
        f"poll_assets, {PENDING} files",
        "poll_assets",
        1 + PENDING,
        _POLL_CALLS,
        lambda at: _poll(at, 0),
        _RATE_LIMITER_NOTE,
    ),
    Operation(
        f"poll_assets, {PENDING} files, 2 are Active",
        "poll_assets",
        3 + PENDING,
        f"{_POLL_CALLS}, 2 writes",
        lambda at: _poll(at, 2),
        _RATE_LIMITER_NOTE,
    ),
)


# -- counting -----------------------------------------------------------------------------------------------------


def _names(calls: Iterable[Call]) -> Counter[str]:
    return Counter(f"{each.service}.{each.operation}" for each in calls)


def _count(at: Stage, operation: Operation) -> Counted:
    at.clear()
    act = operation.prepare(at)
    at.where.warm.pop(operation.function, None)
    first = _names(at.calls_of(operation.function, act))
    warm: Counter[str] = Counter()
    for _ in range(operation.runs):
        at.later(PAUSE_SECONDS)
        act = operation.prepare(at)
        warm += _names(at.calls_of(operation.function, act))
    return Counted(operation, first, {name: times / operation.runs for name, times in sorted(warm.items())})


@functools.cache
def counted() -> tuple[Counted, ...]:
    """Returns the counts of every operation; counted once per process."""
    with stage() as at:
        return tuple(_count(at, each) for each in OPERATIONS)


def calls() -> dict[str, dict[str, float]]:
    """Returns ``{operation: {"service.Operation": calls of one run}}``."""
    return {each.operation.name: dict(each.warm) for each in counted()}


# -- the table ----------------------------------------------------------------------------------------------------


def _listed(calls: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {times:g}" for name, times in calls.items()) or "none"


def _row(of: Counted) -> Row:
    operation = of.operation
    row = Row(
        "calls",
        operation.name,
        of.total,
        "calls",
        floor=operation.minimum or None,
        # Where the minimum is 0 there is no ratio: the goal is a number of calls.
        goal=(1.1 if operation.calls_crun else 1.0) if operation.minimum else 0.0,
        note=operation.limit,
    )
    if row.passes:
        return replace(row, note=f"A new process also calls {_listed(of.extra)}." if of.extra else "")
    return row


def rows() -> list[Row]:
    """Returns one row for each operation."""
    return [_row(each) for each in counted()]
