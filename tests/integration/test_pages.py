"""The public pages."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Api


@pytest.mark.parametrize("path", ["/invite", "/console", "/docs"])
def test_pages_are_served_with_a_strict_policy(api: Api, path: str) -> None:
    answer = api.with_credential(None)("GET", path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_the_contract_is_served_with_every_route(api: Api) -> None:
    document = api.with_credential(None)("GET", "/openapi.json").json()
    assert {"/sessions", "/sessions/{session_id}", "/sessions/{session_id}/attempts"} <= set(document["paths"])
