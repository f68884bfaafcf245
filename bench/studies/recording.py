"""Records one onboarding and one generation: the event of each function, and the responses of AWS and crun.

Benchmarks replay it, function by function, with responses that need almost no time.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.response import StreamingBody

from likeness.adapters.table.webhooks import webhook_item
from likeness.domain.generation import GenerationStatus
from likeness.domain.webhooks import Endpoint, new_secret
from likeness.runtime import bootstrap
from tests.faults.crun_caller import CALLBACK, VideoCaller
from tests.faults.generating import PARAMETERS, TASK_SECONDS, Generating, place_person
from tests.faults.generating import SETTINGS as VIDEO_SETTINGS
from tests.faults.onboarding import Onboarding, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.functions import event_of_request
from tests.template_file import RESOURCES, ROOT, TEMPLATE

_SERVICES = ("dynamodb", "events", "sqs", "s3", "secretsmanager", "stepfunctions")
#: An address for documentation (RFC 5737): rejected without a connection, because no server has a file during a replay.
_NOWHERE = "http://192.0.2.1/1.mp4"
_CRUN: dict[str, dict[str, Any]] = {
    "visual-validate-session": {"BytedToken": "token", "H5Link": "https://h5.example/check?session=1"},
    "visual-validate-result": {"GroupId": "group-1"},
    "asset-upload": {"AssetId": "asset-1"},
    "asset-info": {"AssetId": "asset-1"},
    "balance": {"balance": 100},
    "EstimateTask": {"estimated_credits": 16.0},
    "CreateTask": {"task_id": "task-1"},
}


@dataclass(frozen=True)
class Exchange:
    """One call and its response. ``parameters`` are those of the client's method; a call to crun has none."""

    service: str
    operation: str
    parameters: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Recording:
    """One invocation of a new process: its event, the services that it has clients of, and its exchanges in order."""

    function: str
    event: dict[str, Any]
    services: tuple[str, ...]
    exchanges: list[Exchange]


class _AlwaysCold(dict[str, Any]):
    """Replaces the warm processes of SimulatedAws: every invocation is a cold start."""

    def __contains__(self, _: object) -> bool:
        return False


