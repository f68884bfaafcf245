"""A receipt leads to the person's own page, withdraws and erases, and nothing else; all bad ones get one answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import jsonschema_rs
import pytest
from moto import mock_aws

from likeness.adapters.table.client_keys import DynamoClientKeys
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import decode_item
from likeness.adapters.table.receipts import DynamoReceipts
from likeness.contracts.body import parse_body
from likeness.contracts.consent import ConsentAgreed, Terms
from likeness.contracts.consent_receipt import Controller
from likeness.contracts.http import AssetRegistration, MoreRequests, NewSession
from likeness.contracts.inventory import lines_of, single_item
from likeness.domain.asset import AssetStatus, new_asset
from likeness.domain.caller import Caller
from likeness.domain.receipt import Holder, receipt_digest, receipt_of
from likeness.domain.session import Session, SessionStatus
from likeness.domain.terms import TermsPolicy
from likeness.errors import Conflict, Forbidden, InvalidCredential, InvalidRequest, NotFound, RequestError
from likeness.runtime.problems import problem
from likeness.runtime.request import authorization_of, caller_of
from likeness.steps.files.register_asset import RegisterAsset
from likeness.steps.files.request_files import RequestFiles
from likeness.steps.files.retry_asset import RetryAsset
from likeness.steps.onboarding.authorize import Authorize
from likeness.steps.onboarding.check_use import CheckUse
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.onboarding.draw_qr_code import draw_qr_code
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.onboarding.issue_receipt import IssueReceipt
from likeness.steps.onboarding.open_link import OpenLink
from likeness.steps.onboarding.record_consent import RecordConsent
from likeness.steps.onboarding.revoke_invite import RevokeInvite
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from tests.aws import isolated_aws_environment, make_table
from tests.template_file import RESOURCES
from tests.unit.fakes import (
    FakeClock,
    FakeConsentTexts,
    FakeCrun,
    FakeFiles,
    FakeQueue,
    FakeWorkflows,
    FixedKeys,
    no_generations,
)

BASE = "https://likeness.example/v1"
CLIENT = Caller("acme")
IMAGE = AssetRegistration(name="front", asset_type="Image", content_type="image/jpeg", size_bytes=1000)
EVENT: Any = {"methodArn": "arn:aws:execute-api:us-east-1:1:api/v1/GET/receipt", "headers": {}}


@dataclass
class NoIds:
    """Implements the port ``UpstreamIds`` for a client without assets at crun."""

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        return None

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        return None


@dataclass
class Desk:
    """A stack with the steps that a credential can reach, and a session whose person has agreed."""

    dynamodb: Any
    clock: FakeClock = field(default_factory=FakeClock)
    files: FakeFiles = field(default_factory=FakeFiles)
    texts: FakeConsentTexts = field(default_factory=FakeConsentTexts)
    made: int = 0

    def __post_init__(self) -> None:
        self.store = store = DynamoStore(self.dynamodb, "Table")
        self.receipts = DynamoReceipts(self.dynamodb, "Table")
        keys, clock = FixedKeys(), self.clock
        self.authorize = Authorize(DynamoClientKeys(self.dynamodb, "Table"), keys, clock, self.receipts)
        controller = Controller("Acme", "privacy@acme.example", "eu-central-1", 30)
        self.issue = IssueReceipt(store, self.receipts, lambda: self.texts, clock, self.entropy, controller, 5)
        # No client has a key: a receipt needs none.
        no_key: Callable[[str], bool] = lambda _: False  # noqa: E731
        links = OpenLink(FakeCrun(), FakeQueue(), keys, lambda _: None, 330)
        terms = TermsPolicy(known=lambda: ["advertising"])
        self.sessions = CreateSession(store, links, self.files, keys, clock, 5, no_key, terms=terms)
        self.consent = RecordConsent(store, self.texts, clock, FakeQueue(), terms=terms)
        self.withdraw = WithdrawConsent(store, clock, TermsPolicy(), DynamoGenerations(self.dynamodb, "Table"))
        self.read = GetSession(store, clock, 5, self.files, lambda: self.texts)
        self.erase = EraseSession(store, self.files, FakeWorkflows(), clock, no_generations)
        self.id = self.new()
        self.invited = Caller("acme", session_id=self.id)

    def entropy(self, size: int) -> bytes:
        self.made += 1
        return hashlib.sha256(str(self.made).encode()).digest()[:size]

    def new(self, **terms: Any) -> str:
        body = NewSession(start="on_open", language="en", consent_terms=Terms(**terms) if terms else None)
        made: str = self.sessions.create(CLIENT, body, BASE)["id"]
        row = self.row(made)
        text = self.texts.current(row.language, row.consent_terms)
        agreed = ConsentAgreed(text_version=text.version, language="en", sha256=text.sha256)
        self.consent(Caller("acme", session_id=made), made, agreed)
        return made

    def row(self, session_id: str) -> Session:
        found = self.store.get_session(session_id)
        assert found
        return found

    def link(self, caller: Caller, session_id: str | None = None) -> str:
        """Returns the credential of a new personal link."""
        shown = self.issue(caller, session_id or self.id, BASE)
        page, _, credential = shown["receipt_url"].partition("#")
        assert page == f"{BASE}/me"
        return str(credential)

    def who(self, credential: str) -> Caller:
        """Returns the caller as a function gets it from the authorizer."""
        context = authorization_of(EVENT, self.authorize(credential))["context"]
        return caller_of({"requestContext": {"authorizer": context}})

    def rows(self) -> list[dict[str, Any]]:
        return [decode_item(each) for each in self.dynamodb.scan(TableName="Table")["Items"]]


@pytest.fixture
def desk() -> Iterator[Desk]:
    with isolated_aws_environment(), mock_aws():
        make_table("Table", "Table")
        yield Desk(boto3.client("dynamodb"))


# The credential


def test_a_receipt_has_256_random_bits_and_only_its_digest_is_stored(desk: Desk) -> None:
    credential = desk.link(desk.invited)
    assert re.fullmatch(r"rt_[0-9A-Za-z_-]{43}", credential)
    with pytest.raises(ValueError, match="32 bytes"):
        receipt_of(b"few")
    digest = hashlib.sha256(credential.encode()).hexdigest()
    assert receipt_digest(credential) == digest
    assert credential not in str(desk.rows())
    (row,) = (each for each in desk.rows() if each["pk"].startswith("RECEIPT#"))
    assert row == {
        "pk": f"RECEIPT#{digest}", "sk": "RECEIPT", "session_id": desk.id, "client_id": "acme", "holder": "person",
        "created_at": desk.clock.now(),
    }  # fmt: skip
    assert desk.who(credential) == Caller("acme", session_id=desk.id, receipt=digest)


def test_a_damaged_or_unknown_receipt_is_denied_without_a_read(desk: Desk) -> None:
    credential = desk.link(desk.invited)
    bent = credential[:-1] + ("A" if credential[-1] != "A" else "B")
    cut = (credential[:-1], credential[3:], "rt_")
    for each in (*cut, bent, credential + "A", credential.upper(), "rt_" + "ä" * 43, "x" + credential):
        assert desk.authorize(each) is None


def test_it_reads_withdraws_and_erases_while_the_client_has_no_key(desk: Desk) -> None:
    holder = desk.who(desk.link(desk.invited))
    shown = desk.issue.page(holder, None)
    assert (shown["holder"], shown["session"]["id"], shown["uses"]) == ("person", desk.id, [])
    assert "reference" not in shown["session"]
    assert desk.read.one(holder, desk.id)["id"] == desk.id
    taken_back = desk.withdraw(holder, desk.id)
    assert taken_back["consent_withdrawal"] == {
        "withdrawn_at": "2027-01-15T08:00:00Z", "source": "person", "in_flight": [],
    }  # fmt: skip
    desk.clock.at += 60
    assert desk.withdraw(holder, desk.id) == taken_back, "withdrawing twice has the same answer"
    (entry,) = (each for each in desk.rows() if each["pk"] == f"CONSENT#{desk.id}" and "withdrawn_at" in each)
    assert (entry["source"], entry["credential"]) == ("person", "receipt")
    tombstone = desk.erase(holder, desk.id)
    assert tombstone["status"] == "redacted"
    assert desk.row(desk.id).erased_by == "receipt"
    # Then all is gone, with the number of the tombstone.
    gone = desk.issue.page(holder, "zh")
    assert (gone["session"]["status"], gone["session"]["id"]) == ("redacted", desk.id)
    assert gone["session"]["erasure"]["erased_at"]
    assert desk.erase(holder, desk.id) == tombstone
    with pytest.raises(Conflict):
        desk.issue(holder, desk.id, BASE)


def test_it_permits_nothing_else(desk: Desk) -> None:
    holder = desk.who(desk.link(desk.invited))
    asset = new_asset(desk.row(desk.id), desk.clock.now(), b"0" * 10, **IMAGE.model_dump())
    assert desk.store.add_asset(asset)
    row = desk.row(desk.id)
    text = desk.texts.current(row.language)
    agreed = ConsentAgreed(text_version=text.version, language="en", sha256=text.sha256)
    queue, files, store, clock = FakeQueue(), desk.files, desk.store, desk.clock
    requests = RequestFiles(store, clock, 5)
    use = CheckUse(store, NoIds(), clock, TermsPolicy())
    more = parse_body(MoreRequests, '{"requests": [{"name": "clip", "asset_type": "Video"}]}')
    asked: list[Callable[[], object]] = [
        lambda: desk.sessions.create(holder, NewSession(), BASE),
        lambda: desk.sessions.create_attempt(holder, desk.id, BASE),
        lambda: desk.sessions.renew_invite(holder, desk.id, BASE),
        lambda: RevokeInvite(store, clock, 5)(holder, desk.id),
        lambda: desk.consent(holder, desk.id, agreed),
        lambda: desk.consent.decline(holder, desk.id),
        lambda: desk.withdraw.ask(holder, desk.id, Terms(valid_days=3)),
        lambda: RegisterAsset(store, files, clock)(holder, desk.id, IMAGE),
        lambda: RetryAsset(store, files, queue, clock)(holder, desk.id, asset.id),
        lambda: EraseAsset(store, files, clock)(holder, desk.id, asset.id),
        lambda: requests.add(holder, desk.id, more),
        lambda: requests.withdraw(holder, desk.id, "clip"),
        lambda: requests.finish(holder, desk.id),
        lambda: use(holder, desk.id, None),
        lambda: use.several(holder, f'{{"ids": ["{desk.id}"]}}'),
        lambda: desk.read.list(holder),
        lambda: draw_qr_code(holder, "rt_x", "https://app.example/"),
    ]
    before = desk.rows()
    for each in asked:
        with pytest.raises(Forbidden):
            each()
    assert desk.rows() == before


def test_previews_are_shown_while_files_are_kept(desk: Desk) -> None:
    holder = desk.who(desk.link(desk.invited))
    asset = new_asset(desk.row(desk.id), desk.clock.now(), b"0" * 10, **IMAGE.model_dump())
    assert desk.store.add_asset(asset)
    with pytest.raises(NotFound):
        desk.read.preview(holder, desk.id, asset.id)
    assert desk.read.asset(holder, desk.id, asset.id)["status"] == AssetStatus.AWAITING_UPLOAD


# Refusals: one answer for all of them


def _refusals(desk: Desk, holder: Caller, session_id: str) -> list[RequestError]:
    found: list[RequestError] = []
    asked: list[Callable[[], object]] = [
        lambda: desk.issue.page(holder, None),
        lambda: desk.issue.read(holder, session_id),
        lambda: desk.issue(holder, session_id, BASE),
        lambda: desk.issue.revoke(holder, session_id),
        lambda: desk.read.one(holder, session_id),
        lambda: desk.read.preview(holder, session_id, "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        lambda: desk.withdraw(holder, session_id),
        lambda: desk.erase(holder, session_id),
    ]
    for each in asked:
        with pytest.raises(InvalidCredential) as refused:
            each()
        found.append(refused.value)
    return found


def test_every_receipt_that_is_not_valid_gets_the_same_problem(desk: Desk) -> None:
    other = desk.new()
    holder = desk.who(desk.link(desk.invited))
    of_another = []
    for session_id in (other, "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ses_1"):
        of_another += _refusals(desk, Caller("acme", session_id=other, receipt=holder.receipt), session_id)
        for each in (desk.read.one, desk.withdraw, desk.erase):
            with pytest.raises(InvalidCredential) as refused:
                each(holder, session_id)
            of_another.append(refused.value)
    desk.issue.revoke(holder, desk.id)
    revoked = _refusals(desk, holder, desk.id)
    (body,) = {problem(each)["body"] for each in of_another + revoked}
    denied = RESOURCES["Api"]["Properties"]["GatewayResponses"]["ACCESS_DENIED"]
    assert json.loads(body) == json.loads(denied["ResponseTemplates"]["application/json"])
    assert desk.row(desk.id).status is SessionStatus.REQUIRES_INPUT


def test_a_page_needs_a_receipt_and_a_known_language(desk: Desk) -> None:
    for each in (CLIENT, desk.invited):
        with pytest.raises(Forbidden):
            desk.issue.page(each, None)
    with pytest.raises(InvalidRequest):
        desk.issue.page(desk.who(desk.link(desk.invited)), "fr")


# Revoking and rotating


def test_a_revoked_receipt_ends_at_once_and_leaves_no_row(desk: Desk) -> None:
    credential = desk.link(desk.invited)
    holder = desk.who(credential)
    assert desk.issue.revoke(desk.invited, desk.id) == {"session_id": desk.id, "receipts": []}
    assert desk.issue.revoke(desk.invited, desk.id)["receipts"] == []
    _refusals(desk, holder, desk.id)  # an answer of the authorizer may be cached
    assert desk.authorize(credential) is None
    assert not [each for each in desk.rows() if each["pk"].startswith("RECEIPT#")]


def test_an_invite_replaces_the_persons_receipt(desk: Desk) -> None:
    first, second = desk.link(desk.invited), desk.link(desk.invited)
    assert desk.authorize(first) is None
    assert desk.issue.page(desk.who(second), None)["holder"] == "person"


def test_a_renewed_link_ends_the_earlier_one_when_it_is_first_used(desk: Desk) -> None:
    first = desk.link(desk.invited)
    old = desk.who(first)
    lost, second = desk.link(old), desk.link(old)  # the response with the first of these was lost
    assert desk.issue.page(old, None)["session"]["id"] == desk.id
    new = desk.who(second)
    with pytest.raises(InvalidCredential):
        desk.read.one(new, desk.id)  # its page opens it first
    for _ in range(2):
        assert desk.issue.page(new, None)["session"]["id"] == desk.id
    assert desk.read.one(new, desk.id)["receipts"] == [{"holder": "person", "created_at": "2027-01-15T08:00:00Z"}]
    assert desk.authorize(first) is None
    _refusals(desk, old, desk.id)
    _refusals(desk, desk.who(lost), desk.id)
    rows = {each["pk"]: each for each in desk.rows() if each["pk"].startswith("RECEIPT#")}
    assert not {"ttl", "replaces"} & set(rows[f"RECEIPT#{receipt_digest(second)}"])
    assert rows[f"RECEIPT#{receipt_digest(lost)}"]["ttl"] == int(desk.clock.now()) + 86_400


def test_a_client_has_one_of_its_own_without_ending_the_persons(desk: Desk) -> None:
    persons = desk.link(desk.invited)
    clients = desk.link(CLIENT)
    assert [each["holder"] for each in desk.read.one(CLIENT, desk.id)["receipts"]] == ["person", "client"]
    again = desk.link(CLIENT)
    assert desk.authorize(clients) is None
    holder = desk.who(again)
    assert (holder.holder, holder.source, holder.credential) == (Holder.CLIENT, "client", "receipt")
    assert desk.withdraw(holder, desk.id)["consent_withdrawal"]["source"] == "client"
    # The person's own withdrawal replaces it.
    desk.clock.at += 1
    assert desk.withdraw(desk.who(persons), desk.id)["consent_withdrawal"]["source"] == "person"
    assert desk.issue.revoke(CLIENT, desk.id)["receipts"][0]["holder"] == "person"
    assert desk.issue.page(desk.who(persons), None)


def test_another_client_gets_no_receipt(desk: Desk) -> None:
    for each in (Caller("evil"), Caller("evil", session_id=desk.id), Caller("acme", session_id=desk.new())):
        with pytest.raises(NotFound):
            desk.issue(each, desk.id, BASE)


def test_a_receipt_survives_an_export(desk: Desk) -> None:
    credential = desk.link(desk.invited)
    (row,) = (each for each in desk.rows() if each["pk"].startswith("RECEIPT#"))
    (line,) = lines_of([row])
    assert line["kind"] == "receipt"
    assert single_item(line) == row
    (session,) = (each for each in desk.rows() if each["sk"] == "SESSION")
    assert lines_of([session])[0]["session"]["person_receipt"]["digest"] == receipt_digest(credential)


# The document


EVENTS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["@type", "dpv:isIndicatedAtTime", "dpv:isIndicatedBy", "dpv:hasDuration"],
        "additionalProperties": False,
        "properties": {
            "@type": {"enum": [f"dpv:Consent{each}" for each in ("Given", "Withdrawn", "Expired", "Requested")]},
            "dpv:isIndicatedAtTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
            "dpv:isIndicatedBy": {"enum": ["dpv:DataSubject", "dpv:DataController"]},
            "dpv:hasDuration": {"type": "object", "required": ["@type", "rdf:value"]},
        },
    },
}
NAMED = {"type": "string", "minLength": 1}
#: The fields that are mandatory in ISO/IEC TS 27560:2023, by the guide CG-FINAL-guide-27560-20240801 of W3C's community
#: group DPVCG, with version 2 of the Data Privacy Vocabulary.
SHAPE: dict[str, Any] = {
    "type": "object",
    "required": ["@context", "@type", "dct:conformsTo", "dct:identifier", "dct:issued", "dpv:hasRecordOfActivity"],
    "properties": {
        "@context": {"required": ["dct", "dpv"], "properties": {"dpv": {"const": "https://w3id.org/dpv#"}}},
        "@type": {"const": "dpv:ConsentReceipt"},
        "dct:conformsTo": {"const": "https://w3id.org/dpv/schema/dpv-27560#receipt"},
        "dct:identifier": NAMED,
        "dpv:hasRecordOfActivity": {
            "type": "object",
            "required": [
                *("@type", "dct:conformsTo", "dct:identifier", "dct:language", "dpv:hasDataSubject", "dpv:hasNotice"),
                *("dpv:hasDataController", "dpv:hasJurisdiction", "dpv:hasProcess", "dpv:hasLegalBasis"),
                "dpv:hasConsentStatus",
            ],
            "properties": {
                "@type": {"const": "dpv:ConsentRecord"},
                "dct:conformsTo": {"const": "https://w3id.org/dpv/schema/dpv-27560#record"},
                "dpv:hasDataSubject": {"required": ["@type", "dct:identifier"]},
                "dpv:hasNotice": {"required": ["@type", "dct:identifier", "dct:language"]},
                "dct:language": {"enum": ["zh", "en", "zh-Hant"]},
                "dpv:hasDataController": {
                    "required": ["@type", "dct:identifier", "schema:name", "schema:address", "schema:contactPoint"],
                },
                "dpv:hasJurisdiction": NAMED,
                "dpv:hasLegalBasis": {"enum": ["dpv:ExplicitlyExpressedConsent", "dpv:Consent"]},
                "dpv:hasConsentStatus": EVENTS,
                "dpv:hasProcess": {
                    "required": [
                        *("dpv:hasPurpose", "dpv:hasPersonalData", "dpv:hasRecipient", "dpv:hasStorageCondition"),
                        "dpv:hasConsentControl",
                    ],
                    "properties": {
                        "dpv:hasPurpose": {"type": "array", "minItems": 1, "items": {"required": ["dct:title"]}},
                        "dpv:hasPersonalData": {"type": "array", "minItems": 1},
                        "dpv:hasRecipient": {"type": "array", "items": {"required": ["@type", "schema:name"]}},
                        "dpv:hasStorageCondition": {"type": "array", "minItems": 2},
                        "dpv:hasConsentControl": {"required": ["@type", "dct:description"]},
                    },
                },
            },
        },
    },
}


def _states(receipt: dict[str, Any]) -> list[tuple[str, str]]:
    jsonschema_rs.validate(SHAPE, receipt)
    prefixes = {each.partition(":")[0] for each in re.findall(r"'(\w+:\w+)'", str(receipt)) if "://" not in each}
    assert prefixes <= set(receipt["@context"])
    events = receipt["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]
    return [(each["@type"], each["dpv:isIndicatedBy"]) for each in events]


def test_the_document_has_the_fields_of_iso_27560_in_each_state(desk: Desk) -> None:
    until = "2027-03-31T00:00:00Z"
    session_id = desk.new(purposes=["advertising"], valid_until=until)
    invited = Caller("acme", session_id=session_id)
    receipt = desk.issue.read(CLIENT, session_id)
    assert _states(receipt) == [("dpv:ConsentGiven", "dpv:DataSubject")]
    assert desk.issue.read(invited, session_id) == receipt == desk.issue.read(
        desk.who(desk.link(invited, session_id)), session_id
    )  # fmt: skip
    record = receipt["dpv:hasRecordOfActivity"]
    (given,) = record["dpv:hasConsentStatus"]
    assert given["dpv:hasDuration"] == {"@type": "dpv:UntilTimeDuration", "rdf:value": until}
    assert [each["dct:identifier"] for each in record["dpv:hasProcess"]["dpv:hasPurpose"]] == ["advertising"]
    consent = desk.row(session_id).consent
    assert consent
    assert record["dpv:hasNotice"]["spdx:checksum"]["spdx:checksumValue"] == consent.sha256
    desk.clock.at += 86_400 * 100
    assert _states(desk.issue.read(CLIENT, session_id))[-1] == ("dpv:ConsentExpired", "dpv:DataController")
    desk.withdraw(invited, session_id)
    withdrawn = ("dpv:ConsentWithdrawn", "dpv:DataSubject")
    assert _states(desk.issue.read(CLIENT, session_id))[-1] == withdrawn
    desk.erase(CLIENT, session_id)
    assert _states(desk.issue.read(CLIENT, session_id))[-1] == withdrawn


def test_the_document_says_by_whose_word_a_consent_is(desk: Desk) -> None:
    asked = desk.sessions.create(CLIENT, NewSession(start="on_open"), BASE)["id"]
    assert _states(desk.issue.read(CLIENT, asked)) == [("dpv:ConsentRequested", "dpv:DataController")]
    body = '{"start": "on_open", "consent": {"text_version": "theirs", "given_at": "2027-01-01T00:00:00Z"}}'
    said = desk.sessions.create(CLIENT, parse_body(NewSession, body), BASE)["id"]
    receipt = desk.issue.read(CLIENT, said)
    assert _states(receipt) == [("dpv:ConsentGiven", "dpv:DataController")]
    assert receipt["dpv:hasRecordOfActivity"]["dpv:hasNotice"]["dct:identifier"] == "theirs"


def test_the_page_shows_the_text_as_it_was_agreed_to_and_the_terms_in_the_readers_language(desk: Desk) -> None:
    session_id = desk.new(purposes=["advertising"])
    holder = desk.who(desk.link(Caller("acme", session_id=session_id), session_id))
    desk.texts.text = desk.texts.text.__class__("2", desk.texts.text.language, "Another", "Another text.")
    shown = desk.issue.page(holder, "zh-Hant")
    assert shown["agreed"]["title"] == "Title"
    assert shown["agreed"]["text_version"] == "1"
    assert shown["terms"] == ["advertising"]
    assert shown["purposes"] == {"advertising": "advertising in zh-Hant"}
