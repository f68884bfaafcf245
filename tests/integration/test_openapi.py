"""The deployed API against the contract that it serves: schemathesis generates valid and invalid requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CheckContext, CheckFunction, not_a_server_error
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from likeness.contracts.stats import make_cursor, parse_period
from likeness.errors import InvalidRequest
from tests.contract_file import CONTRACT, EXAMPLES, PATHS, SCHEMAS
from tests.integration.conftest import Api
from tests.template_file import RESOURCES

#: For each route, with valid and with invalid requests, besides the boundary cases of schemathesis.
EXAMPLE_COUNTS = [5, pytest.param(50, marks=pytest.mark.nightly)]
CRUN_ROUTES = "/api/v1/client/"
#: Their input is crun's.
GENERATION_ROUTES = {
    "/generations",
    "/generations/estimate",
    *(f"{CRUN_ROUTES}job/{each}" for each in ("CreateTask", "EstimateTask", "estimate-credits")),
}


def no_server_error_but_crun_s(context: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """The balance of the operator's account is not shown to this client: crun's 505."""
    if case.operation.path == f"{CRUN_ROUTES}account/balance" and response.status_code == 505:
        return None
    return not_a_server_error(context, response, case)


CHECKS: list[CheckFunction] = [
    no_server_error_but_crun_s,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
]
ROUTES = [(path, method) for path, item in PATHS.items() for method in item]


@pytest.fixture(scope="module")
def contract(api: Api) -> OpenApiSchema:
    """The served contract, with a client's key and existing ids."""
    served = api.with_credential(None)("GET", "/openapi.json").json()
    assert served == CONTRACT
    schema: OpenApiSchema = schemathesis.openapi.from_dict(served)
    schema.config.update(base_url=api.stack.api_url, headers={"x-api-key": str(api.credential)})
    schema.config.generation.update(with_security_parameters=False)
    image = {"name": "front", "asset_type": "Image", "content_type": "image/png", "size_bytes": 1000}
    session = api.session(start="on_open", assets=[image])
    known = {"session_id": session["id"], "asset_id": session["assets"][0]["id"]}
    half = "[0-9A-Z]{25}[02468ACEGJMPRTWY]"
    valid = {"session_id": f"ses_{half}", "asset_id": f"ast_{half}"}

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        # A generated id never exists. Half of the valid ones become real ids, so that successful responses are tested.
        return path_parameters and {
            name: known[name] if name in known and re.fullmatch(valid[name], str(value)) else value
            for name, value in path_parameters.items()
        }

    api.session(start="on_open")
    for number in range(2):
        made = {"model": "bytedance/seedance2-0-t2v", "input": {"prompt": f"walk {number}"}}
        assert api("POST", "/generations", json=made, headers={"Idempotency-Key": str(number)}).status_code == 202
    cursors = {path: api("GET", f"{path}?limit=1").json()["next_cursor"] for path in ("/sessions", "/generations")}
    cursors["/sessions/{session_id}/uses"] = cursors["/generations"]

    period = parse_period(None, None, datetime.now(UTC).date())

    @schema.hook
    def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
        # A schema can express neither a valid cursor nor the order of two days.
        if context.operation.path in ("/consent", "/sessions/{session_id}/use"):
            return query and _with_known_terms(query, context.operation.path)
        if context.operation.path != "/stats":
            times = {name: "2026-01-01" for name, value in (query or {}).items() if _is_time(name, value)}
            valid = {"cursor": cursors.get(context.operation.path, cursors["/sessions"])}
            return query | times | (valid if "cursor" in query else {}) if query else query
        days = {"from": period.first.isoformat(), "to": period.last.isoformat()}
        given = {
            name: days[name] if name in days and _is_day(value) else value for name, value in (query or {}).items()
        }
        return given | {"cursor": make_cursor("demo", period, period.oldest)} if "cursor" in given else given

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        # Nor can it express a client's registered return URLs, the names of file requests that a session has, and that
        # each name occurs once.
        if isinstance(body, dict):
            # Nor the operator's purposes, and that an end is in the future.
            if isinstance(body.get("consent_terms"), dict):
                body = body | {"consent_terms": _with_known_terms(body["consent_terms"])}
            body = _with_known_terms(body)
            if context.operation.path in GENERATION_ROUTES:
                body = _with_known_input(body)
            asked = body.get("requests")
            for number, each in enumerate(asked if isinstance(asked, list) else ()):
                if isinstance(each, dict) and isinstance(each.get("name"), str) and 1 <= len(each["name"]) <= 60:
                    each["name"] += str(number)
            files = body.get("assets")
            for each in [body, *(files if isinstance(files, list) else ())]:
                if isinstance(each, dict) and isinstance(name := each.get("request"), str) and _is_request_name(name):
                    each |= {"request": None, "name": each.get("name") or name}
        for name in ("return_url", "callback_url"):
            url = str(body.get(name, "")) if isinstance(body, dict) else ""
            if url.startswith(("https://", "http://")[: 1 + (name == "callback_url")]) and len(url) <= 2048:
                # Nothing listens there: a callback for a video would become a dead letter.
                kept = context.operation.path not in GENERATION_ROUTES
                return body | {name: f"{api.stack.api_url.removesuffix('/v1')}/done" if kept else None}
        return body

    return schema


