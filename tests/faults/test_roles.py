"""Each function's role allows what the function does, and nothing else: recorded over everything that it can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from likeness.steps import poll_assets
from tests.faults.cloud import Cloud, cloud
from tests.faults.explore import SETTINGS
from tests.faults.onboarding import FACES, Onboarding, registration, take_check
from tests.faults.wire import Fault
from tests.functions import FUNCTIONS, task_of
from tests.template_file import ASL, RESOURCES

#: What the platform does with a function's role, on its behalf: it never passes through the function's clients.
PLATFORM = {
    # The event source mapping reads the queue (Lambda guide, "Using Lambda with Amazon SQS").
    ("start_onboarding", "sqs:ReceiveMessage", "OnboardingQueue"),
    ("start_onboarding", "sqs:DeleteMessage", "OnboardingQueue"),
    ("start_onboarding", "sqs:GetQueueAttributes", "OnboardingQueue"),
    # EventInvokeConfig's destination for events that failed.
    ("check_upload", "sqs:SendMessage", "UploadDeadLetterQueue"),
    # Powertools reads a record where DynamoDB does not hand it out with the failed condition.
    ("create_session", "dynamodb:GetItem", "IdempotencyTable"),
    # Presigning calls nobody: whoever holds the form or the URL acts with the role of the function that signed it.
    ("create_session", "s3:PutObject", "UploadBucket/uploads"),
    ("register_asset", "s3:PutObject", "UploadBucket/uploads"),
    ("submit_asset", "s3:GetObjectVersion", "UploadBucket/uploads"),
    ("submit_asset", "s3:GetObjectVersion", "UploadBucket/inbox"),
}
_TABLES = {"Table": "Table", "IdempotencyTable": "IdempotencyTable"}
_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
Used = set[tuple[str, str, str]]


class Recorder:
    """Hears each call of the functions with its parameters, as (function, IAM action, resource of the template)."""

    def __init__(self, where: Cloud) -> None:
        self.where, self.used = where, set[tuple[str, str, str]]()
        for service in ("dynamodb", "sqs", "s3", "secretsmanager", "stepfunctions"):
            events = where.functions_client(service).meta.events
            events.register_last(f"provide-client-params.{service}", self._hear)

    def _hear(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        function = self.where.wire.by
        if function is None:
            return
        service, operation = model.service_model.service_name, model.name
        if operation == "CreateBucket":
            return  # what botocore looks up for a presigned form; nothing is called
        for action, resource in _needs(service, operation, params, self.where):
            self.used.add((function, action, resource))


def _needs(service: str, operation: str, params: dict[str, Any], where: Cloud) -> Iterator[tuple[str, str]]:
    if operation == "TransactWriteItems":
        for item in params["TransactItems"]:
            for kind, part in item.items():
                yield f"dynamodb:{_PARTS[kind]}", _TABLES[part["TableName"]]
    elif service == "dynamodb":
        index = params.get("IndexName")
        yield f"dynamodb:{operation}", _TABLES[params["TableName"]] + (f"/index/{index}" if index else "")
    elif service == "sqs":
        dead = params["QueueUrl"] == where.dead_letter_url
        yield f"sqs:{operation}", "OnboardingDeadLetterQueue" if dead else "OnboardingQueue"
    elif service == "secretsmanager":
        name = "CrunApiKeySecret" if ":secret:crun" in params["SecretId"] else "SigningKeySecret"
        yield f"secretsmanager:{operation}", name
    elif service == "stepfunctions":
        yield f"states:{operation}", "OnboardPerson" if operation == "StartExecution" else "OnboardPerson/executions"
    elif operation == "ListObjectVersions":
        yield "s3:ListBucketVersions", "UploadBucket"
    else:
        version = "Version" if params.get("VersionId") else ""
        yield f"s3:{operation}{version}", f"UploadBucket/{params['Key'].split('/')[0]}"


def _resource(value: Any) -> Iterator[str]:
    """The template's resources in a statement, in the words of ``_needs``."""
    if isinstance(value, list):
        for each in value:
            yield from _resource(each)
        return
    text = next(iter(value.values()))
    name = text if isinstance(text, str) else ".".join(text)
    if found := re.fullmatch(r"\$\{(\w+)\.Arn\}/(.*?)/?\*?", name):
        yield f"{found[1]}/{found[2]}"
    elif "execution:${OnboardPerson.Name}:*" in name:
        yield "OnboardPerson/executions"
    else:
        yield name.removesuffix(".Arn")


def _allowed() -> Used:
    found: Used = set()
    for resource in RESOURCES.values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        function = resource["Properties"]["CodeUri"].removeprefix("functions/")
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
                for action in statement["Action"]:
                    found |= {(function, action, each) for each in _resource(statement["Resource"])}
    return found


# -- everything that the functions can do ------------------------------------------------------------------------


