"""The settings of the deployed stack, and callers that behave like customers."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local import emulator
from local.media import DemoMedia, make_media
from local.processes import free_port
from local.simulator import hash_token
from local.stack import Options, Stack
from ops.client_keys import ClientKeys

#: Long enough for a person who passes immediately, short enough to wait for in a test.
LINK_CHECK_SECONDS = 20
TIMEOUT_SECONDS = 180
#: A webhook that fails this often, a second apart, is a dead letter.
WEBHOOK_TRIES = 4


def options(state_file: Path) -> Options:
    """Returns options for a stack with short pauses, on free ports."""
    return Options(
        state_file=state_file,
        port=free_port(),
        emulator_port=free_port(),
        parameters=(
            f"LinkCheckDelaySeconds={LINK_CHECK_SECONDS}",
            "PollFirstDelaySeconds=1",
            "PollMaxDelaySeconds=2",
            "CrunRequestsPer10s=200",
            "WebhookRetrySeconds=1",
            f"WebhookTries={WEBHOOK_TRIES}",
        ),
    )


@dataclass
class Canaries:
    """Values of the tests that no log may contain: secrets in any log, personal data in the application's."""

    secrets: set[str] = field(default_factory=set)
    personal: set[str] = field(default_factory=set)

    def notice(self, document: Any) -> None:
        """Collects keys, tokens, links and signatures from a response."""
        text = str(document)
        for pattern in (
            r"st_ses_[\w.-]+",
            r"rt_[\w-]{43}",
            r"bytedToken=(\w+)",
            r"X-Signature=[^&\s']+",
            r"x-amz-signature': '(\w+)",
            r"'policy': '([\w=+/]+)",
            r"'h5_link': '([^']+)",
        ):
            self.secrets |= set(re.findall(pattern, text, re.IGNORECASE))

    def notice_request(self, body: Any) -> None:
        """Collects what a caller sent about a person: references, file names, return URLs."""
        if isinstance(body, dict):
            written = [body.get("reference"), body.get("return_url"), body.get("name")]
            written += [each.get("name") for each in body.get("assets") or []]
            asked = [each for each in body.get("requests") or [] if isinstance(each, dict)]
            written += [each.get(name) for each in asked for name in ("name", "hint")]
            # Short words occur in harmless lines.
            self.personal |= {each for each in written if isinstance(each, str) and len(each) >= 8}


@dataclass
class Api:
    """A caller with one credential."""

    stack: Stack
    credential: str | None
    canaries: Canaries

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends a request with the credential. Does not follow redirects."""
        headers = ({"x-api-key": self.credential} if self.credential else {}) | options.pop("headers", {})
        self.canaries.notice_request(options.get("json"))
        answer = requests.request(
            method, self.stack.api_url + path, headers=headers, timeout=40, allow_redirects=False, **options
        )
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            self.canaries.notice(answer.json())
        return answer

    def session(self, **body: Any) -> dict[str, Any]:
        """Creates a session and returns it."""
        answer = self("POST", "/sessions", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def get(self, session_id: str) -> dict[str, Any]:
        """Returns the current session."""
        answer = self("GET", f"/sessions/{session_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait(self, session_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Polls until ``done`` is true for the session, and returns it."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            found = self.get(session_id)
            if done(found):
                return found
            time.sleep(0.3)
        raise AssertionError(f"not done within {TIMEOUT_SECONDS} s: {found['status']}, {found['assets']}")

    def with_credential(self, credential: str | None) -> Api:
        """Returns the same API with another credential."""
        return Api(self.stack, credential, self.canaries)


@dataclass
class SimulatorControl:
    """The simulator's control API."""

    url: str

    def fault(self, **rule: Any) -> None:
        """Adds one rule."""
        requests.post(f"{self.url}/_sim/faults", json=[rule], timeout=10).raise_for_status()

    def calm(self) -> None:
        """Removes all rules."""
        requests.delete(f"{self.url}/_sim/faults", timeout=10).raise_for_status()

    @contextmanager
    def outcomes(self, *rules: dict[str, Any]) -> Iterator[None]:
        """In the block, uploads to crun whose names match a rule end as it says. Names should be the test's own."""
        requests.post(f"{self.url}/_sim/settings", json={"asset_outcomes": rules}, timeout=10).raise_for_status()
        try:
            yield
        finally:
            requests.post(f"{self.url}/_sim/settings", json={"asset_outcomes": []}, timeout=10).raise_for_status()

    def calls(self, name: str) -> int:
        """Returns the number of calls of that name."""
        state = requests.get(f"{self.url}/_sim/state", timeout=10).json()
        return int(state["calls"].get(name, 0))

    def lookups(self, h5_link: str) -> int:
        """Returns the number of result look-ups for the byted token of that link."""
        (token,) = parse_qs(urlsplit(h5_link).query)["bytedToken"]
        return self.tokens("result").count(hash_token(token))

    def tokens(self, call: str) -> list[str]:
        """Returns the hashes of the byted tokens of calls of that name, oldest first.

        Sessions of other tests still cause calls, so the total number of calls says little.
        """
        entries = requests.get(f"{self.url}/_sim/log", timeout=10).json()["entries"]
        return [each["token_hash"] for each in entries if each["call"] == call and each["token_hash"]]


