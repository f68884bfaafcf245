"""From the table's stream to the event bus: what is published, what is not, and what is retried."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from likeness.adapters.event_bus import EventBridge
from likeness.adapters.table.generation_items import generation_item
from likeness.adapters.table.items import asset_item, encode_item, session_item
from likeness.adapters.table.stream import read_change
from likeness.contracts.events import Change
from likeness.contracts.measures import measures_of
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.events import Event
from likeness.domain.file_requests import FileRequest
from likeness.domain.generation import Generation, GenerationStatus, Media, PersonUse, TaskReport
from likeness.domain.media.types import AssetType
from likeness.domain.metrics import Metric
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionStatus
from likeness.domain.terms import Withdrawal
from likeness.errors import StorageUnavailable
from likeness.ports.notifications import EVENTS_PER_PUT
from likeness.runtime import bootstrap
from likeness.steps.notifications.publish_changes import PublishChanges
from tests.aws import isolated_aws_environment, make_bus
from tests.event_schemas import SCHEMAS, check
from tests.functions import cold_start, invoke
from tests.template_file import ROOT
from tests.unit.fakes import FakeEventBus

NOW = 1_800_000_000.5
SESSION_ID = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
ASSET_ID = "ast_01ARZ3NDEKTSV4RRFFQ69G5FAW"
#: In every field with personal data or a secret.
MARK = "alice-in-person"
_SEQUENCE = itertools.count(4_421_584_500_000_000_017_450_439_001)


def session(status: SessionStatus, error: str | None = None, **changes: Any) -> Session:
    """Returns a session with personal data in every field."""
    verified = status is SessionStatus.VERIFIED
    attempt = Attempt(1, AttemptStatus.PASSED, f"token-{MARK}", NOW, NOW + 120, f"code-{MARK}", f"lookup-{MARK}")
    made = Session(
        id=SESSION_ID, client_id="acme", status=status, language=Language.EN, created_at=NOW, updated_at=NOW,
        reference=MARK, return_url=f"https://app.example.com/{MARK}",
        consent=Consent(f"text-{MARK}", f"time-{MARK}"), group_id="group-1" if verified else None,
        last_error=Problem(error, f"words of {MARK}", f"upstream-{MARK}") if error else None,
        driver=f"driver-{MARK}", attempts={1: attempt}, requests={MARK: FileRequest(MARK, AssetType.IMAGE, MARK)},
    )  # fmt: skip
    return replace(made, **changes)


def asset(status: AssetStatus, **changes: Any) -> Asset:
    """Returns an asset with personal data in every field."""
    failed = status is AssetStatus.FAILED
    made = Asset(
        id=ASSET_ID, session_id=SESSION_ID, name=MARK, asset_type=AssetType.IMAGE, content_type=f"image/{MARK}",
        status=status, object_key=f"uploads/{MARK}", created_at=NOW, updated_at=NOW, version_id=f"version-{MARK}",
        crun_asset_id="asset-1", client_id="acme", sha256=f"digest-{MARK}", request=MARK,
        error=Problem("face_mismatch", f"words of {MARK}", f"upstream-{MARK}") if failed else None,
    )  # fmt: skip
    return replace(made, **changes)


GENERATION_ID = "gen_01ARZ3NDEKTSV4RRFFQ69G5FAX"
Row = Session | Asset | Generation


def generation(status: GenerationStatus, **changes: Any) -> Generation:
    """Returns a generation with personal data in every field."""
    unsuccessful = status in (GenerationStatus.FAILED, GenerationStatus.REFUSED, GenerationStatus.UNCERTAIN)
    made = Generation(
        id=GENERATION_ID, client_id="acme", status=status, model=f"model-{MARK}", created_at=NOW, updated_at=NOW,
        body_sha256=f"digest-{MARK}", input=f"prompt of {MARK}", reference=MARK, callback_url=f"https://x.test/{MARK}",
        people=(PersonUse(SESSION_ID, (ASSET_ID,), (MARK,), MARK),), purpose=MARK, task_id=f"task-{MARK}",
        report=TaskReport("task", "success", (f"https://media.test/{MARK}",), message=MARK),
        media=(Media(f"generations/{MARK}", "video/mp4", 1, MARK),),
        error=Problem("generation_failed", f"words of {MARK}", MARK) if unsuccessful else None,
    )  # fmt: skip
    return replace(made, **changes)


def image(of: Row) -> dict[str, Any]:
    """Returns the item, with the attributes that are added after a session's first write."""
    if isinstance(of, Asset):
        return asset_item(of)
    if isinstance(of, Generation):
        return generation_item(of)
    later = {"group_id": of.group_id, "last_error": of.last_error, "driver": of.driver}
    return session_item(of) | encode_item(later)