def _onboardings(where: Cloud) -> None:
    """Files before and after the check and from the inbox; a throttled and an ambiguous upload; an erasure."""
    story = Onboarding(where)
    where.tell(story.story())
    where.settle()
    view = where.api("POST", "/sessions", body={"start": "on_open"}).body
    token = view["invite_url"].partition("#")[2]
    assert where.api("GET", "/sessions/{session_id}", session_id=view["id"], key=token).status == 200
    for path in ("/sessions/{session_id}", "/sessions"):
        where.api("GET", path, session_id=story.session_id)
    asset = where.store.list_assets(story.session_id)[0]
    where.api("GET", "/sessions/{session_id}/assets/{asset_id}", session_id=story.session_id, asset_id=asset.id)
    where.put_object(f"inbox/{story.session_id}/bad.jpg", b"no picture")
    where.settle()
    where.api("DELETE", "/sessions/{session_id}", session_id=story.session_id)
    where.put_object(f"inbox/{story.session_id}/late.jpg", FACES[0])
    where.put_object(f"uploads/{story.session_id}/{asset.id}/file", FACES[0])
    where.settle()


def _attempts(where: Cloud) -> None:
    """A failed check, a fresh attempt, an abandoned link; a creation that fails and comes again by its key."""
    view = where.api("POST", "/sessions", idempotency_key="a", body={}).body
    where.browser(take_check(view["attempt"]["h5_link"], "fail"))
    where.api("POST", "/sessions/{session_id}/attempts", session_id=view["id"])
    where.settle()
    where.wire.weather = lambda service, _: Fault.FAILS if service == "crun" else None
    where.api("POST", "/sessions", idempotency_key="b", body={})
    where.wire.weather = lambda *_: None
    where.api("POST", "/sessions", idempotency_key="b", body={})
    where.settle()


def _executions(where: Cloud) -> None:
    """An execution that hands over, a driver that died, a claim that lost its race; a message nobody can read."""
    view = where.api("POST", "/sessions", body={"assets": [registration(0), registration(1)]}).body
    keys = [each["upload"]["fields"]["key"] for each in view["assets"]]
    where.put_object(keys[0], FACES[0])
    where.settle(2)
    where.browser(take_check(view["attempt"]["h5_link"], "pass"))
    where.settle(3)
    (running,) = [name for name, status in where.executions.items() if status == "RUNNING"]
    where.abort(running)
    where.put_object(keys[1], FACES[1])
    where.settle()
    where.send("{poison")
    where.settle()


def _dead_claim(where: Cloud) -> None:
    """A generation whose execution ended before it claimed anything."""
    view = where.api("POST", "/sessions", body={"assets": [registration(0)]}).body
    where.browser(take_check(view["attempt"]["h5_link"], "pass"))
    where.settle()
    where.on_start = where.abort
    where.put_object(view["assets"][0]["upload"]["fields"]["key"], FACES[0])
    where.settle(1.5)
    where.on_start = lambda _: None
    where.send(f'{{"type": "assets_ready", "session_id": "{view["id"]}"}}')
    where.settle()
    assert [each.status.value for each in where.store.list_assets(view["id"])] == ["active"]


def _race(where: Cloud) -> None:
    """An erasure between a poll round's reading and its writing."""
    view = where.api("POST", "/sessions", body={"assets": [registration(0)]}).body
    where.put_object(view["assets"][0]["upload"]["fields"]["key"], FACES[0])
    where.settle(2)
    where.browser(take_check(view["attempt"]["h5_link"], "pass"))

    def erase_first(call: str, _: str) -> None:
        if call == "asset-info" and where.now > asked + 4:
            where.api("DELETE", "/sessions/{session_id}", session_id=view["id"])

    asked, where.wire.asking = where.now, erase_first
    where.settle()
    where.wire.asking = where.asking


STORIES: tuple[Callable[[Cloud], None], ...] = (_onboardings, _attempts, _executions, _dead_claim, _race)


@pytest.fixture(scope="module")
def used() -> Used:
    """What was used over all stories, with calls that die in between where a branch needs that."""
    with cloud(SETTINGS) as where, pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(where)
        for story in STORIES:
            where.begin({})
            story(where)
        patch.setattr(poll_assets, "MAX_ROUNDS", 1)
        where.begin({})
        _onboardings(where)
        return recorder.used | PLATFORM


def test_everything_that_is_used_is_allowed(used: Used) -> None:
    assert used - _allowed() == set()


def test_everything_that_is_allowed_is_used(used: Used) -> None:
    assert _allowed() - used == set()


def test_every_function_with_a_role_of_its_own_was_heard(used: Used) -> None:
    assert {function for function, _, _ in used} == set(FUNCTIONS)


def test_the_state_machine_may_call_its_four_functions_and_write_the_table() -> None:
    statements = RESOURCES["OnboardPersonRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {
        (action, each)
        for statement in statements
        if statement.get("Sid") != "LogDelivery"
        for action in statement["Action"]
        for each in _resource(statement["Resource"])
    }
    called = {task_of(each) for each in re.findall(r"\$\{(\w+FunctionArn)\}", str(ASL))}
    functions = {"".join(word.capitalize() for word in each.split("_")) + "Function" for each in called}
    assert allowed == {("dynamodb:UpdateItem", "Table")} | {("lambda:InvokeFunction", each) for each in functions}


def test_a_planted_permission_is_found(used: Used) -> None:
    planted = ("get_session", "dynamodb:DeleteItem", "Table")
    assert (_allowed() | {planted}) - used == {planted}
    assert used - (_allowed() - {("get_session", "dynamodb:GetItem", "Table")}) != set()
