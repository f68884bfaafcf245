"""The Python client against the contract: it calls every route, sends valid requests and reads every response."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, get_args, get_type_hints
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest
import requests
from requests.adapters import BaseAdapter

from likeness_client import (
    Asset,
    AssetStatus,
    AssetType,
    AttemptStatus,
    Client,
    Consent,
    ConsentStatus,
    ConsentTerms,
    ConsentText,
    DeletionKind,
    DeletionStatus,
    FileRequest,
    Generation,
    GenerationEstimate,
    GenerationPage,
    GenerationStatus,
    Holder,
    Language,
    LikenessApiError,
    NewAsset,
    Page,
    Problem,
    ProblemCode,
    RequestStatus,
    Retry,
    Session,
    SessionConsent,
    SessionStatus,
    Start,
    Stats,
    Use,
    UsePage,
)
from likeness_client.models import (
    CONTENT_TYPES,
    ClientKeys,
    UseResults,
    WebhookReplay,
    Webhooks,
    WebhookState,
    WebhookTest,
)
from likeness_client.reading import read
from tests.contract_file import CONTRACT, EXAMPLES, PATHS, SCHEMAS

#: For browsers: pages, QR codes and the redirect after a face check. For programs written for crun: crun's own routes.
FOR_OTHERS = {
    "/callback/{session_id}/{attempt}/{signature}",
    "/task/{generation_id}/{signature}",
    "/invite",
    "/me",
    "/docs",
    "/openapi.json",
    "/console",
    "/pages/{version}/{file}",
    "/qr-codes",
    "/api/v1/client/job/visual-validate-session",
    "/api/v1/client/job/visual-validate-result",
    "/api/v1/client/job/asset-upload",
    "/api/v1/client/job/asset-info",
    "/api/v1/client/job/CreateTask",
    "/api/v1/client/job/TaskInfo",
    "/api/v1/client/job/EstimateTask",
    "/api/v1/client/job/estimate-credits",
    "/api/v1/client/account/balance",
}
#: The schemas of crun's own routes.
_OF_OTHERS = {"NewAssetUpload", "Refusal", "AssetInfo", "NewTask", "TaskInfo"}
#: The properties that the client does not read, with the reason.
IGNORED = {Problem: {"type"}}  # always about:blank; ``code`` distinguishes problems

SES, AST = "ses_01KE1Q5V0G8Z6W3N4R2T7Y9XAB", "ast_01KE1Q5V0G5C1D2E3F4G5H6J7K"
WHE = "whe_01KE1Q5V0G8Z6W3N4R2T7Y9XAB"
IMAGE = NewAsset(name="front", asset_type="Image", content_type="image/jpeg", size_bytes=1000, sha256="0" * 64)
CLIP = NewAsset(name="clip", asset_type="Video", content_type="video/mp4", size_bytes=1000)
SIDE = FileRequest(name="side", asset_type="Image", required=False)
FRONT = NewAsset(name="n", asset_type="Image", content_type="image/jpeg", size_bytes=1, request="front")
TERMS = ConsentTerms(purposes=("news",), valid_until=datetime(2027, 3, 31, tzinfo=UTC))
DAYS = ConsentTerms(purposes=("news", "testing"), valid_days=365)
TEXT = read(ConsentText, EXAMPLES["consent_text"]["value"])

VIDEO: dict[str, Any] = EXAMPLES["new_generation"]["value"]
GEN = "gen_01KE1Q5V0G8Z6W3N4R2T7Y9XAB"

#: Each operation, first with all arguments, then with as few as possible.
CALLS: dict[str, list[Callable[[Client], object]]] = {
    "createSession": [
        lambda client: client.create_session(
            language="zh-Hant",
            reference="order 1",
            return_url="https://app.example.com/done",
            start="on_open",
            consent=Consent(text_version="2026-11", given_at=datetime(2026, 1, 2, tzinfo=UTC)),
            consent_terms=TERMS,
            assets=[IMAGE, CLIP],
            requests=[FileRequest(name="voice", asset_type="Audio", hint="Say hello"), SIDE],
            idempotency_key="order-1",
        ),
        lambda client: client.create_session(),
    ],
    "listSessions": [
        lambda client: client.list_page(
            status="verified",
            reference="order 1",
            reference_contains="order",
            asset_id=AST,
            group_id="group-1",
            created_from=date(2026, 1, 2),
            created_to=datetime(2026, 1, 2, tzinfo=UTC),
            limit=100,
            cursor="abc",
        ),
        lambda client: list(client.list_sessions()),
        lambda client: client.list_page(),
    ],
    "getSession": [
        lambda client: client.get_session(SES, consent_text="zh"),
        lambda client: client.get_session(SES),
        lambda client: client.wait_until_verified(SES),
    ],
    "eraseSession": [lambda client: client.erase_session(SES)],
    "retryAsset": [lambda client: client.retry_asset(SES, AST)],
    "eraseAsset": [lambda client: client.erase_asset(SES, AST)],
    "recordConsent": [lambda client: client.record_consent(SES, TEXT)],
    "declineConsent": [lambda client: client.decline_consent(SES)],
    "withdrawConsent": [lambda client: client.withdraw_consent(SES)],
    "issueReceipt": [lambda client: client.issue_receipt(SES)],
    "getReceipt": [lambda client: client.consent_receipt(SES)],
    "revokeReceipt": [lambda client: client.revoke_receipt(SES)],
    "openReceipt": [lambda client: client.open_receipt("en"), lambda client: client.open_receipt()],
    "setConsentTerms": [
        lambda client: client.set_consent_terms(SES, TERMS),
        lambda client: client.set_consent_terms(SES, DAYS),
    ],
    "checkUse": [lambda client: client.check_use(SES, "news"), lambda client: client.check_use(SES)],
    "checkUses": [lambda client: client.check_uses([SES, AST], "news"), lambda client: client.check_uses([SES])],
    "listUses": [lambda client: list(client.uses(SES, page_size=5)), lambda client: list(client.uses(SES))],
    "createGeneration": [
        lambda client: client.generate(**VIDEO, idempotency_key="order-1-clip-1"),
        lambda client: client.generate(model=VIDEO["model"], input=VIDEO["input"]),
    ],
    "estimateGeneration": [
        lambda client: client.estimate(**VIDEO),
        lambda client: client.estimate(model=VIDEO["model"], input=VIDEO["input"]),
    ],
    "listGenerations": [
        lambda client: client.list_generation_page(status="succeeded", session_id=SES, limit=100, cursor="abc"),
        lambda client: list(client.list_generations()),
        lambda client: client.list_generation_page(),
    ],
    "getGeneration": [lambda client: client.get_generation(GEN)],
    "eraseGeneration": [lambda client: client.erase_generation(GEN)],
    "cancelGeneration": [lambda client: client.cancel_generation(GEN)],
    "createAttempt": [lambda client: client.create_attempt(SES)],
    "renewInvite": [lambda client: client.renew_invite(SES)],
    "revokeInvite": [lambda client: client.revoke_invite(SES)],
    "listClientKeys": [lambda client: client.client_keys()],
    "listWebhooks": [lambda client: client.webhooks()],
    "testWebhook": [lambda client: client.test_webhook(WHE)],
    "replayWebhook": [lambda client: client.replay_webhook(WHE)],
    "registerAsset": [
        lambda client: client.register_asset(SES, IMAGE),
        lambda client: client.register_asset(SES, CLIP),
        lambda client: client.register_asset(SES, FRONT),
    ],
    "addRequests": [lambda client: client.add_requests(SES, [SIDE])],
    "withdrawRequest": [lambda client: client.withdraw_request(SES, "say hello: 你好")],
    "finishSession": [lambda client: client.finish_session(SES)],
    "getAsset": [lambda client: client.get_asset(SES, AST)],
    "getPreview": [lambda client: client.preview(SES, AST)],
    "getStats": [lambda client: client.stats(date(2026, 11, 12), date(2026, 11, 25)), lambda client: client.stats()],
    "getConsentText": [
        lambda client: client.consent_text("zh", TERMS),
        lambda client: client.consent_text("zh", DAYS),
        lambda client: client.consent_text(),
    ],
}


@dataclass(frozen=True)
class Operation:
    """One route of the contract."""

    path: str
    method: str
    described: dict[str, Any]

    def answers(self) -> Iterator[tuple[int, str, Any]]:
        """Yields status, content type and example of every JSON response."""
        for status, answer in self.described["responses"].items():
            for kind, media in answer.get("content", {}).items():
                if kind.endswith("json"):
                    yield from ((int(status), kind, EXAMPLES[name]["value"]) for name in media["examples"])

    def check(self, request: requests.PreparedRequest) -> None:
        """Raises AssertionError when the request does not match this operation."""
        url = urlsplit(str(request.url))
        assert re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape("/v1" + self.path)), url.path)
        assert request.method == self.method.upper()
        sent = {"query": dict(parse_qsl(url.query)), "header": dict(request.headers)}
        described = {(each["in"], each["name"]): each["schema"] for each in self.described.get("parameters", [])}
        assert {("query", name) for name in sent["query"]} <= set(described)
        for (place, name), schema in described.items():
            if place in sent and name in sent[place]:
                whole = schema.get("type") == "integer"
                _fits(schema, int(sent[place][name]) if whole else sent[place][name])
        body = self.described.get("requestBody")
        assert (request.body is None) or body
        if body and request.body is not None:
            assert request.headers["Content-Type"] == "application/json"
            _fits(body["content"]["application/json"]["schema"], json.loads(request.body))


OPERATIONS = {
    each.get("operationId", f"{method} {path}"): Operation(path, method, each)
    for path, item in PATHS.items()
    for method, each in item.items()
}


def _fits(schema: dict[str, Any], value: Any) -> None:
    whole = schema | {"components": CONTRACT["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


@dataclass
class StubTransport(BaseAdapter):
    """Replaces the network: records the requests, and answers each with the same response."""

    status: int
    content_type: str
    document: Any
    seen: list[requests.PreparedRequest] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Records the request. Returns the response."""
        self.seen.append(request)
        answer = requests.Response()
        answer.status_code = self.status
        answer.headers["Content-Type"] = self.content_type
        answer._content = json.dumps(self.document).encode()
        answer.request = request
        return answer

    def close(self) -> None:
        """Does nothing."""


