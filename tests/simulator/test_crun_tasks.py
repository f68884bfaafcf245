"""The client of crun's generation tasks over real connections, to a server that answers in every form that was seen."""

from __future__ import annotations

import http.server
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from likeness.adapters.http.crun_tasks import CrunTasksClient
from likeness.domain.crun import CrunCall
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamRefused

KEY, MODEL = "canary-key", "bytedance/seedance2-0-r2v"
CONTENT = {"prompt": "canary-prompt of a person", "reference_images": ["asset://asset-1"], "resolution": "720p"}
BACK = "https://api.test/v1/task/gen_1/canary-signature"


@dataclass
class Answers:
    """A server on loopback that gives scripted answers, by the last part of the path; 404 HTML when none is left."""

    url: str
    script: dict[str, deque[tuple[int, Any]]] = field(default_factory=dict)
    #: (method, path with query, body) of each request.
    seen: list[tuple[str, str, Any]] = field(default_factory=list)

    def add(self, call: str, *answers: tuple[int, Any]) -> None:
        self.script.setdefault(call, deque()).extend(answers)

    def asked(self) -> list[str]:
        return [path.partition("?")[0].rpartition("/")[2] for _, path, _ in self.seen]


def ok(**data: Any) -> tuple[int, Any]:
    return 200, {"code": 200, "message": "success", "data": data}


def refusal(code: int, status: int = 200) -> tuple[int, Any]:
    return status, {"code": code, "message": "no"}


@contextmanager
def answering() -> Iterator[Answers]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.seen.append((self.command, self.path, json.loads(body) if body else None))
            waiting = made.script.get(self.path.partition("?")[0].rpartition("/")[2])
            status, content = waiting.popleft() if waiting else (404, "<html>")
            encoded = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = _answer  # noqa: N815 - the names of http.server

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Answers(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture
def crun() -> Iterator[Answers]:
    with answering() as made:
        yield made


def client(crun: Answers, calls: list[CrunCall] | None = None, admit: Any = lambda n, *_: n) -> CrunTasksClient:
    return CrunTasksClient(crun.url, lambda _: KEY, admit, called=(calls if calls is not None else []).append)


def test_a_task_is_created_with_model_input_and_callback(crun: Answers) -> None:
    crun.add("CreateTask", ok(task_id="task_1234567"))
    assert client(crun).create_task(MODEL, CONTENT, BACK, "corr", "acme") == "task_1234567"
    (request,) = crun.seen
    assert request == (
        "POST", "/api/v1/client/job/CreateTask", {"model": MODEL, "callback_url": BACK, "input": CONTENT},
    )  # fmt: skip


def test_a_created_task_is_known_without_code_and_as_a_number(crun: Answers) -> None:
    crun.add("CreateTask", (200, {"data": {"task_id": "t-1"}}), ok(task_id=42))
    assert client(crun).create_task(MODEL, CONTENT, BACK) == "t-1"
    assert client(crun).create_task(MODEL, CONTENT, BACK) == "42"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(402), UpstreamRefused), (refusal(422, 422), UpstreamRefused), (refusal(429), RateLimited),
        (refusal(455, 455), UpstreamDeferred), (refusal(500, 500), UpstreamAmbiguous),
        ((502, "<html>"), UpstreamAmbiguous),
        ((404, "<html>"), UpstreamAmbiguous), (ok(), UpstreamAmbiguous), (ok(task_id="a b"), UpstreamAmbiguous),
    ],
)  # fmt: skip
def test_an_answer_without_a_task_is_an_error_and_never_repeated(
    crun: Answers, answer: tuple[int, Any], error: type[Exception]
) -> None:
    crun.add("CreateTask", answer, ok(task_id="second"))
    with pytest.raises(error):
        client(crun).create_task(MODEL, CONTENT, BACK)
    assert crun.asked() == ["CreateTask"]


def test_a_refused_key_is_read_again_because_no_task_was_created(crun: Answers) -> None:
    crun.add("CreateTask", refusal(401), ok(task_id="t"))
    assert client(crun).create_task(MODEL, CONTENT, BACK) == "t"


def test_the_errors_of_a_refusal_repeat_nothing_of_the_request(crun: Answers) -> None:
    quoted = f"prompt {CONTENT['prompt']} has asset://asset-1 with 720p and {BACK}"
    crun.add("CreateTask", (422, {"code": 422, "message": "m", "errors": [quoted]}))
    calls: list[CrunCall] = []
    with pytest.raises(UpstreamRefused) as caught:
        client(crun, calls).create_task(MODEL, CONTENT, BACK)
    assert caught.value.errors == ("prompt […] has […] with 720p and […]",)
    assert calls[0].call == "CreateTask"


