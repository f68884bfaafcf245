"""Two hundred files dropped at once for one person: each is judged and counted, and none is given up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from likeness.domain.session import MAX_ASSETS_PER_SESSION
from local import emulator
from tests.integration.conftest import Api

PATIENCE_SECONDS = 400
#: As on an account with few to give; what finds none free comes again, as Lambda's events do.
RUNS_AT_ONCE = 12


@pytest.fixture
def few_runs(api: Api) -> Iterator[None]:
    endpoint = api.stack.emulator_endpoint
    functions = emulator.client("lambda", endpoint)
    name = emulator.client("cloudformation", endpoint).describe_stack_resource(
        StackName=api.stack.stack_name, LogicalResourceId="CheckUploadFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=RUNS_AT_ONCE)
    yield
    functions.delete_function_concurrency(FunctionName=name)


def waiting(api: Api, logical_id: str) -> int:
    """How many messages a queue of the stack holds."""
    endpoint = api.stack.emulator_endpoint
    url = emulator.client("cloudformation", endpoint).describe_stack_resource(
        StackName=api.stack.stack_name, LogicalResourceId=logical_id
    )["StackResourceDetail"]["PhysicalResourceId"]
    names = ["ApproximateNumberOfMessages"]
    found = emulator.client("sqs", endpoint).get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.timeout(900)
def test_200_files_dropped_into_inbox_within_half_a_second(api: Api, few_runs: None) -> None:
    session = api.session(start="on_open")
    s3 = emulator.client("s3", api.stack.emulator_endpoint)
    before = waiting(api, "UploadDeadLetterQueue")

    def drop(number: int) -> None:
        key = f"inbox/{session['id']}/{number:03}.jpg"
        s3.put_object(Bucket=api.stack.outputs["UploadBucketName"], Key=key, Body=b"no picture")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(drop, range(MAX_ASSETS_PER_SESSION)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    statuses: Counter[str] = Counter()
    while time.monotonic() < deadline and statuses["failed"] < MAX_ASSETS_PER_SESSION:
        time.sleep(3)
        statuses = Counter(each["status"] for each in api.get(session["id"])["assets"])
    assert statuses == {"failed": MAX_ASSETS_PER_SESSION}, "each was judged: none is a picture"
    assert waiting(api, "UploadDeadLetterQueue") == before
