"""Consent is required first, identifies the exact text, and is never deleted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from likeness.adapters.consent_texts import ConsentTexts, read_purposes
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import decode_item, encode_item
from likeness.contracts.body import parse_body
from likeness.contracts.consent import ConsentAgreed
from likeness.contracts.http import AssetRegistration, ConsentGiven, NewSession
from likeness.domain.asset import new_asset
from likeness.domain.caller import Caller
from likeness.domain.consent import ConsentText
from likeness.domain.crun import H5Session
from likeness.domain.session import Attempt, AttemptStatus, Language
from likeness.errors import ConditionFailed, Conflict, Forbidden, InvalidRequest, NotFound
from likeness.steps.files.register_asset import RegisterAsset
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.onboarding.open_link import OpenLink
from likeness.steps.onboarding.record_consent import RecordConsent
from likeness.steps.upkeep.erase_session import EraseSession
from tests.aws import isolated_aws_environment, make_table
from tests.template_file import TEMPLATE
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
DEFAULTS = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()}


@dataclass
class ConsentHarness:
    """A stack with one session whose link is opened later."""

    dynamodb: Any
    clock: FakeClock
    texts: FakeConsentTexts
    crun: FakeCrun

    def __post_init__(self) -> None:
        self.store = DynamoStore(self.dynamodb, "Table")
        self.step = RecordConsent(self.store, self.texts, self.clock, FakeQueue())
        links = OpenLink(self.crun, FakeQueue(), FixedKeys(), lambda _: None, 330)
        self.sessions = CreateSession(self.store, links, FakeFiles(), FixedKeys(), self.clock, 10)
        self.id: str = self.sessions.create(CLIENT, NewSession(start="on_open"), BASE)["id"]
        self.person = Caller("acme", session_id=self.id)

    def agreed(self, language: str = "en") -> ConsentAgreed:
        text = self.step.text(language)
        return ConsentAgreed(text_version=text["text_version"], language=language, sha256=text["sha256"])  # type: ignore[arg-type]

    def ledger(self) -> list[dict[str, Any]]:
        found = self.dynamodb.query(
            TableName="Table",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"CONSENT#{self.id}"}},
        )
        return [decode_item(each) for each in found["Items"]]


@pytest.fixture
def harness() -> Iterator[ConsentHarness]:
    with isolated_aws_environment(), mock_aws():
        make_table("Table", "Table")
        yield ConsentHarness(boto3.client("dynamodb"), FakeClock(), FakeConsentTexts(), FakeCrun())


def test_a_person_gets_a_link_only_after_the_consent(harness: ConsentHarness) -> None:
    harness.crun.sessions.append(H5Session("token", "https://h5.test/?bytedToken=token"))
    with pytest.raises(Conflict) as refused:
        harness.sessions.create_attempt(harness.person, harness.id, BASE)
    assert refused.value.code == "consent_required"
    assert harness.crun.callback_urls == []
    harness.step(harness.person, harness.id, harness.agreed())
    assert harness.sessions.create_attempt(harness.person, harness.id, BASE)["attempt"]["h5_link"]


def test_the_ledger_holds_version_digest_language_time_and_source(harness: ConsentHarness) -> None:
    shown, new = harness.step(harness.person, harness.id, harness.agreed("zh"))
    digest = hashlib.sha256(b"Title\n\nFirst.\n\nSecond.").hexdigest()
    assert new
    assert shown == {
        "status": "given", "text_version": "1", "given_at": "2027-01-15T08:00:00Z", "sha256": digest,
        "language": "zh", "source": "person", "purposes": None, "valid_until": None, "has_new_terms": False,
    }  # fmt: skip
    (entry,) = harness.ledger()
    for name in ("text_version", "given_at", "sha256", "language", "source"):
        assert entry[name] == shown[name]
    assert entry["credential"] == "invite"
    assert (entry["session_id"], entry["client_id"]) == (harness.id, "acme")
    kept = harness.dynamodb.get_item(TableName="Table", Key={"pk": {"S": "CONSENT_TEXTS"}, "sk": {"S": digest}})["Item"]
    assert kept["text"]["S"] == "First.\n\nSecond."


def test_a_person_who_declines_gets_neither_links_nor_forms_until_they_agree(harness: ConsentHarness) -> None:
    body = AssetRegistration(name="front", asset_type="Image", content_type="image/jpeg", size_bytes=1000)
    register = RegisterAsset(harness.store, FakeFiles(), harness.clock)
    first = harness.step.decline(harness.person, harness.id)
    assert first == {"consent_declined_at": "2027-01-15T08:00:00Z"}
    harness.clock.at += 60
    assert harness.step.decline(harness.person, harness.id) == first
    for caller in (harness.person, CLIENT):
        for refused in (
            lambda who: harness.sessions.create_attempt(who, harness.id, BASE),
            lambda who: register(who, harness.id, body),
        ):
            with pytest.raises(Conflict) as why:
                refused(caller)
            assert why.value.code == "consent_declined"
    assert harness.crun.callback_urls == []
    session = harness.store.get_session(harness.id)
    assert session
    now = harness.clock.now()
    with pytest.raises(ConditionFailed):  # the refusal was stored after the step had read the session
        harness.store.add_attempt(harness.id, Attempt(1, AttemptStatus.OPEN, "token", now, now + 120), now)
    late = new_asset(session, now, harness.clock.entropy(), **body.model_dump())
    with pytest.raises(ConditionFailed):
        harness.store.add_asset(late)
    assert harness.store.list_assets(harness.id) == []

    harness.step(harness.person, harness.id, harness.agreed())
    read = GetSession(harness.store, harness.clock, 10, FakeFiles(), lambda: harness.texts)
    assert read.one(harness.person, harness.id)["consent_declined_at"] is None
    harness.crun.sessions.append(H5Session("token", "https://h5.test/?bytedToken=token"))
    assert harness.sessions.create_attempt(harness.person, harness.id, BASE)["attempt"]["h5_link"]
    assert register(harness.person, harness.id, body)[1]


def test_a_session_comes_with_the_text_until_the_person_has_agreed(harness: ConsentHarness) -> None:
    read = GetSession(harness.store, harness.clock, 10, FakeFiles(), lambda: harness.texts)
    assert "consent_text" not in read.one(harness.person, harness.id)
    for caller, wanted, language in ((harness.person, "session", "zh"), (CLIENT, "en", "en")):
        text = read.one(caller, harness.id, wanted)["consent_text"]
        assert text == harness.step.text(language)
    with pytest.raises(InvalidRequest) as refused:
        read.one(harness.person, harness.id, "de")
    assert refused.value.field == "consent_text"
    harness.step.decline(harness.person, harness.id)
    assert "consent_text" in read.one(harness.person, harness.id, "en")
    harness.step(harness.person, harness.id, harness.agreed())
    assert "consent_text" not in read.one(harness.person, harness.id, "en")


def test_the_text_of_a_closed_session_is_not_read(harness: ConsentHarness) -> None:
    def never() -> FakeConsentTexts:
        raise AssertionError("the texts were read")

    EraseSession(harness.store, FakeFiles(), FakeWorkflows(), harness.clock, no_generations)(CLIENT, harness.id)
    read = GetSession(harness.store, harness.clock, 10, FakeFiles(), never)
    assert "consent_text" not in read.one(CLIENT, harness.id, "en")


def test_only_a_person_declines_and_only_before_a_consent(harness: ConsentHarness) -> None:
    with pytest.raises(Forbidden):
        harness.step.decline(CLIENT, harness.id)
    with pytest.raises(NotFound):
        harness.step.decline(Caller("evil"), harness.id)
    harness.step(harness.person, harness.id, harness.agreed())
    with pytest.raises(Conflict) as refused:
        harness.step.decline(harness.person, harness.id)
    assert refused.value.code == "consent_given"
    with pytest.raises(ConditionFailed):  # the consent was stored after the step had read the session
        harness.store.decline_consent(harness.id, harness.clock.now())
    EraseSession(harness.store, FakeFiles(), FakeWorkflows(), harness.clock, no_generations)(CLIENT, harness.id)
    with pytest.raises(Conflict, match="redacted"):
        harness.step.decline(harness.person, harness.id)


def test_a_repeated_consent_keeps_the_time_of_the_first(harness: ConsentHarness) -> None:
    first, _ = harness.step(harness.person, harness.id, harness.agreed())
    harness.clock.at += 60
    again, new = harness.step(harness.person, harness.id, harness.agreed())
    assert (again, new) == (first, False)
    assert len(harness.ledger()) == 1


def test_consent_to_an_outdated_text_is_refused(harness: ConsentHarness) -> None:
    old = harness.agreed()
    first, _ = harness.step(harness.person, harness.id, old)
    harness.texts.text = ConsentText("2", Language.EN, "Title", "Other words.")
    with pytest.raises(Conflict) as refused:
        harness.step(harness.person, harness.id, old)
    assert refused.value.code == "consent_text_changed"
    second, _ = harness.step(harness.person, harness.id, harness.agreed())
    assert {each["text_version"] for each in harness.ledger()} == {"1", "2"}
    session = harness.store.get_session(harness.id)
    assert session
    assert session.consent
    assert session.consent.sha256 == second["sha256"] != first["sha256"]


def test_consent_to_a_restored_earlier_version_is_recorded(harness: ConsentHarness) -> None:
    first = harness.texts.text
    given = [harness.step(harness.person, harness.id, harness.agreed())[0]]
    for text in (ConsentText("2", Language.EN, "Title", "Other words."), first):
        harness.clock.at += 60.25
        harness.texts.text = text
        shown, new = harness.step(harness.person, harness.id, harness.agreed())
        assert new
        given.append(shown)
        assert harness.step(harness.person, harness.id, harness.agreed()) == (shown, False)
    ledger = harness.ledger()
    assert [each["text_version"] for each in ledger] == ["1", "2", "1"], "in order of time"
    assert [each["given_at"] for each in ledger] == [each["given_at"] for each in given]
    assert ledger[0]["sk"] == f"2027-01-15T08:00:00.000000Z#{given[0]['sha256']}"
    session = harness.store.get_session(harness.id)
    assert session
    assert session.consent
    assert session.consent.text_version == "1"


def test_entries_of_earlier_versions_stay_and_do_not_interfere(harness: ConsentHarness) -> None:
    digest = harness.agreed().sha256
    old = {"pk": f"CONSENT#{harness.id}", "sk": digest, "session_id": harness.id, "client_id": "acme"}
    harness.dynamodb.put_item(TableName="Table", Item=encode_item(old))
    _, new = harness.step(harness.person, harness.id, harness.agreed())
    assert new
    assert {each["sk"].rpartition("#")[2] for each in harness.ledger()} == {digest}
    assert len(harness.ledger()) == 2


def test_two_concurrent_consents_are_recorded_once(harness: ConsentHarness) -> None:
    session = harness.store.get_session(harness.id)
    assert session
    harness.step(harness.person, harness.id, harness.agreed())
    agreed = harness.store.get_session(harness.id)
    assert agreed
    assert agreed.consent
    late = replace(agreed.consent, given_at="2027-01-15T08:00:00.500000Z")
    with pytest.raises(ConditionFailed):  # both read before either of them writes
        harness.store.record_consent(session, late, harness.clock.now())
    assert len(harness.ledger()) == 1


def test_a_consent_that_the_client_reports_is_in_the_ledger_too(harness: ConsentHarness) -> None:
    body = parse_body(
        NewSession, '{"start":"on_open","consent":{"text_version":"v7","given_at":"2026-01-15T09:30:00Z"}}'
    )
    assert isinstance(body.consent, ConsentGiven)
    harness.id = harness.sessions.create(CLIENT, body, BASE)["id"]
    (entry,) = harness.ledger()
    assert (entry["text_version"], entry["source"], entry.get("sha256")) == ("v7", "client", None)
    harness.crun.sessions.append(H5Session("token", "https://h5.test/?bytedToken=token"))
    assert harness.sessions.create_attempt(Caller("acme", session_id=harness.id), harness.id, BASE)["attempt"][
        "h5_link"
    ]


def test_the_ledger_outlives_the_session(harness: ConsentHarness) -> None:
    harness.step(harness.person, harness.id, harness.agreed())
    before = harness.ledger()
    erased = EraseSession(harness.store, FakeFiles(), FakeWorkflows(), harness.clock, no_generations)(
        CLIENT, harness.id
    )
    assert erased["status"] == "redacted"
    assert harness.ledger() == before
    with pytest.raises(Conflict):
        harness.step(harness.person, harness.id, harness.agreed())


def test_a_caller_cannot_consent_for_another_session(harness: ConsentHarness) -> None:
    for outsider in (Caller("other"), Caller("acme", session_id="ses_01ARZ3NDEKTSV4RRFFQ69G5FAV")):
        with pytest.raises(NotFound):
            harness.step(outsider, harness.id, harness.agreed())
    assert harness.ledger() == []


@pytest.mark.parametrize("language", ["", "fr", "EN", "zh-hant"])
def test_an_unknown_language_is_refused_by_name(harness: ConsentHarness, language: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        harness.step.text(language)
    assert refused.value.field == "language"


def test_a_session_with_a_reported_consent_and_an_asset_is_loaded(harness: ConsentHarness) -> None:
    image = AssetRegistration(name="a", asset_type="Image", content_type="image/png", size_bytes=9)
    consent = parse_body(ConsentGiven, '{"text_version":"v7","given_at":"2026-01-15T09:30:00Z"}')
    made = harness.sessions.create(CLIENT, NewSession(start="on_open", consent=consent, assets=[image]), BASE)
    session, assets = harness.store.load(made["id"])
    assert session
    assert [each.name for each in assets] == ["a"]


def _shipped(operator: str = "", contact: str = "") -> ConsentTexts:
    return ConsentTexts(str(DEFAULTS["ConsentVersion"]), operator, contact, int(DEFAULTS["UploadRetentionDays"]))


@pytest.mark.parametrize("operator", ["", "Acme Studios Ltd."])
@pytest.mark.parametrize("language", Language)
def test_the_shipped_text_names_the_operator_the_purpose_and_the_retention(language: Language, operator: str) -> None:
    text = _shipped(operator, "privacy@acme.example" if operator else "").current(language)
    assert text.title
    assert len(text.text.split("\n\n")) == 5
    assert "30" in text.text
    assert "{" not in text.title + text.text
    assert (operator in text.text) is True
    assert ("privacy@acme.example" in text.text) is bool(operator)


def test_every_text_has_its_own_digest() -> None:
    digests = {_shipped(operator).current(each).sha256 for operator in ("", "Acme") for each in Language}
    assert len(digests) == 6


def test_every_version_has_every_language() -> None:
    folder = Path("layers/likeness/likeness/consent")
    versions = [each for each in folder.iterdir() if each.is_dir()]
    assert str(DEFAULTS["ConsentVersion"]) in {each.name for each in versions}
    for version in versions:
        assert {file.stem for file in version.iterdir() if file.suffix == ".txt"} == set(Language)


def test_every_purpose_has_a_part_of_a_sentence_in_every_language() -> None:
    purposes = read_purposes(str(DEFAULTS["ConsentVersion"]))
    assert {"advertising", "training_videos"} <= set(purposes)
    for name, parts in purposes.items():
        assert re.fullmatch("[a-z][a-z0-9_]{0,39}", name)
        assert set(parts) == set(Language)
        assert all(each == each.strip() and each for each in parts.values())
    texts = ConsentTexts(str(DEFAULTS["ConsentVersion"]), "Acme", "", 30)
    for language in Language:
        assert texts.purposes(language) == {name: parts[language] for name, parts in purposes.items()}