def _with_known_terms(given: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Returns a query of ``path``, or a body, with known purposes and a later end in place of valid values."""
    asked = SCHEMAS["ConsentTermsAsked"]["properties"] | {"purpose": SCHEMAS["UseChecks"]["properties"]["purpose"]}
    parameters = PATHS[path]["get"]["parameters"] if path else []
    of_query = {each["name"]: each["schema"] for each in parameters if "name" in each}
    described = of_query or asked
    known = {"purpose": "advertising", "purposes": "news" if path else ["news"], "valid_until": "2028-01-01T00:00:00Z"}

    def is_valid(name: str) -> bool:
        value = given.get(name)
        if name not in described or value is None:
            return False
        if path and name == "valid_days":
            return bool(re.fullmatch("[1-9][0-9]{0,3}", str(value)))
        return jsonschema_rs.validator_for(described[name], validate_formats=True).is_valid(value)

    made = given | {name: value for name, value in known.items() if is_valid(name)}
    if is_valid("valid_until") and is_valid("valid_days"):
        del made["valid_until"]
    # The operator's limit (ConsentLongestDays) is below that of the contract.
    if not path and is_valid("valid_days"):
        made["valid_days"] = min(made["valid_days"], 3650)
    return made


def _with_known_input(given: dict[str, Any]) -> dict[str, Any]:
    """Returns a request for a video with what crun knows in place of a model and an input that the schema accepts."""
    known = {"model": "bytedance/seedance2-0-t2v", "input": {"prompt": "a walk", "duration": 5}}
    described = SCHEMAS["NewGeneration"]["properties"]
    return given | {
        name: value
        for name, value in known.items()
        if name in given and jsonschema_rs.validator_for(described[name]).is_valid(given[name])
    }


def _is_time(parameter: str, value: Any) -> bool:
    """Returns whether the contract accepts it as a day or time; it may be a 31st of a short month."""
    shape = SCHEMAS["DayOrTime"]["pattern"]
    return parameter.startswith("created_") and isinstance(value, str) and bool(re.fullmatch(shape, value))


def _is_request_name(value: str) -> bool:
    shape = SCHEMAS["AssetRegistration"]["properties"]["request"]["pattern"]
    return len(value) <= 64 and bool(re.fullmatch(shape, value))


def _is_day(value: Any) -> bool:
    """Returns whether the contract accepts it as a day."""
    try:
        parse_period(value, value, date.max)
    except (InvalidRequest, TypeError):
        return False
    return True


def boundary_cases(contract: OpenApiSchema, path: str, method: str, mode: GenerationMode) -> Iterator[Case[Any]]:
    """Yields Schemathesis' boundary cases, without those with another method."""
    cases = contract.iter_coverage_cases(
        contract[path][method], generation_modes=[mode], generation_config=contract.config.generation
    )
    # A schema cannot express that two parameters exclude each other.
    both = {"valid_until", "valid_days"}
    return (case for case in cases if case.method.lower() == method and not both <= set(case.query or {}))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize(("path", "method"), ROUTES)
@pytest.mark.parametrize("examples", EXAMPLE_COUNTS)
def test_every_route_conforms_to_its_contract(
    contract: OpenApiSchema, path: str, method: str, mode: GenerationMode, examples: int
) -> None:
    strategy = contract[path][method].as_strategy(generation_mode=mode)

    @settings(max_examples=examples, derandomize=True)
    @given(case=strategy)
    def generated(case: Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS, allow_redirects=False)

    if mode is GenerationMode.POSITIVE or PATHS[path][method].get("parameters"):
        generated()
    for case in boundary_cases(contract, path, method, mode):
        case.call_and_validate(checks=CHECKS, allow_redirects=False)


@pytest.mark.parametrize(("path", "method"), [each for each in ROUTES if not each[0].startswith(CRUN_ROUTES)])
def test_a_method_that_a_route_does_not_have_is_a_404_problem(api: Api, path: str, method: str) -> None:
    # API Gateway does not distinguish a wrong method from a wrong path, so there is no 405.
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {each.upper() for each in PATHS[path]}:
        answer = api(other, re.sub(r"\{\w+\}", "1", path))
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json"), other
        assert answer.json()["code"] == "not_found"


def test_the_contract_names_every_route_of_the_template_and_no_other() -> None:
    events = [each for found in RESOURCES.values() for each in found["Properties"].get("Events", {}).values()]
    routes = {
        (each["Properties"]["Path"], each["Properties"]["Method"].lower()) for each in events if each["Type"] == "Api"
    }
    # The catch-all routes are not part of the contract.
    assert set(ROUTES) == routes - {(f"{CRUN_ROUTES}{{path+}}", "any"), ("/{path+}", "get")}


def _media() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, method in ROUTES:
        operation = PATHS[path][method]
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} request {media_type}", media
        for status, answer in operation["responses"].items():
            for media_type, media in answer.get("content", {}).items():
                yield f"{method} {path} {status} {media_type}", media


@pytest.mark.parametrize("media", [media for _, media in _media()], ids=[name for name, _ in _media()])
def test_every_body_of_the_contract_has_examples_that_match_its_schema(media: dict[str, Any]) -> None:
    shown = [EXAMPLES[name]["value"] for name in media.get("examples", {})]
    shown += [media["example"]] if "example" in media else []
    assert shown
    assert [f"#/components/examples/{name}" for name in media.get("examples", {})] == [
        each["$ref"] for each in media.get("examples", {}).values()
    ]
    validator = jsonschema_rs.validator_for(
        media["schema"] | {"components": CONTRACT["components"]}, validate_formats=True
    )
    for each in shown:
        validator.validate(each)
