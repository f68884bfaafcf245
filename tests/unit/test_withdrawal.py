"""A consent has terms, can be taken back, and ends: from then on nothing new is sent to crun and nothing is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from likeness.adapters.consent_texts import ConsentTexts, read_purposes
from likeness.adapters.table.due_items import DynamoDueItems
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import decode_item, encode, session_key
from likeness.contracts.body import parse_body
from likeness.contracts.consent import ConsentAgreed, Terms, terms_of_query
from likeness.contracts.http import AssetRegistration, NewSession
from likeness.domain.asset import AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.crun import AssetReport, H5Session
from likeness.domain.due import consent_due_at
from likeness.domain.session import AttemptStatus, Consent, Language, Problem, Session, SessionStatus
from likeness.domain.terms import ConsentStatus, ConsentTerms, TermsPolicy, Withdrawal
from likeness.errors import ConditionFailed, Conflict, Forbidden, InvalidRequest, NotFound, UpstreamAmbiguous
from likeness.steps.files.check_upload import CheckUpload
from likeness.steps.files.register_asset import RegisterAsset
from likeness.steps.files.retry_asset import RetryAsset
from likeness.steps.generations.erase_generations import EraseGenerations
from likeness.steps.onboarding.check_use import CheckUse
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.onboarding.record_consent import RecordConsent
from likeness.steps.onboarding.start_onboarding import StartOnboarding
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from likeness.steps.upkeep.erase_session import EraseSession
from likeness.steps.upkeep.reconcile import Reconcile
from tests.aws import inventory
from tests.template_file import TEMPLATE
from tests.unit.fakes import no_generations
from tests.unit.step_harness import BASE, TABLE, StepHarness

CLIENT = Caller("acme")
VERSION = str(TEMPLATE["Parameters"]["ConsentVersion"]["Default"])
POLICY = TermsPolicy(lambda: read_purposes(VERSION))
IMAGE = AssetRegistration(name="front", asset_type="Image", content_type="image/jpeg", size_bytes=1000)
DAY = 86_400.0


@dataclass
class Ids:
    """The port ``UpstreamIds`` with a dictionary."""

    known: dict[str, tuple[str, str]] = field(default_factory=dict)

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        return None

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        return self.known.get(asset_id)


@dataclass
class Living:
    """The steps around a consent, on the harness's table."""

    at: StepHarness
    policy: TermsPolicy = POLICY

    def __post_init__(self) -> None:
        store, clock = self.at.store, self.at.clock
        self.texts = ConsentTexts(VERSION, "Acme", "", 30)
        self.sessions = CreateSession(
            store, self.at.links(), self.at.files, self.at.keys, clock, max_attempts=5, terms=self.policy
        )
        self.record = RecordConsent(store, self.texts, clock, self.at.queue, terms=self.policy)
        self.withdraw = WithdrawConsent(store, clock, self.policy, DynamoGenerations(self.at.dynamodb, TABLE))
        self.read = GetSession(store, clock, 5, self.at.files, lambda: self.texts)
        self.register = RegisterAsset(store, self.at.files, clock)
        self.ids = Ids()
        self.use = CheckUse(store, self.ids, clock, self.policy)

    def create(self, body: str) -> dict[str, Any]:
        self.at.crun.sessions.append(H5Session("token", "https://h5.test/?lng=zh"))
        made = self.sessions.create(CLIENT, parse_body(NewSession, body), BASE)
        self.at.crun.sessions.clear()
        return made

    def on_open(self, **terms: Any) -> str:
        named = f', "consent_terms": {json.dumps(terms)}' if terms else ""
        made: str = self.create(f'{{"start": "on_open"{named}}}')["id"]
        return made

    def show(self, session_id: str) -> dict[str, Any]:
        return self.read.one(CLIENT, session_id)

    def agree(self, session_id: str, caller: Caller | None = None) -> tuple[dict[str, Any], bool]:
        """Agrees to the current text and terms, by default as the person."""
        terms = self.show(session_id)["consent_terms"] or {}
        query = {
            name: ",".join(value) if isinstance(value, list) else str(value) for name, value in terms.items() if value
        }
        text = self.record.text("en", terms_of_query(query))
        body = ConsentAgreed(text_version=text["text_version"], language="en", sha256=text["sha256"])
        return self.record(caller or person(session_id), session_id, body)

    def ledger(self, session_id: str) -> list[dict[str, Any]]:
        found = self.at.dynamodb.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"CONSENT#{session_id}")},
        )
        return [decode_item(each) for each in found["Items"]]

    def row(self, session_id: str) -> Session:
        found = self.at.store.get_session(session_id)
        assert found
        return found

    def due_at(self, session_id: str) -> float | None:
        item = self.at.dynamodb.get_item(TableName=TABLE, Key=session_key(session_id))["Item"]
        return decode_item(item).get("due_at")

    def reconcile(self, *, erase_after: float | None = None) -> None:
        """Runs reconcile on whatever is due."""
        at = self.at
        generations = DynamoGenerations(at.dynamodb, TABLE)
        of_person = EraseGenerations(generations, at.files, at.clock, 15)
        erase = EraseSession(at.store, at.files, at.workflows, at.clock, of_person, by_policy=True)
        start = StartOnboarding(at.store, at.workflows, at.clock)
        Reconcile(
            at.store, DynamoDueItems(at.dynamodb, TABLE), at.workflows, at.files, start,
            CheckUpload(at.store, at.files, at.queue, at.clock), at.clock, at.causes.append,
            lambda: at.orphans.append(1), _fail, lambda _: [],
            None if erase_after is None else erase, erase_after or 0.0,
        )(at.clock.now() + 60)  # fmt: skip


