"""Two hundred files stored concurrently for one person: each is checked and counted, and no event is dropped."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from likeness.domain.session import MAX_ASSETS_PER_SESSION
from local import emulator
from tests.integration.conftest import Api

TIMEOUT_SECONDS = 300
#: Each invocation is a separate process on the emulator.
RUNS_AT_ONCE = 12


@pytest.fixture
def check_upload(api: Api) -> Iterator[str]:
    """Limits the function's concurrency, as on a small account; yields its name."""
    functions, name = emulator.client("lambda", api.stack.emulator_endpoint), api.stack.resource("CheckUploadFunction")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=RUNS_AT_ONCE)
    yield name
    functions.delete_function_concurrency(FunctionName=name)


def waiting(api: Api) -> int:
    """Returns the number of events in the dead-letter queue."""
    url = api.stack.resource("UploadDeadLetterQueue")
    names = ["ApproximateNumberOfMessages"]
    found = emulator.client("sqs", api.stack.emulator_endpoint).get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.timeout(900)
def test_200_files_dropped_into_inbox_within_half_a_second(api: Api, check_upload: str) -> None:
    session = api.session(start="on_open")
    s3 = emulator.client("s3", api.stack.emulator_endpoint)
    functions = emulator.client("lambda", api.stack.emulator_endpoint)
    bucket = api.stack.outputs["UploadBucketName"]
    dropped = waiting(api)
    dropped_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def drop(number: int) -> dict[str, Any]:
        key, body = f"inbox/{session['id']}/{number:03}.jpg", b"no picture"
        version = s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        about = {"key": key, "size": len(body), "version-id": version}
        return {"id": key, "time": dropped_at, "detail": {"bucket": {"name": bucket}, "object": about}}

    def deliver(event: dict[str, Any]) -> None:
        """Retries an event as Lambda does: for hours when it is throttled, twice when it failed."""
        failures = 0
        for _ in range(100):
            try:
                answer = functions.invoke(FunctionName=check_upload, Payload=json.dumps(event))
            except functions.exceptions.TooManyRequestsException:
                time.sleep(0.5)
                continue
            if "FunctionError" not in answer:
                return
            failures += 1
            assert failures <= 2, answer["Payload"].read()
        raise AssertionError("the function was throttled all the time")

    def checked() -> dict[str, str]:
        return {each["name"]: each["status"] for each in api.get(session["id"])["assets"]}

    with ThreadPoolExecutor(2 * RUNS_AT_ONCE) as pool:
        events = list(pool.map(drop, range(MAX_ASSETS_PER_SESSION)))
        seen, deadline = -1, time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and len(checked()) > seen:
            seen = len(checked())
            time.sleep(4)
        there = checked()
        list(pool.map(deliver, [each for each in events if each["id"].rpartition("/")[2] not in there]))
    statuses = Counter(checked().values())
    assert statuses == {"failed": MAX_ASSETS_PER_SESSION}, "each was checked, and none is a picture"
    assert waiting(api) == dropped