def call_with(call: Callable[[Client], object], transport: StubTransport) -> object:
    """Returns the result of the call with ``transport`` as the network."""
    with requests.Session() as http:
        http.mount("https://", transport)
        return call(Client("https://api.example.com/v1", "lk_x", session=http, retry=Retry(attempts=1)))


def test_every_route_for_programs_has_a_method() -> None:
    assert set(CALLS) == {name for name, each in OPERATIONS.items() if each.path not in FOR_OTHERS}


@pytest.mark.parametrize(("name", "call"), [(name, call) for name, calls in CALLS.items() for call in calls])
def test_a_request_matches_the_contract_and_its_responses_are_read(name: str, call: Callable[[Client], object]) -> None:
    good = [each for each in OPERATIONS[name].answers() if each[0] < 300]
    assert good
    for answer in good:
        transport = StubTransport(*answer)
        assert call_with(call, transport)
        assert transport.seen
        for request in transport.seen:
            OPERATIONS[name].check(request)


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_sends_every_parameter_and_property(name: str) -> None:
    transport = StubTransport(*next(iter(OPERATIONS[name].answers())))
    for call in CALLS[name]:
        call_with(call, transport)
    described = OPERATIONS[name].described
    # stats() and uses() follow the cursor themselves, see tests/client.
    wanted = {each["name"] for each in described.get("parameters", []) if each["in"] == "query"}
    sent = {key for each in transport.seen for key, _ in parse_qsl(urlsplit(str(each.url)).query)}
    assert wanted - ({"cursor"} if name in ("getStats", "listUses") else set()) <= sent
    if "requestBody" in described:
        schema = _resolved(described["requestBody"]["content"]["application/json"]["schema"])
        members = {key for each in transport.seen for key in json.loads(each.body or b"{}")}
        assert members == set(schema["properties"])


