"""A custom domain with a base path: every route is found, and every generated link has the base path."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import boto3
import pytest

from copy_swagger_ui import FILES
from likeness.adapters.table.items import session_key
from likeness.domain.signing import sign_callback
from likeness.runtime.request import base_url
from ops.client_keys import ClientKeys
from tests.functions import cold_start, event_of_request, invoke
from tests.template_file import RESOURCES
from tests.unit.api_harness import KEY, ApiHarness, service

DOMAIN = "face.example.com"
#: Base URL → the prefix of ``path`` and of ``requestContext.path`` in API Gateway's events.
PLACES = {
    "https://likeness.example/v1": ("", "/v1", "likeness.example"),
    f"https://{DOMAIN}": ("", "", DOMAIN),
    f"https://{DOMAIN}/likeness": ("/likeness", "/likeness", DOMAIN),
    f"https://{DOMAIN}/api/v1": ("/api/v1", "/api/v1", DOMAIN),
    f"https://{DOMAIN}/v1": ("/v1", "/v1", DOMAIN),
}
#: Without openapi.json, which the layer's build creates: integration/test_openapi requests it from a deployed stack.
ROUTES = [
    (each["Properties"]["Method"], each["Properties"]["Path"], resource["Properties"]["CodeUri"].partition("/")[2])
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::Serverless::Function"
    for each in resource["Properties"].get("Events", {}).values()
    if each["Type"] == "Api" and each["Properties"]["Path"] != "/openapi.json"
]
VALUES = {
    "session_id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "asset_id": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV", "attempt": "1",
    "signature": "x", "version": "0" * 16, "file": "style.css", "path": "job/nothing",
    "name": "front", "webhook_id": "whe_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "generation_id": "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV",
}  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Iterator[ApiHarness]:
    with service() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBLIC_BASE_URL", "")  # not set, so the request's host and path are used
        patch.setenv("UPLOAD_ADDRESSES", "https://s3.test/uploads")
        patch.setattr(time, "sleep", lambda _: None)  # a look-up of what is not there is repeated a moment later
        for name in {function for _, _, function in ROUTES}:
            running.apps[name] = cold_start(name)
        yield running


def request(place: str, method: str, resource: str, values: dict[str, str] = VALUES, **more: Any) -> dict[str, Any]:
    """Returns the event of a request to the base URL ``place``."""
    before, whole, domain = PLACES[place]
    route = re.sub(r"\{(\w+)\+?\}", lambda found: values[found[1]], resource)
    parameters = {name: values[name] for name in re.findall(r"\{(\w+)\+?\}", resource)}
    event = event_of_request(method, resource, before + route, parameters=parameters, **more)
    event["requestContext"] |= {"path": whole + route, "resourcePath": resource, "domainName": domain}
    return event


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("method", "resource", "function"), ROUTES)
def test_every_route_answers_as_it_does_without_a_base_path(
    api: ApiHarness, place: str, method: str, resource: str, function: str
) -> None:
    method = "GET" if method == "ANY" else method
    body = "{" if method == "POST" else None  # every route with a body refuses it
    answers = {
        name: invoke(api.apps[function], request(name, method, resource, body=body, authorizer=api.authorizer))
        for name in (place, next(iter(PLACES)))
    }
    assert answers[place] == answers[next(iter(PLACES))]
    assert resource == "/{path+}" or "Route not found" not in answers[place]["body"]


@pytest.mark.parametrize("place", PLACES)
def test_returned_links_have_the_base_path(api: ApiHarness, place: str) -> None:
    event = request(place, "POST", "/sessions", body='{"start": "on_open"}', authorizer=api.authorizer)
    made = json.loads(invoke(api.apps["create_session"], event)["body"])
    assert made["invite_url"].startswith(f"{place}/invite#st_")
    values = {"session_id": made["id"], "attempt": "1", "signature": sign_callback([KEY], made["id"], 1)}
    event = request(place, "GET", "/callback/{session_id}/{attempt}/{signature}", values)
    assert invoke(api.apps["receive_callback"], event)["headers"]["Location"] == f"{place}/invite?status=requires_input"


@pytest.mark.parametrize("place", PLACES)
def test_the_callback_url_that_is_sent_to_crun_has_the_base_path(place: str) -> None:
    events = {
        "POST /sessions": request(place, "POST", "/sessions"),
        "attempts": request(place, "POST", "/sessions/{session_id}/attempts"),
        "drop-in": request(place, "POST", "/api/v1/client/job/visual-validate-session"),
    }
    assert {name: base_url(each, "") for name, each in events.items()} == dict.fromkeys(events, place)
    assert base_url(events["drop-in"], f"{place}/") == place


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("page", ["/invite", "/console", "/docs"])
def test_the_files_of_a_page_are_found_below_the_base_path(api: ApiHarness, place: str, page: str) -> None:
    shown = invoke(api.apps["serve_pages"], request(place, "GET", page))
    loaded = re.findall(r'(?:href|src)="(pages/[^"]+)"', shown["body"])
    # The person's page loads the texts of another language later. The console is one file.
    loaded += [f"{files}texts_zh.json" for files in re.findall(r'data-files="(pages/[^"]+)"', shown["body"])]
    assert bool(loaded) == (page != "/console")
    for each in loaded:
        found = re.fullmatch(r"(.+)/pages/(\w+)/(.+)", urljoin(place + page, each))
        assert found
        assert found[1] == place
        if found[3] in FILES:
            continue  # they are in a built layer only
        values = {"version": found[2], "file": found[3]}
        file = invoke(api.apps["serve_pages"], request(place, "GET", "/pages/{version}/{file}", values))
        assert file["statusCode"] == 200


@pytest.mark.parametrize("place", PLACES)
def test_crun_routes_are_found_below_the_base_path(api: ApiHarness, place: str) -> None:
    key = {"x-api-key": ClientKeys(boto3.client("dynamodb"), "Table").add("acme")}
    for resource, function, query in (
        ("visual-validate-result", "get_result", {"byted_token": ["x"]}),
        ("asset-info", "get_result", {"asset_id": ["x"]}),
    ):
        event = request(place, "GET", f"/api/v1/client/job/{resource}", headers=key, query=query)
        answer = invoke(api.apps[function], event)
        assert json.loads(answer["body"])["code"] == 404
        assert "endpoint not found" not in answer["body"]
    body = json.dumps({"name": "n", "asset_type": "Image", "asset_url": "https://a.example/x", "group_id": "none"})
    event = request(place, "POST", "/api/v1/client/job/asset-upload", headers=key, body=body)
    assert "group not found" in invoke(api.apps["fetch_asset"], event)["body"]


def test_the_authorizer_allows_the_stage_and_not_the_base_path(api: ApiHarness) -> None:
    key = ClientKeys(boto3.client("dynamodb"), "Table").add("acme")
    event = {"headers": {"x-api-key": key}, "path": "/likeness/sessions", "resource": "/sessions"}
    arn = "arn:aws:execute-api:r:1:api/v1/GET/sessions"
    found = invoke(api.apps["authorize"], event | {"methodArn": arn})
    (statement,) = found["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", "arn:aws:execute-api:r:1:api/v1/*")


def test_a_value_in_the_path_does_not_select_another_route(api: ApiHarness) -> None:
    place = f"https://{DOMAIN}/likeness"
    for odd in ("x/attempts", "../sessions", "a%2Fb", "{session_id}", "ses 1", "é"):
        event = request(place, "GET", "/sessions/{session_id}", {"session_id": odd}, authorizer=api.authorizer)
        answer = invoke(api.apps["get_session"], event)
        assert (answer["statusCode"], json.loads(answer["body"])["detail"]) == (404, "Session not found")
    assert "Item" not in boto3.client("dynamodb").get_item(TableName="Table", Key=session_key("x"))
