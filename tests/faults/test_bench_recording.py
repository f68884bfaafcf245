"""The recorded stories of the bench reach every function, so that each start can be replayed."""

from __future__ import annotations

import pytest

from bench.studies.recording import record
from tests.functions import FUNCTIONS


@pytest.mark.slow
def test_every_function_is_recorded() -> None:
    recordings, environment = record()
    assert set(recordings) == set(FUNCTIONS)
    assert environment
    # botocore reads a body of S3 that is no XML as a failure, and would repeat the call.
    stored = [each for found in recordings.values() for each in found.exchanges if each.operation == "PutObject"]
    assert stored
    assert {each.body for each in stored} == {b""}
