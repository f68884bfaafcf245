"""crun's own routes on the deployed stack: the seconds of each call, compared with those of crun's own response.

The program is local/crun_script.py, unchanged. crun is the simulator, behind the same gateway for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from bench.studies.idle import Idle, idle
from bench.table import Row
from local import emulator
from local.crun_script import Callbacks, CrunApi, pass_check
from local.processes import free_port
from local.stack import Options, Stack, running_stack
from ops.client_keys import ClientKeys
from tests.faults.crun_caller import served_face

REPETITIONS = 9
_SETTLED_SECONDS = 60
_PARAMETERS = ("LinkCheckDelaySeconds=900", "PollFirstDelaySeconds=1", "CrunRequestsPer10s=10000")
_UPLOAD = (
    "The file is fetched, checked and stored, and crun has returned its AssetId, before the response; crun itself"
    " responds before it fetches the file."
)
_SESSION = "Likeness also sends a message, stores a row and writes to the rate limiter."
_TASK = "Likeness also checks the person, stores the row with its ledger and the intent, and starts the execution."
_MODEL = "bytedance/seedance2-0-r2v"


def rows() -> list[Row]:
    """Returns the median seconds of each call."""
    options = Options(Path(".local/bench.json"), free_port(), free_port(), parameters=_PARAMETERS)
    with ExitStack() as block:
        stack = block.enter_context(running_stack(options, lambda _: None))
        floor, url = block.enter_context(idle(stack)), block.enter_context(served_face())
        callbacks = block.enter_context(Callbacks())
        return _rows(_sides(stack, callbacks), floor, callbacks, url)


def _sides(stack: Stack, callbacks: Callbacks) -> dict[str, CrunApi]:
    origin = stack.api_url.removesuffix("/v1")
    keys = ClientKeys(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"])
    key = keys.add("bench", [callbacks.url.rpartition("/")[0]])
    # A token can be looked up several times, a file is checked immediately, and no film is rendered meanwhile.
    easy = {
        "token_mode": "reusable", "fetch_delay_seconds": 0, "settle_min_seconds": 0, "settle_max_seconds": 0,
        "balance": 1e9, "task_outcomes": [{"outcome": "never"}],
    }  # fmt: skip
    requests.post(f"{stack.simulator_url}/_sim/settings", json=easy, timeout=10).raise_for_status()
    return {"crun": CrunApi(f"{origin}/crun", stack.crun_api_key), "likeness": CrunApi(stack.api_url, key)}


def _rows(sides: dict[str, CrunApi], floor: Idle, callbacks: Callbacks, url: str) -> list[Row]:
    taken: dict[str, list[float]] = {}
    uploaded: list[tuple[str, str]] = []
    for repetition in range(REPETITIONS + 1):
        found = {"request": floor.request()}
        for side, api in sides.items():
            asset_id, seconds = _one_repetition(api, callbacks, url)
            uploaded.append((side, asset_id))
            found |= {f"{side} {call}": each for call, each in seconds.items()}
        if repetition:  # in the first one, the functions' processes start
            for name, each in found.items():
                taken.setdefault(name, []).append(each)
    for number, (side, asset_id) in enumerate(uploaded):  # they are all on their way: only the first one is waited for
        for call, each in _video(sides[side], asset_id).items():
            if number >= len(sides):
                taken.setdefault(f"{side} {call}", []).append(each)
    median = {name: statistics.median(each) for name, each in taken.items()}

    def row(call: str, goal: float, note: str = "", *, calls_crun: bool = False) -> Row:
        least = median["request"] + (median[f"crun {call}"] if calls_crun else 0)
        return Row("drop_in", call, median[f"likeness {call}"], "s", least, goal, note=note)

    calls = (
        "visual-validate-session", "visual-validate-result", "asset-upload", "asset-info", "CreateTask", "TaskInfo",
    )  # fmt: skip
    return [
        row(calls[0], 2.0, _SESSION, calls_crun=True),
        row(calls[1], 1.5),
        row(calls[2], 3.0, _UPLOAD, calls_crun=True),
        row(calls[3], 1.5),
        row(calls[4], 3.0, _TASK, calls_crun=True),
        row(calls[5], 1.5),
    ]


def _one_repetition(api: CrunApi, callbacks: Callbacks, url: str) -> tuple[str, dict[str, float]]:
    """Onboards one person with one file. Returns the file's id, and the seconds of the calls.

    The result is timed when it is available.
    """
    found: dict[str, float] = {}

    def timed(call: str, act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        answer = act()
        found[call] = time.monotonic() - began
        return answer

    made = timed("visual-validate-session", lambda: api.session(callbacks.url))
    pass_check(made["H5Link"])
    group_id = api.group_id(made["BytedToken"])
    timed("visual-validate-result", lambda: api.group_id(made["BytedToken"]))
    return timed("asset-upload", lambda: api.upload("face", "Image", url, group_id)), found


def _video(api: CrunApi, asset_id: str) -> dict[str, float]:
    """Returns the seconds of a look at a file that is Active, of a task that uses it, and of a look at the task."""
    deadline = time.monotonic() + _SETTLED_SECONDS
    while api.info(asset_id)["Status"] == "Processing" and time.monotonic() < deadline:
        time.sleep(0.2)
    began = time.monotonic()
    api.info(asset_id)
    looked = time.monotonic()
    shown = {"prompt": "[Image1] waves.", "reference_images": [f"asset://{asset_id}"], "duration": 4}
    task_id = api.create_task(_MODEL, shown)
    created = time.monotonic()
    api.task_info(task_id)
    return {
        "asset-info": looked - began,
        "CreateTask": created - looked,
        "TaskInfo": time.monotonic() - created,
    }
