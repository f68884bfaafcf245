"""Unit tests are pure, or talk to moto inside this process: none may open a socket."""

from __future__ import annotations

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    disable_socket(allow_unix_socket=True)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