def record(before: Row | None, after: Row | None) -> dict[str, Any]:
    """Returns the stream record that Lambda delivers for a write."""
    old, new = before and image(before), after and image(after)
    some = new or old
    assert some
    written = {
        "Keys": {name: some[name] for name in ("pk", "sk")},
        "SequenceNumber": str(next(_SEQUENCE)),
        **({"OldImage": old} if old else {}),
        **({"NewImage": new} if new else {}),
    }
    kind = "REMOVE" if new is None else "MODIFY" if old else "INSERT"
    return {"eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": written}


def published_event(before: Row | None, after: Row | None) -> Event | None:
    """Returns the event of a write, after a check against its schema."""
    change = read_change(record(before, after))
    event = change.event if change else None
    if event:
        check(event.type, event.detail)
        assert MARK not in json.dumps([event.type, dict(event.detail)])
    return event


def kinds(before: Row | None, after: Row | None) -> str | None:
    event = published_event(before, after)
    return event.type.removeprefix("likeness.") if event else None


# -- what is published -------------------------------------------------------------------------------------------


def every_event() -> list[Event]:
    """Returns the events of every possible change of a session and an asset, with and without an error or a client."""
    sessions: list[Session | None] = [None]
    sessions += [session(status, error) for status in SessionStatus for error in (None, "attempt_failed")]
    assets: list[Asset | None] = [None]
    assets += [asset(status, client_id=client) for status in AssetStatus for client in ("", "acme")]
    # A session has only one initial status.
    steps = [(before, after) for before in sessions for after in sessions if after and (before or after == sessions[1])]
    found = [published_event(before, after) for before, after in steps]
    found += [published_event(before, after) for before, after in itertools.product(assets, assets) if after]
    found += [
        published_event(each, each.lost("404", each.updated_at)) for each in assets if each and each.status == "active"
    ]
    verified = session(SessionStatus.VERIFIED)
    found.append(published_event(verified, replace(verified, finished_at=NOW)))
    found.append(
        published_event(undecided := session(SessionStatus.REQUIRES_INPUT), replace(undecided, declined_at=NOW))
    )
    found += [published_event(before, after) for before, after in consent_changes().values()]
    found += [published_event(before, after) for before, after in generation_changes()]
    return [each for each in found if each]


def generation_changes() -> list[tuple[Generation | None, Generation]]:
    """Returns every change of a generation's status, and its erasure in each."""
    new, runs, uncertain = (
        generation(each) for each in (GenerationStatus.QUEUED, GenerationStatus.RUNNING, GenerationStatus.UNCERTAIN)
    )
    succeeded = generation(GenerationStatus.SUCCEEDED)
    deferred = generation(GenerationStatus.CANCELED, error=Problem("upstream_deferred", MARK))
    found: list[tuple[Generation | None, Generation]] = [(None, new), (new, runs), (uncertain, runs)]
    for status in (GenerationStatus.FAILED, GenerationStatus.UNCERTAIN, GenerationStatus.SUCCEEDED):
        found += [(runs, generation(status)), (new, generation(status))]
    found += [(runs, replace(succeeded, media_problem=Problem("consent_withdrawn", MARK)))]
    found += [(new, generation(each)) for each in (GenerationStatus.REFUSED, GenerationStatus.CANCELED)]
    found += [(new, deferred)]
    return found + [(generation(each), generation(each, erased_at=NOW)) for each in GenerationStatus]


