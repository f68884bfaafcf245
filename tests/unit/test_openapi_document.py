"""The OpenAPI document against the code: request bodies, responses and examples."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel

from build_openapi import built, read
from likeness.contracts import drop_in, drop_in_tasks
from likeness.contracts.consent import ConsentAgreed, Terms, UseChecks
from likeness.contracts.consent_receipt import Controller, consent_receipt
from likeness.contracts.drop_in_bodies import UploadRequest, ValidationRequest, read_body
from likeness.contracts.drop_in_task_body import TaskRequest
from likeness.contracts.generation import NewGeneration
from likeness.contracts.generation_views import estimate_view, generation_page_view, generation_view, uses_view
from likeness.contracts.http import AssetRegistration, MoreRequests, NewSession
from likeness.contracts.integration import key_view, webhook_view
from likeness.contracts.stats import stats_view
from likeness.contracts.views import (
    asset_view,
    consent_declined_view,
    consent_text_view,
    consent_view,
    consents_view,
    page_view,
    personal_view,
    preview_view,
    receipt_view,
    receipts_view,
    session_view,
    use_view,
)
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import ClientKey
from likeness.domain.consent import ConsentText
from likeness.domain.deletions import DeletionKind, DeletionStatus
from likeness.domain.drop_in import TaskEstimate
from likeness.domain.file_requests import FileRequest, RequestStatus
from likeness.domain.files import UploadForm
from likeness.domain.generation import (
    Generation,
    GenerationPage,
    GenerationStatus,
    Media,
    PersonUse,
    Spending,
    TaskReport,
    UseEntry,
    UsePage,
)
from likeness.domain.media.types import AssetType
from likeness.domain.receipt import Holder, IssuedReceipt, Receipt
from likeness.domain.session import (
    Attempt,
    AttemptStatus,
    Consent,
    Language,
    Problem,
    Session,
    SessionPage,
    SessionStatus,
)
from likeness.domain.stats import Day
from likeness.domain.terms import ConsentStatus, ConsentTerms, Withdrawal
from likeness.domain.webhooks import Endpoint
from likeness.errors import (
    BudgetExhausted,
    Conflict,
    Forbidden,
    InputRejected,
    InvalidRequest,
    LikenessError,
    NotFound,
    RateLimited,
    UpstreamDeferred,
    UpstreamRefused,
)
from likeness.runtime.problems import problem
from likeness.steps.crun_routes.relay_task import _uncertain
from tests.contract_file import CONTRACT, EXAMPLES, PATHS, SCHEMAS, resolved
from tests.template_file import RESOURCES

# The source and the document that is built from it


def test_the_document_equals_its_source_as_json() -> None:
    assert json.loads(built()) == CONTRACT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: the key 'c'"), ("responses:\n  200: {}\n", "line 2: the key 200"),
        ("a: {null: 1}\n", "line 1: the key None"),
    ],
)  # fmt: skip
def test_a_key_that_is_invalid_in_json_is_refused_with_its_line(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "openapi.yaml").write_text(source)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "openapi.yaml")


def test_a_date_in_the_source_is_a_string(tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_text("day: 2026-11-12\ntime: 2026-01-02T03:04:05.678000Z\n")
    assert read(tmp_path / "openapi.yaml") == {"day": "2026-11-12", "time": "2026-01-02T03:04:05.678000Z"}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def test_every_reference_has_a_component_and_every_component_a_reference() -> None:
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in CONTRACT["components"].items() if kind != "securitySchemes"
        for name in components
    }  # fmt: skip
    assert set(_references(CONTRACT)) == there


# Request bodies

BODIES: dict[str, type[BaseModel]] = {
    "createSession": NewSession,
    "recordConsent": ConsentAgreed,
    "setConsentTerms": Terms,
    "checkUses": UseChecks,
    "createGeneration": NewGeneration,
    "estimateGeneration": NewGeneration,
    "registerAsset": AssetRegistration,
    "addRequests": MoreRequests,
    "visualValidateSession": ValidationRequest,
    "assetUpload": UploadRequest,
    "createTask": TaskRequest,
    "estimateTask": TaskRequest,
    "estimateCredits": TaskRequest,
}
OPERATIONS: dict[str, dict[str, Any]] = {
    each["operationId"]: each for item in PATHS.values() for each in item.values() if "operationId" in each
}
#: Texts, and keywords that are compared in another form.
LEFT_OUT = ("title", "description", "oneOf", "anyOf", "type", "ge", "le", "$defs")
#: Keywords that only validators in the code check, so that a model's schema does not have them.
IN_CODE = ({"format": "uri"}, {"pattern": "^https?://"}, {"not": {"enum": [".", ".."]}})


def _comparable(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a schema of Pydantic or of the contract in a common form, without texts and refs."""
    if "$ref" in schema:
        reference = schema["$ref"]
        found = definitions[reference.rpartition("/")[2]] if definitions is not None else resolved(reference)
        schema = found | {name: each for name, each in schema.items() if name != "$ref"}
    kinds = schema.get("type", [])
    one_of = schema.get("oneOf", schema.get("anyOf", []))
    if {"type": "null"} in one_of:
        (other,) = (each for each in one_of if each != {"type": "null"})
        return _comparable(other, definitions) | {"or null": True}
    made = {
        name: each
        for name, each in schema.items()
        if name not in LEFT_OUT and (name, each) != ("default", None) and {name: each} not in IN_CODE
    }  # fmt: skip
    if "ge" in schema:  # Pydantic's name for it after a validator
        made["minimum"] = schema["ge"]
    if "le" in schema:
        made["maximum"] = schema["le"]
    if isinstance(kinds, list) and "null" in kinds:
        kinds, made["or null"] = next(each for each in kinds if each != "null"), True
    if "enum" not in schema:
        made["type"] = kinds
    if "pattern" in made:
        made["pattern"] = re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", made["pattern"])
    if "properties" in schema:
        made["properties"] = {name: _comparable(each, definitions) for name, each in schema["properties"].items()}
        made["required"] = sorted(schema.get("required", []))
    if "items" in schema:
        made["items"] = _comparable(schema["items"], definitions)
    return made


