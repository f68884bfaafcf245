"""A replay answers every call at once: the SDK repeats a 5xx, with pauses in real time that would be measured."""

from __future__ import annotations

import pytest

from bench.studies.recording import Exchange
from bench.studies.replay import Answers


@pytest.fixture
def answers() -> Answers:
    item = Exchange("dynamodb", "GetItem", {"Key": {"pk": {"S": "SESSION#1"}}}, 200, {}, b"{}")
    made = Answers({"one": [item], "other": []})
    made.use("one")
    return made


def test_a_recorded_call_is_answered_each_time(answers: Answers) -> None:
    assert [answers.answer("dynamodb.GetItem.SESSION").status for _ in range(3)] == [200, 200, 200]
    assert answers.missed == set()


def test_a_call_that_was_not_recorded_is_named_and_not_repeated_by_the_sdk(answers: Answers) -> None:
    assert answers.answer("events.PutEvents.").status == 400
    assert answers.missed == {"events.PutEvents."}
    answers.use("other")
    assert answers.missed == set()


def test_an_execution_that_a_replay_looks_up_does_not_exist(answers: Answers) -> None:
    assert b"ExecutionDoesNotExist" in answers.answer("stepfunctions.DescribeExecution.").body
    assert answers.missed == set()