def consent_changes() -> dict[str, tuple[Session, Session]]:
    """Returns a change of a consent for each event about it, and for one with and one without an end."""
    bare = session(SessionStatus.VERIFIED, consent=None)
    endless = replace(bare, consent=Consent(MARK, MARK, source="person", purposes=("news",)))
    ending = replace(bare, consent=Consent(MARK, MARK, source="client", valid_until=NOW + 1))
    withdrawn = replace(ending, withdrawal=Withdrawal(NOW, "person", "invite"))
    return {
        "given, no end": (bare, endless),
        "given": (withdrawn, ending),
        "withdrawn": (ending, withdrawn),
        "expiring": (ending, replace(ending, consent_notice=30)),
        "expired": (replace(ending, consent_notice=7), replace(ending, consent_notice=0)),
    }


def test_each_change_of_a_consent_is_published_and_counted_once() -> None:
    for name, (before, after) in consent_changes().items():
        kind = name.partition(",")[0]
        assert kinds(before, after) == f"consent.{kind}"
        change = read_change(record(before, after))
        assert change
        counted = [] if kind == "expiring" else [f"Consents{kind.title()}"]
        assert [each.metric.value for each in measures_of(change)] == counted
        assert published_event(after, replace(after, reference="other")) is None
    before, withdrawn = consent_changes()["withdrawn"]
    assert withdrawn.withdrawal
    listed = replace(withdrawn, withdrawal=replace(withdrawn.withdrawal, in_flight=("asset:ast_x",)))
    assert published_event(withdrawn, listed) is None
    by_person = published_event(before, withdrawn)
    assert by_person
    assert by_person.detail["source"] == "person"


def test_every_detail_type_has_a_schema_and_every_schema_an_event() -> None:
    assert {each.type for each in every_event()} == set(SCHEMAS)
    assert {each["title"] for each in SCHEMAS.values()} == set(SCHEMAS)


@pytest.mark.parametrize("detail_type", SCHEMAS)
def test_a_schema_names_exactly_the_fields_that_are_published(detail_type: str) -> None:
    events = [set(each.detail) for each in every_event() if each.type == detail_type]
    schema = SCHEMAS[detail_type]
    assert set(schema["properties"]) == set.union(*events)
    assert set(schema["required"]) == set.intersection(*events)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["version"] == {"const": "1"}


def test_a_new_session_is_published() -> None:
    assert kinds(None, session(SessionStatus.REQUIRES_INPUT)) == "session.created"


@pytest.mark.parametrize("before", SessionStatus)
@pytest.mark.parametrize("after", SessionStatus)
def test_each_change_of_a_session_status_is_published(before: SessionStatus, after: SessionStatus) -> None:
    assert kinds(session(before), session(after)) == (f"session.{after}" if before is not after else None)


@pytest.mark.parametrize("after", AssetStatus)
@pytest.mark.parametrize("before", [None, *AssetStatus])
def test_an_asset_publishes_what_a_client_may_act_on(before: AssetStatus | None, after: AssetStatus) -> None:
    silent = after in (before, AssetStatus.AWAITING_UPLOAD, AssetStatus.SUBMITTING) or before is None
    again = after is AssetStatus.UPLOADED and before is not AssetStatus.AWAITING_UPLOAD
    assert kinds(asset(before) if before else None, asset(after)) == (None if silent or again else f"asset.{after}")


def test_a_further_attempt_that_fails_is_published_and_the_same_failure_is_not() -> None:
    fresh = session(SessionStatus.REQUIRES_INPUT)
    failed = session(SessionStatus.REQUIRES_INPUT, "attempt_failed")
    event = published_event(fresh, failed)
    assert event
    assert (event.type, event.detail["error_code"]) == ("likeness.session.requires_input", "attempt_failed")
    assert published_event(failed, replace(failed, updated_at=NOW + 1)) is None
    assert published_event(failed, fresh) is None, "a new attempt removes the error"
    assert kinds(failed, session(SessionStatus.REQUIRES_INPUT, "link_expired")) == "session.requires_input"


