"""A deployed stage, reached with LIKENESS_API_URL and LIKENESS_API_KEY only."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from likeness_client import Client
from local.media import DemoMedia, make_media


@pytest.fixture(scope="session")
def api_url() -> str:
    """The stage's base URL, without a trailing slash."""
    return os.environ["LIKENESS_API_URL"].rstrip("/")


@pytest.fixture(scope="session")
def api_key() -> str:
    """The client key."""
    return os.environ["LIKENESS_API_KEY"]


@pytest.fixture(scope="session")
def likeness(api_url: str, api_key: str) -> Iterator[Client]:
    with Client(api_url, api_key) as client:
        yield client


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> DemoMedia:
    return make_media(tmp_path_factory.mktemp("media"))