def _fail(error: Exception, session_id: str) -> None:
    raise error


def person(session_id: str) -> Caller:
    return Caller("acme", session_id=session_id)


@pytest.fixture
def harness() -> Iterator[StepHarness]:
    """The steps on a table of its own, because reconcile reads all rows that are due."""
    with inventory(TABLE) as client:
        yield StepHarness(DynamoStore(client, TABLE), client)


@pytest.fixture
def living(harness: StepHarness) -> Living:
    return Living(harness)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(Conflict) as refused:
        call()
    return refused.value.code


# -- terms ---------------------------------------------------------------------------------------------------------


def test_a_person_agrees_to_terms_that_the_page_shows_as_a_sentence(living: Living) -> None:
    session_id = living.on_open(purposes=["advertising", "training_videos"], valid_until="2027-03-31T23:59:59Z")
    shown = living.show(session_id)
    assert shown["consent"] is None
    assert shown["consent_status"] == "missing"
    assert shown["consent_terms"] == {
        "purposes": ["advertising", "training_videos"], "valid_until": "2027-03-31T23:59:59Z", "valid_days": None
    }  # fmt: skip
    consent, new = living.agree(session_id)
    assert new
    assert consent["purposes"] == ["advertising", "training_videos"]
    assert consent["valid_until"] == "2027-03-31T23:59:59Z"
    (entry,) = living.ledger(session_id)
    assert entry["purposes"] == ["advertising", "training_videos"]
    assert (entry["language"], entry["source"], entry["credential"]) == ("en", "person", "invite")
    key = {"pk": {"S": "CONSENT_TEXTS"}, "sk": {"S": entry["sha256"]}}
    kept = decode_item(living.at.dynamodb.get_item(TableName=TABLE, Key=key)["Item"])
    sentence = "Acme may make advertising and training videos with your likeness until 31 March 2027."
    assert kept["sentences"] == [sentence]
    assert kept["terms"].startswith("purposes=advertising,training_videos;valid_until=2027-03-31T23:59:59")


@pytest.mark.parametrize(
    ("language", "terms", "sentence"),
    [
        (Language.EN, ConsentTerms(), "Acme may make videos with your likeness until you withdraw your consent."),
        (
            Language.EN,
            ConsentTerms(("news", "personal", "testing"), valid_days=90),
            "Acme may make news and information, videos for your own use and tests that are not published with your"
            " likeness for 90 days from today.",
        ),
        (Language.ZH, ConsentTerms(("news",), valid_days=9), "自今天起 9 天内，Acme可以使用您的肖像制作新闻资讯。"),  # noqa: RUF001
        (
            Language.ZH_HANT,
            ConsentTerms(("advertising", "training_videos"), datetime(2027, 4, 1, tzinfo=UTC).timestamp()),
            "在 2027 年 3 月 31 日之前（含當日），Acme可以使用您的肖像製作廣告和培訓影片。",  # noqa: RUF001
        ),
        (Language.EN, ConsentTerms(("x",)), "Acme may make x with your likeness until you withdraw your consent."),
    ],
)  # fmt: skip
def test_terms_are_a_sentence_in_each_language(
    living: Living, language: Language, terms: ConsentTerms, sentence: str
) -> None:
    assert living.texts.current(language, terms).sentences == (sentence,)