@pytest.mark.parametrize(
    "changes",
    [
        {"driver": "ses-a1"}, {"generation": 7}, {"asset_count": 3}, {"consent": None}, {"erased_at": NOW},
        {"updated_at": NOW + 9}, {"attempts": {}}, {"reference": "other"},
    ],
)  # fmt: skip
def test_other_changes_of_a_session_are_not_published(changes: dict[str, Any]) -> None:
    for status in SessionStatus:
        assert published_event(session(status), session(status, **changes)) is None


@pytest.mark.parametrize("error", [None, "attempt_failed"])
def test_a_refusal_to_consent_is_published_once_and_is_no_failed_attempt(error: str | None) -> None:
    before = session(SessionStatus.REQUIRES_INPUT, error)
    declined = replace(before, declined_at=NOW)
    assert kinds(before, declined) == "consent.declined"
    change = read_change(record(before, declined))
    assert change
    assert list(measures_of(change)) == []
    assert published_event(declined, replace(declined, reference="other")) is None
    assert published_event(declined, before) is None, "the person has agreed"


def test_the_fields_of_the_two_events_with_results() -> None:
    verified = published_event(session(SessionStatus.PROCESSING), session(SessionStatus.VERIFIED, updated_at=NOW + 1))
    active = published_event(asset(AssetStatus.PROCESSING), asset(AssetStatus.ACTIVE))
    assert verified
    assert active
    assert dict(verified.detail) | {"id": ""} == {
        "version": "1", "id": "", "time": "2027-01-15T08:00:01.500000Z", "client_id": "acme", "session_id": SESSION_ID,
        "status": "verified", "previous_status": "processing", "group_id": "group-1",
    }  # fmt: skip
    assert dict(active.detail) | {"id": ""} == {
        "version": "1", "id": "", "time": "2027-01-15T08:00:00.500000Z", "client_id": "acme", "session_id": SESSION_ID,
        "asset_id": ASSET_ID, "status": "active", "previous_status": "processing", "crun_asset_id": "asset-1",
        "uri": "asset://asset-1",
    }  # fmt: skip


def test_the_fields_of_a_generations_event() -> None:
    made = published_event(
        generation(GenerationStatus.RUNNING),
        generation(GenerationStatus.SUCCEEDED, media_problem=Problem("erased", MARK)),
    )
    assert made
    assert made.type == "likeness.generation.succeeded"
    assert dict(made.detail) | {"id": ""} == {
        "version": "1", "id": "", "time": "2027-01-15T08:00:00.500000Z", "client_id": "acme",
        "generation_id": GENERATION_ID, "session_ids": [SESSION_ID], "status": "succeeded",
        "previous_status": "running", "media_problem": "erased",
    }  # fmt: skip


@pytest.mark.parametrize("status", GenerationStatus)
def test_other_changes_of_a_generation_are_not_published(status: GenerationStatus) -> None:
    before = generation(status)
    for changes in (
        {"intended_at": NOW, "intended_by": "one"}, {"asked_at": NOW}, {"executions": 2}, {"report": None},
        {"updated_at": NOW + 1}, {"erased_at": None, "credits": 2.0},
    ):  # fmt: skip
        assert published_event(before, replace(before, **changes)) is None
    erased = replace(before, erased_at=NOW)
    assert published_event(erased, replace(erased, updated_at=NOW + 1)) is None


def test_each_outcome_of_a_generation_is_counted_once() -> None:
    runs = generation(GenerationStatus.RUNNING)
    succeeded = generation(GenerationStatus.SUCCEEDED, settled=3.5, ended_at=NOW + 60)
    uncertain = generation(GenerationStatus.UNCERTAIN, settled=4.0, ended_at=NOW + 9)

    def counted(before: Generation | None, after: Generation) -> list[tuple[str, float, dict[str, str]]]:
        change = read_change(record(before, after))
        assert change
        return [(each.metric.value, each.value, each.dimensions) for each in measures_of(change)]

    assert counted(None, runs) == []
    assert counted(generation(GenerationStatus.QUEUED), runs) == []
    assert counted(runs, replace(runs, asked_at=NOW)) == []
    assert counted(succeeded, replace(succeeded, erased_at=NOW)) == []
    assert counted(runs, succeeded) == [
        ("GenerationsEnded", 1, {"status": "succeeded"}), ("GenerationCredits", 3.5, {}),
        ("SecondsToSucceeded", 60, {}),
    ]  # fmt: skip
    assert counted(runs, uncertain) == [
        ("GenerationsEnded", 1, {"status": "uncertain"}), ("GenerationCredits", 4.0, {}),
    ]  # fmt: skip
    assert counted(uncertain, replace(runs, settled=4.0)) == []
    assert counted(replace(runs, settled=4.0), succeeded) == [
        ("GenerationsEnded", 1, {"status": "succeeded"}), ("GenerationCredits", -0.5, {}),
        ("SecondsToSucceeded", 60, {}),
    ]  # fmt: skip


