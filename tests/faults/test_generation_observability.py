"""Logs and metrics of one generation: ids on every line, and one correlation id from the API to crun."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.domain.metrics import Metric
from tests.faults.generating import PARAMETERS, SETTINGS, Generating
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.functions import GENERATION_TASKS

_REQUESTS = {"create_generation", "get_generation", "cancel_generation", "receive_task"}
OF_GENERATIONS = {*_REQUESTS, *GENERATION_TASKS}
Line = dict[str, Any]


@pytest.fixture(scope="module")
def video() -> Iterator[Generating]:
    """A completed generation, followed by requests that are refused."""
    with simulated_aws(SETTINGS, **PARAMETERS) as where:
        where.begin({})
        made = Generating(where)
        where.play(made.story())
        where.settle()
        assert made.files()
        _send_refused_requests(where, made)
        yield made


def _send_refused_requests(where: SimulatedAws, video: Generating) -> None:
    """Sends each route a request that it refuses, because successes log little."""
    other = {"generation_id": video.id[:-1] + ("0" if video.id[-1] != "0" else "1")}
    where.api("POST", "/generations", body={"unheard": 1})
    where.api("GET", "/generations/{generation_id}", **other)
    where.api("GET", "/generations/{generation_id}", generation_id="a secret")
    where.api("POST", "/generations/{generation_id}/cancel", generation_id=video.id)
    where.api("DELETE", "/generations/{generation_id}", **other)
    where.task_callback(f"https://likeness.example/v1/task/{video.id}/forged", {})


def _lines(where: SimulatedAws) -> dict[str, list[Line]]:
    """Returns all lines except metrics, by function."""
    found = defaultdict(list)
    for line in map(json.loads, where.logs):
        if "_aws" not in line:
            found[line["function_name"]].append(line)
    return found


def test_every_line_has_its_ids(video: Generating) -> None:
    lines = _lines(video.account)
    assert set(lines) == OF_GENERATIONS
    for function, written in lines.items():
        wanted = {"function_request_id"}
        wanted |= {"request_id"} if function in _REQUESTS else {"generation_id", "execution", "correlation_id"}
        for line in written:
            assert wanted <= set(line), (function, line)


def test_lines_about_a_generation_name_it_and_no_line_has_a_malformed_id(video: Generating) -> None:
    lines = _lines(video.account)
    assert {line["generation_id"] for function in GENERATION_TASKS for line in lines[function]} == {video.id}
    assert all(line["generation_id"].startswith("gen_") for line in lines["cancel_generation"])
    (created,) = [line for line in lines["create_generation"] if line["message"] == "generation requested"]
    assert (created["generation_id"], created["status"]) == (video.id, "queued")
    assert not any("a secret" in line for line in video.account.logs)
    assert [line.get("generation_id") for line in lines["receive_task"] if line["message"] == "refused"] == [video.id]


def test_one_correlation_id_is_used_from_the_api_to_crun(video: Generating) -> None:
    where = video.account
    (root, *_) = [root for route, root in where.traced if route == "POST /generations"]
    generation = video.row()
    assert generation
    assert generation.correlation_id == root
    assert [json.loads(each) for each in where.inputs.values()] == [{"generation_id": video.id, "correlation_id": root}]
    lines = _lines(where)
    assert {line["correlation_id"] for function in GENERATION_TASKS for line in lines[function]} == {root}
    calls = [each for each in where.simulator.log() if each.call != "media"]
    assert {each.call for each in calls} == {"estimate", "create_task", "task_info"}
    assert {each.correlation_id for each in calls} == {root}


def test_each_call_to_crun_is_logged_and_measured(video: Generating) -> None:
    where = video.account
    logged = [line for lines in _lines(where).values() for line in lines if line["message"] == "crun called"]
    assert len(logged) == sum(each.call != "media" for each in where.simulator.log())
    assert {(line["call"], line["outcome"]) for line in logged} == {
        ("EstimateTask", "ok"), ("CreateTask", "ok"), ("TaskInfo", "ok")
    }  # fmt: skip
    metrics = [line for line in map(json.loads, where.logs) if "_aws" in line]
    measured = [line for line in metrics if Metric.CRUN_CALL_SECONDS.value in line]
    assert {(line["call"], line["outcome"]) for line in measured} == {(line["call"], "ok") for line in logged}
    dimensions = {
        name for line in metrics for names in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for name in names
    }
    assert dimensions <= {"service", "code", "call", "outcome"}
