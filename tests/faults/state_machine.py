"""Interprets the state machines of statemachine/ in simulated time.

Unlike moto's interpreter (tests/workflow), this one can be stopped at every call. It supports what the documents
use and rejects everything else.
"""

from __future__ import annotations

import heapq
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.functions import task_of
from tests.template_file import ROOT

#: A generator that yields pauses in seconds.
Steps = Generator[float, None, Any]
_TASK = re.compile(r"\$\{(\w+FunctionArn)\}")


class StateError(Exception):
    """A state's error, with the name that Retry and Catch match."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name

    def matches(self, names: list[str]) -> bool:
        """Returns whether an ErrorEquals list matches the error."""
        return bool({self.name, "States.ALL"} & set(names)) or (
            "States.TaskFailed" in names and self.name != "States.Timeout"
        )


@dataclass
class StateMachine:
    """Runs executions of both machines.

    ``call(function, payload)`` and ``update_item(parameters)`` raise StateError when they fail.
    """

    call: Callable[[str, Any], Any]
    update_item: Callable[[dict[str, Any]], Any]
    table: str
    chance: random.Random
    now: Callable[[], float] = lambda: 0.0
    #: The largest input or output of any state so far, in bytes; Step Functions allows 262,144.
    largest: int = 0
    #: History events of each execution, as Step Functions writes them; it allows 25,000.
    events: Counter[str] = field(default_factory=Counter)
    #: State transitions of each execution, as they are billed: each state entered, and each retry.
    transitions: Counter[str] = field(default_factory=Counter)
    #: Outputs of the tasks of each execution, as its history has them.
    outputs: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        for file in (ROOT / "statemachine").iterdir():
            text = file.read_text("utf-8").replace("${TableName}", self.table).replace("${Partition}", "aws")
            self.documents[file.name.partition(".")[0]] = json.loads(text)

    def execute(self, name: str, document: dict[str, Any], machine: str = "onboard_person") -> Steps:
        """Runs ``machine`` to the end; returns ``SUCCEEDED``, ``FAILED`` or ``TIMED_OUT``."""
        about = {"Name": name, "Input": json.loads(json.dumps(document)), "StartTime": self._time()}
        definition = self.documents[machine]
        until = self.now() + definition["TimeoutSeconds"]
        run = self._run(definition, document, {"Execution": about})
        while True:
            try:
                pause = next(run)
            except StopIteration as ended:
                return ended.value
            if self.now() + pause >= until:
                yield until - self.now()
                return "TIMED_OUT"
            yield pause

    def _time(self) -> str:
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _run(self, machine: dict[str, Any], data: Any, context: dict[str, Any]) -> Steps:
        state_name = machine["StartAt"]
        while True:
            state = machine["States"][state_name]
            self._note(state, data, context)
            context = context | {"State": {"Name": state_name, "EnteredTime": self._time()}}
            if state["Type"] == "Fail":
                return "FAILED"
            if state["Type"] == "Succeed":
                return "SUCCEEDED"
            if state["Type"] == "Choice":
                state_name = _choose(state, data)
                continue
            try:
                data = yield from self._attempts(state, data, context)
            except StateError as error:
                handler = next((each for each in state.get("Catch", []) if error.matches(each["ErrorEquals"])), None)
                if handler is None:
                    return "FAILED"
                data, state_name = _put(data, handler.get("ResultPath", "$"), {"Error": error.name}), handler["Next"]
                continue
            if state.get("End"):
                return "SUCCEEDED"
            state_name = state["Next"]

    def _note(self, state: dict[str, Any], data: Any, context: dict[str, Any]) -> None:
        self.largest = max(self.largest, len(json.dumps(data)))
        # Entered and exited; the last state of an execution is followed by the execution's own end.
        self.events[context["Execution"]["Name"]] += 2
        self.transitions[context["Execution"]["Name"]] += 1

    def _attempts(self, state: dict[str, Any], data: Any, context: dict[str, Any]) -> Steps:
        tries = [0] * len(state.get("Retry", []))
        while True:
            try:
                # Scheduled, started, and succeeded or failed: for each try of a task, and for a map.
                self.events[context["Execution"]["Name"]] += 3 if state["Type"] in ("Task", "Map") else 0
                result = yield from self._work(state, data, context)
            except StateError as error:
                index, rule = next(
                    (pair for pair in enumerate(state.get("Retry", [])) if error.matches(pair[1]["ErrorEquals"])),
                    (0, None),
                )
                if rule is None or tries[index] >= rule.get("MaxAttempts", 3):
                    raise
                pause = min(rule["IntervalSeconds"] * rule["BackoffRate"] ** tries[index], rule["MaxDelaySeconds"])
                tries[index] += 1
                self.transitions[context["Execution"]["Name"]] += 1
                # Full jitter: anything between zero and the whole pause.
                yield self.chance.uniform(0, pause)
            else:
                if "ResultSelector" in state:
                    result = _fill(state["ResultSelector"], result, context)
                return _put(data, state.get("ResultPath", "$"), result)

    def _work(self, state: dict[str, Any], data: Any, context: dict[str, Any]) -> Steps:
        if state["Type"] == "Wait":
            yield float(_at(state["SecondsPath"], data, context))
            return data
        if state["Type"] == "Pass":
            return data
        if state["Type"] == "Map":
            items = _at(state["ItemsPath"], data, context)
            result = yield from _together([self._item(state, data, context, each) for each in items])
            return result
        assert state["Type"] == "Task", state
        parameters = _fill(state["Parameters"], data, context)
        if state["Resource"] == "arn:aws:states:::dynamodb:updateItem":
            return self.update_item(parameters)
        assert state["Resource"] == "arn:aws:states:::lambda:invoke", state
        found = _TASK.fullmatch(parameters["FunctionName"])
        assert found, parameters
        payload = self.call(task_of(found[1]), parameters.get("Payload", {}))
        self.outputs.setdefault(context["Execution"]["Name"], []).append(payload)
        return {"Payload": payload}

    def _item(self, state: dict[str, Any], data: Any, context: dict[str, Any], item: Any) -> Steps:
        self.events[context["Execution"]["Name"]] += 2
        inner = context | {"Map": {"Item": {"Value": item}}}
        ended = yield from self._run(state["ItemProcessor"], _fill(state["ItemSelector"], data, inner), inner)
        if ended != "SUCCEEDED":
            raise StateError("States.TaskFailed", "an item failed")


def _together(runs: list[Steps]) -> Steps:
    """Runs generators concurrently on one clock."""
    heap = [(0.0, index, run) for index, run in enumerate(runs)]
    now = 0.0
    while heap:
        due, index, run = heapq.heappop(heap)
        if due > now:
            yield due - now
            now = due
        try:
            heapq.heappush(heap, (now + next(run), index, run))
        except StopIteration:
            continue
    return [None] * len(runs)


def _choose(state: dict[str, Any], data: Any) -> str:
    for choice in state["Choices"]:
        if _at(choice["Variable"], data, {}) == choice["StringEquals"]:
            return str(choice["Next"])
    return str(state["Default"])


def _at(path: str, data: Any, context: dict[str, Any]) -> Any:
    if path.startswith("States.Format("):
        template, argument = re.fullmatch(r"States\.Format\('(.*)', (\S+)\)", path).groups()  # type: ignore[union-attr]
        return template.replace("{}", str(_at(argument, data, context)))
    here = context if path.startswith("$$") else data
    for part in path.lstrip("$").strip(".").split("."):
        here = here[part] if part else here
    return here


def _fill(template: Any, data: Any, context: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {
            name.removesuffix(".$"): _at(value, data, context) if name.endswith(".$") else _fill(value, data, context)
            for name, value in template.items()
        }
    return [_fill(each, data, context) for each in template] if isinstance(template, list) else template


def _put(data: Any, path: str | None, result: Any) -> Any:
    if path is None:
        return data
    if path == "$":
        return result
    assert re.fullmatch(r"\$\.\w+", path), path
    return data | {path[2:]: result}