def test_a_text_without_terms_keeps_its_digest(living: Living) -> None:
    plain = living.texts.current(Language.EN)
    assert (plain.sentences, plain.terms) == ((), "")
    digests = {
        plain.sha256,
        *(
            living.texts.current(Language.EN, each).sha256
            for each in (
                ConsentTerms(("news",)),
                ConsentTerms(("news",), 1_900_000_000.0),
                ConsentTerms(("news",), 1_900_000_001.0),  # the same day
                ConsentTerms(("news",), valid_days=1),
            )
        ),
    }
    assert len(digests) == 5


def test_terms_that_change_under_the_reader_are_asked_for_again(living: Living) -> None:
    session_id = living.on_open(purposes=["advertising"])
    text = living.record.text("en", ConsentTerms(("advertising",)))
    read = ConsentAgreed(text_version=text["text_version"], language="en", sha256=text["sha256"])
    living.withdraw.ask(CLIENT, session_id, Terms(purposes=["advertising", "news"]))
    assert code_of(lambda: living.record(person(session_id), session_id, read)) == "consent_text_changed"
    assert living.ledger(session_id) == []
    before = living.row(session_id)
    living.at.clock.at += 1
    living.withdraw.ask(CLIENT, session_id, Terms(purposes=["news"]))
    late = Consent("1", "2027-01-15T08:00:00Z", "0" * 64, "en", "person")
    with pytest.raises(ConditionFailed):  # the terms changed after the step had read the session
        living.at.store.record_consent(before, late, living.at.clock.now())