# -- the stream --------------------------------------------------------------------------------------------------


def test_a_deletion_is_not_published() -> None:
    assert published_event(session(SessionStatus.VERIFIED), None) is None
    assert published_event(asset(AssetStatus.ACTIVE), None) is None


@pytest.mark.parametrize(
    ("pk", "sk"),
    [(f"CONSENT#{SESSION_ID}", "ab12"), ("CONSENT_TEXTS", "ab12"), ("GOVERNOR", "crun#x"), ("CLIENT_KEYS", "ab12")],
)
def test_other_items_are_not_read(pk: str, sk: str) -> None:
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    written = {"Keys": key, "NewImage": key | {"name": {"S": MARK}}, "SequenceNumber": "1"}
    assert read_change({"eventName": "INSERT", "dynamodb": written}) is None


def test_a_redelivered_record_has_the_same_id_and_no_other_record_has_it() -> None:
    first = record(None, session(SessionStatus.REQUIRES_INPUT))
    other = json.loads(json.dumps(first))
    other["dynamodb"]["SequenceNumber"] = "1"
    elsewhere = record(asset(AssetStatus.PROCESSING), asset(AssetStatus.ACTIVE))
    elsewhere["dynamodb"]["SequenceNumber"] = first["dynamodb"]["SequenceNumber"]
    changes = [read_change(each) for each in (first, json.loads(json.dumps(first)), other, elsewhere)]
    ids = [each.id for each in changes if each]
    assert ids[0] == ids[1]
    assert len(ids) == 4
    assert len(set(ids)) == 3


# -- the bus -----------------------------------------------------------------------------------------------------


def published_changes(count: int) -> list[Change]:
    """Returns ``count`` changes that are published."""
    found = [
        read_change(record(session(SessionStatus.PROCESSING), session(SessionStatus.VERIFIED))) for _ in range(count)
    ]
    return [each for each in found if each]


def ids(changes: Sequence[Change]) -> list[str]:
    return [each.id for each in changes]


def test_all_are_put_in_order_in_batches_of_ten() -> None:
    bus, changes = FakeEventBus(), published_changes(23)
    published = PublishChanges(bus)(changes)
    assert published.stopped_at is None
    assert [each.detail["id"] for each in published.events] == ids(changes)
    assert [len(each) for each in bus.puts] == [EVENTS_PER_PUT, EVENTS_PER_PUT, 3]
    assert [event.detail["id"] for put in bus.puts for event in put] == ids(changes)


@pytest.mark.parametrize("refused", [0, 4, 9, 10, 15, 22])
def test_the_first_rejected_event_stops_publishing(refused: int) -> None:
    changes = published_changes(23)
    published = PublishChanges(FakeEventBus(refuses=changes[refused].id))(changes)
    assert published.stopped_at == changes[refused]
    assert [each.detail["id"] for each in published.events] == ids(changes[:refused])


def test_when_the_bus_becomes_unavailable_earlier_events_stay_published() -> None:
    changes = published_changes(23)
    published = PublishChanges(FakeEventBus(away_after=1))(changes)
    assert published.stopped_at == changes[10]
    assert len(published.events) == 10


class _UnreliableBus:
    """Accepts a random number of events of each put, or is unavailable. ``taken_ids``: the accepted ids, in order."""

    def __init__(self, seed: int) -> None:
        self.chance, self.taken_ids = random.Random(seed), list[str]()

    def put(self, events: Sequence[Event]) -> int:
        if self.chance.random() < 0.2:
            raise StorageUnavailable
        taken = self.chance.choice([len(events), self.chance.randint(0, len(events))])
        # EventBridge may also accept entries after the first refused one.
        late = [each for each in events[taken + 1 :] if self.chance.random() < 0.5]
        self.taken_ids += [each.detail["id"] for each in [*events[:taken], *late]]
        return taken