def test_every_request_body_of_the_contract_has_a_model() -> None:
    assert {
        name
        for name, each in OPERATIONS.items()
        if "application/json" in each.get("requestBody", {}).get("content", {})
    } == set(BODIES)


@pytest.mark.parametrize("name", BODIES)
def test_a_request_body_has_the_fields_types_and_bounds_of_its_model(name: str) -> None:
    (media,) = OPERATIONS[name]["requestBody"]["content"].values()
    schema = BODIES[name].model_json_schema()
    assert _comparable(media["schema"]) == _comparable(schema, schema.get("$defs", {}))


@pytest.mark.parametrize("url", ["ftp://app.example.com/", "app.example.com", "https:///path", "https://a b/"])
def test_a_bound_that_only_a_validator_checks_is_enforced(url: str) -> None:
    body = EXAMPLES["new_asset_upload"]["value"]
    read_body(UploadRequest, json.dumps(body))
    for model, fields in ((UploadRequest, body | {"asset_url": url}), (ValidationRequest, {"callback_url": url})):
        with pytest.raises(InvalidRequest):
            read_body(model, json.dumps(fields))


# Responses

AT = 1_767_323_045.678
RECEIPT = Receipt("d", AT)
BARE = Session(
    id="ses_x", client_id="acme", status=SessionStatus.REQUIRES_INPUT, language=Language.EN, created_at=AT,
    updated_at=AT,
)  # fmt: skip
WHOLE = replace(
    BARE, reference="order-1", group_id="group-1", verified_at=AT, finished_at=AT,
    requests={
        "front": FileRequest("front", AssetType.IMAGE, "In daylight", asset_id="ast_x"),
        "voice": FileRequest("voice", AssetType.AUDIO, required=False, position=1),
    },
    last_error=Problem("attempt_failed", "Please try again.", upstream_code="10001"),
    consent=Consent("2026-11", "2026-01-15T09:30:05Z", "0" * 64, "en", "person", ("advertising",), AT),
    consent_terms=ConsentTerms(("advertising",), AT, set_at=AT),
    person_receipt=RECEIPT,
    withdrawal=Withdrawal(AT, "person", "invite", ("attempt:2", "asset:ast_x")),
    attempts={
        1: Attempt(1, AttemptStatus.FAILED, "secret", AT, AT + 120, result_code="10001", answered_at=AT),
        2: Attempt(2, AttemptStatus.OPEN, "secret", AT, AT + 120),
    },
)  # fmt: skip
OTHER = replace(
    WHOLE, last_error=Problem("link_expired", "Please try again."), consent=Consent("1", "2026-01-15T09:30:05Z"),
    consent_terms=ConsentTerms(valid_days=365), withdrawal=None,
)  # fmt: skip
DECLINED = replace(BARE, declined_at=AT)
#: The records of both kinds of answers.
ANSWERED: dict[str, dict[str, str | float]] = {
    "group-2": {
        "status": "refused_until", "asked_at": AT, "refused_at": AT, "refused_until": AT + 1, "recorded_at": AT,
    },
    "asset-1": {"status": "done", "asked_at": AT, "refused_at": AT, "refused_until": AT + 1, "done_at": AT,
                "ticket": "CR-4711", "recorded_at": AT},
}  # fmt: skip
ERASED = replace(
    WHOLE, status=SessionStatus.REDACTED, erased_at=AT, other_group_ids=("group-2",), deletion_requests=ANSWERED
)
WAITING = Asset(
    id="ast_x", session_id="ses_x", name="front", asset_type=AssetType.IMAGE, content_type="image/jpeg",
    status=AssetStatus.AWAITING_UPLOAD, object_key="secret", created_at=AT, updated_at=AT,
)  # fmt: skip
ACTIVE = replace(
    WAITING, id="ast_y", request="front", status=AssetStatus.ACTIVE, crun_asset_id="asset-2",
    earlier_crun_asset_id="asset-0", other_crun_asset_ids=("asset-1",), uploaded_at=AT,
    submitted_at=AT, activated_at=AT,
)  # fmt: skip
FAILED = replace(
    WAITING, id="ast_z", status=AssetStatus.FAILED,
    error=Problem("face_mismatch", "Another face.", upstream_code="FaceMismatch", retryable=True),
)  # fmt: skip
GONE = replace(ACTIVE, id="ast_g", status=AssetStatus.REDACTED, deletion_requests=ANSWERED)
FORM = UploadForm("https://s3.test/", {"key": "k"}, AT)
ASSETS = [asset_view(WAITING, FORM), asset_view(ACTIVE), asset_view(FAILED), asset_view(GONE)]
QUEUED = Generation("gen_x", "acme", GenerationStatus.QUEUED, "m", AT, AT, "d")
MADE = replace(
    QUEUED.ended(GenerationStatus.SUCCEEDED, AT), purpose="advertising", reference="order-1", submitted_at=AT,
    people=(PersonUse("ses_x", ("ast_y",), ("asset-2",)),), task_id="task-1", credits=1.5,
    media=(Media("generations/gen_x/0.mp4", "video/mp4", 1, "0" * 64),), report=TaskReport("task-1", "success", media_urls=("https://cdn.test/v.mp4",)),
)  # fmt: skip
GENERATIONS = [
    QUEUED,
    MADE,
    QUEUED.ended(GenerationStatus.FAILED, AT, Problem("generation_failed", "It failed.", upstream_code="501")),
    QUEUED.ended(GenerationStatus.REFUSED, AT, Problem("consent_withdrawn", "The consent was withdrawn")),
    replace(MADE, media=(), media_problem=Problem("media_unavailable", "Not all media could be fetched from crun")),
    replace(MADE, media=(), media_problem=Problem("erased", "A person was erased"), erased_at=AT),
]
USE_ENTRY = UseEntry("ses_x", "gen_x", "acme", AT, "m", ("ast_y",))
RUNNING = replace(
    QUEUED, status=GenerationStatus.RUNNING, input='{"prompt": "waves"}', callback_url="https://app.example.com/",
    task_id="task-1",
)  # fmt: skip
TASKS = [
    RUNNING,
    replace(
        RUNNING.ended(GenerationStatus.SUCCEEDED, AT), credits=20.0,
        media=(Media("generations/gen_x/1.mp4", "video/mp4", 10, "0" * 64),),
        report=TaskReport("task-1", "success", duration_seconds=70.2),
    ),
    replace(
        RUNNING.ended(GenerationStatus.FAILED, AT, Problem("generation_failed", "Blocked.")), input="",
        callback_url=None,
    ),
]  # fmt: skip
DAY = Day(
    date(2026, 11, 25), 1, Counter(verified=1), Counter(lapsed=1), Counter(active=1), Counter(face_mismatch=1),
    Counter({4.757: 1}),
)  # fmt: skip
KEYS = [
    ClientKey("3f1c0a9be27d", "acme", ("https://app.example.com",), "2026-01-02T03:04:05Z", revoked)
    for revoked in (None, "2026-02-01T09:00:00Z")
]
ENDPOINT = Endpoint("acme", "whe_x", "https://app.example.com/hooks?token=secret", "whsec_secret", AT)
ENDPOINTS = [
    ENDPOINT,
    replace(ENDPOINT, event_types=("likeness.session.verified",), failing_since=AT, last_failure="503"),
    replace(ENDPOINT, failing_since=AT, paused_at=AT, last_failure="timeout"),
    replace(ENDPOINT, disabled_at=AT, disabled_reason="gone"),
]
SESSIONS = [
    session_view(BARE, [], max_attempts=10),
    session_view(
        WHOLE, [WAITING, ACTIVE, FAILED], uploads={WAITING.id: FORM}, max_attempts=10, h5_link="https://h5.test/",
        invite_url="https://api.test/invite#st",
    ),
    session_view(OTHER, [WAITING, ACTIVE, FAILED, GONE], max_attempts=10, person=True),
    session_view(ERASED, [WAITING, ACTIVE, FAILED, GONE]),
    session_view(
        DECLINED, [], consent_text=ConsentText("2026-11", Language.EN, "Title", "Text", ("Until then.",), "t")
    ),
]  # fmt: skip
#: Views for each schema. Together they have every property, and every optional or nullable one absent or null.
VIEWS: dict[str, list[Any]] = {
    "Session": SESSIONS,
    "SessionPage": [
        page_view(SessionPage([BARE, WHOLE, OTHER, ERASED], "more", 1000, 1.5)),
        page_view(SessionPage([], None)),
    ],
    "Asset": ASSETS,
    "Consent": [consent_view(each.consent) for each in (WHOLE, OTHER) if each.consent],
    "ConsentDeclined": [consent_declined_view(DECLINED)],
    "SessionConsent": [consents_view(each, AT) for each in (BARE, WHOLE, OTHER, DECLINED)],
    "Use": [use_view(WHOLE, [ACTIVE], "advertising"), use_view(BARE, [], None)],
    "UseResults": [
        {
            "results": [
                {"id": "ast_y", "allowed": True} | use_view(WHOLE, [ACTIVE], "advertising"),
                {"id": "ast_y", "allowed": True} | use_view(BARE, [ACTIVE], None),
                {"id": "ses_x", "allowed": False, "code": "not_found", "detail": "Session not found"},
            ]
        }
    ],
    "UsePage": [
        uses_view(UsePage([], None)),
        uses_view(
            UsePage(
                [
                    USE_ENTRY,
                    replace(USE_ENTRY, purpose="advertising", outcome="withheld", reason="erased", media_sha256=("0",)),
                ],
                "more",
            )
        ),
    ],
    "Generation": [generation_view(each, lambda media: f"https://b.test/{media.key}") for each in GENERATIONS],
    "GenerationPage": [
        generation_page_view(GenerationPage(GENERATIONS, "more")),
        generation_page_view(GenerationPage([], None)),
    ],
    "GenerationEstimate": [estimate_view(1.5, None, None), estimate_view(1.5, 10.0, Spending(1.0, 20.0))],
    "Preview": [preview_view("https://uploads.test/", 1_800_000_300.0, "image/png")],
    "Receipt": [receipt_view(IssuedReceipt("d", "ses_x", "acme", Holder.PERSON, AT), "https://api.test/me#rt_x")],
    "Receipts": [receipts_view(WHOLE)],
    # Its session is one of the other views.
    "PersonalPage": [
        personal_view(
            *(BARE, [], Holder.PERSON, RECEIPT),
            agreed=text,
            sentences=["Until then."],
            purposes={"advertising": "advertising"},
            now=AT,
            max_attempts=10,
        )
        | {"session": each}
        for each in SESSIONS
        for text in (None, ConsentText("2026-11", Language.EN, "Title", "Text", ("Until then.",), "t"))
    ],
    "ConsentReceipt": [consent_receipt(WHOLE, Controller("", "", "us-east-1", 30), None, (), {}, AT)],
    "ConsentText": [consent_text_view(ConsentText("2026-11", Language.EN, "Title", "Text", ("Until then.",), "t"))],
    "Stats": [stats_view([DAY], "more"), stats_view([], None)],
    "ClientKeys": [{"keys": [key_view(each) for each in KEYS]}],
    "Webhooks": [{"webhooks": [webhook_view(each) for each in ENDPOINTS]}],
    "WebhookTest": [{"event_id": "evt_1"}],
    "WebhookReplay": [{"replayed": 1, "complete": True}],
    "VisualValidateSession": [
        drop_in.envelope(
            drop_in.visual_validate_session("0" * 26 + "A" * 40, "https://h5.test/", "https://app.example.com/")
        )
    ],
    "VisualValidateResult": [drop_in.envelope(drop_in.visual_validate_result("group-1"))],
    "AssetUpload": [drop_in.envelope(drop_in.asset_upload(ACTIVE))],
    "AssetInfo": [drop_in.envelope(drop_in.asset_info(each)) for each in (WAITING, ACTIVE, FAILED)],
    "CreatedTask": [drop_in.envelope(drop_in_tasks.created_task(TASKS[0]))],
    "EstimatedTask": [
        drop_in.envelope(drop_in_tasks.estimate_task(TaskEstimate(20.0, balance, affordable=True)))
        for balance in (180.0, None)
    ],
    "EstimatedCredits": [drop_in.envelope(drop_in_tasks.estimate_credits(TaskEstimate(20.0, None, affordable=True)))],
    "AccountBalance": [drop_in.envelope(drop_in_tasks.account_balance(180.0))],
    "TaskInfo": [drop_in.envelope(drop_in_tasks.task_info(each, lambda _: "https://b.test/1")) for each in TASKS],
    "Refusal": [drop_in.refusal(Forbidden())[1], drop_in.refusal(InvalidRequest("name: Field required"))[1]],
    "Problem": [
        json.loads(problem(each, "request-1")["body"])
        for each in (
            InvalidRequest("limit: a number", field="limit"),
            UpstreamRefused(422, errors=["name: too long"]),
            Conflict("The asset is not active", code="asset_not_active", field="input.img_urls[0]", asset_id="ast_y"),
        )
    ] + [{"title": "Too many requests", "code": "throttled"}],
}  # fmt: skip