@pytest.mark.parametrize(
    ("terms", "field_name"),
    [
        ({"purposes": ["games"]}, "consent_terms.purposes"),
        ({"purposes": []}, "consent_terms.purposes"),
        ({"purposes": ["news", "news"]}, "consent_terms.purposes"),
        ({"purposes": ["news"] * 11}, "consent_terms.purposes"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "consent_terms.valid_until"),
        ({"valid_until": "2999-01-01T00:00:00Z"}, "consent_terms.valid_until"),
        ({"valid_until": "2028-01-01"}, "consent_terms.valid_until"),
        ({"valid_days": 0}, "consent_terms.valid_days"),
        ({"valid_days": 3651}, "consent_terms.valid_days"),
        ({"valid_until": "2028-01-01T00:00:00Z", "valid_days": 5}, "consent_terms.valid_days"),
        ({"surprise": 1}, "consent_terms.surprise"),
    ],
)
def test_terms_that_are_not_valid_are_refused_by_name(living: Living, terms: dict[str, Any], field_name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        living.on_open(**terms)
    assert str(refused.value.field).startswith(field_name)


@pytest.mark.parametrize(
    ("query", "field_name"),
    [
        ({"purposes": "news,games"}, "purposes"),
        ({"purposes": "news,<b>"}, "purposes"),
        ({"valid_until": "tomorrow"}, "valid_until"),
        ({"valid_days": "0"}, "valid_days"),
        ({"valid_days": "5", "valid_until": "2028-01-01T00:00:00Z"}, "valid_days"),
    ],
)
def test_terms_in_a_query_that_are_not_valid_are_refused_by_name(
    living: Living, query: dict[str, str], field_name: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        living.record.text("en", terms_of_query(query))
    assert refused.value.field == field_name


def test_the_operators_defaults_apply_where_a_consent_is_asked_for_or_recorded(harness: StepHarness) -> None:
    living = Living(harness, replace(POLICY, default_purposes=("news",), default_days=90, longest_days=100))
    asked = {"purposes": ["news"], "valid_until": None, "valid_days": 90}
    assert living.show(living.on_open())["consent_terms"] == asked
    assert living.show(living.on_open(purposes=["testing"]))["consent_terms"] == asked | {"purposes": ["testing"]}
    assert living.show(living.on_open(valid_days=100))["consent_terms"] == asked | {"valid_days": 100}
    reported = living.create('{"consent": {"text_version": "v7", "given_at": "2027-01-14T08:00:00Z"}}')
    assert reported["consent"]["purposes"] == ["news"]
    assert reported["consent"]["valid_until"] == "2027-04-14T08:00:00Z", "from the consent on"
    by_word = living.create("{}")
    assert (by_word["consent"], by_word["consent_terms"], by_word["consent_status"]) == (None, None, "given")


def test_a_client_that_names_terms_for_its_own_link_answers_for_them(living: Living) -> None:
    made = living.create('{"consent_terms": {"purposes": ["news"], "valid_days": 10}}')
    assert (made["consent"]["source"], made["consent"]["purposes"]) == ("client", ["news"])
    assert made["consent_status"] == "given"
    living.at.clock.at += 10 * DAY
    assert living.show(made["id"])["consent_status"] == "expired"


def test_other_terms_are_asked_for_while_the_consent_holds(living: Living) -> None:
    session_id = living.on_open(purposes=["advertising"], valid_days=100)
    living.agree(session_id)
    living.at.clock.at += DAY
    asked = living.withdraw.ask(CLIENT, session_id, Terms(purposes=["news"], valid_days=50))
    assert asked["consent"]["has_new_terms"] is True
    assert (asked["consent"]["purposes"], asked["consent_status"]) == (["advertising"], "given")
    given, new = living.agree(session_id)
    assert (new, given["purposes"], given["has_new_terms"]) == (True, ["news"], False)
    assert [each["purposes"] for each in living.ledger(session_id)] == [["advertising"], ["news"]]
    assert living.agree(session_id)[1] is False


def test_a_consent_for_some_days_is_renewed_by_the_same_terms(living: Living) -> None:
    session_id = living.on_open(valid_days=100)
    living.agree(session_id)
    living.at.clock.at += 80 * DAY
    ask = Terms(valid_days=100)
    assert living.withdraw.ask(CLIENT, session_id, ask)["consent"]["has_new_terms"] is True
    again = living.row(session_id).consent_terms
    living.at.clock.at += 1
    living.withdraw.ask(CLIENT, session_id, ask)
    assert living.row(session_id).consent_terms == again, "a repetition changes nothing"
    given, new = living.agree(session_id)
    assert new
    assert given["valid_until"] == "2027-07-14T08:00:01Z"
    assert len(living.ledger(session_id)) == 2


def test_terms_are_changed_by_the_client_alone_while_the_session_is_open(living: Living) -> None:
    session_id = living.on_open()
    with pytest.raises(Forbidden):
        living.withdraw.ask(person(session_id), session_id, Terms(valid_days=1))
    with pytest.raises(NotFound):
        living.withdraw.ask(Caller("evil"), session_id, Terms(valid_days=1))
    assert living.withdraw.ask(CLIENT, session_id, Terms())["consent_terms"] is None, "it names nothing"
    EraseSession(living.at.store, living.at.files, living.at.workflows, living.at.clock, no_generations)(
        CLIENT, session_id
    )
    assert code_of(lambda: living.withdraw.ask(CLIENT, session_id, Terms(valid_days=1))) == "conflict"


# -- status --------------------------------------------------------------------------------------------------------


def test_a_session_of_an_earlier_version_counts_as_consented_by_its_client(living: Living) -> None:
    verified, _ = living.at.verified()
    assert verified.consent_status(0) is ConsentStatus.GIVEN
    old = replace(verified, consent=Consent("2026-11", "2026-12-01T00:00:00Z", "0" * 64, "en", "person"))
    assert old.consent_status(4e9) is ConsentStatus.GIVEN
    waiting = replace(verified, attempts={}, group_id=None)
    assert waiting.consent_status(0) is ConsentStatus.MISSING
    assert replace(verified, declined_at=1.0).consent_status(0) is ConsentStatus.MISSING


def test_an_attempt_by_the_client_does_not_speak_for_a_person_who_is_asked(living: Living) -> None:
    session_id = living.on_open()
    living.at.crun.sessions.append(H5Session("token", "https://h5.test/?lng=zh"))
    assert living.sessions.create_attempt(CLIENT, session_id, BASE)["consent_status"] == "missing"


# -- withdrawal ----------------------------------------------------------------------------------------------------


def test_a_withdrawal_lists_what_is_in_flight_and_a_repetition_answers_the_same(living: Living) -> None:
    session, (sent, uploaded, active) = living.at.verified(
        AssetStatus.PROCESSING, AssetStatus.UPLOADED, AssetStatus.ACTIVE
    )
    living.at.clock.at += 5
    answer = living.withdraw(person(session.id), session.id)
    assert answer["consent_status"] == "withdrawn"
    assert answer["consent_withdrawal"]["source"] == "person"
    assert {"type": "asset", "id": sent.id} in answer["consent_withdrawal"]["in_flight"]
    assert not any(each["id"] in (uploaded.id, active.id) for each in answer["consent_withdrawal"]["in_flight"])
    living.at.clock.at += 60
    living.at.store.change_asset(sent.activated(living.at.clock.now()), [AssetStatus.PROCESSING])
    for caller in (person(session.id), CLIENT):
        assert living.withdraw(caller, session.id) == answer
    (entry,) = living.ledger(session.id)
    assert (entry["withdrawn_at"], entry["source"], entry["credential"]) == (
        answer_at(living, session.id),
        "person",
        "invite",
    )
    assert entry["sk"].endswith("#withdrawn")


def answer_at(living: Living, session_id: str) -> float:
    withdrawal = living.row(session_id).withdrawal
    assert withdrawal
    return withdrawal.at


def test_an_open_link_is_in_flight(living: Living) -> None:
    session = living.at.session(AttemptStatus.FAILED, AttemptStatus.OPEN)
    assert living.withdraw(CLIENT, session.id)["consent_withdrawal"]["in_flight"] == [{"type": "attempt", "id": "2"}]


def test_an_outcome_between_the_withdrawal_and_the_list_is_listed(living: Living) -> None:
    session, (sent,) = living.at.verified(AssetStatus.PROCESSING)
    now = living.at.clock.now()
    living.at.store.withdraw_consent(session, Withdrawal(now, "client", "client"))
    living.at.clock.at += 1
    living.at.store.change_asset(sent.activated(living.at.clock.now()), [AssetStatus.PROCESSING])
    listed = living.withdraw(CLIENT, session.id)["consent_withdrawal"]["in_flight"]
    assert {"type": "asset", "id": sent.id} in listed


def test_nothing_is_sent_to_crun_after_a_withdrawal(living: Living) -> None:
    at = living.at
    session, (uploaded, sent, failed) = at.verified(AssetStatus.UPLOADED, AssetStatus.PROCESSING, AssetStatus.UPLOADED)
    gone = failed.failed(replace(_retryable(), code="submission_unknown"), at.clock.now())
    at.store.change_asset(replace(gone, uploaded_at=1.0), [AssetStatus.UPLOADED])
    at.claim(session)
    living.withdraw(person(session.id), session.id)
    assert code_of(lambda: living.register(CLIENT, session.id, IMAGE)) == "consent_withdrawn"
    retry = RetryAsset(at.store, at.files, at.queue, at.clock)
    assert code_of(lambda: retry(CLIENT, session.id, failed.id)) == "consent_withdrawn"
    assert at.submit(uploaded) == "nothing"
    assert at.crun.uploaded == []
    at.crun.reports[str(sent.crun_asset_id)] = AssetReport("Active")
    assert at.poll(session)["next"] == "done", "the result is stored, and no file is submitted"
    assert at.file(sent).status is AssetStatus.ACTIVE
    assert at.file(uploaded).status is AssetStatus.UPLOADED
    assert living.show(session.id)["settled"] is True
    assert code_of(lambda: living.use(CLIENT, session.id, None)) == "consent_withdrawn"


def test_an_intent_fails_although_its_step_read_the_session_before_the_withdrawal(living: Living) -> None:
    at = living.at
    session, (uploaded,) = at.verified(AssetStatus.UPLOADED)
    living.withdraw(CLIENT, session.id)
    with pytest.raises(ConditionFailed):
        at.store.begin_submission(uploaded.claimed("late", at.clock.now()), uploaded)
    other = at.session(AttemptStatus.FAILED)
    attempt = replace(other.attempts[1], number=2, status=AttemptStatus.OPEN)
    living.withdraw(CLIENT, other.id)
    with pytest.raises(ConditionFailed):
        at.store.add_attempt(other.id, attempt, at.clock.now())
    assert code_of(lambda: living.at.attempt_again(other)) == "consent_withdrawn"


def _retryable() -> Problem:
    return Problem("rejected", "Again.", retryable=True)


def test_an_upload_that_may_have_arrived_is_not_repeated_after_a_withdrawal(living: Living) -> None:
    at = living.at
    session, (uploaded,) = at.verified(AssetStatus.UPLOADED)
    at.crun.uploads.append(UpstreamAmbiguous("lost"))
    with pytest.raises(UpstreamAmbiguous):
        at.submit(uploaded)
    answer = living.withdraw(CLIENT, session.id)
    assert {"type": "asset", "id": uploaded.id} in answer["consent_withdrawal"]["in_flight"]
    assert at.claim(session)["asset_ids"] == [uploaded.id]
    assert at.submit(uploaded) == "failed"
    problem = at.file(uploaded).error
    assert problem
    assert (problem.code, problem.retryable) == ("submission_unknown", True)
    assert len(at.crun.uploaded) == 1
    assert at.orphans == [1]


def test_a_new_consent_by_the_person_continues_the_onboarding(living: Living) -> None:
    at = living.at
    session_id = living.on_open(purposes=["news"])
    living.agree(session_id)
    at.clock.at += 1
    living.withdraw(person(session_id), session_id)
    at.clock.at += 1
    assert code_of(lambda: living.sessions.create_attempt(person(session_id), session_id, BASE)) == "consent_withdrawn"
    for refused in (lambda: living.agree(session_id, CLIENT), lambda: living.register(CLIENT, session_id, IMAGE)):
        assert code_of(refused) == "consent_withdrawn"
    given, new = living.agree(session_id)
    assert (new, given["status"]) == (True, "given")
    at.crun.sessions.append(H5Session("token", "https://h5.test/?lng=zh"))
    assert living.sessions.create_attempt(person(session_id), session_id, BASE)["attempt"]["h5_link"]
    kinds = [each["sk"].rpartition("#")[2] for each in living.ledger(session_id)]
    assert kinds == [given["sha256"], "withdrawn", given["sha256"]]


def test_files_that_waited_are_submitted_after_a_new_consent(living: Living) -> None:
    at = living.at
    session, (uploaded,) = at.verified(AssetStatus.UPLOADED)
    living.withdraw(person(session.id), session.id)
    at.clock.at += 700
    living.reconcile()
    assert at.workflows.started == {}, "a file that waits for a consent is not stopped work"
    assert living.due_at(session.id) is None
    at.queue.sent.clear()
    living.agree(session.id)
    assert [json.loads(body)["type"] for body, _ in at.queue.sent] == ["assets_ready"]
    at.clock.at += 700  # the message was lost
    living.reconcile()
    assert len(at.workflows.started) == 1
    at.claim(session, next(iter(at.workflows.started)))
    at.crun.uploads.append("asset-1")
    assert at.submit(uploaded) == "submitted"


def test_a_client_consents_again_only_after_its_own_withdrawal(living: Living) -> None:
    session_id = living.on_open()
    living.withdraw(CLIENT, session_id)
    given, new = living.agree(session_id, CLIENT)
    assert (new, given["source"]) == (True, "client")
    living.at.clock.at += 1
    living.withdraw(CLIENT, session_id)
    living.at.clock.at += 1
    assert living.withdraw(person(session_id), session_id)["consent_withdrawal"]["source"] == "person"
    assert code_of(lambda: living.agree(session_id, CLIENT)) == "consent_withdrawn"
    by_client = Consent("1", "2027-01-15T08:00:05Z")
    with pytest.raises(ConditionFailed):  # the person's withdrawal was stored after the step had read the session
        living.at.store.record_consent(living.row(session_id), by_client, living.at.clock.now())


def test_a_withdrawal_needs_an_open_session_and_its_own_caller(living: Living) -> None:
    session_id = living.on_open()
    for outsider in (Caller("evil"), Caller("acme", session_id="ses_01ARZ3NDEKTSV4RRFFQ69G5FAV")):
        with pytest.raises(NotFound):
            living.withdraw(outsider, session_id)
    with pytest.raises(Forbidden):
        living.withdraw(Caller("acme", session_id=session_id, invite=3), session_id)
    EraseSession(living.at.store, living.at.files, living.at.workflows, living.at.clock, no_generations)(
        CLIENT, session_id
    )
    assert code_of(lambda: living.withdraw(CLIENT, session_id)) == "conflict"


# -- expiry --------------------------------------------------------------------------------------------------------


def test_an_expired_consent_stops_intents_and_can_be_renewed(living: Living) -> None:
    at = living.at
    session_id = living.on_open(valid_days=10)
    living.agree(session_id)
    at.clock.at += 10 * DAY
    assert living.show(session_id)["consent"]["status"] == "expired"
    assert code_of(lambda: living.sessions.create_attempt(person(session_id), session_id, BASE)) == "consent_expired"
    assert code_of(lambda: living.register(CLIENT, session_id, IMAGE)) == "consent_expired"
    given, new = living.agree(session_id)
    assert (new, given["status"]) == (True, "given")


def test_terms_that_have_ended_are_not_agreed_to(living: Living) -> None:
    session_id = living.on_open(valid_until="2027-02-01T00:00:00Z")
    living.at.clock.at += 30 * DAY
    assert code_of(lambda: living.agree(session_id)) == "consent_expired"


def test_the_end_of_a_consent_is_announced_twice_and_recorded_once(living: Living) -> None:
    at = living.at
    session_id = living.on_open(valid_days=100)
    living.agree(session_id)
    seen: list[tuple[int, int | None]] = []
    began = at.clock.at
    for day in range(103):
        at.clock.at = began + day * DAY + 700
        living.reconcile()
        notice = living.row(session_id).consent_notice
        if not seen or seen[-1][1] != notice:
            seen.append((day, notice))
    assert seen == [(0, None), (70, 30), (93, 7), (100, 0)]
    assert living.due_at(session_id) is None
    living.agree(session_id)
    assert living.row(session_id).consent_notice is None
    assert consent_due_at(living.row(session_id)) == at.clock.at + 70 * DAY


def test_a_short_consent_gets_the_notice_that_applies(living: Living) -> None:
    session_id = living.on_open(valid_days=5)
    living.agree(session_id)
    living.at.clock.at += 700
    living.reconcile()
    assert living.row(session_id).consent_notice == 7


# -- the operator's policy -----------------------------------------------------------------------------------------


def test_a_withdrawn_session_is_erased_after_the_grace_period(living: Living) -> None:
    session, _ = living.at.verified(AssetStatus.ACTIVE)
    kept, _ = living.at.verified(AssetStatus.ACTIVE)
    for each in (session, kept):
        living.withdraw(person(each.id), each.id)
    living.at.clock.at += 700
    living.reconcile(erase_after=3 * DAY)
    living.agree(kept.id)
    living.at.clock.at += 3 * DAY
    living.reconcile(erase_after=3 * DAY)
    erased = living.row(session.id)
    assert (erased.status, erased.erased_at) == (SessionStatus.REDACTED, living.at.clock.now())
    assert erased.withdrawal, "the tombstone shows that the consent was withdrawn"
    assert living.due_at(session.id) is None
    assert living.row(kept.id).status is SessionStatus.VERIFIED


def test_an_erasure_by_policy_that_fails_in_the_middle_is_completed(living: Living) -> None:
    session, _ = living.at.verified(AssetStatus.ACTIVE)
    living.withdraw(person(session.id), session.id)
    assert living.at.store.redact_session(living.row(session.id), living.at.clock.now(), stays_due=True)
    assert living.due_at(session.id) is not None
    living.at.clock.at += 700
    living.reconcile(erase_after=0.0)
    assert living.row(session.id).erased_at is not None
    other, _ = living.at.verified()
    assert not living.at.store.redact_session(other, living.at.clock.now(), stays_due=True), "it is not withdrawn"


# -- use -----------------------------------------------------------------------------------------------------------


def test_a_use_check_answers_with_the_first_reason(living: Living) -> None:
    at = living.at
    waiting = at.session()
    assert code_of(lambda: living.use(CLIENT, waiting.id, None)) == "not_verified"
    session, (asset,) = at.verified(AssetStatus.ACTIVE)
    assert living.use(CLIENT, session.id, None)["assets"] == [
        {"id": asset.id, "asset_type": "Image", "uri": f"asset://{asset.crun_asset_id}"}
    ]
    living.withdraw.ask(CLIENT, session.id, Terms(purposes=["news"], valid_days=10))
    assert living.use(CLIENT, session.id, "testing")["purpose"] == "testing", "the consent that was given holds"
    living.agree(session.id)
    for purpose, caller in (("testing", CLIENT), (None, CLIENT), (None, replace(CLIENT, purpose="testing"))):
        assert code_of(partial(living.use, caller, session.id, purpose)) == "purpose_not_covered"
    assert living.use(CLIENT, session.id, "news")["valid_until"]
    assert living.use(replace(CLIENT, purpose="news"), session.id, None)["purpose"] == "news"
    at.store.change_asset(asset.lost(None, at.clock.now()), [AssetStatus.ACTIVE])
    assert code_of(lambda: living.use(CLIENT, session.id, "news")) == "no_active_asset"
    at.clock.at += 10 * DAY
    assert code_of(lambda: living.use(CLIENT, session.id, "news")) == "consent_expired"
    living.withdraw(CLIENT, session.id)
    assert code_of(lambda: living.use(CLIENT, session.id, "testing")) == "consent_withdrawn"
    asked, _ = at.verified(AssetStatus.ACTIVE)
    key = session_key(asked.id)
    at.dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET asks_person = :yes",
        ExpressionAttributeValues={":yes": encode(True)},
    )
    assert code_of(lambda: living.use(CLIENT, asked.id, None)) == "consent_missing"


def test_a_use_check_is_for_the_sessions_client_and_known_purposes(living: Living) -> None:
    session, _ = living.at.verified(AssetStatus.ACTIVE)
    with pytest.raises(NotFound):
        living.use(Caller("evil"), session.id, None)
    with pytest.raises(Forbidden):
        living.use(person(session.id), session.id, None)
    with pytest.raises(InvalidRequest) as refused:
        living.use(CLIENT, session.id, "games")
    assert refused.value.field == "purpose"


def test_several_ids_are_checked_at_once(living: Living) -> None:
    at = living.at
    session, (one, other, waiting) = at.verified(AssetStatus.ACTIVE, AssetStatus.ACTIVE, AssetStatus.PROCESSING)
    stopped, _ = at.verified(AssetStatus.ACTIVE)
    living.withdraw(CLIENT, stopped.id)
    living.ids.known = {
        one.id: (session.id, one.id),
        str(other.crun_asset_id): (session.id, other.id),
        waiting.id: (session.id, waiting.id),
    }
    uri = f"asset://{other.crun_asset_id}"
    ids = [session.id, one.id, uri, waiting.id, stopped.id, "asset://unknown", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"]
    results = living.use.several(CLIENT, json.dumps({"ids": ids}))["results"]
    assert [each["id"] for each in results] == ids
    assert [each.get("code") for each in results] == [
        None, None, None, "no_active_asset", "consent_withdrawn", "not_found", "not_found"
    ]  # fmt: skip
    assert [len(each.get("assets", ())) for each in results] == [2, 1, 1, 0, 0, 0, 0]
    assert results[2]["assets"][0]["uri"] == uri
    with pytest.raises(Forbidden):
        living.use.several(person(session.id), json.dumps({"ids": ids}))
    refused: list[dict[str, Any]] = [{"ids": []}, {"ids": ["x"] * 51}, {}, {"ids": ids, "purpose": "games"}]
    for bad in refused:
        with pytest.raises(InvalidRequest):
            living.use.several(CLIENT, json.dumps(bad))