@pytest.mark.parametrize("name", CALLS)
def test_every_error_response_raises_the_error_of_its_status_and_code(name: str) -> None:
    refusals = [each for each in OPERATIONS[name].answers() if each[0] >= 400]
    assert refusals
    for status, kind, document in refusals:
        with pytest.raises(LikenessApiError) as caught:
            call_with(CALLS[name][0], StubTransport(status, kind, document))
        assert (caught.value.status, caught.value.code, caught.value.title) == (
            status, document["code"], document["title"],
        )  # fmt: skip
        assert caught.value.field == document.get("field")
        assert caught.value.request_id == document.get("request_id")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follows references, and unwraps "this or null"."""
    while "$ref" in schema or "null" in str(schema.get("oneOf", "")):
        if "$ref" in schema:
            schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
        else:
            (schema,) = (each for each in schema["oneOf"] if each != {"type": "null"})
    return schema


def _inner(hint: Any) -> Any:
    """Returns the dataclass in a type hint, or None."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((found for each in get_args(hint) if (found := _inner(each))), None)


def _properties(schema: dict[str, Any], kind: Any, found: dict[Any, set[str]]) -> None:
    """Collects for each dataclass the properties of the schemas that it reads, starting with ``kind``."""
    schema = _resolved(schema)
    if schema.get("type") == "array":
        _properties(schema["items"], kind, found)
        return
    found[kind] |= set(schema.get("properties", {}))
    hints = get_type_hints(kind)
    for name, inner in schema.get("properties", {}).items():
        if name in hints and _inner(hints[name]):
            _properties(inner, _inner(hints[name]), found)