@pytest.mark.parametrize("seed", range(20))
def test_after_a_refusal_the_stream_is_read_again_until_each_event_is_published(seed: int) -> None:
    bus, changes = _UnreliableBus(seed), published_changes(37)
    waiting, rounds = changes, 0
    while waiting and rounds < 500:
        stopped_at = PublishChanges(bus)(waiting).stopped_at
        waiting = waiting[waiting.index(stopped_at) :] if stopped_at else []
        rounds += 1
    assert waiting == []
    assert sorted(set(bus.taken_ids)) == sorted(ids(changes)), "no event is lost, and no id is invented"


def test_changes_that_are_not_published_make_no_call() -> None:
    bus = FakeEventBus()
    silent = read_change(record(session(SessionStatus.VERIFIED), session(SessionStatus.VERIFIED, generation=2)))
    assert silent
    assert PublishChanges(bus)([silent]).events == []
    assert bus.puts == []


class _Answers:
    """An EventBridge client that accepts some entries and refuses others."""

    def __init__(self, *codes: str | None) -> None:
        self.codes = codes

    def put_events(self, **_: Any) -> Mapping[str, Any]:
        entries = [{"ErrorCode": code} if code else {"EventId": "1"} for code in self.codes]
        return {"FailedEntryCount": len([each for each in self.codes if each]), "Entries": entries}


@pytest.mark.parametrize(
    ("codes", "taken"),
    [((None, None, None), 3), ((None, "ThrottlingException", None), 1), (("InternalFailure", None, None), 0)],
)
def test_only_entries_before_the_first_refused_one_count_as_accepted(codes: tuple[str | None, ...], taken: int) -> None:
    events = [each.event for each in published_changes(3)]
    answers: Any = _Answers(*codes)
    assert EventBridge(answers, "bus").put([each for each in events if each]) == taken


def test_a_failed_call_raises_our_error() -> None:
    events = [each.event for each in published_changes(1)]
    with isolated_aws_environment(), mock_aws(), pytest.raises(StorageUnavailable):
        EventBridge(boto3.client("events"), "no-such-bus").put([each for each in events if each])


# -- the function ------------------------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls the function in a separate account. Returns its response and its dead letters."""
    with isolated_aws_environment(), mock_aws():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="unread")["QueueUrl"]
        monkeypatch.setenv("EVENT_BUS_NAME", make_bus("likeness-events"))
        monkeypatch.setenv("CHANGE_DEAD_LETTER_QUEUE_URL", url)
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "likeness")
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Likeness")
        monkeypatch.setattr(bootstrap, "_clients", {})
        app = cold_start("publish_changes")

        def call(*records: dict[str, Any]) -> tuple[Any, list[Any]]:
            answer = invoke(app, {"Records": records})
            found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            return answer, [json.loads(each["Body"]) for each in found]

        yield call


def test_the_event_file_holds_two_changes(account: Any, caplog: pytest.LogCaptureFixture) -> None:
    records = json.loads((ROOT / "events/publish_changes.json").read_text())["Records"]
    assert account(*records) == ({"batchItemFailures": []}, [])
    logged = [vars(each)["type"] for each in caplog.records if each.message == "event published"]
    assert logged == ["likeness.session.verified", "likeness.asset.active"]


