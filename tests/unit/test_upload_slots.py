"""Upload slots: released when their file is erased or never arrives, and limited for a person's files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from likeness.adapters.aws import despite_conflicts, is_conflict, translated, update_item
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import encode, session_key
from likeness.contracts.http import AssetRegistration
from likeness.domain.asset import MAX_PERSON_SLOTS, SLOT_SECONDS, Asset, AssetStatus, new_asset
from likeness.domain.caller import Caller
from likeness.domain.ids import asset_id
from likeness.domain.session import MAX_ASSETS_PER_SESSION, Session
from likeness.errors import ConditionFailed, StorageUnavailable, TooManyAttempts
from likeness.steps.files.check_upload import CheckUpload, Upload
from likeness.steps.files.register_asset import RegisterAsset
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from tests.unit.fakes import no_generations
from tests.unit.step_harness import TABLE, StepHarness

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ACME = Caller("acme")


def register(
    harness: StepHarness, of: Session, *, person: bool = False, sha256: str | None = None
) -> tuple[Asset, bool]:
    harness.clock.at += 0.001  # for a different id
    caller = Caller("acme", session_id=of.id) if person else ACME
    body = AssetRegistration(name="n", asset_type="Image", content_type="image/jpeg", size_bytes=10, sha256=sha256)
    shown, is_new = RegisterAsset(harness.store, harness.files, harness.clock)(caller, of.id, body)
    found = harness.store.get_asset(of.id, shown["id"])
    assert found
    assert "upload" in shown
    return found, is_new


def erase(harness: StepHarness, asset: Asset) -> None:
    EraseAsset(harness.store, harness.files, harness.clock)(ACME, asset.session_id, asset.id)


def counted(harness: StepHarness, of: Session) -> int:
    return harness.row(of).asset_count


def filled(harness: StepHarness, number: int = MAX_ASSETS_PER_SESSION, **changes: Any) -> tuple[Session, list[Asset]]:
    one = harness.session()
    made = [replace(harness.asset(one, AssetStatus.AWAITING_UPLOAD), **changes) for _ in range(number)]
    if changes:
        for each in made:
            harness.store.change_asset(each, [AssetStatus.AWAITING_UPLOAD])
    return one, made


def test_a_full_session_accepts_a_file_after_an_erasure(harness: StepHarness) -> None:
    one, made = filled(harness, status=AssetStatus.FAILED)
    with pytest.raises(TooManyAttempts, match="200"):
        register(harness, one)
    for _ in range(2):  # a repetition releases nothing more
        erase(harness, made[0])
    assert counted(harness, one) == MAX_ASSETS_PER_SESSION - 1
    register(harness, one)
    with pytest.raises(TooManyAttempts):
        register(harness, one)
    assert counted(harness, one) == MAX_ASSETS_PER_SESSION


def test_200_slots_registered_by_an_invite_link_and_deleted(harness: StepHarness) -> None:
    one = harness.session()
    for _ in range(MAX_ASSETS_PER_SESSION + 5):
        asset, _ = register(harness, one, person=True)
        erase(harness, asset)
    assert counted(harness, one) == 0
    register(harness, one, person=True)
    assert counted(harness, one) == 1


def test_slots_that_an_earlier_version_did_not_release_are_released_by_the_next_file(harness: StepHarness) -> None:
    one, made = filled(harness)
    for each in made[:150]:
        harness.store.redact_asset(each, harness.clock.now())  # like the earlier version
    assert counted(harness, one) == MAX_ASSETS_PER_SESSION
    register(harness, one)
    assert counted(harness, one) == 51
    erase(harness, made[0])
    assert counted(harness, one) == 51, "a repetition releases nothing more"


def test_slots_whose_form_has_expired_are_released(harness: StepHarness) -> None:
    one, _ = filled(harness)
    with pytest.raises(TooManyAttempts):
        register(harness, one)
    harness.clock.at += SLOT_SECONDS
    register(harness, one)
    assert counted(harness, one) == 1


def test_a_released_slot_counts_again_when_its_form_is_requested(harness: StepHarness) -> None:
    one = harness.session()
    old, _ = register(harness, one, sha256="a" * 64)
    for _ in range(MAX_ASSETS_PER_SESSION - 1):
        harness.asset(one, AssetStatus.FAILED)
    harness.clock.at += SLOT_SECONDS
    register(harness, one)
    assert harness.file(old).given_back
    assert counted(harness, one) == MAX_ASSETS_PER_SESSION
    with pytest.raises(TooManyAttempts):
        register(harness, one, sha256="a" * 64)
    erase(harness, harness.store.list_assets(one.id)[5])
    again, is_new = register(harness, one, sha256="a" * 64)
    assert (again.id, is_new, again.given_back) == (old.id, False, False)
    assert counted(harness, one) == MAX_ASSETS_PER_SESSION


def test_a_form_that_is_requested_again_keeps_its_slot(harness: StepHarness) -> None:
    one = harness.session()
    old, _ = register(harness, one, sha256="b" * 64)
    harness.clock.at += SLOT_SECONDS - 60
    again, _ = register(harness, one, sha256="b" * 64)
    harness.clock.at += 120
    assert again.id == old.id
    assert again.waits(harness.clock.now())
    assert counted(harness, one) == 1


def test_an_erased_session_counts_no_files_and_accepts_none(harness: StepHarness) -> None:
    one, made = filled(harness, 3)
    EraseSession(harness.store, harness.files, harness.workflows, harness.clock, no_generations)(ACME, one.id)
    erase(harness, made[0])
    with pytest.raises(ConditionFailed):
        harness.store.add_asset(replace(made[0], id="ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"))


# -- a person -------------------------------------------------------------------------------------------------------


def test_a_person_may_have_at_most_20_slots_without_a_file(harness: StepHarness) -> None:
    one = harness.session()
    for _ in range(30):
        register(harness, one)  # a client's slots count towards the 200
    held = [register(harness, one, person=True)[0] for _ in range(MAX_PERSON_SLOTS)]
    with pytest.raises(TooManyAttempts, match="20 files") as refused:
        register(harness, one, person=True)
    assert (refused.value.status, refused.value.code) == (429, "too_many_attempts")
    register(harness, one)
    uploaded = replace(held[0], status=AssetStatus.UPLOADED, updated_at=harness.clock.now())
    harness.store.change_asset(uploaded, [AssetStatus.AWAITING_UPLOAD])
    register(harness, one, person=True)
    with pytest.raises(TooManyAttempts):
        register(harness, one, person=True)
    erase(harness, held[1])
    register(harness, one, person=True)
    with pytest.raises(TooManyAttempts):
        register(harness, one, person=True)
    harness.clock.at += SLOT_SECONDS
    for _ in range(MAX_PERSON_SLOTS):
        register(harness, one, person=True)
    with pytest.raises(TooManyAttempts):
        register(harness, one, person=True)


def test_a_file_by_an_invite_link_waits_while_its_client_has_no_key(harness: StepHarness) -> None:
    one = harness.session()
    by_person, by_client = register(harness, one, person=True)[0], register(harness, one)[0]
    living: list[str] = []
    step = CheckUpload(
        harness.store, harness.files, harness.queue, harness.clock, has_key=lambda client_id: client_id in living
    )
    uploads = {each.id: Upload(each.object_key, "v1", 10, harness.clock.at) for each in (by_person, by_client)}
    harness.files.objects |= {each.key: b"no picture" for each in uploads.values()}
    assert step(uploads[by_client.id]) == "failed", "the client's own file is checked"
    for _ in range(2):
        assert step(uploads[by_person.id]) == "held"
        assert harness.file(by_person).status is AssetStatus.AWAITING_UPLOAD
    living.append("acme")
    assert step(uploads[by_person.id]) == "failed"


# -- concurrent writes to one session -------------------------------------------------------------------------------


class Contended:
    """A DynamoDB client that refuses a write to an item of a running transaction, like AWS and unlike moto.

    A transaction locks its items for ``seconds``.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:
        keys = {self._key(part) for part in request["TransactItems"]}
        with self._lock:
            busy = [self._key(part) in self._held for part in request["TransactItems"]]
            if any(busy):
                self.refused += 1
                reasons = [{"Code": "TransactionConflict" if each else "None"} for each in busy]
                error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
                raise ClientError(error, "TransactWriteItems")  # type: ignore[arg-type]
            self._held |= keys
        try:
            time.sleep(self._seconds)
            with self._lock:
                return self._client.transact_write_items(**request)
        finally:
            with self._lock:
                self._held -= keys

    @staticmethod
    def _key(part: dict[str, Any]) -> str:
        (write,) = part.values()
        key = write.get("Key") or {name: write["Item"][name] for name in ("pk", "sk")}
        return str(sorted(key.items()))