def test_every_property_is_read_or_ignored_and_no_field_lacks_a_property() -> None:
    found: dict[Any, set[str]] = defaultdict(set)
    for name, kind in {
        "Session": Session, "Asset": Asset, "Problem": Problem, "SessionPage": Page, "Consent": Consent,
        "ConsentText": ConsentText, "Stats": Stats, "ClientKeys": ClientKeys, "Webhooks": Webhooks,
        "WebhookTest": WebhookTest, "WebhookReplay": WebhookReplay,
        "SessionConsent": SessionConsent, "Use": Use, "UseResults": UseResults,
        "Generation": Generation, "GenerationPage": GenerationPage, "GenerationEstimate": GenerationEstimate,
        "UsePage": UsePage,
    }.items():  # fmt: skip
        _properties(SCHEMAS[name], kind, found)
    assert len(found) >= 12
    for kind, properties in found.items():
        assert properties - IGNORED.get(kind, set()) == {each.name for each in fields(kind)}, kind


def _compare(document: Any, value: Any) -> None:
    """Asserts that ``value`` has the content of the document."""
    if is_dataclass(value):
        for name in {each.name for each in fields(value)} & set(document):
            _compare(document[name], getattr(value, name))
    elif isinstance(value, tuple):
        for one, other in zip(document, value, strict=True):
            _compare(one, other)
    elif isinstance(value, datetime):
        assert value == datetime.fromisoformat(document)
        assert value.tzinfo
    else:
        assert (date.fromisoformat(document) if isinstance(value, date) else document) == value


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        (Session, "session_made"), (Session, "session_again"), (Session, "session_verified"),
        (Session, "session_asked"), (Session, "session_finished"),
        (Session, "session_erased"), (Page, "page"), (Asset, "asset_made"), (Asset, "asset_active"),
        (Asset, "asset_erased"),
        (Problem, "invalid_body"), (Problem, "internal_error"), (Consent, "consent"), (Stats, "stats"),
        (ClientKeys, "client_keys"), (Webhooks, "webhooks"), (WebhookReplay, "webhook_replay"),
        (SessionConsent, "consent_taken_back"), (Use, "use"), (UseResults, "use_results"),
        (Generation, "generation_queued"), (Generation, "generation_succeeded"), (Generation, "generation_failed"),
        (Generation, "generation_without_media"), (Generation, "generation_erased"),
        (GenerationPage, "generation_page"), (GenerationEstimate, "generation_estimate"), (UsePage, "uses"),
        (Problem, "asset_not_active"), (Problem, "budget_exhausted"),
    ],
)  # fmt: skip
def test_the_values_of_the_examples_are_read(kind: type, example: str) -> None:
    _compare(EXAMPLES[example]["value"], read(kind, EXAMPLES[example]["value"]))


def _enums(node: Any, name: str = "", owner: str = "") -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yields for each enumeration its parent's name, the name of its property or schema, and its values."""
    if isinstance(node, Mapping):
        if "enum" in node:
            yield owner, name, frozenset(node["enum"])
        for key, each in node.items():
            if key in ("properties", "schemas"):
                for inner, schema in each.items():
                    yield from _enums(schema, inner, name)
            elif key not in ("examples", "example", "not"):
                yield from _enums(each, name, owner)
    elif isinstance(node, list):
        for each in node:
            yield from _enums(each, name, owner)


#: The client has them as plain text.
ONLY_IN_RESPONSES = {("Consent", "source"), ("ConsentWithdrawal", "source"), ("in_flight", "type")}


def test_every_enumeration_value_of_the_contract_is_known() -> None:
    known: dict[tuple[str, str], Any] = {
        ("", "SessionStatus"): SessionStatus,
        ("", "AssetStatus"): AssetStatus,
        ("", "AttemptStatus"): AttemptStatus,
        ("", "AssetType"): AssetType,
        ("", "RequestStatus"): RequestStatus,
        ("", "DeletionKind"): DeletionKind,
        ("", "DeletionStatus"): DeletionStatus,
        ("", "ConsentStatus"): ConsentStatus,
        ("", "GenerationStatus"): GenerationStatus,
        ("", "Language"): Language,
        ("NewSession", "start"): Start,
        ("Webhook", "state"): WebhookState,
    }
    by_name = {"language": Language, "asset_type": AssetType, "holder": Holder}
    seen = set()
    schemas = {name: each for name, each in SCHEMAS.items() if name not in _OF_OTHERS}
    for owner, name, words in _enums({"schemas": schemas}):
        if name == "content_type":
            assert {each for each in CONTENT_TYPES.values() if each.split("/")[0] in str(words)} <= words
        elif (owner, name) not in ONLY_IN_RESPONSES:
            assert words == set(get_args(known[owner, name] if (owner, name) in known else by_name[name])), (
                owner,
                name,
            )
        seen.add((owner, name))
    assert set(known) <= seen


def test_every_code_of_the_contracts_examples_is_known() -> None:
    shown = {document["code"] for each in OPERATIONS.values() if each.path not in FOR_OTHERS
             for status, _, document in each.answers() if status >= 400}  # fmt: skip
    assert shown <= set(get_args(ProblemCode))
    assert len(shown) > 10
