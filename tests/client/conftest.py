"""Fixtures: the client and a server that fails as scripted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from likeness_client import Client, Poll, Retry
from tests.client.server import Script, scripted_server
from tests.contract_file import EXAMPLES

API_KEY = "lk_the-key-that-nobody-may-see"
#: Delays that are not zero, but very short.
QUICK = Retry(base_seconds=0.002, longest_seconds=0.01)
QUICK_POLL = Poll(first_seconds=0.002, longest_seconds=0.01)


def example(name: str, **changes: Any) -> dict[str, Any]:
    """Returns an example of the contract, with some properties changed."""
    document: dict[str, Any] = EXAMPLES[name]["value"] | changes
    return document


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def client(server: Script) -> Iterator[Client]:
    with Client(f"{server.url}/v1", API_KEY, timeout=5, retry=QUICK, poll=QUICK_POLL) as made:
        yield made