@pytest.fixture
def contended(dynamodb: Any) -> Contended:
    return Contended(dynamodb, 0.003)


#: Longer than a function's timeout: the test is about refusals, not about the load of this machine.
CONTENTION_SECONDS = 120.0


def run_concurrently(work: Callable[[int], object], number: int, within: float) -> list[object]:
    """Returns the results of ``number`` calls that start ``within`` seconds."""
    results: list[object] = []

    def one(index: int) -> None:
        time.sleep(within * index / number)
        try:
            results.append(work(index))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(number)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return results


def test_200_files_dropped_into_inbox_within_half_a_second(harness: StepHarness, contended: Contended) -> None:
    one = harness.session()
    store = DynamoStore(cast("DynamoDBClient", contended), TABLE, CONTENTION_SECONDS)
    step = CheckUpload(store, harness.files, harness.queue, harness.clock)
    keys = [f"inbox/{one.id}/{number}.jpg" for number in range(MAX_ASSETS_PER_SESSION)]
    harness.files.objects |= dict.fromkeys(keys, b"no picture")
    results = run_concurrently(lambda index: step(Upload(keys[index], "v1", 10, harness.clock.at)), len(keys), 0.5)
    assert results == ["failed"] * len(keys), "no event fails: each file is checked"
    assert contended.refused > 0, "the writes were concurrent"
    assert counted(harness, one) == len(harness.store.list_assets(one.id)) == len(keys)