def _is_null(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "null"


def _compare(schema: dict[str, Any], values: list[Any], at: str) -> None:
    """Compares the properties of a schema and of its nested schemas with those of the values."""
    if "$ref" in schema:
        schema = resolved(schema["$ref"])
    may_be_null = _is_null(schema) or "null" in schema.get("type", []) or any(map(_is_null, schema.get("oneOf", [])))
    assert may_be_null == (None in values), f"{at}: null"
    if _is_null(schema):
        return
    values = [each for each in values if each is not None]
    assert values, f"{at}: no view has it"
    if "oneOf" in schema:
        (schema,) = (each for each in schema["oneOf"] if not _is_null(each))
        _compare(schema, values, at)
    elif "properties" in schema:
        assert set().union(*values) == set(schema["properties"]), at
        assert set(values[0]).intersection(*values) == set(schema.get("required", [])), at
        for name, inner in schema["properties"].items():
            _compare(inner, [each[name] for each in values if name in each], f"{at}.{name}")
    elif "items" in schema and "prefixItems" not in schema["items"]:
        _compare(schema["items"], [item for each in values for item in each], f"{at}[]")


@pytest.mark.parametrize("name", VIEWS)
def test_a_response_has_the_properties_of_its_view(name: str) -> None:
    validator = jsonschema_rs.validator_for(
        SCHEMAS[name] | {"components": CONTRACT["components"]}, validate_formats=True
    )
    for each in VIEWS[name]:
        validator.validate(each)
    _compare(SCHEMAS[name], VIEWS[name], name)


def test_every_response_of_the_contract_is_compared_with_a_view() -> None:
    schemas = {
        media["schema"]["$ref"].rpartition("/")[2]
        for operation in OPERATIONS.values() for answer in operation["responses"].values()
        for kind, media in answer.get("content", {}).items()
        if kind.endswith("json") and media["schema"] != {"type": "object"}  # crun gets an empty object
    }  # fmt: skip
    assert schemas == set(VIEWS)


@pytest.mark.parametrize(
    "kind",
    [
        SessionStatus, AttemptStatus, AssetStatus, RequestStatus, AssetType, Language, DeletionKind, DeletionStatus,
        ConsentStatus, GenerationStatus,
    ],
)  # fmt: skip
def test_an_enumeration_has_the_values_of_the_domain(kind: type[Any]) -> None:
    assert SCHEMAS[kind.__name__]["enum"] == [each.value for each in kind]


def _subclasses(kind: type[LikenessError]) -> Iterator[type[LikenessError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def _shown(schema: str) -> dict[str, dict[str, Any]]:
    """Returns the examples of the responses that have a schema, by name."""
    reference = f"#/components/schemas/{schema}"
    return {
        f"{status} {name}": EXAMPLES[name]["value"]
        for item in PATHS.values() for operation in item.values()
        for status, answer in operation["responses"].items()
        for media in answer.get("content", {}).values() if media["schema"].get("$ref") == reference
        for name in media["examples"]
    }  # fmt: skip


def test_a_problem_of_the_examples_is_one_that_the_code_or_the_gateway_returns() -> None:
    # Each conflict has a different code.
    known = {(each.status, each.title, each.code if each.status != 409 else "") for each in _subclasses(LikenessError)}
    refusals = [InputRejected(), *(UpstreamRefused(code) for code in (401, 402, 403, 404, 422, 501, 505, 0))]
    known |= {(each.status, each.title, each.code) for each in refusals}
    gateway = [
        json.loads(each["ResponseTemplates"]["application/json"])
        for each in RESOURCES["Api"]["Properties"]["GatewayResponses"].values()
    ]
    for name, each in _shown("Problem").items():
        status = int(name.partition(" ")[0])
        if "status" in each:
            assert each["status"] == status, name
            assert (status, each["title"], each["code"] if status != 409 else "") in known, name
        else:
            assert each in gateway, name


def test_a_refusal_of_the_examples_is_one_that_the_code_returns() -> None:
    errors = [Forbidden("invalid API key"), NotFound(), InvalidRequest("x"), RateLimited(), UpstreamDeferred()]
    errors += [LikenessError(), *map(UpstreamRefused, (402, 404, 422, 501, 505)), BudgetExhausted(16.0, 10.0)]
    errors += [_uncertain(replace(QUEUED, id="gen_01KE1Q5V0G8Z6W3N4R2T7Y9XAB"))]
    made = [drop_in.refusal(each) for each in errors]
    assert {code for code, _ in made} == set(SCHEMAS["Refusal"]["properties"]["code"]["enum"])
    for name, each in _shown("Refusal").items():
        assert each["code"] == int(name.partition(" ")[0]), name
        fits = [body for code, body in made if code == each["code"] and set(body) == set(each)]
        assert each["message"] in {body["message"] for body in fits} or each["code"] == 404, name