@dataclass
class Recorder:
    """Records calls in simulated AWS: ``found`` has the successful invocations of each function."""

    exchanges: list[Exchange] = field(default_factory=list)
    found: dict[str, list[Recording]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)
    #: The status that crun returns for every asset.
    asset_status: str = "Active"

    def parameters(self, params: dict[str, Any], **_: Any) -> None:
        self.asked = dict(params)

    def answered(self, http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        service = {"sfn": "stepfunctions"}.get(model.service_model.service_name, model.service_model.service_name)
        body = http_response.content
        if not body and service == "stepfunctions":  # responses about executions are made by SimulatedAws, not by moto
            body = json.dumps(parsed).encode()
        for name, value in parsed.items():
            if isinstance(value, StreamingBody):  # the body has been read
                parsed[name] = StreamingBody(io.BytesIO(body), len(body))
        headers = {name.lower(): value for name, value in http_response.headers.items()}
        self.exchanges.append(Exchange(service, model.name, self.asked, http_response.status_code, headers, body))

    def asking(self, operation: str, other: tuple[int, bytes] | None) -> None:
        """Adds crun's response; ``other`` is the one that replaces the simulator's."""
        body = other[1] if other else _answer(self._data(operation))
        self.exchanges.append(Exchange("crun", operation, {}, 200, {"content-type": "application/json"}, body))

    def _data(self, operation: str) -> dict[str, Any]:
        return _CRUN[operation] | ({"Status": self.asset_status} if operation == "asset-info" else {})

    def listen(self, where: SimulatedAws) -> None:
        for watched in (*map(bootstrap.client, _SERVICES), bootstrap.media_client()):
            events = watched.meta.events
            events.register_first("provide-client-params", self.parameters)
            events.register_last("after-call", self.answered)
        invoke, asking, client = where.invoke, where.injector.asking, bootstrap.client

        def invoked(function: str, event: Mapping[str, Any]) -> Any:
            self.exchanges, self.services = [], set()
            answer = invoke(function, event)
            if not isinstance(answer, dict) or answer.get("statusCode", 200) < 400:
                recording = Recording(function, dict(event), tuple(sorted(self.services)), self.exchanges)
                self.found.setdefault(function, []).append(recording)
            return answer

        def made(service: str) -> Any:
            self.services.add(service)
            return client(service)

        def asked(operation: str, url: str) -> None:
            self.asking(operation, where.injector.instead(operation))
            asking(operation, url)

        where.injector.asking = asked
        bootstrap.client = made
        where.invoke = where.state_machine.call = invoked  # type: ignore[method-assign]


def record() -> tuple[dict[str, Recording], dict[str, str]]:
    """Onboards one person with three files and a consent, makes a video, then calls the reading routes and the erasure.

    Returns the invocation with the most calls for each function that makes calls, and the functions' environment.
    """
    found, environment = _recorded(_play)
    return {name: max(each, key=lambda one: len(one.exchanges)) for name, each in found.items()}, environment


def record_press_of_start() -> tuple[dict[str, Recording], dict[str, str]]:
    """Creates an invite, gives the consent, and presses Start on the person's page.

    Returns what the press invokes, by function, and the functions' environment.
    """
    found, environment = _recorded(_press_start)
    return {name: each[-1] for name, each in found.items() if name in ("authorize", "create_session")}, environment


def _recorded(play: Callable[[SimulatedAws], None]) -> tuple[dict[str, list[Recording]], dict[str, str]]:
    # It starts some hours ago: stored times are in the past when it is replayed, and no token has expired.
    with (
        simulated_aws(SETTINGS, start=time.time() - 4 * 3600, **PARAMETERS) as where,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(bootstrap, "client", bootstrap.client)  # restored at the end
        recorder = Recorder()
        recorder.listen(where)
        where.begin({})
        where.warm = _AlwaysCold()
        play(where)
        return recorder.found, environment_now()


def _invited(where: SimulatedAws) -> tuple[str, str]:
    """Returns the id of a new session whose person has given the consent, and the token of the invite link."""
    text = json.loads(where.invoke("record_consent", event_of_request("GET", "/consent", "/consent"))["body"])
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    made = where.api("POST", "/sessions", body={"start": "on_open"}).body
    token = made["invite_url"].partition("#")[2]
    where.api("POST", "/sessions/{session_id}/consent", key=token, session_id=made["id"], body=agreed)
    return made["id"], token


def _press_start(where: SimulatedAws) -> None:
    session_id, token = _invited(where)
    where.api("POST", "/sessions/{session_id}/attempts", key=token, session_id=session_id)


def _play(where: SimulatedAws) -> None:
    person = Onboarding(where)
    where.play(person.story())
    where.settle()
    if not person.ended:
        raise RuntimeError("the recorded onboarding did not finish")
    path = {"session_id": person.session_id}
    invited, token = _invited(where)
    where.api("GET", "/sessions/{session_id}", **path)
    where.api("GET", "/sessions/{session_id}/use", **path)
    where.api("POST", "/sessions/{session_id}/receipt", key=token, session_id=invited)
    wanted = {"requests": [{"name": "front", "asset_type": "Image"}]}
    where.api("POST", "/sessions/{session_id}/requests", body=wanted, session_id=invited)
    where.api("POST", "/sessions/{session_id}/consent/withdraw", key=token, session_id=invited)
    where.api("DELETE", "/sessions/{session_id}/invite", session_id=invited)
    where.api("GET", "/webhooks")
    where.api("GET", "/stats")
    _play_generation(where)
    for each in ("export_inventory", "recheck_assets", "check_credits"):
        where.invoke(each, {})
    where.api("DELETE", "/sessions/{session_id}", **path)
    _play_crun_caller(where)
    where.invoke("publish_changes", json.loads((ROOT / "events/publish_changes.json").read_text("utf-8")))
    endpoint = Endpoint("acme", "whe_1", "https://hooks.test", new_secret(bytes(32)), where.now)
    where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(endpoint))
    where.invoke("send_webhooks", json.loads((ROOT / "events/send_webhooks.json").read_text("utf-8")))


def _play_generation(where: SimulatedAws) -> None:
    """Makes a video of two people and cancels another; its media cannot be downloaded during a replay."""
    where.simulator.update_settings(**VIDEO_SETTINGS)
    asking = where.injector.asking
    story = Generating(where, people=[place_person(where, 1), place_person(where, 1)])
    where.injector.asking = asking
    over_at = where.now + TASK_SECONDS

    def report(operation: str) -> tuple[int, bytes] | None:
        if operation != "TaskInfo":
            return None
        data = {"task_id": "task-1", "status": "success" if where.now >= over_at else "running"}
        return 200, _answer(data | {"credits": 16, "result": {"code": 200, "media_urls": [_NOWHERE]}})

    where.injector.instead = report
    where.play(story.story())
    where.settle()
    where.injector.instead = lambda _: None
    where.api("GET", "/generations/{generation_id}", generation_id=story.id)
    where.api("GET", "/sessions/{session_id}/uses", session_id=story.people[0].session_id)
    other = Generating(where, people=story.people)
    where.injector.asking = asking
    other.ask()
    canceled = where.api("POST", "/generations/{generation_id}/cancel", generation_id=other.id)
    generation = story.row()
    if canceled.status != 200 or generation is None or generation.status is not GenerationStatus.SUCCEEDED:
        raise RuntimeError("the recorded generation did not finish")
    where.injector.instead = report
    created = where.crun_route("CreateTask", body=VideoCaller(where, story.people[0]).body)
    where.crun_route("TaskInfo", task_id=created.body["data"]["task_id"])
    where.settle()
    where.injector.instead = lambda _: None


def _play_crun_caller(where: SimulatedAws) -> None:
    """Calls crun's own routes; the file cannot be downloaded, because no server has it during a replay."""
    opened = where.crun_route("visual-validate-session", body={"callback_url": CALLBACK}).body["data"]
    where.browser(take_check(opened["H5Link"], "pass"))
    where.settle()
    group_id = where.crun_route("visual-validate-result", byted_token=opened["BytedToken"]).body["data"]["GroupId"]
    file = {"name": "face", "asset_type": "Image", "asset_url": _NOWHERE, "group_id": group_id}
    asset_id = where.crun_route("asset-upload", body=file).body["data"]["AssetId"]
    where.crun_route("asset-info", asset_id=asset_id)


def _answer(data: dict[str, Any]) -> bytes:
    return json.dumps({"code": 200, "message": "success", "data": data}).encode()


def environment_now() -> dict[str, str]:
    """Returns the functions' environment inside simulated AWS."""
    return _constants() | {name: os.environ[name] for name in _variables()}


def _constants() -> dict[str, str]:
    """Returns the variables that have the same value for every function."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if isinstance(value, str)}


def _variables() -> list[str]:
    """Returns the names of the variables that the template sets for any function."""
    functions = [each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::Serverless::Function"]
    found = {name for each in functions for name in each["Environment"]["Variables"]}
    return sorted(found & set(os.environ))
