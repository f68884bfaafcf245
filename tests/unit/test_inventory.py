"""The inventory's conditional writes, in moto: which writes are allowed, and what a repetition does."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import POLL_HISTORY, session_item
from likeness.adapters.table.poll_history import KEPT_SECONDS, DynamoPollHistory
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.polling import NEVER, NOTHING_SEEN, History, observed
from likeness.domain.session import (
    MAX_ASSETS_PER_SESSION,
    SESSION_TOKEN_LIFETIME_SECONDS,
    Attempt,
    AttemptStatus,
    Language,
    Session,
    SessionFilter,
    SessionStatus,
    failure,
)
from likeness.errors import ConditionFailed, InvalidRequest, TooManyAttempts
from likeness.steps.files.check_upload import CheckUpload, Upload
from tests.aws import inventory
from tests.template_file import ASL

NOW = 1_800_000_000.0


def attempt(number: int = 1) -> Attempt:
    return Attempt(number, AttemptStatus.OPEN, f"token-{number}", NOW, NOW + 120)


def session(index: int = 1, client: str = "acme", **changes: object) -> Session:
    made = Session(
        id=session_id(int(NOW * 1000) + index, bytes([index] * 10)),
        client_id=client,
        status=SessionStatus.REQUIRES_INPUT,
        language=Language.EN,
        created_at=NOW,
        updated_at=NOW,
        attempts={1: attempt()},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def asset(of: Session, index: int = 1) -> Asset:
    made = asset_id(int(NOW * 1000), bytes([index] * 10))
    return Asset(
        id=made,
        session_id=of.id,
        name=f"asset {index}",
        asset_type=AssetType.IMAGE,
        content_type="image/jpeg",
        status=AssetStatus.AWAITING_UPLOAD,
        object_key=f"uploads/{of.id}/{made}/file",
        created_at=NOW,
        updated_at=NOW,
        client_id=of.client_id,
    )


@pytest.fixture
def store() -> Iterator[DynamoStore]:
    """A separate table for each test, because their sessions have the same ids."""
    with inventory("table") as client:
        yield DynamoStore(client, "table")


def test_a_stored_session_is_read_back_unchanged(store: DynamoStore) -> None:
    stored = session(reference="order 1", return_url="https://a/b", last_error=None)
    store.create_session(stored, [asset(stored)])
    assert store.get_session(stored.id) == stored
    assert store.load(stored.id) == (stored, [asset(stored)])
    assert store.load(session(2).id) == (None, [])


def test_a_listing_has_only_the_clients_sessions_newest_first_and_filtered(store: DynamoStore) -> None:
    for index in range(1, 8):
        store.create_session(session(index, reference="odd" if index % 2 else "even"), [])
    store.create_session(session(9, client="other"), [])
    seen, cursor = [], None
    while True:
        page = store.list_sessions("acme", limit=3, cursor=cursor)
        seen += [each.id for each in page.sessions]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [session(index).id for index in range(7, 0, -1)]
    odd = store.list_sessions(
        "acme", limit=10, cursor=None, wanted=SessionFilter(status="requires_input", reference="odd")
    )
    assert [each.id for each in odd.sessions] == [session(index).id for index in (7, 5, 3, 1)]
    assert store.list_sessions("acme", limit=10, cursor=None, wanted=SessionFilter(status="verified")).sessions == []
    with pytest.raises(InvalidRequest):
        store.list_sessions("acme", limit=3, cursor="bm9uc2Vuc2U=")


def test_a_pass_may_be_recorded_again_and_is_never_downgraded(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [])
    for _ in range(2):
        assert store.record_pass(one.id, 1, "10000", NOW).status is SessionStatus.PROCESSING
    with pytest.raises(ConditionFailed):
        store.record_failed_attempt(one.id, 1, "10010", failure("attempt_failed"), NOW)
    with pytest.raises(ConditionFailed):
        store.record_refused_result(one, 1, AttemptStatus.LAPSED, failure("link_expired"), NOW)
    with pytest.raises(ConditionFailed):
        store.record_pass(one.id, 2, "10000", NOW)


def test_a_late_pass_counts_after_a_lapse_and_an_old_failure_does_not_touch_a_new_attempt(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [])
    store.record_refused_result(one, 1, AttemptStatus.LAPSED, failure("link_expired"), NOW)
    store.add_attempt(one.id, attempt(2), NOW)
    with pytest.raises(ConditionFailed):
        store.add_attempt(one.id, attempt(2), NOW)
    with pytest.raises(ConditionFailed):
        store.record_failed_attempt(one.id, 1, "10010", failure("attempt_failed"), NOW)
    found = store.record_pass(one.id, 1, "10000", NOW)
    assert found.attempts[1].status is AttemptStatus.PASSED
    assert found.attempts[2].status is AttemptStatus.OPEN


def test_one_worker_looks_up_until_its_lease_ends(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [])
    assert store.lease_lookup(one.id, 1, "a", NOW, NOW + 40).attempts[1].lookup_by is None
    assert store.lease_lookup(one.id, 1, "a", NOW, NOW + 40).attempts[1].lookup_by == "a"
    with pytest.raises(ConditionFailed):
        store.lease_lookup(one.id, 1, "b", NOW + 39, NOW + 80)
    assert store.lease_lookup(one.id, 1, "b", NOW + 41, NOW + 80).attempts[1].lookup_by == "a"
    store.release_lookup(one.id, 1, "a")  # not the execution that holds the lease: nothing happens
    with pytest.raises(ConditionFailed):
        store.lease_lookup(one.id, 1, "c", NOW + 42, NOW + 80)
    store.release_lookup(one.id, 1, "b")
    assert store.lease_lookup(one.id, 1, "c", NOW + 42, NOW + 80).attempts[1].lookup_by is None


def test_only_one_execution_drives_and_one_that_has_ended_is_named(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [])
    assert store.claim_driver(one.id, "a", None)
    assert store.claim_driver(one.id, "a", None)
    assert not store.claim_driver(one.id, "b", None)
    assert not store.claim_driver(one.id, "b", "somebody")
    assert store.claim_driver(one.id, "b", "a")
    store.release_driver(one.id, "a")
    found = store.get_session(one.id)
    assert found
    assert (found.driver, found.generation) == ("b", 2)
    store.next_generation(one.id, 1)  # late: nothing happens
    store.next_generation(one.id, 2)
    found = store.get_session(one.id)
    assert found
    assert found.generation == 3
    assert not store.claim_driver(session(2).id, "a", None)


def test_assets_are_counted_once_and_capped(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [])
    assert store.add_asset(asset(one))
    assert not store.add_asset(asset(one))
    found = store.get_session(one.id)
    assert found
    assert found.asset_count == 1
    full = session(2, asset_count=MAX_ASSETS_PER_SESSION)
    store.create_session(full, [])
    with pytest.raises(TooManyAttempts):
        store.add_asset(asset(full))
    closed = session(3, status=SessionStatus.REDACTED)
    store.create_session(closed, [])
    with pytest.raises(ConditionFailed):
        store.add_asset(asset(closed))


def test_a_session_and_one_of_its_assets_are_loaded_in_one_read(store: DynamoStore) -> None:
    made = session()
    one, two = asset(made, 1), asset(made, 2)
    store.create_session(made, [one, two])
    assert store.load_asset(made.id, two.id) == (store.get_session(made.id), two)
    assert store.load_asset(made.id, "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV")[1] is None
    assert store.load_asset("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", two.id) == (None, None)


def test_a_change_needs_an_expected_state_or_is_its_own_repetition(store: DynamoStore) -> None:
    one = session()
    store.create_session(one, [asset(one)])
    uploaded = replace(asset(one), status=AssetStatus.UPLOADED, updated_at=NOW + 1)
    for _ in range(2):
        store.change_asset(uploaded, [AssetStatus.AWAITING_UPLOAD])
    with pytest.raises(ConditionFailed):
        store.change_asset(replace(uploaded, updated_at=NOW + 2), [AssetStatus.AWAITING_UPLOAD])


@pytest.mark.parametrize(
    "key",
    [
        "uploads/{s}/{a}/other", "uploads/{s}/{a}/file/more", "uploads/{s}/../{a}/file", "uploads/{s}/ast_x/file",
        "uploads/ses_x/{a}/file", "uploads/{other}/{a}/file", "inbox/{other}/x.jpg", "inbox/{s}/a/b.jpg", "inbox/{s}/",
        "inbox/../{s}/x.jpg", "elsewhere/{s}/{a}/file", "uploads/{s}%2f{a}/file", "file", "",
    ],
)  # fmt: skip
def test_a_foreign_object_key_changes_nothing(store: DynamoStore, key: str) -> None:
    one = session()
    store.create_session(one, [asset(one)])
    name = key.format(s=one.id, a=asset(one).id, other=session(2).id)
    unused: object = None  # neither the files nor the queue may be used
    check = CheckUpload(store, unused, unused, unused)  # type: ignore[arg-type]
    assert check(Upload(name, "v1", 10, NOW)) == "ignored"
    assert store.list_assets(one.id) == [asset(one)]


def _cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "=", "A===", "é", _cursor_of("5"), _cursor_of("[]"), _cursor_of("[1]"), _cursor_of('["a", "b"]'),
        _cursor_of("[" * 4000),
        _cursor_of('[""]'),
    ],
)  # fmt: skip
def test_an_invalid_cursor_is_refused(store: DynamoStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.list_sessions("acme", limit=3, cursor=cursor)
    assert caught.value.field == "cursor"


def test_a_cursor_of_another_client_shows_nothing_of_that_client(store: DynamoStore) -> None:
    for index in range(1, 4):
        store.create_session(session(index, client="other"), [])
    cursor = store.list_sessions("other", limit=1, cursor=None).cursor
    assert store.list_sessions("acme", limit=3, cursor=cursor).sessions == []


def test_nothing_in_use_is_deleted_by_its_time_to_live() -> None:
    # DynamoDB deletes at any time within two days after it (DynamoDB guide, "Using time to live").
    longest = max(SESSION_TOKEN_LIFETIME_SECONDS, ASL["TimeoutSeconds"]) + 14 * 86_400  # a redrive can be that late
    stored = session_item(session())
    assert int(stored["ttl"]["N"]) - float(stored["created_at"]["N"]) > longest + 7 * 86_400


# -- durations of assets ------------------------------------------------------------------------------------------

SEEN = observed(3, 8, NOTHING_SEEN)
DAY = 86_400


@dataclass
class Reader:
    """A process that reads the history. Counts its reads and its failed reads."""

    client: Any
    at: float = 1000.0
    asked: int = 0
    unread: list[int] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self.client.meta.events.register("before-call.dynamodb.Query", self._count)
        self.history = DynamoPollHistory(self.client, "table", lambda: self.unread.append(1), lambda: self.at)

    def _count(self, **_: Any) -> None:
        self.asked += 1
        if self.broken:
            raise EndpointConnectionError(endpoint_url="https://aws.test")

    def of(self, kind: AssetType = AssetType.IMAGE, now: float = NOW) -> History:
        return self.history.of(kind, now)


def _put(store: DynamoStore, *assets: Asset) -> None:
    store.create_session(session(), assets)


def _active(of: Asset, **changes: Any) -> Asset:
    return replace(of, status=AssetStatus.ACTIVE, updated_at=NOW + 8, **changes)


def test_an_observed_duration_is_added_with_the_write_of_the_asset(store: DynamoStore) -> None:
    images = [replace(asset(session(), index), status=AssetStatus.PROCESSING) for index in (1, 2, 3)]
    clip = replace(asset(session(), 4), status=AssetStatus.PROCESSING, asset_type=AssetType.VIDEO)
    _put(store, *images, clip)
    for each in images[:2]:
        store.change_asset(_active(each), [AssetStatus.PROCESSING], SEEN)
    store.change_asset(replace(images[2], status=AssetStatus.FAILED), [AssetStatus.PROCESSING], NEVER)
    store.change_asset(_active(clip), [AssetStatus.PROCESSING], SEEN)
    reader = Reader(boto3.client("dynamodb"))
    assert reader.of().counts == pytest.approx([2 * count for count in SEEN.counts])
    assert reader.of().never == 1
    assert reader.of(AssetType.VIDEO) == SEEN
    assert reader.of(AssetType.AUDIO) == NOTHING_SEEN
    assert {each.status for each in store.list_assets(session().id)} == {AssetStatus.ACTIVE, AssetStatus.FAILED}


def test_an_asset_whose_status_has_changed_is_not_counted(store: DynamoStore) -> None:
    one = replace(asset(session()), status=AssetStatus.FAILED)
    _put(store, one)
    with pytest.raises(ConditionFailed):
        store.change_asset(_active(one), [AssetStatus.PROCESSING], SEEN)
    assert Reader(boto3.client("dynamodb")).of() == NOTHING_SEEN


@pytest.mark.parametrize("why", ["TransactionConflict", "ValidationError", "ThrottlingError"])
def test_a_history_that_cannot_be_written_does_not_delay_an_asset(store: DynamoStore, why: str) -> None:
    one = replace(asset(session()), status=AssetStatus.PROCESSING)
    client: Any = boto3.client("dynamodb")
    _put(store, one)

    def cancelled(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
        answer = {"Error": error, "CancellationReasons": [{"Code": "None"}, {"Code": why}]}
        return AWSResponse("https://aws.test", 400, HTTPHeaders(), None), answer

    client.meta.events.register("before-call.dynamodb.TransactWriteItems", cancelled)
    contended = DynamoStore(client, "table")
    contended.change_asset(_active(one), [AssetStatus.PROCESSING], SEEN)
    assert store.get_asset(one.session_id, one.id) == _active(one)
    assert Reader(client).of() == NOTHING_SEEN
    with pytest.raises(ConditionFailed):
        contended.change_asset(replace(one, status=AssetStatus.FAILED), [AssetStatus.PROCESSING], NEVER)


def test_this_month_and_the_last_are_read(store: DynamoStore) -> None:
    one = replace(asset(session()), status=AssetStatus.PROCESSING)
    _put(store, one)
    store.change_asset(_active(one), [AssetStatus.PROCESSING], SEEN)  # in January 2027
    client = boto3.client("dynamodb")
    for days, expected in ((0, SEEN), (28, SEEN), (60, NOTHING_SEEN)):
        assert Reader(client).of(now=NOW + days * DAY) == expected, days
    (item,) = client.query(
        TableName="table", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": POLL_HISTORY}}
    )["Items"]
    assert int(item["ttl"]["N"]) > NOW + 62 * DAY, "it stays as long as it is read"
    assert not {"id", "client_id", "asset_client_id"} & set(item), "it is in no index"


def test_the_history_is_cached_for_ten_minutes_and_during_an_outage(store: DynamoStore) -> None:
    one = replace(asset(session()), status=AssetStatus.PROCESSING)
    _put(store, one)
    reader = Reader(boto3.client("dynamodb"))
    reader.broken = True
    assert (reader.of(), reader.of(AssetType.VIDEO)) == (NOTHING_SEEN, NOTHING_SEEN)
    assert (reader.asked, reader.unread) == (1, [1]), "not in every poll"
    store.change_asset(_active(one), [AssetStatus.PROCESSING], SEEN)
    reader.broken, reader.at = False, reader.at + 60
    assert reader.of() == SEEN
    reader.at += KEPT_SECONDS - 1
    assert (reader.of(), reader.asked) == (SEEN, 2)
    reader.broken, reader.at = True, reader.at + 1
    assert (reader.of(), len(reader.unread)) == (SEEN, 2)
