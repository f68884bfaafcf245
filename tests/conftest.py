"""Settings of Hypothesis for all tiers, and the deployed stack for the tiers that need one.

Hypothesis has no deadlines, because durations vary on a shared machine. In CI it repeats the same examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import settings

if TYPE_CHECKING:  # slow imports that only the tiers with a stack need
    from local.stack import Stack
    from ops.client_keys import ClientKeys
    from tests.integration.conftest import Api, Canaries, Listener, SimulatorControl

pytest.register_assert_rewrite("tests.integration.hygiene")

settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def state_file(worker_id: str) -> Path:
    """The state file of this worker's stack. All workers share one folder, so that sources are built once."""
    return Path(f".local/test-{worker_id}.json")


@pytest.fixture(scope="session")
def canaries() -> Canaries:
    """The secrets and names that must not appear in any log."""
    from tests.integration.conftest import Canaries

    return Canaries()


@pytest.fixture(scope="session")
def stack(state_file: Path, canaries: Canaries) -> Iterator[Stack]:
    """The deployed stack, one per worker."""
    from local.stack import running_stack
    from tests.integration.conftest import options

    with running_stack(options(state_file)) as running:
        canaries.secrets |= {running.api_key, running.crun_api_key}
        # All tests of a worker spend from one account.
        requests.post(f"{running.simulator_url}/_sim/settings", json={"balance": 1e6}, timeout=10).raise_for_status()
        yield running


@pytest.fixture(scope="session")
def listener(stack: Stack) -> Listener:
    """A customer's subscription to the event bus."""
    from tests.integration.conftest import Listener

    return Listener.on(stack)


@pytest.fixture(scope="session")
def keys(stack: Stack) -> ClientKeys:
    """The client keys of the stack."""
    from local import emulator
    from ops.client_keys import ClientKeys

    return ClientKeys(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"])


@pytest.fixture(scope="session")
def api(stack: Stack, canaries: Canaries, listener: Listener) -> Iterator[Api]:
    """The API for the stack's own client. After a worker's last test, its stored data and logs are checked."""
    from tests.integration.conftest import Api
    from tests.integration.hygiene import Remains, check

    yield Api(stack, stack.api_key, canaries)
    check(Remains.of(stack, listener), canaries)


@pytest.fixture
def crun(stack: Stack) -> Iterator[SimulatorControl]:
    """The simulator of the stack. Faults are reset before and after the test."""
    from tests.integration.conftest import SimulatorControl

    assert stack.simulator_url
    control = SimulatorControl(stack.simulator_url)
    control.calm()
    yield control
    control.calm()