def test_a_report_is_read_and_its_id_is_quoted(crun: Answers) -> None:
    crun.add("TaskInfo", ok(task_id="t/1", status="SUCCESS", media_urls=["https://cdn.test/1.mp4"], credits="2.5"))
    found = client(crun).task("t/1")
    assert found is not None
    assert (found.task_id, found.status, found.credits) == ("t/1", "success", 2.5)
    assert crun.seen[0][1].endswith("/job/TaskInfo?task_id=t%2F1")


@pytest.mark.parametrize("answer", [refusal(404), refusal(404, 404), (200, {"code": 200, "data": None}), ok()])
def test_an_unknown_task_is_none(crun: Answers, answer: tuple[int, Any]) -> None:
    crun.add("TaskInfo", answer)
    assert client(crun).task("t") is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [((404, "<html>"), UpstreamAmbiguous), (refusal(403), UpstreamRefused), ((200, "{"), UpstreamAmbiguous)],
)
def test_another_answer_is_not_an_unknown_task(crun: Answers, answer: tuple[int, Any], error: type[Exception]) -> None:
    crun.add("TaskInfo", answer, answer)
    with pytest.raises(error):
        client(crun).task("t")


@pytest.mark.parametrize("missing", [(404, "<html>"), refusal(404), (405, {"detail": "Method Not Allowed"}), ok()])
def test_the_estimate_asks_the_route_that_answers_and_remembers_it(crun: Answers, missing: tuple[int, Any]) -> None:
    crun.add("EstimateTask", missing)
    crun.add("estimate-credits", ok(credits="3.5", estimated=True), ok(credits=4))
    asking = client(crun)
    assert asking.estimate(MODEL, CONTENT) == 3.5
    assert asking.estimate(MODEL, CONTENT) == 4
    assert crun.asked() == ["EstimateTask", "estimate-credits", "estimate-credits"]


def test_the_first_route_of_an_estimate_is_enough(crun: Answers) -> None:
    crun.add("EstimateTask", ok(estimated_credits=0, balance=10, affordable=True))
    assert client(crun).estimate(MODEL, CONTENT) == 0
    assert crun.asked() == ["EstimateTask"]


@pytest.mark.parametrize("credits_", [-1, "-0.5", 1e15, "1e300", "NaN", True])
def test_an_estimate_that_cannot_be_reserved_is_no_estimate(crun: Answers, credits_: Any) -> None:
    crun.add("EstimateTask", ok(estimated_credits=credits_))
    with pytest.raises(UpstreamAmbiguous):
        client(crun).estimate(MODEL, CONTENT)


def test_an_estimate_that_is_refused_or_deferred_is_not_asked_elsewhere(crun: Answers) -> None:
    crun.add("EstimateTask", refusal(422), refusal(429))
    with pytest.raises(UpstreamRefused):
        client(crun).estimate(MODEL, CONTENT)
    with pytest.raises(RateLimited):
        client(crun).estimate(MODEL, CONTENT)
    assert crun.asked() == ["EstimateTask", "EstimateTask"]


def test_an_estimate_without_any_route_is_the_first_error(crun: Answers) -> None:
    crun.add("EstimateTask", refusal(404))
    with pytest.raises(UpstreamRefused):
        client(crun).estimate(MODEL, CONTENT)
    assert crun.asked() == ["EstimateTask", "estimate-credits"]


def test_every_call_takes_a_permit_of_its_client(crun: Answers) -> None:
    taken: list[tuple[int, str]] = []

    def admit(calls: int, client_id: str) -> int:
        taken.append((calls, client_id))
        if len(taken) > 1:
            raise RateLimited(retry_after=1)
        return calls

    crun.add("CreateTask", ok(task_id="t"))
    asking = client(crun, admit=admit)
    asking.create_task(MODEL, CONTENT, BACK, client_id="acme")
    for call in (
        lambda: asking.create_task(MODEL, CONTENT, BACK, client_id="acme"),
        lambda: asking.task("t", client_id="acme"),
        lambda: asking.estimate(MODEL, CONTENT, client_id="acme"),
    ):
        with pytest.raises(RateLimited):
            call()
    assert taken == [(1, "acme")] * 4
    assert crun.asked() == ["CreateTask"], "nothing is sent without a permit"