def test_an_unreadable_item_goes_to_the_dead_letters_and_does_not_block_the_others(
    account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = record(None, session(SessionStatus.REQUIRES_INPUT))
    bad = record(None, session(SessionStatus.REQUIRES_INPUT))
    bad["dynamodb"]["NewImage"]["status"] = {"S": f"unheard-of-{MARK}"}
    answer, letters = account(bad, good)
    assert answer == {"batchItemFailures": []}
    assert letters == [{"Keys": bad["dynamodb"]["Keys"], "SequenceNumber": bad["dynamodb"]["SequenceNumber"]}]
    assert [each.message for each in caplog.records] == ["unexpected", "event published"]
    assert MARK not in str([vars(each) for each in caplog.records])


def test_a_rejected_event_is_reported_by_its_sequence_number(account: Any, caplog: pytest.LogCaptureFixture) -> None:
    boto3.client("events").delete_event_bus(Name="likeness-events")
    silent = record(session(SessionStatus.VERIFIED), session(SessionStatus.VERIFIED, generation=2))
    first, second = (record(asset(AssetStatus.PROCESSING), asset(AssetStatus.ACTIVE)) for _ in range(2))
    answer, letters = account(silent, first, second)
    assert answer == {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}
    assert letters == []
    assert [each.message for each in caplog.records] == ["events left"]


# -- the metrics ---------------------------------------------------------------------------------------------------


def measured(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], list[float]]:
    """Returns the written metrics by name and code ("" without a code), and checks each line's dimensions."""
    found: dict[tuple[str, str], list[float]] = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        if "_aws" not in line:
            continue
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        code = line.get("code", "")
        assert directive["Dimensions"] == ([["service"], ["service", "code"]] if code else [["service"]])
        for metric in directive["Metrics"]:
            name = metric["Name"]
            assert metric["Unit"] == Metric(name).unit == ("Seconds" if name.startswith("Seconds") else "Count")
            found.setdefault((name, code), []).extend(line[name])
    return found


def failed(status: AttemptStatus) -> Attempt:
    return Attempt(2, status, "token", NOW, NOW + 120)


def test_each_step_is_counted_by_its_outcome(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    waits, checked = session(SessionStatus.REQUIRES_INPUT), session(SessionStatus.PROCESSING)
    twice = waits.attempts | {2: failed(AttemptStatus.OPEN)}
    account(
        record(None, replace(waits, attempts={})),
        record(replace(waits, attempts={}), waits),
        record(waits, replace(waits, attempts=twice)),
        record(waits, session(SessionStatus.REQUIRES_INPUT, "link_expired")),
        record(checked, session(SessionStatus.REQUIRES_INPUT, "attempt_failed")),
        record(waits, session(SessionStatus.REQUIRES_INPUT, "attempt_failed")),
        record(asset(AssetStatus.PROCESSING), asset(AssetStatus.FAILED)),
        record(asset(AssetStatus.PROCESSING), asset(AssetStatus.ACTIVE, submitted_at=NOW, activated_at=NOW + 7)),
        record(asset(AssetStatus.UPLOADED), asset(AssetStatus.ACTIVE, activated_at=NOW)),
        record(waits, replace(waits, generation=5)),
    )
    assert measured(capsys) == {
        ("SessionsCreated", ""): [1], ("AttemptsStarted", ""): [1, 1], ("AttemptsLapsed", ""): [1],
        ("SessionsVerified", ""): [0, 0],
        ("AttemptsFailed", "attempt_failed"): [1, 1], ("AssetsFailed", "face_mismatch"): [1],
        ("AssetsActive", ""): [1, 1], ("SecondsToActive", ""): [7],
    }  # fmt: skip


def test_a_verified_session_writes_its_duration(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    after = record(session(SessionStatus.PROCESSING), session(SessionStatus.VERIFIED))
    after["dynamodb"]["NewImage"]["verified_at"] = {"N": str(NOW + 95)}
    account(after)
    assert measured(capsys) == {("SessionsVerified", ""): [1], ("SecondsToVerified", ""): [95]}


def test_a_rejected_event_is_counted_when_it_is_redelivered(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("events").delete_event_bus(Name="likeness-events")
    first, second = (record(asset(AssetStatus.PROCESSING), asset(AssetStatus.ACTIVE)) for _ in range(2))
    account(first, second)
    assert measured(capsys) == {}
    make_bus("likeness-events")
    account(first, second)
    assert measured(capsys) == {("AssetsActive", ""): [1, 1]}


def test_a_big_batch_loses_nothing(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    account(*(record(None, session(SessionStatus.REQUIRES_INPUT, attempts={})) for _ in range(230)))
    assert measured(capsys) == {("SessionsCreated", ""): [1] * 230}