def test_twenty_of_forty_concurrent_requests_get_a_slot(harness: StepHarness, contended: Contended) -> None:
    one = harness.session()
    store = DynamoStore(cast("DynamoDBClient", contended), TABLE, CONTENTION_SECONDS)
    made = new_asset(
        one, harness.clock.at, b"", name="n", asset_type="Image", content_type="image/png", size_bytes=1, by_person=True
    )
    results = run_concurrently(
        lambda index: store.add_asset(replace(made, id=asset_id(index, bytes([index] * 10)))), 2 * MAX_PERSON_SLOTS, 0
    )
    assert results.count(True) == MAX_PERSON_SLOTS
    assert {type(each) for each in results} == {bool, TooManyAttempts}
    assert counted(harness, one) == len(harness.store.list_assets(one.id)) == MAX_PERSON_SLOTS


def test_a_lasting_conflict_is_reported(harness: StepHarness) -> None:
    stuck = Contended(harness.dynamodb, 0)
    one = harness.session()
    stuck._held.add(stuck._key({"Update": {"Key": session_key(one.id)}}))
    asset = replace(harness.asset(one, AssetStatus.AWAITING_UPLOAD), id="ast_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    with pytest.raises(StorageUnavailable):
        DynamoStore(cast("DynamoDBClient", stuck), TABLE, 0.2).add_asset(asset)
    assert stuck.refused > 2


def test_a_failed_condition_is_not_a_conflict_and_is_not_repeated() -> None:
    calls = []

    def refuse(*codes: str, code: str = "TransactionCanceledException") -> ClientError:
        answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": each} for each in codes]}
        return ClientError(answer, "x")

    assert is_conflict(refuse("None", "TransactionConflict"))
    assert is_conflict(refuse(code="TransactionConflictException"))
    for other in (refuse("ConditionalCheckFailed", "TransactionConflict"), refuse("ThrottlingError"), refuse("None")):
        assert not is_conflict(other)

    def condition() -> None:
        calls.append(1)
        raise refuse("ConditionalCheckFailed", "TransactionConflict")

    with pytest.raises(ConditionFailed), translated():
        despite_conflicts(condition)
    assert calls == [1]


def test_a_single_write_that_conflicts_with_a_transaction_is_repeated_too() -> None:
    class Busy:
        tries = 0

        def update_item(self, **_: Any) -> Any:
            self.tries += 1
            if self.tries < 4:
                raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")
            return {"Attributes": {"n": encode(self.tries)}}

    busy = cast("DynamoDBClient", Busy())
    assert update_item(busy, "t", {}, "SET n = :n", "n < :n", {}) == {"n": {"N": "4"}}
