"""File requests: what a person is asked to send, which file answers it, and when the session is settled."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import session_from, session_item
from likeness.contracts.body import parse_body
from likeness.contracts.events import SessionChange
from likeness.contracts.http import AssetRegistration, MoreRequests, NewSession
from likeness.contracts.inventory import asset_items, lines_of
from likeness.contracts.inventory import session_item as restored_session
from likeness.contracts.measures import measures_of
from likeness.domain.asset import SLOT_SECONDS, Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.file_requests import MAX_REQUESTS_PER_SESSION
from likeness.domain.session import MAX_ASSETS_PER_SESSION, Session
from likeness.errors import Conflict, Forbidden, InvalidRequest, NotFound
from likeness.steps.files.check_upload import CheckUpload, Upload
from likeness.steps.files.register_asset import RegisterAsset
from likeness.steps.files.request_files import RequestFiles
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from tests.media import jpeg, wav
from tests.unit.fakes import FakeConsentTexts, no_generations
from tests.unit.step_harness import BASE, TABLE, StepHarness

ACME = Caller("acme")
_SECONDS = itertools.count(1)
FRONT = {"name": "front", "asset_type": "Image", "hint": "Your face, in daylight"}
VOICE = {"name": "say hello: 你好", "asset_type": "Audio"}
SIDE = {"name": "side", "asset_type": "Image", "required": False}
TYPES = {"Image": ("image/jpeg", jpeg()), "Audio": ("audio/wav", wav())}


class Case:
    """A session with the requests FRONT and VOICE, which are required, and SIDE, which is not."""

    def __init__(self, harness: StepHarness, *requests: dict[str, Any], verified: bool = True, **body: Any) -> None:
        self.harness = harness
        harness.clock.at += next(_SECONDS)  # for another id in the table that the module's tests share
        create = CreateSession(harness.store, harness.links(), harness.files, harness.keys, harness.clock, 5)
        asked = {"start": "on_open", "requests": list(requests), **body}
        self.made = create.create(ACME, NewSession.model_validate(asked), BASE)
        self.id: str = self.made["id"]
        if verified:
            harness.attempt_again(self.row)
            harness.store.save_group(self.id, 1, "group-1", harness.clock.now())
        self.requests = RequestFiles(harness.store, harness.clock, 5)
        self.person = Caller("acme", session_id=self.id)

    @property
    def row(self) -> Session:
        found = self.harness.store.get_session(self.id)
        assert found
        return found

    @property
    def view(self) -> dict[str, Any]:
        return GetSession(self.harness.store, self.harness.clock, 5, self.harness.files, FakeConsentTexts).one(
            self.person, self.id
        )

    @property
    def statuses(self) -> dict[str, str]:
        return {each["name"]: each["status"] for each in self.view["requests"]}

    def register(self, request: str | None, kind: str = "Image", by: Caller | None = None, **body: Any) -> Asset:
        self.harness.clock.at += 0.001  # for a different id
        content_type, content = TYPES[kind]
        asked = {"request": request, "asset_type": kind, "content_type": content_type, "size_bytes": len(content)}
        step = RegisterAsset(self.harness.store, self.harness.files, self.harness.clock)
        shown, _ = step(by or self.person, self.id, AssetRegistration.model_validate(asked | body))
        return self.asset(shown["id"])

    def asset(self, asset_id: str) -> Asset:
        found = self.harness.store.get_asset(self.id, asset_id)
        assert found
        return found

    def arrive(self, asset: Asset, kind: str | None = None) -> Asset:
        """Uploads the file of an asset and checks it."""
        content = TYPES[kind or asset.asset_type.value][1]
        self.harness.files.objects[asset.object_key] = content
        step = CheckUpload(self.harness.store, self.harness.files, self.harness.queue, self.harness.clock)
        step(Upload(asset.object_key, "v1", len(content), self.harness.clock.at))
        return self.asset(asset.id)

    def activate(self, asset: Asset) -> None:
        """Brings an uploaded asset to the end."""
        active = replace(asset, status=AssetStatus.ACTIVE, crun_asset_id="asset-1")
        self.harness.store.change_asset(active, [AssetStatus.UPLOADED])

    def fill(self, request: str, kind: str = "Image") -> None:
        self.activate(self.arrive(self.register(request, kind)))


@pytest.fixture
def case(harness: StepHarness) -> Case:
    return Case(harness, FRONT, VOICE, SIDE)


# -- requests of a new session


def test_a_session_shows_its_requests_in_order_and_a_listing_does_not(case: Case) -> None:
    front = {"name": "front", "asset_type": "Image", "hint": "Your face, in daylight", "required": True}
    opened = {"asset_id": None, "status": "open"}
    assert case.made["requests"][0] == front | opened
    assert [each["name"] for each in case.view["requests"]] == ["front", "say hello: 你好", "side"]
    assert [each["required"] for each in case.view["requests"]] == [True, True, False]
    (listed,) = GetSession(case.harness.store, case.harness.clock, 5, case.harness.files, FakeConsentTexts).list(
        ACME, limit="1"
    )["sessions"]
    assert not {"requests", "finished_at", "settled"} & set(listed)


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([FRONT, FRONT], "requests"),
        ([FRONT | {"name": f"n{number}"} for number in range(21)], "requests"),
        ([FRONT | {"name": "n" * 65}], "requests.0.name"),
        ([FRONT | {"name": ".."}], "requests.0.name"),
        ([FRONT | {"name": "a\nb"}], "requests.0.name"),
        ([FRONT | {"name": "a/b"}], "requests.0.name"),
        ([FRONT | {"hint": "h" * 201}], "requests.0.hint"),
        ([FRONT | {"asset_type": "Text"}], "requests.0.asset_type"),
        ([FRONT | {"size_bytes": 1}], "requests.0.size_bytes"),
        ([{"name": "front"}], "requests.0.asset_type"),
    ],
)
def test_a_request_that_breaks_the_contract_names_the_field(requests: Any, field: str) -> None:
    for model in (NewSession, MoreRequests):
        with pytest.raises(InvalidRequest) as caught:
            parse_body(model, MoreRequests.model_construct(requests=requests).model_dump_json(warnings=False))
        assert caught.value.field == field


def test_the_clients_own_files_may_answer_requests_of_a_new_session(harness: StepHarness) -> None:
    file = {"request": "front", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 10}
    case = Case(harness, FRONT, SIDE, assets=[file])
    (asset,) = case.made["assets"]
    assert (asset["name"], asset["request"]) == ("front", "front")
    assert case.row.requests["front"].asset_id == asset["id"]
    for assets, field in (
        ([file | {"request": "other"}], "assets.0.request"),
        ([file, file], "assets.1.request"),
        ([file | {"request": "voice"}], "assets.0.asset_type"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            Case(harness, FRONT, FRONT | {"name": "voice", "asset_type": "Audio"}, assets=assets)
        assert caught.value.field == field


# -- files for requests


def test_a_file_for_a_request_has_its_name_and_fills_it(case: Case) -> None:
    asset = case.register("front")
    assert (asset.name, asset.request, asset.by_person) == ("front", "front", True)
    assert case.row.requests["front"].asset_id == asset.id
    assert case.statuses["front"] == "open", "its file has not arrived"
    uploaded = case.arrive(asset)
    assert case.statuses["front"] == "received"
    case.activate(uploaded)
    assert case.statuses == {"front": "active", "say hello: 你好": "open", "side": "open"}
    with pytest.raises(Conflict) as caught:
        case.register("front")
    assert caught.value.code == "request_filled"


@pytest.mark.parametrize(("name", "kind", "field"), [("other", "Image", "request"), ("front", "Audio", "asset_type")])
def test_a_file_for_an_unknown_request_or_of_another_type_is_refused(
    case: Case, name: str, kind: str, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        case.register(name, kind)
    assert caught.value.field == field
    assert not case.view["assets"]


def test_a_file_whose_bytes_are_of_another_type_fails_and_frees_its_request(case: Case) -> None:
    asset = case.arrive(case.register("front"), "Audio")
    assert asset.status is AssetStatus.FAILED
    assert asset.error
    assert asset.error.code == "unexpected_type"
    assert "assets_ready" not in str(case.harness.queue.sent), "crun does not get it"
    assert (case.statuses["front"], case.row.requests["front"].asset_id) == ("open", asset.id)
    second = case.arrive(case.register("front"))
    assert (case.statuses["front"], case.row.requests["front"].asset_id) == ("received", second.id)


def test_an_erased_file_frees_its_request(case: Case) -> None:
    asset = case.arrive(case.register("front"))
    EraseAsset(case.harness.store, case.harness.files, case.harness.clock)(ACME, case.id, asset.id)
    assert case.asset(asset.id).request is None, "the name may be personal"
    assert case.statuses["front"] == "open"
    case.fill("front")
    assert case.statuses["front"] == "active"


def test_an_interrupted_upload_does_not_block_its_request(case: Case) -> None:
    first, second = case.register("front"), case.register("front")
    assert case.row.requests["front"].asset_id == second.id
    # Of both files, one fills the request; the other one is a further file of the session.
    case.arrive(first)
    assert case.statuses["front"] == "open"
    case.activate(case.arrive(second))
    assert case.statuses["front"] == "active"


def test_the_same_bytes_are_registered_once_for_a_request_and_may_answer_two(case: Case) -> None:
    digest = "a" * 64
    first = case.register("front", sha256=digest)
    assert case.register("front", sha256=digest).id == first.id
    assert case.register("side", sha256=digest).id != first.id
    assert case.register(None, sha256=digest, name="n").id == first.id


def test_a_full_session_makes_room_for_a_requested_file(case: Case) -> None:
    for _ in range(MAX_ASSETS_PER_SESSION):
        case.harness.asset(case.row, AssetStatus.AWAITING_UPLOAD)
    case.harness.clock.at += SLOT_SECONDS + 1
    assert case.row.requests["front"].asset_id is None
    assert case.row.requests["front"].asset_id != case.register("front").id == case.row.requests["front"].asset_id


# -- later requests


def test_requests_are_added_once_and_withdrawn(case: Case) -> None:
    body = MoreRequests.model_validate({"requests": [FRONT, {"name": "clip", "asset_type": "Video"}]})
    shown, is_new = case.requests.add(ACME, case.id, body)
    assert is_new
    assert [each["name"] for each in shown["requests"]] == ["front", "say hello: 你好", "side", "clip"]
    assert case.requests.add(ACME, case.id, body) == (shown, False)
    other = MoreRequests.model_validate({"requests": [FRONT | {"hint": "Another"}]})
    with pytest.raises(Conflict) as caught:
        case.requests.add(ACME, case.id, other)
    assert caught.value.code == "request_exists"
    assert "clip" not in str(case.requests.withdraw(ACME, case.id, "clip"))
    with pytest.raises(NotFound):
        case.requests.withdraw(ACME, case.id, "clip")
    for name in list(case.row.requests):
        case.requests.withdraw(ACME, case.id, name)
    assert case.requests.add(ACME, case.id, other)[1], "after the last one too"
    assert list(case.row.requests) == ["front"]


def test_the_first_requests_may_come_later_and_are_at_most_twenty(harness: StepHarness) -> None:
    case = Case(harness)
    for number in range(MAX_REQUESTS_PER_SESSION):
        body = MoreRequests.model_validate({"requests": [FRONT | {"name": f"n{number}"}]})
        assert case.requests.add(ACME, case.id, body)[1]
    assert [each.position for each in case.row.requests.values()] == list(range(MAX_REQUESTS_PER_SESSION))
    with pytest.raises(Conflict, match="at most 20"):
        case.requests.add(ACME, case.id, MoreRequests.model_validate({"requests": [FRONT]}))


def test_a_request_with_a_file_is_not_withdrawn(case: Case) -> None:
    waiting = case.register("front")
    case.requests.withdraw(ACME, case.id, "front")
    case.arrive(waiting)
    assert case.asset(waiting.id).status is AssetStatus.UPLOADED, "it stays a file of the session"
    case.arrive(case.register("side"))
    with pytest.raises(Conflict) as caught:
        case.requests.withdraw(ACME, case.id, "side")
    assert caught.value.code == "request_filled"


def test_a_person_adds_and_withdraws_no_requests(case: Case) -> None:
    with pytest.raises(Forbidden):
        case.requests.add(case.person, case.id, MoreRequests.model_validate({"requests": [FRONT]}))
    with pytest.raises(Forbidden):
        case.requests.withdraw(case.person, case.id, "front")


# -- races


class Meanwhile:
    """The client of DynamoDB; before the first transaction or update of ``table``, something else happens."""

    def __init__(self, client: Any, happens: Callable[[], object]) -> None:
        self._client, self._happens = client, happens
        self._done = False

    def __getattr__(self, name: str) -> Any:
        if name in ("transact_write_items", "update_item") and not self._done:
            self._done = True
            self._happens()
        return getattr(self._client, name)


def _behind(case: Case, happens: Callable[[], object]) -> Case:
    """Returns the case of a caller that has read the session before ``happens``."""
    client: Any = Meanwhile(case.harness.dynamodb, happens)
    later = Case.__new__(Case)
    vars(later).update(vars(case))
    later.harness = replace(case.harness, store=DynamoStore(client, TABLE))
    later.requests = RequestFiles(later.harness.store, case.harness.clock, 5)
    return later


def test_of_two_uploads_at_once_one_fills_the_request(case: Case) -> None:
    filled: list[Asset] = []
    behind = _behind(case, lambda: filled.append(case.arrive(case.register("front"))))
    with pytest.raises(Conflict) as caught:
        behind.register("front")
    assert caught.value.code == "request_filled"
    assert [each["id"] for each in case.view["assets"]] == [filled[0].id]
    waiting: list[Asset] = []
    last = _behind(case, lambda: waiting.append(case.register("side"))).register("side")
    assert case.row.requests["side"].asset_id == last.id != waiting[0].id


def test_a_file_that_arrives_is_not_replaced_and_its_request_not_withdrawn(case: Case) -> None:
    waiting = case.register("front")
    with pytest.raises(Conflict) as caught:
        _behind(case, lambda: case.arrive(waiting)).register("front")
    assert caught.value.code == "request_filled"
    other = case.register("side")
    with pytest.raises(Conflict) as caught:
        _behind(case, lambda: case.arrive(other)).requests.withdraw(ACME, case.id, "side")
    assert caught.value.code == "request_filled"


def test_a_file_for_a_request_that_is_withdrawn_meanwhile_is_refused(case: Case) -> None:
    behind = _behind(case, lambda: case.requests.withdraw(ACME, case.id, "front"))
    with pytest.raises(InvalidRequest) as caught:
        behind.register("front")
    assert caught.value.field == "request"
    assert not case.view["assets"]


def test_requests_that_are_added_at_once_are_all_kept(case: Case) -> None:
    def more(name: str) -> MoreRequests:
        return MoreRequests.model_validate({"requests": [SIDE | {"name": name}]})

    _behind(case, lambda: case.requests.add(ACME, case.id, more("a"))).requests.add(ACME, case.id, more("b"))
    assert list(case.row.requests) == ["front", "say hello: 你好", "side", "a", "b"]
    _behind(case, lambda: case.requests.withdraw(ACME, case.id, "a")).requests.withdraw(ACME, case.id, "a")


def test_a_file_that_is_registered_while_the_person_finishes_reopens_the_session(case: Case) -> None:
    _behind(case, lambda: case.requests.finish(case.person, case.id)).register("side")
    assert case.view["finished_at"] is None
    _behind(case, lambda: case.register("front")).requests.finish(case.person, case.id)
    assert case.view["settled"], "the file that waits for its upload does not count"


# -- finished and settled


def test_finishing_is_recorded_once_and_a_further_file_or_request_reopens(case: Case) -> None:
    first = case.requests.finish(case.person, case.id)
    assert first["finished_at"]
    assert "reference" not in first
    case.harness.clock.at += 60
    assert case.requests.finish(ACME, case.id)["finished_at"] == first["finished_at"]
    case.register("front", by=ACME)
    assert case.view["finished_at"], "the client's own file"
    case.register("side")
    assert case.view["finished_at"] is None
    case.requests.finish(case.person, case.id)
    case.requests.add(ACME, case.id, MoreRequests.model_validate({"requests": [SIDE | {"name": "more"}]}))
    assert case.view["finished_at"] is None


def test_nobody_finishes_before_the_face_check_or_after_the_erasure(harness: StepHarness) -> None:
    case = Case(harness, FRONT, verified=False)
    with pytest.raises(Conflict) as caught:
        case.requests.finish(case.person, case.id)
    assert caught.value.code == "not_verified"
    EraseSession(harness.store, harness.files, harness.workflows, harness.clock, no_generations)(ACME, case.id)
    with pytest.raises(Conflict) as caught:
        case.requests.finish(ACME, case.id)
    assert caught.value.code == "conflict"


def test_it_is_settled_when_the_required_requests_are_active(case: Case) -> None:
    assert not case.view["settled"]
    case.fill("front")
    assert not case.view["settled"]
    case.fill("say hello: 你好", "Audio")
    assert case.view["settled"]
    optional = case.register("side")
    assert not case.view["settled"], "the upload of an optional file has begun"
    case.harness.clock.at += SLOT_SECONDS + 1
    assert case.view["settled"], "the person has given it up"
    case.harness.clock.at -= SLOT_SECONDS + 1
    uploaded = case.arrive(optional)
    assert not case.view["settled"]
    case.activate(uploaded)
    assert case.view["settled"]
    case.register(None, name="own", by=ACME)
    case.harness.clock.at += 2 * SLOT_SECONDS
    assert not case.view["settled"], "the client's own file is still expected"


def test_optional_requests_alone_settle_when_the_person_has_finished(harness: StepHarness) -> None:
    case = Case(harness, SIDE)
    case.fill("side")
    assert not case.view["settled"]
    assert case.requests.finish(case.person, case.id)["settled"]


def test_without_requests_the_clients_files_settle(harness: StepHarness) -> None:
    case = Case(harness)
    assert not case.view["settled"], "nothing was asked for, and nothing sent"
    case.activate(case.arrive(case.register(None, name="n")))
    assert not case.view["settled"], "the person may send more"
    own = case.register(None, name="own", by=ACME)
    case.harness.clock.at += SLOT_SECONDS + 1
    assert not case.view["settled"]
    case.activate(case.arrive(own))
    assert case.view["settled"]
    empty = Case(harness)
    assert empty.requests.finish(empty.person, empty.id)["settled"]
    unverified = Case(harness, verified=False)
    assert not unverified.view["settled"]


# -- events, the inventory, erasure, earlier versions


def test_finishing_is_an_event_and_changes_no_figures(case: Case) -> None:
    before = case.row
    case.requests.finish(case.person, case.id)
    change = SessionChange("evt_1", "1", before, case.row)
    assert change.event
    assert change.event.type == "likeness.session.finished"
    assert change.event.detail["finished_at"] == case.view["finished_at"]
    assert not list(measures_of(change))
    case.register("front")
    assert SessionChange("evt_2", "2", case.row, replace(case.row, finished_at=None)).event is None
    again = SessionChange("evt_3", "3", replace(before, finished_at=1.0), replace(before, finished_at=1.0))
    assert again.event is None


def test_an_erasure_removes_names_and_hints(case: Case) -> None:
    asset = case.arrive(case.register("front"))
    EraseSession(case.harness.store, case.harness.files, case.harness.workflows, case.harness.clock, no_generations)(
        ACME, case.id
    )
    assert (case.row.requests, case.asset(asset.id).request) == ({}, None)
    stored = case.harness.dynamodb.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"SESSION#{case.id}"}},
    )["Items"]  # fmt: skip
    assert not any(word in str(stored) for word in ("front", "daylight", "hello", "side"))
    view = GetSession(case.harness.store, case.harness.clock, 5, case.harness.files, FakeConsentTexts).one(
        ACME, case.id
    )
    assert (view["requests"], view["settled"]) == ([], False)


def test_the_inventory_keeps_requests_without_their_hints() -> None:
    session = {
        "pk": "SESSION#ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "sk": "SESSION", "id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "status": "verified", "finished_at": 5,
        "requests": {"front": {"asset_type": "Image", "hint": "secret", "required": True, "position": 0}},
    }  # fmt: skip
    (line,) = lines_of([session])
    assert "secret" not in str(line)
    restored = restored_session(line)
    assert restored["requests"] == {"front": {"asset_type": "Image", "required": True, "position": 0}}
    assert restored["finished_at"] == 5
    assert asset_items(line) == []


def test_a_session_of_an_earlier_version_has_no_requests(harness: StepHarness) -> None:
    session = harness.session()
    item = session_item(session)
    assert not {"requests", "finished_at"} & set(item)
    assert (session_from(item).requests, session_from(item).finished_at) == ({}, None)