@pytest.fixture(scope="session")
def other_client(api: Api, keys: ClientKeys, canaries: Canaries) -> Api:
    key = keys.add("other", ["https://app.example.com"])
    canaries.secrets.add(key)
    return api.with_credential(key)


@dataclass
class Listener:
    """A customer's rule on the event bus, and the queue that it fills. ``events`` are those received, by id."""

    stack: Stack
    url: str
    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def on(cls, stack: Stack) -> Listener:
        """Creates the rule and the queue."""
        bus, events = stack.outputs["EventBusName"], emulator.client("events", stack.emulator_endpoint)
        sqs = emulator.client("sqs", stack.emulator_endpoint)
        url = sqs.create_queue(QueueName="customer")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="customer", EventBusName=bus, EventPattern=json.dumps({"source": ["likeness"]}))
        events.put_targets(Rule="customer", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return cls(stack, url)

    def receive(self) -> None:
        """Receives all messages in the queue."""
        sqs = emulator.client("sqs", self.stack.emulator_endpoint)
        while found := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for each in found:
                event = json.loads(each["Body"])
                self.events[event["detail"]["id"]] = event
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])

    def wait(self, session_id: str, kinds: Counter[str]) -> list[dict[str, Any]]:
        """Waits until at least ``kinds`` were received about a session; returns its events."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            self.receive()
            about = [each for each in self.events.values() if each["detail"].get("session_id") == session_id]
            if Counter(each["detail-type"].removeprefix("likeness.") for each in about) >= kinds:
                return about
            time.sleep(0.3)
        raise AssertionError(f"not published within {TIMEOUT_SECONDS} s: {[each['detail-type'] for each in about]}")


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))


def face_check(h5_link: str, outcome: str = "pass", person: str = "alice") -> str:
    """Performs the face check; returns the callback URL of the redirect."""
    back = requests.post(h5_link, data={"outcome": outcome, "person": person}, timeout=30, allow_redirects=False)
    assert back.status_code == 303, back.status_code
    return back.headers["Location"]


def come_back(callback_url: str) -> requests.Response:
    """Opens the callback as the browser does."""
    return requests.get(callback_url, timeout=30, allow_redirects=False)


def agree(person: Api, session_id: str, language: str = "en") -> dict[str, Any]:
    """Agrees to the current text; returns the recorded consent."""
    text = person("GET", "/consent", params={"language": language}).json()
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    answer = person("POST", f"/sessions/{session_id}/consent", json=agreed)
    assert answer.status_code in (200, 201), answer.text
    recorded: dict[str, Any] = answer.json()
    return recorded


def registration(file: Path, asset_type: str, content_type: str, name: str | None = None) -> dict[str, Any]:
    """Returns the body that registers ``file``."""
    size = file.stat().st_size
    return {"name": name or file.name, "asset_type": asset_type, "content_type": content_type, "size_bytes": size}


def send_file(form: dict[str, Any], content: bytes) -> requests.Response:
    """Uploads a file with a presigned form."""
    return requests.post(form["url"], data=form["fields"], files={"file": content}, timeout=30)


def made_long_ago(api: Api, session_id: str) -> None:
    """Makes the first link of a session half an hour old, so that crun's first "not yet" is final."""
    emulator.client("dynamodb", api.stack.emulator_endpoint).update_item(
        TableName=api.stack.outputs["TableName"],
        Key={"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="ADD attempts.#one.created_at :past",
        ExpressionAttributeNames={"#one": "1"},
        ExpressionAttributeValues={":past": {"N": "-1801"}},
    )


def settled(session: dict[str, Any]) -> bool:
    """Returns whether every asset is active or failed."""
    return all(each["status"] in ("active", "failed") for each in session["assets"])


def facts_of_consumer(api: Api, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Waits until the log lines of the onboarding queue's consumer are ``enough``; returns them.

    The emulator can keep the last lines of a run until the function runs again, so an empty batch is sent meanwhile.
    """
    logs = emulator.client("logs", api.stack.emulator_endpoint)
    functions = emulator.client("lambda", api.stack.emulator_endpoint)
    consumer = api.stack.resource("StartOnboardingFunction")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/cloudformation/likeness/StartOnboardingFunctionLogs"
        )
        texts = [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
        found = [json.loads(each) for each in texts if each.startswith("{")]
        if enough(found):
            return found
        assert time.monotonic() < deadline, f"not logged within {TIMEOUT_SECONDS} s"
        time.sleep(1)
        functions.invoke(FunctionName=consumer, Payload=json.dumps({"Records": []}))


def wait_until_read(api: Api, session_ids: list[str]) -> None:
    """Waits until the onboarding queue's consumer has read a message for each given session id."""

    def all_read(found: list[dict[str, Any]]) -> bool:
        read = Counter(each["session_id"] for each in found if each.get("message") == "message read")
        return read >= Counter(session_ids)

    facts_of_consumer(api, all_read)
