"""The authorizer's context: what a function learns about its caller, and the names of the API in a request."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.domain.caller import Caller
from likeness.runtime.invocations import AuthorizerEvent
from likeness.runtime.request import authorization_of, caller_of, own_hosts

EVENT: AuthorizerEvent = {"methodArn": "arn:aws:execute-api:r:1:api/v1/GET/sessions", "headers": {}}


@pytest.mark.parametrize(
    "caller",
    [
        Caller("acme"),
        Caller("acme", ("https://a.example", "https://b.example"), purpose="advertising"),
        Caller("acme", daily_credits=250.5, sees_balance=True),
        Caller("acme", daily_credits=1e-9),
        Caller("acme", session_id="ses_x", invite=3),
    ],
)
def test_a_caller_passes_through_the_context(caller: Caller) -> None:
    context = authorization_of(EVENT, caller)["context"]
    assert all(isinstance(each, str) for each in context.values()), "API Gateway passes only scalars on"
    assert caller_of({"requestContext": {"authorizer": context}}) == caller


def test_a_cached_context_of_an_earlier_version_is_read() -> None:
    context = {"client_id": "acme", "session_id": "", "return_origins": ""}
    caller = caller_of({"requestContext": {"authorizer": context}})
    assert (caller.daily_credits, caller.sees_balance) == (None, False)


@pytest.mark.parametrize(
    ("event", "configured", "names"),
    [
        (
            {"requestContext": {"domainName": "abc.execute-api.r.amazonaws.com", "apiId": "abc"},
             "headers": {"Host": "ABC.execute-api.r.amazonaws.com"}},
            "https://face.example.com/v1",
            ("abc.execute-api.r.amazonaws.com", "abc.execute-api", "face.example.com"),
        ),
        ({"requestContext": {"domainName": "x"}}, "http://127.0.0.1:8080/v1", ("x", "127.0.0.1:8080")),
        ({}, "", ()),
    ],
)  # fmt: skip
def test_the_names_of_the_api_are_those_of_the_request_the_stage_and_the_settings(
    event: dict[str, Any], configured: str, names: tuple[str, ...]
) -> None:
    assert own_hosts(event, configured) == names
